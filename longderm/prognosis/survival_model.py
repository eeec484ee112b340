"""Fit a survival model to a table of patients and predict from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from longderm.prognosis.cox import BaselineHazard, CoxFit, fit_cox
from longderm.prognosis.errors import SurvivalTimesError, UnusableColumnsError
from longderm.prognosis.kaplan_meier import Z95, step_at
from longderm.prognosis.model_matrix import (
    Term,
    category_orders,
    complete_rows,
    levels_of,
    model_matrix,
    table_columns,
    terms_of,
)
from longderm.prognosis.proportional_hazards import HazardsCheck, check_proportional_hazards
from longderm.prognosis.risk_sets import Ties
from longderm.prognosis.survival_times import Floats, SurvivalTimes, survival_times

TimeUnit = Literal["days", "months", "years"]
#: Length of a year in each unit; a month is 30.4375 days everywhere in longderm.
PER_YEAR: dict[str, float] = {"days": 365.25, "months": 12.0, "years": 1.0}
#: Below this many events per column coefficients are unsteady and optimism is large (Peduzzi et al. 1995; Riley et al.
#: 2019 show it is no licence above).
FEW_EVENTS_PER_COLUMN = 10.0
#: Ridge (on unit spread, per row) under which a separating column is kept, so that the others can be read.
SEPARATION_PENALTY = 0.01


@dataclass(frozen=True)
class Outcome:
    """Which columns of a table hold the outcome: `time`, `event` (0/1, or equal to `event_value`), `start` for
    start-stop rows, `strata`, and `cluster` (the patient, where one has several rows); times in `time_unit`.
    """

    time: str = "time"
    event: str = "event"
    event_value: Any = None
    start: str | None = None
    strata: tuple[str, ...] = ()
    cluster: str | None = None
    time_unit: TimeUnit = "days"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it names."""
        optional = [name for name in (self.start, self.cluster) if name is not None]
        return (self.time, self.event, *optional, *self.strata)


@dataclass(frozen=True)
class SurvivalModel:
    """A Cox model that knows its table: `terms`, `levels` of texts, the `fit`, the `outcome` it was fitted to.

    `ranges` gives the least and largest value per column of the matrix; `strata` the labels in the order of the fit's
    baselines; `notes` what a reader must be told, in sentences; `left_out` rows with missing values; `set_aside`
    columns without an estimate. `hazards_check` is None under a penalty.
    """

    terms: tuple[Term, ...]
    levels: Mapping[str, tuple[str, ...]]
    fit: CoxFit
    outcome: Outcome
    ranges: tuple[tuple[float, float], ...]
    strata: tuple[str, ...]
    left_out: int
    set_aside: tuple[str, ...]
    notes: tuple[str, ...]
    hazards_check: HazardsCheck | None

    @property
    def covariates(self) -> tuple[str, ...]:
        """The table's columns that it needs, in order."""
        return tuple(dict.fromkeys(term.column for term in self.terms))

    def summary(self) -> list[dict[str, float | str]]:
        """A row per column: coefficient, standard error, hazard ratio with its 95% interval, z and p."""
        from scipy.stats import norm

        rows: list[dict[str, float | str]] = []
        for term, beta, error in zip(self.terms, self.fit.beta, self.fit.standard_error, strict=True):
            z = float(beta / error)
            rows.append(
                {
                    "name": term.name,
                    "coefficient": float(beta),
                    "standard_error": float(error),
                    "hazard_ratio": float(np.exp(beta)),
                    "hazard_ratio_lower": float(np.exp(beta - Z95 * error)),
                    "hazard_ratio_upper": float(np.exp(beta + Z95 * error)),
                    "z": z,
                    "p_value": float(2.0 * norm.sf(abs(z))),
                }
            )
        return rows


@dataclass(frozen=True)
class SurvivalPrediction:
    """Predictions of n patients at k `times` (in the model's unit).

    `survival`, `lower`, `upper` (n, k) in [0, 1] with the 95% interval on the log(-log) scale from the coefficients'
    and the baseline's uncertainty; NaN past the end of the stratum's follow-up and in one without an event.
    `linear_predictor` (n,) from the centre. `outside` names, per patient, the columns beyond the range the model was
    fitted on.
    """

    times: Floats
    survival: Floats
    lower: Floats
    upper: Floats
    linear_predictor: Floats
    outside: tuple[tuple[str, ...], ...]

    @property
    def risk(self) -> Floats:
        """Probability of the event by each time (n, k)."""
        return 1.0 - self.survival


def fit_survival(
    table: Any,
    covariates: Sequence[str],
    *,
    time: str = "time",
    event: str = "event",
    event_value: Any = None,
    start: str | None = None,
    strata: str | Sequence[str] = (),
    cluster: str | None = None,
    time_unit: TimeUnit = "days",
    ties: Ties = "efron",
    penalty: float = 0.0,
    l1_ratio: float = 0.0,
    missing: Literal["refuse", "complete_case"] = "refuse",
    unusable: Literal["set_aside", "raise"] = "set_aside",
) -> SurvivalModel:
    """Fit a Cox model of `covariates` to a table (DataFrame, Arrow table or mapping of columns).

    `time` > 0 in `time_unit`; `event` 0/1 or bool, or any codes of which `event_value` is the event; `start` makes
    rows (start, time], so that covariates may change; `strata` have each a baseline hazard of their own; `cluster`
    names the patient of each row for robust standard errors; `penalty` and `l1_ratio` as in `fit_cox`. Text columns
    become one column per level but the first, in alphabetical order or that of a categorical column.
    `missing="complete_case"` leaves out rows with missing values and counts them; otherwise they are refused. Constant
    and collinear columns are set aside, and with separating ones all columns get the ridge `SEPARATION_PENALTY`; the
    notes name them. `unusable="raise"` raises instead.

    Raises SurvivalTimesError, MissingValuesError, TooFewEventsError, UnusableColumnsError, NotConvergedError.
    """
    outcome = Outcome(
        time, event, event_value, start, (strata,) if isinstance(strata, str) else tuple(strata), cluster, time_unit
    )
    if time_unit not in PER_YEAR:
        raise SurvivalTimesError(f"time_unit is {time_unit!r}; give one of {', '.join(PER_YEAR)}")
    if not covariates:
        raise SurvivalTimesError("no covariates were named")
    everything = table_columns(table, [*outcome.columns, *covariates])
    kept = complete_rows(everything, missing)
    left_out = int((~kept).sum())
    columns = {name: column[kept] for name, column in everything.items()}
    if not kept.any():
        raise SurvivalTimesError("no patients: the table has no complete row")
    data, labels = outcome_times(columns, outcome)
    features = {name: columns[name] for name in covariates}
    terms = terms_of(features, category_orders(table, covariates))
    levels = levels_of(features, terms)
    matrix = model_matrix(features, terms, levels)
    groups = None if cluster is None else columns[cluster]
    notes = [f"{left_out} of {kept.size} rows left out for missing values"] if left_out else []
    options: dict[str, Any] = {"ties": ties, "cluster": groups, "penalty": penalty, "l1_ratio": l1_ratio}
    fit, terms, matrix, set_aside = _fit_usable(data, matrix, terms, options, notes, unusable)
    per_column = fit.events / len(terms)
    if per_column < FEW_EVENTS_PER_COLUMN:
        notes.append(
            f"{fit.events} events for {len(terms)} columns ({per_column:.1f} each, {FEW_EVENTS_PER_COLUMN:g} are the "
            "least): coefficients are unsteady, figures optimistic"
        )
    check = None if fit.penalty > 0 else check_proportional_hazards(data, matrix, fit)
    if check is not None and check.overall.p_value < 0.05:
        suspects = [name for name, test in zip(fit.columns, check.tests, strict=True) if test.p_value < 0.05]
        listed = f" ({', '.join(suspects)})" if suspects else ""
        notes.append(f"hazards are not proportional{listed}, p = {check.overall.p_value:.2g}: stratify, or split time")
    barren = [label for label, one in zip(labels, fit.baseline, strict=True) if not one.times.size]
    if barren:
        notes.append(f"no event in stratum {', '.join(barren)}: nothing is predicted for it")
    ranges = tuple((float(low), float(high)) for low, high in zip(matrix.min(0), matrix.max(0), strict=True))
    return SurvivalModel(terms, levels, fit, outcome, ranges, labels, left_out, set_aside, tuple(notes), check)


def predict_survival(model: SurvivalModel, table: Any, times: ArrayLike) -> SurvivalPrediction:
    """Survival at `times` (k,), in the model's unit, of each row of a table that holds the model's covariates.

    Strata columns are needed where the model has strata. Raises MissingValuesError for missing covariates,
    SurvivalTimesError for unknown levels or strata and for times that are not > 0.
    """
    wanted = np.atleast_1d(np.asarray(times, np.float64))
    if wanted.ndim != 1 or not (wanted > 0).all():
        raise SurvivalTimesError("times must be numbers above 0")
    columns = table_columns(table, [*model.covariates, *model.outcome.strata])
    complete_rows(columns, "refuse")
    matrix = model_matrix(columns, model.terms, model.levels)
    stratum = np.zeros(matrix.shape[0], np.intp)
    if model.outcome.strata:
        position = {label: index for index, label in enumerate(model.strata)}
        labels = _stratum_labels(columns, model.outcome.strata)
        strange = sorted(set(labels) - set(position))
        if strange:
            raise SurvivalTimesError(f"stratum {strange[0]!r} was not in the data the model was fitted to")
        stratum = np.array([position[label] for label in labels], np.intp)
    shifted = matrix - model.fit.center
    predictor = shifted @ model.fit.beta
    survival, error = np.empty((matrix.shape[0], wanted.size)), np.empty((matrix.shape[0], wanted.size))
    for index, baseline in enumerate(model.fit.baseline):
        rows = stratum == index
        survival[rows], error[rows] = _predict_stratum(model.fit, baseline, shifted[rows], predictor[rows], wanted)
    with np.errstate(divide="ignore", invalid="ignore"):
        lower, upper = survival ** np.exp(Z95 * error), survival ** np.exp(-Z95 * error)
    low, high = np.array(model.ranges).T
    beyond = (matrix < low) | (matrix > high)
    outside = tuple(tuple(model.terms[j].name for j in np.flatnonzero(row)) for row in beyond)
    return SurvivalPrediction(wanted, survival, lower, upper, predictor, outside)


def outcome_times(columns: Mapping[str, np.ndarray], outcome: Outcome) -> tuple[SurvivalTimes, tuple[str, ...]]:
    """The checked times of complete columns, and the labels of the strata in order."""
    events: Any = columns[outcome.event]
    if outcome.event_value is not None:
        events = events == outcome.event_value
        if not np.any(events):
            raise SurvivalTimesError(f"no row has {outcome.event} {outcome.event_value!r}")
    start = None if outcome.start is None else columns[outcome.start]
    if not outcome.strata:
        return survival_times(columns[outcome.time], events, start), ("",)
    labels = _stratum_labels(columns, outcome.strata)
    return survival_times(columns[outcome.time], events, start, labels), tuple(sorted(set(labels)))


def _stratum_labels(columns: Mapping[str, np.ndarray], strata: Sequence[str]) -> list[str]:
    parts = [[f"{name}={value}" for value in columns[name].tolist()] for name in strata]
    return [", ".join(row) for row in zip(*parts, strict=True)]


def _fit_usable(
    data: SurvivalTimes,
    matrix: Floats,
    terms: tuple[Term, ...],
    options: dict[str, Any],
    notes: list[str],
    unusable: str,
) -> tuple[CoxFit, tuple[Term, ...], Floats, tuple[str, ...]]:
    set_aside: list[str] = []
    for _ in range(3):  # unidentified columns go, separating ones stay under a ridge
        names = [term.name for term in terms]
        try:
            fit = fit_cox(data, matrix, names, **options)
        except UnusableColumnsError as error:
            if unusable == "raise":
                raise
            keep = [name not in error.columns for name in names]
            if error.separating:
                notes.append(f"{error}; fitted with a ridge of {SEPARATION_PENALTY:g}, which shrinks every coefficient")
                options = options | {"penalty": SEPARATION_PENALTY}
                continue
            if not any(keep):
                raise
            set_aside += error.columns
            notes.append(f"set aside without an estimate: {error}")
            terms, matrix = tuple(t for t, k in zip(terms, keep, strict=True) if k), matrix[:, np.array(keep)]
            continue
        return fit, terms, matrix, tuple(sorted(set_aside))
    raise UnusableColumnsError(notes[-1], set_aside)


def _predict_stratum(
    fit: CoxFit, baseline: BaselineHazard, shifted: Floats, predictor: Floats, times: Floats
) -> tuple[Floats, Floats]:
    """Survival and the standard error of its log(-log), as R's `survfit.coxph` (Tsiatis 1981)."""
    hazard = step_at(baseline.times, baseline.hazard, times, 0.0)
    known = step_at(baseline.times, baseline.variance, times, 0.0)
    index = np.searchsorted(baseline.times, times, side="right")
    drift = np.concatenate([np.zeros((1, fit.beta.size)), baseline.drift])[index]
    survival = np.exp(-np.exp(predictor)[:, None] * hazard)
    gap = drift[None, :, :] - shifted[:, None, :] * hazard[None, :, None]
    spread = np.sqrt(known[None, :] + np.einsum("nkp,pq,nkq->nk", gap, fit.covariance, gap))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(hazard > 0, spread / hazard, 0.0)  # of log(-log S) = predictor + log H
    survival[:, times > (baseline.last if baseline.times.size else 0.0)] = np.nan
    return survival, error
