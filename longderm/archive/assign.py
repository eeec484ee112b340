"""Phase 2 of an intake: from the records of all files read to the rows of the tables.

A pure function of records, tables and link table: called again after a crash, with some tables already committed, it
returns just the rows that are missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date

import pyarrow as pa

from longderm.archive.events import event_rows
from longderm.archive.identity import Identities
from longderm.archive.ledger import INTAKE_TABLES, Row, revise, rows_by_key
from longderm.archive.link import LinkTable
from longderm.archive.records import FileRecord
from longderm.archive.rows import Candidate, file_row, lesion_rows, patient_rows, photo_row, quarantine_row
from longderm.archive.source import SourceSpec
from longderm.archive.spool import unread
from longderm.errors import StageError

SAME_PIXELS = "same_pixels_as_other_day"
TWO_LESIONS = "filed_under_two_lesions"


class _Intake:
    """The state of one call of `assign`: current rows, records, and what was decided of each file."""

    def __init__(self, link: LinkTable, source: SourceSpec, current: Mapping[str, pa.Table], as_of: date) -> None:
        self.link, self.source, self.as_of = link, source, as_of
        self.current = {name: rows_by_key(name, current[name]) for name in INTAKE_TABLES}
        self.identities = Identities(link, source.mapping.issuer)
        rows = link.query("SELECT record FROM spool WHERE source = ?", (source.key,))
        self.records = sorted((FileRecord.from_json(str(row[0])) for row in rows), key=lambda r: r.path)
        self.refs = {record.file_ref for record in self.records}
        self.refused: dict[str, tuple[str, str]] = {}
        self.not_before: dict[str, str | None] = dict.fromkeys(self.refs)
        self.gone: set[str] = set()
        files = self.current["files"]
        #: photos that count and whose file is not judged anew
        self.fixed = {
            photo_id: row
            for photo_id, row in self.current["photos"].items()
            if row["file_ref"] not in self.refs
            and (owner := files.get(row["file_ref"])) is not None
            and (owner["status"], owner["photo_id"]) == ("photo", photo_id)
        }


def assign(link: LinkTable, source: SourceSpec, current: Mapping[str, pa.Table], as_of: date) -> dict[str, pa.Table]:
    """The rows to append to each table of an intake, in the order of `INTAKE_TABLES`, without `recorded_at`.

    `current`: the current rows of those tables. Freezes the origins of new patients in the link table first. Commit
    the tables in their order, then call `clear_spool`. Raises StageError while files are pending that were not read.
    """
    left = unread(link, source)
    if left:
        raise StageError(f"{len(left)} files of the archive are not read yet; read them before they are assigned")
    intake = _Intake(link, source, current, as_of)
    photos = _candidates(intake)
    photos = _without_shared_photos(intake, photos)
    photos = _without_shared_lesions(intake, photos)
    photos = _with_lesions(intake, photos)
    photos = _without_loose_days(intake, photos)
    _mark_duplicates(intake, photos)
    frozen = _count_days(intake, photos)
    tables = _tables(intake, photos, frozen)
    return {name: revise(name, tables[name], intake.current[name]) for name in INTAKE_TABLES}


def _candidates(intake: _Intake) -> list[Candidate]:
    """The records of usable photos, those of a future day left out."""
    out = []
    for record in intake.records:
        if record.outcome != "photo":
            continue
        stated = record.claims.date
        if stated is not None and date.fromisoformat(stated) > intake.as_of:
            intake.not_before[record.file_ref] = stated
            intake.refused[record.file_ref] = ("future_date", "it is taken in on that day")
            continue
        patient = intake.identities.patient_of(record.claims)
        out.append(Candidate(record, patient, set(record.caveats)))
    return out


def _refuse(intake: _Intake, photos: list[Candidate], refused: set[str], reason: str, detail: str) -> list[Candidate]:
    intake.refused.update(dict.fromkeys(sorted(refused), (reason, detail)))
    return [photo for photo in photos if photo.record.file_ref not in refused]


def _without_shared_photos(intake: _Intake, photos: list[Candidate]) -> list[Candidate]:
    """Leave out the photos that are filed under two patients, all newly read files of each."""
    patients: dict[str, set[str]] = defaultdict(set)
    for photo in photos:
        patients[photo.photo_id].add(photo.patient)
    for photo_id, row in intake.fixed.items():
        if photo_id in patients:
            patients[photo_id].add(row["patient_id"])
    shared = {p.record.file_ref for p in photos if len(patients[p.photo_id]) > 1}
    return _refuse(intake, photos, shared, "two_patients_for_photo", "correct one of the files, then run again")


def _without_shared_lesions(intake: _Intake, photos: list[Candidate]) -> list[Candidate]:
    """Leave out the photos of an archive-wide lesion that two patients claim, all newly read ones."""
    patients: dict[str, set[str]] = defaultdict(set)
    for photo in photos:
        if photo.record.claims.lesion_uid is not None:
            patients[photo.record.claims.lesion_uid].add(photo.patient)
    alive = {row["lesion_id"] for row in intake.fixed.values()}
    for (patient, kind, name), lesions in intake.identities.lesions.items():
        if kind == "uid" and name in patients and lesions & alive:
            patients[name].add(patient)
    shared = {p.record.file_ref for p in photos if len(patients.get(p.record.claims.lesion_uid or "", ())) > 1}
    return _refuse(intake, photos, shared, "two_patients_for_lesion", "correct one of the files, then run again")


def _with_lesions(intake: _Intake, photos: list[Candidate]) -> list[Candidate]:
    """Give each photo its lesion; those with a unique identifier first, for they tell labels apart."""
    ambiguous = set()
    for photo in sorted(photos, key=lambda p: p.record.claims.lesion_uid is None):
        claims = photo.record.claims
        intake.identities.add_patient(claims)
        if claims.modality == "total_body" and claims.lesion is None and claims.lesion_uid is None:
            continue
        photo.lesion = intake.identities.add_lesion(photo.patient, claims.lesion, claims.lesion_uid)
        if photo.lesion is None:
            ambiguous.add(photo.record.file_ref)
    return _refuse(
        intake, photos, ambiguous, "no_lesion", "its lesion's label is that of several lesions of the patient"
    )


def _without_loose_days(intake: _Intake, photos: list[Candidate]) -> list[Candidate]:
    """Leave out day numbers of patients who have dates: from which day they count is not known."""
    dated = {photo.patient for photo in photos if photo.record.claims.date is not None}
    loose = {
        photo.record.file_ref
        for photo in photos
        if photo.record.claims.date is None
        and photo.record.claims.day is not None
        and (photo.patient in dated or intake.link.origin_of(photo.patient) is not None)
    }
    return _refuse(intake, photos, loose, "no_date", "a day number without its origin, for a patient with dated photos")


def _mark_duplicates(intake: _Intake, photos: list[Candidate]) -> None:
    """One file of each photo is the photo: the one that is it already and still there, else the first by path."""
    groups: dict[str, list[Candidate]] = defaultdict(list)
    for photo in photos:
        groups[photo.photo_id].append(photo)
    for photo_id, group in groups.items():
        fixed = intake.fixed.get(photo_id)
        if fixed is not None and not _exists(intake.link, fixed["file_ref"]):
            # moved: the photo's file is now found elsewhere
            intake.gone.add(fixed["file_ref"])
            del intake.fixed[photo_id]
            fixed = None
        before = intake.current["photos"].get(photo_id, {}).get("file_ref")
        owner = None if fixed is not None else next((p for p in group if p.record.file_ref == before), group[0])
        for photo in group:
            photo.duplicate = photo is not owner
        if owner is not None:
            owner.caveats |= {TWO_LESIONS} if len({photo.lesion for photo in group}) > 1 else set()
            owner.caveats |= {SAME_PIXELS} if len({photo.stated_day for photo in group}) > 1 else set()


def _exists(link: LinkTable, file_ref: str) -> bool:
    path = link.resolve(file_ref)
    return path is not None and path.exists()


def _count_days(intake: _Intake, photos: list[Candidate]) -> dict[str, str]:
    """Count the days from each patient's origin; returns the origins that are frozen now, as ISO dates."""
    dates: dict[str, list[str]] = defaultdict(list)
    for photo in photos:
        if photo.record.claims.date is not None and not photo.duplicate:
            dates[photo.patient].append(photo.record.claims.date)
    frozen = {patient: min(stated) for patient, stated in dates.items() if intake.link.origin_of(patient) is None}
    for photo in photos:
        stated = photo.record.claims.date
        if stated is not None:
            origin = frozen.get(photo.patient) or str(intake.link.origin_of(photo.patient))
            photo.day = (date.fromisoformat(stated) - date.fromisoformat(origin)).days
        else:
            photo.day = photo.record.claims.day
    return frozen


def _tables(intake: _Intake, photos: list[Candidate], frozen: dict[str, str]) -> dict[str, list[Row]]:
    """Write what is new to the link table, then make all rows."""
    owners = [photo for photo in photos if not photo.duplicate]
    photo_rows = {photo.photo_id: photo_row(photo) for photo in owners}
    photo_rows |= _flagged(intake, photo_rows, [photo for photo in photos if photo.duplicate])
    latest = sorted(owners, key=lambda photo: (photo.record.claims.date or "", photo.record.path))
    events, event_lesions = event_rows(
        intake.link, intake.source, intake.identities, frozen, intake.current["events"], intake.as_of
    )
    intake.identities.save(frozen, {photo.patient for photo in photos}, intake.not_before)
    by_ref = {photo.record.file_ref: photo for photo in photos}
    quarantine = [quarantine_row(record, intake.refused) for record in intake.records]
    files = [file_row(record, by_ref.get(record.file_ref), intake.refused) for record in intake.records]
    gone = [{**intake.current["files"][ref], "status": "ignored", "reason": "no longer there"} for ref in intake.gone]
    return {
        "patients": patient_rows(latest, intake.current["patients"]),
        "lesions": lesion_rows(latest, event_lesions, intake.current["lesions"]),
        "photos": list(photo_rows.values()),
        "events": events,
        "quarantine": [row for row in quarantine if row is not None],
        "files": files + gone,
    }


def _flagged(intake: _Intake, new: dict[str, Row], duplicates: list[Candidate]) -> dict[str, Row]:
    """Mark pixels that lie on two days of a patient, in `new` (in place) and in earlier photos (returned)."""
    patients = {row["patient_id"] for row in new.values()} | {photo.patient for photo in duplicates}
    fixed = {photo_id: dict(row) for photo_id, row in intake.fixed.items() if row["patient_id"] in patients}
    days: dict[tuple[str, str], set[int]] = defaultdict(set)
    for row in [*new.values(), *fixed.values()]:
        if row["acquisition_day"] is not None:
            days[row["patient_id"], row["content_hash"]].add(row["acquisition_day"])
    repeated = {row["photo_id"] for row in intake.current["files"].values() if row["status"] == "duplicate"}
    for photo_id, row in fixed.items():
        caveats = set(row["caveats"] or ())
        if photo_id not in repeated:
            caveats.discard(SAME_PIXELS)  # judged anew; a duplicate's day is not in the tables, so there it stays
        for photo in duplicates:
            if photo.photo_id == photo_id:
                caveats |= {SAME_PIXELS} if photo.day != row["acquisition_day"] else set()
                caveats |= {TWO_LESIONS} if photo.lesion != row["lesion_id"] else set()
        row["caveats"] = sorted(caveats)
    for row in [*new.values(), *fixed.values()]:
        if len(days[row["patient_id"], row["content_hash"]]) > 1:
            row["caveats"] = sorted({*row["caveats"], SAME_PIXELS})
    return fixed
