"""Takes what benchmarks found of the releases in use into their figures and cards, in a registry's folder.

Nothing is measured here. `change.json` (bench change) gives the card of the change release that it judged its figures
on changes made in real photos and its reliability; `tones.json` (bench tones) gives each release that it names its
figures by skin tone; those of an encoder are among its figures already (bench encoder).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longderm.change.card import BY_SKIN_TONE, RELIABILITY, SEMI_SYNTHETIC, change_card
from longderm.errors import SourceNotFoundError
from longderm.models.cards import skin_tone_lines, with_skin_tones
from longderm.models.releases import list_releases, problems_of, write_hashes

#: What is said above the table of a card, by kind of release.
_SAID = {
    "segmentation": "Mean Dice against experts' outlines (0 where none is drawn), and the share below one half.",
    "quality": "Median score, and the share of photos whose score is too low to be analysed.",
    "encoder": "Share of photos whose second photo is found again (see above).",
}
_PHOTOS = "ISIC 2018 val, by the tone of the photo (typology angle of the skin around the lesion, without a chart)."


def run(out: Path, into: str, results: str) -> dict[str, Any]:
    """Write the results of the folder `results` into the registry's folder `into`; prints what was written.

    Raises SourceNotFoundError where there is no such result or release.
    """
    del out
    found = {name: _read(Path(str(results)) / f"{name}.json") for name in ("change", "tones")}
    if not any(found.values()):
        raise SourceNotFoundError("--results holds neither change.json nor tones.json")
    added: dict[str, dict[str, Any]] = {}
    if (change := found["change"]) is not None:
        added.setdefault(change["release"], {}).update(of_change(change))
    for release, figures in ((found["tones"] or {}).get("by_release") or {}).items():
        added.setdefault(release, {})[BY_SKIN_TONE] = figures
    for release, figures in _of_encoders(Path(str(into))).items():
        added.setdefault(release, {})[BY_SKIN_TONE] = figures
    for release, figures in sorted(added.items()):
        add_to_release(Path(str(into)), release, figures)
        print(f"{release}: {', '.join(sorted(figures))}")
    return {"written": {release: sorted(figures) for release, figures in added.items()}}


def of_change(result: Mapping[str, Any]) -> dict[str, Any]:
    """The blocks of figures.json that a result of bench change gives."""
    ours = result["methods"]["longderm"]
    alone = [rise[0] for rise in result["false_alarms_alone"].get("rise", {}).values() if rise is not None]
    told = {
        "pairs": sum(result["pairs"].values()),
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


def _of_encoders(root: Path) -> dict[str, dict[str, Any]]:
    """Of each encoder in a registry that was measured by tone: photos found again."""
    found = {}
    for kind, version in list_releases(root):
        measured = (_read(root / kind / version / "figures.json") or {}).get("isic2018_val")
        groups = measured.get("re_identified_by_skin_tone") if kind == "encoder" and measured else None
        if groups is not None:
            name = f"{kind}/{version}"
            found[name] = {
                "photos": {
                    group: {"photos": told["photos"], "found_again": told[name]} for group, told in groups.items()
                }
            }
    return found


def add_to_release(root: Path, name: str, added: Mapping[str, Any]) -> None:
    """Add blocks to a release's figures.json, write its card and its hashes anew.

    Raises SourceNotFoundError where the release is not there or its files are not what they were.
    """
    folder = root / name
    if not folder.is_dir() or problems_of(folder):
        raise SourceNotFoundError(f"--into must hold a whole release {name}")
    figures = json.loads((folder / "figures.json").read_text()) | dict(added)
    config = json.loads((folder / "config.json").read_text())
    if name.startswith("change/"):
        card = change_card(name, config, figures)
    else:
        card = with_skin_tones((folder / "card.md").read_text(), _section(name, figures[BY_SKIN_TONE]))
    (folder / "figures.json").write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    (folder / "card.md").write_text(card)
    write_hashes(folder)


def _section(name: str, told: Mapping[str, Any]) -> list[str]:
    return [_PHOTOS, _SAID[name.partition("/")[0]], "", *skin_tone_lines(told["photos"], "tone")]


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.is_file() else None
