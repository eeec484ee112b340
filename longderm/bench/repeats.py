"""Alignment on real repeats of one lesion, where nobody knows the true transform.

Told by how well an expert's masks of both photos meet after alignment. Masks differ in size with zoom and with whoever
drew them, so both are first made equal in area: what is left is place, turn and shape. Takes a folder with images/,
masks/ and pairs.csv (image_a, image_b) as HAM10000's repeats can be laid out; photos serve for measuring
only and are kept nowhere.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.processes import one_thread_processes
from longderm.bench.registration_pairs import TruePair
from longderm.bench.registration_peers import METHODS
from longderm.bench.statistics import BOOTSTRAP_SAMPLES, BOOTSTRAP_SEED
from longderm.errors import SourceNotFoundError, UsageError
from longderm.registration.similarity import Matrix, from_complex, scale_of
from longderm.threads import one_thread

IDENTITY = "identity"

Row = dict[str, Any]


def run(out: Path, repeats: str, pairs: int = 0, workers: int = 0) -> dict[str, Any]:
    """Align the pairs of the folder `repeats` (the first `pairs`, 0 for all) with longderm, the peers and not at all.

    Prints the share that each accepts, and the Dice of the masks over those that it accepts, beside that of the
    identity on the same pairs. Raises SourceNotFoundError without the folder's files, UsageError
    without those columns.
    """
    folder = Path(repeats)
    table = folder / "pairs.csv"
    if not table.is_file():
        raise SourceNotFoundError(f"{table} is missing: --repeats must name a folder with images/, masks/, pairs.csv")
    with table.open(newline="") as lines:
        named = list(csv.DictReader(lines))
    if named and not {"image_a", "image_b"} <= set(named[0]):
        raise UsageError(f"{table} needs columns image_a and image_b; it has {', '.join(named[0])}")
    chosen = [(row["image_a"], row["image_b"]) for row in named][: pairs or None]
    with one_thread_processes(workers) as pool:
        rows = list(pool.map(partial(_measure, folder), chosen, chunksize=8))
    figures: dict[str, Any] = {"pairs": len(rows)}
    for method in METHODS:
        taken = [row for row in rows if row[method] is not None]
        figures[method] = {
            "accepted": round(len(taken) / max(1, len(rows)), 4),
            "dice": _mean([row[method] for row in taken]),
            "dice_of_identity_on_these": _mean([row[IDENTITY] for row in taken]),
        }
        print(f"{method:<12} {figures[method]}")
    both = [row for row in rows if row["longderm"] is not None and row["orb+mask"] is not None]
    figures["accepted by longderm and orb+mask"] = {
        name: _mean([row[name] for row in both]) for name in (IDENTITY, "longderm", "orb+mask")
    }
    print(figures["accepted by longderm and orb+mask"])
    return figures


def _mean(values: Sequence[float]) -> list[float] | None:
    """[mean, low, high] with a percentile bootstrap over pairs."""
    if not values:
        return None
    drawn = np.random.default_rng(BOOTSTRAP_SEED).choice(values, (BOOTSTRAP_SAMPLES, len(values))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return [round(float(np.mean(values)), 4), round(float(low), 4), round(float(high), 4)]


def _measure(folder: Path, names: tuple[str, str]) -> Row:
    photos, masks = zip(*(_load(folder, name) for name in names), strict=True)
    pair = TruePair(photos[0], photos[1], masks[0], masks[1], None)
    fit = max(photos[1].shape) / max(photos[0].shape)
    row: Row = {IDENTITY: dice_of_equal_areas(masks[0], masks[1], np.diag([fit, fit, 1.0]))}
    for name, method in METHODS.items():
        with one_thread():
            answer = method(pair)
        accepted = answer.accepted and answer.matrix is not None
        row[name] = dice_of_equal_areas(masks[0], masks[1], answer.matrix) if accepted else None
    return row


def dice_of_equal_areas(baseline: NDArray[np.bool_], followup: NDArray[np.bool_], matrix: Matrix | None) -> float:
    """Dice of two masks on the baseline's grid, the follow-up's scaled about its centre to the baseline's area."""
    import cv2

    if matrix is None or not baseline.any() or not followup.any():
        return 0.0
    y, x = np.nonzero(followup)
    centre = complex(x.mean(), y.mean())
    grow = float(np.sqrt(len(x) / scale_of(matrix) ** 2 / baseline.sum()))
    # z in the baseline lies where matrix says, pulled away from the follow-up's centre by what it is too large.
    about = from_complex(complex(grow), centre - grow * centre)
    step = (about @ matrix)[:2]
    size = (baseline.shape[1], baseline.shape[0])
    brought = cv2.warpAffine(followup.astype(np.uint8) * 255, step, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    other = brought > 127
    return round(2.0 * float((baseline & other).sum()) / max(1.0, float(baseline.sum() + other.sum())), 4)


def _load(folder: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    import cv2

    stem = Path(name).stem
    found = [sorted((folder / part).glob(f"{stem}*")) for part in ("images", "masks")]
    if not all(found):
        raise SourceNotFoundError(f"{stem} is in pairs.csv and has no file in images/ or no mask in masks/")
    image = cv2.imread(str(found[0][0]), cv2.IMREAD_COLOR)
    mask = cv2.imread(str(found[1][0]), cv2.IMREAD_GRAYSCALE)
    if image is None or mask is None:
        raise SourceNotFoundError(f"{stem} cannot be read as an image")
    small = cv2.resize(mask, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(np.asarray(image, np.uint8)[..., ::-1]), np.asarray(small > 127)
