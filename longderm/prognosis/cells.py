"""Numbers, truth values, words and dates as clinicians write them; a column is read as a whole.

What cannot be understood beyond doubt is a problem, never a guess: 1,234 may be 1.234 or 1234; 03/04/2015 may be March
or April. A value is `BAD` then, so that the rules that follow do not take it for missing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from typing import Literal, TypeVar

from longderm.prognosis.problems import Problem, shown
from longderm.prognosis.spreadsheet import Cell

#: Spellings of "not known", lower case.
MISSING_WORDS = frozenset(
    (
        *(
            "",
            "na",
            "n/a",
            "#n/a",
            "nan",
            "null",
            "none",
            "unknown",
            "not known",
            "not stated",
            "missing",
            ".",
            "-",
            "?",
        ),
        *("unbekannt", "fehlt", "k.a.", "k. a.", "keine angabe", "nicht bekannt", "nd", "not done", "not available"),
    )
)

#: Spellings of yes and no, lower case. "none" and "-" may be a no or a missing value: they are understood as neither.
TRUE_WORDS = frozenset(("1", "true", "t", "yes", "y", "present", "positive", "ja", "j", "wahr", "vorhanden"))
FALSE_WORDS = frozenset(("0", "false", "f", "no", "n", "absent", "negative", "nein", "falsch", "nicht vorhanden"))
_UNCLEAR_TRUTH = frozenset(("none", "-"))

#: Dates before it are a program's placeholder (1899-12-30, 1900-01-01): no patient at follow-up was seen then.
EARLIEST_DATE = date(1910, 1, 1)

#: Day numbers of Excel (1900 date system) from 1927 to 2119: a number in a column of dates is one of these.
_EXCEL_SERIALS = (10_000, 80_000)
_EXCEL_ORIGIN = date(1899, 12, 30)  # makes up for the day 1900-02-29 that Excel counts and no calendar had

_PLAIN = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?")
_COMMA = re.compile(r"[+-]?\d+,\d+")
_THREE_AFTER_COMMA = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_THREE_AFTER_POINT = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
_THOUSANDS = re.compile(
    r"[+-]?\d{1,3}(?:(?:,\d{3})+\.\d+|(?:\.\d{3})+,\d+|(?:,\d{3}){2,}|(?:\.\d{3}){2,}"
    r"|(?:['’ \u00a0\u2009\u202f]\d{3})+(?:[.,]\d+)?)"
)

_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ]\d{1,2}:\d{2}.*)?")
_BASIC_ISO = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_SLASHED = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})")
_SHORT_YEAR = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2}")
_NO_DAY = re.compile(r"\d{4}(?:[-/.]\d{1,2})?|\d{1,2}[-/.]\d{4}")

DateOrder = Literal["day_first", "month_first"]


class Bad(Enum):
    """The one value of a cell that holds something which is not understood."""

    BAD = "bad"


BAD = Bad.BAD

T = TypeVar("T")


@dataclass(frozen=True)
class Column:
    """A column of a spreadsheet: its name there, the numbers of its rows, and their cells."""

    name: str
    rows: tuple[int, ...]
    cells: tuple[Cell, ...]

    def problem(self, at: int, rule: str, mend: str) -> Problem:
        """A problem with the cell at an index."""
        return Problem(rule, mend, self.rows[at], self.name, shown(self.cells[at]))


def is_missing(cell: Cell) -> bool:
    """Whether a cell says that nothing is known."""
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in MISSING_WORDS)


def read_numbers(column: Column, unit: str = "") -> tuple[list[float | Bad | None], list[Problem]]:
    """The numbers of a column; a decimal comma is read where it cannot be a thousands separator.

    `unit` (such as "mm") may stand behind a number; any other is a problem.
    """
    texts = [_number_text(cell, unit) for cell in column.cells]
    commas = any(_COMMA.fullmatch(t) and not _THREE_AFTER_COMMA.fullmatch(t) for t in texts if t is not None)
    pointed = [t for t in texts if t is not None and "." in t]
    whole = [t for t in texts if t is not None and t.lstrip("+-").isdigit()]
    german_thousands = commas or (
        # 1.825 beside 365 and 730 only: a column of days whose thousands are set apart by points
        unit == "d" and all(_THREE_AFTER_POINT.fullmatch(t) for t in pointed) and all(len(t) <= 3 for t in whole)
    )
    values: list[float | Bad | None] = []
    problems: list[Problem] = []
    for at, text in enumerate(texts):
        if text is None:
            values.append(None)
            continue
        value, problem = _read_number(text, commas, german_thousands, unit)
        values.append(value)
        if problem:
            problems.append(column.problem(at, *problem))
    return values, problems


def _number_text(cell: Cell, unit: str) -> str | None:
    if is_missing(cell):
        return None
    if isinstance(cell, bool) or not isinstance(cell, str):
        return repr(cell) if not isinstance(cell, date) else cell.isoformat()
    text = cell.strip()
    return text[: -len(unit)].strip() if unit and text.lower().endswith(unit) else text


def _read_number(
    text: str, commas: bool, german_thousands: bool, unit: str
) -> tuple[float | Bad, tuple[str, str] | None]:
    if _THOUSANDS.fullmatch(text):
        return BAD, ("thousands_separator", "write the number without thousands separators")
    if _THREE_AFTER_POINT.fullmatch(text) and german_thousands:
        return BAD, ("thousands_separator", "is the point a thousands separator? write the number without it")
    if _THREE_AFTER_COMMA.fullmatch(text) and not commas:
        return BAD, ("thousands_separator", "decimal comma or thousands separator? write a decimal point or neither")
    if _COMMA.fullmatch(text):
        text = text.replace(",", ".")
    if _PLAIN.fullmatch(text):
        number = float(text)
        if math.isfinite(number):
            return number, None
    if re.match(r"[<>≤≥~]", text):
        return BAD, ("not_a_number", "write the measured number, or leave the cell empty")
    if re.fullmatch(r"[\d.,]+\s*[a-zA-Zµμ/%²^]+", text):
        wanted = {"": "without a unit", "d": "in days"}.get(unit, f"in {unit}")
        return BAD, ("unit", f"write the number {wanted}")
    return BAD, ("not_a_number", "write a number, or leave the cell empty")


def read_truths(
    column: Column, words: Mapping[str, bool] | None = None
) -> tuple[list[bool | Bad | None], list[Problem]]:
    """The truth values of a column; `words`: further spellings that this column may hold, lower case."""
    spellings = dict.fromkeys(TRUE_WORDS, True) | dict.fromkeys(FALSE_WORDS, False) | dict(words or {})
    values: list[bool | Bad | None] = []
    problems: list[Problem] = []
    for at, cell in enumerate(column.cells):
        word = truth_text(cell)
        if word is not None and word in spellings:
            values.append(spellings[word])
        elif word is None or (is_missing(cell) and word not in _UNCLEAR_TRUTH):
            values.append(None)
        else:
            values.append(BAD)
            problems.append(column.problem(at, "not_yes_or_no", "write true or false, or leave the cell empty"))
    return values, problems


def truth_text(cell: Cell) -> str | None:
    """A cell as a truth value is spelt: 1.0, as a column with gaps becomes, is 1."""
    if cell is None:
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    text = str(cell).strip().lower()
    return {"1.0": "1", "0.0": "0"}.get(text, text)


def read_words(column: Column, words: Mapping[str, T]) -> tuple[list[T | Bad | None], list[Problem]]:
    """What the words of a column mean; keys of `words` are lower case with single spaces."""
    allowed = sorted({str(meaning) for meaning in words.values() if meaning is not None})
    values: list[T | Bad | None] = []
    problems: list[Problem] = []
    for at, cell in enumerate(column.cells):
        word = word_text(cell)
        if word in words:
            values.append(words[word])
        elif is_missing(cell):
            values.append(None)
        else:
            values.append(BAD)
            mend = "write one of " + ", ".join(allowed) + ", or say in the mapping what it means ([values])"
            problems.append(column.problem(at, "unknown_word", mend))
    return values, problems


def word_text(cell: Cell) -> str:
    """A cell as a word of a closed set is spelt: lower case, one space where blanks, underscores or hyphens stand."""
    return "" if cell is None else re.sub(r"[\s_-]+", " ", (truth_text(cell) or "")).strip()


def read_dates(
    column: Column, order: DateOrder | None = None, as_of: date | None = None
) -> tuple[list[date | Bad | None], list[Problem]]:
    """The dates of a column: ISO, 31.12.2015, and with `order` (or where a number above 12 decides) 31/12/2015.

    `as_of`: the day of the analysis; a later date is a problem.
    """
    values: list[date | Bad | None] = []
    problems: list[Problem] = []
    for at, cell in enumerate(column.cells):
        value: date | Bad | None
        problem: tuple[str, str] | None = None
        if is_missing(cell):
            value = None
        elif isinstance(cell, date):
            value = cell
        else:
            value, problem = _read_date(repr(cell) if not isinstance(cell, str) else cell.strip(), order)
        if isinstance(value, date):
            if value < EARLIEST_DATE:
                value, problem = BAD, ("impossible_date", "too early for a patient; write the true date")
            elif as_of is not None and value > as_of:
                value, problem = BAD, ("future_date", f"lies after the day of the analysis, {as_of.isoformat()}")
        values.append(value)
        if problem:
            problems.append(column.problem(at, *problem))
    return values, problems


def _read_date(text: str, order: DateOrder | None) -> tuple[date | Bad, tuple[str, str] | None]:
    found = _ISO.fullmatch(text) or _BASIC_ISO.fullmatch(text)
    if found:
        return _day(int(found[1]), int(found[2]), int(found[3]))
    found = _DOTTED.fullmatch(text)
    if found:
        return _day(int(found[3]), int(found[2]), int(found[1]))
    found = _SLASHED.fullmatch(text)
    if found:
        first, second, year = int(found[1]), int(found[2]), int(found[3])
        if order is None and first <= 12 and second <= 12 and first != second:
            return BAD, ("ambiguous_date", "day or month first? write year-month-day, or give the order of the dates")
        if order == "month_first" or (order is None and second > 12):
            first, second = second, first
        return _day(year, second, first)
    if _PLAIN.fullmatch(text) and _EXCEL_SERIALS[0] <= float(text) <= _EXCEL_SERIALS[1]:
        likely = (_EXCEL_ORIGIN + timedelta(days=int(float(text)))).isoformat()
        return BAD, ("excel_serial_date", f"a day number of a spreadsheet program (likely {likely}); write a date")
    if _SHORT_YEAR.fullmatch(text):
        return BAD, ("ambiguous_date", "which century? write year-month-day")
    if _NO_DAY.fullmatch(text):
        return BAD, ("imprecise_date", "write the day too: year-month-day")
    return BAD, ("not_a_date", "write year-month-day, such as 2015-12-31")


def _day(year: int, month: int, day: int) -> tuple[date | Bad, tuple[str, str] | None]:
    try:
        return date(year, month, day), None
    except ValueError:
        return BAD, ("impossible_date", "no such day; write the true date")
