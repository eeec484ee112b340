"""The store: Delta Lake tables in a folder, and derived images beside them.

    STORE/longderm.json       schema version and the id of the key its pseudonyms were made with
    STORE/tables/<name>/      one Delta table each (see `longderm.schema`)
    STORE/objects/ab/<hash>   derived images, named by content hash
    STORE/releases/<kind>/<version>/   released models that were added to this store
    STORE/lock                held by the one process that commits

Rows are appended and never overwritten. A *current view* picks one row per entity: for entity tables the highest
revision, for result tables the row with the fingerprint that the present plan asks for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from longderm.errors import (
    AccessError,
    RefusedError,
    SourceNotFoundError,
    StoreLockedError,
    StoreVersionError,
    UsageError,
)
from longderm.schema import SCHEMA_VERSION, SCHEMA_VERSION_KEY, TABLES, empty

if TYPE_CHECKING:
    from deltalake import DeltaTable

_MARKER = "longderm.json"
_VERSION_PROPERTY = SCHEMA_VERSION_KEY.decode()

#: A row's place in a result table: its key and the fingerprint that was asked for.
Fingerprints = Mapping[str, str]


class Store:
    """A store in a local folder.

    `Store(uri)` opens an existing one; `Store.create(uri, key_id)` makes one, or opens it when it is there. Raises
    SourceNotFoundError when there is none, StoreVersionError when a newer longderm wrote it, AccessError when it
    cannot be read or written.
    """

    def __init__(self, uri: str | Path) -> None:
        self.root = local_folder(uri)
        marker = self.root / _MARKER
        try:
            described = json.loads(marker.read_text())
            found = int(described["schema_version"])
            self.key_id = str(described["key_id"])
        except FileNotFoundError:
            raise SourceNotFoundError(
                f"no store at {self.root}; `longderm ingest SOURCE --store {self.root}` makes one"
            ) from None
        except PermissionError:
            raise AccessError(f"the store at {self.root} cannot be read; check its permissions") from None
        except (ValueError, KeyError, TypeError, OSError):
            raise AccessError(f"{marker} is damaged; restore it from a backup of the store") from None
        if found > SCHEMA_VERSION:
            raise StoreVersionError(
                f"the store at {self.root} has schema version {found}, this longderm knows {SCHEMA_VERSION}; "
                "use the release that wrote it, or a newer one"
            )
        self._made_at = found

    @classmethod
    def create(cls, uri: str | Path, key_id: str) -> Store:
        """Make a store whose pseudonyms come from the key `key_id`, or open it if it exists.

        Raises RefusedError for a store of another key or a file system without atomic no-replace creation, AccessError
        without write permission, UsageError for a folder that holds something else.
        """
        root = local_folder(uri)
        if not (root / _MARKER).exists():
            _make_store(root, key_id)
        store = cls(root)
        store.require_key(key_id)
        return store

    def require_key(self, key_id: str) -> None:
        """Refuse (RefusedError) a key other than the one that made this store's pseudonyms."""
        if self.key_id != key_id:
            raise RefusedError(
                f"the store at {self.root} was made with key {self.key_id}, the link table holds {key_id}; "
                "name the right link table with LONGDERM_LINK_DIR"
            )

    @property
    def releases_folder(self) -> Path:
        """The folder of the releases that were added to this store; there is none before the first."""
        return self.root / "releases"

    # -- tables ------------------------------------------------------------------------------------------------

    def table(self, name: str, version: int | None = None) -> pa.Table:
        """All rows of a table, as of a Delta version if one is given, in the schema of `longderm.schema`."""
        from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

        delta = self._delta(name, version)
        if delta is None:
            return empty(name)
        # Its own file system is Python code that reading threads may still call when the interpreter has ended.
        files = SubTreeFileSystem(str(self.root / "tables" / name), LocalFileSystem())
        return _conform(delta.to_pyarrow_table(filesystem=files), TABLES[name].schema)

    def version(self, name: str) -> int:
        """The present Delta version of a table; 0 for one that an older release did not have."""
        delta = self._delta(name)
        return 0 if delta is None else int(delta.version())

    def versions(self) -> dict[str, int]:
        """The present Delta version of every table."""
        return {name: self.version(name) for name in TABLES}

    def current(self, name: str, expected: Fingerprints | None = None) -> pa.Table:
        """One row per entity, sorted by key.

        Of an entity table the highest revision. Of a result table the row whose fingerprint is the `expected` one
        (key -> fingerprint); entities that are not expected or not yet computed are left out.
        """
        return current_rows(name, self.table(name), expected)

    def append(self, name: str, rows: pa.Table, run_id: str) -> int:
        """Append rows in one commit, with `recorded_at`; returns how many. Nothing is committed for no rows."""
        if not len(rows):
            return 0
        from deltalake import CommitProperties, write_deltalake

        schema = TABLES[name].schema
        if "recorded_at" in schema.names:
            now = pa.array([datetime.now(UTC)] * len(rows), schema.field("recorded_at").type)
            rows = rows.drop_columns("recorded_at") if "recorded_at" in rows.column_names else rows
            rows = rows.append_column("recorded_at", now)
        rows = rows.select(schema.names).cast(schema)
        properties = CommitProperties(custom_metadata={"longderm.run_id": run_id})
        if self._made_at < SCHEMA_VERSION:
            self._bring_up()
        delta = self._delta(name)
        assert delta is not None  # it was brought up
        with _clear_access_errors(self.root):
            write_deltalake(delta, rows, mode="append", commit_properties=properties)
        return len(rows)

    def _bring_up(self) -> None:
        """Give a store of an older release the tables and columns of this one; it cannot be written to before."""
        from deltalake import Field, Schema

        for name, spec in TABLES.items():
            delta = self._delta(name)
            if delta is None:
                _make_table(self.root, name)
                continue
            known = {field.name for field in delta.schema().fields}
            new = [field for field in Schema.from_arrow(spec.schema).fields if field.name not in known]
            with _clear_access_errors(self.root):
                if new:
                    delta.alter.add_columns([Field(field.name, field.type, nullable=True) for field in new])
                delta.alter.set_table_properties({_VERSION_PROPERTY: str(SCHEMA_VERSION)}, raise_if_not_exists=False)
        # The marker comes last: a store whose upgrade was killed is taken up again.
        _write_marker(self.root, self.key_id)
        self._made_at = SCHEMA_VERSION

    def _delta(self, name: str, version: int | None = None) -> DeltaTable | None:
        """A table; None where this store was made by a release that had no such table."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        path = self.root / "tables" / name
        try:
            with _clear_access_errors(self.root):
                table = DeltaTable(str(path), version=version)
        except TableNotFoundError:
            if self._made_at < SCHEMA_VERSION and not path.exists():
                return None
            raise AccessError(
                f"table {name} is missing in the store at {self.root}; restore it from a backup"
            ) from None
        except DeltaError as error:
            what = f"version {version} of table {name}" if version is not None else f"table {name}"
            raise AccessError(f"{what} cannot be read in the store at {self.root}: {_one_line(error)}") from None
        found = int(table.metadata().configuration.get(_VERSION_PROPERTY) or 0)
        if found > SCHEMA_VERSION:
            raise StoreVersionError(
                f"table {name} of {self.root} has schema version {found}, this longderm knows {SCHEMA_VERSION}; "
                "use the release that wrote it, or a newer one"
            )
        return table

    # -- objects -----------------------------------------------------------------------------------------------

    def put_object(self, data: bytes, suffix: str) -> str:
        """Keep a derived image, once; returns its name: the SHA-256 of its bytes and `suffix`."""
        name = hashlib.sha256(data).hexdigest() + suffix
        path = self._object_path(name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, data)
        return name

    def read_object(self, name: str) -> bytes:
        """The bytes of a derived image. Raises SourceNotFoundError when it is not there."""
        try:
            return self._object_path(name).read_bytes()
        except FileNotFoundError:
            raise SourceNotFoundError(
                f"object {name} is missing in the store at {self.root}; restore it from a backup"
            ) from None

    def _object_path(self, name: str) -> Path:
        return self.root / "objects" / name[:2] / name

    # -- one committer -----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def lock(self, command: str) -> Iterator[None]:
        """Hold the store as its one committer. Raises StoreLockedError that names the holder.

        The kernel releases the lock when the holder ends, killed or not; what stands in the file is for people.
        """
        import fcntl

        with _clear_access_errors(self.root):
            handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(handle, 400).decode(errors="replace") or "another process"
                raise StoreLockedError(
                    f"the store at {self.root} is in use by {holder}; wait until it has ended"
                ) from None
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"longderm {command}, process {os.getpid()} on {socket.gethostname()}".encode(), 0)
            yield
        finally:
            os.close(handle)


def local_folder(uri: str | Path) -> Path:
    """The folder of a store's URI. Raises UsageError for a bucket, which this release does not write to."""
    text = str(uri)
    if "://" in text and not text.startswith("file://"):
        raise UsageError(f"--store {text}: this release keeps a store in a local folder only; name a folder")
    return Path(text.removeprefix("file://")).expanduser().absolute()


def current_rows(name: str, rows: pa.Table, expected: Fingerprints | None = None) -> pa.Table:
    """The current rows among `rows` of table `name`, sorted by key; see `Store.current`."""
    spec = TABLES[name]
    if spec.kind == "result" and expected is not None:
        key = rows[spec.key[0]].to_pylist()
        fingerprint = rows["fingerprint"].to_pylist()
        chosen = {k: i for i, (k, f) in enumerate(zip(key, fingerprint, strict=True)) if expected.get(k) == f}
        return rows.take(pa.array([chosen[k] for k in sorted(chosen)], pa.int64()))
    if spec.kind == "entity":
        order = pc.sort_indices(rows, sort_keys=[(spec.key[0], "ascending"), ("revision", "ascending")])
        rows = rows.take(order)
        key = rows[spec.key[0]].to_pylist()
        last = [i for i, k in enumerate(key) if i + 1 == len(key) or key[i + 1] != k]
        return rows.take(pa.array(last, pa.int64()))
    raise UsageError(f"table {name} has no current view without the fingerprints that are expected")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a restart after a kill, never sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with _clear_access_errors(path.parent):
        temporary.write_bytes(data)
        temporary.replace(path)


def _make_store(root: Path, key_id: str) -> None:
    with _clear_access_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        strangers = {path.name for path in root.iterdir() if not path.name.startswith(".")} - {
            "tables",
            "objects",
            "lock",
        }
        if strangers:
            raise UsageError(f"--store {root}: the folder is not empty and holds no store; name an empty or new one")
        _require_no_replace(root)
    from deltalake import DeltaTable

    for name in TABLES:
        if not DeltaTable.is_deltatable(str(root / "tables" / name)):  # a first run may have been killed half-way
            _make_table(root, name)
    # The marker comes last: a store without it is not finished and is taken up again.
    _write_marker(root, key_id)


def _make_table(root: Path, name: str) -> None:
    from deltalake import DeltaTable

    DeltaTable.create(
        str(root / "tables" / name),
        TABLES[name].schema,
        mode="ignore",
        description=TABLES[name].description,
        configuration={_VERSION_PROPERTY: str(SCHEMA_VERSION)},
        raise_if_key_not_exists=False,
    )


def _write_marker(root: Path, key_id: str) -> None:
    described: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "key_id": key_id}
    write_atomically(root / _MARKER, (json.dumps(described, indent=2) + "\n").encode())


def _conform(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows in the present schema; a column that an older release did not have is null."""
    for field in schema:
        if field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(len(rows), field.type))
    return rows.select(schema.names).cast(schema)


def _require_no_replace(root: Path) -> None:
    """Delta's commits need a file system that creates a name only if it is free: two writers must not both win."""
    probe, taken = root / f".probe.{os.getpid()}", root / f".taken.{os.getpid()}"
    try:
        probe.write_bytes(b"")
        os.link(probe, taken)
        try:
            os.link(probe, taken)
        except FileExistsError:
            return
    except PermissionError:
        raise
    except OSError:
        pass  # no hard links: refused below, like a system that replaces
    finally:
        probe.unlink(missing_ok=True)
        taken.unlink(missing_ok=True)
    raise RefusedError(
        f"--store {root}: this file system cannot create a file without replacing one; choose a local disk"
    )


@contextlib.contextmanager
def _clear_access_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise AccessError(f"no permission to write in {folder}; change its owner or name another folder") from None
    except (NotADirectoryError, FileExistsError):
        raise UsageError(f"{folder} is a file, not a folder; name a folder") from None
    except OSError as error:
        if "ermission denied" in str(error):
            raise AccessError(f"no permission to write in {folder}; change its owner or name another folder") from None
        raise


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
