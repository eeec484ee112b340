"""What is wrong in a clinical table: a list of problems, each with its row, its column and what to mend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from longderm.errors import UsageError

#: Lines printed of one rule in one column; the error carries the rest too. A wrong unit can spoil thousands of rows.
_PRINTED_PER_RULE = 20

#: A longer text in a cell is a free remark, which may name a person: only its length is said.
_SHOWN_CHARACTERS = 24


@dataclass(frozen=True)
class Problem:
    """One thing to mend. `row` counts as a spreadsheet does (the header is row 1); None where it concerns no one row.

    `value` is what stands in the cell as far as it may be shown: never a patient's or a lesion's identifier.
    """

    rule: str
    mend: str
    row: int | None = None
    column: str | None = None
    value: str | None = None

    def __str__(self) -> str:
        row = [] if self.row is None else [f"row {self.row}"]
        column = [] if self.column is None else [f"column {self.column}"]
        value = [] if self.value is None else [f'"{self.value}"']
        place = ", ".join(row + column + value)
        return f"{place}: {self.mend} ({self.rule})" if place else f"{self.mend} ({self.rule})"


class OutcomesError(UsageError):
    """A clinical table cannot be used. `problems` holds all that is to be mended; the message has a line for each.

    `table`: what the message calls it.
    """

    def __init__(self, problems: Sequence[Problem], table: str = "outcomes table") -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"the {table} has {count} problem{'' if count == 1 else 's'} to mend:"
        super().__init__("\n".join([head, *_lines(self.problems)]))


class TablesError(OutcomesError):
    """Several tables that are read together cannot be used: the problems of each under a line of its own."""

    def __init__(self, errors: Sequence[OutcomesError]) -> None:
        super().__init__([problem for error in errors for problem in error.problems])
        self.args = ("\n".join(str(error) for error in errors),)


def sorted_problems(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """The table's problems first, then those of its rows from top to bottom; each once."""
    return tuple(sorted(set(problems), key=lambda p: (p.row or 0, p.column or "", p.rule, p.value or "", p.mend)))


def shown(value: object) -> str:
    """A cell's value for a message: printable, short, and not a free remark."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    return text if len(text) <= _SHOWN_CHARACTERS else f"a text of {len(text)} characters"


def _lines(problems: Sequence[Problem]) -> list[str]:
    printed: Counter[tuple[str, str | None]] = Counter()
    lines = []
    for problem in problems:
        printed[problem.rule, problem.column] += 1
        if printed[problem.rule, problem.column] <= _PRINTED_PER_RULE:
            lines.append(f"- {problem}")
    for (rule, column), count in sorted(printed.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        if count > _PRINTED_PER_RULE:
            where = "" if column is None else f"column {column}: "
            lines.append(f"- {where}{count - _PRINTED_PER_RULE} more of the same ({rule})")
    return lines
