"""Robust Gauss-Newton refinement of a similarity on texture, border band and artefacts left out."""

from __future__ import annotations

import cmath
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from longderm.registration.local import NOISE_FLOOR, local_normalise
from longderm.registration.preparation import TUKEY, Level, Prepared
from longderm.registration.similarity import Matrix, from_complex, inverse, to_complex

#: Radius of the local normalisation in pixels of each level: larger than a mesh of pigment network, less than a lesion.
NORMALISE_RADIUS_PX = 8

#: Standard deviation (optical density) added to the local one where skin alone is looked at: among skin its own fine
#: texture counts, not the few hairs and shadows that stand out.
_SKIN_FLOOR = 0.012

#: Fewer pixels than this have no correlation worth the name.
_MIN_CORRELATED_PX = 60.0

#: Correlations are held between these before they become weights: a start that is some pixels off shows little.
_LEAST_CORRELATION, _MOST_CORRELATION = 0.05, 0.9

#: Fewer weighted pixels in common than this (level pixels), and there is nothing to fit.
_MIN_PIXELS = 120.0

#: Fewer tiles than this leave the error of four parameters unknown.
_MIN_TILES = 10

#: A step that moves the rim of the overlap by less than this (level pixels) ends the iteration.
_SETTLED_PX = 0.01


class Region(Enum):
    """What a fit may look at: everything but the border band, the skin around both lesions, or the inside of both."""

    ALL = "all"
    SKIN = "skin"
    LESION = "lesion"


@dataclass(frozen=True)
class Common:
    """Both photos on the baseline's level grid under a similarity, float32 (h, w): textures and the common weight.

    seen: where both show skin or lesion; inside: bool (h, w), where either has lesion.
    """

    baseline: NDArray[np.float32]
    followup: NDArray[np.float32]
    weight: NDArray[np.float32]
    seen: NDArray[np.float32]
    inside: NDArray[np.bool_]


def level_matrix(baseline: Level, followup: Level, matrix: Matrix) -> NDArray[np.float64]:
    """The transform between level coordinates of a similarity between native ones."""
    return np.asarray(followup.from_native @ matrix @ np.linalg.inv(baseline.from_native))


def bring_together(baseline: Level, followup: Level, matrix: Matrix, region: Region = Region.ALL) -> Common:
    """Warp the follow-up's channel to the baseline's level grid and normalise both there, under the common weight.

    With a region, normalisation too sees nothing else: a lesion's border would print itself on the skin beside it.
    """
    import cv2

    height, width = baseline.channel.shape
    step = level_matrix(baseline, followup, matrix)[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    marked, other = (baseline.margin, followup.margin) if region is Region.SKIN else (baseline.lesion, followup.lesion)
    stack = np.dstack([followup.channel, followup.weight, followup.band, other])
    warped = cv2.warpAffine(stack, step, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    weight_b = np.asarray(warped[..., 1], np.float32)
    # A pixel interpolated half from a hole is no pixel.
    seen = (baseline.weight > 0.7) & (weight_b > 0.7)
    band = np.maximum(baseline.band, warped[..., 2])
    inside = np.maximum(marked, warped[..., 3]) > 0.5
    if region is Region.SKIN:
        seen &= ~inside
    elif region is Region.LESION:
        seen &= (np.minimum(marked, warped[..., 3]) > 0.5) & (band < 0.5)
    common = seen.astype(np.float32)
    floor = _SKIN_FLOOR if region is Region.SKIN else NOISE_FLOOR
    a = local_normalise(baseline.channel, common, NORMALISE_RADIUS_PX, floor)
    b = local_normalise(np.ascontiguousarray(warped[..., 0]), common, NORMALISE_RADIUS_PX, floor)
    return Common(a, b, np.asarray(common * (1.0 - band), np.float32), common, inside)


def correlation(common: Common, chosen: NDArray[np.bool_] | None = None) -> tuple[float | None, float]:
    """Weighted correlation of both textures, in [-1, 1], and the pixels it rests on; None with too few of them.

    chosen: bool (h, w), the pixels that count; all of them without it.
    """
    weight = common.weight if chosen is None else common.weight * chosen
    mass = float(weight.sum(dtype=np.float64))
    if mass < _MIN_CORRELATED_PX:
        return None, mass
    a = common.baseline - np.float32((weight * common.baseline).sum(dtype=np.float64) / mass)
    b = common.followup - np.float32((weight * common.followup).sum(dtype=np.float64) / mass)
    weighted = weight * a
    ab, aa = float((weighted * b).sum(dtype=np.float64)), float((weighted * a).sum(dtype=np.float64))
    bb = float((weight * b * b).sum(dtype=np.float64))
    return ab / float(np.sqrt(max(aa * bb, 1e-12))), mass


def refine(
    baseline: Prepared,
    followup: Prepared,
    matrix: Matrix,
    level: int,
    iterations: int,
    log_scale: tuple[float, float],
    region: Region = Region.ALL,
) -> Matrix:
    """Improve `matrix` on one pyramid level; `log_scale` bounds the natural logarithm of the scale."""
    from_level = baseline.levels[level]
    to_level = followup.levels[level]
    unit = float(np.sqrt(from_level.from_native[0, 0] * from_level.from_native[1, 1]))
    offset = complex(from_level.from_native[0, 2], from_level.from_native[1, 2])
    height, width = from_level.channel.shape
    x = np.arange(width, dtype=np.float32)[None, :]
    y = np.arange(height, dtype=np.float32)[:, None]
    votes: tuple[np.float32, np.float32] | None = None
    for _ in range(iterations):
        common = bring_together(from_level, to_level, matrix, region)
        if region is Region.ALL:
            votes = votes or _votes(common)
            common = replace(common, weight=common.weight * np.where(common.inside, *votes))
        mass = float(common.weight.sum(dtype=np.float64))
        if mass < _MIN_PIXELS:
            break
        cx = float((common.weight * x).sum(dtype=np.float64)) / mass
        cy = float((common.weight * y).sum(dtype=np.float64)) / mass
        step = _gauss_newton_step(common, x - np.float32(cx), y - np.float32(cy))
        a, b = to_complex(matrix)
        lowest, highest = log_scale[0] - np.log(abs(a)), log_scale[1] - np.log(abs(a))
        if not lowest <= step[2] <= highest:
            bound = float(np.clip(step[2], lowest, highest))
            step = _gauss_newton_step(common, x - np.float32(cx), y - np.float32(cy), log_scale=bound)
        # z -> centre + exp(log scale + i angle) (z - centre) + shift, in native coordinates of the baseline.
        centre = (complex(cx, cy) - offset) / unit
        turn = cmath.exp(complex(step[2], step[3]))
        shift = complex(step[0], step[1]) / unit
        matrix = from_complex(a * turn, a * (centre - turn * centre + shift) + b)
        moved = abs(complex(step[0], step[1])) + abs(turn - 1.0) * 0.5 * max(height, width)
        if moved < _SETTLED_PX:
            break
    return matrix


def _votes(common: Common) -> tuple[np.float32, np.float32]:
    """Weights of lesion and skin: r / (1 - r^2) of each region's correlation r, the larger made 1.

    That is the weight of maximum likelihood where both photos show a texture with independent noise: skin that does
    not persist between visits gets next to no vote, and so does a lesion without structures.
    """
    both = [correlation(common, chosen)[0] for chosen in (common.inside, ~common.inside)]
    held = [min(max(r if r is not None else 0.0, _LEAST_CORRELATION), _MOST_CORRELATION) for r in both]
    inside, around = (r / (1.0 - r * r) for r in held)
    largest = max(inside, around)
    return np.float32(inside / largest), np.float32(around / largest)


def _gauss_newton_step(
    common: Common, x: NDArray[np.float32], y: NDArray[np.float32], log_scale: float | None = None
) -> NDArray[np.float64]:
    """(shift x, shift y, log scale, angle) that makes the textures agree; with `log_scale` given, under that one.

    Gradients are the mean of both images' (efficient second-order minimisation, Malis 2004); residuals are weighted by
    Tukey's function.
    """
    jacobian, weight, target, _ = _linearised(common, x, y)
    weighted = jacobian * weight
    normal = np.einsum("in,jn->ij", weighted, jacobian).astype(np.float64)
    right = np.einsum("in,n->i", weighted, target).astype(np.float64)
    normal += np.diag(1e-6 * np.diag(normal) + 1e-9)
    if log_scale is None:
        return np.asarray(np.linalg.solve(normal, right))
    free = [0, 1, 3]
    step = np.zeros(4)
    step[2] = log_scale
    step[free] = np.linalg.solve(normal[np.ix_(free, free)], right[free] - normal[free, 2] * log_scale)
    return step


def _linearised(
    common: Common, x: NDArray[np.float32], y: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """The least squares problem of one step: derivatives (4, N), weights (N,), target (N,), the pixels bool (h, w)."""
    # Unequal contrast (blur, another device) would be taken for misplacement: match it by regression first.
    w = common.weight
    ab = float((w * common.baseline * common.followup).sum(dtype=np.float64))
    bb = float((w * common.followup * common.followup).sum(dtype=np.float64))
    gain = np.float32(np.clip(ab / max(bb, 1e-6), 0.3, 1.0))
    residual = common.followup * gain - common.baseline
    chosen = w > 0
    spread = 1.4826 * float(np.median(np.abs(residual[chosen]))) + 1e-6
    robust = np.clip(1.0 - np.square(residual / np.float32(TUKEY * spread)), 0.0, None)
    w = w * robust * robust
    mean = 0.5 * (common.followup * gain + common.baseline)
    gx, gy = np.zeros_like(mean), np.zeros_like(mean)
    gx[:, 1:-1] = 0.5 * (mean[:, 2:] - mean[:, :-2])
    gy[1:-1, :] = 0.5 * (mean[2:, :] - mean[:-2, :])
    columns = [gx, gy, gx * x + gy * y, gy * x - gx * y]
    jacobian = np.stack([c[chosen] for c in columns])
    return jacobian, w[chosen], -residual[chosen], chosen


#: Side of the tiles (level pixels) whose errors are taken to be independent of each other: textures and the residuals
#: of their fit are correlated within a few radii of the local normalisation, not beyond.
_TILE_PX = 24


def scale_error(
    baseline: Prepared, followup: Prepared, matrix: Matrix, level: int, region: Region = Region.ALL
) -> float | None:
    """Standard error of the natural logarithm of the scale of a refined `matrix`; None with too little to tell.

    From the residuals of the fit, summed over tiles (cluster-robust, Liang & Zeger 1986): neighbouring pixels do not
    err independently.
    """
    common = bring_together(baseline.levels[level], followup.levels[level], matrix, region)
    mass = float(common.weight.sum(dtype=np.float64))
    if mass < _MIN_PIXELS:
        return None
    height, width = common.weight.shape
    x = np.arange(width, dtype=np.float32)[None, :]
    y = np.arange(height, dtype=np.float32)[:, None]
    cx = float((common.weight * x).sum(dtype=np.float64)) / mass
    cy = float((common.weight * y).sum(dtype=np.float64)) / mass
    jacobian, weight, target, chosen = _linearised(common, x - np.float32(cx), y - np.float32(cy))
    tile = (np.broadcast_to(y // _TILE_PX, chosen.shape) * 1000 + x // _TILE_PX)[chosen].astype(np.int64)
    tiles, index = np.unique(tile, return_inverse=True)
    if len(tiles) < _MIN_TILES:
        return None
    weighted = jacobian * weight
    normal = np.einsum("in,jn->ij", weighted, jacobian).astype(np.float64)
    normal += np.diag(1e-6 * np.diag(normal) + 1e-9)
    pulls = np.stack([np.bincount(index, (row * target).astype(np.float64), len(tiles)) for row in weighted])
    inverse_normal = np.linalg.inv(normal)
    variance = inverse_normal @ (pulls @ pulls.T) @ inverse_normal * (len(tiles) / (len(tiles) - 4))
    return float(np.sqrt(max(float(variance[2, 2]), 0.0)))


def refine_both_ways(
    baseline: Prepared, followup: Prepared, matrix: Matrix, level: int, iterations: int, log_scale: tuple[float, float]
) -> tuple[Matrix, Matrix]:
    """`refine` from the baseline and from the follow-up's side; both as baseline to follow-up."""
    forward = refine(baseline, followup, matrix, level, iterations, log_scale)
    swapped = (-log_scale[1], -log_scale[0])
    backward = refine(followup, baseline, inverse(matrix), level, iterations, swapped)
    return forward, inverse(backward)
