"""The exhaustive search: rotations x scales x all translations, by masked correlation of small textures (FFT)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from longderm.registration.local import local_normalise
from longderm.registration.preparation import Prepared
from longderm.registration.similarity import Matrix, distance, from_parts, rotation_deg_of, scale_of

if TYPE_CHECKING:
    import torch

#: Longer side of the search grid.
SEARCH_SIDE_PX = 96

#: Step of the rotations: at half a step and 40 px from the centre texture is displaced by 2 px, less than its mesh.
ROTATION_STEP_DEG = 6.0

#: Ratio between neighbouring scales.
SCALE_STEP = 1.11

#: Radius of the local normalisation (search pixels).
_NORMALISE_RADIUS_PX = 5

#: Structures weigh by their contrast up to about this (optical density).
_CONTRAST_FLOOR = 0.12

#: Share of the smaller of both photos that must overlap for a translation to count.
MIN_OVERLAP = 0.30

#: Rotations transformed at once: a fixed batch, so that results do not hang on how much is asked for.
_BATCH = 30

#: How many pixels overlap changes slowly with the shift: it is counted on a grid coarser by this factor.
_COARSER = 4

#: Candidates nearer than this (search pixels, and degrees) to a better one are the same.
_SAME_PX = 5.0
_SAME_DEG = 13.0


@dataclass(frozen=True)
class Candidate:
    """A similarity (baseline to follow-up, native) and its score: correlation times the root of the common pixels."""

    matrix: Matrix
    score: float


@dataclass(frozen=True)
class _Small:
    texture: NDArray[np.float32]
    weight: NDArray[np.float32]
    from_native: NDArray[np.float64]


def scales_between(log_scale: tuple[float, float]) -> list[float]:
    """Scales SCALE_STEP or less apart that cover the range, from its middle outwards."""
    low, high = log_scale
    count = max(1, int(np.ceil((high - low) / np.log(SCALE_STEP))))
    centres = low + (np.arange(count) + 0.5) * (high - low) / count
    middle = (low + high) / 2.0
    return [float(np.exp(value)) for value in sorted(centres, key=lambda v: (round(abs(v - middle), 9), v))]


def search(baseline: Prepared, followup: Prepared, scales: list[float], keep: int = 8) -> list[Candidate]:
    """The best different candidates over `scales` (follow-up pixels per baseline pixel), best first."""
    found: list[Candidate] = []
    for scale in scales:
        found.extend(_one_scale(baseline, followup, scale))
    return _distinct(found, baseline, keep)


def _distinct(found: list[Candidate], baseline: Prepared, keep: int) -> list[Candidate]:
    """The best of `found` that differ from each other, best first."""
    found.sort(key=lambda c: -round(c.score, 6))
    kept: list[Candidate] = []
    for candidate in found:
        if len(kept) == keep:
            break
        if all(_different(candidate, other, baseline) for other in kept):
            kept.append(candidate)
    return kept


def _different(one: Candidate, other: Candidate, baseline: Prepared) -> bool:
    turn = (rotation_deg_of(one.matrix) - rotation_deg_of(other.matrix) + 180.0) % 360.0 - 180.0
    if abs(turn) > _SAME_DEG or abs(np.log(scale_of(one.matrix) / scale_of(other.matrix))) > 1.5 * np.log(SCALE_STEP):
        return True
    height, width = baseline.shape
    unit = max(baseline.shape) / SEARCH_SIDE_PX * scale_of(other.matrix)
    pivot = complex((width - 1) / 2, (height - 1) / 2)
    return distance(one.matrix, other.matrix, pivot, 0.0) > _SAME_PX * unit


def _one_scale(baseline: Prepared, followup: Prepared, scale: float) -> list[Candidate]:
    # The photo that shows the smaller field per search pixel is shrunk, so that neither is ever enlarged.
    base_unit = SEARCH_SIDE_PX / max(baseline.shape)
    follow_unit = base_unit / scale
    fit = min(1.0, SEARCH_SIDE_PX / (max(followup.shape) * follow_unit))
    return _candidates(_shrink(baseline, base_unit * fit), _shrink(followup, follow_unit * fit), scale)


def _candidates(fixed: _Small, moving: _Small, scale: float) -> list[Candidate]:
    """The best rotations at one scale, each at its best translation."""
    angles = np.arange(0.0, 360.0, ROTATION_STEP_DEG)
    scores, peaks = _correlate(fixed, moving, angles)
    order = np.argsort(-np.round(scores, 6), kind="stable")[:6]
    native_fixed, native_moving = np.linalg.inv(fixed.from_native), np.linalg.inv(moving.from_native)
    fixed_c = (np.array([fixed.texture.shape[1], fixed.texture.shape[0]]) - 1) / 2
    moving_c = (np.array([moving.texture.shape[1], moving.texture.shape[0]]) - 1) / 2
    candidates = []
    for index in order:
        point = native_fixed[:2, :2] @ (fixed_c + peaks[index]) + native_fixed[:2, 2]
        target = native_moving[:2, :2] @ moving_c + native_moving[:2, 2]
        matrix = from_parts(scale, float(angles[index]), complex(*point), complex(*target))
        candidates.append(Candidate(matrix, float(scores[index])))
    return candidates


def _shrink(photo: Prepared, unit: float) -> _Small:
    """Texture on a grid of `unit` search pixels per native pixel."""
    height, width = photo.shape
    from_native = np.array([[unit, 0.0, 0.5 * unit - 0.5], [0.0, unit, 0.5 * unit - 0.5], [0.0, 0.0, 1.0]])
    return _sample(photo, from_native, (max(8, round(height * unit)), max(8, round(width * unit))))


def _sample(photo: Prepared, from_native: NDArray[np.float64], size: tuple[int, int]) -> _Small:
    import cv2

    unit = from_native[0, 0]
    small_h, small_w = size
    level = photo.levels[0]
    for coarser in photo.levels[1:]:
        if coarser.from_native[0, 0] >= unit:
            level = coarser
    to_level = level.from_native @ np.linalg.inv(from_native)
    stack = np.dstack([level.channel, level.weight * (1.0 - level.band)])
    ratio = to_level[0, 0]
    if ratio > 2.0:  # coarser than the coarsest level: average first
        stack = cv2.blur(stack, (int(ratio) | 1, int(ratio) | 1))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(stack, to_level[:2], (small_w, small_h), flags=flags, borderMode=cv2.BORDER_CONSTANT)
    weight = (warped[..., 1] > 0.5).astype(np.float32)
    texture = local_normalise(np.ascontiguousarray(warped[..., 0]), weight, _NORMALISE_RADIUS_PX, _CONTRAST_FLOOR)
    return _Small(texture, weight, from_native)


def _correlate(
    fixed: _Small, moving: _Small, angles: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Best score over all translations for each rotation, (R,), and where, (R, 2): the moving centre minus the fixed's.

    Textures are normalised to unit variance, so their product's sum over the overlap's pixel count is the correlation.
    """
    import cv2
    import torch

    fh, fw = fixed.texture.shape
    mh, mw = moving.texture.shape
    side = int(np.ceil(np.hypot(mh, mw))) + 1
    # Shifts beyond this overlap too little; the canvas is just large enough that wrapped ones do not come nearer.
    canvas_h = max(int((fh + side) / 2 + fh * (1.0 - MIN_OVERLAP)), side)
    canvas_w = max(int((fw + side) / 2 + fw * (1.0 - MIN_OVERLAP)), side)
    coarse_h, coarse_w = _fast_length(-(-canvas_h // _COARSER)), _fast_length(-(-canvas_w // _COARSER))
    canvas_h, canvas_w = coarse_h * _COARSER, coarse_w * _COARSER
    least = MIN_OVERLAP * min(float(fixed.weight.sum()), float(moving.weight.sum()))
    to_coarse = np.array([[_COARSER, 0.0, (_COARSER - 1) / 2], [0.0, _COARSER, (_COARSER - 1) / 2], [0.0, 0.0, 1.0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    texture = np.zeros((canvas_h, canvas_w), np.float32)
    texture[:fh, :fw] = fixed.texture
    weight = cv2.warpAffine(fixed.weight, to_coarse[:2], (coarse_w, coarse_h), flags=flags)
    texture_f = torch.fft.rfft2(torch.from_numpy(texture)).conj().resolve_conj()
    weight_f = torch.fft.rfft2(torch.from_numpy(weight)).conj().resolve_conj()
    scores, peaks = [], []
    centre = (side - 1) / 2
    half = _COARSER // 2
    for start in range(0, len(angles), _BATCH):
        textures = np.zeros((_BATCH, canvas_h, canvas_w), np.float32)
        weights = np.zeros((_BATCH, coarse_h, coarse_w), np.float32)
        chunk = angles[start : start + _BATCH]
        for index, angle in enumerate(chunk):
            # Rotated canvas pixel p shows the moving pixel R(p - centre) + its centre.
            c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
            mx, my = (mw - 1) / 2, (mh - 1) / 2
            step = np.array([[c, -s, mx - c * centre + s * centre], [s, c, my - s * centre - c * centre], [0, 0, 1]])
            # Half a coarse pixel further, so that each coarse shift stands for the fine ones about it.
            turned = textures[index, half : half + side, half : half + side]
            turned[...] = cv2.warpAffine(moving.texture, step[:2], turned.shape[::-1], flags=flags)
            weights[index] = cv2.warpAffine(moving.weight, (step @ to_coarse)[:2], (coarse_w, coarse_h), flags=flags)
        correlation = _circular(torch.from_numpy(textures), texture_f)
        overlap = _circular(torch.from_numpy(weights), weight_f).mul_(_COARSER**2)
        share = torch.where(overlap >= least, overlap.clamp_min(1.0).rsqrt(), torch.tensor(0.0))
        score = correlation.view(-1, coarse_h, _COARSER, coarse_w, _COARSER).mul_(share[:, :, None, :, None])
        best, where = score.reshape(_BATCH, -1).max(dim=1)
        for index in range(len(chunk)):
            row, column = divmod(int(where[index]), canvas_w)
            # Fixed pixel q lies on canvas pixel q + d, so the moving centre lies on q = centre - d (unwrapped).
            dx = (centre - (column - half) - (fw - 1) / 2 + canvas_w / 2) % canvas_w - canvas_w / 2
            dy = (centre - (row - half) - (fh - 1) / 2 + canvas_h / 2) % canvas_h - canvas_h / 2
            peaks.append((dx, dy))
            scores.append(float(best[index]))
    return np.array(scores), np.array(peaks)


def _circular(batch: torch.Tensor, spectrum: torch.Tensor) -> torch.Tensor:
    """Circular correlation of each of a batch, float32 (n, h, w), with the image of a (conjugate) spectrum."""
    import torch

    found: torch.Tensor = torch.fft.irfft2(torch.fft.rfft2(batch).mul_(spectrum), s=batch.shape[1:])
    return found


def _fast_length(length: int) -> int:
    """The next length that the FFT splits into factors 2, 3 and 5."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1
