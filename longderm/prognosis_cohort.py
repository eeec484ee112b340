"""From a clinic's table to the patients who can enter a fit or be judged; what keeps a table from it is said."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from longderm.errors import UsageError
from longderm.prognosis.course import COMPETING, EVENT
from longderm.prognosis.covariates import Covariate, covariate
from longderm.prognosis.errors import (
    NoComparablePairsError,
    NotConvergedError,
    OutsideFollowUpError,
    TooFewEventsError,
    UnusableColumnsError,
)
from longderm.prognosis.landmark import YEARS_SINCE_ORIGIN, LandmarkRows, age_column
from longderm.prognosis.model_matrix import missing_values
from longderm.prognosis.patients import PATIENT, Patients
from longderm.prognosis.problems import OutcomesError, Problem
from longderm.prognosis.visits import VISIT_DAY, at_visits
from longderm.prognosis_sources import TableSource, all_tables

Missing = Literal["refuse", "complete_case"]


@dataclass(frozen=True)
class Cohort:
    """Patients who can enter a fit: columns by name with `PATIENT`, `days` (> 0, from the origin) and `event` (0/1)."""

    columns: dict[str, np.ndarray]
    competing_events: int
    several_rows: bool
    notices: tuple[str, ...]


@contextlib.contextmanager
def listed() -> Iterator[None]:
    """What a table does not allow to be estimated is listed as what to mend, as all else that is wrong with it."""
    try:
        yield
    except TooFewEventsError as error:
        raise OutcomesError([Problem("too_few_events", str(error))]) from None
    except (OutsideFollowUpError, NoComparablePairsError) as error:
        raise OutcomesError([Problem("follow_up", str(error))]) from None
    except (UnusableColumnsError, NotConvergedError) as error:
        raise OutcomesError([Problem("no_estimate", str(error))]) from None


def covariates_of(source: TableSource, names: Sequence[str]) -> tuple[Covariate, ...]:
    """The covariates of these names. Raises UsageError for one that is none or is named twice."""
    mapping = source.source_mapping()
    found = [covariate(name, mapping) for name in names]
    twice = sorted({one.name for one in found if sum(other.name == one.name for other in found) > 1})
    if twice:
        raise UsageError(f"{', '.join(twice)}: named twice")
    return tuple(found)


def read_cohort(source: TableSource, wanted: Sequence[Covariate], endpoint: str, all_events_are_real: bool) -> Cohort:
    """The patients of a table who were still without the event at the origin of the prediction.

    Raises OutcomesError with all that is to be mended, LeakageError, UsageError.
    """
    patients = source.read(wanted)
    patients.outcomes.require_fit(endpoint, all_events_are_real)
    table, notices = patients.table, list(patients.notices)
    origin = source.origin_days or 0.0
    days, codes = _ends(table, endpoint)
    known = np.isfinite(days) & (codes >= 0)
    if origin == 0:
        _refuse_events_at_origin(table, known & (days <= 0) & (codes == EVENT), endpoint)
    kept = known & (days > origin)
    early = int((known & ~kept).sum())
    if early:
        what = "were not followed past the origin" if origin == 0 else f"had the event or left by day {origin:g}"
        notices.append(f"{early} patients {what} and enter no fit")
    if not (kept & (codes == EVENT)).any():
        raise OutcomesError(
            [Problem("no_events", f"nobody had the event after day {origin:g}", column=f"{endpoint}_event")]
        )
    part = table.filter(pa.array(kept))
    columns = columns_of(part, wanted) | {
        "days": days[kept] - origin,
        "event": (codes[kept] == EVENT).astype(np.int64),
    }
    several = len(set(columns[PATIENT].tolist())) < part.num_rows
    if several:
        notices.append("several lesions of one patient: standard errors take them as one")
    return Cohort(columns, int((codes[kept] == COMPETING).sum()), several, tuple(notices))


def refuse_missing(cohort: Cohort, wanted: Sequence[Covariate], missing: Missing) -> None:
    """Every covariate with missing values at once, where they are to be refused."""
    _refuse_gaps(cohort.columns, wanted, missing, "patients")


def _refuse_gaps(columns: Mapping[str, np.ndarray], wanted: Sequence[Covariate], missing: Missing, what: str) -> None:
    gaps = {one.source: int(missing_values(columns[one.name]).sum()) for one in wanted}
    mend = "{} of {} " + what + " have no value; fill them in, or leave these out by --missing complete_case"
    total = columns[PATIENT].size
    problems = [Problem("missing_value", mend.format(n, total), column=name) for name, n in gaps.items() if n]
    if problems and missing == "refuse":
        raise OutcomesError(problems)


@dataclass(frozen=True)
class LandmarkCohort:
    """Visits that can enter a fit: `rows`, of `patients`, of whom `competing_events` had another event that made this
    one impossible.
    """

    rows: LandmarkRows
    patients: int
    competing_events: int
    notices: tuple[str, ...]


def read_landmarks(
    source: TableSource,
    wanted: Sequence[Covariate],
    measured: Sequence[Covariate],
    endpoint: str,
    all_events_are_real: bool,
    missing: Missing,
) -> LandmarkCohort:
    """The visits of a table's patients before the end of their follow-up, with what was known by each.

    `wanted` are known at the origin, `measured` at the visits; of the latter a value that was not taken yet is missing
    whatever `missing` says. Raises as `read_cohort`, with the problems of both tables at once.
    """

    def outcomes() -> Patients:
        found = source.read(wanted)
        found.outcomes.require_fit(endpoint, all_events_are_real)
        _refuse_gaps(columns_of(found.table, wanted), wanted, missing, "patients")
        return found

    patients, visits = all_tables(outcomes, lambda: source.read_visits(measured))
    ends, codes = _ends(patients.table, endpoint)
    known = np.isfinite(ends) & (codes >= 0)
    _refuse_events_at_origin(patients.table, known & (ends <= 0) & (codes == EVENT), endpoint)
    seen = at_visits(patients, visits, measured, follow_up=f"{endpoint}_days")
    ends, codes = _ends(seen.table, endpoint)
    day = _floats(seen.table, VISIT_DAY)
    kept = np.isfinite(ends) & (codes >= 0) & (day < ends)
    if not (kept & (codes == EVENT)).any():
        mend = "no patient with a visit had the event after it; are days and events of both tables of one origin?"
        raise OutcomesError([Problem("no_events", mend, column=f"{endpoint}_event")])
    part = seen.table.filter(pa.array(kept))
    columns = columns_of(part, wanted)
    for one in measured:
        columns |= {name: _floats(part, name) for name in (one.name, age_column(one.name))}
    _refuse_never_measured(columns, measured)
    columns |= {
        "day": day[kept],
        "time": ends[kept] - day[kept],
        "event": (codes[kept] == EVENT).astype(np.int64),
        YEARS_SINCE_ORIGIN: _floats(part, YEARS_SINCE_ORIGIN),
    }
    people = np.unique(columns[PATIENT].astype(str))
    competing = np.unique(columns[PATIENT][codes[kept] == COMPETING].astype(str))
    return LandmarkCohort(LandmarkRows(columns), int(people.size), int(competing.size), seen.notices)


def _refuse_never_measured(columns: Mapping[str, np.ndarray], measured: Sequence[Covariate]) -> None:
    mend = "no visit before the end of a follow-up has a value; fill it in, or leave it out"
    never = [one.source for one in measured if np.isnan(columns[one.name]).all()]
    if never:
        raise OutcomesError([Problem("no_values", mend, column=name) for name in never], "table of visits")
    known = np.all([~np.isnan(columns[one.name]) for one in measured], axis=0)
    if not known.any():
        mend = f"no visit has {' and '.join(one.source for one in measured)} at once; leave one out"
        raise OutcomesError([Problem("no_values", mend)], "table of visits")


def columns_of(table: pa.Table, wanted: Sequence[Covariate]) -> dict[str, np.ndarray]:
    """The covariates of a table of patients by name, and `PATIENT`, each (rows,)."""
    columns = {one.name: table.column(one.name).to_pandas().to_numpy() for one in wanted}
    return columns | {PATIENT: np.array(table.column(PATIENT).to_pylist(), dtype=object)}


def _ends(table: pa.Table, endpoint: str) -> tuple[np.ndarray, np.ndarray]:
    """Days to the end of follow-up (NaN: not known) and codes of what it ended with (-1: not known)."""
    codes = [-1 if code is None else code for code in table.column(f"{endpoint}_event").to_pylist()]
    return _floats(table, f"{endpoint}_days"), np.array(codes, np.int64)


def _floats(table: pa.Table, name: str) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in table.column(name).to_pylist()], np.float64)


def _refuse_events_at_origin(table: pa.Table, rows: np.ndarray, endpoint: str) -> None:
    mend = "the event is on the day of the diagnosis, so there is nothing to predict; correct the day, or take it out"
    numbers = np.array(table.column("row").to_pylist())[rows].tolist()
    if numbers:
        raise OutcomesError([Problem("event_at_origin", mend, row, f"{endpoint}_days", "0") for row in numbers])
