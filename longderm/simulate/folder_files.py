"""Maker B's files: JPEG with EXIF (now and then PNG or TIFF) and one row of a metadata table in ISIC's column names."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from longderm.simulate.colour_profiles import icc_profile
from longderm.simulate.records import PhotoRecord, number_of
from longderm.simulate.sites import SITES

COLUMNS = (
    "isic_id",
    "patient_id",
    "lesion_id",
    "acquisition_date",
    "sex",
    "age_approx",
    "anatom_site_general",
    "anatom_site_1",
    "fitzpatrick_skin_type",
    "image_type",
    "dermoscopic_type",
    "pixels_per_mm",
)

#: ISIC's words for the modalities.
IMAGE_TYPES = {
    "dermoscopic": "dermoscopic",
    "clinical": "clinical: close-up",
    "total_body": "clinical: overview",
    "tbp_tile": "TBP tile: close-up",
}

#: EXIF orientation -> the turn (quarter turns counter-clockwise) that stores an upright photo so.
STORED_TURNS = {1: 0, 3: 2, 6: 1, 8: 3}


def choose_format(record: PhotoRecord) -> str:
    """The file name's suffix: mostly jpg, now and then png or tiff."""
    at = number_of(*record.key, "format") % 100
    return "png" if at < 3 else "tiff" if at < 5 else "jpg"


def choose_orientation(record: PhotoRecord) -> int:
    """The EXIF orientation: upright, or as a camera held otherwise writes it."""
    at = number_of(*record.key, "orientation") % 100
    return 6 if at < 9 else 8 if at < 15 else 3 if at < 19 else 1


def image_bytes(
    record: PhotoRecord, pixels: NDArray[np.uint8], suffix: str, quality: int, orientation: int = 1
) -> bytes:
    """One photo as a file of the given suffix; a JPEG carries EXIF and a colour profile."""
    from PIL import Image

    buffer = io.BytesIO()
    if suffix == "png":
        Image.fromarray(pixels).save(buffer, "PNG", compress_level=4)
    elif suffix == "tiff":
        Image.fromarray(pixels).save(buffer, "TIFF", compression="tiff_lzw")
    else:
        stored = np.ascontiguousarray(np.rot90(pixels, STORED_TURNS[orientation]))
        exif = Image.Exif()
        exif[274] = orientation
        exif[271], exif[272] = record.device.manufacturer, record.device.model
        exif.get_ifd(0x8769)[36867] = f"{record.day:%Y:%m:%d} {8 + number_of(*record.visit_key) % 9:02d}:00:00"
        Image.fromarray(stored).save(
            buffer, "JPEG", quality=quality, subsampling="4:2:0", exif=exif.tobytes(), icc_profile=icc_profile("sRGB")
        )
    return buffer.getvalue()


def metadata_row(record: PhotoRecord) -> dict[str, str]:
    """The photo's row of metadata.csv; what is not known is empty."""
    person, device = record.person, record.device
    site = SITES[record.site] if record.site is not None else None
    dermoscopic_type = ""
    if record.modality == "dermoscopic":
        contact = "contact" if device.contact else "non-contact"
        dermoscopic_type = f"{contact} {'polarized' if device.polarised else 'non-polarized'}"
    return {
        "isic_id": record.path.rsplit("/", 1)[-1].rsplit(".", 1)[0],
        "patient_id": person.source_id,
        "lesion_id": record.lesion or "",
        "acquisition_date": record.day.isoformat(),
        "sex": person.sex,
        "age_approx": str(person.age_at(record.day)),
        "anatom_site_general": site.general if site else "",
        "anatom_site_1": site.first if site else "",
        "fitzpatrick_skin_type": person.skin,
        "image_type": IMAGE_TYPES[record.modality],
        "dermoscopic_type": dermoscopic_type,
        "pixels_per_mm": "" if record.px_per_mm_stated is None else f"{record.px_per_mm_stated:.3f}",
    }
