"""Differences that need both photos on one grid: colour, structure, and the heat map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.change.border import border_asymmetry, confirmed_lesion
from longderm.change.common_view import CommonView, smooth

#: A region smaller than this (comparison pixels) is too little tissue to be compared.
REGION_MIN_PX = 60
#: Dermoscopic structure (network meshes, globules, streaks) lies between these shares of a lesion's diameter: finer is
#: sharpness of the photo, coarser is colour. Of three pairs tried on simulated lesions these told lost structure best.
STRUCTURE_FINE_SHARE = 0.035
STRUCTURE_COARSE_SHARE = 0.10
#: Structure is compared in neighbourhoods of this many times the coarse scale; the median over them forgives a hair or
#: a bubble that spoils some.
STRUCTURE_NEIGHBOURHOOD = 1.5
#: Structure energy below this (Lab units squared) is camera noise and no structure.
STRUCTURE_ENERGY_FLOOR = 0.25
#: Follow-up contrast may differ from the baseline's by this factor through optics alone; more is not explained away.
CONTRAST_RANGE = (0.7, 1.4)
#: A local change of colour is the mean difference over this share of the core, the most different one: a new blotch
#: that covers 3% of a lesion is to be seen, and a mean moves less than a percentile when the core's edge does.
LOCAL_TOP_SHARE = 0.05
#: The same for the border band, part of which differs through the masks alone.
BORDER_TOP_SHARE = 0.10
#: A difference inside the lesion thinner than this share of its diameter, or than this many pixels, is a hair or the
#: rim of a bubble that the median left, and no blotch: one that covers 3% of a lesion is 17% of its diameter across.
THIN_SHARE_OF_DIAMETER = 0.10
THIN_MIN_PX = 9


@dataclass(frozen=True)
class MapDifferences:
    """What the aligned images differ in; None where there is too little tissue or skin to tell.

    colour: ((L*, a*, b*) of the core minus the skin ring, in the baseline, and in the follow-up), medians, in the
    baseline's light; colour_local: the colour difference that a common shift and contrast do not explain, mean over the
    5% of the core where it is largest, Lab units; colour_border: the same over 10% of the border band, Lab units;
    structure_pattern: 1 minus the local correlation of the structure, median over the core, 0 to 2; structure_energy:
    log ratio of the structure's local energy, median over the core; structure_uneven: its 90th minus its 10th
    percentile, high where structure went or came in a part of the lesion; area_confirmed: log ratio of the areas,
    counting only what the images confirm; border_asymmetry: how unevenly the confirmed border moved, as a share of the
    lesion's mean radius.
    """

    colour: tuple[tuple[float, float, float], tuple[float, float, float]] | None
    colour_local: float | None
    colour_border: float | None
    structure_pattern: float | None
    structure_energy: float | None
    structure_uneven: float | None
    area_confirmed: float | None
    border_asymmetry: float | None


def compare_maps(view: CommonView) -> MapDifferences:
    """Measure what differs between the two photos of a common view."""
    core = view.core if int(view.core.sum()) >= REGION_MIN_PX else None
    colour = local = border = None
    if view.skin_known and core is not None:
        soft_b, soft_f = view.baseline_colour, view.followup_colour
        skin_b, skin_f = (np.median(lab[view.ring], axis=0) for lab in (soft_b, soft_f))
        colour = (_triple(np.median(soft_b[core], axis=0) - skin_b), _triple(np.median(soft_f[core], axis=0) - skin_f))
        unexplained = _unexplained_difference(soft_b, soft_f, core)
        local = _mean_of_top(_without_thin(unexplained, view.diameter_px)[core], LOCAL_TOP_SHARE)
        if int(view.band.sum()) >= REGION_MIN_PX:
            border = _mean_of_top(unexplained[view.band], BORDER_TOP_SHARE)
    pattern, energy, uneven = _compare_structure(view, core) if core is not None else (None, None, None)
    followup = confirmed_lesion(view)
    area = asymmetry = None
    if followup is not None and view.baseline_lesion.any() and float(followup.sum()) > 0:
        area = float(np.log(float(followup.sum(dtype=np.float64)) / float(view.baseline_lesion.sum())))
        asymmetry = border_asymmetry(view, followup)
    return MapDifferences(colour, local, border, pattern, energy, uneven, area, asymmetry)


def heat_map(view: CommonView, native_shape: tuple[int, int]) -> NDArray[np.float32]:
    """Colour difference in the baseline's light, Lab units, float32 on the baseline's native grid.

    Smoothed on the scale of the alignment's residual; hair and glare are filled from around them; NaN outside of what
    both photos show, and everywhere where no skin is seen to bring both into the same light.
    """
    import cv2

    height, width = native_shape
    if not view.skin_known:
        return np.full(native_shape, np.nan, dtype=np.float32)
    difference = view.followup_colour - view.baseline_colour
    distance = _length(difference)
    full = cv2.resize(distance, (width, height), interpolation=cv2.INTER_LINEAR)
    seen = cv2.resize(view.seen.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return np.where(seen > 0, full, np.float32(np.nan)).astype(np.float32)


def _without_thin(difference: NDArray[np.float32], diameter_px: float) -> NDArray[np.float32]:
    """Grey opening by a disc: what is thinner than it is gone."""
    import cv2

    side = max(THIN_MIN_PX, round(THIN_SHARE_OF_DIAMETER * diameter_px)) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.morphologyEx(difference, cv2.MORPH_OPEN, disc), dtype=np.float32)


def _mean_of_top(values: NDArray[np.float32], share: float) -> float:
    """Mean of the largest `share` of the values."""
    count = max(1, round(share * values.size))
    return float(np.sort(values, kind="stable")[-count:].mean(dtype=np.float64))


def _triple(values: NDArray[np.floating]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def _unexplained_difference(
    soft_b: NDArray[np.float32], soft_f: NDArray[np.float32], core: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Length of the Lab difference after the core's common shift and contrast are taken out, (h, w)."""
    residual = np.empty_like(soft_b)
    for channel in range(3):
        b, f = soft_b[..., channel], soft_f[..., channel]
        centre_b, centre_f = float(np.median(b[core])), float(np.median(f[core]))
        spread_b = float(np.median(np.abs(b[core] - centre_b)))
        spread_f = float(np.median(np.abs(f[core] - centre_f)))
        contrast = float(np.clip(spread_f / spread_b, *CONTRAST_RANGE)) if spread_b > 0.2 else 1.0
        residual[..., channel] = (f - centre_f) - contrast * (b - centre_b)
    return _length(residual)


def _length(difference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Euclidean length of Lab differences (h, w, 3)."""
    lightness, red, yellow = difference[..., 0], difference[..., 1], difference[..., 2]
    return np.asarray(np.sqrt(lightness * lightness + red * red + yellow * yellow), dtype=np.float32)


def _compare_structure(view: CommonView, core: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Pattern, energy and unevenness of the structure (see `MapDifferences`), from the band-passed lightness."""
    fine = max(view.residual_px, STRUCTURE_FINE_SHARE * view.diameter_px)
    coarse = max(2.0 * fine, STRUCTURE_COARSE_SHARE * view.diameter_px)
    b, f = (
        smooth(lightness, view.valid, fine) - smooth(lightness, view.valid, coarse)
        for lightness in (view.baseline_lightness, view.followup_lightness)
    )
    around = STRUCTURE_NEIGHBOURHOOD * coarse
    of_b, of_f, of_both = (smooth(product, core, around)[core] for product in (b * b, f * f, b * f))
    floor = np.float32(STRUCTURE_ENERGY_FLOOR)
    correlation = (of_both + floor) / np.sqrt((of_b + floor) * (of_f + floor))
    energy = np.log((of_f + floor) / (of_b + floor))
    low, middle, high = (float(value) for value in np.percentile(energy, [10, 50, 90]))
    return 1.0 - float(np.median(correlation)), middle, high - low
