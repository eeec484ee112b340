"""Every table's pyarrow schema: the one place where a column is named.

Column names follow the ISIC archive where it has one; units stand in the name. Two kinds of tables:

* *entity* tables (`photos`, `lesions`, ...) are keyed by their id and count a `revision`; the highest one is current;
* *result* tables (`quality`, `alignments`, ...) are keyed by (entity, `fingerprint`); a row is never overwritten, and
  the current one is that whose fingerprint the present settings, models and inputs ask for.

A nullable column is null where the value is not known; a missing value is never a zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

#: Raised with every change of a table; a store that carries a higher one is refused.
SCHEMA_VERSION = 1

#: Under this key a schema's metadata carries SCHEMA_VERSION.
SCHEMA_VERSION_KEY = b"longderm.schema_version"

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


@dataclass(frozen=True)
class TableSpec:
    """One table: its schema, the columns that identify an entity, and what it is for (the data dictionary's text)."""

    name: str
    schema: pa.Schema
    key: tuple[str, ...]
    kind: str  # "entity", "result" or "log"
    description: str
    columns: dict[str, str]

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that identify a row: the key, and its revision or fingerprint."""
        extra = {"entity": ("revision",), "result": ("fingerprint",), "log": ()}[self.kind]
        return self.key + extra


_DELTA_FIELDS = [
    ("measure", pa.string()),
    ("unit", pa.string()),
    ("baseline", pa.float64()),
    ("followup", pa.float64()),
    ("delta", pa.float64()),
    ("mdc", pa.float64()),
    ("exceeds_mdc", pa.bool_()),
]

#: One measured difference of a pair: follow-up minus baseline, and the minimal detectable change (95%).
DELTA = pa.struct(_DELTA_FIELDS)

_STRINGS = pa.list_(pa.string())
_RECORDED_AT = (
    "recorded_at",
    pa.timestamp("us", tz="UTC"),
    "when the row was committed (run time; not part of a result)",
)
_REVISION = ("revision", pa.int32(), "counts the corrections of this entity, from 1; the highest is current")
_FINGERPRINT = (
    "fingerprint",
    pa.string(),
    "hash of stage code version, settings, models, device class and upstream fingerprints",
)
_FAILURE = ("failure", pa.string(), "null, or why the stage could not work on this entity at all")

Column = tuple[str, pa.DataType, str]


def _table(name: str, kind: str, key: tuple[str, ...], description: str, columns: list[Column]) -> TableSpec:
    extra = {"entity": [_REVISION, _RECORDED_AT], "result": [_FINGERPRINT, _FAILURE, _RECORDED_AT], "log": []}[kind]
    every = columns[: len(key)] + extra[:1] + columns[len(key) :] + extra[1:] if extra else columns
    required = {*key, "revision", "fingerprint", "recorded_at"}
    schema = pa.schema(
        [pa.field(column, dtype, nullable=column not in required) for column, dtype, _ in every],
        metadata={SCHEMA_VERSION_KEY: str(SCHEMA_VERSION).encode()},
    )
    return TableSpec(name, schema, key, kind, description, {column: text for column, _, text in every})


_SPECS = [
    _table(
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
    _table(
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
    _table(
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
            ("caveats", _STRINGS, "short codes that travel to every result of this photo"),
        ],
    ),
    _table(
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
    _table(
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
    _table(
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
    _table(
        "previews",
        "result",
        ("photo_id",),
        "Reduced copies of photos for people to look at.",
        [
            ("photo_id", pa.string(), "the photo"),
            ("preview_object", pa.string(), "content hash of the JPEG"),
            ("preview_scale", pa.float64(), "preview pixels per native pixel"),
        ],
    ),
    _table(
        "quality",
        "result",
        ("photo_id",),
        "Whether a photo is fit to be analysed.",
        [
            ("photo_id", pa.string(), "the photo"),
            ("score", pa.float64(), "0 (useless) to 1"),
            ("reasons", _STRINGS, "what lowers it, in words"),
            ("sharpness", pa.float64(), "edge energy relative to noise, 0 to 1"),
            ("dark_fraction", pa.float64(), "share of pixels that are too dark"),
            ("glare_fraction", pa.float64(), "share of pixels in specular glare"),
            ("hair_fraction", pa.float64(), "share of pixels under hair"),
            ("corner_fraction", pa.float64(), "share of pixels outside the field of view"),
            ("skin_fraction", pa.float64(), "share of pixels with a colour that skin or lesions have"),
        ],
    ),
    _table(
        "masks",
        "result",
        ("photo_id",),
        "Where the lesion is in a photo.",
        [
            ("photo_id", pa.string(), "the photo"),
            ("found", pa.bool_(), "a lesion was found"),
            ("confidence", pa.float64(), "0 to 1"),
            ("reason", pa.string(), "why none was found, or what makes it doubtful"),
            ("touches_border", pa.bool_(), "the lesion is cut by the edge of the field of view"),
            ("mask_object", pa.string(), "content hash of the 1-bit PNG on the native grid"),
            ("model", pa.string(), "kind and version of the release that drew it"),
        ],
    ),
    _table(
        "measures",
        "result",
        ("photo_id",),
        "What is measured of the lesion in one photo.",
        [
            ("photo_id", pa.string(), "the photo"),
            ("area_px", pa.float64(), "area of the mask in native pixels"),
            ("area_mm2", pa.float64(), "area; null without a scale"),
            ("perimeter_mm", pa.float64(), "length of the smoothed border; null without a scale"),
            ("clin_size_long_diam_mm", pa.float64(), "longest diameter; null without a scale"),
            ("short_diam_mm", pa.float64(), "diameter across the longest; null without a scale"),
            ("long_diam_px", pa.float64(), "longest diameter in native pixels"),
            ("eccentricity", pa.float64(), "of the ellipse with the same second moments, 0 to 1"),
            ("border_irregularity", pa.float64(), "perimeter squared over 4 pi area; 1 for a disc"),
            (
                "asymmetry_shape",
                pa.float64(),
                "non-overlap on mirroring about the perpendicular axes with least of it, 0 to 1",
            ),
            ("asymmetry_colour", pa.float64(), "mean Lab distance between mirrored halves"),
            ("colour_count", pa.int32(), "how many of the six dermoscopic colours cover at least 3%"),
            ("colour_variegation", pa.float64(), "spread of Lab inside the lesion"),
            ("delta_lightness", pa.float64(), "mean L* of the lesion minus that of the skin ring"),
            ("delta_a", pa.float64(), "mean a* of the lesion minus that of the skin ring"),
            ("delta_b", pa.float64(), "mean b* of the lesion minus that of the skin ring"),
            ("dark_fraction", pa.float64(), "share of the lesion that is dark brown, blue-grey or black"),
            ("model", pa.string(), "kind and version of the release that drew the mask"),
        ],
    ),
    _table(
        "alignments",
        "result",
        ("pair_id",),
        "The similarity transform of each pair.",
        [
            ("pair_id", pa.string(), "hash of baseline and follow-up photo"),
            ("lesion_id", pa.string(), "the lesion"),
            ("modality", pa.string(), "of both photos"),
            ("baseline_photo_id", pa.string(), "the earlier photo"),
            ("followup_photo_id", pa.string(), "the later photo"),
            ("policy", pa.string(), "previous, first, previous_and_first, or repeat (undated)"),
            ("interval_days", pa.int32(), "days between the visits; null for undated repeats"),
            ("matrix", pa.list_(pa.float64()), "3x3, row by row: baseline to follow-up pixel coordinates"),
            ("accepted", pa.bool_(), "the match was verified"),
            ("confidence", pa.float64(), "0 to 1"),
            ("reason", pa.string(), "why it was refused, or null"),
            ("overlap", pa.float64(), "share of the baseline's field of view seen in the follow-up"),
            ("scale", pa.float64(), "follow-up pixels per baseline pixel"),
            ("rotation_deg", pa.float64(), "rotation of the follow-up against the baseline"),
            (
                "skin_scale",
                pa.float64(),
                "scale that the skin around the lesion tells by itself; null: too little to tell",
            ),
            ("lesion_scale", pa.float64(), "scale that the lesion's texture tells by itself; null: too little to tell"),
            ("residual", pa.float64(), "distance of the fits from either photo, share of the lesion's diameter"),
            ("cautions", pa.list_(pa.string()), "why the scale, and so a change of size, is not certain"),
        ],
    ),
    _table(
        "changes",
        "result",
        ("pair_id",),
        "What differs in each aligned pair.",
        [
            ("pair_id", pa.string(), "the pair"),
            ("lesion_id", pa.string(), "the lesion"),
            ("score", pa.float64(), "0 to 1; null where nothing can be said"),
            ("p_value", pa.float64(), "conformal p-value of no change, or null without a calibration"),
            ("reasons", _STRINGS, "what changed, or why nothing can be said"),
            ("deltas", pa.list_(DELTA), "measured differences with their minimal detectable change"),
            ("area_change_percent", pa.float64(), "relative change of area in the frame of the alignment"),
            ("area_change_mm2", pa.float64(), "change of area; null without a scale in both photos"),
            ("aligned_object", pa.string(), "content hash of the follow-up warped to the baseline's preview"),
            ("heatmap_object", pa.string(), "content hash of the difference on the baseline's preview"),
            ("model", pa.string(), "kind and version of the release that scored it"),
        ],
    ),
    _table(
        "decisions",
        "result",
        ("pair_id",),
        "Whether a pair's result may be issued, and the rule that decided.",
        [
            ("pair_id", pa.string(), "the pair"),
            ("lesion_id", pa.string(), "the lesion"),
            ("verdict", pa.string(), "issued, issued_with_caveat, abstained or out_of_scope"),
            ("rule", pa.string(), "name of the rule that decided"),
            ("reasons", _STRINGS, "in words"),
            ("flagged", pa.bool_(), "issued, and the change is above the noise: to be looked at"),
        ],
    ),
    _table(
        "trajectories",
        "result",
        ("lesion_id",),
        "All visits of a lesion.",
        [
            ("lesion_id", pa.string(), "the lesion"),
            ("visits", pa.int32(), "visits with a usable photo"),
            ("first_day", pa.int32(), "day of the first of them"),
            ("last_day", pa.int32(), "day of the last of them"),
            ("growth_mm2_per_month", pa.float64(), "robust slope of the area; null without a scale"),
            ("growth_mm2_per_month_low", pa.float64(), "lower end of its 95% interval"),
            ("growth_mm2_per_month_high", pa.float64(), "upper end of its 95% interval"),
            ("growth_percent_per_month", pa.float64(), "robust slope of the relative area"),
            ("growth_percent_per_month_low", pa.float64(), "lower end of its 95% interval"),
            ("growth_percent_per_month_high", pa.float64(), "upper end of its 95% interval"),
            ("first_flagged_day", pa.int32(), "day of the first flagged visit, or null"),
            ("verdict", pa.string(), "issued, issued_with_caveat, abstained or out_of_scope"),
            ("rule", pa.string(), "name of the rule that decided"),
            ("reasons", _STRINGS, "in words"),
        ],
    ),
    _table(
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

TABLES: dict[str, TableSpec] = {spec.name: spec for spec in _SPECS}


def empty(name: str) -> pa.Table:
    """An empty table of the schema of table `name`."""
    return TABLES[name].schema.empty_table()


#: Result table -> its columns that hold the result itself: not the key, fingerprint, failure or run time.
RESULT_COLUMNS = {
    name: [c for c in spec.columns if c not in (*spec.identity, "failure", *RUN_TIME_COLUMNS)]
    for name, spec in TABLES.items()
    if spec.kind == "result"
}
