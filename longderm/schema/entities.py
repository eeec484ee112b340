"""Tables of what was taken in: patients, lesions, photos, events, files; and the log of runs."""

from __future__ import annotations

import pyarrow as pa

from longderm.schema.table import STRINGS, table

ENTITY_TABLES = [
    table(
        "patients",
        "entity",
        ("patient_id",),
        "One row per patient (pseudonym).",
        [
            ("patient_id", pa.string(), "keyed pseudonym of issuer and source id"),
            ("sex", pa.string(), "male, female, or null"),
            ("fitzpatrick_skin_type", pa.string(), "I to VI, or null"),
        ],
    ),
    table(
        "lesions",
        "entity",
        ("lesion_id",),
        "One row per lesion; an id belongs to one patient.",
        [
            ("lesion_id", pa.string(), "keyed pseudonym of patient and source lesion"),
            ("patient_id", pa.string(), "the patient"),
            ("anatom_site_general", pa.string(), "ISIC's general anatomic site, or null"),
            ("anatom_site_1", pa.string(), "ISIC's site, first level"),
            ("anatom_site_2", pa.string(), "ISIC's site, second level"),
            ("site_code", pa.string(), "SNOMED CT code of the anatomic site, from DICOM"),
            ("laterality", pa.string(), "L, R, B, or null"),
            (
                "special_site",
                pa.string(),
                "face, acral, nail or mucosal where the site says so (out of scope), else null",
            ),
        ],
    ),
    table(
        "photos",
        "entity",
        ("photo_id",),
        "One row per photo taken in.",
        [
            ("photo_id", pa.string(), "keyed pseudonym of the SOP Instance UID or of the file's SHA-256"),
            ("patient_id", pa.string(), "the patient"),
            ("lesion_id", pa.string(), "the lesion; null for total-body photos"),
            ("acquisition_day", pa.int32(), "local day, counted from the patient's origin; null if undated_repeat"),
            ("undated_repeat", pa.bool_(), "the source has no dates and declares repeats of a lesion"),
            ("file_ref", pa.string(), "opaque reference of the file; `longderm find` resolves it"),
            ("content_hash", pa.string(), "SHA-256 of the decoded pixels on the native grid"),
            ("modality", pa.string(), "dermoscopic, clinical, total_body or tbp_tile"),
            ("width_px", pa.int32(), "width of the native grid"),
            ("height_px", pa.int32(), "height of the native grid"),
            ("px_per_mm", pa.float64(), "pixels per millimetre on the skin, or null"),
            ("px_per_mm_source", pa.string(), "where the scale comes from"),
            ("px_per_mm_error", pa.float64(), "relative standard error of the scale"),
            ("device", pa.string(), "manufacturer and model of the camera or dermatoscope"),
            ("polarised", pa.bool_(), "polarised light"),
            ("contact", pa.bool_(), "contact or immersion optics"),
            ("magnification", pa.float64(), "optical magnification as the device states it"),
            ("age_approx", pa.int32(), "age in years at the photo, rounded to 5"),
            ("format", pa.string(), "dicom, jpeg, png, tiff ..."),
            ("caveats", STRINGS, "short codes that travel to every result of this photo"),
        ],
    ),
    table(
        "events",
        "entity",
        ("event_id",),
        "Biopsies, excisions, histology and other dated events.",
        [
            ("event_id", pa.string(), "keyed pseudonym of the event's content"),
            ("patient_id", pa.string(), "the patient"),
            ("lesion_id", pa.string(), "the lesion, or null where the event concerns the patient"),
            ("event_day", pa.int32(), "local day, counted from the patient's origin"),
            ("event_kind", pa.string(), "biopsy, excision, histology, pregnancy or other"),
            ("diagnosis", pa.string(), "histological diagnosis, where one is given"),
        ],
    ),
    table(
        "quarantine",
        "entity",
        ("file_ref",),
        "Files that could not be used, and why. A file counts as quarantined while `files` says so.",
        [
            ("file_ref", pa.string(), "opaque reference of the file"),
            ("reason", pa.string(), "code, one of a closed set"),
            ("detail", pa.string(), "one sentence without identity"),
        ],
    ),
    table(
        "files",
        "entity",
        ("file_ref",),
        "The ledger: every file seen, so that a nightly run does not read the archive again.",
        [
            ("file_ref", pa.string(), "keyed hash of the path"),
            ("size_bytes", pa.int64(), "size when it was read"),
            ("mtime_ns", pa.int64(), "modification time when it was read"),
            ("metadata_hash", pa.string(), "keyed hash of what the metadata table or path says of it"),
            ("status", pa.string(), "photo, duplicate, quarantine or ignored"),
            ("reason", pa.string(), "for quarantine its code, for ignored what it is"),
            ("photo_id", pa.string(), "the photo it became or repeats"),
        ],
    ),
    table(
        "runs",
        "log",
        ("run_id",),
        "One row per finished command that wrote to the store, or found nothing to do.",
        [
            ("run_id", pa.string(), "random"),
            ("command", pa.string(), "ingest, monitor ..."),
            ("as_of", pa.date32(), "the day that counted as today"),
            ("started_at", pa.timestamp("us", tz="UTC"), "when it began"),
            ("finished_at", pa.timestamp("us", tz="UTC"), "when it ended"),
            ("longderm_version", pa.string(), "version of the package"),
            ("summary", pa.string(), "counts as JSON"),
        ],
    ),
]
