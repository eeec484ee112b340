"""Cox's partial likelihood: its value, score, information and residuals, and Newton's way to its maximum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longderm.prognosis.risk_sets import RiskSets
from longderm.prognosis.survival_times import Floats, Indices

#: Newton stops when no coefficient of a column scaled to unit spread moves by more than this.
STEP_TOLERANCE = 1e-10
#: Most Newton steps; a proper maximum takes 4-8, a coefficient on its way to infinity gains about 1 a step.
MOST_STEPS = 40
#: The likelihood counts as flat when it gains less than this, relative; R's `coxph.control(eps)`.
FLAT_LIKELIHOOD = 1e-9
#: Steps beyond flatness before a column that still moves by `DIVERGING_STEP` over its range counts as separating.
STEPS_WHEN_FLAT = 4
DIVERGING_STEP = 0.1
#: How often a step that lowers the likelihood is halved.
MOST_HALVINGS = 20


@dataclass(frozen=True)
class Likelihood:
    """The log partial likelihood at some coefficients, its score (p,) and information (p, p), ridge included.

    `hazard` (n,) exp(linear predictor), scaled; `at_risk` (e,) its sum over the risk set that each event sees;
    `mean` (e, p) the weighted mean of the columns there. Rows in the order of `RiskSets.order`.
    """

    value: float
    score: Floats
    information: Floats
    hazard: Floats
    shift: float
    at_risk: Floats
    mean: Floats


def likelihood(sets: RiskSets, columns: Floats, beta: Floats, ridge: float = 0.0) -> Likelihood:
    """Evaluate at `beta` (p,); `columns` (n, p) in the order of `sets`; `ridge` adds -ridge |beta|^2 / 2."""
    predictor = columns @ beta
    shift = float(predictor.max())
    hazard = np.exp(predictor - shift)
    weighted = columns * hazard[:, None]
    rows, groups, share = sets.event_row, sets.event_group, sets.event_share
    total, total_columns = sets.sums(hazard)[groups], sets.sums(weighted)[groups]
    if share.any():
        total = total - share * sets.events_of_groups(hazard[rows])[groups]
        total_columns = total_columns - share[:, None] * sets.events_of_groups(weighted[rows])[groups]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total_columns / total[:, None]
        inverse = 1.0 / total
        value = float(predictor[rows].sum() - shift * rows.size - np.log(total).sum())
    exposure = sets.over_rows(sets.events_of_groups(inverse))
    if share.any():
        exposure[rows] -= sets.events_of_groups(share * inverse)[groups]
    score = columns[rows].sum(axis=0) - mean.sum(axis=0) - ridge * beta
    information = columns.T @ (weighted * exposure[:, None]) - mean.T @ mean
    information[np.diag_indices_from(information)] += ridge
    return Likelihood(value - ridge * float(beta @ beta) / 2.0, score, information, hazard, shift, total, mean)


@dataclass(frozen=True)
class Maximum:
    """Coefficients (p,) that maximise the likelihood, and the likelihood there; `diverging` are the positions of
    columns whose coefficient has no finite maximum, `converged` is False if others had not come to rest.
    """

    beta: Floats
    likelihood: Likelihood
    steps: int
    diverging: tuple[int, ...]
    converged: bool


def maximise(sets: RiskSets, columns: Floats, beta: Floats, ridge: float = 0.0) -> Maximum:
    """Newton's method with halved steps from `beta` (p,); `columns` (n, p) scaled to about unit spread."""
    ranges = np.ptp(columns, axis=0)
    now = likelihood(sets, columns, beta, ridge)
    flat, step = 0, np.zeros_like(beta)
    for count in range(MOST_STEPS):
        step = _solve(now.information, now.score)
        if np.abs(step).max(initial=0.0) <= STEP_TOLERANCE:
            return Maximum(beta + step, now, count, (), True)
        ahead, size = likelihood(sets, columns, beta + step, ridge), 1.0
        slack = 1e-12 * (abs(now.value) + 1.0)
        for _ in range(MOST_HALVINGS):
            if np.isfinite(ahead.value) and ahead.value >= now.value - slack:
                break
            size /= 2.0
            ahead = likelihood(sets, columns, beta + size * step, ridge)
        else:
            break
        flat = flat + 1 if ahead.value - now.value <= FLAT_LIKELIHOOD * (abs(now.value) + 1.0) else 0
        beta, now = beta + size * step, ahead
        if flat >= STEPS_WHEN_FLAT:
            break
    moving = np.flatnonzero(np.abs(step) * ranges > DIVERGING_STEP)
    at_rest = np.abs(step).max(initial=0.0) <= np.sqrt(STEP_TOLERANCE)
    return Maximum(beta, now, count + 1, tuple(int(j) for j in moving), bool(at_rest))


def score_residuals(sets: RiskSets, columns: Floats, at: Likelihood) -> Floats:
    """Each row's share of the score (n, p), in the order of `sets` (Therneau and Grambsch 2000, section 4.2; Efron's
    ties as in R): their cross product is the middle of the robust variance.
    """
    rows, groups, share = sets.event_row, sets.event_group, sets.event_share
    inverse = 1.0 / at.at_risk
    by_group, by_group_mean = sets.events_of_groups(inverse), sets.events_of_groups(at.mean * inverse[:, None])
    exposure, exposure_mean = sets.over_rows(by_group), sets.over_rows(by_group_mean)
    if share.any():
        exposure[rows] -= sets.events_of_groups(share * inverse)[groups]
        exposure_mean[rows] -= sets.events_of_groups(at.mean * (share * inverse)[:, None])[groups]
    residual = -at.hazard[:, None] * (columns * exposure[:, None] - exposure_mean)
    residual[rows] += columns[rows] - mean_at_event(sets, at)
    return np.asarray(residual, np.float64)


def mean_at_event(sets: RiskSets, at: Likelihood) -> Floats:
    """The mean of the columns each event is compared with (e, p): tied events share theirs, as in R."""
    deaths = sets.events_of_groups(np.ones(sets.event_row.size))
    return np.asarray((sets.events_of_groups(at.mean) / deaths[:, None])[sets.event_group], np.float64)


def weighted_information(sets: RiskSets, columns: Floats, at: Likelihood, weight: Floats) -> Floats:
    """The information (p, p) with each group's part multiplied by `weight` (g,)."""
    rows, groups, share = sets.event_row, sets.event_group, sets.event_share
    inverse = weight[groups] / at.at_risk
    exposure = sets.over_rows(sets.events_of_groups(inverse))
    exposure[rows] -= sets.events_of_groups(share * inverse)[groups]
    inner = at.mean.T @ (at.mean * weight[groups][:, None])
    return np.asarray(columns.T @ (columns * (at.hazard * exposure)[:, None]) - inner, np.float64)


def unidentified(information: Floats, tolerance: float) -> tuple[Indices, dict[int, tuple[int, ...]]]:
    """Columns without information, and those that a combination of earlier ones gives (position -> the earlier ones).

    `information` (p, p) of columns of unit spread at coefficients of zero; a column is the earlier ones' combination
    when less than `tolerance` of its information is left beside them.
    """
    diagonal = np.diag(information)
    constant = np.flatnonzero(diagonal <= tolerance * max(float(diagonal.max(initial=0.0)), np.finfo(float).tiny))
    kept: list[int] = []
    dependent: dict[int, tuple[int, ...]] = {}
    for column in range(diagonal.size):
        if column in constant:
            continue
        if kept:
            block, cross = information[np.ix_(kept, kept)], information[kept, column]
            weights = np.linalg.solve(block, cross)
            if diagonal[column] - cross @ weights <= tolerance * diagonal[column]:
                used = np.abs(weights) > 1e-6 * np.abs(weights).max()
                dependent[column] = tuple(kept[i] for i in np.flatnonzero(used))
                continue
        kept.append(column)
    return constant.astype(np.intp), dependent


def _solve(matrix: Floats, vector: Floats) -> Floats:
    try:
        return np.asarray(np.linalg.solve(matrix, vector), np.float64)
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(matrix, vector, rcond=None)[0], np.float64)
