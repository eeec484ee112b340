"""A Cox model fitted anew to many resamples: no reports, a warm start, risks at a few times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longderm.prognosis.cox import column_spread, refuse_diverging, refuse_unidentified
from longderm.prognosis.errors import TooFewEventsError
from longderm.prognosis.partial_likelihood import Likelihood, maximise
from longderm.prognosis.risk_sets import RiskSets, Ties, risk_sets
from longderm.prognosis.survival_times import Floats, SurvivalTimes


@dataclass(frozen=True)
class RiskModel:
    """`beta` (p,) per unit of the columns, their `center` (p,), and the cumulative `hazard` (k,) there by each of the
    `times` (k,); `log_likelihood` of the fit, without its penalty.
    """

    beta: Floats
    center: Floats
    times: Floats
    hazard: Floats
    log_likelihood: float

    def predictor(self, matrix: Floats) -> Floats:
        """Linear predictor (n,) from the centre."""
        return (matrix - self.center) @ self.beta

    def survival(self, predictor: Floats) -> Floats:
        """Survival (n, k) at the model's times."""
        return np.asarray(np.exp(-np.exp(predictor)[:, None] * self.hazard), np.float64)


def fit_risk_model(
    data: SurvivalTimes,
    matrix: Floats,
    names: tuple[str, ...],
    times: Floats,
    *,
    start_at: Floats | None = None,
    ties: Ties = "efron",
    baseline: Ties | None = None,
    penalty: float = 0.0,
) -> RiskModel:
    """Fit a Cox model (one stratum) for prediction at `times` (k,).

    The same maximum as `fit_cox`; `start_at` (p,) is where Newton begins. `baseline` chooses the hazard's estimate
    apart from the fit's ties. Raises UnusableColumnsError, NotConvergedError, TooFewEventsError.
    """
    if data.events == 0:
        raise TooFewEventsError("a Cox model needs an event; all rows are censored")
    sets = risk_sets(data, ties)
    center, scale = matrix.mean(axis=0), column_spread(matrix)
    scaled = ((matrix - center) / scale)[sets.order]
    begin = np.zeros(scale.size) if start_at is None else start_at * scale
    found = maximise(sets, scaled, begin, penalty * len(data))
    if found.diverging or not found.converged or not np.isfinite(found.beta).all():
        refuse_unidentified(sets, scaled, names, penalised=penalty > 0)
        refuse_diverging(sets, scaled, found, names, penalty * len(data))
    hazard = cumulative_hazard(sets, found.likelihood, times, baseline or ties)
    ridge_part = penalty * len(data) * float(found.beta @ found.beta) / 2.0
    return RiskModel(found.beta / scale, center, times, hazard, found.likelihood.value + ridge_part)


def cumulative_hazard(sets: RiskSets, at: Likelihood, times: Floats, baseline: Ties) -> Floats:
    """Cumulative hazard by each of `times` (k,) of a row whose columns are all 0; one stratum."""
    at_risk = at.at_risk
    if baseline == "breslow" and sets.event_share.any():
        at_risk = sets.sums(at.hazard)[sets.event_group]
    steps = np.exp(-at.shift) / at_risk
    order = np.argsort(sets.times[sets.event_group], kind="stable")
    summed = np.concatenate([[0.0], np.cumsum(steps[order])])
    ascending = sets.times[sets.event_group][order]
    return np.asarray(summed[np.searchsorted(ascending, times, side="right")], np.float64)
