"""The tables as rows by key: what `model` looks up, read once from Arrow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from longderm.schema import TABLES

Row = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """Current rows, by the key under which the pages look them up; every list is sorted by identity."""

    patients: dict[str, Row]
    lesions: dict[str, Row]
    lesions_of: dict[str, list[str]]
    photos: dict[str, Row]
    photos_of_lesion: dict[str, list[Row]]
    total_body_of: dict[str, list[Row]]
    events_of_lesion: dict[str, list[Row]]
    events_of_patient: dict[str, list[Row]]
    previews: dict[str, Row]
    scales: dict[str, Row]
    quality: dict[str, Row]
    masks: dict[str, Row]
    structures: dict[str, Row]
    measures: dict[str, Row]
    alignments_of: dict[str, list[Row]]
    changes: dict[str, Row]
    decisions: dict[str, Row]
    trajectories: dict[str, Row]
    files: list[Row]
    quarantine: dict[str, Row]

    @property
    def patient_ids(self) -> tuple[str, ...]:
        """Every patient who has a photo, a lesion, an event or an own row."""
        named = {*self.patients, *self.lesions_of, *self.total_body_of, *self.events_of_patient}
        return tuple(sorted(named))


def read_rows(tables: Mapping[str, pa.Table]) -> Rows:
    """Index the current rows of `tables` (by the names of `longderm.schema.TABLES`); a table not given is empty."""
    photos = _keyed(tables, "photos")
    lesions = _keyed(tables, "lesions")
    lesions_of: dict[str, set[str]] = defaultdict(set)
    for lesion_id, row in lesions.items():
        lesions_of[row["patient_id"]].add(lesion_id)
    for row in photos.values():
        if row["lesion_id"] is not None:
            lesions_of[row["patient_id"]].add(row["lesion_id"])
    close_ups = [row for row in photos.values() if row["lesion_id"] is not None]
    others = [row for row in photos.values() if row["lesion_id"] is None]
    events = list(_keyed(tables, "events").values())
    return Rows(
        patients=_keyed(tables, "patients"),
        lesions=lesions,
        lesions_of={patient: sorted(ids) for patient, ids in sorted(lesions_of.items())},
        photos=photos,
        photos_of_lesion=_grouped(close_ups, "lesion_id"),
        total_body_of=_grouped(others, "patient_id"),
        events_of_lesion=_grouped([row for row in events if row["lesion_id"] is not None], "lesion_id"),
        events_of_patient=_grouped([row for row in events if row["lesion_id"] is None], "patient_id"),
        previews=_keyed(tables, "previews"),
        scales=_keyed(tables, "scales"),
        quality=_keyed(tables, "quality"),
        masks=_keyed(tables, "masks"),
        structures=_keyed(tables, "structures"),
        measures=_keyed(tables, "measures"),
        alignments_of=_grouped(list(_keyed(tables, "alignments").values()), "lesion_id"),
        changes=_keyed(tables, "changes"),
        decisions=_keyed(tables, "decisions"),
        trajectories=_keyed(tables, "trajectories"),
        files=list(_keyed(tables, "files").values()),
        quarantine=_keyed(tables, "quarantine"),
    )


def _keyed(tables: Mapping[str, pa.Table], name: str) -> dict[str, Row]:
    """Rows of a table by its (single-column) key, in the key's order."""
    if name not in tables:
        return {}
    (key,) = TABLES[name].key
    rows: list[Row] = tables[name].to_pylist()
    return {row[key]: row for row in sorted(rows, key=lambda row: row[key])}


def _grouped(rows: list[Row], column: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    return dict(sorted(groups.items()))
