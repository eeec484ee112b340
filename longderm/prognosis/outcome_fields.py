"""The columns of a table of outcomes, each read as what it holds and checked against what can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import Any

from longderm.archive.mapping import OUTCOME_COLUMNS, SourceMapping
from longderm.prognosis.cells import (
    BAD,
    FALSE_WORDS,
    TRUE_WORDS,
    Bad,
    Column,
    DateOrder,
    is_missing,
    read_dates,
    read_numbers,
    read_truths,
    read_words,
    truth_text,
    word_text,
)
from longderm.prognosis.outcome_words import (
    DEATH_CAUSE_WORDS,
    EVENT_WORDS,
    RECURRENCE_WORDS,
    SEX_WORDS,
    STAGES,
    ULCERATION_WORDS,
    VITAL_WORDS,
)
from longderm.prognosis.problems import Problem
from longderm.prognosis.spreadsheet import Cell, Spreadsheet
from longderm.prognosis.staging import T_CATEGORIES

#: Breslow thickness in mm that can be: from one cell's nucleus to far beyond the thickest that series report (some tens
#: of mm). Outside lies a code for "not known" (99.9), another unit or a slip.
BRESLOW_MM = (0.01, 60.0)

#: A thickness below the first is in mm (no melanoma is thinner than 20 micrometres and thought worth measuring), one
#: above the second in micrometres (none is 100 mm thick): a column that holds both mixes units.
_SURELY_MM, _SURELY_UM = 20.0, 100.0

#: What the other numbers can be at most. Mitoses per mm2: a high-power field filled with them; nodes: all of a body's
#: large basins taken out; age: as long as people live.
_LARGEST = {"mitoses": 200.0, "nodes_positive": 300.0, "nodes_examined": 300.0, "age": 120.0}
_WHOLE = ("nodes_positive", "nodes_examined")

#: Days from the origin that a life can hold.
LONGEST_DAYS = 110 * 365.25

MONTH_DAYS = 30.4375
YEAR_DAYS = 365.25

_FACTOR = {"time_months": MONTH_DAYS, "time_years": YEAR_DAYS}

#: ISIC writes the mitotic index as "0/mm^2", "<1/mm^2", ">4/mm^2".
_PER_MM2 = ("/mm^2", "/mm²", "/mm2", "per mm2", "per mm²")


@dataclass(frozen=True, repr=False)
class Fields:
    """What each column says, by field name and row index; `BAD` where a cell is not understood.

    `rows`: the numbers of the rows; `columns`: what the fields' columns are called in the file; `ignored`: how many
    columns are none of ours. It holds identities: it has no repr.
    """

    rows: tuple[int, ...]
    columns: Mapping[str, str]
    values: Mapping[str, Sequence[Any]]
    problems: tuple[Problem, ...]
    ignored: int

    def at(self, name: str, index: int) -> Any:
        """A value; None where there is no such column, the cell is empty or it is not understood."""
        value = self.values[name][index] if name in self.values else None
        return None if value is BAD else value


def read_fields(
    sheet: Spreadsheet, mapping: SourceMapping, covariates: Sequence[str], order: DateOrder | None, as_of: date | None
) -> Fields:
    """Find the columns of the fields and read them; `covariates`: further columns, kept under `covariate:NAME`."""
    places, problems = _places(sheet, mapping, covariates)
    rows = tuple(number for number, _ in sheet.rows)
    values: dict[str, Sequence[Any]] = {}
    columns = {}
    for name, at in places.items():
        cells = tuple(_translated(mapping, name, row[at]) for _, row in sheet.rows)
        column = Column(sheet.names[at], rows, cells)
        columns[name] = column.name
        values[name], found = _read(name, column, order, as_of)
        problems += found
    return Fields(rows, columns, values, tuple(problems), len(sheet.names) - len(set(places.values())))


def _places(
    sheet: Spreadsheet, mapping: SourceMapping, covariates: Sequence[str]
) -> tuple[dict[str, int], list[Problem]]:
    lowered = {name.lower(): index for index, name in reversed(list(enumerate(sheet.names)))}
    places: dict[str, int] = {}
    problems = []
    for name, aliases in OUTCOME_COLUMNS.items():
        mapped = mapping.outcomes.get(name)
        wanted = aliases if mapped is None else (mapped.lower(),)
        found = next((lowered[alias] for alias in wanted if alias in lowered), None)
        if found is not None:
            places[name] = found
        elif mapped is not None:
            problems.append(Problem("no_column", "the mapping names this column and the table has none", column=mapped))
    for covariate in covariates:
        if covariate.lower() in lowered:
            places[f"covariate:{covariate}"] = lowered[covariate.lower()]
        else:
            problems.append(Problem("no_column", "asked for as a covariate, and the table has none", column=covariate))
    if not places:
        problems.append(
            Problem(
                "no_column",
                "no column of the table is known (is the line of column names missing?); "
                "name the columns in a mapping: [outcomes]",
            )
        )
    return places, problems


def _translated(mapping: SourceMapping, name: str, cell: Cell) -> Cell:
    words = mapping.values.get(name.removeprefix("covariate:"))
    if not words or cell is None:
        return cell
    text = str(cell).strip()
    for spelling in (text, text.lower(), truth_text(cell) or "", text.removesuffix(".0")):
        if spelling in words:
            return words[spelling]
    return cell


def _read(
    name: str, column: Column, order: DateOrder | None, as_of: date | None
) -> tuple[Sequence[Any], list[Problem]]:
    if name in ("patient", "lesion"):
        return [None if is_missing(cell) else identifier_text(cell) for cell in column.cells], []
    if name in _WORDS:
        return read_words(column, _WORDS[name])
    if name.endswith("_date"):
        return read_dates(column, order, as_of)
    special = _READERS.get(name)
    if special is not None:
        return special(column)
    if name.startswith("covariate:"):
        return read_covariate(column)
    values, problems = read_numbers(column, "d" if name.endswith("_days") else "")
    factor = _FACTOR.get(name, 1.0)
    scaled: list[float | Bad | None] = [v * factor if isinstance(v, float) else v for v in values]
    if name in _LARGEST:
        problems += _outside(column, scaled, 0.0, _LARGEST[name], name in _WHOLE)
    else:
        problems += _impossible_times(column, scaled)
    return scaled, problems


def identifier_text(cell: Cell) -> str:
    """An identifier as text: 7.0, as a number beside gaps becomes, is 7."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def _read_event(column: Column) -> tuple[Sequence[Any], list[Problem]]:
    """Kinds of events; truth values where most cells say only yes or no (then all must)."""
    words = [truth_text(cell) for cell in column.cells if not is_missing(cell)]
    if 2 * sum(word in TRUE_WORDS | FALSE_WORDS for word in words) > len(words):
        return read_truths(column)
    return read_words(column, EVENT_WORDS)


def _read_thickness(column: Column) -> tuple[Sequence[Any], list[Problem]]:
    values, problems = read_numbers(column, "mm")
    numbers = [v for v in values if isinstance(v, float)]
    some_in_mm = any(v < _SURELY_MM for v in numbers)
    if numbers and not some_in_mm and median(numbers) > _SURELY_UM:
        mend = f"{len(numbers)} values, most above {_SURELY_UM:g}: micrometres? write them in mm (800 um is 0.8)"
        return [BAD if isinstance(v, float) else v for v in values], [
            *problems,
            Problem("unit", mend, column=column.name),
        ]
    low, high = BRESLOW_MM
    checked: list[float | Bad | None] = []
    for at, value in enumerate(values):
        if isinstance(value, float) and not low <= value <= high:
            if value >= _SURELY_UM and some_in_mm:
                mend = f"micrometres among mm? then write {value / 1000:g}; empty where it means that nothing is known"
                problem = "units_mixed", mend
            elif value == 0:
                problem = "impossible_thickness", "a melanoma in situ has no thickness: empty, and Tis in t_category"
            else:
                problem = (
                    "impossible_thickness",
                    f"Breslow thickness in mm lies between {low:g} and {high:g}; empty where it is not known",
                )
            problems.append(column.problem(at, *problem))
            value = BAD
        checked.append(value)
    return checked, problems


def _read_mitoses(column: Column) -> tuple[Sequence[Any], list[Problem]]:
    """Pairs (value per mm2, qualifier "=", "<" or ">")."""
    texts: list[Cell] = []
    qualifiers = []
    for cell in column.cells:
        text = "" if cell is None or isinstance(cell, bool) else str(cell).strip().lower()
        ending = next((e for e in _PER_MM2 if text.endswith(e)), "")
        text = text.removesuffix(ending).strip()
        qualifier = text[0] if text[:1] in ("<", ">") else "="
        texts.append(cell if isinstance(cell, bool | None) else text.lstrip("<>").strip() or None)
        qualifiers.append(qualifier)
    plain = Column(column.name, column.rows, tuple(texts))
    values, problems = read_numbers(plain)
    problems += _outside(plain, values, 0.0, _LARGEST["mitoses"], False)
    return [(v, q) if isinstance(v, float) else v for v, q in zip(values, qualifiers, strict=True)], problems


def read_covariate(column: Column) -> tuple[Sequence[Any], list[Problem]]:
    """Numbers where most cells are numbers, however written (then all must be), else words as they stand."""
    values, problems = read_numbers(column)
    filled = sum(not is_missing(cell) for cell in column.cells)
    written = sum(problem.rule == "thousands_separator" for problem in problems)
    if 2 * (sum(isinstance(v, float) for v in values) + written) > filled:
        return values, problems
    return [None if is_missing(cell) else truth_text(cell) for cell in column.cells], []


def _outside(column: Column, values: list[float | Bad | None], low: float, high: float, whole: bool) -> list[Problem]:
    problems = []
    for at, value in enumerate(values):
        if isinstance(value, float) and (not low <= value <= high or (whole and value != int(value))):
            kind = "a whole number" if whole else "a number"
            mend = f"{kind} from {low:g} to {high:g} is expected; leave the cell empty where it is not known"
            problems.append(column.problem(at, "out_of_range", mend))
            values[at] = BAD
    return problems


def _impossible_times(column: Column, days: list[float | Bad | None]) -> list[Problem]:
    problems = []
    for at, value in enumerate(days):
        if isinstance(value, float) and not 0 <= value <= LONGEST_DAYS:
            negative = "negative_time", "lies before the origin (the diagnosis); correct it"
            long = "impossible_time", "longer than a life; is it in the unit that the column's name says?"
            problems.append(column.problem(at, *(negative if value < 0 else long)))
            days[at] = BAD
    return problems


_WORDS: dict[str, Mapping[str, Any]] = {
    "sex": SEX_WORDS,
    "stage": {word_text(form): stage for stage in STAGES for form in (stage, f"stage {stage}")},
    "t_category": {word_text(form): t for t in T_CATEGORIES for form in (t, f"p{t}")},
    "recurrence_kind": RECURRENCE_WORDS,
    "death_cause": DEATH_CAUSE_WORDS,
    "vital_status": VITAL_WORDS,
}

_READERS: dict[str, Callable[[Column], tuple[Sequence[Any], list[Problem]]]] = {
    "event": _read_event,
    "thickness_mm": _read_thickness,
    "mitoses": _read_mitoses,
    "ulceration": lambda column: read_truths(column, ULCERATION_WORDS),
}
