"""Quality against what it stands for: how far distortions move our own outline and measures, on photos held out.

Each photo is distorted in nine ways at five levels (`longderm.simulate.distortions`); the realised error is that of
`longderm.bench.realised_error`. Photos whose lesion is not found, or cut by the edge as it is, are left out: what the
error of their copies is cannot be known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.photos import load_example, names_of, pick, read_release
from longderm.bench.realised_error import Measured, examine, realised_error
from longderm.errors import UsageError
from longderm.imaging.quality import DEFAULT_VERSION, SCORE_DECIMALS, all_signs
from longderm.imaging.quality_model import LESION_RAMPS, PHOTO_RAMPS, ErrorModel, badness
from longderm.imaging.quality_signs import lesion_signs, photo_signs
from longderm.models import Release, load_release
from longderm.simulate.distortions import DISTORTIONS, LEVELS, distort
from longderm.threads import one_thread

_RESAMPLES = 500
#: What the model with a lesion reads, in its order.
_RAMPS = PHOTO_RAMPS + LESION_RAMPS
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Copies:
    """Distorted copies of some photos, a row each, in the order photo, distortion, level (0 is the photo as it is).

    photo, kind, level: int64 (N,), the first two as numbers; badness: (N, n), of the photo's and then of the lesion's
    signs; found: whether an outline was; error: realised, in [0, 1).
    """

    photo: NDArray[np.int64]
    kind: NDArray[np.int64]
    level: NDArray[np.int64]
    badness: Floats
    found: NDArray[np.bool_]
    error: Floats

    def where(self, rows: NDArray[np.bool_]) -> Copies:
        """The rows that are marked."""
        return Copies(**{name: values[rows] for name, values in vars(self).items()})

    def series(self) -> NDArray[np.int64]:
        """Numbers of rows that get worse step by step, (S, LEVELS + 1)."""
        return np.arange(len(self.error)).reshape(-1, LEVELS + 1)


def run(
    out: Path, photos: str = "", count: int = 100, fit: int = 0, seed: int = 1, segmentation: str = "", resume: int = 0
) -> dict[str, Any]:
    """Distort `count` photos of the "val" split of an ISIC-layout folder and compare expected with realised errors.

    fit: fits a release to so many photos of split "train" first, writes it to `out`/quality, and fits it once more with
    each distortion left out; segmentation: release that draws outlines; resume: 1 takes what an earlier run has
    measured from `out`.
    """
    if not photos:
        raise UsageError("bench quality needs --photos, a folder with images/, masks/ and index.csv")
    with one_thread():
        drawn_by = read_release(segmentation)
        folder = Path(photos)
        tried = _gather(out / "tried.npz", folder, pick(names_of(folder, "val"), count), drawn_by, seed, resume)
        result: dict[str, Any] = {"photos_tried": count, "fit_tried": fit, "segmentation": drawn_by.name}
        if fit:
            names = pick(names_of(folder, "train"), fit)
            known = _gather(out / "fitted.npz", folder, names, drawn_by, seed + 1, resume)
            config = fit_release(known)
            write_config(out / "quality", config | {"photos": len(np.unique(known.photo))})
            result["left_out"] = _leave_out(known, tried)
        else:
            config = load_release("quality", DEFAULT_VERSION).config
    result |= summarise(tried, expect(tried, config), seed)
    _print(result)
    return result


def fit_release(copies: Copies) -> dict[str, Any]:
    """Config of a quality release: one model with, one without what an outline tells."""
    from longderm.training.quality import fit_error_model

    alone = copies.badness[:, : len(PHOTO_RAMPS)]
    return {
        "with_lesion": fit_error_model(copies.badness, copies.error, copies.series(), _RAMPS),
        "photo_alone": fit_error_model(alone, copies.error, copies.series(), PHOTO_RAMPS),
        "signs": [ramp.sign for ramp in _RAMPS],
    }


def expect(copies: Copies, config: dict[str, Any]) -> Floats:
    """Errors that a release expects of copies (N,), four decimals."""
    return np.asarray(np.round(ErrorModel.from_config(config["with_lesion"])(copies.badness), 4), np.float64)


def summarise(copies: Copies, expected: Floats, seed: int) -> dict[str, Any]:
    """Rank correlation with the realised error, and how often the score never rises with the level, with 95% intervals
    from resampling photos; and per distortion, with the median realised error at each level."""
    ladder = np.round((1 - expected) ** 2, SCORE_DECIMALS)[copies.series()]
    falls = np.asarray((np.diff(ladder[:, 1:], axis=1) <= 0).all(axis=1))
    kinds = copies.kind[copies.series()[:, 0]]
    worse = copies.level > 0
    every = np.unique(copies.photo)
    rows_of = {photo: np.flatnonzero((copies.photo == photo) & worse) for photo in every}
    rng = np.random.default_rng(seed)
    resampled = []
    for _ in range(_RESAMPLES):
        rows = np.concatenate([rows_of[photo] for photo in rng.choice(every, len(every))])
        resampled.append(_spearman(expected[rows], copies.error[rows]))
    by_photo = falls.reshape(len(every), -1).mean(axis=1)
    shares = by_photo[rng.integers(0, len(every), (_RESAMPLES, len(every)))].mean(axis=1)
    return {
        "photos": len(every),
        "spearman": _spearman(expected[worse], copies.error[worse]),
        "spearman_interval": _interval(np.array(resampled)),
        "falls_with_level": round(float(falls.mean()), 4),
        "falls_with_level_interval": _interval(shares),
        "distortions": {
            name: {
                "spearman": _spearman(*(part[(copies.kind == i) & worse] for part in (expected, copies.error))),
                "falls": round(float(falls[kinds == i].mean()), 4),
                "median_error": [
                    round(float(np.median(copies.error[(copies.kind == i) & (copies.level == level)])), 3)
                    for level in range(1, LEVELS + 1)
                ],
            }
            for i, name in enumerate(DISTORTIONS)
        },
    }


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write a release's config; a card, figures and hashes make it complete."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


def _leave_out(known: Copies, tried: Copies) -> dict[str, float]:
    """Rank correlation on each distortion (and the photos as they are) by a release that never met it."""
    from longderm.training.quality import fit_error_model

    result = {}
    for i, name in enumerate(DISTORTIONS):
        others, met = known.where(known.kind != i), tried.where(tried.kind == i)
        config = {"with_lesion": fit_error_model(others.badness, others.error, others.series(), _RAMPS)}
        result[name] = _spearman(expect(met, config), met.error)
    return result


def _gather(path: Path, folder: Path, names: list[str], drawn_by: Release, seed: int, resume: int) -> Copies:
    if resume and path.is_file():
        with np.load(path) as held:
            return Copies(**dict(held))
    rows = [row for index, name in enumerate(names) for row in _copies_of(folder, name, index, drawn_by, seed)]
    if not rows:
        raise UsageError("no photo shows a whole lesion")
    columns = list(zip(*rows, strict=True))
    photo, kind, level = np.array(columns[:3], dtype=np.int64)
    copies = Copies(photo, kind, level, np.stack(columns[3]), np.array(columns[4], np.bool_), np.array(columns[5]))
    np.savez(path, **vars(copies))
    return copies


def _copies_of(folder: Path, name: str, index: int, drawn_by: Release, seed: int) -> Iterator[tuple[Any, ...]]:
    pixels = load_example(folder, name).photo.pixels
    first = examine(pixels, drawn_by)
    if not first.outline.found or first.outline.touches_border:
        return

    def signs(of: Measured) -> Floats:
        seen = photo_signs(of.photo, of.artefacts) | lesion_signs(of.photo, of.outline, of.artefacts)
        return badness(all_signs(seen, of.photo, of.outline), _RAMPS)

    as_it_is = signs(first)
    for kind, distortion in enumerate(DISTORTIONS):
        yield index, kind, 0, as_it_is, True, 0.0
        for level in range(1, LEVELS + 1):
            # The same draw at every level, so that a level only adds to the one before.
            rng = np.random.default_rng([seed, index, kind])
            copy = distort(distortion, level, pixels, first.outline.mask, rng)
            after = examine(copy.pixels, drawn_by)
            yield index, kind, level, signs(after), after.outline.found, realised_error(first, after, copy)


def _spearman(first: Floats, second: Floats) -> float:
    from scipy.stats import spearmanr

    return round(float(spearmanr(first, second).statistic), 4)


def _interval(values: Floats) -> list[float]:
    return [round(float(end), 4) for end in np.percentile(values, [2.5, 97.5])]


def _print(result: dict[str, Any]) -> None:
    print(f"{result['photos']} photos with a whole lesion")
    print(f"Spearman {result['spearman']} {result['spearman_interval']}")
    print(f"score never rises with the level: {result['falls_with_level']} {result['falls_with_level_interval']}")
    print(f"{'':<16}{'Spearman':>10}{'left out':>10}{'falls':>8}  median error at level 1 to 5")
    for name, row in result["distortions"].items():
        left = result.get("left_out", {}).get(name, "")
        print(f"{name:<16}{row['spearman']:>10}{left:>10}{row['falls']:>8}  {row['median_error']}")
