"""Texture of a lesion, cell by cell: colour, lines, blobs and patterns in each of its parts, as numbers.

Meshes of a pigment network and globules are finer than what the lesion network sees of a photo, and local: a few cells
may hold them. These numbers are read from a larger copy (`longderm.imaging.bands` says of what kind they are).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.bands import GRID, colour_bands, lightness_bands, neighbour_patterns, pool, reduced
from longderm.imaging.colour import srgb_to_lab

#: Side of the square copy: that of the photos which the weights are fitted to. A cell is 32 of its pixels wide, and
#: cells overlap by half.
TEXTURE_SIDE_PX = 512
CELLS = GRID - 1
#: Cells with this much of the lesion in them are read, but never fewer than `_LEAST_CELLS`: those with the most of it.
_LEAST_SHARE, _LEAST_CELLS = 0.25, 9
#: A cell counts by its share of the lesion, and at least so much.
_LEAST_WEIGHT = 0.05
#: Where the map of the outline is above `_LIKELY`, lesion; below `_UNLIKELY` and within half of this many cells of the
#: outline's map, the skin that it is compared with. Fewer cells of that map than `_LEAST` are no part to speak of.
_LIKELY, _UNLIKELY, _RING, _LEAST = 0.5, 0.3, 15, 30
#: Distance from the border, in radii of the lesion, is told up to this.
_FAR = 1.5

F32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Texture:
    """What a lesion's cells look like.

    signs: float32 (n, 127), a row per cell; weights: float32 (n,), the lesion's share of each cell; where: bool
    (31, 31), the cells that were read, row by row, on a grid over the whole photo.
    """

    signs: F32
    weights: F32
    where: NDArray[np.bool_]


def read_cells(square: NDArray[np.uint8], outline: F32) -> Texture:
    """The texture of a square photo uint8 (512, 512, 3) where `outline`, a map of probability (h, w), says is lesion.

    Where that is hardly anywhere, the likeliest cells are read. About 25 ms on one core.
    """
    import cv2

    lab = srgb_to_lab(square)
    lightness, *colours = (reduced(np.ascontiguousarray(lab[..., channel])) for channel in range(3))
    maps = _colour_maps(lab, outline) + _place_maps(outline) + lightness_bands(lightness)
    for colour in colours:
        maps += colour_bands(colour, lightness)
    maps += neighbour_patterns(lightness)
    share = overlapping(np.asarray(cv2.resize(outline, (GRID, GRID), interpolation=cv2.INTER_AREA), np.float32))
    where = share > _LEAST_SHARE
    if np.count_nonzero(where) < _LEAST_CELLS:
        where = np.zeros_like(where)
        where.ravel()[np.argsort(-share, axis=None, kind="stable")[:_LEAST_CELLS]] = True
    signs = overlapping(np.stack(maps, axis=-1))[where]
    return Texture(np.asarray(signs, np.float32), np.maximum(share[where], np.float32(_LEAST_WEIGHT)), where)


def _colour_maps(lab: F32, outline: F32) -> list[F32]:
    """Of L*, a* and b*: mean and spread in each cell, and the mean against that of the skin and of the lesion."""
    import cv2

    small = cv2.resize(lab, (outline.shape[1], outline.shape[0]), interpolation=cv2.INTER_AREA)
    lesion, ring = _parts(outline)
    of_lesion, of_skin = np.median(small[lesion], axis=0), np.median(small[ring], axis=0)
    mean = np.asarray(cv2.resize(lab, (GRID, GRID), interpolation=cv2.INTER_AREA), np.float32)
    square = np.asarray(cv2.resize(lab * lab, (GRID, GRID), interpolation=cv2.INTER_AREA), np.float32)
    spread = np.log(np.sqrt(np.maximum(square - mean * mean, 0)) + 0.2)
    parts = [(mean, spread, mean - of_skin, mean - of_lesion)]
    return [part[..., channel] for channel in range(3) for of_photo in parts for part in of_photo]


def _place_maps(outline: F32) -> list[F32]:
    """The probability of lesion, distance within (or, negative, from) its border, and its size."""
    import cv2

    lesion, _ = _parts(outline)
    within, beyond = (cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 3) for part in (lesion, ~lesion))
    radius = float(np.sqrt(np.count_nonzero(lesion) / np.pi))
    enlarged = cv2.resize(outline, (TEXTURE_SIDE_PX,) * 2, interpolation=cv2.INTER_LINEAR)
    depth = np.clip(pool(np.asarray((within - beyond) / radius, np.float32)), -_FAR, _FAR)
    size = np.full((GRID, GRID), np.log(radius / outline.shape[0]), np.float32)
    return [pool(np.asarray(enlarged, np.float32)), depth, size]


def _parts(outline: F32) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Lesion and the skin around it on the outline's own grid; everything where there is hardly any."""
    import cv2

    lesion = outline > _LIKELY
    if np.count_nonzero(lesion) < _LEAST:
        lesion = np.ones_like(lesion)
    near = cv2.dilate(lesion.astype(np.uint8), np.ones((_RING, _RING), np.uint8)) > 0
    ring = near & (outline < _UNLIKELY)
    return lesion, ring if np.count_nonzero(ring) >= _LEAST else np.ones_like(lesion)


def overlapping(grid: F32) -> F32:
    """Means over two by two cells at every place: (GRID - 1, GRID - 1, ...)."""
    return np.asarray((grid[:-1, :-1] + grid[1:, :-1] + grid[:-1, 1:] + grid[1:, 1:]) / 4, np.float32)
