"""Grids: reduced copies of a photo to work on, and masks brought back to its full size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longderm.photo import Photo


def preview(photo: Photo, max_side_px: int = 480) -> tuple[NDArray[np.uint8], float]:
    """A reduced copy, uint8 (h, w, 3) by area averaging, and its scale (preview pixels per native pixel, at most 1).

    A photo whose longer side is `max_side_px` or less is copied as it is, with scale 1. Pixel (x, y) of the photo lies
    at ((x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5), up to the rounding of the shorter side (half a pixel).
    Raises ValueError when `max_side_px` is less than 1.
    """
    if max_side_px < 1:
        raise ValueError(f"max_side_px must be at least 1, not {max_side_px}")
    height, width = photo.shape
    longer = max(height, width)
    if longer <= max_side_px:
        return photo.pixels.copy(), 1.0
    scale = max_side_px / longer
    return reduce_pixels(photo.pixels, reduced_shape(photo.shape, max_side_px)), scale


def reduced_shape(shape: tuple[int, int], max_side_px: int) -> tuple[int, int]:
    """(height, width) of a copy whose longer side is at most `max_side_px`; never enlarged, never below 1."""
    height, width = shape
    scale = min(1.0, max_side_px / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def reduce_pixels(pixels: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Area-averaged copy of uint8 (H, W, 3) at `shape`, which is nowhere larger."""
    import cv2

    if pixels.shape[:2] == shape:
        return pixels.copy()
    reduced = cv2.resize(pixels, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(reduced, dtype=np.uint8)


def enlarge_mask(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask on a larger grid, bool, its border interpolated linearly instead of drawn in steps."""
    import cv2

    if mask.shape == shape:
        return mask.copy()
    soft = cv2.resize(mask.astype(np.uint8) * 255, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(soft > 127)


def enlarge_part(mask: NDArray[np.bool_], shape: tuple[int, int], part: tuple[slice, slice]) -> NDArray[np.bool_]:
    """`enlarge_mask(mask, shape)[part]`, to a thirty-second of a pixel of `mask`, without the rest of it.

    `part`: rows and columns, each with a start and a stop, which may lie beyond the end.
    """
    import cv2

    if mask.shape == shape:
        return mask[part].copy()
    (top, bottom, _), (left, right, _) = (cut.indices(side) for cut, side in zip(part, shape, strict=True))
    across, down = mask.shape[1] / shape[1], mask.shape[0] / shape[0]
    back = np.array([[across, 0, (left + 0.5) * across - 0.5], [0, down, (top + 0.5) * down - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (right - left, bottom - top)
    soft = cv2.warpAffine(mask.astype(np.uint8) * 255, back, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(soft > 127)


def reduce_mask(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask, bool (H, W), at `shape`, which is nowhere larger: True where at least half of the area is."""
    import cv2

    if mask.shape == shape:
        return mask
    share = cv2.resize(mask.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(share >= 0.5)
