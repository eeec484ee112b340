"""Landmark models: at each follow-up visit, the risk ahead from everything known up to that day and nothing later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from longderm.prognosis.calibration import administrative_end
from longderm.prognosis.errors import SurvivalTimesError
from longderm.prognosis.model_matrix import missing_values, table_columns
from longderm.prognosis.risk_sets import Ties
from longderm.prognosis.survival_model import (
    PER_YEAR,
    SurvivalModel,
    SurvivalPrediction,
    fit_survival,
    predict_survival,
)
from longderm.prognosis.survival_times import Floats, Indices, survival_times

#: How far ahead a landmark model looks, at most; follow-up is cut there so that later hazards do not bend it.
LOOK_AHEAD_YEARS = 5.0
#: Years ahead for which a visit's risk is given.
RISK_YEARS = (3.0, 5.0)
#: The column that says how long after the origin a visit is.
YEARS_SINCE_ORIGIN = "years_since_origin"


@dataclass(frozen=True)
class LandmarkRows:
    """A row per visit before the end of its patient's follow-up, in order of patient and day.

    `columns` holds `patient`, `day` (days from the origin), `time` (days from the visit to the end), `event`,
    `years_since_origin`, the patient's own covariates and the last known value of each measurement, itself dated no
    later than the visit; its age in days is `NAME_age_days`. What was never measured by then is NaN.
    """

    columns: dict[str, np.ndarray]

    def __len__(self) -> int:
        return int(self.columns["day"].size)


def landmark_rows(
    patients: Any,
    measurements: Any,
    *,
    baseline: Sequence[str],
    measured: Sequence[str],
    patient: str = "patient_id",
    time: str = "time",
    event: str = "event",
    day: str = "day",
) -> LandmarkRows:
    """Put together what was known at each visit.

    `patients`: a row per patient with `time` (days from the origin to the end of follow-up), `event` and the
    `baseline` covariates, known at the origin. `measurements`: a row per patient and `day` >= 0 with the `measured`
    columns, missing where not taken that day; each day with a row is a visit.

    Raises SurvivalTimesError for patients listed twice, measurements of unknown patients, before the origin, or after
    the end of follow-up: these cannot have been known.
    """
    people = table_columns(patients, [patient, time, event, *baseline])
    rows = table_columns(measurements, [patient, day, *measured])
    ids, first, counts = np.unique(people[patient].astype(str), return_index=True, return_counts=True)
    if (counts > 1).any():
        raise SurvivalTimesError(f"{int((counts > 1).sum())} patients have several rows in the table of patients")
    data = survival_times(people[time], people[event])
    who = np.searchsorted(ids, rows[patient].astype(str)).clip(max=ids.size - 1)
    strange = int((ids[who] != rows[patient].astype(str)).sum())
    if strange:
        raise SurvivalTimesError(f"{strange} measurements belong to no patient of the table")
    who, days = first[who], rows[day].astype(np.float64)
    if not (days >= 0).all():
        raise SurvivalTimesError(f"{int((~(days >= 0)).sum())} measurements are dated before the origin or not at all")
    late = days > data.stop[who]
    if late.any():
        raise SurvivalTimesError(f"{int(late.sum())} measurements are dated after the end of their patient's follow-up")
    at, known = known_at_visits(who, days, {name: rows[name] for name in measured})
    ahead = days[at] < data.stop[who[at]]
    if not ahead.any():
        raise SurvivalTimesError("no visit lies before the end of a follow-up")
    at = at[ahead]
    columns: dict[str, np.ndarray] = {
        "patient": people[patient][who[at]],
        "day": days[at],
        "time": data.stop[who[at]] - days[at],
        "event": data.event[who[at]].astype(np.int64),
        YEARS_SINCE_ORIGIN: days[at] / PER_YEAR["days"],
    }
    columns |= {name: people[name][who[at]] for name in baseline}
    columns |= {name: values[ahead] for name, values in known.items()}
    return LandmarkRows(columns)


def known_at_visits(
    who: Indices, days: Floats, measured: Mapping[str, np.ndarray]
) -> tuple[Indices, dict[str, np.ndarray]]:
    """What was known of each patient by each of the visits, and how old it was then.

    `who` (m,): the patient of each row of measurements, as a number; `days` (m,): their days; `measured`: name -> (m,)
    numbers, missing where not taken. Several rows of one day are one visit. Returns the positions (v,) of the visits
    among the rows, in order of patient and day, and name -> float64 (v,): the last known value (NaN: never measured by
    then) and, under NAME_age_days, its age in days.
    """
    order = np.lexsort((days, who))
    who, days = who[order], days[order]
    # the last row of a day knows what all of them say
    visit = np.flatnonzero(np.append((who[1:] != who[:-1]) | (days[1:] != days[:-1]), True)[: who.size])
    known: dict[str, np.ndarray] = {}
    for name, column in measured.items():
        values = column[order]
        last = _last_known(~missing_values(values), who)[visit]
        numbers = values.astype(np.float64)
        known[name] = np.where(last < 0, np.nan, numbers[last.clip(min=0)])
        known[age_column(name)] = np.where(last < 0, np.nan, days[visit] - days[last.clip(min=0)])
    return order[visit].astype(np.intp), known


def age_column(name: str) -> str:
    """The column that holds how many days old the value of a measurement is at a visit."""
    return f"{name}_age_days"


def start_stop_rows(rows: LandmarkRows) -> dict[str, np.ndarray]:
    """The same visits as start-stop rows of a Cox model whose covariates change: each lasts until the next visit.

    `start` and `stop` are days from the origin, `event` is that of the patient's last row; the other columns as in
    `rows`. Before a patient's first visit nothing is known: it has no row. For `fit_survival` and `evaluate_survival`
    with `start="start"`, `time="stop"`, `patient` the patient. Such a model tells how the hazard hangs on what was last
    seen; a risk ahead of a visit is for a landmark model to tell.
    """
    columns = rows.columns
    last = np.append(columns["patient"][1:] != columns["patient"][:-1], True)
    stop = np.where(last, columns["day"] + columns["time"], np.append(columns["day"][1:], 0.0))
    others = {name: column for name, column in columns.items() if name not in ("day", "time", "event")}
    return others | {"start": columns["day"], "stop": stop, "event": np.where(last, columns["event"], 0)}


def fit_landmark(
    rows: LandmarkRows,
    covariates: Sequence[str],
    *,
    look_ahead_years: float = LOOK_AHEAD_YEARS,
    ties: Ties = "efron",
    penalty: float = 0.0,
) -> SurvivalModel:
    """A Cox model of all visits, the clock starting at each (landmark supermodel; van Houwelingen, Scand J Stat 2007).

    Visits of one patient are a cluster: standard errors are robust. Time since the origin is a covariate. Follow-up
    is cut at `look_ahead_years`, past which the model does not predict. Visits at which a covariate was never measured
    yet are left out and counted.

    Raises what `fit_survival` raises.
    """
    cut = administrative_end(
        survival_times(rows.columns["time"], rows.columns["event"]), look_ahead_years * PER_YEAR["days"]
    )
    table = rows.columns | {"time": cut.stop, "event": cut.event.astype(np.int64)}
    return fit_survival(
        table,
        [*covariates, YEARS_SINCE_ORIGIN],
        cluster="patient",
        ties=ties,
        penalty=penalty,
        missing="complete_case",
    )


def predict_landmark(model: SurvivalModel, rows: LandmarkRows, years: ArrayLike = RISK_YEARS) -> SurvivalPrediction:
    """Survival from each visit on by `years` (k,) ahead, of rows whose covariates are known.

    Raises MissingValuesError for visits with unknown covariates, SurvivalTimesError for years past what the model
    looks ahead.
    """
    ahead = np.atleast_1d(np.asarray(years, np.float64)) * PER_YEAR["days"]
    last = max(baseline.last for baseline in model.fit.baseline)
    if (ahead > last).any():
        raise SurvivalTimesError(
            f"the model looks {last / PER_YEAR['days']:.2f} years ahead; {ahead.max() / PER_YEAR['days']:g} asked for"
        )
    return predict_survival(model, rows.columns, ahead)


def _last_known(known: np.ndarray, who: Indices) -> Indices:
    """Position of the last known value of the same patient at or before each row, -1 where there is none."""
    position = np.where(known, np.arange(known.size), -1)
    latest = np.maximum.accumulate(position)
    first = np.searchsorted(who, who, side="left")
    return np.where(latest >= first, latest, -1).astype(np.intp)
