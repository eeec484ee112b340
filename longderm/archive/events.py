"""Rows of `events` from the events table of a source."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from longderm.archive.identity import Identities
from longderm.archive.ledger import Row
from longderm.archive.link import LinkTable
from longderm.archive.source import SourceSpec
from longderm.archive.tables import read_events


def event_rows(
    link: LinkTable,
    source: SourceSpec,
    identities: Identities,
    frozen: Mapping[str, str],
    current: Mapping[str, Row],
    as_of: date,
) -> tuple[list[Row], dict[str, str]]:
    """The rows of a source's events, and the patients of the lesions that they name.

    Left out until they fit: events of patients without a dated photo, events after `as_of`, and events of a label that
    several lesions bear. An event that its table no longer holds is withdrawn: a revision whose `event_kind` is null.
    `frozen`: origins of new patients, ISO dates.
    """
    if source.events is None:
        return [], {}
    rows: dict[str, Row] = {}
    lesions: dict[str, str] = {}
    for event in read_events(source.events, source.mapping).events:
        patient = identities.find_patient(event.patient, event.issuer)
        if patient is None or date.fromisoformat(event.date) > as_of:
            continue
        origin = frozen.get(patient) or link.origin_of(patient)
        if origin is None:
            continue
        lesion = None
        if event.lesion is not None:
            uid = event.lesion if identities.lesions.get((patient, "uid", event.lesion)) else None
            lesion = identities.add_lesion(patient, event.lesion if uid is None else None, uid)
            if lesion is None:
                continue
            lesions[lesion] = patient
        day = (date.fromisoformat(event.date) - date.fromisoformat(str(origin))).days
        parts = (patient, lesion or "", event.date, event.kind, event.diagnosis or "")
        event_id = link.pseudonym("event", *parts)
        rows[event_id] = {
            "event_id": event_id,
            "patient_id": patient,
            "lesion_id": lesion,
            "event_day": day,
            "event_kind": event.kind,
            "diagnosis": event.diagnosis,
        }
    mine = {str(row[0]) for row in link.query("SELECT event_id FROM events WHERE source = ?", (source.key,))}
    if set(rows) - mine:
        with link.transaction() as connection:
            new = [(event_id, source.key) for event_id in sorted(rows)]
            connection.executemany("INSERT OR IGNORE INTO events VALUES (?, ?)", new)
    empty = {"event_day": None, "event_kind": None, "diagnosis": None}
    withdrawn = {e: {**current[e], **empty} for e in mine - set(rows) if e in current}
    return [*rows.values(), *withdrawn.values()], lesions
