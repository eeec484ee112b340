"""The bytes of a clinic's table (CSV or Parquet) as a header and rows of cells, whatever the spreadsheet made of it."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from longderm.prognosis.problems import OutcomesError, Problem, sorted_problems

#: A cell: text from CSV; from Parquet a number, truth value or date where its column has that type; None where empty.
Cell = str | int | float | bool | date | None

_PARQUET = b"PAR1"
_ZIP = b"PK\x03\x04"  # .xlsx and .ods are zip files
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_DELIMITERS = ",;\t|"

#: Largest text in one field; more is no clinical table.
_FIELD_LIMIT = 2**20


@dataclass(frozen=True, repr=False)
class Spreadsheet:
    """Column names, and rows with the number that a spreadsheet program shows for each (the header is row 1).

    `facts` are sentences on how the bytes were read that a person should see. It holds identities: it has no repr.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[int, tuple[Cell, ...]], ...]
    facts: tuple[str, ...] = ()


def read_spreadsheet(data: bytes) -> tuple[Spreadsheet, list[Problem]]:
    """Read a CSV (comma, semicolon, tab or bar; UTF-8, UTF-16 or Windows' Latin) or Parquet table from its bytes.

    The problems are those of single rows, which are left out; more may be found in the cells. Raises OutcomesError
    where there is no table to look into.
    """
    if data.startswith(_PARQUET):
        return _read_parquet(data), []
    if data.startswith((_ZIP, _OLD_EXCEL)):
        raise _none("not_a_table", "this is a spreadsheet program's own file; save it as CSV (UTF-8)")
    text, facts = _decode(data)
    text = text.removeprefix("\ufeff")
    if not text.strip(" \t\r\n,;|\0"):
        raise _none("empty_file", "the file is empty; it needs a line of column names and rows below it")
    if "\0" in text:
        raise _none("not_a_table", "the file is no text; save the table as CSV (UTF-8)")
    return _read_csv(text, facts)


def _decode(data: bytes) -> tuple[str, list[str]]:
    if data.startswith(_UTF16):
        return data.decode("utf-16", errors="replace"), ["read as UTF-16"]
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("cp1252"), ["not UTF-8; read as Windows Latin-1 (cp1252)"]
    except UnicodeDecodeError:
        return data.decode("latin-1"), ["not UTF-8; read as Latin-1"]


def _read_csv(text: str, facts: list[str]) -> tuple[Spreadsheet, list[Problem]]:
    first = next((line for line in re.split(r"[\r\n]", text) if line.strip()), "")
    delimiter = max(_DELIMITERS, key=first.count)
    declared = first.strip().lower()
    if declared.startswith("sep=") and len(first.strip()) == 5:  # the line by which Excel says the delimiter
        delimiter = declared[4]
    csv.field_size_limit(_FIELD_LIMIT)
    try:
        lines = list(enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), start=1))
    except csv.Error:
        raise _none("not_a_table", "the file is no CSV table; save it as CSV (UTF-8)") from None
    filled = [(number, line) for number, line in lines if any(cell.strip() for cell in line)]
    if filled and declared.startswith("sep="):
        filled = filled[1:]
    if not filled:
        raise _none("empty_file", "the file has no column names")
    names = _without_trailing_blanks([name.strip() for name in filled[0][1]])
    _check_names(names, len(filled) - 1)
    problems, rows = [], []
    for number, line in filled[1:]:
        while len(line) > len(names) and not line[-1].strip():
            line = line[:-1]
        if len(line) == len(names):
            rows.append((number, tuple(cell.strip() or None for cell in line)))
            continue
        more = len(line) > len(names)
        cause = "perhaps a decimal comma or a comma in a text" if more and delimiter == "," else "perhaps a line break"
        problems.append(
            Problem(
                "row_length",
                f"{len(line)} cells where the header has {len(names)} ({cause}); put such a text in quotes, "
                "or separate the columns with semicolons",
                number,
            )
        )
    if not rows:
        raise OutcomesError(sorted_problems(problems))
    return Spreadsheet(tuple(names), tuple(rows), tuple(facts)), problems


def _read_parquet(data: bytes) -> Spreadsheet:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(data))
        columns = [list(_plain(column.to_pylist())) for column in table.columns]
    except (pa.ArrowException, OSError, ValueError, OverflowError):
        raise _none("not_a_table", "the Parquet file is damaged; write it again") from None
    names = [str(name).strip() for name in table.column_names]
    _check_names(names, table.num_rows)
    rows = tuple((number, cells) for number, cells in enumerate(zip(*columns, strict=True), start=2))
    return Spreadsheet(tuple(names), rows)


def _plain(values: list[Any]) -> Iterator[Cell]:
    for value in values:
        if isinstance(value, datetime):
            yield value.date()
        elif isinstance(value, float) and value != value:  # pandas writes a missing number so
            yield None
        elif value is None or isinstance(value, str | bool | int | float | date):
            yield (value.strip() or None) if isinstance(value, str) else value
        else:
            yield str(value)


def _check_names(names: list[str], rows: int) -> None:
    twice = sorted(name for name, count in Counter(name.lower() for name in names if name).items() if count > 1)
    if twice:
        raise OutcomesError([Problem("column_twice", "two columns have this name; rename one", 1, n) for n in twice])
    if rows == 0:
        raise _none("no_rows", "the table has a line of column names and no row; add the rows")


def _without_trailing_blanks(names: list[str]) -> list[str]:
    while names and not names[-1]:
        names = names[:-1]
    return names


def _none(rule: str, mend: str) -> OutcomesError:
    return OutcomesError([Problem(rule, mend)])
