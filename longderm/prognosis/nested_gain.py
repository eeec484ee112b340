"""What added columns gain in the population: an interval that is right where the gain may be nothing.

The gain of nested models cannot be negative in the population and is 0 exactly where the added coefficients are. There
it is no longer near normal: resampling doubles its noise and resampled intervals hold zero in all but 0.1% of studies
(Pepe, Kerr, Longton and Wang, Stat Med 2013: test the coefficients, not the gain). Here the likelihood ratio of the
added columns, noncentral chi-square, gives the interval of how much they tell, and the resamples what a unit of it is
worth in each figure, and how far a study's gain strays from that worth. Both spreads are joined as Zou and Donner do
(Stat Med 2008: recovered variances).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longderm.prognosis.cox import ChiSquare
from longderm.prognosis.kaplan_meier import Z95
from longderm.prognosis.survival_times import Floats

#: The interval misses at most this share of the time.
MISS = 0.05
#: Steps of the square root of the noncentrality, and how far beyond the observed it is looked at.
STEPS, BEYOND = 160, 7.0


@dataclass(frozen=True)
class NestedGain:
    """The gain of a figure in the population, with its 95% interval; both ends are 0 or of the sign of the gain."""

    value: float
    lower: float
    upper: float


def nested_gain(test: ChiSquare, gains: Floats, ratios: Floats) -> NestedGain:
    """The gain from the likelihood ratio `test` of the added columns.

    `gains` (b,): apparent gain in each resample; `ratios` (b,): the likelihood ratio there. The worth of a unit is the
    ratio of their sums; what is left of the gains has a variance in proportion to the likelihood ratio (a gain is a
    quadratic form of the added coefficients, plus a slope that is 0 but for noise, times the coefficients). The
    interval excludes 0 exactly where the test is significant at 5%: its near end is sought on the log scale.
    """
    known = np.isfinite(gains) & np.isfinite(ratios)
    total = float(ratios[known].sum())
    if total <= 0:
        return NestedGain(float("nan"), float("nan"), float("nan"))
    worth = float(gains[known].sum()) / total
    stray = float(((gains[known] - worth * ratios[known]) ** 2).sum()) / total
    low, high = noncentrality_interval(test.statistic, test.df)
    told = max(test.statistic - test.df, 0.0)
    size, sign = abs(worth), -1.0 if worth < 0 else 1.0
    value = size * told
    far = value + float(np.sqrt((size * high - value) ** 2 + Z95**2 * stray * high))
    near = 0.0
    if low > 0 and value > 0:
        near = value * float(np.exp(-np.sqrt(np.log(told / low) ** 2 + Z95**2 * stray / (size**2 * told))))
    ends = sorted((sign * near, sign * far))
    return NestedGain(sign * value, ends[0], ends[1])


def noncentrality_interval(statistic: float, df: int) -> tuple[float, float]:
    """95% interval of the noncentrality of a chi-square with `df` degrees of freedom.

    Ordered by likelihood ratio (Feldman and Cousins, Phys Rev D 1998): two-sided far from 0, and at 0 it rejects with
    exactly 5%, as the central test does.
    """
    from scipy.stats import chi2, ncx2

    observed = float(np.sqrt(max(statistic, 0.0)))
    root = np.linspace(0.0, observed + BEYOND, STEPS)
    spots = np.linspace(1e-3, observed + 2.0 * BEYOND, 2 * STEPS)
    density = ncx2.logpdf(spots[:, None] ** 2, df, np.maximum(root[None, :] ** 2, 1e-12))
    best = density.max(axis=1)
    here = ncx2.logpdf(max(observed, 1e-3) ** 2, df, np.maximum(root**2, 1e-12))
    share = np.exp(density) * 2.0 * spots[:, None]  # density of the root of the statistic
    share /= share.sum(axis=0)
    p_value = np.where(density - best[:, None] <= here - here.max() + 1e-12, share, 0.0).sum(axis=0)
    inside = root[p_value > MISS]
    low, high = (float(inside[0]), float(inside[-1])) if inside.size else (observed, observed)
    if chi2.sf(statistic, df) > MISS:
        low = 0.0  # the grid is not to decide this
    elif low == 0.0:
        low = float(root[1]) / 2.0
    return low**2, high**2
