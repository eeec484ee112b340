"""What the releases in use do by skin tone: outlines, quality and changes on photos, changes on simulated skin.

Photos are grouped by their own tone (`photo_tones`); public dermoscopy is nearly all of light skin, so that groups of
darker tones are told to be too few. So **simulated** lesions are shown on skin of every Fitzpatrick type besides: the
same lesions, courses and photos, only the skin differs, and with it how much a lesion stands out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.change import JUDGED
from longderm.bench.change_figures import Figure, mean_of, over_photos, score, threshold
from longderm.bench.change_pairs import STABLE, STRONG
from longderm.bench.photo_tones import TONE_GROUPS, UNKNOWN, tone_group
from longderm.bench.photos import Example, load_example, names_of, pick
from longderm.bench.rows import Row, start_rows
from longderm.bench.series_measuring import SeriesSpec, measured_rows
from longderm.bench.statistics import auroc
from longderm.change.evidence import DEFAULT_VERSION
from longderm.errors import SourceNotFoundError, UsageError
from longderm.governance.photos import QUALITY_MIN
from longderm.imaging.quality import DEFAULT_VERSION as QUALITY
from longderm.imaging.segmentation import DEFAULT_VERSION as SEGMENTATION
from longderm.models import Release, load_release
from longderm.models.cards import plain_figure
from longderm.simulate.series import BENIGN, MELANOMA
from longderm.threads import one_thread

#: A photo with what is measured of it is one line of it.
PHOTO_ROWS = "photos.jsonl"
#: A simulated lesion on one skin with all that is measured of it is one line of it.
SIMULATED_ROWS = "simulated.jsonl"
#: Fewer photos than this say nothing of a group.
FEWEST = 20
#: Fitzpatrick's types.
SKIN_TYPES = {1: "I", 2: "II", 3: "III", 4: "IV", 5: "V", 6: "VI"}
#: Strata of simulated pairs: lesions that keep their looks, and such that change until the next visit.
RESTING, CHANGING = "at rest", "changing"
#: What the changing lesions are, in turn.
_CHANGING_KINDS = (MELANOMA, "growing_nevus", MELANOMA, "changing_nevus")


def run(
    out: Path,
    photos: str = "",
    change: str = "",
    lesions: int = 80,
    seed: int = 51,
    split: str = "val",
    limit: int = 0,
    release: str = "",
    resume: int = 0,
    minutes: float = 0,
) -> dict[str, Any]:
    """Figures by skin tone; prints tables.

    photos: an ISIC-layout folder, of whose `split` at most `limit` photos (0: all) are outlined and judged; change: the
    folder that `longderm bench change --out` wrote over the same photos, whose scores are told by tone; lesions: so
    many simulated ones, half of which change, each on six skins, 0 for none; release: version of the change release;
    resume: 1 takes what an earlier run measured in `out`; minutes: of the simulated part, see `bench evolution`.
    `longderm bench card` writes the result into cards. Raises SourceNotFoundError for folders without what is asked of
    them, UsageError for pairs of another split or release.
    """
    used = load_release("change", release or DEFAULT_VERSION)
    by_release: dict[str, dict[str, Any]] = {}
    counted = 0
    if change and not photos:
        raise UsageError("--change needs the --photos that its pairs were made of")
    with one_thread():
        if photos:
            folder = Path(str(photos))
            names = pick(names_of(folder, split), limit)
            if not names:
                raise SourceNotFoundError(f"--photos has no photo of split {split!r} with a mask")
            # Before minutes are spent on photos.
            scored = _change_rows(Path(str(change)), used, split) if change else []
            rows, counted = _photo_rows(out, folder, split, names, bool(resume)), len(names)
            by_release[f"segmentation/{SEGMENTATION}"] = {"photos": by_tone(rows, outline_figures)}
            by_release[f"quality/{QUALITY}"] = {"photos": by_tone(rows, quality_figures)}
            if change:
                groups = {row["photo"]: row["tone"] for row in rows}
                others = sorted({row["photo"] for row in scored} - set(groups))
                groups |= {name: tone_group(load_example(folder, name)) for name in others}
                by_release[used.name] = {"photos": change_figures(scored, groups, float(used.config["alpha"]))}
        if lesions:
            described = {"release": used.name, "digest": used.digest, "seed": seed, "lesions": lesions}
            specs = simulated_specs(lesions, seed)
            path = out / SIMULATED_ROWS
            simulated = measured_rows(path, described, specs, used, resume=bool(resume), minutes=minutes)
            by_release.setdefault(used.name, {})["simulated"] = simulated_figures(simulated, used)
    _print(by_release)
    return {"by_release": by_release, "run": {"seed": seed, "lesions": lesions, "split": split, "photos": counted}}


def _photo_rows(out: Path, folder: Path, split: str, names: Sequence[str], resume: bool) -> list[Row]:
    """A row a photo, kept as a line of PHOTO_ROWS as soon as it is measured."""
    described = {"segmentation": SEGMENTATION, "quality": QUALITY, "split": split}
    known = {row["photo"]: row for row in start_rows(out / PHOTO_ROWS, described, resume, "--split and releases")}
    with (out / PHOTO_ROWS).open("a") as file:
        for name in names:
            if name not in known:
                known[name] = _photo_row(load_example(folder, name))
                file.write(json.dumps(known[name], sort_keys=True) + "\n")
                file.flush()
    return [known[name] for name in names]


def _photo_row(example: Example) -> Row:
    from longderm.imaging import assess_quality, segment
    from longderm.imaging.artefacts import find_artefacts
    from longderm.imaging.fit import dice

    tone = tone_group(example)
    hidden = find_artefacts(example.photo.pixels)
    drawn = segment(example.photo, artefacts=hidden)
    overlap = dice(drawn.mask, example.mask) if drawn.found else 0.0
    quality = assess_quality(example.photo, hidden).score
    return {"photo": example.name, "tone": tone, "dice": overlap, "quality": quality}


def outline_figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Mean Dice against the expert's outline (0 where none is drawn), and the share of photos below one half."""
    overlap = np.array([row["dice"] for row in rows])
    return {
        "dice_mean": over_photos(rows, lambda index: mean_of(overlap[index])),
        "below_half": over_photos(rows, lambda index: mean_of((overlap[index] < 0.5).astype(float))),
    }


def quality_figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Median quality score, and the share of photos whose score is too low to be analysed."""
    values = np.array([row["quality"] for row in rows])
    return {
        "score_median": over_photos(rows, lambda index: float(np.median(values[index]))),
        "not_analysed": over_photos(rows, lambda index: mean_of((values[index] < QUALITY_MIN).astype(float))),
    }


def change_figures(rows: Sequence[Row], groups: dict[str, str], alpha: float) -> dict[str, Any]:
    """By group of tone, over the benchmark's mix: AUROC; sensitivity and false alarms at the one threshold that all
    photos together give, a pair that could not be scored being no alarm; the shares of pairs that could not be scored,
    and that a rule withholds; the share of unchanged ones flagged (p at most alpha) where none does.

    Raises SourceNotFoundError where no unchanged pair was scored.
    """
    rows = [row | {"tone": groups.get(row["photo"], UNKNOWN)} for row in rows if row["stratum"] in (STABLE, *STRONG)]
    unchanged = np.array([score(row) for row in rows if row["stratum"] == STABLE and row["refused"] is None])
    if not unchanged.size:
        raise SourceNotFoundError("--change has no scored pair that did not change; let bench change go on")
    line = threshold(unchanged)

    def figures(part: Sequence[Row]) -> dict[str, Any]:
        changed = np.array([row["stratum"] != STABLE for row in part], bool)
        alarm = np.array([row["refused"] is None and score(row) > line for row in part], float)
        refused = np.array([row["refused"] is not None for row in part], float)
        withheld = np.array([row["refused"] is None and row["withheld"] is not None for row in part], float)
        scored = [row for row in part if row["refused"] is None]
        values, scored_changed = np.array([score(row) for row in scored]), changed[refused == 0]
        issued = [r for r in scored if r["stratum"] == STABLE and r["withheld"] is None and r["p_value"] is not None]
        flagged = np.array([row["p_value"] <= alpha for row in issued], float)
        return {
            "pairs": len(part),
            "auroc": over_photos(scored, lambda index: auroc(values[index], scored_changed[index])),
            "sensitivity": over_photos(part, lambda index: mean_of(alarm[index][changed[index]])),
            "false_alarms": over_photos(part, lambda index: mean_of(alarm[index][~changed[index]])),
            "not_scored": over_photos(part, lambda index: mean_of(refused[index])),
            "withheld": over_photos(part, lambda index: mean_of(withheld[index])),
            "flagged_unchanged": over_photos(issued, lambda index: mean_of(flagged[index])),
        }

    return by_tone(rows, figures)


def by_tone(rows: Sequence[Row], figures: Callable[[Sequence[Row]], dict[str, Any]]) -> dict[str, Any]:
    """Group -> figures of its rows, those of fewer than FEWEST photos left out; "all" has every row."""
    told: dict[str, Any] = {}
    for group in (*dict.fromkeys(TONE_GROUPS.values()), UNKNOWN):
        part = [row for row in rows if row["tone"] == group]
        count = len({row["photo"] for row in part})
        told[group] = {"photos": count} | (figures(part) if count >= FEWEST else {})
    return told | {"all": {"photos": len({row["photo"] for row in rows})} | figures(rows)}


def _change_rows(folder: Path, release: Release, split: str) -> list[Row]:
    path = folder / JUDGED
    if not path.is_file():
        raise SourceNotFoundError(f"--change must name the folder of a run of bench change: no {JUDGED} there")
    described, *rows = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    if described["split"] != split:
        raise UsageError(f"--change is of split {described['split']!r}, not {split!r}; give its --split")
    if described["release"] != release.name:
        raise UsageError(f"--change was judged by {described['release']}; run it with --resume 1 by {release.name}")
    return rows


def simulated_specs(lesions: int, seed: int) -> list[SeriesSpec]:
    """Each lesion on every skin in turn; lesions at rest and changing ones in turn, so that a beginning is balanced."""
    specs = []
    for number in range(lesions):
        rest = number % 2 == 0
        kind = BENIGN if rest else _CHANGING_KINDS[number // 2 % len(_CHANGING_KINDS)]
        stratum = RESTING if rest else CHANGING
        specs += [SeriesSpec(stratum, seed, number, kind, 2, at_rest=rest, skin=skin) for skin in SKIN_TYPES]
    return specs


def simulated_figures(rows: Sequence[Row], release: Release) -> dict[str, Any]:
    """By Fitzpatrick's type: AUROC of changing against resting lesions, sensitivity and false alarms at the p-value's
    alpha, pairs that a rule withheld, and the median error of the area where a scale is stated."""
    alpha = float(release.config["alpha"])

    def figures(part: Sequence[Row]) -> dict[str, Any]:
        issued = [row for row in part if row["pairs"][0]["withheld"] is None]
        values = np.array([row["pairs"][0]["score"] for row in issued])
        p_values = [row["pairs"][0]["p_value"] for row in issued]
        # A release with too small a calibration gives no p-value, and flags nothing.
        flagged = np.array([value is not None and value <= alpha for value in p_values], float)
        changing = np.array([row["stratum"] == CHANGING for row in issued], bool)
        areas = [
            abs(visit["area_mm2"] / visit["true_area_mm2"] - 1)
            for row in part
            for visit in row["visits_measured"]
            if visit["area_mm2"] is not None
        ]
        return {
            "lesions": len(part),
            "withheld": len(part) - len(issued),
            "auroc": _over_lesions(issued, lambda index: auroc(values[index], changing[index])),
            "sensitivity": _over_lesions(issued, lambda index: mean_of(flagged[index][changing[index]])),
            "false_alarms": _over_lesions(issued, lambda index: mean_of(flagged[index][~changing[index]])),
            "area_error_median": round(float(np.median(areas)), 4) if areas else None,
        }

    by_type = {name: figures([row for row in rows if row["skin"] == skin]) for skin, name in SKIN_TYPES.items()}
    return by_type | {"all": figures(rows)}


def _over_lesions(rows: Sequence[Row], statistic: Callable[[NDArray[np.intp]], float]) -> Figure | None:
    """As `over_photos`; a lesion is redrawn with all its skins."""
    return over_photos([{"photo": str(row["index"])} for row in rows], statistic)


def _print(by_release: dict[str, dict[str, Any]]) -> None:
    for release, parts in by_release.items():
        for part, groups in parts.items():
            print(f"{release}, {'simulated lesions by Fitzpatrick type' if part == 'simulated' else 'photos by tone'}")
            for group, told in groups.items():
                print(
                    f"  {group:<15}"
                    + "; ".join(f"{key.replace('_', ' ')} {plain_figure(v)}" for key, v in told.items())
                )
