"""The log-rank test of k groups, stratified where strata are given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from longderm.prognosis.errors import SurvivalTimesError, TooFewEventsError
from longderm.prognosis.survival_times import Floats, Indices, SurvivalTimes


@dataclass(frozen=True)
class LogRank:
    """`chi_square` with `degrees_of_freedom` and `p_value`; per group, in sorted order, its label, rows, events and
    expected events (k,), summed over strata.
    """

    chi_square: float
    degrees_of_freedom: int
    p_value: float
    groups: tuple[str, ...]
    patients: Indices
    observed: Floats
    expected: Floats


def log_rank(data: SurvivalTimes, group: ArrayLike) -> LogRank:
    """Test that the groups (n,), any labels, have one hazard within each stratum of `data`.

    Hypergeometric variance with ties, as R's `survdiff` (Mantel 1966; Peto and Peto 1972). Delayed entry counts in
    the risk sets. A group that is never at risk at an event adds no degree of freedom.

    Raises SurvivalTimesError for fewer than two groups or missing labels and TooFewEventsError for no event.
    """
    from scipy.stats import chi2

    labels = np.asarray(group)
    if labels.shape != data.stop.shape:
        raise SurvivalTimesError(f"group has {labels.size} values for {len(data)} times")
    if any(label is None or label != label for label in labels.tolist()):
        raise SurvivalTimesError("group is missing for some rows; leave them out or make them a group")
    names, code = np.unique(labels, return_inverse=True)
    if names.size < 2:
        raise SurvivalTimesError("the log-rank test compares groups; there is only one")
    if data.events == 0:
        raise TooFewEventsError("the log-rank test needs an event; all rows are censored")
    k = names.size
    expected, variance = np.zeros(k), np.zeros((k, k))
    for stratum in np.unique(data.stratum):
        inside = data.stratum == stratum
        one_expected, one_variance = _one_stratum(data.take(inside), code[inside], k)
        expected += one_expected
        variance += one_variance
    observed = np.bincount(code[data.event], minlength=k).astype(np.float64)
    used = expected > 0
    gap = (observed - expected)[used][:-1]
    inner = variance[np.ix_(used, used)][:-1, :-1]
    freedom = max(int(used.sum()) - 1, 0)
    statistic = float(gap @ np.linalg.pinv(inner) @ gap) if freedom else 0.0
    p_value = float(chi2.sf(statistic, freedom)) if freedom else 1.0
    counts = np.bincount(code, minlength=k).astype(np.intp)
    return LogRank(statistic, freedom, p_value, tuple(str(name) for name in names), counts, observed, expected)


def _one_stratum(data: SurvivalTimes, code: Indices, groups: int) -> tuple[Floats, Floats]:
    times = np.unique(data.stop[data.event])
    deaths = np.bincount(np.searchsorted(times, data.stop[data.event]), minlength=times.size).astype(np.float64)
    at_risk = np.empty((times.size, groups))
    for column in range(groups):
        mine = code == column
        gone = np.searchsorted(np.sort(data.stop[mine]), times, side="left")
        at_risk[:, column] = np.searchsorted(np.sort(data.start[mine]), times, side="left") - gone
    total = at_risk.sum(axis=1)
    share = at_risk / total[:, None]
    factor = deaths * np.divide(total - deaths, total - 1.0, out=np.zeros_like(total), where=total > 1)
    variance = np.diag(factor @ share) - (share * factor[:, None]).T @ share
    return deaths @ share, variance
