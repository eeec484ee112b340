"""The follow-up photo on the baseline's grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def warp_to_baseline(
    followup_pixels: NDArray[np.uint8], matrix: NDArray[np.float64], shape: tuple[int, int], scale: float = 1.0
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The follow-up resampled on the baseline's grid, and where it has pixels there.

    followup_pixels: uint8 (H', W', 3), native grid; matrix: baseline to follow-up coordinates; shape: (H, W) of the
    baseline's native grid; scale: preview pixels per native pixel of the output (1 for full size), with pixel centres
    kept: preview (u, v) lies at ((u + 0.5) / scale - 0.5, ...). Returns uint8 (h, w, 3), black outside, bool (h, w).
    Where the output is coarser than the follow-up, that is area-averaged first.
    """
    import cv2

    height, width = max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
    from_preview = np.array([[1 / scale, 0.0, 0.5 / scale - 0.5], [0.0, 1 / scale, 0.5 / scale - 0.5], [0.0, 0.0, 1.0]])
    to_source = matrix @ from_preview
    step = float(np.sqrt(abs(np.linalg.det(to_source[:2, :2]))))
    source = followup_pixels
    full_h, full_w = source.shape[:2]
    if step > 1.5:
        small_h, small_w = max(1, round(full_h / step)), max(1, round(full_w / step))
        source = np.asarray(cv2.resize(source, (small_w, small_h), interpolation=cv2.INTER_AREA))
        sx, sy = small_w / full_w, small_h / full_h
        to_source = np.array([[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5], [0.0, 0.0, 1.0]]) @ to_source
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    pixels = cv2.warpAffine(source, to_source[:2], (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    u, v = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    x = to_source[0, 0] * u + to_source[0, 1] * v + to_source[0, 2]
    y = to_source[1, 0] * u + to_source[1, 1] * v + to_source[1, 2]
    # A pixel reaches half a pixel beyond its centre.
    inside = (x >= -0.5) & (x <= source.shape[1] - 0.5) & (y >= -0.5) & (y <= source.shape[0] - 0.5)
    pixels = np.where(inside[..., None], pixels, np.uint8(0))
    return np.asarray(pixels, dtype=np.uint8), np.asarray(inside, dtype=np.bool_)
