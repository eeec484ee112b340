"""Cut-out: the lesion and the ring of skin around it on a grid of bounded size, with what covers them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.artefacts import Artefacts, find_artefacts
from longderm.imaging.grid import LARGE_SIDE_PX, reduce_mask, reduce_pixels, reduced_shape
from longderm.photo import Photo

#: Longer side of a cut-out at most.
SIDE_PX = 384
#: It reaches beyond the lesion by this share of its longer side, and by some pixels, to hold the ring of skin.
_MARGIN, _MARGIN_PX = 0.35, 8
#: In a large photo it begins and ends at a multiple of this, so that it can be averaged two by two.
_LARGE_GRAIN_PX = 4


@dataclass(frozen=True, eq=False)
class CutOut:
    """Part of a photo: `pixels` uint8 (h, w, 3), the lesion's `mask`, what is `inside` of the field of view, and what

    is `clear` there of hair and glare, each bool (h, w). native_px: native pixels per pixel of the cut-out.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    clear: NDArray[np.bool_]
    native_px: float


def window_around(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of the lesion of a mask, bool (H, W) with a True at least, and of the skin around it."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    margin = round(_MARGIN * max(int(rows[-1] - rows[0]), int(columns[-1] - columns[0]))) + _MARGIN_PX
    grain = _LARGE_GRAIN_PX if max(mask.shape) >= LARGE_SIDE_PX else 1
    return (
        slice(max(0, int(rows[0]) - margin) // grain * grain, -(-(int(rows[-1]) + margin + 1) // grain) * grain),
        slice(max(0, int(columns[0]) - margin) // grain * grain, -(-(int(columns[-1]) + margin + 1) // grain) * grain),
    )


def cut_out(photo: Photo, mask: NDArray[np.bool_], artefacts: Artefacts | None = None) -> CutOut:
    """The lesion of a mask, bool (H, W) with a True at least, and the skin around it.

    Hair and glare are sought on the whole photo, where a hair is seen at its length, unless `artefacts` are given.
    """
    window = window_around(mask)
    pixels = np.ascontiguousarray(photo.pixels[window])
    native = (pixels.shape[0], pixels.shape[1])
    shape = reduced_shape(native, SIDE_PX)
    artefacts = artefacts if artefacts is not None else find_artefacts(photo.pixels)
    inside, clear = artefacts.seen()
    size = inside.shape
    # Both lie on a grid of the whole photo; the window is cut from it by position.
    step = (photo.shape[0] / size[0], photo.shape[1] / size[1])
    y = (np.arange(shape[0]) + 0.5) * native[0] / shape[0] + window[0].start
    x = (np.arange(shape[1]) + 0.5) * native[1] / shape[1] + window[1].start
    at = np.ix_(
        np.clip((y / step[0]).astype(np.intp), 0, size[0] - 1), np.clip((x / step[1]).astype(np.intp), 0, size[1] - 1)
    )
    return CutOut(
        reduce_pixels(pixels, shape),
        reduce_mask(mask[window], shape),
        np.asarray(inside[at]),
        np.asarray(clear[at]),
        max(native) / max(shape),
    )
