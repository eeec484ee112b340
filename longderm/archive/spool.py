"""Phase 1 of an intake: each pending file is read once, in worker processes; its record waits in the link table."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from longderm.archive.claims import Claims
from longderm.archive.dicom_file import is_media_directory
from longderm.archive.images import DEFAULT_MAX_MEGAPIXELS
from longderm.archive.link import LinkTable
from longderm.archive.read import read_contents
from longderm.archive.records import FileRecord
from longderm.archive.source import SourceSpec
from longderm.errors import AccessError, SourceNotFoundError, StageError, UnusablePhotoError


def read_into_spool(
    link_folder: str | Path,
    file_refs: Sequence[str],
    source: SourceSpec,
    max_megapixels: float = DEFAULT_MAX_MEGAPIXELS,
) -> dict[str, int]:
    """Read pending files and leave their records in the link table; returns counts by outcome.

    A file that cannot be used becomes a record with its reason; nothing is raised for it. Calling it again for files
    that were read already does nothing. No identity is returned. Meant for worker processes, in batches.
    """
    counts: Counter[str] = Counter(photo=0, quarantine=0, ignored=0)
    with LinkTable.open(link_folder) as link:
        records = []
        for ref in file_refs:
            row = link.query(
                "SELECT size_bytes, mtime_ns, metadata_hash, claims FROM pending WHERE file_ref = ? AND source = ?"
                " AND file_ref NOT IN (SELECT file_ref FROM spool)",
                (ref, source.key),
            )
            path = link.resolve(ref)
            if not row or path is None:
                continue
            size, mtime, stated, claims = row[0]
            record = FileRecord(ref, str(path), int(str(size)), int(str(mtime)), str(stated), "quarantine")
            records.append(_read(record, path, Claims.from_json(str(claims)), link, max_megapixels))
            counts[records[-1].outcome] += 1
        _put(link, source, records)
    return dict(counts)


def unread(link: LinkTable, source: SourceSpec) -> list[str]:
    """The references of pending files that have no record yet, sorted by path."""
    rows = link.query(
        "SELECT pending.file_ref FROM pending JOIN files USING (file_ref) WHERE pending.source = ?"
        " AND pending.file_ref NOT IN (SELECT file_ref FROM spool) ORDER BY files.path",
        (source.key,),
    )
    return [str(row[0]) for row in rows]


def give_up(link: LinkTable, source: SourceSpec, file_refs: Sequence[str]) -> None:
    """Quarantine files whose reading ended the process that read them (killed for memory, crashed decoder)."""
    records = []
    for ref in file_refs:
        row = link.query("SELECT size_bytes, mtime_ns, metadata_hash FROM pending WHERE file_ref = ?", (ref,))
        path = link.resolve(ref)
        if not row or path is None:
            raise StageError(f"file {ref} is not pending; scan the archive again")
        size, mtime, stated = row[0]
        record = FileRecord(ref, str(path), int(str(size)), int(str(mtime)), str(stated), "quarantine")
        records.append(replace(record, reason="unreadable", detail="reading it ended the process that read it"))
    _put(link, source, records)


def clear_spool(link: LinkTable, source: SourceSpec) -> None:
    """Forget the records of an intake, once all that `assign` returned is committed."""
    with link.transaction() as connection:
        connection.execute("DELETE FROM spool WHERE source = ?", (source.key,))
        connection.execute("DELETE FROM pending WHERE source = ?", (source.key,))


def content_hash(pixels: NDArray[np.uint8]) -> str:
    """SHA-256 of decoded pixels, shape included."""
    code = hashlib.sha256("x".join(map(str, pixels.shape)).encode())
    code.update(np.ascontiguousarray(pixels).data)
    return code.hexdigest()


def _put(link: LinkTable, source: SourceSpec, records: list[FileRecord]) -> None:
    with link.transaction() as connection:
        connection.executemany(
            "INSERT OR REPLACE INTO spool VALUES (?, ?, ?)",
            [(record.file_ref, source.key, record.to_json()) for record in records],
        )


def _read(record: FileRecord, path: Path, said: Claims, link: LinkTable, max_megapixels: float) -> FileRecord:
    try:
        status = path.stat()
        record = replace(record, size_bytes=status.st_size, mtime_ns=status.st_mtime_ns)
        if is_media_directory(path):
            return replace(record, outcome="ignored", reason="DICOMDIR")
        contents = read_contents(path, max_megapixels)
    except UnusablePhotoError as error:
        return replace(record, reason=error.reason, detail=error.detail)
    except (SourceNotFoundError, AccessError, OSError):
        return replace(record, reason="unreadable", detail="the file is not there any more, or may not be read")
    except MemoryError:
        return replace(record, reason="too_large", detail="it needs more memory than there is")
    except Exception as error:  # a decoder's bug must not stop the archive; its text may quote the file
        return replace(record, reason="unreadable", detail=f"the decoder failed ({type(error).__name__})")
    claims = said.over(contents.claims)
    assumed = ("modality_assumed",) if claims.modality is None and claims.modality_problem is None else ()
    claims = replace(claims, modality="dermoscopic") if assumed else claims
    if said.date is not None or said.day is not None:
        # the metadata's date is not one of the header's substitutes
        contents = replace(contents, caveats=tuple(c for c in contents.caveats if c != "date_not_of_acquisition"))
    if said.modality is not None:
        contents = replace(contents, caveats=tuple(c for c in contents.caveats if c != "modality_assumed"))
    height, width = contents.decoded.pixels.shape[:2]
    record = replace(
        record,
        photo_id=link.pseudonym("photo", *contents.identity),
        content_hash=content_hash(contents.decoded.pixels),
        width_px=width,
        height_px=height,
        format=contents.decoded.format,
        caveats=tuple(sorted({*contents.caveats, *assumed})),
        claims=claims,
    )
    refused = _refusal(claims)
    if refused is not None:
        return replace(record, reason=refused[0], detail=refused[1])
    return replace(record, outcome="photo")


def _refusal(claims: Claims) -> tuple[str, str] | None:
    """Why what is said of a photo is not enough, or None."""
    if claims.identity_problem is not None:
        return "no_patient", claims.identity_problem
    if claims.modality_problem is not None:
        return "unsupported_modality", claims.modality_problem
    if claims.patient is None:
        return "no_patient", "neither its header nor a table nor its path names a patient"
    if claims.lesion is None and claims.lesion_uid is None and claims.modality != "total_body":
        return "no_lesion", "neither its header nor a table nor its path names a lesion"
    if claims.date_problem is not None:
        return "no_date", claims.date_problem
    if claims.date is None and claims.day is None and not claims.undated_repeat:
        return "no_date", "neither its header nor a table nor its path gives a date"
    return None
