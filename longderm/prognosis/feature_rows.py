"""A file of features, such as those of photos: rows of patients, each with the day on which it became known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from longderm.archive.mapping import OUTCOME_COLUMNS
from longderm.errors import UsageError
from longderm.prognosis.cells import BAD, Column, is_missing, read_dates, read_numbers
from longderm.prognosis.outcome_fields import identifier_text, read_covariate
from longderm.prognosis.problems import OutcomesError, Problem, sorted_problems
from longderm.prognosis.spreadsheet import read_spreadsheet

if TYPE_CHECKING:
    from longderm.prognosis.patients import Intake

#: Columns that say when a row became known, where none is named. A day of the store (`acquisition_day`) is none of
#: them: it counts from the first photo, not from the diagnosis.
DAY_COLUMNS = ("acquisition_date", "photo_date", "date", "days_from_origin")
_TABLE = "table of features"


@dataclass(frozen=True)
class FeatureRows:
    """Rows of features: their numbers in the file, patients, lesions (None: the file names none), values by name, and
    days: dates or numbers of days from the origin; `dated`: the file has such a column. It holds identities.
    """

    rows: tuple[int, ...]
    patients: tuple[str, ...] = field(repr=False)
    lesions: tuple[str | None, ...] | None = field(repr=False)
    features: Mapping[str, Sequence[Any]] = field(repr=False)
    days: Sequence[date | float | None] = field(repr=False)
    dated: bool
    notices: tuple[str, ...] = ()

    def day_of(self, index: int, origin: date | None) -> float | None:
        """Days from the origin to a row's day; None where it is not known."""
        day = self.days[index]
        if isinstance(day, date):
            return None if origin is None else float((day - origin).days)
        return day

    def arrow_type(self, name: str) -> pa.DataType:
        """Numbers are float64, words string."""
        numeric = all(isinstance(value, float) for value in self.features[name] if value is not None)
        return pa.float64() if numeric else pa.string()


def read_feature_rows(data: bytes, names: Sequence[str], intake: Intake) -> FeatureRows:
    """Read those of the columns `names` that the file has, with patients and days.

    Raises OutcomesError with every problem, UsageError for a column of days that there is not.
    """
    try:
        sheet, problems = read_spreadsheet(data)
    except OutcomesError as error:
        raise OutcomesError(error.problems, _TABLE) from None
    places = {name.lower(): index for index, name in reversed(list(enumerate(sheet.names)))}
    numbers = tuple(number for number, _ in sheet.rows)

    def column(name: str) -> Column:
        at = places[name.lower()]
        return Column(sheet.names[at], numbers, tuple(row[at] for _, row in sheet.rows))

    mapped = intake.mapping.outcomes.get("patient", OUTCOME_COLUMNS["patient"][0])
    if mapped.lower() not in places:
        raise OutcomesError([Problem("no_column", "the features name no patients; give it", column=mapped)], _TABLE)
    patients = _identifiers(column(mapped))
    problems += [
        Problem("no_patient", "no patient identifier; give one or take the row out", number, mapped)
        for number, patient in zip(numbers, patients, strict=True)
        if patient is None
    ]
    lesion = intake.mapping.outcomes.get("lesion", OUTCOME_COLUMNS["lesion"][0])
    lesions = _identifiers(column(lesion)) if lesion.lower() in places else None
    days, name, found = _days(places, column, intake)
    problems += found
    features: dict[str, list[Any]] = {}
    for one in names:
        if one.lower() in places:
            values, found = read_covariate(column(one))
            problems += found
            features[one] = [None if value is BAD else value for value in values]
    if problems:
        raise OutcomesError(sorted_problems(problems), _TABLE)
    notices = (f"features dated by {name}",) if name else ()
    known = tuple(patient or "" for patient in patients)
    return FeatureRows(numbers, known, lesions, features, days, name is not None, notices)


def _days(
    places: Mapping[str, int], column: Any, intake: Intake
) -> tuple[list[date | float | None], str | None, list[Problem]]:
    if intake.feature_day is not None and intake.feature_day.lower() not in places:
        raise UsageError(f"the features have no column {intake.feature_day}, which is to say when they became known")
    name = intake.feature_day or next((one for one in DAY_COLUMNS if one in places), None)
    if name is None:
        return [None] * len(column(next(iter(places))).rows), None, []
    cells = column(name)
    numbers, trouble = read_numbers(cells)
    if not trouble and not name.lower().endswith("date"):
        return [n if isinstance(n, float) else None for n in numbers], name, []
    dates, problems = read_dates(cells, intake.date_order, intake.as_of)
    return [None if on is BAD else on for on in dates], name, problems  # BAD is a problem


def _identifiers(column: Column) -> tuple[str | None, ...]:
    return tuple(None if is_missing(cell) else identifier_text(cell) for cell in column.cells)
