"""Decision curves: what a rule 'treat above this risk' gains over treating all or none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from longderm.prognosis.calibration import require_origin
from longderm.prognosis.errors import OutsideFollowUpError, SurvivalTimesError
from longderm.prognosis.kaplan_meier import kaplan_meier
from longderm.prognosis.survival_times import Floats, SurvivalTimes

#: Risks of an event by which a clinician may decide; where nothing else is asked.
THRESHOLDS = np.round(np.arange(0.01, 0.61, 0.01), 2)


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit per patient at each of `thresholds` (k,): of the `model`, of treating `everyone`; of none it is 0."""

    time: float
    thresholds: Floats
    model: Floats
    everyone: Floats


def decision_curve(
    data: SurvivalTimes, risk: ArrayLike, time: float, thresholds: ArrayLike = THRESHOLDS
) -> DecisionCurve:
    """Net benefit of acting on `risk` (n,) of the event by `time`.

    Net benefit at threshold p: share of true positives less share of false positives times p / (1 - p), with the
    events among those above the threshold taken from their Kaplan-Meier estimate (Vickers et al., BMC Med Inform
    Decis Mak 2008).

    Raises SurvivalTimesError for thresholds outside (0, 1), OutsideFollowUpError past the last follow-up and for rows
    that enter after the origin.
    """
    require_origin(data)
    risks, edges = np.asarray(risk, np.float64), np.atleast_1d(np.asarray(thresholds, np.float64))
    if risks.shape != data.stop.shape or not np.isfinite(risks).all():
        raise SurvivalTimesError(f"risk must be {len(data)} numbers; some are missing")
    if not ((edges > 0) & (edges < 1)).all():
        raise SurvivalTimesError("thresholds must lie between 0 and 1")
    if time >= data.stop.max():
        raise OutsideFollowUpError(f"time {time:g} lies past the last follow-up {data.stop.max():g}")
    odds = edges / (1.0 - edges)
    overall = _events(data, time)
    benefit = np.zeros(edges.size)
    for k, edge in enumerate(edges):
        above = risks >= edge
        if above.any():
            share, events = float(above.mean()), _events(data.take(above), time)
            benefit[k] = share * (events - (1.0 - events) * odds[k])
    return DecisionCurve(float(time), edges, benefit, overall - (1.0 - overall) * odds)


def _events(data: SurvivalTimes, time: float) -> float:
    """Kaplan-Meier risk by `time`; of a group whose follow-up ends earlier, its last."""
    curve = kaplan_meier(data)
    row = int(curve.rows_at([time])[0])
    return 1.0 - float(curve.survival[row]) if row >= 0 else 0.0
