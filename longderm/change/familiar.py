"""Is a photo like those that a release was calibrated on? A p-value holds for pairs like the calibration's alone.

Each photo is described by its levels: the colour of the skin, the contrast of the lesion to it, and how much either
varies. Its distance is that of the level that lies farthest out, in robust standard deviations, so that it can be said
which one it is. Differences between photos do not enter: a lesion that changed is not strange for that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from longderm.change.calibration import MAD_TO_SD

if TYPE_CHECKING:
    from longderm.imaging import Measures

#: Level -> what it is called; the fields of `Measures.tbp` that describe skin and lesion in any photo that has both.
LEVELS: Mapping[str, str] = MappingProxyType(
    {
        "tbp_lv_Aext": "redness of the skin",
        "tbp_lv_Bext": "yellowness of the skin",
        "tbp_lv_Lext": "lightness of the skin",
        "tbp_lv_color_std_mean": "variety of colour in the lesion",
        "tbp_lv_deltaA": "redness of the lesion against the skin",
        "tbp_lv_deltaB": "yellowness of the lesion against the skin",
        "tbp_lv_deltaL": "lightness of the lesion against the skin",
        "tbp_lv_stdLExt": "variety of lightness of the skin",
    }
)

#: Share of the calibration pairs that are less far out than one called unusual.
UNUSUAL_QUANTILE = 0.99
#: Fewer calibration pairs than this have no 99th percentile of their own; then no range is stated.
PAIRS_MIN = 100
#: A level is not taken to vary less than this (Lab units): a difference of one unit is about what an eye can see.
SPREAD_FLOOR_LAB = 1.0

Levels = Mapping[str, float]


def levels_of(measures: Measures) -> dict[str, float]:
    """The levels of a photo, those that are known."""
    found = {name: measures.tbp.get(name) for name in LEVELS}
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}


def fit_range(
    described: Sequence[Levels], pairs: Sequence[Sequence[Levels]], intervals_days: Sequence[int]
) -> dict[str, Any] | None:
    """The block `in_distribution` of a change release's config, or None where the pairs are too few to state a range.

    described: levels of photos that the release was fitted on: they give median and spread; pairs: levels of both
    photos of each calibration pair, one pair per patient, none of whom is in `described`; intervals_days: between their
    visits, where they are dated. As no pair gave its own yardstick, a further pair like them lies farther out than all
    n of them with a probability of at most 1 / (n + 1) (conformal prediction; Vovk et al. 2005).
    """
    return range_around(fit_spreads(described), pairs, intervals_days)


def fit_spreads(described: Sequence[Levels]) -> dict[str, dict[str, float]]:
    """Median and robust SD of each level over photos; levels that too few of them have are left out."""
    spreads: dict[str, dict[str, float]] = {}
    for name in sorted(LEVELS):
        values = np.array([levels[name] for levels in described if name in levels])
        if len(values) >= PAIRS_MIN // 2:
            centre = float(np.median(values))
            spread = max(MAD_TO_SD * float(np.median(np.abs(values - centre))), SPREAD_FLOOR_LAB)
            spreads[name] = {"median": round(centre, 4), "spread": round(spread, 4)}
    return spreads


def range_around(
    spreads: Mapping[str, Mapping[str, float]], pairs: Sequence[Sequence[Levels]], intervals_days: Sequence[int]
) -> dict[str, Any] | None:
    """The block `in_distribution` of calibration pairs by spreads that were fitted on other patients; see `fit_range`.

    None where the pairs are too few to state a range, or no level is known.
    """
    found = [[distance_of(levels, spreads) for levels in pair] for pair in pairs]
    distances = [max(d for d, _ in known) for pair in found if len(known := [one for one in pair if one]) == len(pair)]
    if not spreads or len(distances) < PAIRS_MIN:
        return None
    return {
        "levels": {name: dict(value) for name, value in spreads.items()},
        "unusual": round(float(np.quantile(distances, UNUSUAL_QUANTILE)), 4),
        "far": round(max(distances), 4),
        "pairs": len(distances),
        "interval_days": [min(intervals_days), max(intervals_days)] if intervals_days else None,
    }


def distance_of(levels: Levels, spreads: Mapping[str, Mapping[str, float]]) -> tuple[float, str] | None:
    """How far out a photo lies, in robust SDs of its farthest level, and which one that is; None: no level is known."""
    far = [
        (round(abs(value - spreads[name]["median"]) / spreads[name]["spread"], 4), name)
        for name, value in sorted(levels.items())
        if name in spreads
    ]
    return max(far, key=lambda one: one[0]) if far else None
