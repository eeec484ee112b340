"""Views: what a training photo could have looked like, with its mask and marks, drawn from a seeded generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.fit import lesion_free_tiles
from longderm.training.disturbances import disturb
from longderm.training.examples import COARSE_PX, STRUCTURES, Example

#: Marks are cut out on this fraction of the input grid; losses compare on half of that again.
MARKS_REDUCTION = 4
#: A structure is in a view if it covers at least this many pixels of the marks' grid.
_MIN_MARKED_PX = 4
#: Shares of the view that a visible lesion covers: at least so much counts as a lesion, below the other as none; views
#: between say nothing about presence.
_PRESENT_SHARE, _ABSENT_SHARE = 0.004, 0.0002


@dataclass(frozen=True, eq=False)
class View:
    """One training input with what is true of it.

    pixels: uint8 (S, S, 3); mask: uint8 (S, S), 0 to 255; marks: uint8 (S / 4, S / 4), bits; shown: which structures
    are in the view, float32 (K,), NaN where not known; marked: whether the marks say anything; presence: 1 lesion, 0
    none, NaN not known.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    marks: NDArray[np.uint8]
    shown: NDArray[np.float32]
    marked: bool
    presence: float


def draw_view(example: Example, side_px: int, rng: np.random.Generator) -> View:
    """Turn, zoom, stretch, mirror and shift a photo, then disturb its colours and cover parts of it."""
    import cv2

    matrix = _draw_frame(example.aspect, rng)
    pixels = look_at(example, matrix, side_px)
    mask = _sample(example.mask, matrix, side_px, cv2.INTER_LINEAR)
    small = side_px // MARKS_REDUCTION
    if example.marks is not None:
        marks = _sample(example.marks, matrix, small, cv2.INTER_NEAREST)
        bits = (marks[..., None] >> np.arange(len(STRUCTURES))) & 1
        shown = (bits.sum(axis=(0, 1)) >= _MIN_MARKED_PX).astype(np.float32)
    else:
        marks = np.zeros((small, small), dtype=np.uint8)
        shown = np.full(len(STRUCTURES), np.nan, dtype=np.float32)
    share = float(mask.mean()) / 255
    presence = 1.0 if share >= _PRESENT_SHARE else 0.0 if share <= _ABSENT_SHARE else float("nan")
    return View(disturb(pixels, rng), mask, marks, shown, example.marks is not None, presence)


def draw_bare_view(example: Example, side_px: int, rng: np.random.Generator) -> View | None:
    """A tile of the photo's skin without lesion, or None where the lesion leaves no room."""
    import cv2

    tiles = lesion_free_tiles(example.fine, example.mask > 127, rng, tiles=1)
    if not tiles:
        return None
    turned = np.rot90(tiles[0], int(rng.integers(4)))
    if rng.random() < 0.5:
        turned = turned[:, ::-1]
    tile = cv2.resize(np.ascontiguousarray(turned), (side_px, side_px), interpolation=cv2.INTER_LINEAR)
    return _bare(disturb(np.asarray(tile, dtype=np.uint8), rng), example.marks is not None)


def draw_plain_view(side_px: int, rng: np.random.Generator) -> View:
    """Even skin of some tone with a gradient of light and grain, or a frame without anything: no lesion."""
    tone = np.array([235.0, 195.0, 175.0]) * rng.uniform(0.25, 1.08) * rng.uniform(0.88, 1.12, size=3)
    rows, columns = np.mgrid[:side_px, :side_px] / side_px - 0.5
    slope = rng.normal(0, 8, size=2)
    light = slope[0] * rows + slope[1] * columns
    grain = rng.normal(0, rng.uniform(0.3, 9), size=(side_px, side_px, 1))
    frame = np.clip(tone + light[..., None] + grain, 0, 255).astype(np.uint8)
    return _bare(disturb(frame, rng), True)


def view_as_is(example: Example, side_px: int) -> NDArray[np.uint8]:
    """The undisturbed photo as the network sees it in use, uint8 (S, S, 3)."""
    import cv2

    small = cv2.resize(example.fine, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def look_at(example: Example, matrix: NDArray[np.float64], side_px: int) -> NDArray[np.uint8]:
    """What a photo shows in a view, uint8 (S, S, 3); beyond its edge, the photo is mirrored.

    matrix: (2, 3), from view to photo, both with sides from 0 to 1.
    """
    import cv2

    # Photo pixels per view pixel decide which copy is sampled: without this, fine texture would alias.
    shrink = float(np.sqrt(abs(np.linalg.det(matrix[:, :2])))) * COARSE_PX / side_px
    source = example.coarse if shrink > 0.75 else example.fine
    return _sample(source, matrix, side_px, cv2.INTER_LINEAR)


def _bare(pixels: NDArray[np.uint8], marked: bool) -> View:
    side = pixels.shape[0]
    small = np.zeros((side // MARKS_REDUCTION, side // MARKS_REDUCTION), dtype=np.uint8)
    unknown = np.full(len(STRUCTURES), np.nan, dtype=np.float32)
    return View(pixels, np.zeros((side, side), dtype=np.uint8), small, unknown, marked, 0.0)


def _draw_frame(aspect: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Where a view lies in its photo: (2, 3), from view to photo, both with sides from 0 to 1.

    The view is a rectangle on the photo's true geometry; in use it will be squashed like any photo.
    """
    ratio = aspect if rng.random() < 0.5 else float(np.exp(rng.uniform(np.log(0.7), np.log(1.6))))
    if rng.random() < 0.55:
        turn = float(rng.integers(4)) * np.pi / 2 + rng.normal(0, 0.12)
    else:
        turn = rng.uniform(0, 2 * np.pi)
    zoom = float(np.exp(rng.uniform(*np.log((0.78, 1.12) if rng.random() < 0.7 else (0.4, 0.85)))))
    height = zoom * np.sqrt(aspect / ratio)
    width = height * ratio
    cosine, sine = np.cos(turn), np.sin(turn)
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    linear = np.array([[cosine * width * mirror, -sine * height], [sine * width * mirror, cosine * height]])
    squash = np.array([1 / aspect, 1.0])
    linear *= squash[:, None]
    room = max(0.0, 1 - zoom) / 2 + 0.06
    centre = 0.5 + rng.uniform(-room, room, size=2)
    return np.column_stack([linear, centre - linear @ np.array([0.5, 0.5])])


def _sample(
    source: NDArray[np.uint8], matrix: NDArray[np.float64], side_px: int, interpolation: int
) -> NDArray[np.uint8]:
    """Read the view from a copy of the photo; beyond its edge, the photo is mirrored."""
    import cv2

    length = source.shape[0]
    # Pixel centres lie at half steps on both grids.
    linear = matrix[:, :2] * length / side_px
    offset = matrix[:, 2] * length + linear @ np.array([0.5, 0.5]) - 0.5
    view = cv2.warpAffine(
        source,
        np.column_stack([linear, offset]),
        (side_px, side_px),
        flags=interpolation | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(view, dtype=np.uint8)
