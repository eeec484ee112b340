"""The border drawn anew on a crop around the lesion, finer than the small square that the outline was found in.

The network sees colours as they differ from the skin of the same photo, so that it need not learn skin tones and
light, and the coarse outline, which it corrects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.candidates import fill_holes
from longderm.imaging.colour import srgb_to_lab
from longderm.imaging.fit import dice
from longderm.imaging.grid import reduce_pixels
from longderm.threads import one_thread

if TYPE_CHECKING:
    from longderm.models.border_network import BorderNetwork

#: Side of the crop as the network sees it, and its field: this many times the longer side of the lesion's box.
BORDER_SIDE_PX = 128
_FIELD, _MARGIN_PX = 1.8, 8
#: A larger crop is reduced by a whole factor, before what lies beyond the photo is added to it.
_LARGE_SIDE_PX = 1024
#: The skin's colour is fitted on a grid reduced so many times, to cells of which at least _WHOLE is inside of the photo
#: and where the coarse outline says less than _SKIN; where there are fewer than _FEWEST, to the share _FALLBACK of the
#: cells that look least like the lesion.
_REDUCTION, _WHOLE, _SKIN, _FEWEST, _FALLBACK = 4, 0.99, 0.1, 60, 0.2
#: What the coarse outline is surest of is the lesion's core.
_CORE = 0.7
#: Rounds of the fit, in which what differs from the plane counts less; colours beyond these multiples of the lesion's
#: own contrast, or of _FIXED_CONTRAST (in units of Lab), say no more.
_ROUNDS, _MOST, _FIXED_CONTRAST = 4, 3.0, 25.0
#: The lesion differs from skin by at least this (Lab): noise is not to be enlarged.
_LEAST_CONTRAST = 1.0
_SUREST = 1e-3
#: Probability at which the border lies, and decimals kept of it: the last bits of a sum must not move a border.
_LEVEL, _DECIMALS = 0.5, 4
#: A piece lies so much above the level at least: the line passes around it.
_ABOVE = np.float32(0.01)
#: A border drawn anew that overlaps with the coarse one by less (Dice) is that of something else: of 199 train photos
#: held out there were two such, both further from the expert's.
_LEAST_OVERLAP = 0.7


@dataclass(frozen=True)
class Crop:
    """A square of a photo, in native pixels: its left and upper edge, which may lie outside of the photo, and its side,
    a multiple of BORDER_SIDE_PX where it is large (_LARGE_SIDE_PX)."""

    left: int
    top: int
    side: int


@dataclass(frozen=True, eq=False)
class Cut:
    """A crop on the network's grid, S = BORDER_SIDE_PX: `pixels` uint8 (S, S, 3), beyond the photo its edge; the coarse
    outline's `probability` and what is `inside` of the field of view, both float32 (S, S) in [0, 1]."""

    pixels: NDArray[np.uint8]
    probability: NDArray[np.float32]
    inside: NDArray[np.float32]


def crop_around(mask: NDArray[np.bool_]) -> Crop:
    """The square around the lesion of a mask, bool (H, W) with a True at least."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
    side = round(_FIELD * max(bottom - top, right - left)) + _MARGIN_PX
    if side > _LARGE_SIDE_PX:
        side = -(-side // BORDER_SIDE_PX) * BORDER_SIDE_PX
    return Crop((left + right + 1 - side) // 2, (top + bottom + 1 - side) // 2, side)


def cut(pixels: NDArray[np.uint8], outline: NDArray[np.float32], field_of_view: NDArray[np.bool_], crop: Crop) -> Cut:
    """Cut a photo uint8 (H, W, 3), a map of probability, float32 (h, w), and the field of view, bool (h, w), the latter
    two on any grids over the whole photo."""
    shape = (pixels.shape[0], pixels.shape[1])
    seen = _cut_map(field_of_view.astype(np.float32), shape, crop)
    return Cut(
        _cut_pixels(pixels, crop, beyond_is_edge=True), _cut_map(outline, shape, crop), _inside(shape, crop) * seen
    )


def border_planes(seen: Cut) -> NDArray[np.float32]:
    """What the border network sees of a crop, float32 (PLANES, S, S).

    How L*, a*, b* differ from the skin around, relative to the lesion's own contrast (3 planes) and in units of 25 (3);
    log-odds of the coarse outline; what is inside of the field of view.
    """
    import cv2

    lab = srgb_to_lab(seen.pixels)
    probability = np.clip(seen.probability, _SUREST, 1 - _SUREST)
    side = BORDER_SIDE_PX // _REDUCTION
    coarse = cv2.resize(probability, (side, side), interpolation=cv2.INTER_AREA)
    whole = cv2.resize(seen.inside, (side, side), interpolation=cv2.INTER_AREA) > _WHOLE
    skin = whole & (coarse < _SKIN)
    if skin.sum() < _FEWEST:
        known = whole if whole.any() else np.ones_like(whole)
        skin = known & (coarse <= np.quantile(coarse[known], _FALLBACK))
    differs: NDArray[np.float32] = lab - _plane(lab, skin)
    core = probability >= min(_CORE, 0.8 * float(probability.max()))
    contrast = float(np.median(np.linalg.norm(differs, axis=2)[core])) + _LEAST_CONTRAST
    colours = [np.clip(differs / np.float32(unit), -_MOST, _MOST) for unit in (contrast, _FIXED_CONTRAST)]
    log_odds = np.log(probability / (1 - probability))
    planes = np.dstack([*colours, log_odds, seen.inside]).transpose(2, 0, 1)
    return np.ascontiguousarray(planes, dtype=np.float32)


def redraw(
    pixels: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    outline: NDArray[np.float32],
    field_of_view: NDArray[np.bool_],
    network: BorderNetwork,
) -> NDArray[np.bool_]:
    """The lesion of `mask`, bool (H, W) with a True at least, with its border drawn by the network.

    outline: the probability that the mask was drawn from; field_of_view: bool; each on any grid over the photo. The
    mask itself comes back where the network sees no lesion there, or one that has too little in common with it.
    """
    import torch

    crop = crop_around(mask)
    seen = cut(pixels, outline, field_of_view, crop)
    with one_thread(), torch.inference_mode():
        said = torch.sigmoid(network(torch.from_numpy(border_planes(seen)[None])))[0, 0].numpy()
    probability = np.round(said, _DECIMALS).astype(np.float32)
    piece = _piece(probability, seen.inside > 0.5, cut_mask(mask, crop))
    if piece is None:
        return mask
    drawn = _enlarge(probability, piece, mask.shape, crop)
    return drawn if dice(drawn, mask) >= _LEAST_OVERLAP else mask


def cut_mask(mask: NDArray[np.bool_], crop: Crop) -> NDArray[np.float32]:
    """The share of each of the crop's pixels that a mask, bool (H, W), covers, float32 (S, S); nothing beyond it."""
    share = _cut_pixels(mask.astype(np.uint8) * np.uint8(255), crop, beyond_is_edge=False)
    return np.asarray(share / np.float32(255), np.float32)


def _cut_pixels(image: NDArray[np.uint8], crop: Crop, beyond_is_edge: bool) -> NDArray[np.uint8]:
    """The crop of uint8 (H, W) or (H, W, 3) at S x S; beyond the photo, its edge goes on, or 0.

    Of a large crop, what lies beyond is added after the rest is reduced: it is much larger than the photo.
    """
    import cv2

    way = cv2.BORDER_REPLICATE if beyond_is_edge else cv2.BORDER_CONSTANT
    rows, columns = _overlap((image.shape[0], image.shape[1]), crop)
    if rows.start == rows.stop or columns.start == columns.stop:
        return np.zeros((BORDER_SIDE_PX, BORDER_SIDE_PX, *image.shape[2:]), np.uint8)
    step = crop.side // BORDER_SIDE_PX if crop.side > _LARGE_SIDE_PX else 1
    top, bottom = rows.start - crop.top, crop.top + crop.side - rows.stop
    left, right = columns.start - crop.left, crop.left + crop.side - columns.stop
    part = np.ascontiguousarray(image[rows, columns])
    aligned = cv2.copyMakeBorder(part, top % step, bottom % step, left % step, right % step, way)
    small = reduce_pixels(np.asarray(aligned, np.uint8), (aligned.shape[0] // step, aligned.shape[1] // step))
    square = cv2.copyMakeBorder(small, top // step, bottom // step, left // step, right // step, way)
    size = (BORDER_SIDE_PX, BORDER_SIDE_PX)
    if square.shape[0] >= BORDER_SIDE_PX:
        return reduce_pixels(np.asarray(square, np.uint8), size)
    return np.asarray(cv2.resize(square, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _cut_map(outline: NDArray[np.float32], shape: tuple[int, int], crop: Crop) -> NDArray[np.float32]:
    """The crop of a map that covers the whole photo of `shape`, float32 (S, S)."""
    import cv2

    step = crop.side / BORDER_SIDE_PX
    x, y = outline.shape[1] / shape[1], outline.shape[0] / shape[0]
    # Pixel centres: u of the crop lies at left + (u + 0.5) step of the photo.
    matrix = np.array(
        [
            [step * x, 0, (crop.left + 0.5 * step) * x - 0.5],
            [0, step * y, (crop.top + 0.5 * step) * y - 0.5],
        ]
    )
    size, flags = (BORDER_SIDE_PX, BORDER_SIDE_PX), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(outline, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _inside(shape: tuple[int, int], crop: Crop) -> NDArray[np.float32]:
    """1 where the crop's pixels lie in the photo, 0 beyond, shares between, float32 (S, S)."""
    step = crop.side / BORDER_SIDE_PX
    edges = np.arange(BORDER_SIDE_PX + 1) * step

    def share(start: int, size: int) -> NDArray[np.float64]:
        return np.asarray(np.diff(np.clip(start + edges, 0, size)) / step, np.float64)

    return np.outer(share(crop.top, shape[0]), share(crop.left, shape[1])).astype(np.float32)


def _overlap(shape: tuple[int, int], crop: Crop) -> tuple[slice, slice]:
    """Rows and columns of the photo of `shape` that lie in the crop; empty ones where none do."""
    top, left = min(max(0, crop.top), shape[0]), min(max(0, crop.left), shape[1])
    bottom, right = max(top, min(shape[0], crop.top + crop.side)), max(left, min(shape[1], crop.left + crop.side))
    return slice(top, bottom), slice(left, right)


def _plane(lab: NDArray[np.float32], skin: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The skin's colour (S, S, 3), a plane fitted to Lab (S, S, 3) where `skin`, bool (s, s), on a smaller grid."""
    import cv2

    def rising(side: int) -> NDArray[np.float64]:
        at = (np.arange(side) + 0.5) / side - 0.5
        return np.stack([np.ones((side, side)), np.broadcast_to(at, (side, side)), np.repeat(at[:, None], side, 1)], -1)

    small = cv2.resize(lab, (skin.shape[1], skin.shape[0]), interpolation=cv2.INTER_AREA)
    known = np.asarray(rising(skin.shape[0])[skin], np.float64)
    colours = np.asarray(small[skin], np.float64)
    weight: NDArray[np.float64] = np.ones(len(known))
    plane: NDArray[np.floating[Any]] = np.zeros((3, 3))
    for _ in range(_ROUNDS):
        plane = np.linalg.lstsq(known * weight[:, None], colours * weight[:, None], rcond=None)[0]
        off = np.linalg.norm(colours - known @ plane, axis=1)
        weight = np.asarray(1 / np.sqrt(1 + np.square(off / (2 * np.median(off) + 1e-3))), np.float64)
    return (rising(BORDER_SIDE_PX) @ plane).astype(np.float32)


def _piece(
    probability: NDArray[np.float32], inside: NDArray[np.bool_], mask: NDArray[np.float32]
) -> NDArray[np.bool_] | None:
    """The connected area above _LEVEL inside of the field of view that has most in common with the mask, without holes,
    or None."""
    import cv2

    count, labels = cv2.connectedComponents(((probability > _LEVEL) & inside).astype(np.uint8), connectivity=4)
    shared = np.bincount(labels.ravel(), weights=mask.ravel(), minlength=count)
    shared[0] = 0
    best = int(np.argmax(np.round(shared, 3)))
    return fill_holes(labels == best) if best else None


def _enlarge(
    probability: NDArray[np.float32], piece: NDArray[np.bool_], shape: tuple[int, int], crop: Crop
) -> NDArray[np.bool_]:
    """The level line around a piece of the crop as a mask of the photo, bool `shape`."""
    import cv2

    # As in `draw_level`: holes are filled and other areas left out before the map is enlarged.
    level = np.float32(_LEVEL)
    joined = np.where(piece, np.maximum(probability, level + _ABOVE), np.minimum(probability, level)).astype(np.float32)
    rows, columns = _overlap(shape, crop)
    step = BORDER_SIDE_PX / crop.side
    # What the network says beyond the photo is nothing: the photo's last row goes on there.
    joined = joined[np.ix_(_held_inside(rows, crop.top, step), _held_inside(columns, crop.left, step))]
    matrix = np.array(
        [
            [step, 0, (columns.start - crop.left + 0.5) * step - 0.5],
            [0, step, (rows.start - crop.top + 0.5) * step - 0.5],
        ]
    )
    size = (columns.stop - columns.start, rows.stop - rows.start)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    drawn = np.zeros(shape, dtype=np.bool_)
    drawn[rows, columns] = cv2.warpAffine(joined, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE) > level
    return drawn


def _held_inside(there: slice, edge: int, step: float) -> NDArray[np.intp]:
    """For each row of a crop that begins at `edge`, the nearest one whose centre lies in the photo's rows `there`."""
    first, last = (np.ceil((there.start - edge) * step - 0.5), np.floor((there.stop - edge) * step - 0.5))
    return np.clip(np.arange(BORDER_SIDE_PX), min(int(first), BORDER_SIDE_PX - 1), max(int(last), int(first), 0))
