"""Cumulative incidence of one cause where others compete (Aalen-Johansen), exact with ties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from longderm.prognosis.errors import OutsideFollowUpError, SurvivalTimesError
from longderm.prognosis.kaplan_meier import Z95, at_risk_before, step_at
from longderm.prognosis.survival_times import Floats, Indices, survival_times


@dataclass(frozen=True)
class CumulativeIncidence:
    """Probability of having had one cause by each distinct time; arrays (m,), float64 or int.

    `incidence` in [0, 1] is right-continuous; `standard_error` is the multi-state Greenwood one, which for data
    without delayed entry equals R's (`survfit` of a multi-state outcome, infinitesimal jackknife). `lower`, `upper`:
    95% interval on the log(-log) scale, NaN where the incidence is 0 or 1. `survival` is that from all causes.
    """

    cause: int
    times: Floats
    incidence: Floats
    standard_error: Floats
    lower: Floats
    upper: Floats
    survival: Floats
    at_risk: Indices
    events: Indices

    def at(self, times: ArrayLike) -> Floats:
        """Incidence at `times` (k,); raises OutsideFollowUpError past the last time."""
        wanted = np.atleast_1d(np.asarray(times, np.float64))
        if self.survival[-1] > 0 and (wanted > self.times[-1]).any():
            raise OutsideFollowUpError(
                f"time {wanted.max():g} lies past the last follow-up {self.times[-1]:g}; ask for an earlier one"
            )
        return step_at(self.times, self.incidence, wanted, 0.0)


def cumulative_incidence(
    stop: ArrayLike, cause: ArrayLike, of: int = 1, start: ArrayLike | None = None
) -> CumulativeIncidence:
    """Estimate the cumulative incidence of cause `of`.

    `stop`, `start` (n,): times as `survival_times` takes them; `cause` (n,) int: 0 censored, 1, 2, ... the cause that
    ended the row. Causes at one time happen together, none before another (Aalen and Johansen, Scand J Stat 1978); the
    variance is that of Andersen, Borgan, Gill and Keiding (1993), section IV.4.

    Raises SurvivalTimesError for causes that are no whole numbers >= 0 and for a cause that never occurs.
    """
    codes = np.asarray(cause)
    try:
        whole = codes.astype(np.intp)
        wrong = (whole != codes) | (whole < 0)
    except (TypeError, ValueError):
        raise SurvivalTimesError("cause holds missing values or text; code it as 0 censored, 1, 2, ...") from None
    if wrong.any():
        raise SurvivalTimesError(f"cause is no whole number >= 0 in row {int(np.flatnonzero(wrong)[0])}")
    data = survival_times(stop, whole > 0, start)
    if of <= 0 or not (whole == of).any():
        raise SurvivalTimesError(f"cause {of} never occurs; there are {sorted(set(whole[whole > 0].tolist()))}")
    times, where = np.unique(data.stop, return_inverse=True)
    every = np.bincount(where[data.event], minlength=times.size).astype(np.float64)
    ours = np.bincount(where[whole == of], minlength=times.size).astype(np.float64)
    at_risk = at_risk_before(data, times)
    any_share, share = every / at_risk, ours / at_risk
    survival = np.asarray(np.cumprod(1.0 - any_share), np.float64)
    before: Floats = np.concatenate([[1.0], survival[:-1]])
    incidence: Floats = np.cumsum(before * share)
    error = np.sqrt(_variance(incidence, before, survival, share, any_share, at_risk.astype(np.float64)))
    lower, upper = np.full(times.size, np.nan), np.full(times.size, np.nan)
    inside = (incidence > 0) & (incidence < 1)
    scale = np.log(incidence[inside])
    width = Z95 * error[inside] / (incidence[inside] * -scale)
    lower[inside], upper[inside] = np.exp(scale * np.exp(width)), np.exp(scale * np.exp(-width))
    return CumulativeIncidence(of, times, incidence, error, lower, upper, survival, at_risk, ours.astype(np.intp))


def _variance(
    incidence: Floats, before: Floats, survival: Floats, share: Floats, any_share: Floats, at_risk: Floats
) -> Floats:
    """Sum over s <= t of the multinomial variance of the step at s, carried on to t.

    The step at s moves the incidence at t by dF(s) - dN(s) h, where h = (F(t) - F(s)) / S(s) is the chance of the
    cause in (s, t] of one alive at s; its square is expanded in powers of F(t), so that cumulated sums do.
    """
    last = survival == 0  # nothing happens after: h is 0
    drop = np.divide(before * any_share, survival * at_risk, out=np.zeros_like(before), where=~last)
    cross = np.where(last, 0.0, before * share / at_risk)
    own = np.cumsum(before**2 * share * (1.0 - share) / at_risk)
    first = np.cumsum(cross) * incidence - np.cumsum(cross * incidence)
    second = (
        np.cumsum(drop) * incidence**2 - 2.0 * incidence * np.cumsum(drop * incidence) + np.cumsum(drop * incidence**2)
    )
    return np.maximum(own - 2.0 * first + second, 0.0)
