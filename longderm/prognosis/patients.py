"""The patients of a clinic's table with their covariates, of the table itself or of a file of features, under guard."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from longderm.archive.mapping import OUTCOME_COLUMNS, SourceMapping
from longderm.errors import UsageError
from longderm.prognosis.cells import BAD, Column, DateOrder, read_dates
from longderm.prognosis.covariates import DIAGNOSIS_UNITS, Covariate, log2_values
from longderm.prognosis.feature_rows import FeatureRows, read_feature_rows
from longderm.prognosis.leakage import LeakageError, guard_origin
from longderm.prognosis.outcomes import Outcomes, read_outcomes
from longderm.prognosis.problems import OutcomesError, Problem, sorted_problems
from longderm.prognosis.spreadsheet import read_spreadsheet

#: The column of `Patients.table` that says which rows are of one patient.
PATIENT = "patient"
#: Columns that a notice names; an embedding has hundreds.
_TOLD = 8


@dataclass(frozen=True)
class Intake:
    """How a table is to be read. `origin_days`: the day of the prediction, counted from the table's origin (the
    diagnosis); `origin_stated`: the caller vouches that the values are those of that day. `dated_by`: covariate -> the
    column with the day on which it became known. `feature_day`: the column of the file of features with that day.
    `averaged`: features of the file of which the mean over a lesion's rows counts, not the last value (photos).
    """

    mapping: SourceMapping = field(default_factory=SourceMapping)
    date_order: DateOrder | None = None
    as_of: date | None = None
    origin_days: float = 0.0
    origin_stated: bool = False
    dated_by: Mapping[str, str] = field(default_factory=dict)
    time_invariant: tuple[str, ...] = ()
    feature_day: str | None = None
    averaged: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Patients:
    """`outcomes` as checked; `table`: its rows with every covariate as a column, and `patient`; per row `origin_known`,
    and in `origins` its date where it has one; `notices` for people. It holds identities: no table has a part in the
    repr.
    """

    outcomes: Outcomes = field(repr=False)
    table: pa.Table = field(repr=False)
    origin_known: tuple[bool, ...]
    notices: tuple[str, ...]
    origins: tuple[date | None, ...] = field(default=(), repr=False)


def read_patients(
    data: bytes, covariates: Sequence[Covariate], intake: Intake | None = None, features: bytes | None = None
) -> Patients:
    """Read a clinical table and, where given, a file of features, and let through what was known at the origin.

    The checked columns of the diagnosis hold from the origin on. Another covariate of the table is dated by
    `dated_by`, or by a column NAME_date or NAME_days beside it; without either it is taken to have been known, and the
    notices say so. One of the file of features must be dated, or declared time-invariant; of several rows of a
    patient the last value counts. Values of a later day than the origin are refused.

    Raises OutcomesError with every problem of a table, LeakageError with every leak, UsageError.
    """
    intake = intake or Intake()
    sheet, _ = read_spreadsheet(data)
    header = {name.lower(): name for name in reversed(sheet.names)}
    sources = tuple(dict.fromkeys(one.source for one in covariates if one.source not in DIAGNOSIS_UNITS))
    strange = sorted((set(intake.dated_by) | set(intake.time_invariant)) - set(sources))
    if strange:
        known = ", ".join(sources) or "none"
        raise UsageError(f"{', '.join(strange)}: dated or declared, but no such covariate was named ({known} were)")
    rows = read_feature_rows(features, sources, intake) if features is not None else None
    of_file = () if rows is None else tuple(n for n in sources if n in rows.features and n.lower() not in header)
    both = [] if rows is None else [n for n in sources if n in rows.features and n.lower() in header]
    if both:
        raise UsageError(f"{', '.join(both)}: a column of the table and of the features; take one out")
    of_table = tuple(name for name in sources if name not in of_file)
    days = _day_columns(of_table, header, intake)
    origin_column = _origin_column(header, intake.mapping)
    extra = [*of_table, *days.values(), *([origin_column] if origin_column else [])]
    outcomes = read_outcomes(
        data,
        intake.mapping,
        covariates=list(dict.fromkeys(extra)),
        date_order=intake.date_order,
        as_of=intake.as_of,
    )
    table = outcomes.table
    origins = _dates(table, origin_column, intake) if origin_column else [None] * table.num_rows
    _guard_table(table, of_table, days, origins, intake)
    notices = list(outcomes.notices)
    undated = [name for name in of_table if name not in days and name not in intake.time_invariant]
    if undated:
        some = ", ".join(undated[:_TOLD]) + (f" and {len(undated) - _TOLD} more" if len(undated) > _TOLD else "")
        notices.append(f"{some}: without a date, taken as known at the origin of the prediction")
    if rows is not None:
        table, said = _joined(table, rows, of_file, origins, intake)
        notices += said
    table = table.append_column(PATIENT, pa.array(_people(table)))
    for one in covariates:
        if one.log2:
            table = _with_log2(table, one)
    dated = tuple(intake.origin_stated or origin is not None for origin in origins)
    return Patients(outcomes, table, dated, tuple(notices), tuple(origins))


def _day_columns(names: Sequence[str], header: Mapping[str, str], intake: Intake) -> dict[str, str]:
    found = {}
    for name in names:
        stated = intake.dated_by.get(name)
        if stated is not None:
            found[name] = stated
            continue
        beside = next(
            (header[f"{name.lower()}{end}"] for end in ("_date", "_days") if f"{name.lower()}{end}" in header), None
        )
        if beside is not None:
            found[name] = beside
    return found


def _origin_column(header: Mapping[str, str], mapping: SourceMapping) -> str | None:
    mapped = mapping.outcomes.get("origin_date")
    wanted = OUTCOME_COLUMNS["origin_date"] if mapped is None else (mapped.lower(),)
    return next((header[name] for name in wanted if name in header), None)


def _dates(table: pa.Table, name: str, intake: Intake) -> list[date | None]:
    cells = [_date_cell(value) for value in table.column(name).to_pylist()]
    values, problems = read_dates(Column(name, _numbers(table), tuple(cells)), intake.date_order, intake.as_of)
    if problems:
        raise OutcomesError(sorted_problems(problems))
    return [None if value is BAD else value for value in values]  # BAD was a problem


def _date_cell(value: Any) -> Any:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else value


def _numbers(table: pa.Table) -> tuple[int, ...]:
    return tuple(table.column("row").to_pylist())


def _guard_table(
    table: pa.Table, names: Sequence[str], days: Mapping[str, str], origins: Sequence[date | None], intake: Intake
) -> None:
    """The guard over the covariates of the table itself, all days counted from the table's origin."""
    columns: dict[str, Any] = {"row": table.column("row")}
    dated = {}
    for name in names:
        columns[name] = table.column(name)
        if name in days:
            columns[f"known {name}"] = pa.array(_days_of(table, days[name], origins, intake), pa.float64())
            dated[name] = f"known {name}"
    if not names:
        return
    undated = [name for name in names if name not in dated]
    _guard(pa.table(columns), intake, dated, undated)


def _guard(features: pa.Table, intake: Intake, dated: Mapping[str, str], declared: Collection[str]) -> None:
    """The guard, with leaks named by the rows of the file, as a spreadsheet program shows them."""
    try:
        guard_origin(features, intake.origin_days, dated, declared)
    except LeakageError as error:
        rows = features.column("row").to_pylist()
        raise LeakageError(
            tuple(leak if leak.row is None else replace(leak, row=rows[leak.row]) for leak in error.leaks)
        ) from None


def _days_of(table: pa.Table, name: str, origins: Sequence[date | None], intake: Intake) -> list[float | None]:
    values: list[Any] = table.column(name).to_pylist()
    if all(isinstance(value, float) for value in values if value is not None) and not name.lower().endswith("date"):
        return values
    dates = _dates(table, name, intake)
    return [
        None if on is None or start is None else float((on - start).days)
        for on, start in zip(dates, origins, strict=True)
    ]


def _joined(
    table: pa.Table, rows: FeatureRows, names: Sequence[str], origins: Sequence[date | None], intake: Intake
) -> tuple[pa.Table, list[str]]:
    """The table with the last known value of each feature of the file."""
    by_lesion = rows.lesions is not None and table.column("lesion_id").null_count < table.num_rows
    keys = [
        (patient, lesion if by_lesion else None)
        for patient, lesion in zip(*(table.column(n).to_pylist() for n in ("patient_id", "lesion_id")), strict=True)
    ]
    if any(patient is None for patient, _ in keys):
        mend = "a file of features can be joined by patient_id only; give the column"
        raise OutcomesError([Problem("no_patient", mend, column="patient_id")])
    positions: dict[tuple[str | None, str | None], list[int]] = {}
    for at, key in enumerate(keys):
        positions.setdefault(key, []).append(at)
    lesions: Sequence[str | None] = rows.lesions or [None] * len(rows.patients)
    places = [
        (index, at)
        for index, (patient, lesion) in enumerate(zip(rows.patients, lesions, strict=True))
        for at in positions.get((patient, lesion if by_lesion else None), [])
    ]
    day = [rows.day_of(index, origins[at]) for index, at in places]
    columns: dict[str, Any] = {"row": pa.array([rows.rows[index] for index, _ in places], pa.int64())}
    for name in names:
        columns[name] = pa.array([rows.features[name][index] for index, _ in places], rows.arrow_type(name))
    dated: dict[str, str] = {}
    if rows.dated:
        columns["known"] = pa.array(day, pa.float64())
        dated = {name: "known" for name in names if name not in intake.time_invariant}
    declared: Collection[str] = [name for name in names if name in intake.time_invariant]
    _guard(pa.table(columns), intake, dated, declared)
    latest: dict[str, list[Any]] = {name: [None] * table.num_rows for name in names}
    order = sorted(range(len(places)), key=lambda k: (-np.inf if day[k] is None else day[k], rows.rows[places[k][0]]))
    last = [name for name in names if name not in intake.averaged]
    for k in order:
        index, at = places[k]
        for name in last:
            value = rows.features[name][index]
            latest[name][at] = latest[name][at] if value is None else value
    latest |= _means(rows, [name for name in names if name in intake.averaged], places, table.num_rows)
    for name in names:
        table = table.append_column(name, pa.array(latest[name], rows.arrow_type(name)))
    matched = {at for _, at in places}
    said = list(rows.notices)
    if len(matched) < table.num_rows:
        said.append(f"{table.num_rows - len(matched)} of {table.num_rows} rows have no features")
    strangers = len(rows.patients) - len({index for index, _ in places})
    if strangers:
        said.append(f"{strangers} rows of features are of nobody in the table")
    return table, said


def _means(
    rows: FeatureRows, names: Sequence[str], places: Sequence[tuple[int, int]], count: int
) -> dict[str, list[float | None]]:
    """The mean of each feature over the rows of one lesion that have all of them; raises OutcomesError for words."""
    words = [name for name in names if rows.arrow_type(name) == pa.string()]
    if words:
        problems = [Problem("not_a_number", "holds words; an image column holds numbers", column=one) for one in words]
        raise OutcomesError(problems, "table of features")
    found: list[list[int]] = [[] for _ in range(count)]
    for index, at in places:
        if all(rows.features[name][index] is not None for name in names):
            found[at].append(index)
    return {
        name: [float(np.mean([rows.features[name][index] for index in one])) if one else None for one in found]
        for name in names
    }


def _people(table: pa.Table) -> list[str]:
    pairs = zip(table.column("patient_id").to_pylist(), _numbers(table), strict=True)
    return [f"row {row}" if patient is None else patient for patient, row in pairs]


def _with_log2(table: pa.Table, one: Covariate) -> pa.Table:
    column = table.column(one.source)
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise UsageError(f"{one.name}: {one.source} holds no numbers")
    values = column.to_pylist()
    bad = [
        Problem(
            "not_positive", f"has no logarithm ({one.name}); correct it or leave it empty", row, one.source, f"{v:g}"
        )
        for row, v in zip(_numbers(table), values, strict=True)
        if v is not None and v <= 0
    ]
    if bad:
        raise OutcomesError(bad)
    numbers = log2_values(np.array(values, dtype=object))
    return table.append_column(one.name, pa.array(numbers, pa.float64(), from_pandas=True))
