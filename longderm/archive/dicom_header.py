"""What a DICOM header says of its photo: identity, lesion, date, site, optics, scale."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from longderm.archive.claims import Claims, clean, parse_laterality, parse_sex, patient_text, round_age, with_date
from longderm.archive.dicom_file import DERMOSCOPIC_PHOTOGRAPHY, SECONDARY_CAPTURE, items, number, text
from longderm.archive.dicom_pixels import SPACING_TOLERANCE, pixel_spacing
from longderm.archive.images import device_text
from longderm.archive.sites import general_site, site_meaning, site_text, special_site

if TYPE_CHECKING:
    from pydicom import Dataset

#: Where the acquisition date stands, best first.
_DATES = ("AcquisitionDateTime", "AcquisitionDate", "ContentDate", "StudyDate")
_ACQUISITION = _DATES[:2]

#: Modality (0008,0060) of photos: dermoscopy, external camera; "OT" and "SC" say nothing.
_PHOTO_MODALITIES = {"DMS": "dermoscopic", "XC": "clinical"}
_SILENT_MODALITIES = (None, "OT", "SC")

#: Words of a series' or image's description that tell the modality where SOP class and modality do not: devices that
#: are older than the dermoscopy class send dermoscopy as external camera photos.
_DESCRIBED = (
    ("dermoscopic", r"derm(at)?oscop|epiluminesc|auflicht"),
    ("tbp_tile", r"\btbp[ _]tile|\btile\b"),
    ("total_body", r"total[ _-]?body|whole[ _-]?body|\btbp\b|\boverview\b|bodymap"),
    ("clinical", r"close[ _-]?up|\bclinical\b|\bmacro"),
)

#: SNOMED CT and SNOMED RT: Entire body.
_WHOLE_BODY = {("SCT", "38266002"), ("SRT", "T-D0010")}

#: SNOMED CT and SNOMED RT codes of left, right and both sides.
_SIDE_CODES = {"7771000": "L", "24028007": "R", "51440002": "B", "G-A101": "L", "G-A100": "R", "G-A102": "B"}

#: Content items of the acquisition context: Tracking Identifier and Tracking Unique Identifier (DCM).
_TRACKING_ITEMS = {"112039": "TextValue", "112040": "UID"}

_SITE_SEQUENCES = ("PrimaryAnatomicStructureSequence", "AnatomicRegionSequence")


@dataclass(frozen=True)
class Header:
    """The claims of a header, its SOP Instance UID, whether text is burnt in (None: not said), and caveats."""

    claims: Claims
    sop_uid: str | None
    burned_in: bool | None
    caveats: tuple[str, ...] = ()


def read_header(dataset: Dataset) -> Header:
    """Read what is known of the photo (call it within `silenced`)."""
    caveats: list[str] = []
    claims = Claims(
        patient=patient_text(text(dataset, "PatientID")),
        issuer=clean(text(dataset, "IssuerOfPatientID")),
        sex=parse_sex(text(dataset, "PatientSex")),
        age_approx=_age(dataset),
        device=_device(dataset),
        magnification=_positive(number(dataset, "OpticalMagnificationFactor")),
        polarised={"POLARIZED": True, "NON_POLARIZED": False}.get(
            (text(dataset, "LightSourcePolarization") or "").upper()
        ),
        contact={"CONTACT": True, "NON_CONTACT": False}.get((text(dataset, "ContactMethod") or "").upper()),
    )
    label, uid = _tracking(dataset)
    claims = replace(claims, lesion=label, lesion_uid=uid)
    for keyword in _DATES:
        found = text(dataset, keyword)
        if found is not None and (claims.date is None):
            # a date-time begins with its local date; "2024.05.01" is how the oldest devices write it
            claims = with_date(claims, found[:10] if found[4:5] == "." else found[:8])
            if claims.date is not None and keyword not in _ACQUISITION:
                caveats.append("date_not_of_acquisition")
    claims, assumed = _with_modality(_with_site(claims, dataset), dataset)
    caveats += assumed
    if "DERIVED" in [str(part).upper() for part in dataset.get("ImageType") or []][:1]:
        caveats.append("derived_image")
    claims = _with_scale(claims, dataset)
    stated = (text(dataset, "BurnedInAnnotation") or "").upper()
    return Header(claims, text(dataset, "SOPInstanceUID"), {"YES": True, "NO": False}.get(stated), tuple(caveats))


def _tracking(dataset: Dataset) -> tuple[str | None, str | None]:
    """Tracking ID and UID at the top, within the acquisition context, or beside the anatomic site."""
    places = [dataset, *items(dataset, "AcquisitionContextSequence")]
    for keyword in _SITE_SEQUENCES:
        places += items(dataset, keyword)
    label = uid = None
    for place in places:
        label = label or clean(text(place, "TrackingID"))
        uid = uid or clean(text(place, "TrackingUID"))
        for concept in items(place, "ConceptNameCodeSequence"):
            holder = _TRACKING_ITEMS.get(text(concept, "CodeValue") or "")
            if holder == "TextValue":
                label = label or clean(text(place, holder))
            elif holder == "UID":
                uid = uid or clean(text(place, holder))
    return label, uid


def _with_site(claims: Claims, dataset: Dataset) -> Claims:
    for keyword in _SITE_SEQUENCES:
        for item in items(dataset, keyword):
            code = text(item, "CodeValue") or text(item, "LongCodeValue")
            if code is None:
                continue
            meaning = site_meaning((text(item, "CodingSchemeDesignator") or "").upper(), code)
            # a code that is not in the table: its meaning as written, if it holds words for sites only
            meaning = meaning or site_text(text(item, "CodeMeaning"))
            sides = [
                _SIDE_CODES.get(text(side, "CodeValue") or "")
                for name in ("AnatomicRegionModifierSequence", "PrimaryAnatomicStructureModifierSequence")
                for side in items(item, name)
            ]
            claims = replace(
                claims,
                # a code is short and without blanks; anything else may be text
                site_code=code if len(code) <= 16 and code.replace("-", "").isalnum() else None,
                anatom_site_general=general_site(meaning) if meaning else None,
                anatom_site_1=meaning.removeprefix("Skin of ").capitalize() if meaning else None,
                special_site=special_site(meaning, text(item, "CodeMeaning")),
                laterality=next((side for side in sides if side), None),
            )
            break
        if claims.site_code is not None:
            break
    side = text(dataset, "ImageLaterality") or text(dataset, "Laterality")
    return replace(claims, laterality=claims.laterality or parse_laterality(side))


def _with_modality(claims: Claims, dataset: Dataset) -> tuple[Claims, list[str]]:
    stated = (text(dataset, "Modality") or "").upper() or None
    sop_class = text(dataset, "SOPClassUID")
    codes = {
        ((text(item, "CodingSchemeDesignator") or "").upper(), text(item, "CodeValue"))
        for keyword in _SITE_SEQUENCES
        for item in items(dataset, keyword)
    }
    if sop_class == DERMOSCOPIC_PHOTOGRAPHY:
        return replace(claims, modality="dermoscopic"), []
    if stated not in _SILENT_MODALITIES and stated not in _PHOTO_MODALITIES:
        return replace(claims, modality_problem="the DICOM modality is none of a photo"), []
    if stated == "DMS":
        return replace(claims, modality="dermoscopic"), []
    described = " ".join(text(dataset, name) or "" for name in ("SeriesDescription", "StudyDescription")).lower()
    told = next((name for name, words in _DESCRIBED if re.search(words, described)), None)
    if told is not None or codes & _WHOLE_BODY:
        return replace(claims, modality=told or "total_body"), []
    if stated in _PHOTO_MODALITIES:
        return replace(claims, modality=_PHOTO_MODALITIES[stated]), []
    if sop_class == SECONDARY_CAPTURE:
        return replace(claims, modality="dermoscopic"), ["modality_assumed"]
    return replace(claims, modality="clinical"), []


def _with_scale(claims: Claims, dataset: Dataset) -> Claims:
    """The scale from Pixel Spacing where it is calibrated on the object; Imager Pixel Spacing never counts.

    PS3.3 10.7.1.3: without a calibration type, a Pixel Spacing that repeats the Imager Pixel Spacing is the sensor's.
    """
    spacing = pixel_spacing(dataset)
    if spacing is None:
        return claims
    calibrated = text(dataset, "PixelSpacingCalibrationType") is not None
    imager = dataset.get("ImagerPixelSpacing")
    if not calibrated and imager:
        try:
            same = all(abs(float(a) / b - 1) < SPACING_TOLERANCE for a, b in zip(imager, spacing, strict=True))
        except (TypeError, ValueError):
            same = True
        if same:
            return claims
    return replace(claims, px_per_mm=1 / min(spacing), px_per_mm_source="dicom_pixel_spacing")


def _age(dataset: Dataset) -> int | None:
    stated = text(dataset, "PatientAge") or ""
    if len(stated) == 4 and stated[:3].isdigit() and stated[3] in "YMWD":
        return round_age(int(stated[:3]) / {"Y": 1, "M": 12, "W": 52, "D": 365}[stated[3]])
    return None


def _device(dataset: Dataset) -> str | None:
    return device_text(*(text(dataset, keyword) for keyword in ("Manufacturer", "ManufacturerModelName")))


def _positive(found: float | None) -> float | None:
    return found if found is not None and 0 < found < 1e6 else None
