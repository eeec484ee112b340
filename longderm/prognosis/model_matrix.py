"""From a table of patients to the numbers a model takes: text becomes levels, missing values stay missing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from longderm.prognosis.errors import MissingValuesError, SurvivalTimesError
from longderm.prognosis.survival_times import Flags, Floats

#: A text column with more levels than this is an identifier or free text, no covariate.
MOST_LEVELS = 20


@dataclass(frozen=True)
class Term:
    """One column of the model matrix: a number as it stands (`level` None), or 1 where the text is `level`."""

    column: str
    level: str | None = None

    @property
    def name(self) -> str:
        """The column's name, with the level of a text."""
        return self.column if self.level is None else f"{self.column}={self.level}"


def table_columns(table: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The named columns of a table as arrays (n,): a pandas DataFrame, a pyarrow Table or a mapping of sequences.

    Raises SurvivalTimesError that lists every name the table lacks, or columns of unequal length.
    """
    if hasattr(table, "column_names"):  # pyarrow
        there = list(table.column_names)
    elif isinstance(table, Mapping) or hasattr(table, "columns"):
        there = list(table.keys())
    else:
        raise SurvivalTimesError(f"a table is needed (DataFrame, Arrow table or mapping), found {type(table).__name__}")
    missing = sorted(set(names) - set(there))
    if missing:
        raise SurvivalTimesError(f"no column {', '.join(missing)}; the table has {', '.join(map(str, there))}")
    columns = {
        name: table.column(name).to_pandas().to_numpy() if hasattr(table, "column_names") else np.asarray(table[name])
        for name in dict.fromkeys(names)
    }
    if len({column.shape for column in columns.values()}) > 1:
        raise SurvivalTimesError("the table's columns have unequal lengths")
    return columns


def missing_values(column: np.ndarray) -> Flags:
    """Where a column (n,) of any type holds None, NaN or NaT."""
    if column.dtype.kind == "f":
        return np.asarray(np.isnan(column), np.bool_)
    if column.dtype.kind in "biu":
        return np.zeros(column.shape, np.bool_)
    return np.array([value is None or value != value or str(value) in ("<NA>", "NaT") for value in column], np.bool_)


def complete_rows(columns: Mapping[str, np.ndarray], missing: str) -> Flags:
    """Rows without missing values. `missing` says what to do about the others: "refuse" or "complete_case".

    Raises MissingValuesError with the count of each column when refusing.
    """
    if missing not in ("refuse", "complete_case"):
        raise SurvivalTimesError(f'missing is {missing!r}; give "refuse" or "complete_case"')
    gaps = {name: missing_values(column) for name, column in columns.items()}
    counts = {name: int(gap.sum()) for name, gap in gaps.items() if gap.any()}
    if counts and missing == "refuse":
        listed = ", ".join(f"{name} ({count} rows)" for name, count in counts.items())
        raise MissingValuesError(
            f'missing values in {listed}; fill them, or leave the rows out with missing="complete_case"'
        )
    n = len(next(iter(columns.values()))) if columns else 0
    complete = np.ones(n, np.bool_)
    for gap in gaps.values():
        complete &= ~gap
    return complete


def category_orders(table: Any, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The order that categorical columns (pandas, or Arrow dictionaries) give their levels; the first is the reference,
    as in R's factors.
    """
    orders = {}
    for name in names:
        column = table.column(name).to_pandas() if hasattr(table, "column_names") else table[name]
        categories = getattr(getattr(column, "dtype", None), "categories", None)
        if categories is not None:
            orders[name] = tuple(str(value) for value in categories)
    return orders


def terms_of(columns: Mapping[str, np.ndarray], orders: Mapping[str, Sequence[str]] | None = None) -> tuple[Term, ...]:
    """Terms of covariates without missing values: a text with k levels gives k - 1, the first in order being 0.

    The order is that of `orders` where it names the column, else the alphabet's.
    """
    terms: list[Term] = []
    for name, column in columns.items():
        if _numeric(column) is not None:
            terms.append(Term(name))
            continue
        levels = sorted({str(value) for value in column})
        if orders and name in orders:
            levels = [level for level in orders[name] if level in set(levels)]
        if all(re.fullmatch(r"\s*[<>]?\s*-?[\d.,' ]*\d\s*", level) for level in levels):
            raise SurvivalTimesError(f"{name} holds numbers as text, such as {levels[0]!r}; convert them")
        if len(levels) > MOST_LEVELS:
            raise SurvivalTimesError(
                f"{name} is text with {len(levels)} different values, such as {levels[0]!r}; "
                "give numbers, or group the levels"
            )
        # a text that never varies is kept as one column, to be named as constant
        terms += [Term(name, level) for level in (levels[1:] or levels)]
    return tuple(terms)


def model_matrix(
    columns: Mapping[str, np.ndarray], terms: Sequence[Term], known: Mapping[str, Sequence[str]]
) -> Floats:
    """The matrix (n, p) of `terms`; `known` gives the levels of each text column.

    Raises SurvivalTimesError for text where numbers are due and for a level that is not known.
    """
    n = len(next(iter(columns.values())))
    matrix = np.empty((n, len(terms)))
    for j, term in enumerate(terms):
        column = columns[term.column]
        if term.level is None:
            numbers = _numeric(column)
            if numbers is None:
                example = next(str(value) for value in column if not isinstance(value, int | float | np.number))
                raise SurvivalTimesError(f"{term.column} must hold numbers, found {example!r}")
            matrix[:, j] = numbers
        else:
            text = np.array([str(value) for value in column])
            strange = sorted(set(text.tolist()) - set(known[term.column]))
            if strange:
                raise SurvivalTimesError(f"{term.column} holds {strange[0]!r}, which the model has not seen")
            matrix[:, j] = text == term.level
    return matrix


def levels_of(columns: Mapping[str, np.ndarray], terms: Sequence[Term]) -> dict[str, tuple[str, ...]]:
    """The levels of the text columns among `terms`."""
    texts = sorted({term.column for term in terms if term.level is not None})
    return {name: tuple(sorted({str(value) for value in columns[name]})) for name in texts}


def _numeric(column: np.ndarray) -> Floats | None:
    if column.dtype.kind in "biuf":
        return column.astype(np.float64)
    if column.dtype.kind == "O" and all(isinstance(value, int | float | np.number | np.bool_) for value in column):
        return column.astype(np.float64)
    return None
