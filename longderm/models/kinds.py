"""What a release of each kind must hold, besides files that are what they were: its config, card, figures, weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from longderm.errors import LongdermError, RefusedError
from longderm.models.cards import without_front_matter
from longderm.models.releases import problems_of, split_name

#: Kind -> the keys of its config.json, each tuple one way to be complete.
KINDS: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {
        "change": (("alpha", "bias", "calibration_scores", "noise", "weights"),),
        "encoder": (("encoder",),),
        "prognosis": (("model", "endpoint", "covariates", "horizons_years", "patients", "events"),),
        "quality": (("photo_alone", "signs", "with_lesion"),),
        "segmentation": (("network",), ("levels", "skin_weights")),
    }
)

#: Files of a release by the end of their name. Pickled weights run code when they are read: they are no part of one.
SUFFIXES = (".json", ".md", ".safetensors")

_OWN_NAME = "{name}"
#: Kind -> figures of its figures.json that a list shows, as paths; "{name}" is the release's own name.
_HEADLINES: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {
        "change": (("auroc_score",), ("false_alarm_rate",), ("sensitivity",)),
        "encoder": (
            ("isic2018_val", "re_identified", "{name}"),
            ("isic2018_val", "structures", "auroc_mean", "{name}"),
        ),
        "prognosis": (("harrell_c",), ("auc_5y",), ("calibration_slope",), ("calibration_slope_5y",)),
        "quality": (("spearman",), ("falls_with_level",)),
        "segmentation": (
            ("isic2018_val", "methods", "{name}", "dice_mean"),
            ("isic2018_val", "methods", "{name}", "jaccard_mean"),
        ),
    }
)
#: How many figures of a kind without headlines are shown.
_FIGURES_SHOWN = 3


def check_release(folder: Path) -> str:
    """The name of a release made elsewhere, `kind/version` as its card's title gives it, after checking all of it.

    Raises RefusedError where files and hashes, card, config, figures or weights are not as a release's are.
    """
    problems = problems_of(folder)
    if problems:
        raise RefusedError(f"{folder}: {problems[0]}; make the release anew or restore it")
    strange = sorted(path.name for path in folder.iterdir() if path.suffix not in SUFFIXES)
    if strange:
        raise RefusedError(f"{folder}: {strange[0]} is no file of a release ({', '.join(SUFFIXES)})")
    name = card_title(folder)
    if name is None:
        raise RefusedError(f"{folder}: card.md must begin with the release's name, '# KIND/VERSION'")
    kind, _ = split_name(name)
    if kind not in KINDS:
        raise RefusedError(f"{folder}: no stage knows releases of kind {kind}; there are {', '.join(sorted(KINDS))}")
    if "licen" not in (folder / "card.md").read_text().lower():
        raise RefusedError(f"{folder}: card.md says nothing of the licence")
    config = _object(folder / "config.json")
    if not any(all(key in config for key in keys) for keys in KINDS[kind]):
        wanted = " or ".join(" and ".join(keys) for keys in KINDS[kind])
        raise RefusedError(f"{folder}: config.json is not that of kind {kind}: it must hold {wanted}")
    if not _object(folder / "figures.json"):
        raise RefusedError(f"{folder}: figures.json holds no figure: nobody can know what the release is worth")
    _check_weights(folder, kind, config)
    return name


def card_title(folder: Path) -> str | None:
    """The release's name that its card begins with, or None."""
    try:
        lines = without_front_matter((folder / "card.md").read_text()).splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    title = lines[0].removeprefix("# ").strip() if lines and lines[0].startswith("# ") else ""
    try:
        return "/".join(split_name(title))
    except LongdermError:
        return None


def card_summary(folder: Path) -> str:
    """The first paragraph of a release's card on one line, without its marks; empty where there is none."""
    try:
        text = without_front_matter((folder / "card.md").read_text())
    except (OSError, UnicodeDecodeError):
        return ""
    paragraphs = [part for part in text.split("\n\n") if part.strip() and not part.startswith("#")]
    return " ".join(paragraphs[0].replace("**", "").split()) if paragraphs else ""


def headline(folder: Path, name: str) -> dict[str, Any]:
    """A few figures of a release by name: numbers, or [value, low, high]."""
    try:
        figures = _object(folder / "figures.json")
    except RefusedError:
        return {}
    shown = {}
    for path in _HEADLINES.get(name.partition("/")[0], ()):
        value: Any = figures
        for key in path:
            value = value.get(key.format(name=name)) if isinstance(value, dict) else None
        if value is not None:
            # Where the last key is the release's own name, the one before it says what the figure is.
            shown[path[-1] if path[-1] != _OWN_NAME else path[-2]] = value
    return shown or dict(list(_numbers(figures))[:_FIGURES_SHOWN])


def _numbers(figures: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in sorted(figures.items()):
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            yield key, value


def _object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        raise RefusedError(f"{path.parent}: {path.name} is missing") from None
    except ValueError:
        raise RefusedError(f"{path.parent}: {path.name} is not JSON") from None
    if not isinstance(value, dict):
        raise RefusedError(f"{path.parent}: {path.name} is not an object")
    return value


def _check_weights(folder: Path, kind: str, config: Mapping[str, Any]) -> None:
    """Every tensor can be read and is finite; networks fit their architectures, a score has its numbers."""
    files = sorted(folder.glob("*.safetensors"))
    if ("network" in config or "encoder" in config) and not files:
        raise RefusedError(f"{folder}: config.json tells of a network, but there are no weights (.safetensors)")
    for path in files:
        import numpy as np
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(path)
        except (SafetensorError, OSError, ValueError, TypeError) as error:
            raise RefusedError(f"{folder}: {path.name} cannot be read ({type(error).__name__})") from None
        broken = [name for name, value in sorted(tensors.items()) if not bool(np.isfinite(value).all())]
        if broken:
            raise RefusedError(f"{folder}: tensor {broken[0]} of {path.name} is not finite")
    try:
        _check_kind(folder, kind, config)
    except RefusedError as error:
        raise RefusedError(f"{folder}: {error}") from error


def _check_kind(folder: Path, kind: str, config: Mapping[str, Any]) -> None:
    if kind == "segmentation" and "network" in config:
        from longderm.models.weights import read_border, read_networks

        read_networks(folder)
        if "border" in config:
            read_border(folder)
    if kind == "change":
        from longderm.models.change_numbers import check_change_numbers

        check_change_numbers(config)
        if "network" in config:
            from longderm.models.change_network import read_change_network

            read_change_network(folder)
    if kind == "encoder":
        from longderm.errors import WeightsError
        from longderm.models.encoder_weights import read_encoder

        try:
            read_encoder(folder)
        except WeightsError as error:
            raise RefusedError(str(error)) from error
