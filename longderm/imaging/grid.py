"""Grids: reduced copies of a photo to work on, and masks brought back to its full size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longderm.photo import Photo

#: A grid with a longer side from here on is large: averaging all of its pixels for every small copy would cost more
#: than all that is done on the copies. It is first averaged two by two, which is quick. Photos of 1 to 3 megapixels are
#: averaged in one step.
LARGE_SIDE_PX = 2048
#: ... as long as the halves are at least this many times as large as the copy. A pixel of the copy then covers more
#: than two of the halves along each axis; at its rim, pixels are weighted in pairs instead of one by one.
_LEAST_OF_COPY = 2
#: Masks of large parts are sampled so many times a pixel, along each axis.
_SAMPLES = 4


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
    """Area-averaged copy of uint8 (H, W, 3) or (H, W) at `shape`, which is nowhere larger.

    Large ones (`LARGE_SIDE_PX`) are averaged two by two before, once or more, and rounded to whole levels, halves up:
    each time, their mean rises by an eighth of a level. Two native pixels at the rim of a pixel of the copy get one
    weight: where they differ, the copy is off by at most an eighth of the difference at each of its sides.
    """
    import cv2

    if pixels.shape[:2] == shape:
        return pixels.copy()
    reduced = cv2.resize(_halved(pixels, shape), (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(reduced, dtype=np.uint8)


def _halved(pixels: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Large pixels averaged two by two while they stay large enough for a copy of `shape`; others as they are."""
    import cv2

    halve = max(pixels.shape[:2]) >= LARGE_SIDE_PX
    while halve:
        height, width = pixels.shape[:2]
        even = height % 2 == 0 and width % 2 == 0
        halve = even and height >= 2 * _LEAST_OF_COPY * shape[0] and width >= 2 * _LEAST_OF_COPY * shape[1]
        if halve:
            pixels = np.asarray(cv2.resize(pixels, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8)
    return pixels


def enlarge_mask(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask on a larger grid, bool, its border interpolated linearly instead of drawn in steps."""
    import cv2

    if mask.shape == shape:
        return mask.copy()
    soft = cv2.resize(mask.astype(np.uint8) * 255, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(soft > 127)


def enlarge_part(
    mask: NDArray[np.bool_],
    shape: tuple[int, int],
    part: tuple[slice, slice],
    size: tuple[int, int] | None = None,
) -> NDArray[np.bool_]:
    """`enlarge_mask(mask, shape)[part]`, to a thirty-second of a pixel of `mask`, without the rest of it.

    `part`: rows and columns, each with a start and a stop, which may lie beyond the end. size: (height, width) of the
    result where it is not that of the part: its pixels are then sampled at their centres.
    """
    import cv2

    (top, bottom, _), (left, right, _) = (cut.indices(side) for cut, side in zip(part, shape, strict=True))
    native = (bottom - top, right - left)
    size = size if size is not None else native
    if mask.shape == shape and size == native:
        return mask[part].copy()
    across, down = mask.shape[1] / shape[1], mask.shape[0] / shape[0]
    right_step, down_step = native[1] / size[1], native[0] / size[0]
    back = np.array(
        [
            [across * right_step, 0, (left + 0.5 * right_step) * across - 0.5],
            [0, down * down_step, (top + 0.5 * down_step) * down - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    bytes_of = mask.astype(np.uint8) * np.uint8(255)
    soft = cv2.warpAffine(bytes_of, back, (size[1], size[0]), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(soft > 127)


def cut_part(
    mask: NDArray[np.bool_], shape: tuple[int, int], part: tuple[slice, slice], size: tuple[int, int]
) -> NDArray[np.bool_]:
    """A part of a photo of `shape`, cut from a `mask` that covers all of it on another grid, bool at `size`, which is
    nowhere larger than the part: True where at least half of the area is, the mask's border interpolated linearly.

    Areas are counted in pixels of the photo; where the part is large (`LARGE_SIDE_PX`), in `_SAMPLES` times
    `_SAMPLES` samples per pixel of the result.
    """
    (top, bottom, _), (left, right, _) = (cut.indices(side) for cut, side in zip(part, shape, strict=True))
    large = max(bottom - top, right - left) >= LARGE_SIDE_PX
    fine = (_SAMPLES * size[0], _SAMPLES * size[1]) if large else None
    return reduce_mask(enlarge_part(mask, shape, part, fine), size)


def reduce_mask(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask, bool (H, W), at `shape`, which is nowhere larger: True where at least half of the area is.

    Of large ones (`LARGE_SIDE_PX`), shares of the area are good to 0.2%.
    """
    import cv2

    if mask.shape == shape:
        return mask
    if max(mask.shape) >= LARGE_SIDE_PX:
        return np.asarray(reduce_pixels(mask.astype(np.uint8) * np.uint8(255), shape) > 127)
    share = cv2.resize(mask.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(share >= 0.5)
