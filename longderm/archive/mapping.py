"""A mapping file (TOML): what a source's columns, values and files are called, and what it does not have.

[columns]            # what this column is called there
image = "image_id"
lesion = "lesion_id"
site_general = "localization"
[values.sex]         # what this value is written there
FEMALE = "female"
[defaults]           # holds for every image of the source
image_type = "dermoscopic"
[identity]
patient_per_lesion = true      # no patients: each lesion counts as one
undated_repeat = true          # no dates: photos of a lesion are repeats
lesion_scope = "archive"       # a lesion's identifier is unique across the archive, not only within its patient
issuer = "CLINIC"              # who gave the patient identifiers, where a file does not say
[files]
folder = "images"              # where the images lie, from the metadata table
extension = ".jpg"             # what the image column leaves out
ignore = ["masks/*"]           # files that are no photos
[events]                       # columns of the events table
date = "date_of_surgery"
[outcomes]                     # columns of the table of clinical outcomes
time_days = "time"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from longderm.errors import AccessError, SourceNotFoundError, UsageError

#: What may be said of an image, and the columns it is found under without a mapping: ISIC's, then challenge-era names.
IMAGE_COLUMNS: dict[str, tuple[str, ...]] = {
    "image": ("isic_id", "image", "image_name", "image_id", "filename", "file_name"),
    "patient": ("patient_id",),
    "issuer": ("issuer_of_patient_id", "issuer"),
    "lesion": ("lesion_id",),
    "lesion_uid": ("tracking_uid",),
    "date": ("acquisition_date",),
    "day": ("acquisition_day",),
    "image_type": ("image_type",),
    "dermoscopic_type": ("dermoscopic_type",),
    "sex": ("sex",),
    "age": ("age_approx", "age"),
    "skin_type": ("fitzpatrick_skin_type",),
    "site_general": ("anatom_site_general", "anatom_site_general_challenge"),
    "site_1": ("anatom_site_1",),
    "site_2": ("anatom_site_2",),
    "site_special": ("anatom_site_special",),
    "laterality": ("laterality",),
    "px_per_mm": ("pixels_per_mm", "px_per_mm"),
    "px_per_mm_error": ("px_per_mm_error",),
    "magnification": ("magnification",),
    "diagnosis": ("diagnosis",),
}

#: What an event says, and the columns it is found under without a mapping.
EVENT_COLUMNS: dict[str, tuple[str, ...]] = {
    "patient": ("patient_id",),
    "issuer": ("issuer_of_patient_id", "issuer"),
    "lesion": ("lesion_id",),
    "date": ("date", "event_date"),
    "event": ("event", "event_kind"),
    "diagnosis": ("diagnosis",),
}

#: What the table of clinical outcomes says, and the columns it is found under without a mapping: ISIC's where it has
#: one. A time in days counts from the origin (the diagnosis of the primary).
OUTCOME_COLUMNS: dict[str, tuple[str, ...]] = {
    "patient": ("patient_id",),
    "lesion": ("lesion_id",),
    "sex": ("sex",),
    "age": ("age_approx", "age"),
    "thickness_mm": ("mel_thick_mm",),
    "ulceration": ("mel_ulcer",),
    "mitoses": ("mel_mitotic_index",),
    "t_category": ("t_category",),
    "stage": ("stage", "ajcc_stage"),
    "nodes_positive": ("nodes_positive",),
    "nodes_examined": ("nodes_examined",),
    "origin_date": ("origin_date", "diagnosis_date", "date_of_diagnosis"),
    "event": ("event", "event_kind"),
    "event_date": ("event_date",),
    "time_days": ("time_days", "event_days"),
    "time_months": ("time_months",),
    "time_years": ("time_years",),
    "recurrence_kind": ("recurrence_kind",),
    "recurrence_date": ("recurrence_date",),
    "recurrence_days": ("recurrence_days",),
    "recurrence_local_date": ("recurrence_local_date",),
    "recurrence_local_days": ("recurrence_local_days",),
    "recurrence_locoregional_date": ("recurrence_locoregional_date",),
    "recurrence_locoregional_days": ("recurrence_locoregional_days",),
    "recurrence_distant_date": ("recurrence_distant_date",),
    "recurrence_distant_days": ("recurrence_distant_days",),
    "death_cause": ("death_cause", "cause_of_death"),
    "death_date": ("death_date", "date_of_death"),
    "death_days": ("death_days",),
    "vital_status": ("vital_status",),
    "last_follow_up_date": ("last_follow_up_date", "last_followup_date", "date_of_last_follow_up"),
    "last_follow_up_days": ("last_follow_up_days", "last_followup_days"),
}

#: Fields that a default may not fill: they tell one image from another.
_NOT_DEFAULT = ("image", "patient", "lesion", "lesion_uid")

_SECTIONS = ("columns", "values", "defaults", "identity", "files", "events", "outcomes")


@dataclass(frozen=True)
class SourceMapping:
    """A checked mapping; the default one knows ISIC's names only."""

    columns: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, str] = field(default_factory=dict)
    outcomes: Mapping[str, str] = field(default_factory=dict)
    patient_per_lesion: bool = False
    undated_repeat: bool = False
    archive_wide_lesions: bool = False
    issuer: str | None = None
    folder: str | None = None
    extension: str | None = None
    ignore: tuple[str, ...] = ()

    def translate(self, name: str, value: str | None) -> str | None:
        """A value of field `name` in our words; the default where there is none."""
        if value is None:
            return self.defaults.get(name)
        words = self.values.get(name, {})
        return words.get(value, words.get(value.lower(), value))


def read_mapping(path: Path) -> SourceMapping:
    """Read and check a mapping file.

    Raises UsageError with all of its problems in one line, SourceNotFoundError, AccessError.
    """
    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceNotFoundError("the mapping file does not exist; check the path given") from None
    except OSError:
        raise AccessError("the mapping file cannot be read; check its permissions") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        place = str(error).rpartition("(")[2].rstrip(")") if "(at " in str(error) else "not UTF-8"
        raise UsageError(f"the mapping file is not TOML ({place}); correct it") from None
    problems: list[str] = [f"unknown section [{name}]" for name in plain if name not in _SECTIONS]
    columns = _words(plain, "columns", _named(IMAGE_COLUMNS), problems)
    defaults = _words(plain, "defaults", _named(IMAGE_COLUMNS), problems)
    problems += [f"[defaults] {name} cannot be the same for all images" for name in defaults if name in _NOT_DEFAULT]
    events = _words(plain, "events", _named(EVENT_COLUMNS), problems)
    outcomes = _words(plain, "outcomes", _named(OUTCOME_COLUMNS), problems)
    identity = _section(plain, "identity", problems)
    files = _section(plain, "files", problems)
    kinds: list[tuple[dict[str, Any], str, dict[str, type[Any]]]] = [
        (
            identity,
            "identity",
            {"patient_per_lesion": bool, "undated_repeat": bool, "lesion_scope": str, "issuer": str},
        ),
        (files, "files", {"folder": str, "extension": str, "ignore": list}),
    ]
    for section, title, allowed in kinds:
        for name, value in section.items():
            if name not in allowed:
                problems.append(f"unknown [{title}] {name}")
            elif not isinstance(value, allowed[name]) or (
                name == "ignore" and not all(isinstance(v, str) for v in value)
            ):
                problems.append(f"[{title}] {name} must be {_kind_name(allowed[name])}")
    scope = identity.get("lesion_scope", "patient")
    if scope not in ("patient", "archive"):
        problems.append('[identity] lesion_scope must be "patient" or "archive"')
    values = _values(plain, problems)
    if problems:
        raise UsageError("the mapping file has problems: " + "; ".join(problems))
    extension = files.get("extension")
    return SourceMapping(
        columns=columns,
        values=values,
        defaults=defaults,
        events=events,
        outcomes=outcomes,
        patient_per_lesion=identity.get("patient_per_lesion", False),
        undated_repeat=identity.get("undated_repeat", False),
        archive_wide_lesions=scope == "archive",
        issuer=identity.get("issuer"),
        folder=files["folder"].strip("/") if "folder" in files else None,
        extension=None if extension is None else "." + extension.lstrip("."),
        ignore=tuple(files.get("ignore", ())),
    )


def _named(columns: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Short names and the columns' own names, both to the short name."""
    return {alias: name for name, aliases in columns.items() for alias in (*aliases, name)}


def _section(plain: dict[str, Any], title: str, problems: list[str]) -> dict[str, Any]:
    section = plain.get(title, {})
    if not isinstance(section, dict):
        problems.append(f"[{title}] must be a section")
        return {}
    return section


def _words(plain: dict[str, Any], title: str, allowed: dict[str, str], problems: list[str]) -> dict[str, str]:
    found = {}
    for name, value in _section(plain, title, problems).items():
        if name not in allowed:
            problems.append(f"unknown [{title}] {name} (there is {', '.join(sorted(set(allowed.values())))})")
        elif not isinstance(value, str | int | float) or isinstance(value, bool):
            problems.append(f"[{title}] {name} must be text")
        else:
            found[allowed[name]] = str(value)
    return found


def _values(plain: dict[str, Any], problems: list[str]) -> dict[str, dict[str, str]]:
    allowed = _named(IMAGE_COLUMNS) | _named(EVENT_COLUMNS) | _named(OUTCOME_COLUMNS)
    found: dict[str, dict[str, str]] = {}
    for name, words in _section(plain, "values", problems).items():
        if name not in allowed:
            problems.append(f"unknown [values.{name}]")
        elif not isinstance(words, dict) or not all(isinstance(word, str) for word in words.values()):
            problems.append(f"[values.{name}] must map text to text")
        else:
            found[allowed[name]] = dict(words)
    return found


def _kind_name(kind: type[Any]) -> str:
    return {bool: "true or false", str: "text", list: "a list of texts"}[kind]
