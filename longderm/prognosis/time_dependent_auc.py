"""Cumulative/dynamic AUC: those with the event by a time against those still free of it, censoring weighted out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from longderm.prognosis.censoring_weights import check_horizons, event_weights
from longderm.prognosis.errors import OutsideFollowUpError, SurvivalTimesError, TooFewEventsError
from longderm.prognosis.kaplan_meier import kaplan_meier, step_at
from longderm.prognosis.rank_counts import dense_ranks
from longderm.prognosis.survival_times import Floats, SurvivalTimes


def auc_at(train: SurvivalTimes, test: SurvivalTimes, risk: ArrayLike, times: ArrayLike) -> Floats:
    """AUC at each of `times` (k,), ascending.

    `risk` (n,), or (n, k) with one risk per time, of `test`: higher means earlier. Cases are events at or before the
    time, weighted by 1 / G (censoring distribution of `train`); controls are those followed beyond it; ties of risk
    count half (Uno et al., JASA 2007; Hung and Chiang, Can J Stat 2010).

    Raises OutsideFollowUpError for times outside the follow-up, TooFewEventsError where no event has come by a time.
    """
    wanted = check_horizons(test, times)
    risks = np.asarray(risk, np.float64)
    if risks.shape not in ((len(test),), (len(test), wanted.size)) or not np.isfinite(risks).all():
        raise SurvivalTimesError(f"risk has shape {risks.shape} or missing values; {len(test)} rows are needed")
    if test.events == 0:
        raise TooFewEventsError("AUC needs an event; all patients are censored")
    first = float(test.stop[test.event].min())
    if wanted[0] < first:
        raise OutsideFollowUpError(
            f"no event has come by {wanted[0]:g}, the first is at {first:g}: there is no case; ask for later times"
        )
    # every case by the last time; the weight of an event does not change with the horizon
    weights = event_weights(train, test, float(wanted[-1]))
    shared = dense_ranks(risks) if risks.ndim == 1 else None
    return np.array(
        [_one_time(test, weights, *(shared or dense_ranks(risks[:, k])), float(time)) for k, time in enumerate(wanted)]
    )


def mean_auc(test: SurvivalTimes, times: ArrayLike, auc: Floats) -> float:
    """The mean of `auc` (k,) over `times`, weighted by the events of `test` that fall between them (Lambert and
    Chevret, Stat Methods Med Res 2016).
    """
    curve = kaplan_meier(test)
    survival = step_at(curve.times, curve.survival, np.atleast_1d(np.asarray(times, np.float64)), 1.0)
    if survival.size == 1:
        return float(auc[0])
    steps = -np.diff(np.concatenate([[1.0], survival]))
    return float(auc @ steps / (1.0 - survival[-1]))


def _one_time(test: SurvivalTimes, weights: Floats, ranks: np.ndarray, top: int, time: float) -> float:
    case, control = test.event & (test.stop <= time), test.stop > time
    case_weight = np.bincount(ranks[case], weights[case], minlength=top)
    controls = np.bincount(ranks[control], minlength=top)
    below = np.cumsum(controls) - controls
    return float(case_weight @ (below + controls / 2.0) / (case_weight.sum() * controls.sum()))
