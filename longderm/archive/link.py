"""The link table: the only place where identity lives. A folder apart from the store, readable by its owner alone.

It holds the key, the paths of files, the source identifiers behind the pseudonyms and each patient's day origin; and,
between reading and committing, the records of an intake. Lose it, and photos can no longer be traced to patients.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import sqlite3
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from types import TracebackType

from longderm.errors import AccessError, RefusedError, SourceNotFoundError

#: Layout of the SQLite file; a higher one is refused.
LINK_VERSION = 1

#: The key's file in the folder of the link table.
KEY_NAME = "key"
_TABLE_NAME = "link.sqlite"
_KEY_BYTES = 32

#: Longest wait for another process that writes; a batch of records is written in milliseconds.
_BUSY_SECONDS = 60.0

#: First characters of a hex HMAC that make a pseudonym: 128 bits.
PSEUDONYM_LENGTH = 32

_LAYOUT = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    file_ref TEXT PRIMARY KEY, path BLOB NOT NULL UNIQUE, source TEXT NOT NULL, not_before TEXT);
CREATE TABLE IF NOT EXISTS patients (
    patient_id TEXT PRIMARY KEY, issuer TEXT NOT NULL, source_id TEXT NOT NULL, origin TEXT);
CREATE INDEX IF NOT EXISTS patients_by_source_id ON patients (source_id);
CREATE TABLE IF NOT EXISTS lesion_names (
    patient_id TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, lesion_id TEXT NOT NULL,
    PRIMARY KEY (patient_id, kind, name, lesion_id));
CREATE INDEX IF NOT EXISTS lesion_names_by_name ON lesion_names (kind, name);
CREATE TABLE IF NOT EXISTS events (event_id TEXT PRIMARY KEY, source TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pending (
    file_ref TEXT PRIMARY KEY, source TEXT NOT NULL, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    metadata_hash TEXT NOT NULL, claims TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS spool (file_ref TEXT PRIMARY KEY, source TEXT NOT NULL, record TEXT NOT NULL);
"""


class LinkTable:
    """An open link table. Use it as a context manager, or call `close`."""

    def __init__(self, folder: Path, key: bytes, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._key = key
        self._connection = connection

    @classmethod
    def open(cls, folder: str | Path, create: bool = False) -> LinkTable:
        """Open the link table in `folder`; `create` makes folder, key and table where they do not exist yet.

        Raises SourceNotFoundError (there is none), AccessError (not readable or writable), RefusedError (the key is
        missing or is another one, or the layout is newer).
        """
        folder = Path(folder)
        try:
            if create:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not folder.is_dir() or not (create or (folder / _TABLE_NAME).exists()):
                raise SourceNotFoundError("there is no link table at this place; run ingest first, or set link_dir")
            if stat.S_IMODE(folder.stat().st_mode) & 0o077:
                folder.chmod(0o700)
            key = _load_key(folder, create)
            connection = _connect(folder, create)
        except (PermissionError, sqlite3.OperationalError) as error:
            if isinstance(error, AccessError | RefusedError):
                raise
            raise AccessError(
                f"no permission to write the link table in {folder}; give its folder's owner read and write access,"
                " or name another folder with LONGDERM_LINK_DIR"
            ) from None
        link = cls(folder, key, connection)
        try:
            link._check(create)
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.DatabaseError):
                raise RefusedError("the link table is damaged; restore its folder from a backup") from None
            raise
        return link

    def __enter__(self) -> LinkTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the SQLite connection."""
        self._connection.close()

    @property
    def key_id(self) -> str:
        """A public name of the key, 16 hex characters; a store made with another key is refused by it."""
        return hashlib.sha256(b"longderm key id\x00" + self._key).hexdigest()[:16]

    def pseudonym(self, kind: str, *parts: str | bytes) -> str:
        """The keyed pseudonym of `parts` in the domain `kind`: 32 hex characters of an HMAC-SHA256.

        Parts are composed (NFC) and framed by their length, so that ("ab", "c") and ("a", "bc") differ.
        """
        code = hmac.new(self._key, b"longderm\x00v1\x00" + kind.encode(), hashlib.sha256)
        for part in parts:
            raw = part if isinstance(part, bytes) else unicodedata.normalize("NFC", part).encode()
            code.update(b"\x00" + len(raw).to_bytes(8, "big") + raw)
        return code.hexdigest()[:PSEUDONYM_LENGTH]

    def file_ref(self, path: str | Path) -> str:
        """The opaque reference of a file, by its absolute path as it is written (no link is followed)."""
        return self.pseudonym("file", os.fsencode(Path(path).absolute()))

    def resolve(self, file_ref: str) -> Path | None:
        """The path behind a reference, or None."""
        row = self._connection.execute("SELECT path FROM files WHERE file_ref = ?", (file_ref,)).fetchone()
        return Path(os.fsdecode(row[0])) if row else None

    def register_files(self, paths: Iterable[Path], source: str) -> None:
        """Remember the paths of files under their references; `source` is the key of the archive they belong to."""
        known = set(self.query("SELECT file_ref, source FROM files"))
        rows = [(self.file_ref(path), os.fsencode(path.absolute()), source) for path in paths]
        rows = [row for row in rows if (row[0], source) not in known]
        if not rows:
            return
        with self.transaction() as connection:
            connection.executemany(
                "INSERT INTO files (file_ref, path, source) VALUES (?, ?, ?)"
                " ON CONFLICT (file_ref) DO UPDATE SET source = excluded.source",
                rows,
            )

    def find_mrn(self, mrn: str, issuer: str | None = None) -> list[str]:
        """The pseudonyms of the patients with this source identifier, of this issuer or of any."""
        rows = self._connection.execute(
            "SELECT patient_id FROM patients WHERE source_id = ? AND (? IS NULL OR issuer = ?) ORDER BY patient_id",
            (unicodedata.normalize("NFC", mrn.strip()), issuer, issuer),
        )
        return [row[0] for row in rows]

    def origin_of(self, patient_id: str) -> date | None:
        """The patient's day 0, frozen at the first intake; None before, or without dates."""
        row = self._connection.execute("SELECT origin FROM patients WHERE patient_id = ?", (patient_id,)).fetchone()
        return date.fromisoformat(row[0]) if row and row[0] else None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written in the block, or nothing of it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def query(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """The rows of a SELECT."""
        return self._connection.execute(statement, values).fetchall()

    def _check(self, create: bool) -> None:
        found = dict(self._connection.execute("SELECT name, value FROM meta").fetchall())
        if not found and create:
            with self.transaction() as connection:
                connection.executemany(
                    "INSERT OR IGNORE INTO meta VALUES (?, ?)",
                    [("version", str(LINK_VERSION)), ("key_id", self.key_id)],
                )
            found = dict(self._connection.execute("SELECT name, value FROM meta").fetchall())
        if int(found.get("version", 0)) > LINK_VERSION:
            raise RefusedError("the link table was written by a newer longderm; use that one")
        if found.get("key_id") != self.key_id:
            raise RefusedError("the key beside the link table is not the one it was made with; restore the key file")


def _load_key(folder: Path, create: bool) -> bytes:
    """Read the key; make one where there is neither key nor table. A key that is there is never replaced."""
    place = folder / KEY_NAME
    if not place.exists():
        if (folder / _TABLE_NAME).exists():
            raise RefusedError("the link table's key file is missing; restore it from a backup, no other one fits")
        if not create:
            raise SourceNotFoundError("there is no link table at this place; run ingest first, or set link_dir")
        _write_key(place)
    place.chmod(0o600)
    try:
        key = bytes.fromhex(place.read_text().strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise RefusedError("the link table's key file is damaged; restore it from a backup")
    return key


def _write_key(place: Path) -> None:
    """Write a new key completely or not at all, and only if no other process was first."""
    draft = place.with_name(f".{place.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(_KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, place)
    finally:
        draft.unlink()
    directory = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _connect(folder: Path, create: bool) -> sqlite3.Connection:
    place = folder / _TABLE_NAME
    if create:
        os.close(os.open(place, os.O_WRONLY | os.O_CREAT, 0o600))
    if stat.S_IMODE(place.stat().st_mode) & 0o077:
        place.chmod(0o600)
    # a rollback journal, unlike a write-ahead log, also holds on network mounts; SQLite gives it the table's own mode
    connection = sqlite3.connect(place, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    if create:
        # as one transaction: a kill leaves all tables or none, and the disk is waited for once
        connection.executescript(f"BEGIN IMMEDIATE; {_LAYOUT} COMMIT;")
    return connection
