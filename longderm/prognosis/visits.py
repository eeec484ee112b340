"""A table of follow-up visits: rows of patients, each with its day and what was measured on it; and what was known of
a patient by each visit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from longderm.archive.mapping import OUTCOME_COLUMNS, SourceMapping
from longderm.prognosis.cells import BAD, Column, DateOrder, is_missing, read_dates, read_numbers
from longderm.prognosis.covariates import Covariate, log2_values
from longderm.prognosis.landmark import YEARS_SINCE_ORIGIN, known_at_visits
from longderm.prognosis.leakage import LeakageError, guard_origin
from longderm.prognosis.outcome_fields import identifier_text
from longderm.prognosis.patients import Patients
from longderm.prognosis.problems import OutcomesError, Problem, shown, sorted_problems
from longderm.prognosis.spreadsheet import Spreadsheet, read_spreadsheet
from longderm.prognosis.survival_model import PER_YEAR

#: Columns that say on which day a visit was, where none is named. A day of the store (`acquisition_day`) is none of
#: them: it counts from the first photo, not from the diagnosis.
DAY_COLUMNS = ("visit_date", "visit_day", "visit_days", "acquisition_date", "photo_date", "date", "days_from_origin")
#: Columns of a table of patients at their visits: the row of the visit in its file, and its day from the origin.
VISIT_ROW, VISIT_DAY = "visit_row", "visit_day"
_TABLE = "table of visits"


@dataclass(frozen=True)
class Visits:
    """Rows of visits as checked: their numbers in the file, patients, lesions (None: the file names none), the day of
    each (a date, or days from the origin; None: not stated), values by name, and name -> when each became known where
    a column says so. It holds identities.
    """

    rows: tuple[int, ...]
    patients: tuple[str, ...] = field(repr=False)
    lesions: tuple[str | None, ...] | None = field(repr=False)
    days: tuple[date | float | None, ...] = field(repr=False)
    day_column: str
    values: Mapping[str, tuple[float | None, ...]] = field(repr=False)
    known: Mapping[str, tuple[date | float | None, ...]] = field(repr=False)
    facts: tuple[str, ...] = ()


def read_visits(
    data: bytes,
    measured: Sequence[Covariate],
    mapping: SourceMapping | None = None,
    *,
    day: str | None = None,
    date_order: DateOrder | None = None,
    as_of: date | None = None,
) -> Visits:
    """Read a table of visits (CSV or Parquet) from its bytes: patients, days, and the numbers of `measured`.

    `day` names the column of the visits' days, a date or days from the origin; else it is the first of `DAY_COLUMNS`.
    A column NAME_date or NAME_days says when NAME of that row became known, where that was not on the day of the visit.

    Raises OutcomesError with every problem of the table.
    """
    try:
        sheet, problems = read_spreadsheet(data)
    except OutcomesError as error:
        raise OutcomesError(error.problems, _TABLE) from None
    places = {name.lower(): index for index, name in reversed(list(enumerate(sheet.names)))}
    mapping = mapping or SourceMapping()
    numbers = tuple(number for number, _ in sheet.rows)
    people = _identifiers(sheet, places, mapping, "patient")
    if people is None:
        problems.append(Problem("no_column", "the visits name no patients; give it", column=_name(mapping, "patient")))
        people = ("",) * len(numbers)
    problems += [
        Problem("no_patient", "no patient identifier; give one or take the row out", number, _name(mapping, "patient"))
        for number, patient in zip(numbers, people, strict=True)
        if patient is None
    ]
    day_column = day or next((name for name in DAY_COLUMNS if name in places), None)
    days: Sequence[Any] = [None] * len(numbers)
    if day_column is None or day_column.lower() not in places:
        mend = "says on which day each visit was (a date, or days from the diagnosis); give it"
        problems.append(Problem("no_column", mend, column=day_column or DAY_COLUMNS[0]))
    else:
        column = _column(sheet, places[day_column.lower()])
        days, found = _read_days(column, date_order, as_of)
        problems += found
        problems += [
            Problem("no_day", "a visit without its day; give it or take the row out", number, column.name)
            for number, cell in zip(numbers, column.cells, strict=True)
            if is_missing(cell)
        ]
    values: dict[str, tuple[float | None, ...]] = {}
    known: dict[str, tuple[date | float | None, ...]] = {}
    for one in measured:
        at = places.get(one.source.lower())
        if at is None:
            mend = "asked for as a measurement of the visits, and they have none"
            problems.append(Problem("no_column", mend, column=one.source))
            continue
        read, found = _read_values(_column(sheet, at), one)
        values[one.source] = tuple(read)
        problems += found
        beside = next(
            (f"{one.source.lower()}{end}" for end in ("_date", "_days") if f"{one.source.lower()}{end}" in places), None
        )
        if beside is not None:
            when, found = _read_days(_column(sheet, places[beside]), date_order, as_of)
            known[one.source] = tuple(when)
            problems += found
    lesions = _identifiers(sheet, places, mapping, "lesion")
    names = tuple(patient or "" for patient in people)
    problems += _contradictions(sheet, numbers, names, lesions, days, values)
    if problems:
        raise OutcomesError(sorted_problems(problems), _TABLE)
    return Visits(numbers, names, lesions, tuple(days), day_column or "", values, known, sheet.facts)


def at_visits(patients: Patients, visits: Visits, measured: Sequence[Covariate], *, follow_up: str | None) -> Patients:
    """A row per visit of each patient, with everything that was known of them by that day and nothing later.

    The columns are those of `patients.table`, `VISIT_ROW`, `VISIT_DAY`, the last known value of each of `measured`,
    its age in days (`age_column`), and `YEARS_SINCE_ORIGIN`. A patient without a visit keeps a row in which these are
    null. `follow_up`: the column of `patients.table` with the day of the end of follow-up, after which no visit can
    be; None where outcomes are not known. Rows lie in the order of the table and of the days.

    Raises OutcomesError with every visit that cannot be, LeakageError with every value that became known after its
    visit.
    """
    table = patients.table
    by_lesion = visits.lesions is not None and table.column("lesion_id").null_count < table.num_rows
    unit = _units(table, by_lesion)
    lesions: Sequence[str | None] = visits.lesions or [None] * len(visits.rows)
    keys = [(p, v if by_lesion else None) for p, v in zip(visits.patients, lesions, strict=True)]
    held = [index for index, key in enumerate(keys) if key in unit]
    if not held:
        mend = "no visit is of a patient (or lesion) of the outcomes table; are identifiers written alike in both?"
        raise OutcomesError([Problem("no_match", mend)], _TABLE)
    who = np.array([unit[keys[index]] for index in held], np.intp)
    days, problems = _days_from_origin(patients, visits, held, who, follow_up)
    if problems:
        raise OutcomesError(sorted_problems(problems), _TABLE)
    _guard(patients, visits, held, who, days)
    dated = np.flatnonzero(np.isfinite(days))
    columns = {one.name: _numbers_of([visits.values[one.source][held[k]] for k in dated], one) for one in measured}
    at, known = known_at_visits(who[dated], days[dated], columns)
    rows = dated[at]
    everybody = np.arange(table.num_rows)
    without = np.setdiff1d(everybody, who[rows])
    order = np.lexsort((np.r_[days[rows], np.zeros(without.size)], np.r_[who[rows], without]))
    taken = np.r_[who[rows], without][order]
    found = table.take(pa.array(taken))
    seen = np.r_[np.ones(rows.size, np.bool_), np.zeros(without.size, np.bool_)][order]
    numbers = np.array([visits.rows[held[k]] for k in rows], np.float64)
    day = days[rows]
    told = {VISIT_ROW: numbers, VISIT_DAY: day, YEARS_SINCE_ORIGIN: day / PER_YEAR["days"], **known}
    for name, values in told.items():
        padded = np.r_[values, np.full(without.size, np.nan)][order]
        kind = pa.int64() if name == VISIT_ROW else pa.float64()
        cells = [
            (int(v) if name == VISIT_ROW else float(v)) if s and v == v else None
            for v, s in zip(padded.tolist(), seen.tolist(), strict=True)
        ]
        found = found.append_column(name, pa.array(cells, kind))
    notices = [*patients.notices, f"visits dated by {visits.day_column}", *visits.facts]
    if len(held) < len(visits.rows):
        notices.append(f"{len(visits.rows) - len(held)} rows of visits are of nobody in the table")
    if without.size:
        notices.append(f"{without.size} of {table.num_rows} patients have no visit")
    return replace(
        patients,
        table=found,
        origin_known=tuple(patients.origin_known[index] for index in taken),
        origins=tuple(patients.origins[index] for index in taken),
        notices=tuple(notices),
    )


def last_of(patients: Patients) -> Patients:
    """Of a table of visits by `at_visits`, the last of each patient, or lesion."""
    rows = patients.table.column("row").to_pylist()
    last = [at for at, row in enumerate(rows) if at + 1 == len(rows) or rows[at + 1] != row]
    return replace(
        patients,
        table=patients.table.take(pa.array(last, pa.int64())),
        origin_known=tuple(patients.origin_known[at] for at in last),
        origins=tuple(patients.origins[at] for at in last),
    )


def _units(table: pa.Table, by_lesion: bool) -> dict[tuple[str | None, str | None], int]:
    """The row of each patient, or lesion, that visits can be of."""
    people, lesions, rows = (table.column(name).to_pylist() for name in ("patient_id", "lesion_id", "row"))
    problems: list[Problem] = []
    unit: dict[tuple[str | None, str | None], int] = {}
    for at, (patient, lesion, row) in enumerate(zip(people, lesions, rows, strict=True)):
        key = (patient, lesion if by_lesion else None)
        if patient is None:
            mend = "visits can be joined by patient_id only; give the column"
            raise OutcomesError([Problem("no_patient", mend, column="patient_id")])
        if key in unit:
            mend = "another lesion of a patient above, and the visits name no lesions; give them lesion_id"
            problems.append(Problem("several_lesions", mend, row, "patient_id"))
        unit.setdefault(key, at)
    if problems:
        raise OutcomesError(sorted_problems(problems))
    return unit


def _days_from_origin(
    patients: Patients, visits: Visits, held: Sequence[int], who: np.ndarray, follow_up: str | None
) -> tuple[np.ndarray, list[Problem]]:
    """The day of each row of visits from its patient's origin, NaN where that is not known, and what cannot be."""
    ends = None if follow_up is None else patients.table.column(follow_up).to_pylist()
    days, problems = np.full(len(held), np.nan), []
    dated = [k for k, index in enumerate(held) if isinstance(visits.days[index], date)]
    if dated and ends is not None and all(patients.origins[who[k]] is None for k in dated):
        mend = "dates, but the outcomes table has no origin_date; give it, or the visits' days from the origin"
        return days, [Problem("no_origin", mend, column=visits.day_column)]
    for k, index in enumerate(held):
        day, row = visits.days[index], visits.rows[index]
        origin = patients.origins[who[k]]
        if isinstance(day, date):
            if origin is None:
                if ends is not None:
                    mend = "this patient has no origin_date, so the visit's day is not known; give it"
                    problems.append(Problem("no_origin", mend, row, visits.day_column, shown(day.isoformat())))
                continue
            days[k] = float((day - origin).days)
        elif day is not None:
            days[k] = day
        value = shown(day.isoformat() if isinstance(day, date) else f"{day:g}")
        if days[k] < 0:
            mend = "before the origin (the diagnosis); correct it, or take the row out"
            problems.append(Problem("before_origin", mend, row, visits.day_column, value))
        end = None if ends is None else ends[who[k]]
        if end is not None and days[k] > end:
            mend = f"after the end of this patient's follow-up (day {end:g}); correct one"
            problems.append(Problem("after_follow_up", mend, row, visits.day_column, value))
    return days, problems


def _guard(patients: Patients, visits: Visits, held: Sequence[int], who: np.ndarray, days: np.ndarray) -> None:
    """Nothing of a visit may have become known after it."""
    for name, when in visits.known.items():
        known = []
        for k, index in enumerate(held):
            moment, origin = when[index], patients.origins[who[k]]
            if isinstance(moment, date):
                moment = None if origin is None else float((moment - origin).days)
            known.append(moment)
        kept = np.flatnonzero(np.isfinite(days)).tolist()
        rows = [visits.rows[held[k]] for k in kept]
        features = pa.table(
            {
                "row": pa.array(rows, pa.int64()),
                "visit": pa.array(days[kept].tolist(), pa.float64()),
                name: pa.array([visits.values[name][held[k]] for k in kept], pa.float64()),
                "known": pa.array([known[k] for k in kept], pa.float64()),
            }
        )
        try:
            guard_origin(features, "visit", {name: "known"})
        except LeakageError as error:
            raise LeakageError(
                tuple(leak if leak.row is None else replace(leak, row=rows[leak.row]) for leak in error.leaks)
            ) from None


def _contradictions(
    sheet: Spreadsheet,
    numbers: Sequence[int],
    people: Sequence[str],
    lesions: Sequence[str | None] | None,
    days: Sequence[Any],
    values: Mapping[str, Sequence[float | None]],
) -> list[Problem]:
    """Two different values of one measurement on one day of a patient (and lesion)."""
    first: dict[tuple[Any, ...], int] = {}
    problems = []
    for at, (patient, day) in enumerate(zip(people, days, strict=True)):
        if day is None or day is BAD or not patient:
            continue
        for name, column in values.items():
            if column[at] is None:
                continue
            key = (name, patient, None if lesions is None else lesions[at], day)
            before = first.setdefault(key, at)
            if column[before] != column[at]:
                mend = f"row {numbers[before]} tells another value of the same patient and day; keep one, or their mean"
                problems.append(Problem("two_values_on_one_day", mend, numbers[at], name, shown(f"{column[at]:g}")))
    return problems


def _read_days(
    column: Column, order: DateOrder | None, as_of: date | None
) -> tuple[list[date | float | None], list[Problem]]:
    """Numbers of days where the cells are numbers and the name is not that of dates; else dates."""
    if not column.name.lower().endswith("date"):
        numbers, trouble = read_numbers(column, "d")
        filled = sum(not is_missing(cell) for cell in column.cells)
        if 2 * sum(isinstance(n, float) for n in numbers) > filled or (trouble and _all_thousands(trouble)):
            return [n if isinstance(n, float) else None for n in numbers], trouble
    dates, problems = read_dates(column, order, as_of)
    return [None if on is BAD else on for on in dates], problems  # BAD is a problem


def _all_thousands(problems: Sequence[Problem]) -> bool:
    return all(problem.rule == "thousands_separator" for problem in problems)


def _read_values(column: Column, one: Covariate) -> tuple[list[float | None], list[Problem]]:
    found, problems = read_numbers(column, one.unit if one.unit in ("mm", "mm2") else "")
    values = [value if isinstance(value, float) else None for value in found]
    if one.log2:
        mend = f"has no logarithm ({one.name}); correct it or leave it empty"
        bad = [at for at, value in enumerate(values) if value is not None and value <= 0]
        problems += [column.problem(at, "not_positive", mend) for at in bad]
    return values, problems


def _numbers_of(values: Sequence[float | None], one: Covariate) -> np.ndarray:
    numbers = np.array([np.nan if value is None else value for value in values], np.float64)
    return log2_values(numbers) if one.log2 else numbers


def _column(sheet: Spreadsheet, at: int) -> Column:
    return Column(sheet.names[at], tuple(number for number, _ in sheet.rows), tuple(row[at] for _, row in sheet.rows))


def _name(mapping: SourceMapping, what: str) -> str:
    return mapping.outcomes.get(what, OUTCOME_COLUMNS[what][0])


def _identifiers(
    sheet: Spreadsheet, places: Mapping[str, int], mapping: SourceMapping, what: str
) -> tuple[str | None, ...] | None:
    at = places.get(_name(mapping, what).lower())
    if at is None:
        return None
    return tuple(None if is_missing(row[at]) else identifier_text(row[at]) for _, row in sheet.rows)
