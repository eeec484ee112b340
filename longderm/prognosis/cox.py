"""Cox's proportional hazards model: arrays in, coefficients, tests and baseline hazard out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from longderm.prognosis.concordance import Concordance, harrell_c
from longderm.prognosis.errors import (
    NotConvergedError,
    SurvivalTimesError,
    TooFewEventsError,
    UnusableColumnsError,
)
from longderm.prognosis.partial_likelihood import Likelihood, Maximum, likelihood, maximise, score_residuals
from longderm.prognosis.partial_likelihood import unidentified as find_unidentified
from longderm.prognosis.risk_sets import RiskSets, Ties, risk_sets
from longderm.prognosis.survival_times import Floats, SurvivalTimes

#: A column with less than this share of its information beside the others is their combination. Rounded sums of
#: columns leave 1e-16 to 1e-12; a column that differs in one patient of a million leaves 1e-6.
COLLINEAR = 1e-9


class ChiSquare(NamedTuple):
    """A chi-square `statistic` with its degrees of freedom `df` and `p_value`."""

    statistic: float
    df: int
    p_value: float


@dataclass(frozen=True)
class BaselineHazard:
    """Cumulative hazard of a patient at the centre, within one stratum, after each event time; float64.

    `times` (m,), `hazard` (m,); `variance` (m,) its variance at known coefficients and `drift` (m, p) the integral of
    the risk sets' mean columns (from the centre), by which the coefficients' uncertainty enters. `last` is the end of
    the stratum's follow-up: nothing is known later.
    """

    times: Floats
    hazard: Floats
    variance: Floats
    drift: Floats
    last: float


@dataclass(frozen=True)
class CoxFit:
    """A fitted Cox model of p columns.

    `beta`, `standard_error` (p,); `covariance` (p, p) is the inverse information, or the robust sandwich where
    clusters were given (`robust`); `naive_covariance` always the former. `likelihood_ratio`, `wald`, `score`: global
    tests, `robust_score` with clusters only; None under a penalty, where they do not hold. `center` (p,) is where the
    baseline stands. `log_likelihood` holds that of no effect and of the fit.
    """

    columns: tuple[str, ...]
    beta: Floats
    standard_error: Floats
    covariance: Floats
    naive_covariance: Floats
    robust: bool
    log_likelihood: tuple[float, float]
    likelihood_ratio: ChiSquare | None
    wald: ChiSquare | None
    score: ChiSquare | None
    robust_score: ChiSquare | None
    concordance: Concordance
    baseline: tuple[BaselineHazard, ...]
    center: Floats
    rows: int
    events: int
    ties: Ties
    penalty: float
    steps: int


def fit_cox(
    data: SurvivalTimes,
    columns: ArrayLike,
    names: Sequence[str],
    *,
    ties: Ties = "efron",
    cluster: ArrayLike | None = None,
    penalty: float = 0.0,
    l1_ratio: float = 0.0,
) -> CoxFit:
    """Fit by Newton's method; strata and start-stop rows are those of `data`.

    `columns` (n, p) float; `names` (p,); `cluster` (n,) any labels: robust standard errors that take the rows of one
    cluster as one. `penalty` >= 0 is a ridge on columns scaled to unit standard deviation,
    maximising log likelihood / n - penalty |beta|^2 / 2 (lifelines' `penalizer` at `l1_ratio=0`); its standard errors
    take the penalty for prior knowledge and are no confidence intervals. `l1_ratio` in (0, 1] makes it an elastic net,
    fitted by lifelines with its smoothed absolute value: small coefficients come close to 0, none is exactly 0, and
    standard errors are NaN.

    Raises UnusableColumnsError naming constant, collinear (unless penalised) and separating columns,
    TooFewEventsError without an event, NotConvergedError, SurvivalTimesError for missing values or wrong shapes.
    """
    matrix = check_matrix(data, columns, names)
    if penalty < 0 or not np.isfinite(penalty) or not 0 <= l1_ratio <= 1:
        raise SurvivalTimesError(f"penalty is {penalty}, l1_ratio {l1_ratio}; give 0 or more, and 0 to 1")
    sets = risk_sets(data, ties)
    center, scale = matrix.mean(axis=0), column_spread(matrix)
    scaled = ((matrix - center) / scale)[sets.order]
    ridge = penalty * len(data)
    refuse_unidentified(sets, scaled, names, penalised=penalty > 0)
    null = likelihood(sets, scaled, np.zeros(len(names)))
    if penalty > 0 and l1_ratio > 0:
        if ties != "efron":
            raise SurvivalTimesError("an elastic net is fitted with Efron's ties")
        found = elastic_net(data, sets, (matrix - center) / scale, penalty, l1_ratio)
    else:
        found = maximise(sets, scaled, np.zeros(len(names)), ridge)
        refuse_diverging(sets, scaled, found, names, ridge)
    lasso = penalty > 0 and l1_ratio > 0
    return _describe(data, sets, matrix, scaled, center, scale, null, found, names, ties, cluster, penalty, lasso)


def check_matrix(data: SurvivalTimes, columns: ArrayLike, names: Sequence[str]) -> Floats:
    """The columns as float64 (n, p); raises SurvivalTimesError, or TooFewEventsError where nothing can be fitted."""
    matrix = np.asarray(columns, np.float64)
    if matrix.ndim != 2 or matrix.shape != (len(data), len(names)) or not names:
        raise SurvivalTimesError(f"columns have shape {matrix.shape}; {len(data)} rows of {len(names)} columns needed")
    missing = [name for j, name in enumerate(names) if not np.isfinite(matrix[:, j]).all()]
    if missing:
        raise SurvivalTimesError(f"missing or infinite values in {', '.join(missing)}")
    if data.events == 0:
        raise TooFewEventsError("a Cox model needs an event; all rows are censored")
    return matrix


def refuse_unidentified(sets: RiskSets, scaled: Floats, names: Sequence[str], *, penalised: bool) -> None:
    """Raise UnusableColumnsError for constant columns and, unless penalised, for collinear ones."""
    information = likelihood(sets, scaled, np.zeros(len(names))).information
    constant, dependent = find_unidentified(information, COLLINEAR)
    parts = []
    if constant.size:
        listed = ", ".join(names[j] for j in constant)
        parts.append(f"constant among those at risk at an event: {listed}")
    if dependent and not penalised:
        parts += [
            f"collinear: {names[column]} is given by {', '.join(names[j] for j in others)}"
            for column, others in sorted(dependent.items())
        ]
    if parts:
        bad = [*constant.tolist(), *(dependent if not penalised else ())]
        raise UnusableColumnsError("; ".join(parts), [names[j] for j in bad])


def refuse_diverging(sets: RiskSets, scaled: Floats, found: Maximum, names: Sequence[str], ridge: float) -> None:
    """Raise UnusableColumnsError for coefficients without a finite maximum, NotConvergedError for others at large."""
    if found.diverging:
        listed = [names[j] for j in _culprits(sets, scaled, found.diverging, ridge)]
        raise UnusableColumnsError(
            f"no finite coefficient for {', '.join(listed)}: separates those with the event from the others at risk; "
            "set a penalty, merge levels or leave it out",
            listed,
            separating=True,
        )
    if not found.converged:
        raise NotConvergedError(f"the Cox model of {', '.join(names)} did not converge; set a penalty")


def baseline_hazards(
    data: SurvivalTimes, matrix: Floats, beta: Floats, center: Floats, ties: Ties
) -> tuple[BaselineHazard, ...]:
    """Cumulative hazard at `center` in each stratum, in the order of strata: Breslow's estimate, or its Efron version
    (R's `survfit` of a `coxph`) where `ties` says so.
    """
    sets = risk_sets(data, ties)
    shifted = (matrix - center)[sets.order]
    at = likelihood(sets, shifted, beta)
    inverse = np.exp(-at.shift) / at.at_risk
    steps, variance = sets.events_of_groups(inverse), sets.events_of_groups(inverse**2)
    drift = sets.events_of_groups(at.mean * inverse[:, None])
    result = []
    for stratum in range(int(data.stratum.max()) + 1):
        rows = np.flatnonzero(sets.stratum == stratum)[::-1]
        result.append(
            BaselineHazard(
                sets.times[rows],
                np.cumsum(steps[rows]),
                np.cumsum(variance[rows]),
                np.cumsum(drift[rows], axis=0),
                float(data.stop[data.stratum == stratum].max()),
            )
        )
    return tuple(result)


def elastic_net(data: SurvivalTimes, sets: RiskSets, scaled: Floats, penalty: float, l1_ratio: float) -> Maximum:
    """Coefficients of `scaled` (n, p), in the order of `data`, under an elastic net; fitted by lifelines.

    Raises NotConvergedError where lifelines does not converge.
    """
    import warnings

    import pandas as pd
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError

    frame = pd.DataFrame({f"x{j}": scaled[:, j] for j in range(scaled.shape[1])})
    frame = frame.assign(stop=data.stop, event=data.event, start=data.start, stratum=data.stratum)
    fitter = CoxPHFitter(penalizer=penalty, l1_ratio=l1_ratio)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitter.fit(frame, "stop", "event", entry_col="start", strata=["stratum"])
    except (ConvergenceError, ValueError) as error:
        raise NotConvergedError(f"the elastic net did not converge ({error}); raise the penalty") from None
    beta = fitter.params_.to_numpy()
    return Maximum(beta, likelihood(sets, scaled[sets.order], beta), 0, (), True)


def chi_square(statistic: float, df: int) -> ChiSquare:
    """A test against the chi-square distribution."""
    from scipy.stats import chi2

    return ChiSquare(float(statistic), df, float(chi2.sf(statistic, df)))


def _describe(
    data: SurvivalTimes,
    sets: RiskSets,
    matrix: Floats,
    scaled: Floats,
    center: Floats,
    scale: Floats,
    null: Likelihood,
    found: Maximum,
    names: Sequence[str],
    ties: Ties,
    cluster: ArrayLike | None,
    penalty: float,
    lasso: bool,
) -> CoxFit:
    at, p = found.likelihood, len(names)
    naive = np.full((p, p), np.nan) if lasso else np.linalg.inv(at.information)
    covariance, robust_score = naive, None
    if cluster is not None:
        group = np.unique(np.asarray(cluster), return_inverse=True)[1][sets.order]
        influence = _by_cluster(score_residuals(sets, scaled, at), group) @ naive
        covariance = influence.T @ influence
        before = _by_cluster(score_residuals(sets, scaled, null), group)
        total = before.sum(axis=0)
        robust_score = chi_square(float(total @ np.linalg.pinv(before.T @ before) @ total), p)
    tests: tuple[ChiSquare | None, ...] = (None, None, None)
    if penalty == 0:
        tests = (
            chi_square(2.0 * (at.value - null.value), p),
            chi_square(float(found.beta @ np.linalg.solve(covariance, found.beta)), p),
            chi_square(float(null.score @ np.linalg.solve(null.information, null.score)), p),
        )
    beta = found.beta / scale
    unscale = np.outer(scale, scale)
    return CoxFit(
        columns=tuple(names),
        beta=beta,
        standard_error=np.sqrt(np.diag(covariance)) / scale,
        covariance=covariance / unscale,
        naive_covariance=naive / unscale,
        robust=cluster is not None,
        log_likelihood=(null.value, at.value),
        likelihood_ratio=tests[0],
        wald=tests[1],
        score=tests[2],
        robust_score=robust_score if penalty == 0 else None,
        concordance=harrell_c(data, matrix @ beta, cluster=cluster),
        baseline=baseline_hazards(data, matrix, beta, center, ties),
        center=center,
        rows=len(data),
        events=data.events,
        ties=ties,
        penalty=penalty,
        steps=found.steps,
    )


def _culprits(sets: RiskSets, scaled: Floats, diverging: Sequence[int], ridge: float) -> list[int]:
    """Those of the diverging columns without any of which the others come to rest; all, where no single one does."""
    alone = []
    for column in diverging:
        rest = np.delete(scaled, column, axis=1)
        if rest.shape[1] == 0 or not maximise(sets, rest, np.zeros(rest.shape[1]), ridge).diverging:
            alone.append(column)
    return alone or list(diverging)


def _by_cluster(rows: Floats, cluster: np.ndarray) -> Floats:
    sums = np.zeros((int(cluster.max()) + 1, rows.shape[1]))
    np.add.at(sums, cluster, rows)
    return sums


def column_spread(matrix: Floats) -> Floats:
    """Standard deviation of each column (ddof 1, as lifelines scales); 1 for a constant one."""
    spread = matrix.std(axis=0, ddof=1) if matrix.shape[0] > 1 else np.ones(matrix.shape[1])
    tiny = 1e-12 * np.maximum(np.abs(matrix).max(axis=0), np.finfo(np.float64).tiny)
    return np.where(spread > tiny, spread, 1.0)
