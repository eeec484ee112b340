"""Random fields over the skin, in mm: noise of a given grain, networks of cells, and marks drawn into them.

A field is a lattice of nodes with bicubic interpolation between them: a function of position in mm that any photo can
evaluate on its own pixels through its pose.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

#: Sub-pixel bits of OpenCV's drawing functions: positions to a sixteenth of a pixel.
DRAW_SHIFT = 4


@dataclass(frozen=True)
class Lattice:
    """A square field: `values` (N, N) or (N, N, C) float32, nodes `1 / per_mm` apart, its centre at the origin."""

    values: F32
    per_mm: float

    def sample(self, photo_from_mm: NDArray[np.float64], size: tuple[int, int]) -> F32:
        """Evaluate on the pixels of a photo: `photo_from_mm` (3, 3), `size` (height, width); mirrored outside."""
        half = (self.values.shape[0] - 1) / 2
        lattice_from_mm = np.array([[self.per_mm, 0, half], [0, self.per_mm, half], [0, 0, 1.0]])
        lattice_from_photo = lattice_from_mm @ np.linalg.inv(photo_from_mm)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        mirrored = cv2.BORDER_REFLECT_101
        sampled = cv2.warpAffine(
            self.values, lattice_from_photo[:2], (size[1], size[0]), flags=flags, borderMode=mirrored
        )
        return np.asarray(sampled, np.float32)


def spread(plane: F32) -> F32:
    """A plane (H, W) repeated for three channels; multiplying that is several times faster than broadcasting."""
    return np.asarray(cv2.merge([plane, plane, plane]), np.float32)


def noise(rng: np.random.Generator, size: int, grain: float) -> F32:
    """Smooth noise (size, size), mean about 0, SD about 1, with blobs of `grain` nodes."""
    count = int(np.ceil(size / grain)) + 5
    coarse = rng.standard_normal((count, count), dtype=np.float32)
    if grain <= 1:
        return coarse[:size, :size]
    wide = int(np.ceil(count * grain))
    fine = cv2.resize(coarse, (wide, wide), interpolation=cv2.INTER_CUBIC)
    start = int(2 * grain)
    return np.ascontiguousarray(fine[start : start + size, start : start + size]) * np.float32(1.35)


def octaves(rng: np.random.Generator, size: int, per_mm: float, grains_mm: dict[float, float]) -> F32:
    """Sum of noises; `grains_mm` gives the weight of each grain (mm). Coarse grains are made on a coarser lattice."""
    total = np.zeros((size, size), np.float32)
    reduced = size // 4 + 1
    coarse = np.zeros((reduced, reduced), np.float32)
    for grain_mm, weight in sorted(grains_mm.items()):
        grain = grain_mm * per_mm
        if grain >= 12:
            coarse += np.float32(weight) * noise(rng, reduced, grain / 4)
        else:
            total += np.float32(weight) * noise(rng, size, grain)
    return total + cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def cell_edges(rng: np.random.Generator, size: int, cell: float, jitter: float = 0.5) -> F32:
    """Distance (nodes) to the borders of a mosaic of cells `cell` nodes wide; hexagonal, more random with `jitter`."""
    rows = np.arange(-1, int(size / (cell * 0.866)) + 2)
    columns = np.arange(-1, int(size / cell) + 2)
    x = (columns[None, :] + 0.5 * (rows[:, None] % 2)) * cell
    y = np.repeat(rows[:, None] * cell * 0.866, len(columns), axis=1)
    x = x + rng.normal(0, jitter * cell * 0.35, x.shape)
    y = y + rng.normal(0, jitter * cell * 0.35, y.shape)
    seeds = np.full((size, size), 255, np.uint8)
    inside = (x >= 0) & (x < size - 1) & (y >= 0) & (y < size - 1)
    seeds[np.rint(y[inside]).astype(int), np.rint(x[inside]).astype(int)] = 0
    _, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    border = np.full((size, size), 255, np.uint8)
    border[:, 1:][labels[:, 1:] != labels[:, :-1]] = 0
    border[1:, :][labels[1:, :] != labels[:-1, :]] = 0
    return cv2.distanceTransform(border, cv2.DIST_L2, 5).astype(np.float32)


def draw_discs(size: tuple[int, int], centres: NDArray[np.float64], radii: NDArray[np.float64]) -> F32:
    """Antialiased discs, 1 inside and 0 outside, (H, W); centres (N, 2) x, y and radii in pixels."""
    plane = np.zeros(size, np.uint8)
    scale = 1 << DRAW_SHIFT
    for (x, y), radius in zip(np.rint(centres * scale).astype(int), np.rint(radii * scale).astype(int), strict=True):
        cv2.circle(plane, (int(x), int(y)), int(radius), 255, -1, cv2.LINE_AA, DRAW_SHIFT)
    return np.asarray(plane / np.float32(255), np.float32)


def draw_lines(size: tuple[int, int], curves: list[NDArray[np.float64]], widths: list[float]) -> F32:
    """Antialiased curves (each (N, 2) x, y in pixels), 1 on the line; widths in pixels, fractions by fainter lines."""
    plane = np.zeros(size, np.uint8)
    for curve, width in zip(curves, widths, strict=True):
        points = np.rint(curve * (1 << DRAW_SHIFT)).astype(np.int32).reshape(-1, 1, 2)
        level = int(255 * min(1.0, width))
        cv2.polylines(plane, [points], False, level, max(1, round(width)), cv2.LINE_AA, DRAW_SHIFT)
    return np.asarray(plane / np.float32(255), np.float32)


def wander(
    rng: np.random.Generator, start: NDArray[np.float64], heading: float, length: float, bend: float
) -> NDArray[np.float64]:
    """A curve (N, 2) of `length` from `start`, whose heading drifts and bends by about `bend` radians in all."""
    steps = 24
    turn = np.cumsum(rng.normal(0, 0.3, steps)) * bend / np.sqrt(steps) + np.linspace(0, rng.normal(0, bend), steps)
    move = np.stack([np.cos(heading + turn), np.sin(heading + turn)], axis=1) * (length / steps)
    return np.concatenate([start[None], start + np.cumsum(move, axis=0)])
