"""The worklist: every lesion under its status, what is overdue or missing, and what became of every file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from longderm.report.model import lesion_order
from longderm.report.rows import Rows
from longderm.report.views import STATUSES, Balance, LesionView, PatientView, QuarantineRow, WorklistView
from longderm.report.words import plain
from longderm.schema import QUARANTINE_REASONS

#: File statuses that the schema knows; another one would break the balance and is counted as ignored, by its name.
_KNOWN = ("photo", "duplicate", "quarantine")


def worklist_view(rows: Rows, patients: Iterable[PatientView]) -> WorklistView:
    """Gather the lesions of all patients under the headings of the worklist."""
    views = list(patients)
    lesions = sorted((lesion for patient in views for lesion in patient.lesions), key=lesion_order)
    return WorklistView(
        patients=tuple(patient.patient_id for patient in views),
        lesions={status: tuple(lesion for lesion in lesions if lesion.status == status) for status in STATUSES},
        overdue=tuple(sorted((one for one in lesions if one.overdue == "overdue"), key=_longest_first)),
        overdue_unknown=sum(lesion.overdue == "unknown" for lesion in lesions),
        missing=tuple(sorted((one for one in lesions if one.missing), key=_by_patient)),
        excised=tuple(sorted((one for one in lesions if one.excised is not None), key=_by_patient)),
        total_body=tuple((patient.patient_id, patient.total_body) for patient in views if patient.total_body),
        quarantine=quarantine_rows(rows),
        balance=file_balance(rows),
    )


def quarantine_rows(rows: Rows) -> tuple[QuarantineRow, ...]:
    """The files that the ledger says are in quarantine, by reason, each with the sentence that people read."""
    found = []
    for file in rows.files:
        if file["status"] != "quarantine":
            continue
        entry = rows.quarantine.get(file["file_ref"])
        reason = (entry["reason"] if entry else None) or file["reason"] or "unreadable"
        text = QUARANTINE_REASONS.get(reason, plain(reason))
        found.append(QuarantineRow(file["file_ref"], reason, text, (entry["detail"] if entry else None) or ""))
    return tuple(sorted(found, key=lambda row: (row.reason, row.file_ref)))


def file_balance(rows: Rows) -> Balance:
    """What became of every file seen: files = photos + duplicates + quarantine + ignored."""
    statuses = Counter(file["status"] for file in rows.files)
    ignored = Counter(
        file["reason"] or "of no known kind" if file["status"] == "ignored" else f"status {file['status']}"
        for file in rows.files
        if file["status"] not in _KNOWN
    )
    return Balance(
        files=len(rows.files),
        photos=statuses["photo"],
        duplicates=statuses["duplicate"],
        quarantine=statuses["quarantine"],
        ignored=sum(ignored.values()),
        ignored_kinds=tuple(sorted(ignored.items(), key=lambda item: (-item[1], item[0]))),
    )


def _longest_first(lesion: LesionView) -> tuple[int, str, str]:
    return -lesion.overdue_periods, lesion.patient_id, lesion.lesion_id


def _by_patient(lesion: LesionView) -> tuple[str, str]:
    return lesion.patient_id, lesion.lesion_id
