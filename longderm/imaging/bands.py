"""Bands of a picture at several scales, pooled to a grid of cells: lines, blobs, slopes, patterns of neighbours.

What a pigment network is made of are dark lines about light holes, globules are dark blobs, milia-like cysts light
ones. The second derivatives tell them apart (Lindeberg 1998, doi 10.1023/A:1008045108935): of their two eigenvalues,
one is large on a line and both are on a blob. How lines and blobs themselves come and go is read by a second row of
bands, as in scattering networks (Bruna and Mallat 2013, arXiv 1203.1513); ten rotation-invariant patterns of neighbours
(Ojala et al. 2002, doi 10.1109/TPAMI.2002.1017623) say what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

#: Side of the grid that everything is pooled to.
GRID = 32
#: Scales of lightness: the reduction of the picture and the standard deviation of the blur, in pixels of the reduced
#: picture; together 1 to 10 pixels of the whole.
_SCALES = ((1, 1.0), (2, 0.9), (2, 1.3), (4, 0.9), (4, 1.3), (8, 0.9), (8, 1.3))
REDUCTIONS = (1, 2, 4, 8)
#: Those of the scales (reduction 2) whose lines and blobs are read a second time, on a quarter of the picture's side,
#: between blurs of these standard deviations.
_SECOND_REDUCTION, _SECOND_BLURS = 2, (0.8, 1.3, 2.2, 4.0)
#: Colour is read at these reductions, between blurs of these standard deviations.
_COLOUR_REDUCTIONS, _COLOUR_BLURS = (2, 4, 8), (0.9, 1.6)
#: Patterns of neighbours are read at these reductions; a neighbour is lighter if it is so by this much L*.
_PATTERN_REDUCTIONS, _LIGHTER, _PATTERNS = (2, 4), 0.3, 10
#: Added under logarithms (and to divisors): what lies below it is noise of coding.
_NOISE = 0.02

F32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Curvature:
    """How strongly a picture is curved as a dark or light line or blob, float32 (h, w) each, all >= 0."""

    dark_line: F32
    light_line: F32
    dark_blob: F32
    light_blob: F32
    #: Half the difference of both curvatures, and its parts along and across the grid, whose signs tell the direction.
    contrast: F32
    along: F32
    across: F32


def pool(values: F32) -> F32:
    """Means over the cells of the grid, float32 (GRID, GRID), of values (h, w), h and w at least GRID."""
    import cv2

    return np.asarray(cv2.resize(values, (GRID, GRID), interpolation=cv2.INTER_AREA), np.float32)


def reduced(channel: F32) -> dict[int, F32]:
    """A channel (S, S) and its copies at the sides of `REDUCTIONS`."""
    import cv2

    side = channel.shape[0]
    return {
        by: channel
        if by == 1
        else np.asarray(cv2.resize(channel, (side // by,) * 2, interpolation=cv2.INTER_AREA), np.float32)
        for by in REDUCTIONS
    }


def lightness_bands(lightness: Mapping[int, F32]) -> list[F32]:
    """Lines, blobs and slopes of L* at each scale, then how lines and blobs vary: maps float32 (GRID, GRID)."""
    maps: list[F32] = []
    again: list[F32] = []
    for by, sigma in _SCALES:
        smooth = _blur(lightness[by], sigma)
        curved = _curvature(smooth)
        lines, blobs = pool(curved.dark_line), pool(curved.dark_blob)
        maps += [_log(mean) for mean in (lines, pool(curved.light_line), blobs, pool(curved.light_blob))]
        maps.append(_log(pool(_slope(smooth))))
        # How much the curvature of a cell keeps to one direction and sign: dark lines between wider light ones do.
        maps.append(np.hypot(pool(curved.along), pool(curved.across)) / (pool(curved.contrast) + _NOISE))
        # How few strong ones there are among weak ones.
        for strength, mean in ((curved.dark_line, lines), (curved.dark_blob, blobs)):
            maps.append(np.log(pool(strength * strength) / (mean * mean + 1e-3) + 0.1))
        if by == _SECOND_REDUCTION:
            for strength in (curved.dark_line, curved.dark_blob, curved.light_line):
                again += _variation(strength)
    return maps + again


def colour_bands(channel: Mapping[int, F32], lightness: Mapping[int, F32]) -> list[F32]:
    """Spots of a* or b* above and below their surroundings, and how far they go with those of L*: (GRID, GRID)."""
    maps: list[F32] = []
    for by in _COLOUR_REDUCTIONS:
        spots, light = (
            _blur(part[by], _COLOUR_BLURS[0]) - _blur(part[by], _COLOUR_BLURS[1]) for part in (channel, lightness)
        )
        maps += [_log(pool(np.maximum(spots, 0))), _log(pool(np.maximum(-spots, 0)))]
        maps.append(pool(spots * light) / np.sqrt(pool(spots * spots) * pool(light * light) + 1e-3))
    return maps


def neighbour_patterns(lightness: Mapping[int, F32]) -> list[F32]:
    """Square roots of the shares of each cell's pixels that show each of ten patterns of lighter neighbours."""
    maps: list[F32] = []
    for by in _PATTERN_REDUCTIONS:
        fine = _blur(lightness[by], 0.8) if by == _PATTERN_REDUCTIONS[0] else lightness[by]
        middle = fine[1:-1, 1:-1] + np.float32(_LIGHTER)
        height, width = middle.shape
        code = np.zeros(middle.shape, np.uint8)
        for bit, (down, across) in enumerate(((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))):
            code |= (fine[down : down + height, across : across + width] > middle).astype(np.uint8) << bit
        rows, columns = (np.arange(count) * GRID // count for count in (height, width))
        cell = rows[:, None] * GRID + columns[None]
        counts = np.bincount((cell * _PATTERNS + _pattern_of_code()[code]).ravel(), minlength=GRID * GRID * _PATTERNS)
        shares = counts.reshape(GRID, GRID, _PATTERNS).astype(np.float32)
        shares /= shares.sum(axis=2, keepdims=True)
        maps += [np.sqrt(shares[..., pattern]) for pattern in range(_PATTERNS)]
    return maps


def _curvature(smooth: F32) -> _Curvature:
    import cv2

    second = np.array([[1, -2, 1]], np.float32)
    xx = cv2.filter2D(smooth, cv2.CV_32F, second)
    yy = cv2.filter2D(smooth, cv2.CV_32F, np.ascontiguousarray(second.T))
    xy = cv2.Sobel(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125), cv2.CV_32F, 0, 1, scale=0.125)
    middle, along = (xx + yy) / 2, (xx - yy) / 2
    contrast = np.sqrt(along * along + xy * xy)
    high, low = middle + contrast, middle - contrast
    return _Curvature(
        dark_line=np.maximum(high - np.abs(low), 0),
        light_line=np.maximum(-low - np.abs(high), 0),
        dark_blob=np.maximum(low, 0),
        light_blob=np.maximum(-high, 0),
        contrast=contrast,
        along=np.asarray(along, np.float32),
        across=np.asarray(xy, np.float32),
    )


def _slope(smooth: F32) -> F32:
    import cv2

    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125)
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125)
    return np.asarray(np.sqrt(across * across + down * down), np.float32)


def _variation(strength: F32) -> list[F32]:
    """How much the strength of lines or blobs varies over three widths, relative to its mean."""
    import cv2

    side = strength.shape[0] * _SECOND_REDUCTION // 4
    small = np.asarray(cv2.resize(strength, (side, side), interpolation=cv2.INTER_AREA), np.float32)
    mean = pool(small) + _NOISE
    blurs = [_blur(small, sigma) for sigma in _SECOND_BLURS]
    return [np.log(pool(np.abs(fine - wide)) / mean + 0.05) for fine, wide in pairwise(blurs)]


@lru_cache(maxsize=1)
def _pattern_of_code() -> NDArray[np.uint8]:
    """Of each of 256 codes of eight neighbours: how many are lighter where they lie together, 9 where they do not."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(axis=1)
    return np.where(changes <= 2, bits.sum(axis=1), _PATTERNS - 1).astype(np.uint8)


def _blur(values: F32, sigma: float) -> F32:
    import cv2

    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32)


def _log(mean: F32) -> F32:
    return np.asarray(np.log(mean + np.float32(_NOISE)), np.float32)
