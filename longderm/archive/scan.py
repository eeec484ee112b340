"""Phase 0 of an intake: which files of the archive are new or have changed. Reads tables and sizes, no photo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa

from longderm.archive.claims import Claims
from longderm.archive.link import LinkTable
from longderm.archive.pattern import DEFAULT_PATTERN, claims_from_path
from longderm.archive.records import FileRecord
from longderm.archive.sniff import SNIFF_BYTES, expects_image, ignored_kind, image_format
from longderm.archive.source import METADATA_NAME, FoundFile, SourceSpec, walk
from longderm.archive.tables import EventsTable, MetadataTable, read_events
from longderm.errors import UsageError

#: Raised when files are read to other results than before: then every file is read again.
READER_VERSION = "1"

#: A file in quarantine for one of these may be fine once another file was corrected.
CONFLICTS = ("two_patients_for_lesion", "two_patients_for_photo")

#: What the ledger says of a file whose photo is now found in another one.
_GONE = "no longer there"

#: A row of the link table's `pending`.
_Waiting = tuple[str, str, int, int, str, str]

_IGNORED = {"special": "no regular file", "hidden": "hidden file", "excluded": "left out by the mapping"}


@dataclass(frozen=True)
class Scan:
    """What a scan found. `pending`: references of the files to read, sorted by path; `spooled`: records that were
    read and not yet committed, ignored files among them; `missing`: known files that are no longer there;
    `rows_without_file`: rows of metadata tables that name no file; `unusable_events`: rows of the events table without
    patient or date; `unclear_diagnoses`: diagnoses that are left out, for they hold other words than diagnoses do (a
    mapping may translate them).
    """

    pending: tuple[str, ...]
    seen: int
    unchanged: int
    ignored: int
    spooled: int
    missing: int
    rows_without_file: int
    unusable_events: int = 0
    unclear_diagnoses: int = 0

    @property
    def anything_new(self) -> bool:
        """Whether there is anything to read or to commit."""
        return bool(self.pending) or self.spooled > 0


@dataclass(frozen=True)
class _Known:
    size_bytes: int
    mtime_ns: int
    metadata_hash: str
    status: str
    reason: str | None
    photo_id: str | None


def scan(source: SourceSpec, link: LinkTable, ledger: pa.Table, as_of: date) -> Scan:
    """Find what is new. `ledger`: the current rows of table `files`; `as_of`: the day that counts as today.

    Files whose size, time and metadata are those of the ledger are skipped. Writes the paths of files and what is
    said of them to the link table only. Raises UsageError (an empty archive, a bad table), AccessError.
    """
    found = walk(source)
    if not found:
        raise UsageError("the archive holds no files; check that it is mounted and that the path is right")
    # a bad table is told before anything is read
    events = read_events(source.events, source.mapping) if source.events is not None else EventsTable((), 0, 0)
    claims, rows_without_file = _claims(source, found, link)
    link.register_files((file.path for file in found), source.key)
    known = _known(ledger)
    due = {
        str(ref)
        for ref, day in link.query("SELECT file_ref, not_before FROM files WHERE not_before IS NOT NULL")
        if date.fromisoformat(str(day)) <= as_of
    }
    spooled = _spooled(link, source)
    refs = {link.file_ref(file.path): file for file in found}
    of_source = {str(row[0]) for row in link.query("SELECT file_ref FROM files WHERE source = ?", (source.key,))}
    missing = {ref for ref in (of_source & set(known)) - set(refs) if known[ref].reason != _GONE}
    changed: list[_Waiting] = []
    kept: list[_Waiting] = []
    ready = []
    for ref, file in refs.items():
        said = claims.get(file.relative, Claims())
        stated = link.pseudonym("metadata", READER_VERSION, said.to_json())
        row = (ref, source.key, file.size_bytes, file.mtime_ns, stated, said.to_json())
        before = known.get(ref)
        if before is not None and row[2:5] == (before.size_bytes, before.mtime_ns, before.metadata_hash):
            (changed if before.reason == "future_date" and ref in due else kept).append(row)
            continue
        record = _without_reading(file, ref, stated)
        if record is not None:
            ready.append(record)
        else:
            changed.append(row)
    again = _judged_again(kept, known, {row[0] for row in changed} | missing, bool(changed))
    order = {ref: place for place, ref in enumerate(refs)}
    todo = sorted([*changed, *again], key=lambda row: order[row[0]])
    pending = [row for row in todo if spooled.get(row[0]) != row[2:5]]
    waiting = {row[0] for row in todo} - {row[0] for row in pending}
    _write(link, source, pending, waiting, ready)
    return Scan(
        pending=tuple(row[0] for row in pending),
        seen=len(found),
        unchanged=len(kept) - len(again),
        ignored=sum(record.outcome == "ignored" for record in ready)
        + sum(known[row[0]].status == "ignored" for row in kept),
        spooled=len(waiting) + len(ready),
        missing=len(missing),
        rows_without_file=rows_without_file,
        unusable_events=events.unusable,
        unclear_diagnoses=events.unclear_diagnoses,
    )


def _judged_again(
    kept: list[_Waiting], known: Mapping[str, _Known], touched: set[str], any_changed: bool
) -> list[_Waiting]:
    """Unchanged files whose status may change: the copies of a touched photo, and the sides of conflicts."""
    photos = {known[ref].photo_id for ref in touched if ref in known and known[ref].photo_id is not None}
    copies = [row for row in kept if known[row[0]].photo_id in photos]
    conflicts = [row for row in kept if any_changed and known[row[0]].reason in CONFLICTS]
    return [*copies, *(row for row in conflicts if row not in copies)]


def _claims(source: SourceSpec, found: list[FoundFile], link: LinkTable) -> tuple[dict[str, Claims], int]:
    """What tables and paths say of each file, by its relative path."""
    tables: dict[str, tuple[Path, str]] = {}
    for file in found:
        folder, _, name = file.relative.rpartition("/")
        if name == METADATA_NAME and file.kind == "file" and source.metadata is None:
            where = "at the archive's root" if not folder else f"(file {link.file_ref(file.path)})"
            tables[folder] = (file.path, f"the metadata table {where}")
    if source.metadata is not None:
        tables[""] = (source.metadata, "the metadata table")
    readable = [file.relative for file in found if file.kind == "file"]
    described: dict[str, list[str]] = {folder: [] for folder in tables}
    undescribed: list[str] = []
    for relative in readable:
        home = _home(relative, tables)
        (undescribed if home is None else described[home]).append(relative)
    claims: dict[str, Claims] = {}
    missing = 0
    for folder, (path, title) in sorted(tables.items()):
        prefix = folder + "/" if folder else ""
        matched, without = MetadataTable(path, title, source.mapping).match(
            [name[len(prefix) :] for name in described[folder]]
        )
        claims.update({prefix + name: said for name, said in matched.items()})
        missing += without
    for relative in readable if source.pattern is not None else undescribed:
        if not expects_image(relative):
            continue
        said = claims_from_path(relative, source.pattern or DEFAULT_PATTERN)
        if said is not None:
            claims[relative] = claims.get(relative, Claims()).over(said)
    return claims, missing


def _home(relative: str, tables: Mapping[str, object]) -> str | None:
    """The nearest folder above a file that has a metadata table."""
    folder = relative.rpartition("/")[0]
    while folder:
        if folder in tables:
            return folder
        folder = folder.rpartition("/")[0]
    return "" if "" in tables else None


def _known(ledger: pa.Table) -> dict[str, _Known]:
    names = ("file_ref", "size_bytes", "mtime_ns", "metadata_hash", "status", "reason", "photo_id")
    columns = [ledger.column(name).to_pylist() for name in names]
    return {ref: _Known(*rest) for ref, *rest in zip(*columns, strict=True)}


def _spooled(link: LinkTable, source: SourceSpec) -> dict[str, tuple[int, int, str]]:
    rows = link.query("SELECT record FROM spool WHERE source = ?", (source.key,))
    records = [FileRecord.from_json(str(row[0])) for row in rows]
    return {record.file_ref: (record.size_bytes, record.mtime_ns, record.metadata_hash) for record in records}


def _without_reading(file: FoundFile, ref: str, stated: str) -> FileRecord | None:
    """The record of a file that needs no decoding, or None where it must be read."""

    def record(outcome: str, reason: str, detail: str | None = None) -> FileRecord:
        return FileRecord(ref, str(file.path), file.size_bytes, file.mtime_ns, stated, outcome, reason, detail)

    if file.kind == "unlistable":
        return record("quarantine", "unreadable", "a folder that cannot be listed; give read access to it")
    if file.kind in _IGNORED:
        return record("ignored", _IGNORED[file.kind])
    name = file.path.name
    if expects_image(name):
        return None
    kind = ignored_kind(name)
    if kind == "other" and _looks_like_image(file.path):
        return None
    return record("ignored", kind)


def _looks_like_image(path: Path) -> bool:
    """Whether a file without a telling name begins as DICOM or as an image (the two letters of BMP are too weak)."""
    try:
        with path.open("rb") as file:
            return image_format(file.read(SNIFF_BYTES)) not in (None, "bmp")
    except OSError:
        return True  # read later, where its failure becomes a row


def _write(
    link: LinkTable, source: SourceSpec, pending: list[_Waiting], waiting: set[str], ready: list[FileRecord]
) -> None:
    """Replace what waits of this source: the pending files, and records that no longer fit their file."""
    before = link.query("SELECT file_ref FROM pending WHERE source = ?", (source.key,))
    spooled = [str(row[0]) for row in link.query("SELECT file_ref FROM spool WHERE source = ?", (source.key,))]
    if not (before or spooled or pending or ready):
        return
    with link.transaction() as connection:
        connection.execute("DELETE FROM pending WHERE source = ?", (source.key,))
        connection.executemany("INSERT OR REPLACE INTO pending VALUES (?, ?, ?, ?, ?, ?)", pending)
        old = [(ref,) for ref in spooled if ref not in waiting]
        connection.executemany("DELETE FROM spool WHERE file_ref = ?", old)
        connection.executemany(
            "INSERT OR REPLACE INTO spool VALUES (?, ?, ?)",
            [(record.file_ref, source.key, record.to_json()) for record in ready],
        )
