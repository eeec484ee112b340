"""What a release says of its own outlines and structures, fitted to photos that the network was not trained on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.errors import StageError
from longderm.imaging.fit import dice, lesion_free_tiles, shrink_mask, vary
from longderm.imaging.network_outline import Area, Drawing, draw_area, find_area, judge, read_drawing, sure_border
from longderm.imaging.quadratic import fit_linear
from longderm.imaging.sight import Sight, look, squash
from longderm.models.border_network import BorderNetwork
from longderm.models.lesion_network import LesionNetwork
from longderm.training.examples import Example, hold_out, read_examples, read_train_rows
from longderm.training.logistic import fit_calibration
from longderm.training.structures import calibrate_structures

#: Levels of the outline that are tried.
_OUTLINE_LEVELS = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
#: Crops of each photo, and tiles of its bare skin, beside the photo as it is.
_CROPS, _TILES = 4, 3
#: Crops that show hardly any of the lesion, or nothing but it, teach nothing about presence or size.
_MIN_SHOWN, _MAX_SHOWN = 0.004, 0.95
#: The share of areas that lie within their stated error, and the powers of softness that are tried for it.
_COVERED = 0.9
_POWERS = tuple(round(0.05 * step, 2) for step in range(31))
#: Of the photos held out, at most this share is passed over: a faint lesion that looks less like one than spots of skin
#: do cannot be kept without drawing those.
_PASSED_OVER = 0.01
#: Settings that are chosen, not fitted. An outline expected to overlap less than a fifth helps nobody; below 0.6, a
#: reader should look twice; in clinical photos, shadows and folds at the edge are no lesions.
_CHOSEN = {"min_overlap": 0.2, "doubtful_overlap": 0.6, "clinical_max_cut_share": 0.1}


@dataclass(frozen=True, eq=False)
class Seen:
    """What the networks saw of a view, with its true mask bool on the outline's grid."""

    sight: Sight
    mask: NDArray[np.bool_]


def calibrate(
    networks: Sequence[LesionNetwork], photos: list[Example], held: list[Example], side_px: int, seed: int
) -> dict[str, Any]:
    """The fitted parts of a network release's config, "drawing" and "structures", from held-out photos.

    What texture says of structures is learned from `photos`, the networks' own: they saw them, this did not.
    """
    whole, crops = _see_held(networks, held, side_px, seed)
    bare = []
    for index, example in enumerate(held):
        rng = np.random.default_rng([seed, index, _CROPS])
        for tile in lesion_free_tiles(example.fine, example.mask > 127, rng, _TILES):
            bare.append(_see(networks, tile, np.zeros(tile.shape[:2], dtype=np.bool_), side_px))
    return {
        "drawing": _fit_drawing(whole, whole + crops, bare),
        "structures": calibrate_structures(networks, photos, held, side_px),
    }


def refit_area_error(release: Path, folder: Path) -> dict[str, float]:
    """Fit the "area_error" of a release folder's config.json, from the ISIC-layout folder of its training.

    By the photos that were held out of it, their borders drawn as the release draws them; all else stays as it is.
    Cards, figures and hashes are not touched. Raises SourceNotFoundError for a folder of another layout, RefusedError
    where the weights do not fit the config.
    """
    from longderm.models.weights import read_border, read_networks

    path = release / "config.json"
    config: dict[str, Any] = json.loads(path.read_text())
    drawing, training = config["drawing"], config["training"]
    _, names = hold_out(read_train_rows(folder), training["held_share"], training["seed"])
    networks, border = read_networks(release), read_border(release) if "border" in config else None
    redrawn = partial(_with_border, drawing=read_drawing(config), border=border) if border is not None else None
    drawn = []
    for pixels, mask in _views_of(read_examples(folder, names), training["seed"]):
        seen = _see(networks, pixels, mask, config["network"]["side_px"])
        area = find_area(seen.sight, drawing["level"])
        if area is not None:
            drawn.append((redrawn(area, seen.sight, pixels) if redrawn is not None else area, seen.mask))
    _require_shown(drawn)
    fitted = drawing["area_error"] = _fit_area_error(drawn)
    path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    return fitted


def _fit_drawing(whole: list[Seen], views: list[Seen], bare: list[Seen]) -> dict[str, Any]:
    level = max(_OUTLINE_LEVELS, key=lambda candidate: round(_mean_overlap(whole, candidate), 5))
    drawn = _drawn(views, level)
    overlaps = np.array([dice(area.mask, mask) for area, mask in drawn])
    overlap_weights = _rounded(fit_linear(_features([area for area, _ in drawn]), overlaps, penalty=1e-2))

    lesions = np.array([seen.sight.presence for seen in views if _is_shown(seen.mask)])
    skin = np.array([seen.sight.presence for seen in bare])
    slope, offset = fit_calibration(np.concatenate([lesions, skin]), np.arange(len(lesions) + len(skin)) < len(lesions))
    presence = least_presence([seen.sight.presence for seen in whole])
    return {
        "level": level,
        "overlap_weights": overlap_weights,
        "area_error": _fit_area_error(drawn),
        "presence_slope": round(slope, 4),
        "presence_offset": round(offset, 4),
        "min_presence": float(np.floor(1e4 / (1 + np.exp(-(slope * presence + offset)))) / 1e4),
        **_CHOSEN,
    }


def least_presence(lesions: Sequence[float]) -> float:
    """Log-odds of presence below which nothing is drawn, from those of photos that all show a lesion.

    One in a hundred of them may lie below it. It lies midway between what is passed over and what is kept, where other
    photos are least likely to fall on its wrong side; where so few are held out that none may be passed over, it is the
    lowest.
    """
    ordered = np.sort(np.asarray(lesions, np.float64))
    passed_over = int(_PASSED_OVER * ordered.size)
    return float(ordered[max(0, passed_over - 1) : passed_over + 1].mean())


def _drawn(views: list[Seen], level: float) -> list[tuple[Area, NDArray[np.bool_]]]:
    areas = [(find_area(seen.sight, level), seen.mask) for seen in views]
    drawn = [(area, mask) for area, mask in areas if area is not None]
    _require_shown(drawn)
    return drawn


def _require_shown(drawn: list[tuple[Area, NDArray[np.bool_]]]) -> None:
    if not any(_is_shown(mask) for _, mask in drawn):
        raise StageError("the networks draw nothing on the photos held out; train them for more passes")


def _with_border(area: Area, sight: Sight, pixels: NDArray[np.uint8], drawing: Drawing, border: BorderNetwork) -> Area:
    """The area as the release draws it with its border network, on the same grid."""
    sure = sure_border(border, judge(sight, area, drawing)[0], drawing)
    mask = draw_area(pixels, sight, area, drawing.level, sure)
    return replace(area, mask=shrink_mask(mask, (area.mask.shape[0], area.mask.shape[1])))


def _is_shown(mask: NDArray[np.bool_]) -> bool:
    return _MIN_SHOWN < float(mask.mean()) < _MAX_SHOWN


def _fit_area_error(drawn: list[tuple[Area, NDArray[np.bool_]]]) -> dict[str, float]:
    """Scale and power of `AreaError`: the power under which the logarithms of the areas' ratios are likeliest, were
    they Laplace distributed about none, the scale such that nine of ten lie within."""
    shown = [(area, mask) for area, mask in drawn if _is_shown(mask)]
    off = np.abs([np.log(area.mask.sum() / mask.sum()) for area, mask in shown])
    softness = np.array([area.softness for area, _ in shown])

    def unlikely(power: float) -> float:
        return float(np.log((off / softness**power).mean()) + power * np.log(softness).mean())

    power = min(_POWERS, key=lambda candidate: round(unlikely(candidate), 6))
    return {"power": power, "scale": float(f"{np.quantile(off / softness**power, _COVERED):.4g}")}


def _see_held(
    networks: Sequence[LesionNetwork], held: list[Example], side_px: int, seed: int
) -> tuple[list[Seen], list[Seen]]:
    """The photos held out as they are, and crops of them."""
    seen = [_see(networks, pixels, mask, side_px) for pixels, mask in _views_of(held, seed)]
    return seen[: len(held)], seen[len(held) :]


def _views_of(held: list[Example], seed: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
    """Photos with their masks as they are, all of them, and then crops of each."""
    for example in held:
        yield example.fine, example.mask > 127
    for index, example in enumerate(held):
        for crop in range(_CROPS):
            yield vary(example.fine, example.mask > 127, np.random.default_rng([seed, index, crop]))


def _see(networks: Sequence[LesionNetwork], pixels: NDArray[np.uint8], mask: NDArray[np.bool_], side_px: int) -> Seen:
    sight = look(networks, squash(pixels, side_px), (pixels.shape[0], pixels.shape[1]), "fitted")
    return Seen(sight, shrink_mask(mask, (sight.outline.shape[0], sight.outline.shape[1])))


def _mean_overlap(whole: list[Seen], level: float) -> float:
    areas = [(find_area(seen.sight, level), seen.mask) for seen in whole]
    return float(np.mean([dice(area.mask, mask) if area is not None else 0.0 for area, mask in areas]))


def _features(areas: list[Area]) -> NDArray[np.float32]:
    return np.stack([area.features for area in areas])


def _rounded(weights: NDArray[np.float64]) -> list[float]:
    return [float(f"{weight:.5g}") for weight in weights]
