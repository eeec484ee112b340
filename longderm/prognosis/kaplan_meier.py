"""The Kaplan-Meier estimate with Greenwood's variance, ties and delayed entry included."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from longderm.prognosis.errors import OutsideFollowUpError
from longderm.prognosis.survival_times import Flags, Floats, Indices, SurvivalTimes

#: Two-sided 95% quantile of the normal distribution.
Z95 = 1.959963984540054


@dataclass(frozen=True)
class KaplanMeier:
    """Survival after each distinct time, all float64 or int (m,), in the unit of the data.

    `survival` in [0, 1] is right-continuous; `standard_error` is Greenwood's, of `survival`; `lower` and `upper` are
    the 95% interval on the log scale (R's default `conf.type = "log"`), NaN where survival is 0. `at_risk` counts the
    rows at risk just before the time, `events` and `censored` those that leave at it.
    """

    times: Floats
    survival: Floats
    standard_error: Floats
    lower: Floats
    upper: Floats
    at_risk: Indices
    events: Indices
    censored: Indices

    def at(self, times: ArrayLike) -> Floats:
        """Survival at `times` (k,); 1 before the first.

        Raises OutsideFollowUpError past the last time, unless survival has reached 0 there.
        """
        wanted = np.atleast_1d(np.asarray(times, np.float64))
        if self.survival[-1] > 0 and (wanted > self.times[-1]).any():
            raise OutsideFollowUpError(
                f"time {wanted.max():g} lies past the last follow-up {self.times[-1]:g}; ask for an earlier one"
            )
        return step_at(self.times, self.survival, wanted, 1.0)

    def rows_at(self, times: ArrayLike) -> Indices:
        """Index of the last estimate at or before each time (k,), -1 before the first."""
        return np.searchsorted(self.times, np.atleast_1d(np.asarray(times, np.float64)), side="right") - 1

    def numbers_at_risk(self, data: SurvivalTimes, times: ArrayLike) -> Indices:
        """How many rows of `data` are at risk just before each time (k,)."""
        wanted = np.atleast_1d(np.asarray(times, np.float64))
        return at_risk_before(data, wanted)


def kaplan_meier(data: SurvivalTimes) -> KaplanMeier:
    """Estimate survival over all rows, whatever their stratum.

    Events at a time come before censorings at it (Kaplan and Meier, JASA 1958; Greenwood 1926).
    """
    times, events, leaving = counts_by_time(data)
    at_risk = at_risk_before(data, times)
    share = np.divide(events, at_risk, out=np.zeros(times.size), where=at_risk > 0)
    survival = np.asarray(np.cumprod(1.0 - share), np.float64)
    spread = np.zeros(times.size)
    np.divide(events, at_risk * (at_risk - events), out=spread, where=at_risk > events)
    log_error: Floats = np.sqrt(np.cumsum(spread))
    error = np.zeros(times.size)
    np.multiply(survival, log_error, out=error, where=survival > 0)
    alive = survival > 0
    with np.errstate(over="ignore"):
        lower = np.where(alive, survival * np.exp(-Z95 * log_error), np.nan)
        upper = np.where(alive, np.minimum(1.0, survival * np.exp(Z95 * log_error)), np.nan)
    return KaplanMeier(times, survival, error, lower, upper, at_risk, events, leaving - events)


def censoring_survival(data: SurvivalTimes) -> tuple[Floats, Floats]:
    """Distinct times (m,) and the probability G of being uncensored after each, for inverse weighting.

    Events at a time come before censorings at it. No delayed entry: weights for it are not identified this way, and a
    start after 0 raises OutsideFollowUpError.
    """
    if data.delayed:
        raise OutsideFollowUpError("rows enter after the origin: inverse censoring weights need follow-up from time 0")
    times, events, leaving = counts_by_time(data)
    censored = leaving - events
    at_risk = at_risk_before(data, times) - events
    share = np.divide(censored, at_risk, out=np.zeros(times.size), where=censored > 0)
    return times, np.cumprod(1.0 - share)


def counts_by_time(data: SurvivalTimes, flags: Flags | None = None) -> tuple[Floats, Indices, Indices]:
    """Distinct stop times (m,), rows whose flag (default: event) is set, and rows that leave, at each."""
    times, where = np.unique(data.stop, return_inverse=True)
    marked = np.bincount(where[data.event if flags is None else flags], minlength=times.size)
    return times, marked.astype(np.intp), np.bincount(where, minlength=times.size).astype(np.intp)


def at_risk_before(data: SurvivalTimes, times: Floats) -> Indices:
    """Rows with start < time <= stop, for each time (m,)."""
    gone = np.searchsorted(np.sort(data.stop), times, side="left")
    entered = np.searchsorted(np.sort(data.start), times, side="left") if data.delayed else len(data)
    return np.asarray(entered - gone, np.intp)


def step_at(times: Floats, values: Floats, wanted: Floats, before: float) -> Floats:
    """A right-continuous step function at the wanted times; `before` where none of `times` has come."""
    return np.concatenate([[before], values])[np.searchsorted(times, wanted, side="right")]
