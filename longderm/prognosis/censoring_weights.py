"""Inverse probability of censoring: the weights of patients whose fate at a time is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from longderm.prognosis.errors import OutsideFollowUpError, SurvivalTimesError
from longderm.prognosis.kaplan_meier import censoring_survival, step_at
from longderm.prognosis.survival_times import Floats, SurvivalTimes


def check_horizons(data: SurvivalTimes, times: ArrayLike) -> Floats:
    """The times (k,) at which a figure of `data` is asked for, as given.

    Raises OutsideFollowUpError unless each lies within [first, last) of the follow-up, SurvivalTimesError where they
    do not ascend.
    """
    wanted = np.atleast_1d(np.asarray(times, np.float64))
    if wanted.ndim != 1 or wanted.size == 0 or not np.isfinite(wanted).all() or (np.diff(wanted) <= 0).any():
        raise SurvivalTimesError("times must be numbers in ascending order")
    first, last = float(data.stop.min()), float(data.stop.max())
    bad = wanted[(wanted < first) | (wanted >= last)]
    if bad.size:
        side = "past the last" if bad[-1] >= last else "before the first"
        end = last if bad[-1] >= last else first
        raise OutsideFollowUpError(
            f"time {bad[-1]:g} lies {side} follow-up {end:g}: nobody is known to be free of the event there; "
            f"ask for times from {first:g} to below {last:g}"
        )
    return wanted


def free_of_censoring(train: SurvivalTimes, times: Floats) -> Floats:
    """Probability G that a patient like those of `train` is not censored by each time (k,)."""
    at, free = censoring_survival(train)
    return step_at(at, free, times, 1.0)


def event_weights(train: SurvivalTimes, test: SurvivalTimes, until: float) -> Floats:
    """1 / G at the time of each event of `test` up to `until`, 0 for all other rows (n,).

    Raises OutsideFollowUpError where an event lies where all of `train` are censored.
    """
    used = test.event & (test.stop <= until)
    free = free_of_censoring(train, test.stop)
    if (free[used] == 0).any():
        late = float(test.stop[used & (free == 0)].min())
        raise OutsideFollowUpError(
            f"an event at {late:g} lies where all of the reference patients are censored; ask for times before it"
        )
    return np.divide(1.0, free, out=np.zeros(len(test)), where=used)
