"""Masks against experts' masks, side by side with peers: overlap, lesions missed, lesions seen on bare skin, time.

Photos: an ISIC-layout folder (images/, masks/, and index.csv where it has splits; structures/ where experts marked
them), or simulated visits with their true masks. Dice counts 0 where a method finds nothing. Intervals are 95%, from
resampling photos. Time is CPU time on one thread.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.outline_peers import Answer, grabcut, otsu
from longderm.bench.photos import Example, load_example, names_of, pick, read_release, simulated
from longderm.bench.skin_tiles import SkinTile, skin_tiles, summarise_tiles
from longderm.bench.stated_errors import THIRDS, StatedErrors
from longderm.bench.statistics import wilson
from longderm.bench.structures import Tally
from longderm.errors import SourceNotFoundError, UsageError
from longderm.imaging import (
    Segmentation,
    assess_coverage,
    assess_quality,
    find_scale,
    find_structures,
    measure,
    read_ruler,
    segment,
    with_scale,
)
from longderm.imaging.artefacts import find_artefacts
from longderm.imaging.fit import SIDE_PX, dice, fit_segmenter
from longderm.imaging.sight import uses_network
from longderm.models import Release, load_release
from longderm.photo import Photo
from longderm.threads import one_thread

Method = Callable[[Photo], Answer]

#: ISIC 2018's score counts an overlap (Jaccard) below this as 0 (Codella et al. 2019, arXiv 1902.03368).
JACCARD_THRESHOLD = 0.65
#: Resamples behind an interval.
_RESAMPLES = 2000
#: Peers and the first release, which others are held against.
_PEERS: dict[str, Method] = {"otsu": otsu, "grabcut": grabcut}
_FIRST_RELEASE = "0.1.0"
#: Failures drawn on the contact sheet, and the size of one picture.
_SHEET_PHOTOS, _SHEET_COLUMNS, _SHEET_SIDE_PX = 48, 8, 200
#: Settings of a fitted release that are chosen, not fitted: see the card.
_CHOSEN = {
    "min_presence": 0.45,
    "min_overlap": 0.25,
    "min_contrast": 2.0,
    "min_contrast_to_noise": 0.5,
    "doubtful_overlap": 0.6,
    "clinical_max_cut_share": 0.1,
}


@dataclass(frozen=True)
class Row:
    """How one method did on one photo: overlap, relative error of the area, CPU seconds, its confidence, and the error
    of the area that it states."""

    dice: float
    found: bool
    area_error: float
    seconds: float
    confidence: float
    stated_error: float | None = None


def run(
    out: Path,
    photos: str = "",
    split: str = "val",
    limit: int = 0,
    patients: int = 8,
    seed: int = 1,
    release: str = "",
    fit: int = 0,
    side: int = SIDE_PX,
    everything: int = 0,
    repeats: str = "",
    artefacts: str = "",
) -> dict[str, Any]:
    """Compare masks with the true ones over a folder's `split`, or over `patients` simulated patients; prints a table.

    limit: at most so many photos, evenly picked; release: version of a release, or folder of one that is not in the
    registry; fit: 1 fits a release of colour scores to the folder's "train" split and to as many other simulated
    patients first, looked at on copies of `side` pixels, and writes it to `out`/segmentation. The worst photos are
    drawn on `out`/worst.png (green: true, red: drawn). everything: 1 measures all else that is read from one photo,
    too: masks of `repeats` (a folder without splits), quality, rulers (with real ones in `artefacts`), looks.
    """
    with one_thread():
        if fit:
            if not photos:
                raise UsageError("--fit needs --photos, a folder with images/, masks/ and index.csv")
            write_release(out, Path(photos), seed, limit, patients, side)
        result = _run(out, photos, split, limit, patients, seed, str(out / "segmentation") if fit else release)
    return result | (_everything_else(out, photos, repeats, artefacts, limit, seed, release) if everything else {})


def _everything_else(
    out: Path, photos: str, repeats: str, artefacts: str, limit: int, seed: int, release: str
) -> dict[str, Any]:
    from longderm.bench import looks, quality, rulers

    def titled(name: str, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        print(f"\n{name}")
        return run()

    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "rulers": lambda: rulers.run(out, artefacts=artefacts, photos=photos),
        "looks": lambda: looks.run(out, release=release),
    }
    if photos:
        parts["quality"] = lambda: quality.run(out, photos, segmentation=release)
    if repeats:
        parts["repeats"] = lambda: run(out / "repeats", repeats, "", limit, seed=seed, release=release)
    return {name: titled(name, parts[name]) for name in sorted(parts)}


def _run(out: Path, photos: str, split: str, limit: int, patients: int, seed: int, release: str) -> dict[str, Any]:
    used = read_release(release)
    examples = list(pick(names_of(Path(photos), split), limit)) if photos else []
    source: Iterator[Example] = (
        (load_example(Path(photos), name) for name in examples)
        if photos
        else simulated(out / "archive", patients, seed)
    )
    first = load_release("segmentation", _FIRST_RELEASE)
    ours = {held.name: held for held in (used, first)}
    methods: dict[str, Method] = {name: partial(_ours, release=held) for name, held in ours.items()} | _PEERS
    structures = Tally()
    rows: dict[str, list[Row]] = {name: [] for name in methods}
    tiles: list[SkinTile] = []
    on_tiles: dict[str, list[bool]] = {name: [] for name in methods}
    pictures: list[tuple[float, str, Example, NDArray[np.bool_]]] = []
    stages: list[float] = []
    for index, example in enumerate(source):
        for name, method in methods.items():
            started = time.process_time()
            mask, found, confidence, stated = method(example.photo)
            seconds = time.process_time() - started
            error = float(mask.sum()) / max(1, int(example.mask.sum())) - 1
            overlap = dice(mask, example.mask) if found else 0.0
            rows[name].append(Row(overlap, found, error, seconds, confidence, stated))
            if name == used.name:
                pictures.append((overlap, example.name, example, mask))
        pictures = sorted(pictures, key=lambda picture: picture[:2])[:_SHEET_PHOTOS]
        stages.append(_time_stages(example.photo, used))
        if uses_network(used) and example.marks is not None:
            seen = find_structures(example.photo, used)
            assert seen is not None  # the bench's photos are dermoscopic
            structures.add(seen, example.marks)
        for tile in skin_tiles(example, np.random.default_rng([seed, index])):
            tiles.append(tile)
            for name, method in methods.items():
                on_tiles[name].append(method(Photo.from_array(tile.pixels)).found)
    if not stages:
        raise SourceNotFoundError(f"no photos of split {split!r} with a mask; is index.csv there?")
    out.mkdir(parents=True, exist_ok=True)
    _draw_worst(out / "worst.png", pictures)
    figures = {name: summarise(rows[name], seed) | summarise_tiles(tiles, on_tiles[name]) for name in methods}
    marked = structures.summarise(seed)
    _print(figures)
    _print_structures(marked)
    return {
        "photos": len(stages),
        "source": f"{Path(photos).name}, {split}" if photos else f"simulated, {patients} patients, seed {seed}",
        "cpu_seconds_quality_segment_measure": round(float(np.median(stages)), 4),
        "methods": figures,
        "structures": marked,
    }


def summarise(rows: list[Row], seed: int = 1) -> dict[str, Any]:
    """Figures of one method over all photos, with 95% intervals of the means."""
    overlap = np.array([row.dice for row in rows])
    jaccard = overlap / (2 - overlap)
    scored = np.where(jaccard >= JACCARD_THRESHOLD, jaccard, 0.0)
    errors = np.abs([row.area_error for row in rows if row.found])
    confidence = np.array([row.confidence for row in rows])
    found = [row.found for row in rows]
    picks = np.random.default_rng(seed).integers(0, len(rows), (_RESAMPLES, len(rows)))

    def interval(values: NDArray[np.float64], of: Callable[..., Any] = np.mean) -> list[float]:
        return [round(float(end), 4) for end in np.percentile(of(values[picks], axis=1), [2.5, 97.5])]

    return {
        "dice_mean": round(float(overlap.mean()), 4),
        "dice_mean_interval": interval(overlap),
        "dice_median": round(float(np.median(overlap)), 4),
        "dice_median_interval": interval(overlap, np.median),
        "dice_below_half": round(float((overlap < 0.5).mean()), 4),
        "dice_below_half_interval": wilson(int((overlap < 0.5).sum()), len(rows)),
        "jaccard_mean": round(float(jaccard.mean()), 4),
        "jaccard_thresholded": round(float(scored.mean()), 4),
        "jaccard_thresholded_interval": interval(scored),
        "found": round(float(np.mean(found)), 4),
        "found_interval": wilson(sum(found), len(rows)),
        "area_error_median": round(float(np.median(errors)), 4) if errors.size else None,
        "area_error_p95": round(float(np.percentile(errors, 95)), 4) if errors.size else None,
        **_stated_errors(rows),
        "confidence_to_dice_spearman": _rank_correlation(confidence, overlap),
        "cpu_seconds_median": round(float(np.median([row.seconds for row in rows])), 4),
    }


def _stated_errors(rows: list[Row]) -> dict[str, Any]:
    """How large the errors are that are stated of areas, and how many areas lie within them (nine of ten are meant): of
    all, and of thirds of the photos, the surest first."""
    errors = StatedErrors.of((row.stated_error, row.area_error) for row in rows)
    if errors.stated.size < len(THIRDS):
        return {}
    covered, interval = errors.coverage()
    return {
        "area_error_stated_median": round(float(np.median(errors.stated)), 4),
        "area_error_covered": covered,
        "area_error_covered_interval": interval,
        "area_error_covered_by_thirds": [part.coverage()[0] for part in errors.thirds().values()],
        "area_error_stated_to_realised_spearman": _rank_correlation(errors.stated, np.abs(np.log1p(errors.off))),
    }


def write_release(out: Path, photos: Path, seed: int, limit: int, patients: int, side_px: int = SIDE_PX) -> None:
    """Fit a segmenter to the "train" split of an ISIC-layout folder and to simulated patients; see `run`."""
    readers: list[Callable[[], tuple[NDArray[np.uint8], NDArray[np.bool_]]]] = []
    for name in pick(names_of(photos, "train"), limit):
        readers.append(partial(_read_pair, photos, name))
    # Another seed than that of the report: no patient is in both.
    for example in simulated(out / "fitted_on", patients, seed + 1) if patients else ():
        readers.append(partial(_pair_of, example))
    progress = partial(print, "fitted:", flush=True)
    config = fit_segmenter(readers, seed, progress=progress, side_px=side_px) | _CHOSEN
    folder = out / "segmentation"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


def _read_pair(folder: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    return _pair_of(load_example(folder, name))


def _pair_of(example: Example) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    return example.photo.pixels, example.mask


def _ours(photo: Photo, release: Release) -> Answer:
    result: Segmentation = segment(photo, release)
    return Answer(result.mask, result.found, result.confidence, result.area_error)


def _rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Spearman's; None where one of them is constant."""
    from scipy.stats import spearmanr

    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return round(float(spearmanr(first, second).statistic), 4)


def _time_stages(photo: Photo, release: Release) -> float:
    """CPU seconds of all that is found in one photo, each part once, as the stages do it."""
    started = time.process_time()
    artefacts, ruler = find_artefacts(photo.pixels), read_ruler(photo)
    outline = segment(photo, release, artefacts=artefacts)
    assess_quality(photo, artefacts, outline)
    assess_coverage(photo, ruler, artefacts)
    measure(with_scale(photo, find_scale(photo, ruler)), outline, artefacts)
    return time.process_time() - started


def _draw_worst(path: Path, pictures: list[tuple[float, str, Example, NDArray[np.bool_]]]) -> None:
    import cv2

    side, label = _SHEET_SIDE_PX, 16
    rows = -(-len(pictures) // _SHEET_COLUMNS)
    sheet = np.zeros((rows * (side + label), _SHEET_COLUMNS * side, 3), dtype=np.uint8)
    for index, (overlap, name, example, mask) in enumerate(pictures):
        scale = side / max(example.photo.shape)
        size = tuple(max(1, round(length * scale)) for length in reversed(example.photo.shape))
        tile = np.ascontiguousarray(cv2.resize(example.photo.pixels, size, interpolation=cv2.INTER_AREA))
        for part, colour in ((example.mask, (0, 255, 0)), (mask, (255, 0, 0))):
            small = cv2.resize(part.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
            contours, _ = cv2.findContours(small, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(tile, contours, -1, colour, 1)
        top, left = (index // _SHEET_COLUMNS) * (side + label), (index % _SHEET_COLUMNS) * side
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        text = f"{Path(name).stem[-14:]} {overlap:.2f}"
        cv2.putText(sheet, text, (left + 2, top + side + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (255, 255, 255), 1)
    cv2.imwrite(str(path), sheet[..., ::-1])


def _print(figures: dict[str, dict[str, Any]]) -> None:
    names = list(figures)
    print(f"{'':<30}" + "".join(f"{name:>22}" for name in names))
    for key in next(iter(figures.values())):
        cells = [figures[name].get(key) for name in names]
        print(f"{key:<30}" + "".join(f"{_text(cell):>22}" for cell in cells))


def _print_structures(marked: dict[str, Any] | None) -> None:
    if marked is None:
        return
    columns = list(next(iter(marked["structures"].values())))
    print(f"\n{'structures':<18}" + "".join(f"{name:>20}" for name in columns))
    for name, figures in marked["structures"].items():
        print(f"{name:<18}" + "".join(f"{_text(figures[column]):>20}" for column in columns))
    print(f"Jaccard over all {marked['jaccard_over_all']} ({_text(marked['jaccard_over_all_interval'])})")


def _text(cell: Any) -> str:
    return "-".join(f"{end:.3f}" for end in cell) if isinstance(cell, (list, tuple)) else str(cell)
