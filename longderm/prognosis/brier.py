"""The Brier score of predicted survival, with censoring weighted out, and its mean over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from longderm.prognosis.censoring_weights import check_horizons, event_weights, free_of_censoring
from longderm.prognosis.errors import OutsideFollowUpError, SurvivalTimesError
from longderm.prognosis.survival_times import Floats, SurvivalTimes


def brier_scores(train: SurvivalTimes, test: SurvivalTimes, survival: ArrayLike, times: ArrayLike) -> Floats:
    """Brier score at each of `times` (k,), ascending; 0 is perfect, 0.25 a coin.

    `survival` (n, k) in [0, 1]: predicted for `test` at the times. Those with the event by the time are weighted by
    1 / G at their event, those followed beyond it by 1 / G at the time, those censored before not at all (Graf et
    al., Stat Med 1999); G from `train`.

    Raises OutsideFollowUpError for times outside the follow-up or where all of `train` are censored.
    """
    wanted = check_horizons(test, times)
    predicted = np.asarray(survival, np.float64)
    if predicted.ndim == 1 and wanted.size == 1:
        predicted = predicted[:, None]
    if predicted.shape != (len(test), wanted.size):
        raise SurvivalTimesError(f"survival has shape {predicted.shape}; ({len(test)}, {wanted.size}) is needed")
    if not ((predicted >= 0) & (predicted <= 1)).all():
        raise SurvivalTimesError("predicted survival must lie in [0, 1]; some values do not or are missing")
    free = free_of_censoring(train, wanted)
    if (free == 0).any():
        raise OutsideFollowUpError(
            f"all of the reference patients are censored by {wanted[free == 0][0]:g}; ask for earlier times"
        )
    weights = event_weights(train, test, float(wanted[-1]))
    scores = np.empty(wanted.size)
    for k, time in enumerate(wanted):
        case, later = test.event & (test.stop <= time), test.stop > time
        failed = float(predicted[case, k] ** 2 @ weights[case])
        free_of_event = float(((1.0 - predicted[later, k]) ** 2).sum()) / free[k]
        scores[k] = (failed + free_of_event) / len(test)
    return scores


def integrated_brier(train: SurvivalTimes, test: SurvivalTimes, survival: ArrayLike, times: ArrayLike) -> float:
    """The Brier score's mean over [first, last] of `times` (k >= 2), by the trapezoid rule; arguments as above."""
    wanted = np.atleast_1d(np.asarray(times, np.float64))
    if wanted.size < 2:
        raise SurvivalTimesError("the integrated Brier score needs at least two times")
    scores = brier_scores(train, test, survival, wanted)
    return float(np.trapezoid(scores, wanted) / (wanted[-1] - wanted[0]))
