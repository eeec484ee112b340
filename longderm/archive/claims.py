"""What a source says of one photo: who, which lesion, when, what kind. One form for headers, tables and paths."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass, fields, replace
from datetime import date

#: Photos of skin older than this are none; a date before it is a device's placeholder (1900-01-01 and the like).
EARLIEST_DATE = date(1950, 1, 1)

#: Archive-wide lesion identifiers of the ISIC archive: one lesion, whoever names it.
_ISIC_LESION = re.compile(r"IL_\d{7}")

_ISO_DATE = re.compile(r"(\d{4})[-/._]?(\d{2})[-/._]?(\d{2})(?:[T ].*)?")
_DOTTED_DATE = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")

_SEXES = {"m": "male", "male": "male", "f": "female", "female": "female"}
_ROMAN = ("I", "II", "III", "IV", "V", "VI")
_LATERALITIES = {"l": "L", "left": "L", "r": "R", "right": "R", "b": "B", "both": "B", "bilateral": "B"}

#: ISIC's image types, and the modality of each; what is not here is not a photo of skin that is compared.
IMAGE_TYPES = {
    "dermoscopic": "dermoscopic",
    "dermoscopy": "dermoscopic",
    "clinical": "clinical",
    "clinical: close-up": "clinical",
    "clinical: overview": "total_body",
    "total_body": "total_body",
    "total body": "total_body",
    "overview": "total_body",
    "tbp_tile": "tbp_tile",
    "tbp tile": "tbp_tile",
    "tbp tile: close-up": "tbp_tile",
}

#: ISIC's dermoscopic types: polarised, contact.
DERMOSCOPIC_TYPES = {
    "contact polarized": (True, True),
    "contact non-polarized": (False, True),
    "non-contact polarized": (True, False),
}


@dataclass(frozen=True)
class Claims:
    """What is said of one photo; None where nothing is said.

    `date` is ISO; `day` a day number where the source has no dates; the `..._problem` fields hold a sentence where a
    value is there but cannot be used. `lesion` is the label, `lesion_uid` an archive-wide identifier.
    """

    patient: str | None = None
    issuer: str | None = None
    identity_problem: str | None = None
    lesion: str | None = None
    lesion_uid: str | None = None
    date: str | None = None
    day: int | None = None
    date_problem: str | None = None
    undated_repeat: bool | None = None
    modality: str | None = None
    modality_problem: str | None = None
    sex: str | None = None
    fitzpatrick_skin_type: str | None = None
    age_approx: int | None = None
    anatom_site_general: str | None = None
    anatom_site_1: str | None = None
    anatom_site_2: str | None = None
    anatom_site_special: str | None = None
    site_code: str | None = None
    laterality: str | None = None
    special_site: str | None = None
    px_per_mm: float | None = None
    px_per_mm_source: str | None = None
    px_per_mm_error: float | None = None
    device: str | None = None
    polarised: bool | None = None
    contact: bool | None = None
    magnification: float | None = None

    def over(self, weaker: Claims) -> Claims:
        """These claims, and those of `weaker` where these say nothing.

        Values that belong together (date and its problem, label and UID, the parts of a scale) come from one side.
        """
        merged = {f.name: getattr(weaker, f.name) for f in fields(self)}
        groups = [
            ("date", "day", "date_problem"),
            ("lesion", "lesion_uid"),
            ("modality", "modality_problem"),
            ("px_per_mm", "px_per_mm_source", "px_per_mm_error"),
        ]
        grouped = {name for group in groups for name in group}
        groups += [(f.name,) for f in fields(self) if f.name not in grouped]
        for group in groups:
            if any(getattr(self, name) is not None for name in group):
                merged.update({name: getattr(self, name) for name in group})
        return Claims(**merged)

    def to_json(self) -> str:
        """The same claims give the same text; what is not said is left out."""
        return json.dumps({k: v for k, v in vars(self).items() if v is not None}, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Claims:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))


#: How exports write that there is nothing.
_NOTHING = frozenset(("nan", "na", "n/a", "null", "none", "-", "--", "?"))

#: Patient identifiers that stand for no patient: taken for one, all their lesions would be one person's.
_NOBODY = frozenset(("unknown", "anonymous", "anonymized", "anonymised", "anon", "anonym", "unbekannt", "noname", "0"))


def patient_text(value: str | None) -> str | None:
    """A patient identifier; None where it is empty or a placeholder."""
    cleaned = clean(value)
    return None if cleaned is None or cleaned.lower() in _NOBODY else cleaned


def clean(value: str | None) -> str | None:
    """Strip blanks and NULs, compose accents (NFC); an empty value is None."""
    if value is None:
        return None
    # undecodable bytes of a file name come as lone surrogates, which no table can hold
    decodable = str(value).replace("\x00", "").encode("utf-8", "backslashreplace").decode()
    cleaned = unicodedata.normalize("NFC", decodable).strip()
    return None if cleaned.lower() in _NOTHING else cleaned or None


def parse_date(text: str) -> tuple[str | None, str | None]:
    """A date as ISO, or None and a sentence that says why not.

    Taken: 2024-05-01 (also with / . _ or nothing between, and with a time behind it) and 1.5.2024. Dates such as
    05/01/2024 are ambiguous and not taken.
    """
    if match := _ISO_DATE.fullmatch(text):
        year, month, day = (int(part) for part in match.groups())
    elif match := _DOTTED_DATE.fullmatch(text):
        day, month, year = (int(part) for part in match.groups())
    else:
        return None, "the acquisition date is not written as YYYY-MM-DD"
    try:
        found = date(year, month, day)
    except ValueError:
        return None, "the acquisition date does not exist in the calendar"
    if found < EARLIEST_DATE:
        return None, "the acquisition date is a placeholder"
    return found.isoformat(), None


def with_date(claims: Claims, text: str | None) -> Claims:
    """Add the date that a source wrote, or why it is none."""
    if text is None:
        return claims
    found, problem = parse_date(text)
    return replace(claims, date=found, date_problem=problem)


def with_lesion(claims: Claims, text: str | None, archive_wide: bool = False) -> Claims:
    """Add a lesion's identifier; ISIC's own identifiers hold across the archive by themselves."""
    if text is None:
        return claims
    if archive_wide or _ISIC_LESION.fullmatch(text):
        return replace(claims, lesion=text, lesion_uid=text)
    return replace(claims, lesion=text)


def with_image_type(claims: Claims, image_type: str | None, dermoscopic_type: str | None = None) -> Claims:
    """Add modality and optics from ISIC's image_type and dermoscopic_type."""
    if image_type is not None:
        modality = IMAGE_TYPES.get(image_type.lower())
        problem = None if modality else "the image type is none of dermoscopic, clinical or total body"
        claims = replace(claims, modality=modality, modality_problem=problem)
    if dermoscopic_type is not None and dermoscopic_type.lower().replace("polarised", "polarized") in DERMOSCOPIC_TYPES:
        polarised, contact = DERMOSCOPIC_TYPES[dermoscopic_type.lower().replace("polarised", "polarized")]
        claims = replace(claims, polarised=polarised, contact=contact)
    return claims


def parse_sex(text: str | None) -> str | None:
    """male, female, or None."""
    return _SEXES.get(text.lower()) if text else None


def parse_skin_type(text: str | None) -> str | None:
    """I to VI from Roman or Arabic numbers, or None."""
    if not text:
        return None
    upper = text.upper()
    if upper in _ROMAN:
        return upper
    number = parse_number(text)
    return _ROMAN[int(number) - 1] if number is not None and number in (1, 2, 3, 4, 5, 6) else None


def parse_laterality(text: str | None) -> str | None:
    """L, R, B, or None."""
    return _LATERALITIES.get(text.lower()) if text else None


def parse_number(text: str | None) -> float | None:
    """A finite number, or None."""
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and abs(value) < 1e12 else None


def parse_positive(text: str | None) -> float | None:
    """A finite number above zero, or None."""
    value = parse_number(text)
    return value if value is not None and value > 0 else None


def round_age(years: float | None) -> int | None:
    """Age rounded to 5 years as the ISIC archive gives it, or None outside 0 to 120."""
    if years is None or not 0 <= years <= 120:
        return None
    return 5 * int(years / 5 + 0.5)
