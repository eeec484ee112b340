"""Robust Gauss-Newton refinement of a similarity on texture, border band and artefacts left out."""

from __future__ import annotations

import cmath
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.registration.local import local_normalise
from longderm.registration.preparation import TUKEY, Level, Prepared
from longderm.registration.similarity import Matrix, from_complex, inverse, to_complex

#: Radius of the local normalisation in pixels of each level: larger than a mesh of pigment network, less than a lesion.
NORMALISE_RADIUS_PX = 8

#: Weight of a pixel in the border band; not quite zero, or a lesion that fills its photo with plain skin around would
#: leave nothing to hold on to.
BAND_WEIGHT = 0.0

#: Fewer weighted pixels in common than this (level pixels), and there is nothing to fit.
_MIN_PIXELS = 120.0

#: A step that moves the rim of the overlap by less than this (level pixels) ends the iteration.
_SETTLED_PX = 0.01


@dataclass(frozen=True)
class Common:
    """Both photos on the baseline's level grid under a similarity, float32 (h, w): textures and the common weight."""

    baseline: NDArray[np.float32]
    followup: NDArray[np.float32]
    weight: NDArray[np.float32]
    seen: NDArray[np.float32]


def level_matrix(baseline: Level, followup: Level, matrix: Matrix) -> NDArray[np.float64]:
    """The transform between level coordinates of a similarity between native ones."""
    return np.asarray(followup.from_native @ matrix @ np.linalg.inv(baseline.from_native))


def bring_together(baseline: Level, followup: Level, matrix: Matrix) -> Common:
    """Warp the follow-up's channel to the baseline's level grid and normalise both there, under the common weight."""
    import cv2

    height, width = baseline.channel.shape
    step = level_matrix(baseline, followup, matrix)[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    stack = np.dstack([followup.channel, followup.weight, followup.band])
    warped = cv2.warpAffine(stack, step, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    weight_b = np.asarray(warped[..., 1], np.float32)
    # A pixel interpolated half from a hole is no pixel.
    seen = (baseline.weight > 0.7) & (weight_b > 0.7)
    common = seen.astype(np.float32)
    free = (1.0 - np.maximum(baseline.band, warped[..., 2]) * (1.0 - BAND_WEIGHT)).astype(np.float32)
    a = local_normalise(baseline.channel, common, NORMALISE_RADIUS_PX)
    b = local_normalise(np.ascontiguousarray(warped[..., 0]), common, NORMALISE_RADIUS_PX)
    return Common(a, b, common * free, common)


def refine(
    baseline: Prepared,
    followup: Prepared,
    matrix: Matrix,
    level: int,
    iterations: int,
    log_scale: tuple[float, float],
) -> Matrix:
    """Improve `matrix` on one pyramid level; `log_scale` bounds the natural logarithm of the scale."""
    from_level = baseline.levels[level]
    to_level = followup.levels[level]
    unit = float(np.sqrt(from_level.from_native[0, 0] * from_level.from_native[1, 1]))
    offset = complex(from_level.from_native[0, 2], from_level.from_native[1, 2])
    height, width = from_level.channel.shape
    x = np.arange(width, dtype=np.float32)[None, :]
    y = np.arange(height, dtype=np.float32)[:, None]
    for _ in range(iterations):
        common = bring_together(from_level, to_level, matrix)
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


def _gauss_newton_step(
    common: Common, x: NDArray[np.float32], y: NDArray[np.float32], log_scale: float | None = None
) -> NDArray[np.float64]:
    """(shift x, shift y, log scale, angle) that makes the textures agree; with `log_scale` given, under that one.

    Gradients are the mean of both images' (efficient second-order minimisation, Malis 2004); residuals are weighted by
    Tukey's function.
    """
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
    weight = w[chosen]
    target = -residual[chosen]
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


def refine_both_ways(
    baseline: Prepared, followup: Prepared, matrix: Matrix, level: int, iterations: int, log_scale: tuple[float, float]
) -> tuple[Matrix, Matrix]:
    """`refine` from the baseline and from the follow-up's side; both as baseline to follow-up."""
    forward = refine(baseline, followup, matrix, level, iterations, log_scale)
    swapped = (-log_scale[1], -log_scale[0])
    backward = refine(followup, baseline, inverse(matrix), level, iterations, swapped)
    return forward, inverse(backward)
