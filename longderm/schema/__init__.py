"""Every table's pyarrow schema: the one place where a column is named.

Column names follow the ISIC archive where it has one; units stand in the name. Two kinds of tables:

* *entity* tables (`photos`, `lesions`, ...) are keyed by their id and count a `revision`; the highest one is current;
* *result* tables (`quality`, `alignments`, ...) are keyed by (entity, `fingerprint`); a row is never overwritten, and
  the current one is that whose fingerprint the present settings, models and inputs ask for.

A nullable column is null where the value is not known; a missing value is never a zero.
"""

from __future__ import annotations

import pyarrow as pa

from longderm.schema.comparisons import COMPARISON_TABLES, DELTA
from longderm.schema.entities import ENTITY_TABLES
from longderm.schema.one_photo import PHOTO_TABLES, TBP_COLUMNS
from longderm.schema.table import SCHEMA_VERSION, SCHEMA_VERSION_KEY, TableSpec

__all__ = [
    "DELTA",
    "EVENT_KINDS",
    "FILE_STATUSES",
    "QUARANTINE_REASONS",
    "RESULT_COLUMNS",
    "RUN_TIME_COLUMNS",
    "SCHEMA_VERSION",
    "SCHEMA_VERSION_KEY",
    "TABLES",
    "TBP_COLUMNS",
    "VERDICTS",
    "TableSpec",
    "empty",
]

#: Columns that differ between two runs over the same input; comparisons leave them out.
RUN_TIME_COLUMNS = ("recorded_at",)

#: Why a file is in quarantine (closed set), with the sentence that people read.
QUARANTINE_REASONS = {
    "truncated": "the file ends before its image does",
    "not_an_image": "the file is no image of a kind that longderm reads",
    "no_date": "no acquisition date",
    "no_patient": "no patient identifier",
    "no_lesion": "no lesion identifier on a close-up photo",
    "two_patients_for_lesion": "two patients are named for one lesion",
    "two_patients_for_photo": "the same photo is filed under two patients",
    "future_date": "the acquisition date lies in the future; it is tried again when that day has come",
    "too_large": "more pixels than the limit allows",
    "multi_frame": "several frames in one file; only single photos are compared",
    "unsupported_syntax": "a DICOM transfer syntax or pixel format that is not supported",
    "unsupported_modality": "not a photo of skin (histology, confocal or another kind of image)",
    "anisotropic_pixels": "pixel spacing differs between rows and columns too much to be resampled",
    "burned_in_annotation": "the file says that text is burnt into its pixels",
    "unreadable": "the file cannot be read or decoded",
}

#: What a file of the archive became.
FILE_STATUSES = ("photo", "duplicate", "quarantine", "ignored")

VERDICTS = ("issued", "issued_with_caveat", "abstained", "out_of_scope")

EVENT_KINDS = ("biopsy", "excision", "histology", "pregnancy", "other")

TABLES: dict[str, TableSpec] = {spec.name: spec for spec in (*ENTITY_TABLES, *PHOTO_TABLES, *COMPARISON_TABLES)}


def empty(name: str) -> pa.Table:
    """An empty table of the schema of table `name`."""
    return TABLES[name].schema.empty_table()


#: Result table -> its columns that hold the result itself: not the key, fingerprint, failure or run time.
RESULT_COLUMNS = {
    name: [c for c in spec.columns if c not in (*spec.identity, "failure", *RUN_TIME_COLUMNS)]
    for name, spec in TABLES.items()
    if spec.kind == "result"
}
