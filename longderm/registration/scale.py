"""The scale of a pair, told by the skin around the lesion and by the lesion itself.

A scale fitted to everything absorbs growth: where a lesion and its texture expand evenly, the fit zooms out and finds
nothing changed. Skin does not grow between visits. So both scales are measured apart; where they agree, everything may
be fitted together, and where they do not, the skin decides and the disagreement is a sign of growth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longderm.registration.preparation import Prepared
from longderm.registration.refine import Region, bring_together, correlation, refine, scale_error
from longderm.registration.similarity import Matrix, apply, from_complex, rotation_deg_of, scale_of, to_complex

#: Scales tried about the first one (natural logarithm): a lesion whose area grows or shrinks by up to 60% between two
#: visits hides at most this much ...
_SEARCH_LOG_SCALE = 0.24
#: ... in steps that displace texture at a radius of 40 px by less than its mesh.
_SEARCH_STEP = 0.04

#: A region tells the scale if its textures correlate at least this much under its own best transform (middle level):
#: skin that persists has 0.45 to 0.9 there, and no more than 0.1 at another scale.
MIN_CORRELATION = 0.3
#: ... and if it keeps the lesion's centre in place, within this share of its diameter, and turns no more than this.
_SAME_CENTRE, _SAME_TURN_DEG = 0.1, 4.0
#: A scale with a larger standard error (natural logarithm) than this tells nothing of growth: 2% in scale are 4% in
#: area, about a quarter of what a lesion must grow to be seen.
MAX_ERROR = 0.02

#: Scales that differ by more than this many standard errors disagree ...
_DISAGREE_ERRORS = 3.0
#: ... if it is also more than this (natural logarithm), since skin stretches by that much under a contact plate.
_DISAGREE_LEAST = 0.015


@dataclass(frozen=True, eq=False)
class RegionScale:
    """The scale that one region tells: its own similarity, scale (follow-up per baseline pixel) and standard error of
    the scale's natural logarithm."""

    matrix: Matrix
    scale: float
    error: float


@dataclass(frozen=True, eq=False)
class Scales:
    """The scales of skin and lesion, None for a region that shows too little texture to tell; whole: that of the fit
    to everything, which follows the lesion where that has more texture than the skin."""

    skin: RegionScale | None
    lesion: RegionScale | None
    whole: float

    @property
    def disagreement(self) -> float | None:
        """Natural logarithm of the lesion's scale (the whole's, where it tells none) over the skin's, where they differ
        by more than their errors and by more than skin stretches; else None. Positive where the lesion has grown."""
        if self.skin is None:
            return None
        scale, error = (self.whole, 0.0) if self.lesion is None else (self.lesion.scale, self.lesion.error)
        apart = float(np.log(scale / self.skin.scale))
        limit = max(_DISAGREE_ERRORS * float(np.hypot(self.skin.error, error)), _DISAGREE_LEAST)
        return apart if round(abs(apart), 6) > round(limit, 6) else None


def measure_scales(baseline: Prepared, followup: Prepared, matrix: Matrix) -> Scales:
    """The scales of skin and lesion near an accepted `matrix`, which one of the two may have drawn to itself."""
    return Scales(
        _scale_of_region(baseline, followup, matrix, Region.SKIN),
        _scale_of_region(baseline, followup, matrix, Region.LESION),
        scale_of(matrix),
    )


def _scale_of_region(baseline: Prepared, followup: Prepared, matrix: Matrix, region: Region) -> RegionScale | None:
    if baseline.lesion_centre is None or baseline.lesion_diameter_px is None:
        return None
    log_scale = float(np.log(scale_of(matrix)))
    bounds = log_scale - 1.5 * _SEARCH_LOG_SCALE, log_scale + 1.5 * _SEARCH_LOG_SCALE
    first, second = baseline.levels[1], followup.levels[1]
    common = bring_together(first, second, matrix, region)
    at_matrix, _ = correlation(common)
    if at_matrix is None:
        return None
    if at_matrix >= MIN_CORRELATION:
        found = refine(baseline, followup, matrix, 1, 6, bounds, region, common)
    else:
        zoomed = _best_start(baseline, followup, matrix, region)
        if zoomed is None:
            return None
        found = refine(baseline, followup, zoomed, 2, 6, bounds, region)
        found = refine(baseline, followup, found, 1, 6, bounds, region)
    settled = bring_together(first, second, found, region)
    (r, _), error = correlation(settled), scale_error(settled)
    if r is None or error is None or r < MIN_CORRELATION or error > MAX_ERROR:
        return None
    centre = np.array(baseline.lesion_centre)
    away = float(np.linalg.norm(apply(found, centre) - apply(matrix, centre)))
    turn = (rotation_deg_of(found) - rotation_deg_of(matrix) + 180.0) % 360.0 - 180.0
    if away > _SAME_CENTRE * baseline.lesion_diameter_px * scale_of(matrix) or abs(turn) > _SAME_TURN_DEG:
        return None
    return RegionScale(found, scale_of(found), round(error, 6))


def _best_start(baseline: Prepared, followup: Prepared, matrix: Matrix, region: Region) -> Matrix | None:
    """`matrix`, zoomed about the lesion's centre so that the region agrees best on the coarsest level."""
    if baseline.lesion_centre is None:
        return None
    steps = round(_SEARCH_LOG_SCALE / _SEARCH_STEP)
    best, best_correlation = None, -1.0
    for step in sorted(range(-steps, steps + 1), key=abs):
        tried = _zoomed(matrix, baseline.lesion_centre, step * _SEARCH_STEP)
        r, _ = correlation(bring_together(baseline.levels[2], followup.levels[2], tried, region))
        if r is not None and round(r, 6) > best_correlation:
            best, best_correlation = tried, round(r, 6)
    return best


def _zoomed(matrix: Matrix, centre: tuple[float, float], log_scale: float) -> Matrix:
    """`matrix` with another scale, that takes `centre` to where it took it before."""
    a, _ = to_complex(matrix)
    target = apply(matrix, np.array(centre))
    a = a * float(np.exp(log_scale))
    return from_complex(a, complex(*target) - a * complex(*centre))
