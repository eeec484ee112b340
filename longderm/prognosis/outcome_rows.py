"""From the fields of a table to one course for each patient (or lesion): who the rows belong to and what they tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from longderm.prognosis.cells import BAD
from longderm.prognosis.course import Course, Happening, course_problems
from longderm.prognosis.outcome_fields import Fields
from longderm.prognosis.outcome_words import DEATHS, RECURRENCES
from longderm.prognosis.problems import Problem, shown

#: Fields that say the same in every row of a patient's lesion.
CONSTANT_FIELDS = (
    *("sex", "age", "thickness_mm", "ulceration", "mitoses", "t_category", "stage"),
    *("nodes_positive", "nodes_examined", "origin_date"),
)

_TIMES = ("time_days", "time_months", "time_years")
_SITES = ("recurrence_local", "recurrence_locoregional", "recurrence_distant")


@dataclass(frozen=True, repr=False)
class Unit:
    """One lesion of one patient (one patient, where the table names no lesions): its rows' indices, facts and course.

    It holds identities: it has no repr.
    """

    patient: str | None
    lesion: str | None
    indices: tuple[int, ...]
    facts: dict[str, Any]
    course: Course


def recurrences_told(fields: Fields, units: list[Unit]) -> bool:
    """Whether the table tells recurrences: it has columns for them, or one of its events is a recurrence."""
    told = any(unit.course.first(RECURRENCES) is not None for unit in units)
    return told or any(name.startswith("recurrence") for name in fields.values)


def read_units(fields: Fields) -> tuple[list[Unit], list[Problem]]:
    """The units in the order of their first rows, and the problems of their rows together."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index, row in enumerate(fields.rows):
        patient = fields.at("patient", index)
        key = (patient, fields.at("lesion", index)) if patient is not None else ("row", row)
        groups.setdefault(key, []).append(index)
    problems: list[Problem] = []
    if "patient" in fields.values:
        problems += [
            Problem("no_patient", "no patient identifier; give one or take the row out", row, fields.columns["patient"])
            for index, row in enumerate(fields.rows)
            if fields.at("patient", index) is None
        ]
    problems += _table_problems(fields)
    units = []
    for indices in groups.values():
        facts, found = _facts(fields, indices)
        problems += found
        course, found = _course(fields, indices, facts.get("origin_date"))
        problems += found
        problems += course_problems(course)
        problems += _node_problems(fields, indices)
        first = indices[0]
        units.append(Unit(fields.at("patient", first), fields.at("lesion", first), tuple(indices), facts, course))
    return units, [*problems, *_patient_problems(fields, units)]


def _patient_problems(fields: Fields, units: list[Unit]) -> Iterator[Problem]:
    """Lesions of one patient that tell of two sexes or of deaths on two dates."""
    first: dict[str, Unit] = {}
    for unit in units:
        if unit.patient is None:
            continue
        other = first.setdefault(unit.patient, unit)
        sexes = other.facts.get("sex"), unit.facts.get("sex")
        if None not in sexes and sexes[0] != sexes[1]:
            mend = f"row {other.course.row} is of the same patient and says another value; correct one"
            yield Problem("conflicting_rows", mend, unit.course.row, fields.columns["sex"], sexes[1])
        deaths = other.course.first(DEATHS), unit.course.first(DEATHS)
        if deaths[0] is not None and deaths[1] is not None and deaths[0].on != deaths[1].on:
            mend = f"row {deaths[0].row} tells of another death of the same patient; keep one"
            yield Problem("two_deaths", mend, deaths[1].row, deaths[1].column, deaths[1].value)


def _table_problems(fields: Fields) -> Iterator[Problem]:
    times = [name for name in _TIMES if name in fields.values]
    if len(times) > 1:
        names = ", ".join(fields.columns[name] for name in times)
        yield Problem("two_times", f"the columns {names} tell one time in several units; keep one")
    if "event" in fields.values and not times and "event_date" not in fields.values:
        column = fields.columns["event"]
        mend = "no column says when it was; give time_days or event_date, or name it in a mapping"
        yield Problem("event_without_time", mend, column=column)


def _facts(fields: Fields, indices: list[int]) -> tuple[dict[str, Any], list[Problem]]:
    """The fields that are constant, and the rows that contradict the first which tells them."""
    facts: dict[str, Any] = {}
    problems = []
    names = [n for n in fields.values if n in CONSTANT_FIELDS or n.startswith("covariate:")]
    for name in names:
        told = [(index, fields.at(name, index)) for index in indices if fields.at(name, index) is not None]
        facts[name] = told[0][1] if told else None
        for index, value in told[1:]:
            if value != told[0][1]:
                mend = f"row {fields.rows[told[0][0]]} is of the same patient and says another value; correct one"
                text = None if name.startswith("covariate:") else _text(value)
                column = fields.columns[name]
                problems.append(Problem("conflicting_rows", mend, fields.rows[index], column, text))
    return facts, problems


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        value = f"{value[1].replace('=', '')}{value[0]:g}"
    return shown(f"{value:g}" if isinstance(value, float) else value)


def _node_problems(fields: Fields, indices: list[int]) -> Iterator[Problem]:
    for index in indices:
        positive, examined = fields.at("nodes_positive", index), fields.at("nodes_examined", index)
        if positive is not None and examined is not None and positive > examined:
            mend = f"more nodes positive than the {examined:g} examined; correct one"
            column = fields.columns["nodes_positive"]
            yield Problem("nodes", mend, fields.rows[index], column, f"{positive:g}")


def _course(fields: Fields, indices: list[int], origin: date | None) -> tuple[Course, list[Problem]]:
    happenings: list[Happening] = []
    problems: list[Problem] = []
    stated: tuple[float, bool] | None = None
    for index in indices:
        row = _Row(fields, index, origin)
        happenings += row.happenings()
        problems += row.problems
        if row.stated is not None:
            if stated is not None and row.stated != stated:
                mend = f"row {fields.rows[indices[0]]} is of the same patient and tells another time or event; keep one"
                problems.append(Problem("conflicting_rows", mend, fields.rows[index], fields.columns["event"]))
            stated = stated or row.stated
    return Course(fields.rows[indices[0]], tuple(happenings), stated), problems


class _Row:
    """Reads what one row tells; collects its problems."""

    def __init__(self, fields: Fields, index: int, origin: date | None) -> None:
        self._fields, self._index, self._origin = fields, index, origin
        self._has_time = any(name in fields.values for name in ("event_date", *_TIMES))
        self.problems: list[Problem] = []
        self.stated: tuple[float, bool] | None = None

    def happenings(self) -> list[Happening]:
        """The dated facts of the row."""
        told = [self._event(), self._recurrence(), *map(self._plain, _SITES), self._death(), *self._end()]
        return [happening for happening in told if happening is not None]

    def _at(self, name: str) -> Any:
        return self._fields.at(name, self._index)

    def _is_bad(self, *names: str) -> bool:
        values = self._fields.values
        return any(name in values and values[name][self._index] is BAD for name in names)

    def _problem(self, rule: str, mend: str, column: str) -> None:
        row = self._fields.rows[self._index]
        self.problems.append(Problem(rule, mend, row, self._fields.columns.get(column, column)))

    def _when(self, date_name: str, *day_names: str) -> tuple[float, date | None, str] | None:
        """Day, date and field of a time that is told as a date or as a number."""
        on = self._at(date_name)
        told = next(((name, self._at(name)) for name in day_names if self._at(name) is not None), None)
        if on is not None and self._origin is None and told is None and not self._is_bad("origin_date"):
            self._problem("no_origin", "a date without the date of the origin (origin_date: the diagnosis)", date_name)
        if on is not None and self._origin is not None:
            day = float((on - self._origin).days)
            if told is not None and abs(told[1] - day) > 1:
                mend = f"the dates say day {day:g}; correct the dates or the number of days"
                self._problem("dates_and_days_differ", mend, told[0])
            return day, on, date_name
        return None if told is None else (told[1], None, told[0])

    def _happening(self, kind: str, when: tuple[float, date | None, str]) -> Happening:
        day, on, name = when
        return Happening(kind, self._fields.rows[self._index], self._fields.columns[name], day, on)

    def _event(self) -> Happening | None:
        kind = self._at("event")
        if kind is None:
            return None
        when = self._when("event_date", *_TIMES)
        if when is None:
            if (
                self._has_time
                and kind is not False
                and kind != "last_follow_up"
                and not self._is_bad("event_date", *_TIMES, "origin_date")
            ):
                self._problem("event_without_time", "an event without its time; give it", "event")
            return None
        if isinstance(kind, bool):
            self.stated = (when[0], kind)
            if when[0] < 0 and when[1] is not None:
                self._problem("before_origin", "lies before the origin (the diagnosis); correct it", when[2])
            return None
        return self._happening(kind, when)

    def _recurrence(self) -> Happening | None:
        kind = self._at("recurrence_kind")
        when = self._when("recurrence_date", "recurrence_days")
        if when is None:
            dated_by_site = any(self._when(f"{site}_date", f"{site}_days") for site in _SITES)
            unread = self._is_bad("recurrence_date", "recurrence_days", "origin_date")
            if kind is not None and not dated_by_site and not unread:
                self._problem("event_without_time", "a recurrence without its date; give it", "recurrence_kind")
            return None
        return self._happening(kind or "recurrence", when)

    def _plain(self, kind: str) -> Happening | None:
        when = self._when(f"{kind}_date", f"{kind}_days")
        return None if when is None else self._happening(kind, when)

    def _death(self) -> Happening | None:
        when = self._when("death_date", "death_days")
        cause, dead = self._at("death_cause"), self._at("vital_status")
        event_tells = str(self._at("event")).startswith("death")
        if when is None:
            name = "vital_status" if dead else "death_cause"
            unread = self._is_bad("death_date", "death_days", "origin_date")
            if (dead or cause is not None) and not unread and not event_tells:
                self._problem("event_without_time", "a death without its date; give it", name)
            return None
        if dead is False:
            self._problem("contradiction", "alive, and there is a date of death; correct one", "vital_status")
        return self._happening(cause or "death", when)

    def _end(self) -> list[Happening]:
        when = self._when("last_follow_up_date", "last_follow_up_days")
        return [] if when is None else [self._happening("last_follow_up", when)]
