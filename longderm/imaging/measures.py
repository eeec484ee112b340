"""Measures: size, shape and colour of the lesion in one photo, against the skin around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.artefacts import Artefacts, find_artefacts
from longderm.imaging.candidates import ring_around
from longderm.imaging.colour import srgb_to_lab
from longderm.imaging.cut_out import window_around
from longderm.imaging.features import masked_blur
from longderm.imaging.grid import cut_part, reduce_mask, reduce_pixels, reduced_shape
from longderm.imaging.lesion_looks import ColourCluster, describe
from longderm.imaging.palette import BLACK, BLUE_GREY, COLOURS, DARK_BROWN, name_colours
from longderm.imaging.rounding import DIGITS, significant
from longderm.imaging.segmentation import Segmentation, lesion_mask, segment
from longderm.imaging.shape import asymmetry
from longderm.imaging.size import measure_size
from longderm.photo import Photo
from longderm.schema import TBP_COLUMNS

#: Longer side of the cut-out on which colour is measured.
_COLOUR_SIDE_PX = 256
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
    of the lesion minus those of the ring of skin around it without its darkest and lightest tenth (`tbp` keeps them).
    dark_fraction: share of the lesion that is dark brown, blue-grey or black. Hair, glare and what lies outside of the
    field of view are left out of all colours.

    ita_deg, ita_class, melanin_index: of the skin around, see `longderm.imaging.skin_tone`. colours: the lesion's named
    colours, largest share first (clusters; colour_count counts pixels). border_width_px, border_width_mm,
    border_width_spread: see `longderm.imaging.lesion_looks.LesionLooks`. tbp: the columns of the ISIC 2024 challenge,
    name -> value (`longderm.schema.TBP_COLUMNS`). structures: dermoscopic structures in the photo, name -> probability
    (`longderm.imaging.find_structures`), as the network saw them that drew the mask; None where none did.
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
    ita_deg: float | None = None
    ita_class: str | None = None
    melanin_index: float | None = None
    colours: tuple[ColourCluster, ...] | None = None
    border_width_px: float | None = None
    border_width_mm: float | None = None
    border_width_spread: float | None = None
    tbp: Mapping[str, float | None] = field(default_factory=lambda: dict.fromkeys(TBP_COLUMNS))
    structures: Mapping[str, float] | None = None


def measure(photo: Photo, segmentation: Segmentation | None = None, artefacts: Artefacts | None = None) -> Measures:
    """Measure the lesion of a photo; without a segmentation, `segment` draws it.

    `artefacts` are found where they are not given. Lengths in mm need `photo.meta.px_per_mm`, which a ruler in the
    photo gives by `with_scale(photo, find_scale(photo))`. Raises ValueError when the mask is not on the photo's grid.
    """
    artefacts = artefacts if artefacts is not None else find_artefacts(photo.pixels)
    segmentation = segmentation if segmentation is not None else segment(photo, artefacts=artefacts)
    mask = lesion_mask(photo, segmentation)
    seen = segmentation.structures.as_dict() if segmentation.structures is not None else None
    if mask is None:
        return Measures(structures=seen)
    window = window_around(mask)
    size = measure_size(mask[window], photo.meta.px_per_mm)
    looks = describe(photo, segmentation, artefacts, size)
    return Measures(
        **asdict(size),
        **_colours(photo, mask, window, artefacts),
        ita_deg=significant(looks.tone.ita_deg) if looks.tone is not None else None,
        ita_class=looks.tone.ita_class if looks.tone is not None else None,
        melanin_index=significant(looks.tone.melanin_index) if looks.tone is not None else None,
        colours=looks.colours or None,
        border_width_px=looks.border_width_px,
        border_width_mm=looks.border_width_mm,
        border_width_spread=looks.border_width_spread,
        tbp=dict(looks.tbp),
        structures=seen,
    )


def _colours(
    photo: Photo, full_mask: NDArray[np.bool_], window: tuple[slice, slice], artefacts: Artefacts
) -> dict[str, Any]:
    pixels = np.ascontiguousarray(photo.pixels[window])
    shape = reduced_shape((pixels.shape[0], pixels.shape[1]), _COLOUR_SIDE_PX)
    mask = reduce_mask(full_mask[window], shape)
    if not mask.any():
        return {}
    inside, clear = (cut_part(seen, photo.shape, window, shape) for seen in artefacts.seen())
    lab = srgb_to_lab(reduce_pixels(pixels, shape))
    side = max(shape)
    lesion = mask & clear
    enough = lesion.sum() >= max(_MIN_CLEAR_PIXELS, _MIN_CLEAR_SHARE * mask.sum())
    if not enough:
        return {"asymmetry_shape": significant(asymmetry(mask, lab)[0])}

    fine, _ = masked_blur(lab, lesion, _COLOUR_BLUR * side)
    smooth, _ = masked_blur(lab, lesion, _ASYMMETRY_BLUR * side)
    of_shape, of_colour = asymmetry(mask, smooth)
    values = fine[lesion].astype(np.float64)
    mean = values.mean(axis=0)
    result: dict[str, Any] = {
        "asymmetry_shape": significant(of_shape),
        "asymmetry_colour": significant(of_colour),
        "colour_variegation": significant(float(np.sqrt(((values - mean) ** 2).sum(axis=1).mean()))),
    }
    skin = _ring_colour(lab, mask, inside, clear)
    if skin is None:
        return result
    codes = name_colours(fine[lesion], skin.astype(np.float32))
    shares = np.bincount(codes, minlength=len(COLOURS) + 1) / codes.size
    delta = mean - skin
    result["colour_count"] = int(np.count_nonzero(np.round(shares[1:], DIGITS) >= _COLOUR_MIN_SHARE))
    result["dark_fraction"] = significant(float(shares[[DARK_BROWN, BLUE_GREY, BLACK]].sum()))
    result["delta_lightness"], result["delta_a"], result["delta_b"] = (significant(float(value)) for value in delta)
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
