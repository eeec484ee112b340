"""A Cox model fitted anew to many resamples: no reports, a warm start, risks at a few times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longderm.prognosis.cox import column_spread, refuse_diverging, refuse_unidentified
from longderm.prognosis.errors import TooFewEventsError
from longderm.prognosis.partial_likelihood import Likelihood, maximise
from longderm.prognosis.risk_sets import RiskSets, Ties, risk_sets
from longderm.prognosis.survival_times import Floats, Indices, SurvivalTimes


@dataclass(frozen=True)
class RiskModel:
    """`beta` (p,) per unit of the columns, their `center` (p,), and the cumulative `hazard` (s, k) there, of each of s
    strata, by each of the `times` (k,); `log_likelihood` of the fit, without its penalty.
    """

    beta: Floats
    center: Floats
    times: Floats
    hazard: Floats
    log_likelihood: float

    def predictor(self, matrix: Floats) -> Floats:
        """Linear predictor (n,) from the centre."""
        return (matrix - self.center) @ self.beta

    def survival(self, predictor: Floats, stratum: Indices | None = None) -> Floats:
        """Survival (n, k) at the model's times, of patients of each `stratum` (n,); None: there is one."""
        hazard = self.hazard[0] if stratum is None else self.hazard[stratum]
        return np.asarray(np.exp(-np.exp(predictor)[:, None] * hazard), np.float64)


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
    strata: int = 1,
) -> RiskModel:
    """Fit a Cox model for prediction at `times` (k,); `strata`: how many there are, each with its own hazard.

    The same maximum as `fit_cox`; `start_at` (p,) is where Newton begins. `baseline` chooses the hazard's estimate
    apart from the fit's ties. Raises UnusableColumnsError, NotConvergedError, TooFewEventsError where a stratum holds
    no event.
    """
    if data.events == 0:
        raise TooFewEventsError("a Cox model needs an event; all rows are censored")
    without = np.flatnonzero(np.bincount(data.stratum[data.event], minlength=strata) == 0) if strata > 1 else ()
    if len(without):
        raise TooFewEventsError(f"{len(without)} of {strata} strata hold no event: their hazard has no estimate")
    sets = risk_sets(data, ties)
    center, scale = matrix.mean(axis=0), column_spread(matrix)
    scaled = ((matrix - center) / scale)[sets.order]
    begin = np.zeros(scale.size) if start_at is None else start_at * scale
    found = maximise(sets, scaled, begin, penalty * len(data))
    if found.diverging or not found.converged or not np.isfinite(found.beta).all():
        refuse_unidentified(sets, scaled, names, penalised=penalty > 0)
        refuse_diverging(sets, scaled, found, names, penalty * len(data))
    hazard = cumulative_hazard(sets, found.likelihood, times, baseline or ties, strata)
    ridge_part = penalty * len(data) * float(found.beta @ found.beta) / 2.0
    return RiskModel(found.beta / scale, center, times, hazard, found.likelihood.value + ridge_part)


def cumulative_hazard(sets: RiskSets, at: Likelihood, times: Floats, baseline: Ties, strata: int = 1) -> Floats:
    """Cumulative hazard (strata, k) by each of `times` (k,) of a row whose columns are all 0."""
    at_risk = at.at_risk
    if baseline == "breslow" and sets.event_share.any():
        at_risk = sets.sums(at.hazard)[sets.event_group]
    steps, when = np.exp(-at.shift) / at_risk, sets.times[sets.event_group]
    stratum = sets.stratum[sets.event_group]
    hazard = np.empty((strata, times.size))
    for one in range(strata):
        part = np.flatnonzero(stratum == one) if strata > 1 else np.arange(when.size)
        order = part[np.argsort(when[part], kind="stable")]
        summed = np.concatenate([[0.0], np.cumsum(steps[order])])
        hazard[one] = summed[np.searchsorted(when[order], times, side="right")]
    return hazard
