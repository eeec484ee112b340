"""Takes what benchmarks found of releases into their figures and cards, in a registry's folder.

Nothing is measured here. `change.json` (bench change) gives the card of the change release that it judged its figures
on changes made in real photos and its reliability; `tones.json` (bench tones) gives each release that it names its
figures by skin tone. A release whose card is written anew has another digest, and what stands on it is computed again:
cards are written before a release is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longderm.bench.change_pairs import STABLE, STRONG, WEAK
from longderm.change.card import BY_SKIN_TONE, RELIABILITY, SEMI_SYNTHETIC, change_card
from longderm.errors import SourceNotFoundError, UsageError
from longderm.models.cards import skin_tone_lines, with_skin_tones
from longderm.models.releases import problems_of, write_hashes

#: What is said above the table of a card, by kind of release.
_SAID = {
    "segmentation": "Mean Dice against experts' outlines (0 where none is drawn), and the share below one half.",
    "quality": "Median score, and the share of photos whose score is too low to be analysed.",
}
#: The split whose photos no release has learned from: figures of others say nothing.
_HELD_SPLIT = "val"
#: What a result of bench change holds since it tells all that a card says.
_NEEDED = ("symmetry_named", "reliability", "methods", "pairs", "run", "release")


def run(out: Path, into: str, results: str) -> dict[str, Any]:
    """Write the results of the folder `results` into the registry's folder `into`; prints what was written.

    Raises SourceNotFoundError where there is no such result or release, UsageError for results of another kind.
    """
    del out
    change, tones = (_read(Path(str(results)) / f"{name}.json") for name in ("change", "tones"))
    if change is None and tones is None:
        raise SourceNotFoundError("--results holds neither change.json nor tones.json")
    added: dict[str, dict[str, Any]] = {}
    if change is not None:
        added[str(change.get("release"))] = of_change(change)
    if tones is not None:
        for release, parts in of_tones(tones).items():
            added.setdefault(release, {})[BY_SKIN_TONE] = parts
    root = Path(str(into))
    for release in sorted(added):
        require_whole(root, release)
    for release, figures in sorted(added.items()):
        add_to_release(root, release, figures)
        print(f"{release}: {', '.join(sorted(figures))}")
    return {"written": {release: sorted(figures) for release, figures in added.items()}}


def of_change(result: Mapping[str, Any]) -> dict[str, Any]:
    """The blocks of figures.json that a result of bench change gives. Raises UsageError for another kind of result."""
    if not all(name in result for name in _NEEDED) or result["run"].get("split") != _HELD_SPLIT:
        raise UsageError(
            f"change.json is not of bench change --photos over split {_HELD_SPLIT} as it is now; run it anew"
        )
    ours = result["methods"]["longderm"]
    alone = [rise[0] for rise in result["false_alarms_alone"].get("rise", {}).values() if rise is not None]
    told = {
        "pairs": sum(result["pairs"].get(stratum, 0) for stratum in (STABLE, *STRONG, *WEAK)),
        "pairs_not_scored": sum(part["refused"] for part in result["refused"].values()),
        "auroc": ours["mix"]["auroc"],
        "sensitivity_at_95%_specificity": ours["mix"]["sensitivity"],
        "auroc_of_weak_changes": ours["weak"]["auroc"],
        "auroc_gain_over_best_baseline": (result["over_best_baseline"] or {}).get("auroc_gain"),
        "hottest_place_inside_the_change": result["heat_map"].get("hottest_inside"),
        "reason_named_right": result["reason_named"].get("right"),
        "symmetry_named_where_it_changed": result["symmetry_named"].get("named_where_moved"),
        "symmetry_named_where_it_did_not": result["symmetry_named"].get("named_where_kept"),
        "largest_rise_of_false_alarms_by_one_nuisance": max(alone, default=None),
    }
    levels = {level: one for level, one in result["p_values"].items() if level.startswith("p ")}
    told |= {f"unchanged_with_{level.replace(' ', '')}": one["share"] for level, one in levels.items()}
    return {SEMI_SYNTHETIC: told, RELIABILITY: result["reliability"]}


def of_tones(result: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Release -> its parts of a result of bench tones. Raises UsageError for photos of another split."""
    by_release: dict[str, dict[str, Any]] = result.get("by_release", {})
    photos = any("photos" in parts for parts in by_release.values())
    if photos and result["run"]["split"] != _HELD_SPLIT:
        raise UsageError(f"tones.json is of split {result['run']['split']!r}; cards tell of split {_HELD_SPLIT}")
    return {release: parts for release, parts in by_release.items() if parts}


def require_whole(root: Path, name: str) -> None:
    """Raise SourceNotFoundError unless a registry holds the release, and its files are what they were."""
    if not (root / name / "figures.json").is_file() or problems_of(root / name):
        raise SourceNotFoundError(f"--into must hold a whole release {name}")


def add_to_release(root: Path, name: str, added: Mapping[str, Any]) -> None:
    """Add blocks to a release's figures.json, write its card and its hashes anew; of figures by skin tone, those of
    another part stay. Raises as `require_whole`."""
    require_whole(root, name)
    folder = root / name
    figures = json.loads((folder / "figures.json").read_text())
    tones = figures.get(BY_SKIN_TONE, {}) | added.get(BY_SKIN_TONE, {})
    figures = {**figures, **added, **({BY_SKIN_TONE: tones} if tones else {})}
    if name.startswith("change/"):
        config = json.loads((folder / "config.json").read_text())
        if "command" not in config.get("source", {}):
            raise UsageError(f"{name} was fitted to a site, whose card is its own; name another release")
        card = change_card(name, config, figures)
    else:
        card = with_skin_tones((folder / "card.md").read_text(), _section(name, tones))
    (folder / "figures.json").write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    (folder / "card.md").write_text(card)
    write_hashes(folder)


def _section(name: str, tones: Mapping[str, Any]) -> list[str]:
    return [
        f"ISIC 2018, split {_HELD_SPLIT}, by the tone of the photo (typology angle of the skin around the lesion,",
        "without a colour chart). " + _SAID[name.partition("/")[0]],
        "",
        *skin_tone_lines(tones["photos"], "tone"),
    ]


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except ValueError:
        raise UsageError(f"{path.name} in --results is not JSON; run its benchmark again") from None
    return found
