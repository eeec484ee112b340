"""How a lesion looks in one photo beside what `measure` gives: named colours, border, and the ISIC-2024 columns.

The columns are named and defined as in the metadata of the ISIC 2024 challenge ("SLICE-3D", Kurtansky et al. 2024,
doi 10.1038/s41597-024-03743-w), whose source is a total-body system (`tbp_lv_`). Its own code is not public: where the
description leaves a formula open, ours is stated in `longderm.schema.TBP_COLUMNS`; columns whose formula cannot be told
from it (`tbp_lv_norm_border`, `tbp_lv_norm_color`, `tbp_lv_deltaLBnorm`) and those that no single photo shows
(location, coordinates, the vendor's classifier) are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.artefacts import Artefacts
from longderm.imaging.candidates import ring_around
from longderm.imaging.colour import linear_to_lab, srgb_to_linear
from longderm.imaging.cut_out import CutOut, cut_out, window_around
from longderm.imaging.features import masked_blur
from longderm.imaging.palette import COLOURS, name_colours
from longderm.imaging.rounding import DIGITS, significant
from longderm.imaging.segmentation import Segmentation, lesion_mask
from longderm.imaging.shape import shape_asymmetry_by_axis, trace
from longderm.imaging.size import Size, measure_size
from longderm.imaging.skin_tone import Illumination, SkinTone, illumination, skin_tone
from longderm.photo import Photo
from longderm.schema import TBP_COLUMNS

#: Colours are grouped into at most so many clusters ...
_CLUSTERS = 8
#: ... by this many passes of k-means, and clusters below this share of the lesion are noise.
_PASSES, _MIN_SHARE = 6, 0.01
#: Pixel noise is blurred before (share of the cut-out's longer side).
_BLUR = 0.006
#: Rings around the centre in which colours are compared.
_RINGS = 8
#: The border's profile is read this far to either side (share of the equivalent radius) at so many places ...
_PROFILE_REACH, _PROFILE_PLACES = 0.3, 120
#: ... with so many steps, of which a border without this contrast (L*) is left out.
_PROFILE_STEPS, _MIN_CONTRAST = 41, 4.0
#: Fewer clear pixels than this, or this share of the mask, say nothing of colour.
_MIN_PIXELS, _MIN_CLEAR = 30, 0.1

Lab = NDArray[np.float32]


@dataclass(frozen=True)
class ColourCluster:
    """One colour of a lesion.

    name: of `longderm.imaging.palette.COLOURS`, or "skin"; share: of the lesion's clear pixels, in [0, 1] (clusters
    below 1% are left out, so shares may sum to less than 1); lab: its mean L*, a*, b* (CIE 1976, D65), not corrected
    for the skin beside which it was named.
    """

    name: str
    share: float
    lab: tuple[float, float, float]


@dataclass(frozen=True)
class LesionLooks:
    """What `describe` finds; None (or empty) where it cannot be told.

    tone, light: of the skin around the lesion. colours: the lesion's colours, largest share first; shares of one
    name are those of several clusters together. border_width_px, border_width_mm: distance over which the border
    goes from 10% to 90% of the way between lesion and skin in L*, median over the border (native pixels; mm with a
    scale): small for a sharp border; at most 0.6 of the lesion's equivalent radius, as far as it is looked for. Our
    definition, after the rise distance of optics; the photo's own blur is in it. border_width_spread: interquartile
    range over median, large for a border that is sharp here and fades there ("abrupt cutoff" in part). tbp: the
    columns of `TBP_COLUMNS`, mm only with a scale.
    """

    tone: SkinTone | None = None
    light: Illumination | None = None
    colours: tuple[ColourCluster, ...] = ()
    border_width_px: float | None = None
    border_width_mm: float | None = None
    border_width_spread: float | None = None
    tbp: Mapping[str, float | None] = field(default_factory=lambda: MappingProxyType(dict.fromkeys(TBP_COLUMNS)))


def describe(
    photo: Photo,
    segmentation: Segmentation | None = None,
    artefacts: Artefacts | None = None,
    size: Size | None = None,
) -> LesionLooks:
    """Describe the lesion of a photo; without a segmentation, `segment` draws it.

    `artefacts` and the mask's `size` are found where they are not given (`longderm.imaging.measure` has them).
    Lengths in mm need `photo.meta.px_per_mm`. Raises ValueError when the mask is not on the photo's grid.
    """
    mask = lesion_mask(photo, segmentation)
    if mask is None:
        return LesionLooks()
    part = cut_out(photo, mask, artefacts)
    if not part.mask.any():
        return LesionLooks()
    ring, _ = ring_around(part.mask, part.inside)
    linear = srgb_to_linear(part.pixels)
    lab = linear_to_lab(linear)
    lesion, skin = part.mask & part.clear, ring & part.clear
    tbp: dict[str, float | None] = dict.fromkeys(TBP_COLUMNS)
    size = size if size is not None else measure_size(mask[window_around(mask)], photo.meta.px_per_mm)
    tbp |= _shape_columns(part, size)
    colours: tuple[ColourCluster, ...] = ()
    tone = skin_tone(linear, skin)
    width = spread = None
    if lesion.sum() >= max(_MIN_PIXELS, _MIN_CLEAR * part.mask.sum()):
        tbp |= _inside_columns(lab, lesion, part.mask)
        if tone is not None:
            tbp |= _outside_columns(lab, lesion, skin)
            colours = named_colours(lab, lesion, np.array([tone.lightness, tone.a, tone.b], np.float32))
            width, spread = _border_width(lab[..., 0], part)
    scale = photo.meta.px_per_mm
    return LesionLooks(
        tone=tone,
        light=illumination(linear, skin),
        colours=colours,
        border_width_px=significant(width),
        border_width_mm=significant(width / scale) if width is not None and scale is not None else None,
        border_width_spread=significant(spread),
        tbp=MappingProxyType({name: significant(value) for name, value in tbp.items()}),
    )


def named_colours(lab: Lab, lesion: NDArray[np.bool_], skin: Lab) -> tuple[ColourCluster, ...]:
    """Clusters of the lesion's Lab colours, named beside a skin of Lab (3,); those of one name together.

    Deterministic k-means: the first centres are the means of equal parts of the pixels sorted by lightness.
    """
    smooth, _ = masked_blur(lab, lesion, _BLUR * max(lesion.shape))
    values = smooth[lesion].astype(np.float32)
    parts = np.array_split(values[np.argsort(values[:, 0], kind="stable")], min(_CLUSTERS, len(values)))
    centres = np.stack([part.mean(axis=0) for part in parts])
    label = np.zeros(len(values), np.intp)
    for _ in range(_PASSES):
        # The squared distance less what is common to all centres.
        label = np.argmin((centres**2).sum(axis=1)[None, :] - 2 * values @ centres.T, axis=1)
        count = np.bincount(label, minlength=len(centres))
        sums = np.stack([np.bincount(label, weights=values[:, i], minlength=len(centres)) for i in range(3)], axis=1)
        centres = np.where(count[:, None] > 0, sums / np.maximum(count, 1)[:, None], centres).astype(np.float32)
    share = np.bincount(label, minlength=len(centres)) / len(values)
    codes = name_colours(centres, skin)
    found = []
    for code in np.unique(codes):
        of_name = (codes == code) & (share >= _MIN_SHARE)
        total = float(share[of_name].sum())
        if total > 0:
            mean = (centres[of_name] * share[of_name][:, None]).sum(axis=0) / total
            name = "skin" if code == 0 else COLOURS[code - 1]
            lightness, a, b = (round(float(value), 4) for value in mean)
            found.append(ColourCluster(name, round(total, DIGITS), (lightness, a, b)))
    return tuple(sorted(found, key=lambda cluster: (-cluster.share, cluster.name)))


def _shape_columns(part: CutOut, size: Size) -> dict[str, float | None]:
    columns: dict[str, float | None] = {
        "clin_size_long_diam_mm": size.clin_size_long_diam_mm,
        "tbp_lv_areaMM2": size.area_mm2,
        "tbp_lv_eccentricity": size.eccentricity,
        "tbp_lv_minorAxisMM": size.short_diam_mm,
        "tbp_lv_perimeterMM": size.perimeter_mm,
    }
    if size.border_irregularity is None:
        return columns
    by_axis = shape_asymmetry_by_axis(part.mask)
    half = len(by_axis) // 2
    best = int(np.argmin(np.round(by_axis, DIGITS)))
    return columns | {
        "tbp_lv_area_perim_ratio": 4 * np.pi * size.border_irregularity,
        "tbp_lv_symm_2axis": max(0.0, float(by_axis[(best + half) % len(by_axis)])),
        "tbp_lv_symm_2axis_angle": best * 180.0 / len(by_axis),
    }


def _inside_columns(lab: Lab, lesion: NDArray[np.bool_], mask: NDArray[np.bool_]) -> dict[str, float | None]:
    values = lab[lesion].astype(np.float64)
    lightness, a, b = values.mean(axis=0)
    spread = values.std(axis=0)
    rows, columns = np.nonzero(mask)
    y, x = np.nonzero(lesion)
    away = np.hypot(x - columns.mean(), y - rows.mean())
    ring = np.minimum((away / (away.max() + 1e-6) * _RINGS).astype(np.intp), _RINGS - 1)
    radial = [float(values[ring == i].std(axis=0).mean()) for i in range(_RINGS) if (ring == i).sum() >= _MIN_PIXELS]
    return {
        "tbp_lv_L": float(lightness),
        "tbp_lv_A": float(a),
        "tbp_lv_B": float(b),
        "tbp_lv_C": float(np.hypot(a, b)),
        "tbp_lv_H": float(np.degrees(np.arctan2(b, a))),
        "tbp_lv_stdL": float(spread[0]),
        "tbp_lv_color_std_mean": float(spread.mean()),
        "tbp_lv_radial_color_std_max": max(radial, default=None),
    }


def _outside_columns(lab: Lab, lesion: NDArray[np.bool_], skin: NDArray[np.bool_]) -> dict[str, float | None]:
    outside = lab[skin].astype(np.float64)
    lightness, a, b = outside.mean(axis=0)
    delta = lab[lesion].astype(np.float64).mean(axis=0) - outside.mean(axis=0)
    return {
        "tbp_lv_Lext": float(lightness),
        "tbp_lv_Aext": float(a),
        "tbp_lv_Bext": float(b),
        "tbp_lv_Cext": float(np.hypot(a, b)),
        "tbp_lv_Hext": float(np.degrees(np.arctan2(b, a))),
        "tbp_lv_stdLExt": float(outside[:, 0].std()),
        "tbp_lv_deltaL": float(delta[0]),
        "tbp_lv_deltaA": float(delta[1]),
        "tbp_lv_deltaB": float(delta[2]),
        "tbp_lv_deltaLB": float(np.hypot(delta[0], delta[2])),
    }


def _border_width(lightness: NDArray[np.float32], part: CutOut) -> tuple[float | None, float | None]:
    """(median, spread) of the distance from 10% to 90% of the way from lesion to skin, native pixels."""
    import cv2

    outline = trace(part.mask)
    if outline is None:
        return None, None
    points = outline.points[:: max(1, len(outline.points) // _PROFILE_PLACES)]
    tangent = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    normal = (
        np.column_stack([tangent[:, 1], -tangent[:, 0]]) / np.maximum(np.linalg.norm(tangent, axis=1), 1e-9)[:, None]
    )
    reach = max(3.0, _PROFILE_REACH * float(np.sqrt(part.mask.sum() / np.pi)))
    offsets = np.linspace(-reach, reach, _PROFILE_STEPS)
    x = (points[:, :1] + normal[:, :1] * offsets).astype(np.float32)
    y = (points[:, 1:] + normal[:, 1:] * offsets).astype(np.float32)
    profile = cv2.remap(lightness, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float64)
    seen = cv2.remap(part.clear.astype(np.float32), x, y, cv2.INTER_LINEAR, borderValue=0.0).min(axis=1) > 0.99
    edge = _PROFILE_STEPS // 6
    low, high = profile[:, :edge].mean(axis=1), profile[:, -edge:].mean(axis=1)
    # Outwards the normal may point to either end; lesions are darker, but some are not.
    contrast = high - low
    use = seen & (np.abs(contrast) >= _MIN_CONTRAST)
    if use.sum() < _PROFILE_PLACES // 10:
        return None, None
    way = (profile[use] - low[use, None]) / contrast[use, None]
    # Steps between a tenth and nine tenths: not thrown off by texture that crosses either twice.
    between = ((way > 0.1) & (way < 0.9)).sum(axis=1) * (offsets[1] - offsets[0]) * part.native_px
    quartiles = np.percentile(between, [25, 50, 75])
    middle = max(float(quartiles[1]), 1e-6)
    return middle, float(quartiles[2] - quartiles[0]) / middle
