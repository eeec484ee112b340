"""Does a predicted risk come true? Calibration at a time: curve, slope and in the large."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from longderm.prognosis.errors import OutsideFollowUpError, SurvivalTimesError
from longderm.prognosis.kaplan_meier import Z95, kaplan_meier
from longderm.prognosis.partial_likelihood import maximise
from longderm.prognosis.risk_sets import risk_sets
from longderm.prognosis.survival_times import Floats, Indices, SurvivalTimes

#: Groups of the curve: enough to see a bend, few enough that each holds events.
CURVE_GROUPS = 10
#: Risks are kept this far from 0 and 1 before their log(-log) is taken.
EDGE = 1e-12


@dataclass(frozen=True)
class Calibration:
    """Calibration of the risk at `time`.

    `slope` (ideal 1, below: predictions too extreme) with its 95% interval: coefficient of log(-log) predicted
    survival in a Cox model of follow-up up to `time`. `observed_expected` (ideal 1): Kaplan-Meier risk over mean
    predicted risk, and its interval. The curve: `predicted` and `observed` risk with its interval and `patients`,
    `events` per group of equal size (g,), from the lowest predicted risk; None for slope where it has no estimate.
    """

    time: float
    slope: float | None
    slope_lower: float | None
    slope_upper: float | None
    observed_expected: float
    observed_expected_lower: float
    observed_expected_upper: float
    predicted: Floats
    observed: Floats
    observed_lower: Floats
    observed_upper: Floats
    patients: Indices
    events: Indices


def calibration_at(data: SurvivalTimes, risk: ArrayLike, time: float, groups: int = CURVE_GROUPS) -> Calibration:
    """Calibration of `risk` (n,) in [0, 1], the predicted probability of the event by `time`.

    Follow-up is cut at `time` (van Houwelingen, Stat Med 2000; McLernon et al., Ann Intern Med 2023). Groups with
    equal risks stay together, so there may be fewer. Where `data` has strata the slope compares within them; the curve
    and observed over expected are of all.

    Raises SurvivalTimesError for risks outside [0, 1] or missing, OutsideFollowUpError for rows that enter after the
    origin: those who had the event before they could enter are missing from the mean predicted risk.
    """
    require_origin(data)
    risks = np.asarray(risk, np.float64)
    if risks.shape != data.stop.shape or not ((risks >= 0) & (risks <= 1)).all():
        raise SurvivalTimesError(f"risk must be {len(data)} probabilities in [0, 1]; some are missing or outside")
    cut = administrative_end(data, time)
    slope, error = calibration_slope(cut, np.log(-np.log1p(-np.clip(risks, EDGE, 1.0 - EDGE))))
    observed, low, high = _observed(cut, time)
    expected = float(risks.mean())
    labels = _groups(risks, groups)
    rows = [(float(risks[labels == g].mean()), *_observed(cut.take(labels == g), time)) for g in np.unique(labels)]
    predicted, found, lower, upper = (np.array(column) for column in zip(*rows, strict=True))
    half = None if slope is None or error is None else Z95 * error
    return Calibration(
        time,
        slope,
        None if slope is None or half is None else slope - half,
        None if slope is None or half is None else slope + half,
        observed / expected,
        low / expected,
        high / expected,
        predicted,
        found,
        lower,
        upper,
        np.bincount(labels).astype(np.intp),
        np.bincount(labels[cut.event], minlength=int(labels.max()) + 1).astype(np.intp),
    )


def require_origin(data: SurvivalTimes) -> None:
    """Raise OutsideFollowUpError where rows enter after the origin: a risk from the origin cannot be judged by them."""
    late = int((data.start > 0).sum())
    if late:
        raise OutsideFollowUpError(
            f"{late} of {len(data)} rows enter after the origin: those who had the event before they could enter are "
            "missing, so a risk predicted from the origin cannot be judged; give follow-up from time 0"
        )


def calibration_slope(data: SurvivalTimes, predictor: Floats) -> tuple[float | None, float | None]:
    """The Cox coefficient of `predictor` (n,) and its standard error; None where it has none."""
    spread = float(predictor.std())
    if data.events == 0 or spread == 0:
        return None, None
    sets = risk_sets(data)
    column = ((predictor - predictor.mean()) / spread)[sets.order][:, None]
    found = maximise(sets, column, np.zeros(1))
    information = float(found.likelihood.information[0, 0])
    if found.diverging or not found.converged or information <= 0:
        return None, None
    return float(found.beta[0]) / spread, 1.0 / np.sqrt(information) / spread


def administrative_end(data: SurvivalTimes, time: float) -> SurvivalTimes:
    """The same patients, followed no longer than `time`; rows that start at or after it are gone."""
    kept = data.take(data.start < time)
    stop = np.minimum(kept.stop, time)
    return SurvivalTimes(stop, kept.event & (kept.stop <= time), kept.start, kept.stratum)


def _observed(data: SurvivalTimes, time: float) -> tuple[float, float, float]:
    """Kaplan-Meier risk by `time` with its 95% interval; carried on where a small group's follow-up ends earlier."""
    curve = kaplan_meier(data)
    row = int(curve.rows_at([time])[0])
    if row < 0:
        return 0.0, 0.0, 0.0
    upper = 1.0 if np.isnan(curve.lower[row]) else 1.0 - float(curve.lower[row])
    lower = 1.0 if np.isnan(curve.upper[row]) else 1.0 - float(curve.upper[row])
    return 1.0 - float(curve.survival[row]), lower, upper


def _groups(risks: Floats, groups: int) -> Indices:
    edges = np.unique(np.quantile(risks, np.linspace(0, 1, groups + 1)[1:-1]))
    return np.unique(np.searchsorted(edges, risks, side="left"), return_inverse=True)[1].astype(np.intp)
