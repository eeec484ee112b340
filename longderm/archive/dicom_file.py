"""Open a DICOM file: the checks that come before its pixels are decoded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from longderm.errors import UnusablePhotoError

if TYPE_CHECKING:
    from pydicom import Dataset

#: Transfer syntaxes that are read, and how their pixels are packed.
TRANSFER_SYNTAXES = {
    "1.2.840.10008.1.2": "native",
    "1.2.840.10008.1.2.1": "native",
    "1.2.840.10008.1.2.5": "rle",
    "1.2.840.10008.1.2.4.50": "jpeg",
    "1.2.840.10008.1.2.4.51": "jpeg",
    "1.2.840.10008.1.2.4.90": "jpeg2000",
    "1.2.840.10008.1.2.4.91": "jpeg2000",
}

DERMOSCOPIC_PHOTOGRAPHY = "1.2.840.10008.5.1.4.1.1.77.1.7"
VL_PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
#: Multi-frame true colour Secondary Capture: taken where it holds one frame.
_MULTIFRAME_COLOUR_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.4"

PHOTO_CLASSES = (DERMOSCOPIC_PHOTOGRAPHY, VL_PHOTOGRAPHIC, SECONDARY_CAPTURE, _MULTIFRAME_COLOUR_CAPTURE)

#: Behind the preamble and "DICM".
_META_START = 132

#: The file meta information's SOP class stands within these first bytes.
_HEAD_BYTES = 512

#: An index of other files, no image.
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"


def open_dicom(stream: BinaryIO) -> Dataset:
    """Parse a DICOM file that is open for reading (call it within `silenced`).

    Raises UnusablePhotoError: unsupported_syntax, unsupported_modality, truncated, unreadable.
    """
    from pydicom import dcmread
    from pydicom.filereader import read_dataset

    try:
        # PS3.10 7.1: group 2 is always explicit VR, little endian
        stream.seek(_META_START)
        meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
        syntax = str(meta.get("TransferSyntaxUID", ""))
        sop_class = str(meta.get("MediaStorageSOPClassUID", ""))
    except Exception as error:  # pydicom raises anything on malformed bytes
        raise _parse_error(error) from None
    if not syntax:
        raise UnusablePhotoError("truncated", "the file ends before its header names a transfer syntax")
    if sop_class and sop_class not in PHOTO_CLASSES:
        raise UnusablePhotoError("unsupported_modality", f"SOP class {_uid(sop_class)} is no photo")
    if syntax not in TRANSFER_SYNTAXES:
        # checked before the data set is parsed: the deflated syntax would be unpacked without a limit
        raise UnusablePhotoError("unsupported_syntax", f"transfer syntax {_uid(syntax)}")
    try:
        stream.seek(0)
        dataset = dcmread(stream)
    except Exception as error:  # pydicom raises anything on malformed bytes
        raise _parse_error(error) from None
    sop_class = sop_class or text(dataset, "SOPClassUID") or ""
    if sop_class not in PHOTO_CLASSES:
        if not sop_class:
            raise UnusablePhotoError("truncated", "the file ends before its header does")
        raise UnusablePhotoError("unsupported_modality", f"SOP class {_uid(sop_class)} is no photo")
    return dataset


def is_media_directory(path: Path) -> bool:
    """Whether a file is a DICOMDIR, an index of other files."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return head[128:132] == b"DICM" and MEDIA_DIRECTORY.encode() in head


def value(dataset: Dataset, keyword: str) -> Any:
    """An attribute's value, or None where it is absent, empty or malformed."""
    try:
        found = dataset.get(keyword)
    except Exception:  # pydicom converts when asked and raises anything on malformed bytes
        return None
    return None if found is None or found == "" else found


def text(dataset: Dataset, keyword: str) -> str | None:
    """An attribute as text, its first value where it has several; None where absent, empty or malformed."""
    found = value(dataset, keyword)
    if found is None:
        return None
    if not isinstance(found, str | bytes) and hasattr(found, "__getitem__") and hasattr(found, "__len__"):
        if len(found) == 0:
            return None
        found = found[0]
    stripped = str(found).replace("\x00", "").strip()
    return stripped or None


def number(dataset: Dataset, keyword: str) -> float | None:
    """An attribute as a number; None where absent or none."""
    found = text(dataset, keyword)
    try:
        return float(found) if found is not None else None
    except ValueError:
        return None


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; empty where it is absent or malformed."""
    found = value(dataset, keyword)
    try:
        return list(found) if found is not None else []
    except Exception:  # items are parsed when they are asked for, and pydicom raises anything on malformed bytes
        return []


def _uid(text: str) -> str:
    """A UID for a message: standard ones only, for a private one may name a site or a device."""
    return text if text.startswith("1.2.840.10008.") and len(text) <= 64 else "unknown"


def _parse_error(error: Exception) -> UnusablePhotoError:
    if isinstance(error, EOFError):
        return UnusablePhotoError("truncated", "the file ends before its data set does")
    return UnusablePhotoError("unreadable", f"malformed DICOM ({type(error).__name__})")
