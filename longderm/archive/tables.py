"""Read the tables beside the photos: the metadata of images and the events, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from longderm.archive.claims import (
    Claims,
    clean,
    parse_laterality,
    parse_number,
    parse_positive,
    parse_sex,
    parse_skin_type,
    patient_text,
    round_age,
    with_date,
    with_image_type,
    with_lesion,
)
from longderm.archive.diagnoses import diagnosis_text
from longderm.archive.mapping import EVENT_COLUMNS, IMAGE_COLUMNS, SourceMapping
from longderm.archive.sites import site_text, special_site
from longderm.errors import AccessError, SourceNotFoundError, UsageError
from longderm.schema import EVENT_KINDS

#: Largest text in one field; more is no table of metadata.
_FIELD_LIMIT = 2**20

_AMBIGUOUS = "several files have the name that the metadata gives; add the folder or the extension there"
_CONTRADICTORY = "the metadata has several rows for this image, and they differ"


@dataclass(frozen=True)
class Event:
    """One row of an events table: who, which lesion, when (ISO), what, with which diagnosis."""

    patient: str
    issuer: str | None
    lesion: str | None
    date: str
    kind: str
    diagnosis: str | None


def _read_rows(path: Path, title: str, columns: Mapping[str, tuple[str, ...]], mapped: Mapping[str, str]) -> _Rows:
    """Read a CSV (comma, semicolon or tab; UTF-8) and find the columns of each field.

    Raises UsageError, SourceNotFoundError or AccessError; the message calls the table `title`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SourceNotFoundError(f"{title} does not exist; check the path given") from None
    except OSError:
        raise AccessError(f"{title} cannot be read; check its permissions") from None
    except UnicodeDecodeError:
        raise UsageError(f"{title} is not UTF-8; save it as CSV (UTF-8)") from None
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    csv.field_size_limit(_FIELD_LIMIT)
    try:
        lines = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error:
        raise UsageError(f"{title} is not a CSV table; save it as CSV (UTF-8)") from None
    if not lines:
        raise UsageError(f"{title} is empty; it needs a line of column names")
    header = [name.strip() for name in lines[0]]
    lowered = {name.lower(): index for index, name in reversed(list(enumerate(header)))}
    problems = [f"column {name!r} of the mapping is missing" for name in mapped.values() if name not in header]
    places = {}
    for name, aliases in columns.items():
        if name in mapped:
            if mapped[name] in header:
                places[name] = header.index(mapped[name])
        else:
            found = next((lowered[alias] for alias in aliases if alias in lowered), None)
            if found is not None:
                places[name] = found
    return _Rows(title, places, lines[1:], problems, frozenset(mapped))


@dataclass
class _Rows:
    """The lines of a table and where each field stands in them; problems are collected before one error is raised."""

    title: str
    places: dict[str, int]
    lines: list[list[str]]
    problems: list[str]
    mapped: frozenset[str]

    def require(self, name: str, what: str) -> None:
        """Note a problem unless the field has a column (one that the mapping names wrongly is noted already)."""
        if name not in self.places and name not in self.mapped:
            self.problems.append(what)

    def check(self) -> None:
        """Raise UsageError with all problems."""
        if self.problems:
            raise UsageError(f"{self.title} cannot be used: " + "; ".join(self.problems))

    def values(self) -> Iterator[dict[str, str | None]]:
        """Each row's fields, cleaned; None where empty."""
        for line in self.lines:
            if any(line):
                yield {name: clean(line[at]) if at < len(line) else None for name, at in self.places.items()}


@dataclass(frozen=True)
class EventsTable:
    """The events of a table, how many rows have no patient or date, and how many diagnoses are not understood."""

    events: tuple[Event, ...]
    unusable: int
    unclear_diagnoses: int


class MetadataTable:
    """What a metadata table says of each image."""

    def __init__(self, path: Path, title: str, mapping: SourceMapping) -> None:
        rows = _read_rows(path, title, IMAGE_COLUMNS, mapping.columns)
        rows.require("image", "no column names the images (isic_id); name it in a mapping: [columns] image")
        if not mapping.patient_per_lesion:
            rows.require(
                "patient",
                "no column patient_id; name it in a mapping: [columns] patient, or set [identity] patient_per_lesion",
            )
        else:
            rows.require("lesion", "no column lesion_id; name it in a mapping: [columns] lesion")
        rows.check()
        self._mapping = mapping
        self._claims: dict[str, Claims] = {}
        for row in rows.values():
            image = row.get("image")
            if image is None:
                continue
            claims = claims_of_row(row, mapping)
            known = self._claims.get(image)
            if known is not None and known != claims:
                claims = Claims(identity_problem=_CONTRADICTORY)
            self._claims[image] = claims

    def match(self, files: Iterable[str]) -> tuple[dict[str, Claims], int]:
        """What is said of each of `files` (paths from the table's folder), and how many rows have no file."""
        folder = self._mapping.folder
        inside = [name for name in files if folder is None or name.startswith(folder + "/")]
        names: dict[str, list[str]] = {}
        for name in inside:
            path = PurePosixPath(name)
            for form in {name, path.name, path.stem, name if folder is None else name[len(folder) + 1 :]}:
                names.setdefault(form, []).append(name)
        found: dict[str, Claims] = {}
        missing = 0
        for image, claims in self._claims.items():
            extension = self._mapping.extension
            wanted = image if extension is None or image.endswith(extension) else image + extension
            hits = names.get(wanted.replace("\\", "/").removeprefix("./"), [])
            missing += not hits
            for hit in hits:
                if len(hits) > 1 or (hit in found and found[hit] != claims):
                    found[hit] = Claims(identity_problem=_AMBIGUOUS if len(hits) > 1 else _CONTRADICTORY)
                else:
                    found[hit] = claims
        return found, missing


def claims_of_row(row: Mapping[str, str | None], mapping: SourceMapping) -> Claims:
    """What one row of a metadata table says."""

    def value(name: str) -> str | None:
        return mapping.translate(name, row.get(name))

    lesion = value("lesion")
    texts = [value(name) for name in ("site_general", "site_1", "site_2", "site_special")]
    age, day = parse_number(value("age")), parse_number(value("day"))
    scale = parse_positive(value("px_per_mm"))
    claims = Claims(
        patient=lesion if mapping.patient_per_lesion else patient_text(value("patient")),
        issuer=value("issuer"),
        lesion_uid=value("lesion_uid"),
        day=int(day) if day is not None and day == int(day) else None,
        undated_repeat=True if mapping.undated_repeat else None,
        sex=parse_sex(value("sex")),
        fitzpatrick_skin_type=parse_skin_type(value("skin_type")),
        age_approx=round_age(age),
        anatom_site_general=site_text(texts[0]),
        anatom_site_1=site_text(texts[1]),
        anatom_site_2=site_text(texts[2]),
        special_site=special_site(*texts),
        laterality=parse_laterality(value("laterality")),
        px_per_mm=scale,
        px_per_mm_source="metadata" if scale is not None else None,
        px_per_mm_error=parse_positive(value("px_per_mm_error")) if scale is not None else None,
        magnification=parse_positive(value("magnification")),
    )
    claims = with_date(claims, value("date"))
    if lesion is not None:
        uid = claims.lesion_uid
        claims = with_lesion(claims, lesion, mapping.archive_wide_lesions)
        claims = claims if uid is None else replace(claims, lesion_uid=uid)
    return with_image_type(claims, value("image_type"), value("dermoscopic_type"))


def read_events(path: Path, mapping: SourceMapping) -> EventsTable:
    """Read an events table.

    Raises UsageError, SourceNotFoundError or AccessError.
    """
    rows = _read_rows(path, "the events table", EVENT_COLUMNS, mapping.events)
    for name in ("patient", "date", "event"):
        rows.require(name, f"no column {EVENT_COLUMNS[name][0]}; name it in a mapping: [events] {name}")
    rows.check()
    events: list[Event] = []
    unusable = unclear = 0
    for row in rows.values():
        dated = with_date(Claims(), row.get("date"))
        patient = row.get("lesion") if mapping.patient_per_lesion else row.get("patient")
        if patient is None or dated.date is None:
            unusable += 1
            continue
        written = mapping.translate("diagnosis", row.get("diagnosis"))
        diagnosis = diagnosis_text(written)
        unclear += written is not None and diagnosis is None
        kind = (mapping.translate("event", row.get("event")) or "other").lower()
        events.append(
            Event(
                patient=patient,
                issuer=row.get("issuer"),
                lesion=row.get("lesion"),
                date=dated.date,
                kind=kind if kind in EVENT_KINDS else "other",
                diagnosis=diagnosis,
            )
        )
    return EventsTable(tuple(events), unusable, unclear)
