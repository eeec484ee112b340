"""Compare two stores as README promises: current tables, Arrow values sorted by key, run times aside."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pyarrow as pa

from longderm.archive import KEY_NAME
from longderm.demo import simulated_as_of
from longderm.schema import RUN_TIME_COLUMNS, TABLES
from longderm.settings import Settings
from longderm.stages.work import current_tables
from longderm.store import Store


def differences(first: Path, second: Path, settings: Settings | None = None) -> list[str]:
    """What differs between the current tables of two stores made with the same key; empty where they are equal."""
    settings = settings or Settings()
    left, right = (current_tables(Store(path), settings) for path in (first, second))
    found = []
    for name in sorted(left):
        a, b = comparable(name, left[name]), comparable(name, right[name])
        if len(a) != len(b):
            found.append(f"{name}: {len(a)} rows against {len(b)}")
        found += [
            f"{name}.{column} differs" for column in a.column_names if len(a) == len(b) and a[column] != b[column]
        ]
    return found


def comparable(name: str, rows: pa.Table) -> pa.Table:
    """Rows of table `name` without run times, sorted by their identity."""
    kept = rows.drop_columns([column for column in RUN_TIME_COLUMNS if column in rows.column_names])
    return kept.sort_by([(column, "ascending") for column in TABLES[name].identity]).combine_chunks()


def shared_key(source: Path, target: Path) -> None:
    """Give the store `target`, not made yet, the key of `source`: then equal archives get equal pseudonyms."""
    folder = target.with_name(target.name + ".link")
    folder.mkdir(mode=0o700, parents=True)
    shutil.copy2(source.with_name(source.name + ".link") / KEY_NAME, folder / KEY_NAME)


def monitor_command(archive: Path, store: Path) -> list[str]:
    """The command line that monitors a simulated archive as of its own day."""
    as_of = simulated_as_of(archive).isoformat()
    return [
        *(sys.executable, "-m", "longderm", "monitor", "--json"),
        *("--store", str(store), "--source", str(archive), "--as-of", as_of),
    ]
