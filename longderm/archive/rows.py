"""Rows of the tables from what an intake decided of each file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from longderm.archive.ledger import Row
from longderm.archive.records import FileRecord

_SITE_COLUMNS = ("anatom_site_general", "anatom_site_1", "anatom_site_2", "site_code", "laterality", "special_site")


@dataclass(eq=False)
class Candidate:
    """A usable record on its way to a row of `photos`."""

    record: FileRecord
    patient: str
    caveats: set[str] = field(default_factory=set)
    lesion: str | None = None
    day: int | None = None
    duplicate: bool = False

    @property
    def photo_id(self) -> str:
        """The pseudonym of the photo; every usable record has one."""
        return str(self.record.photo_id)

    @property
    def stated_day(self) -> tuple[str | None, int | None]:
        """The date or day number as the source gives it."""
        return self.record.claims.date, self.record.claims.day


def photo_row(photo: Candidate) -> Row:
    """A row of `photos`."""
    record, claims = photo.record, photo.record.claims
    copied = ("content_hash", "file_ref", "format", "height_px", "photo_id", "width_px")
    said = ("age_approx", "contact", "device", "laterality", "magnification", "modality", "polarised")
    scale = ("px_per_mm", "px_per_mm_source", "px_per_mm_error")
    return {
        **{name: getattr(record, name) for name in copied},
        **{name: getattr(claims, name) for name in (*said, *scale)},
        "patient_id": photo.patient,
        "lesion_id": photo.lesion,
        "acquisition_day": photo.day,
        "undated_repeat": photo.day is None,
        "caveats": sorted(photo.caveats),
    }


def patient_rows(latest: Iterable[Candidate], current: Mapping[str, Row]) -> list[Row]:
    """Rows of `patients`: of what the photos say, the latest that says something, else what was known."""
    rows: dict[str, Row] = {}
    for photo in latest:
        before = current.get(photo.patient, {})
        empty = {"patient_id": photo.patient, **{name: before.get(name) for name in ("sex", "fitzpatrick_skin_type")}}
        row = rows.setdefault(photo.patient, empty)
        for name in ("sex", "fitzpatrick_skin_type"):
            said = getattr(photo.record.claims, name)
            row[name] = row[name] if said is None else said
    return list(rows.values())


def lesion_rows(latest: Iterable[Candidate], from_events: Mapping[str, str], current: Mapping[str, Row]) -> list[Row]:
    """Rows of `lesions`, the site's columns together from one photo; those that only events name have no site."""
    rows: dict[str, Row] = {}
    for photo in latest:
        if photo.lesion is None:
            continue
        before = current.get(photo.lesion, {})
        empty = {"lesion_id": photo.lesion, **{name: before.get(name) for name in _SITE_COLUMNS}}
        row = rows.setdefault(photo.lesion, empty)
        row["patient_id"] = photo.patient
        site = {name: getattr(photo.record.claims, name) for name in _SITE_COLUMNS}
        if any(value is not None for value in site.values()):
            row.update(site)
    for lesion, patient in from_events.items():
        if lesion not in rows and lesion not in current:
            rows[lesion] = {"lesion_id": lesion, "patient_id": patient, **dict.fromkeys(_SITE_COLUMNS)}
    return list(rows.values())


def quarantine_row(record: FileRecord, refused: Mapping[str, tuple[str, str]]) -> Row | None:
    """A row of `quarantine`, or None for a file that is not in it."""
    if record.file_ref in refused:
        reason, detail = refused[record.file_ref]
        return {"file_ref": record.file_ref, "reason": reason, "detail": detail}
    if record.outcome == "quarantine":
        return {"file_ref": record.file_ref, "reason": record.reason, "detail": record.detail}
    return None


def file_row(record: FileRecord, photo: Candidate | None, refused: Mapping[str, tuple[str, str]]) -> Row:
    """A row of the ledger."""
    if photo is not None:
        status, reason, photo_id = ("duplicate" if photo.duplicate else "photo"), None, photo.photo_id
    elif record.file_ref in refused:
        status, reason, photo_id = "quarantine", refused[record.file_ref][0], None
    else:
        status, reason, photo_id = record.outcome, record.reason, None
    return {
        "file_ref": record.file_ref,
        "size_bytes": record.size_bytes,
        "mtime_ns": record.mtime_ns,
        "metadata_hash": record.metadata_hash,
        "status": status,
        "reason": reason,
        "photo_id": photo_id,
    }
