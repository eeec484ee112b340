"""Strokes: short straight thin marks, dark or bright, such as a ruler's ticks: place, direction, length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Lines are sought by their second derivative after a blur of this many pixels: marks one to four pixels wide.
_BLUR_PX = 1.1
#: Second derivative (grey levels per pixel squared) of a mark, at least: a pixel-wide line of 5 grey levels ...
_MIN_RIDGE = 1.2
#: ... and this many times the photo's median, so that skin texture is not all marks.
_RIDGE_TO_MEDIAN = 3.0
#: Across a mark the grey bends this many times as much as along it.
_ACROSS_TO_ALONG = 2.0
#: Directions of neighbouring pixels agree (length of the mean of their doubled unit vectors): where a tick meets its
#: base line they do not, which parts the two.
_MIN_COHERENCE = 0.7
#: A mark is at least this long (pixels), this many times as long as wide, and shorter than this share of the side.
_MIN_LENGTH_PX, _MIN_SLENDERNESS, _MAX_LENGTH_SHARE = 4.5, 2.0, 0.3
#: Two marks are halves of one if their ends lie this near (pixels), their directions differ by less than this
#: (radians), they are this much out of line (pixels) and as strong as each other (logarithm).
_MAX_GAP_PX, _SAME_DIRECTION, _MAX_LATERAL_PX, _SAME_STRENGTH = 7.5, 0.22, 1.6, 0.7
#: A mark whose end lies this near to the photo's edge may go on beyond it.
_RIM_PX = 1.5
#: Rows that are worked on at once.
_STRIP_ROWS = 64
#: More marks than this make a texture; the strongest are kept.
_MAX_STROKES = 500


@dataclass(frozen=True, eq=False)
class Strokes:
    """N marks on one grid, each field float64 (N,) unless said otherwise.

    centre: (N, 2) as (x, y); angle: direction in radians in [0, pi), from +x towards +y; length, width: pixels;
    contrast: mean second derivative across, grey levels per pixel squared, positive; whole: bool (N,), whether both
    ends lie inside of the photo, so that the length is the mark's.
    """

    centre: NDArray[np.float64]
    angle: NDArray[np.float64]
    length: NDArray[np.float64]
    width: NDArray[np.float64]
    contrast: NDArray[np.float64]
    whole: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.angle)


def find_strokes(grey: NDArray[np.float32]) -> tuple[Strokes, Strokes]:
    """(dark, bright) marks of float32 (h, w) in grey levels (0 to 255)."""
    import cv2

    smooth = cv2.GaussianBlur(grey, (0, 0), _BLUR_PX)
    xx = cv2.Sobel(smooth, cv2.CV_32F, 2, 0, ksize=3, scale=0.25)
    yy = cv2.Sobel(smooth, cv2.CV_32F, 0, 2, ksize=3, scale=0.25)
    xy = cv2.Sobel(smooth, cv2.CV_32F, 1, 1, ksize=3, scale=0.25)
    half_sum, difference = cv2.addWeighted(xx, 0.5, yy, 0.5, 0), cv2.addWeighted(xx, 0.5, yy, -0.5, 0)
    root = cv2.magnitude(difference, xy)
    level = max(_MIN_RIDGE, _RIDGE_TO_MEDIAN * float(np.median(root[::3, ::3])))
    strength = np.empty(grey.shape, np.float32)
    dark, bright = np.empty(grey.shape, np.uint8), np.empty(grey.shape, np.uint8)
    # Strip by strip, with a row more to either side: what is made on the way stays in the processor's cache.
    for top in range(0, len(grey), _STRIP_ROWS):
        bottom = min(len(grey), top + _STRIP_ROWS)
        first, last = max(0, top - 1), min(len(grey), bottom + 1)
        parts = [np.asarray(field[first:last], np.float32) for field in (half_sum, difference, xy, root)]
        kept = slice(top - first, bottom - first)
        across, is_dark, is_bright = _ridges(parts[0], parts[1], parts[2], parts[3], level)
        strength[top:bottom], dark[top:bottom], bright[top:bottom] = across[kept], is_dark[kept], is_bright[kept]
    return _gather(dark, strength), _gather(bright, strength)


def _ridges(
    half_sum: NDArray[np.float32],
    difference: NDArray[np.float32],
    mixed: NDArray[np.float32],
    root: NDArray[np.float32],
    level: float,
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint8]]:
    """(strength, dark, bright): the second derivative across a mark, and 1 on ridges that keep their direction.

    half_sum, difference: half the sum and the difference of the second derivatives along x and y; mixed: the one along
    both; root: length of the last two; level: the least strength of a mark.
    """
    import cv2

    # The eigenvalue across a mark is root + |half sum|, the one along it the difference: dark marks bend upwards.
    bend = np.abs(half_sum)
    across = np.asarray(cv2.add(root, bend), np.float32)
    ridge = (across >= level) & (across >= _ACROSS_TO_ALONG * cv2.absdiff(root, bend))
    # Doubled direction of the greatest second derivative.
    floor = np.maximum(root, np.float32(1e-6))
    cos2, sin2 = (np.asarray(cv2.divide(part, floor), np.float32) for part in (difference, mixed))
    upwards = half_sum > 0

    def coherent(ridge: NDArray[np.bool_]) -> NDArray[np.uint8]:
        weight = ridge.astype(np.float32)
        size = (3, 3)
        mean_c, mean_s = cv2.boxFilter(cos2 * weight, -1, size), cv2.boxFilter(sin2 * weight, -1, size)
        steady = cv2.magnitude(mean_c, mean_s) >= _MIN_COHERENCE * cv2.boxFilter(weight, -1, size)
        return np.asarray(ridge & steady, np.uint8)

    return across, coherent(ridge & upwards), coherent(ridge & ~upwards)


def _gather(coherent: NDArray[np.uint8], strength: NDArray[np.float32]) -> Strokes:
    """Connected pixels of ridges of one direction (1, else 0) as marks."""
    import cv2

    count, labels = cv2.connectedComponents(coherent, connectivity=8)
    rows, columns = np.nonzero(coherent)
    label = labels[rows, columns]
    n = np.bincount(label, minlength=count).astype(np.float64)

    def mean(values: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.bincount(label, weights=values, minlength=count) / np.maximum(n, 1)

    x, y = columns.astype(np.float64), rows.astype(np.float64)
    mx, my = mean(x), mean(y)
    cxx, cyy, cxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    half, root = (cxx + cyy) / 2, np.hypot((cxx - cyy) / 2, cxy)
    # A uniform stretch of length l has the variance l^2 / 12.
    length, width = np.sqrt(12 * np.maximum(half + root, 0) + 1), np.sqrt(12 * np.maximum(half - root, 0) + 1)
    angle = np.mod(0.5 * np.arctan2(2 * cxy, cxx - cyy), np.pi)
    contrast = mean(strength[rows, columns])
    keep = (length >= _MIN_LENGTH_PX) & (length >= _MIN_SLENDERNESS * width)
    keep &= length <= _MAX_LENGTH_SHARE * max(coherent.shape)
    keep[0] = False
    chosen = np.flatnonzero(keep)
    if len(chosen) > _MAX_STROKES:
        order = np.argsort(-np.round(contrast[chosen] * np.sqrt(length[chosen]), 3), kind="stable")
        chosen = np.sort(chosen[order[:_MAX_STROKES]])
    return _joined(
        Strokes(
            np.column_stack([mx[chosen], my[chosen]]),
            angle[chosen],
            length[chosen],
            width[chosen],
            contrast[chosen],
            np.ones(len(chosen), np.bool_),
        ),
        (coherent.shape[0], coherent.shape[1]),
    )


def _joined(strokes: Strokes, shape: tuple[int, int]) -> Strokes:
    """The strokes, halves of a mark that another line crosses put together; and which lie inside of the photo."""
    from scipy.spatial import cKDTree

    unit = np.column_stack([np.cos(strokes.angle), np.sin(strokes.angle)])
    half = unit * strokes.length[:, None] / 2
    ends = np.concatenate([strokes.centre - half, strokes.centre + half])
    count = len(strokes)
    centre, angle, length = strokes.centre.copy(), strokes.angle.copy(), strokes.length.copy()
    keep = np.ones(count, dtype=np.bool_)
    near = cKDTree(ends).query_pairs(_MAX_GAP_PX, output_type="ndarray") if count else np.empty((0, 2), np.intp)
    first, second = near[:, 0] % max(count, 1), near[:, 1] % max(count, 1)
    turn = np.abs(strokes.angle[first] - strokes.angle[second])
    offset = strokes.centre[second] - strokes.centre[first]
    lateral = np.abs(offset[:, 1] * unit[first, 0] - offset[:, 0] * unit[first, 1])
    ratio = np.abs(np.log(strokes.contrast[first] / strokes.contrast[second]))
    fits = (
        (np.minimum(turn, np.pi - turn) <= _SAME_DIRECTION) & (lateral <= _MAX_LATERAL_PX) & (ratio <= _SAME_STRENGTH)
    )
    for one, two in near[fits & (first != second)]:
        a, b = int(one) % count, int(two) % count
        if not (keep[a] and keep[b]) or length[a] != strokes.length[a] or length[b] != strokes.length[b]:
            continue  # each is joined once
        far = ends[[(one + count) % (2 * count), (two + count) % (2 * count)]]
        across = far[1] - far[0]
        centre[a], length[a] = far.mean(axis=0), float(np.hypot(*across))
        angle[a] = np.mod(np.arctan2(across[1], across[0]), np.pi)
        keep[b] = False
    centre, angle, length = centre[keep], angle[keep], length[keep]
    half = np.column_stack([np.cos(angle), np.sin(angle)]) * (length[:, None] / 2 + _RIM_PX)
    low, high = centre - np.abs(half), centre + np.abs(half)
    whole = np.asarray((low >= 0).all(axis=1) & (high <= np.array([shape[1] - 1, shape[0] - 1])).all(axis=1))
    return Strokes(centre, angle, length, strokes.width[keep], strokes.contrast[keep], whole)
