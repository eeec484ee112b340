"""The course of one patient's melanoma: what happened on which day, the rules it must keep, and its endpoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from longderm.prognosis.outcome_words import DEATHS, RECURRENCES
from longderm.prognosis.problems import Problem, shown

#: Codes of an endpoint's event column. A competing event ends the time at risk; censored is known free of both.
CENSORED, EVENT, COMPETING = 0, 1, 2

#: What is measured: recurrence-free interval, melanoma-specific and overall survival, and the one event of a table that
#: says yes or no without saying to what.
ENDPOINTS = ("recurrence_free", "melanoma_specific", "overall", "stated")


@dataclass(frozen=True)
class Happening:
    """One dated fact: its kind (`EVENT_KINDS`), and the row, column and value that told it.

    `day`: from the origin; `on`: the date, where the table has dates.
    """

    kind: str
    row: int
    column: str
    day: float
    on: date | None = None

    @property
    def value(self) -> str:
        """What stands in the cell, for a message."""
        return shown(f"{self.day:g}" if self.on is None else self.on.isoformat())


@dataclass(frozen=True)
class Course:
    """Everything dated that one patient's rows say.

    `stated`: time in days and whether the event came, of a table that does not say which event; `row`: the first.
    """

    row: int
    happenings: tuple[Happening, ...] = ()
    stated: tuple[float, bool] | None = None

    def first(self, kinds: Sequence[str]) -> Happening | None:
        """The earliest of some kinds, or None."""
        return min((h for h in self.happenings if h.kind in kinds), key=lambda h: (h.day, h.kind, h.row), default=None)


@dataclass(frozen=True)
class Endpoints:
    """Times in days from the origin and event codes by endpoint; None where the course does not tell."""

    days: dict[str, float | None] = field(default_factory=dict)
    codes: dict[str, int | None] = field(default_factory=dict)


def course_problems(course: Course) -> Iterator[Problem]:
    """The rules that a course breaks."""
    for h in course.happenings:
        if h.on is not None and h.day < 0:
            yield _problem(h, "before_origin", "lies before the origin (the diagnosis); correct it or the origin")
    for kinds in _kinds_that_happen_once(course):
        first, *others = sorted((h for h in course.happenings if h.kind in kinds), key=lambda h: (h.row, h.column))
        rule = "two_deaths" if kinds == DEATHS else "two_events_of_one_kind"
        for other in others:
            if (other.kind, other.day) != (first.kind, first.day):
                mend = f"row {first.row}, column {first.column} tells of another {first.kind}; keep one"
                yield _problem(other, rule, mend)
    death = course.first(DEATHS)
    end = course.first(("last_follow_up",))
    for h in course.happenings:
        if death is not None and h.kind not in DEATHS and h.day > death.day:
            yield _problem(h, "after_death", f"a {h.kind} after the death that row {death.row} tells; correct one")
        if end is not None and h.kind in RECURRENCES and h.day > end.day:
            yield _problem(h, "after_last_follow_up", f"later than the last follow-up in row {end.row}; correct one")


def _kinds_that_happen_once(course: Course) -> list[tuple[str, ...]]:
    present = {h.kind for h in course.happenings}
    groups = [DEATHS, *((kind,) for kind in (*RECURRENCES, "last_follow_up"))]
    return [group for group in groups if present & set(group)]


def endpoints(course: Course, recurrences_told: bool) -> Endpoints:
    """The times and codes of a course; `recurrences_told`: the table would tell a recurrence if there was one.

    * recurrence-free interval (where recurrences are told): to the first recurrence of any site, or to a death of
      melanoma before any was recorded (it recurred, unseen); death of another cause competes.
    * melanoma-specific survival: to the death of melanoma; death of another cause competes.
    * overall survival: to death of any cause.

    Who neither had the event nor a competing one is censored at the last follow-up; without one the endpoint is not
    known. A death whose cause is not stated leaves the code of the endpoints that depend on the cause unknown.
    """
    death = course.first(DEATHS)
    recurrence = course.first(RECURRENCES)
    end = course.first(("last_follow_up",))
    days: dict[str, float | None] = dict.fromkeys(ENDPOINTS)
    codes: dict[str, int | None] = dict.fromkeys(ENDPOINTS)
    if death is not None:
        cause = {"death_of_melanoma": EVENT, "death_of_other_cause": COMPETING}.get(death.kind)
        for name in ENDPOINTS[:3]:
            days[name], codes[name] = death.day, EVENT if name == "overall" else cause
    elif end is not None:
        for name in ENDPOINTS[:3]:
            days[name], codes[name] = end.day, CENSORED
    if recurrence is not None:
        days["recurrence_free"], codes["recurrence_free"] = recurrence.day, EVENT
    if not recurrences_told:
        days["recurrence_free"] = codes["recurrence_free"] = None
    if course.stated is not None:
        days["stated"], codes["stated"] = course.stated[0], EVENT if course.stated[1] else CENSORED
    return Endpoints(days, codes)


def _problem(happening: Happening, rule: str, mend: str) -> Problem:
    return Problem(rule, mend, happening.row, happening.column, happening.value)
