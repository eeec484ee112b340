"""Clinical outcomes from a clinic's table: checked as a whole, then times in days from the origin and event codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa

from longderm.archive.mapping import SourceMapping
from longderm.errors import UsageError
from longderm.prognosis.cells import DateOrder
from longderm.prognosis.course import ENDPOINTS, EVENT, Endpoints, endpoints
from longderm.prognosis.outcome_fields import Fields, read_fields
from longderm.prognosis.outcome_rows import Unit, read_units, recurrences_told
from longderm.prognosis.problems import OutcomesError, Problem, sorted_problems
from longderm.prognosis.spreadsheet import read_spreadsheet
from longderm.prognosis.staging import t_category

#: Columns of `Outcomes.table`. `row`: the first row of the patient (and lesion) in the file; a `..._event` is 0
#: censored, 1 the event, 2 a competing one; null where not known. `t_category`: AJCC 8, of thickness and ulceration.
OUTCOMES_SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("patient_id", pa.string()),
        pa.field("lesion_id", pa.string()),
        pa.field("sex", pa.string()),
        pa.field("age_approx", pa.float64()),
        pa.field("mel_thick_mm", pa.float64()),
        pa.field("mel_ulcer", pa.bool_()),
        pa.field("mel_mitotic_index", pa.float64()),
        pa.field("mel_mitotic_index_qualifier", pa.string()),
        pa.field("t_category", pa.string()),
        pa.field("stage", pa.string()),
        pa.field("nodes_positive", pa.int64()),
        pa.field("nodes_examined", pa.int64()),
        pa.field("recurrence_local_days", pa.float64()),
        pa.field("recurrence_locoregional_days", pa.float64()),
        pa.field("recurrence_distant_days", pa.float64()),
        *(
            column
            for name in ENDPOINTS
            for column in (pa.field(f"{name}_days", pa.float64()), pa.field(f"{name}_event", pa.int8()))
        ),
    ]
)


@dataclass(frozen=True)
class Outcomes:
    """A checked table of outcomes.

    `table`: `OUTCOMES_SCHEMA`, then a column for each covariate asked for (float64, string, date32); sorted as the file
    is, one row for each patient, or each lesion of a patient where the file names lesions. It holds the file's
    identifiers and so has no part in the repr. `notices`: what a person should know though it is no mistake.
    """

    table: pa.Table = field(repr=False)
    notices: tuple[str, ...] = ()

    def fit_problems(self, endpoint: str, all_events_are_real: bool = False) -> tuple[Problem, ...]:
        """What makes a fit of an endpoint (`ENDPOINTS`) impossible or meaningless; empty where nothing does.

        `all_events_are_real`: the caller vouches that the cohort holds nobody without the event. Raises UsageError for
        an endpoint that there is not.
        """
        if endpoint not in ENDPOINTS:
            raise UsageError(f"there is no endpoint {endpoint!r}; it is one of {', '.join(ENDPOINTS)}")
        codes = [c for c in self.table.column(f"{endpoint}_event").to_pylist() if c is not None]
        name = f"{endpoint}_event"
        if not codes:
            return (Problem("no_outcomes", "no row tells this endpoint; give its times and events", column=name),)
        if len(codes) == 1:
            return (Problem("one_row", "one patient with an outcome is no cohort; add the others", column=name),)
        lost = self._lost_after_recurrence()
        if lost and endpoint in ("melanoma_specific", "overall"):
            mend = (
                f"{lost} patients with a recurrence have no later follow-up or death; survival without them is biased"
            )
            return (Problem("follow_up_lost", mend, column=name),)
        if EVENT not in codes:
            mend = "nobody had the event; give the events, or say in the mapping how they are spelt"
            return (Problem("no_events", mend, column=name),)
        if all(code == EVENT for code in codes) and not all_events_are_real:
            mend = "everybody had the event; are those without it left out, or the codes exchanged?"
            return (Problem("all_events", mend, column=name),)
        return ()

    def _lost_after_recurrence(self) -> int:
        names = ("recurrence_free_event", "overall_event")
        pairs = zip(*(self.table.column(name).to_pylist() for name in names), strict=True)
        return sum(recurred == EVENT and died is None for recurred, died in pairs)

    def require_fit(self, endpoint: str, all_events_are_real: bool = False) -> None:
        """Raise OutcomesError with what `fit_problems` finds."""
        problems = self.fit_problems(endpoint, all_events_are_real)
        if problems:
            raise OutcomesError(problems)


def read_outcomes(
    data: bytes,
    mapping: SourceMapping | None = None,
    *,
    covariates: Sequence[str] = (),
    date_order: DateOrder | None = None,
    as_of: date | None = None,
) -> Outcomes:
    """Read and check a table of outcomes (CSV or Parquet) from its bytes.

    Columns are found by ISIC's names and those of `OUTCOME_COLUMNS`, or by the `[outcomes]` section of a mapping, whose
    `[values.FIELD]` say what a source's words mean. Three layouts are understood, mixed as they come: a row for each
    patient with a column for each event's date or day; a row for each event (`event` with `event_date` or `time_days`);
    `time_days` with an `event` that says only yes or no (endpoint "stated"). `covariates`: further columns to keep.
    `date_order`: how 03/04/2015 is meant. `as_of`: the day of the analysis, after which nothing can have happened.

    Raises OutcomesError with every problem of the table.
    """
    sheet, problems = read_spreadsheet(data)
    taken = sorted(set(covariates) & set(OUTCOMES_SCHEMA.names))
    if taken:
        raise UsageError(f"{', '.join(taken)}: read anyway; leave it out of the covariates")
    fields = read_fields(sheet, mapping or SourceMapping(), covariates, date_order, as_of)
    units, found = read_units(fields)
    problems = [*problems, *fields.problems, *found, *_stage_problems(fields, units)]
    if problems:
        raise OutcomesError(sorted_problems(problems))
    outcomes = Outcomes(_table(units, covariates, recurrences_told(fields, units)))
    return Outcomes(outcomes.table, (*sheet.facts, *_notices(fields, units, outcomes)))


def _stage_problems(fields: Fields, units: list[Unit]) -> list[Problem]:
    problems = []
    for unit in units:
        stated = unit.facts.get("t_category")
        if stated in ("Tis", "T0") and unit.facts.get("thickness_mm") is not None:
            mend = "a melanoma in situ, or none, has no Breslow thickness; correct one"
            problems.append(Problem("contradiction", mend, unit.course.row, fields.columns["t_category"], stated))
    return problems


def _table(units: list[Unit], covariates: Sequence[str], told: bool) -> pa.Table:
    rows = [_row(unit, endpoints(unit.course, told)) for unit in units]
    table = pa.Table.from_pylist(rows, schema=OUTCOMES_SCHEMA)
    for name in covariates:
        values = [unit.facts[f"covariate:{name}"] for unit in units]
        table = table.append_column(name, pa.array(values, _type_of(values)))
    return table


def _type_of(values: list[Any]) -> pa.DataType:
    """The type of a covariate's values: numbers, dates (a column called ..._date) or words."""
    told = [value for value in values if value is not None]
    if all(isinstance(value, float) for value in told):
        return pa.float64()
    return pa.date32() if all(isinstance(value, date) for value in told) else pa.string()


def _row(unit: Unit, ends: Endpoints) -> dict[str, Any]:
    facts, course = unit.facts, unit.course
    mitoses, qualifier = facts.get("mitoses") or (None, None)
    row: dict[str, Any] = {
        "row": course.row,
        "patient_id": unit.patient,
        "lesion_id": unit.lesion,
        "sex": facts.get("sex"),
        "age_approx": facts.get("age"),
        "mel_thick_mm": facts.get("thickness_mm"),
        "mel_ulcer": facts.get("ulceration"),
        "mel_mitotic_index": mitoses,
        "mel_mitotic_index_qualifier": qualifier,
        "t_category": _t_category(facts),
        "stage": facts.get("stage"),
    }
    for name in ("nodes_positive", "nodes_examined"):
        row[name] = None if facts.get(name) is None else int(facts[name])
    for kind in ("recurrence_local", "recurrence_locoregional", "recurrence_distant"):
        first = course.first((kind,))
        row[f"{kind}_days"] = None if first is None else first.day
    for name in ENDPOINTS:
        row[f"{name}_days"], row[f"{name}_event"] = ends.days[name], ends.codes[name]
    return row


def _t_category(facts: dict[str, Any]) -> str | None:
    """Derived where there is a thickness; else as the table states it; null where it says nothing."""
    thickness = facts.get("thickness_mm")
    stated: str | None = facts.get("t_category")
    return stated if thickness is None else t_category(thickness, facts.get("ulceration"))


def _notices(fields: Fields, units: list[Unit], outcomes: Outcomes) -> list[str]:
    notices = []
    if fields.ignored:
        notices.append(f"columns not read: {fields.ignored}; name those to keep as covariates or in a mapping")
    if "patient" not in fields.values:
        notices.append("no column patient_id: every row counts as another patient")
    merged = len(fields.rows) - len(units)
    if merged:
        notices.append(f"{len(fields.rows)} rows tell of {len(units)} patients or lesions")
    if len(units) == 1:
        notices.append("one patient only: nothing can be fitted")
    differ = sum(
        unit.facts.get("thickness_mm") is not None
        and unit.facts.get("t_category") not in (None, _t_category(unit.facts))
        for unit in units
    )
    if differ:
        notices.append(f"{differ} stated T categories differ from AJCC 8 of thickness and ulceration, which is used")
    for name in ENDPOINTS:
        codes = outcomes.table.column(f"{name}_event").to_pylist()
        known = [code for code in codes if code is not None]
        if not known:
            continue
        if len(known) < len(codes):
            notices.append(f"{name}: not known for {len(codes) - len(known)} of {len(codes)}; they enter no fit")
        if EVENT not in known:
            notices.append(f"{name}: no events")
        elif all(code == EVENT for code in known):
            notices.append(f"{name}: all {len(known)} had the event")
    if all(outcomes.table.column(f"{name}_event").null_count == len(units) for name in ENDPOINTS):
        notices.append("no row tells an outcome: predictions can be made, nothing fitted")
    return notices
