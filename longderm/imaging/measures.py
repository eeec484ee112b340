"""Measures: size, shape and colour of the lesion in one photo, against the skin around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.artefacts import Artefacts, find_artefacts
from longderm.imaging.candidates import ring_around
from longderm.imaging.colour import srgb_to_lab
from longderm.imaging.cut_out import window_around
from longderm.imaging.features import masked_blur
from longderm.imaging.grid import enlarge_mask, reduce_pixels, reduced_shape
from longderm.imaging.palette import BLACK, BLUE_GREY, COLOURS, DARK_BROWN, name_colours
from longderm.imaging.segmentation import Segmentation, lesion_mask
from longderm.imaging.shape import asymmetry, eccentricity, trace
from longderm.photo import Photo

#: Longer side of the cut-out on which shape is measured, and of that on which colour is.
_SHAPE_SIDE_PX, _COLOUR_SIDE_PX = 512, 256
#: Fewer clear pixels of skin than this share of the ring, or of lesion than this share of the mask, say nothing.
_MIN_CLEAR_SHARE = 0.1
_MIN_CLEAR_PIXELS = 30
#: The ring's mean leaves out this share of its darkest and of its lightest pixels (other spots, missed hair or glare).
_RING_TRIM = 0.1
#: Texture finer than this share of the cut-out is blurred before halves are compared: colour, not pores, is meant.
_ASYMMETRY_BLUR = 0.02
#: Pixel noise is blurred before colours are told apart.
_COLOUR_BLUR = 0.006
#: A colour counts from this share of the lesion on.
_COLOUR_MIN_SHARE = 0.03
#: Every measure is rounded to this many significant digits, so that the last bits of a sum reach no table.
_DIGITS = 6


@dataclass(frozen=True)
class Measures:
    """What is measured of one lesion; every field is None where no lesion was found or it cannot be measured.

    area_px: pixels of the mask on the native grid. area_mm2: the same by the photo's scale.
    long_diam_px, clin_size_long_diam_mm: the greatest distance between two points of the border (ISIC archive:
    `clin_size_long_diam_mm`). short_diam_mm: the extent at right angles to it. perimeter_mm: length of the border,
    smoothed over 0.8% of itself. eccentricity: of the ellipse with the same second moments, 0 for a disc, below 1.
    border_irregularity: perimeter^2 / (4 pi area), 1 for a disc. asymmetry_shape, asymmetry_colour: see
    `longderm.imaging.shape.asymmetry`; in [0, 1], and in Lab units. colour_count: how many of the six colours of
    dermoscopy (`longderm.imaging.palette`) cover at least 3% of the lesion. colour_variegation: root mean square Lab
    distance of the lesion's pixels from their mean. delta_lightness, delta_a, delta_b: mean L*, a*, b* (CIE 1976, D65)
    of the lesion minus those of the ring of skin around it. dark_fraction: share of the lesion that is dark brown,
    blue-grey or black. Hair, glare and what lies outside of the field of view are left out of all colours.
    """

    area_px: float | None = None
    area_mm2: float | None = None
    perimeter_mm: float | None = None
    clin_size_long_diam_mm: float | None = None
    short_diam_mm: float | None = None
    long_diam_px: float | None = None
    eccentricity: float | None = None
    border_irregularity: float | None = None
    asymmetry_shape: float | None = None
    asymmetry_colour: float | None = None
    colour_count: int | None = None
    colour_variegation: float | None = None
    delta_lightness: float | None = None
    delta_a: float | None = None
    delta_b: float | None = None
    dark_fraction: float | None = None


def measure(photo: Photo, segmentation: Segmentation | None = None, artefacts: Artefacts | None = None) -> Measures:
    """Measure the lesion of a photo; without a segmentation, `segment` draws it.

    `artefacts` are found where they are not given. Lengths in mm need `photo.meta.px_per_mm`. Raises ValueError when
    the mask is not on the photo's grid.
    """
    mask = lesion_mask(photo, segmentation)
    if mask is None:
        return Measures()
    window = window_around(mask)
    return Measures(
        **_size_and_shape(mask[window], photo.meta.px_per_mm),
        **_colours(photo, mask, window, artefacts),
    )


def _size_and_shape(mask: NDArray[np.bool_], px_per_mm: float | None) -> dict[str, Any]:
    area_px = float(np.count_nonzero(mask))
    shape = reduced_shape((mask.shape[0], mask.shape[1]), _SHAPE_SIDE_PX)
    native_px = max(mask.shape) / max(shape)
    small = _reduce_mask(mask, shape)
    outline = trace(small)
    result: dict[str, Any] = {"area_px": area_px}
    if outline is not None:
        longest, across = (length * native_px for length in outline.diameters())
        result["long_diam_px"] = _round(longest)
        result["border_irregularity"] = _round(outline.irregularity)
        result["eccentricity"] = _round(eccentricity(small))
        if px_per_mm is not None:
            result["perimeter_mm"] = _round(outline.perimeter * native_px / px_per_mm)
            result["clin_size_long_diam_mm"] = _round(longest / px_per_mm)
            result["short_diam_mm"] = _round(across / px_per_mm)
    if px_per_mm is not None:
        result["area_mm2"] = _round(area_px / px_per_mm**2)
    return result


def _colours(
    photo: Photo, full_mask: NDArray[np.bool_], window: tuple[slice, slice], artefacts: Artefacts | None
) -> dict[str, Any]:
    pixels = np.ascontiguousarray(photo.pixels[window])
    shape = reduced_shape((pixels.shape[0], pixels.shape[1]), _COLOUR_SIDE_PX)
    mask = _reduce_mask(full_mask[window], shape)
    if not mask.any():
        return {}
    artefacts = artefacts if artefacts is not None else find_artefacts(photo.pixels)
    seen = (enlarge_mask(part, photo.shape) for part in artefacts.seen())
    inside, clear = (_reduce_mask(part[window], shape) for part in seen)
    lab = srgb_to_lab(reduce_pixels(pixels, shape))
    side = max(shape)
    lesion = mask & clear
    enough = lesion.sum() >= max(_MIN_CLEAR_PIXELS, _MIN_CLEAR_SHARE * mask.sum())
    if not enough:
        return {"asymmetry_shape": _round(asymmetry(mask, lab)[0])}

    fine, _ = masked_blur(lab, lesion, _COLOUR_BLUR * side)
    smooth, _ = masked_blur(lab, lesion, _ASYMMETRY_BLUR * side)
    of_shape, of_colour = asymmetry(mask, smooth)
    values = fine[lesion].astype(np.float64)
    mean = values.mean(axis=0)
    result: dict[str, Any] = {
        "asymmetry_shape": _round(of_shape),
        "asymmetry_colour": _round(of_colour),
        "colour_variegation": _round(float(np.sqrt(((values - mean) ** 2).sum(axis=1).mean()))),
    }
    skin = _ring_colour(lab, mask, inside, clear)
    if skin is None:
        return result
    codes = name_colours(fine[lesion], skin.astype(np.float32))
    shares = np.bincount(codes, minlength=len(COLOURS) + 1) / codes.size
    delta = mean - skin
    result["colour_count"] = int(np.count_nonzero(np.round(shares[1:], _DIGITS) >= _COLOUR_MIN_SHARE))
    result["dark_fraction"] = _round(float(shares[[DARK_BROWN, BLUE_GREY, BLACK]].sum()))
    result["delta_lightness"], result["delta_a"], result["delta_b"] = (_round(float(value)) for value in delta)
    return result


def _ring_colour(
    lab: NDArray[np.float32], mask: NDArray[np.bool_], inside: NDArray[np.bool_], clear: NDArray[np.bool_]
) -> NDArray[np.float64] | None:
    """Trimmed mean Lab (3,) of the clear skin around the mask, or None where there is too little of it."""
    ring, _ = ring_around(mask, inside)
    skin = lab[ring & clear].astype(np.float64)
    if len(skin) < max(_MIN_CLEAR_PIXELS, _MIN_CLEAR_SHARE * ring.sum()):
        return None
    order = np.argsort(skin[:, 0], kind="stable")
    cut = int(_RING_TRIM * len(skin))
    return np.asarray(skin[order[cut : len(skin) - cut]].mean(axis=0))


def _reduce_mask(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    import cv2

    if mask.shape == shape:
        return mask
    share = cv2.resize(mask.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(share >= 0.5)


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
