"""Rows against the current tables: what is new or differs becomes a revision; and what the ledger adds up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from longderm.schema import TABLES

#: The tables an intake writes, in the order of their commits: inputs before what refers to them, the ledger last.
INTAKE_TABLES = ("patients", "lesions", "photos", "events", "quarantine", "files")

Row = dict[str, Any]


def rows_by_key(name: str, table: pa.Table) -> dict[str, Row]:
    """The current rows of table `name` by its key."""
    key = TABLES[name].key[0]
    return {row[key]: row for row in table.to_pylist()}


def revise(name: str, rows: Iterable[Row], current: Mapping[str, Row]) -> pa.Table:
    """The rows to append to table `name`: those that are new (revision 1) or differ from the current one (the next).

    The result has every column of the schema but `recorded_at`, sorted by key.
    """
    spec = TABLES[name]
    schema = pa.schema([field for field in spec.schema if field.name != "recorded_at"], metadata=spec.schema.metadata)
    compared = [field.name for field in schema if field.name != "revision"]
    out = []
    for row in sorted(rows, key=lambda row: str(row[spec.key[0]])):
        before = current.get(row[spec.key[0]])
        if before is None:
            out.append({**row, "revision": 1})
        elif any(row.get(column) != before[column] for column in compared):
            out.append({**row, "revision": before["revision"] + 1})
    return pa.Table.from_pylist(out, schema=schema)


def tally(files: pa.Table) -> dict[str, int]:
    """What the files of an archive became, from the current rows of table `files`.

    `files` is always the sum of `photos`, `duplicates`, `quarantine` and `ignored`.
    """
    counts = Counter(files.column("status").to_pylist())
    return {
        "files": sum(counts.values()),
        "photos": counts["photo"],
        "duplicates": counts["duplicate"],
        "quarantine": counts["quarantine"],
        "ignored": counts["ignored"],
    }


def live_photos(photos: pa.Table, files: pa.Table) -> pa.Table:
    """The current photos that count: those whose file, says the ledger, still is that photo.

    A file that was replaced, or whose corrected metadata sent it to quarantine, leaves its photo's row as history.
    """
    owners = {
        (ref, photo)
        for ref, photo, status in zip(
            *(files.column(name).to_pylist() for name in ("file_ref", "photo_id", "status")), strict=True
        )
        if status == "photo"
    }
    pairs = zip(photos.column("file_ref").to_pylist(), photos.column("photo_id").to_pylist(), strict=True)
    return photos.filter(pa.array([pair in owners for pair in pairs], pa.bool_()))
