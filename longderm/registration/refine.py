"""Robust Gauss-Newton refinement of a similarity on texture, border band and artefacts left out."""

from __future__ import annotations

import cmath
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from longderm.registration.local import NOISE_FLOOR, LocalStatistics, local_statistics
from longderm.registration.preparation import TUKEY, Level, Prepared
from longderm.registration.similarity import Matrix, from_complex, to_complex

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

#: Steps that move the rim by less than this (level pixels) in all need no new masks and local statistics: those are
#: means over 17 pixels.
_NEAR_PX = 1.0

#: The spread of residuals is read from about so many of them.
_SPREAD_SAMPLES = 4000


class Region(Enum):
    """What a fit may look at: everything but the border band, the skin around both lesions, or the inside of both."""

    ALL = "all"
    SKIN = "skin"
    LESION = "lesion"


@dataclass(frozen=True)
class Common:
    """Both photos on the baseline's level grid under a similarity, float32 (h, w): textures and the common weight.

    seen: where both show skin or lesion; inside: bool (h, w), where either has lesion; statistics: what the follow-up
    was normalised by.
    """

    baseline: NDArray[np.float32]
    followup: NDArray[np.float32]
    weight: NDArray[np.float32]
    seen: NDArray[np.float32]
    inside: NDArray[np.bool_]
    statistics: LocalStatistics


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
    own = local_statistics(baseline.channel, common, NORMALISE_RADIUS_PX, floor)
    channel = np.ascontiguousarray(warped[..., 0], np.float32)
    statistics = local_statistics(channel, common, NORMALISE_RADIUS_PX, floor)
    return Common(
        own.normalise(baseline.channel, common),
        statistics.normalise(channel, common),
        np.asarray(common * (1.0 - band), np.float32),
        common,
        inside,
        statistics,
    )


def bring_nearer(common: Common, baseline: Level, followup: Level, matrix: Matrix) -> Common:
    """The same under a similarity that hardly differs: only the follow-up's texture is moved.

    Masks and local statistics are smooth or apart from what counts by more than the difference.
    """
    import cv2

    height, width = baseline.channel.shape
    step = level_matrix(baseline, followup, matrix)[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(followup.channel, step, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return replace(common, followup=common.statistics.normalise(np.asarray(moved, np.float32), common.seen))


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
    start: Common | None = None,
) -> Matrix:
    """Improve `matrix` on one pyramid level; `log_scale` bounds the natural logarithm of the scale.

    start: both photos brought together under `matrix`, where that is at hand.
    """
    from_level = baseline.levels[level]
    to_level = followup.levels[level]
    unit = float(np.sqrt(from_level.from_native[0, 0] * from_level.from_native[1, 1]))
    offset = complex(from_level.from_native[0, 2], from_level.from_native[1, 2])
    height, width = from_level.channel.shape
    x = np.arange(width, dtype=np.float32)[None, :]
    y = np.arange(height, dtype=np.float32)[:, None]
    votes: tuple[np.float32, np.float32] | None = None
    common: Common | None = None
    moved = 0.0
    for _ in range(iterations):
        if common is None or moved > _NEAR_PX:
            moved = 0.0
            common = start or bring_together(from_level, to_level, matrix, region)
            start = None
            if region is Region.ALL:
                votes = votes or _votes(common)
                common = replace(common, weight=common.weight * np.where(common.inside, *votes))
        else:
            common = bring_nearer(common, from_level, to_level, matrix)
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
        by = abs(complex(step[0], step[1])) + abs(turn - 1.0) * 0.5 * max(height, width)
        moved += by
        if by < _SETTLED_PX:
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
    jacobian, weight, target = _linearised(common, x, y)
    weighted = jacobian * weight
    normal = (weighted @ jacobian.T).astype(np.float64)
    right = (weighted @ target).astype(np.float64)
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
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The least squares problem of one step: derivatives (4, N), weights (N,), target (N,); N = h w pixels."""
    # Unequal contrast (blur, another device) would be taken for misplacement: match it by regression first.
    w = common.weight
    weighted = w * common.followup
    ab = float(np.dot(weighted.ravel(), common.baseline.ravel()))
    bb = float(np.dot(weighted.ravel(), common.followup.ravel()))
    scaled = common.followup * np.float32(np.clip(ab / max(bb, 1e-6), 0.3, 1.0))
    residual = scaled - common.baseline
    magnitude = np.abs(residual[w > 0])
    spread = 1.4826 * float(np.median(magnitude[:: max(1, len(magnitude) // _SPREAD_SAMPLES)])) + 1e-6
    robust = np.maximum(np.float32(1.0) - np.square(residual * np.float32(1.0 / (TUKEY * spread))), np.float32(0.0))
    mean = scaled + common.baseline
    jacobian = np.zeros((4, *w.shape), np.float32)
    gx, gy = jacobian[0], jacobian[1]
    np.subtract(mean[:, 2:], mean[:, :-2], out=gx[:, 1:-1])
    np.subtract(mean[2:, :], mean[:-2, :], out=gy[1:-1, :])
    jacobian[:2] *= np.float32(0.25)
    np.add(gx * x, gy * y, out=jacobian[2])
    np.subtract(gy * x, gx * y, out=jacobian[3])
    return jacobian.reshape(4, -1), (w * robust * robust).ravel(), -residual.ravel()


#: Side of the tiles (level pixels) whose errors are taken to be independent of each other: textures and the residuals
#: of their fit are correlated within a few radii of the local normalisation, not beyond.
_TILE_PX = 24


def scale_error(common: Common) -> float | None:
    """Standard error of the natural logarithm of the scale of the refined similarity that brought both photos together;
    None with too little to tell.

    From the residuals of the fit, summed over tiles (cluster-robust, Liang & Zeger 1986): neighbouring pixels do not
    err independently.
    """
    mass = float(common.weight.sum(dtype=np.float64))
    if mass < _MIN_PIXELS:
        return None
    height, width = common.weight.shape
    x = np.arange(width, dtype=np.float32)[None, :]
    y = np.arange(height, dtype=np.float32)[:, None]
    cx = float((common.weight * x).sum(dtype=np.float64)) / mass
    cy = float((common.weight * y).sum(dtype=np.float64)) / mass
    jacobian, weight, target = _linearised(common, x - np.float32(cx), y - np.float32(cy))
    tile = (np.broadcast_to(y // _TILE_PX, common.weight.shape) * 1000 + x // _TILE_PX).ravel().astype(np.int64)
    chosen = weight > 0
    jacobian, weight, target = jacobian[:, chosen], weight[chosen], target[chosen]
    tiles, index = np.unique(tile[chosen], return_inverse=True)
    if len(tiles) < _MIN_TILES:
        return None
    weighted = jacobian * weight
    normal = (weighted @ jacobian.T).astype(np.float64)
    normal += np.diag(1e-6 * np.diag(normal) + 1e-9)
    pulls = np.stack([np.bincount(index, (row * target).astype(np.float64), len(tiles)) for row in weighted])
    inverse_normal = np.linalg.inv(normal)
    variance = inverse_normal @ (pulls @ pulls.T) @ inverse_normal * (len(tiles) / (len(tiles) - 4))
    return float(np.sqrt(max(float(variance[2, 2]), 0.0)))
