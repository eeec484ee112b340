"""One patient's risk taken apart: what each covariate adds to the linear predictor, from the average to the patient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from longderm.prognosis.elastic_net_logistic import probability
from longderm.prognosis.errors import OutsideFollowUpError, SurvivalTimesError
from longderm.prognosis.metastasis_model import MetastasisModel
from longderm.prognosis.model_matrix import model_matrix, table_columns
from longderm.prognosis.survival_model import PER_YEAR, SurvivalModel, predict_survival
from longderm.prognosis.survival_times import Floats


@dataclass(frozen=True)
class Contribution:
    """What a covariate adds: its name, the patient's `value` as text, the `amount` on the scale of the predictor."""

    name: str
    value: str
    amount: float


@dataclass(frozen=True)
class RiskBreakdown:
    """From the risk `start_risk` at the average of the fit (predictor 0) to the patient's `risk`.

    `contributions`, the largest first, add up to the patient's predictor. `risks` (k,): the risk after each of them.
    `lower` and `upper`: 95% interval of `risk`, NaN where there is none. `scale`: "log hazard" or "log odds"; `what`
    names the risk ("5-year risk").
    """

    contributions: tuple[Contribution, ...]
    start_risk: float
    risks: Floats
    risk: float
    lower: float
    upper: float
    scale: str
    what: str


def survival_breakdown(model: SurvivalModel, table: Any, time: float) -> RiskBreakdown:
    """The risk of the one patient in `table` by `time` (in the model's unit), by covariate.

    The average patient is the mean of the columns of the fit (half a man, where half are men), within the patient's
    stratum. Raises SurvivalTimesError for a table that is not of one row, OutsideFollowUpError past the follow-up, and
    what `predict_survival` raises.
    """
    found = predict_survival(model, table, [time])
    if found.linear_predictor.size != 1:
        raise SurvivalTimesError(f"the table has {found.linear_predictor.size} rows; a breakdown is of one patient")
    survival, predictor = float(found.survival[0, 0]), float(found.linear_predictor[0])
    if not np.isfinite(survival):
        raise OutsideFollowUpError(f"nobody was followed up to {time:g}; ask for an earlier time")
    columns = table_columns(table, model.covariates)
    each = (model_matrix(columns, model.terms, model.levels)[0] - model.fit.center) * model.fit.beta
    amounts = dict.fromkeys(model.covariates, 0.0)
    for term, amount in zip(model.terms, each, strict=True):
        amounts[term.column] += float(amount)
    parts = [Contribution(name, _said(columns[name][0]), amount) for name, amount in amounts.items()]
    base = -np.log(survival) / np.exp(predictor) if survival > 0 else np.inf
    what = f"{time / PER_YEAR[model.outcome.time_unit]:.3g}-year risk"

    def risk_at(value: float) -> float:
        return float(-np.expm1(-base * np.exp(value)))

    interval = (1.0 - float(found.upper[0, 0]), 1.0 - float(found.lower[0, 0]))
    return _broken_down(parts, 0.0, risk_at, interval, "log hazard", what)


def metastasis_breakdown(model: MetastasisModel, table: Any, image: Floats | None = None) -> RiskBreakdown:
    """The risk of the one tumour whose covariates `table` holds in one row and whose mean embedding is `image` (d,).

    The embedding counts as one contribution. Raises SurvivalTimesError for another number of rows or values.
    """
    d = len(model.embedding)
    values = np.zeros(0) if image is None else np.asarray(image, np.float64)
    if values.shape != (d,) or not np.isfinite(values).all():
        raise SurvivalTimesError(f"the embedding has shape {values.shape}; the model needs {d} finite values")
    columns = table_columns(table, model.covariates)
    if model.terms and len(next(iter(columns.values()))) != 1:
        raise SurvivalTimesError("a breakdown is of one tumour; give a table of one row")
    clinical = model_matrix(columns, model.terms, model.levels)[0] if model.terms else np.zeros(0)
    matrix = np.concatenate([values, clinical])
    each = (matrix - model.center) / model.scale * model.coefficients
    amounts = dict.fromkeys(model.covariates, 0.0)
    for term, amount in zip(model.terms, each[d:], strict=True):
        amounts[term.column] += float(amount)
    parts = [Contribution(name, _said(columns[name][0]), amount) for name, amount in amounts.items()]
    if d:
        parts.append(Contribution("image", f"{d} values", float(each[:d].sum())))
    lower, upper = model.risk_interval(matrix[None, :])

    def risk_at(value: float) -> float:
        return float(probability(np.array([value]))[0])

    what = f"risk of {model.endpoint} metastasis"
    return _broken_down(parts, model.intercept, risk_at, (float(lower[0]), float(upper[0])), "log odds", what)


def _broken_down(
    parts: list[Contribution],
    start: float,
    risk_at: Callable[[float], float],
    interval: tuple[float, float],
    scale: str,
    what: str,
) -> RiskBreakdown:
    ordered = tuple(sorted(parts, key=lambda one: (-abs(one.amount), one.name)))
    sums = start + np.cumsum([one.amount for one in ordered])
    risks = np.array([risk_at(float(value)) for value in sums])
    return RiskBreakdown(ordered, risk_at(start), risks, float(risks[-1]), *interval, scale, what)


def _said(value: Any) -> str:
    """A covariate's value as text."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, int | float | np.number) else str(value)
