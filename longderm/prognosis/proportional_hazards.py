"""Does a hazard ratio hold over time? A score test from the Schoenfeld residuals, per column and overall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longderm.prognosis.cox import ChiSquare, CoxFit, chi_square
from longderm.prognosis.kaplan_meier import kaplan_meier, step_at
from longderm.prognosis.partial_likelihood import likelihood, mean_at_event, weighted_information
from longderm.prognosis.risk_sets import risk_sets
from longderm.prognosis.survival_times import Floats, SurvivalTimes


@dataclass(frozen=True)
class HazardsCheck:
    """`tests` per column and `overall`; `times` (e,) of the events, ascending, and their `scaled_residuals` (e, p):
    residual times inverse average information plus the coefficient, whose course is that of the coefficient over time.
    """

    columns: tuple[str, ...]
    tests: tuple[ChiSquare, ...]
    overall: ChiSquare
    times: Floats
    scaled_residuals: Floats


def check_proportional_hazards(data: SurvivalTimes, matrix: Floats, fit: CoxFit) -> HazardsCheck:
    """Score test of adding column x g(t) to an unpenalised fit, g = 1 - Kaplan-Meier just before t.

    `matrix` (n, p) are the columns of the fit. This is R's `cox.zph` since survival 3.0 with its default transform
    (Grambsch and Therneau, Biometrika 1994); it uses the risk sets' own information at each event, no average.
    """
    sets = risk_sets(data, fit.ties)
    columns = (matrix - fit.center)[sets.order]
    at = likelihood(sets, columns, fit.beta)
    curve = kaplan_meier(data)
    before = np.concatenate([[1.0], curve.survival[:-1]])
    weight = 1.0 - step_at(curve.times, before, sets.times, 1.0)
    per_event = weight[sets.event_group]
    weight, per_event = weight - per_event.mean(), per_event - per_event.mean()
    residuals = columns[sets.event_row] - mean_at_event(sets, at)
    score = per_event @ residuals
    inner = weighted_information(sets, columns, at, np.ones_like(weight))
    cross = weighted_information(sets, columns, at, weight)
    outer = weighted_information(sets, columns, at, weight**2)
    left = outer - cross @ np.linalg.solve(inner, cross)  # what the coefficients themselves do not explain
    tests = []
    for j in range(fit.beta.size):
        room = outer[j, j] - cross[:, j] @ np.linalg.solve(inner, cross[:, j])
        tests.append(chi_square(score[j] ** 2 / room if room > 0 else 0.0, 1))
    overall = chi_square(float(score @ np.linalg.pinv(left) @ score), fit.beta.size)
    times = sets.times[sets.event_group]
    order = np.argsort(times, kind="stable")
    scaled = residuals @ np.linalg.inv(inner) * residuals.shape[0] + fit.beta
    return HazardsCheck(fit.columns, tuple(tests), overall, times[order], scaled[order])
