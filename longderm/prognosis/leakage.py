"""No prediction may use what was not known on its day: the guard before every fit and every prediction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from longderm.errors import RefusedError, UsageError
from longderm.prognosis.course import ENDPOINTS

#: Leaks printed; the error carries all.
_PRINTED = 20

#: Columns of a table of outcomes that tell the future: never a feature, dated or not.
OUTCOME_NAMES = frozenset(
    [f"{name}_{what}" for name in ENDPOINTS for what in ("days", "event")]
    + [f"recurrence_{site}_days" for site in ("local", "locoregional", "distant")]
)


@dataclass(frozen=True)
class Leak:
    """A feature that is not known to have been known. `row`: index in the table, None where it concerns the column.

    `days_after`: how long after the origin it was; None where it has no date.
    """

    feature: str
    row: int | None
    days_after: float | None
    why: str

    def __str__(self) -> str:
        place = self.feature if self.row is None else f"{self.feature}, row {self.row}"
        return f"{place}: {self.why}"


class LeakageError(RefusedError):
    """Features that were not known at the origin of the prediction; `leaks` holds all, the message a line for each."""

    def __init__(self, leaks: tuple[Leak, ...]) -> None:
        self.leaks = leaks
        head = f"{len(leaks)} features or values were not known at the origin of the prediction:"
        more = [f"- and {len(leaks) - _PRINTED} more"] if len(leaks) > _PRINTED else []
        super().__init__("\n".join([head, *(f"- {leak}" for leak in leaks[:_PRINTED]), *more]))


def guard_origin(
    features: pa.Table,
    origin: str | float | date,
    dated_by: Mapping[str, str],
    time_invariant: Collection[str] = (),
    identifiers: Collection[str] = ("patient_id", "lesion_id", "row"),
) -> pa.Table:
    """Let through only features that were known at the origin of each row's prediction.

    `features`: a row for each prediction. `origin`: the day on which it is made, one for all rows or the column that
    holds it, as a date or as a number of days on the scale of the features' days. `dated_by`: for each feature the
    column with the day on which it became known (a photo's acquisition, a report's date, not the day of entry into a
    database). `time_invariant`: the features that hold from before every origin, declared by name (sex, year of birth,
    the pathology of the primary where the origin is its diagnosis). `identifiers`: columns that are no features.

    A feature of the origin's own day is known. A value that is missing leaks nothing. Returns the features alone, with
    identifiers, origin and days taken out; columns in the order of the table.
    Raises LeakageError with every leak: a value of a later day, a value without a day, a feature that is neither dated
    nor declared, an outcome among the features. UsageError: a column named that there is not, one both dated and
    declared, days of two kinds, a row without an origin.
    """
    _check_names(features, origin, dated_by, time_invariant)
    days = set(dated_by.values()) | ({origin} if isinstance(origin, str) else set())
    names = [name for name in features.column_names if name not in days and name not in identifiers]
    leaks = [Leak(name, None, None, "tells the outcome") for name in names if name in OUTCOME_NAMES]
    origins = features.column(origin).to_pylist() if isinstance(origin, str) else [origin] * features.num_rows
    missing = [row for row, day in enumerate(origins) if _missing(day)]
    if missing:
        raise UsageError(f"row {missing[0]} ({len(missing)} in all) has no origin of its prediction; give its day")
    for name in names:
        if name in dated_by:
            leaks += _later(name, features.column(name), features.column(dated_by[name]), origins)
        elif name not in time_invariant and name not in OUTCOME_NAMES:
            leaks.append(Leak(name, None, None, "has no date; date it, or declare it time-invariant if it is"))
    if leaks:
        raise LeakageError(tuple(leaks))
    return features.select(names)


def _later(name: str, values: pa.ChunkedArray, days: pa.ChunkedArray, origins: list[Any]) -> list[Leak]:
    leaks = []
    for row, (value, day, origin) in enumerate(zip(values.to_pylist(), days.to_pylist(), origins, strict=True)):
        if _missing(value):
            continue
        if _missing(day):
            leaks.append(Leak(name, row, None, "a value without a date"))
            continue
        after = _days_between(origin, day)
        if after > 0:
            leaks.append(Leak(name, row, after, f"known only {after:g} days after the origin"))
    return leaks


def _days_between(origin: Any, day: Any) -> float:
    """Days from the origin to a day; a clock time counts by its date."""
    origin, day = (value.date() if isinstance(value, datetime) else value for value in (origin, day))
    if isinstance(origin, date) and isinstance(day, date):
        return float((day - origin).days)
    if isinstance(origin, int | float) and isinstance(day, int | float) and not isinstance(origin, bool):
        return float(day) - float(origin)
    raise UsageError("the origin and the features' days must both be dates or both numbers of days")


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _check_names(
    features: pa.Table, origin: str | float | date, dated_by: Mapping[str, str], time_invariant: Collection[str]
) -> None:
    named = [*dated_by, *dated_by.values(), *time_invariant, *([origin] if isinstance(origin, str) else [])]
    unknown = sorted(set(named) - set(features.column_names))
    if unknown:
        raise UsageError(f"the table of features has no column {', '.join(unknown)}")
    both = sorted(set(dated_by) & set(time_invariant))
    if both:
        raise UsageError(f"{', '.join(both)}: dated and declared time-invariant; say one")
