"""A research export: Parquet tables, a data dictionary, and the Delta versions they came from.

The export is byte-equal for an equal store, settings and project. Every identifier is keyed anew for the project, so
that two exports cannot be joined by id, nor an export with the store, without the link table's key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from longderm.errors import AccessError, UsageError
from longderm.models.in_use import releases_in_use
from longderm.schema import RUN_TIME_COLUMNS, SCHEMA_VERSION, TABLES
from longderm.stages.run import link_folder
from longderm.stages.work import current_tables
from longderm.store import Store

if TYPE_CHECKING:
    from longderm.settings import Settings

#: The tables of an export. The ledger stays at home: it says when files were written; so do the logs, which name staff.
EXPORTED = tuple(name for name in TABLES if name not in ("files", "runs", "promotions", "previews"))

#: Columns that hold an identifier of the store, keyed anew.
_IDENTIFIERS = {
    "patient_id",
    "lesion_id",
    "photo_id",
    "event_id",
    "pair_id",
    "baseline_photo_id",
    "followup_photo_id",
    "file_ref",
}

#: Columns that an export leaves out: bookkeeping of the store, names of objects that it does not carry, and the hash of
#: the pixels, by which anybody who holds a photo could find its patient.
_LEFT_OUT = {*RUN_TIME_COLUMNS, "revision", "content_hash"}


def export_cohort(store: str | Path, settings: Settings, out: Path, project: str = "default") -> dict[str, Any]:
    """Write an export to a new or empty folder; returns its manifest with `out` added.

    Raises UsageError for a folder that holds something, AccessError for one that cannot be written.
    """
    from longderm.archive import LinkTable

    opened = Store(store)
    link = LinkTable.open(link_folder(store, settings))
    opened.require_key(link.key_id)

    def rekey(identifier: str | None) -> str | None:
        return None if identifier is None else link.pseudonym("export", project, identifier)

    out = out.expanduser().absolute()
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise UsageError(f"--out {out} is not empty; name a new or empty folder")
        versions = {name: v for name, v in opened.versions().items() if name in EXPORTED}
        tables = {
            name: _exported(table, rekey)
            for name, table in current_tables(opened, settings).items()
            if name in EXPORTED
        }
        for name, table in tables.items():
            pq.write_table(table, out / f"{name}.parquet", compression="zstd", store_schema=True)
        manifest = {
            "longderm_version": version("longderm"),
            "schema_version": SCHEMA_VERSION,
            "project": project,
            "delta_versions": versions,
            "releases": {kind: used.release.version for kind, used in releases_in_use(settings, opened).items()},
            "rows": {name: len(table) for name, table in tables.items()},
            "sha256": {f"{name}.parquet": _sha256(out / f"{name}.parquet") for name in tables},
        }
        dictionary = _dictionary(tables)
        (out / "data_dictionary.json").write_text(json.dumps(dictionary, indent=2) + "\n")
        (out / "data_dictionary.md").write_text(_as_markdown(dictionary))
        (out / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    except PermissionError:
        raise AccessError(f"no permission to write in {out}; change its owner or name another folder") from None
    except (NotADirectoryError, FileExistsError):
        raise UsageError(f"--out {out} is a file, not a folder; name a new or empty folder") from None
    return manifest | {"out": str(out)}


def _exported(table: pa.Table, rekey: Callable[[str | None], str | None]) -> pa.Table:
    """A table with its identifiers keyed anew, without what an export leaves out, sorted by its first column."""
    kept = [name for name in table.column_names if name not in _LEFT_OUT and not name.endswith("_object")]
    table = table.select(kept)
    for i, name in enumerate(table.column_names):
        if name in _IDENTIFIERS:
            rekeyed = pa.array([rekey(value) for value in table[name].to_pylist()], pa.string())
            table = table.set_column(i, table.schema.field(i), rekeyed)
    return table.sort_by(kept[0])


def _dictionary(tables: dict[str, pa.Table]) -> dict[str, Any]:
    return {
        name: {
            "description": TABLES[name].description,
            "columns": [
                {
                    "name": field.name,
                    "type": str(field.type),
                    "nullable": field.nullable,
                    "missing": table[field.name].null_count,
                    "description": TABLES[name].columns[field.name],
                }
                for field in table.schema
            ],
        }
        for name, table in tables.items()
    }


def _as_markdown(dictionary: dict[str, Any]) -> str:
    lines = [
        "# Data dictionary",
        "",
        "A missing value is null, never zero. Days count from each patient's own origin.",
        "",
    ]
    for name, table in dictionary.items():
        lines += [
            f"## {name}",
            "",
            table["description"],
            "",
            "| column | type | missing | meaning |",
            "|---|---|---|---|",
        ]
        lines += [f"| {c['name']} | {c['type']} | {c['missing']} | {c['description']} |" for c in table["columns"]]
        lines.append("")
    return "\n".join(lines)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
