"""Read any supported file to a photo."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from longderm.archive.claims import Claims
from longderm.archive.dicom_file import open_dicom
from longderm.archive.dicom_header import read_header
from longderm.archive.dicom_pixels import decode_dicom
from longderm.archive.images import DEFAULT_MAX_MEGAPIXELS, Decoded, decode_image
from longderm.archive.reduced import ReducedDecode, decode_reduced, divisor_for
from longderm.archive.silence import silenced
from longderm.archive.sniff import SNIFF_BYTES, image_format
from longderm.errors import AccessError, SourceNotFoundError, UnusablePhotoError
from longderm.photo import Photo, PhotoMeta

#: Bytes per pixel that a file may have at most, with room for its header: 16-bit colour, uncompressed.
_MAX_BYTES_PER_PIXEL = 6
_HEADER_BYTES = 64 * 2**20


@dataclass(frozen=True, eq=False)
class Contents:
    """A decoded file: pixels, what the file itself says of them, and what identifies it.

    `identity` is ("sop", SOP Instance UID) or ("sha256", SHA-256 of the file's bytes).
    """

    decoded: Decoded
    claims: Claims
    identity: tuple[str, str]
    caveats: tuple[str, ...]


def read_photo(path: str | Path, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Photo:
    """Read a DICOM, JPEG, PNG, TIFF, BMP, WebP or JPEG 2000 file to a photo on its native grid.

    Pixels are uint8 (H, W, 3) sRGB, EXIF orientation and ICC profile applied, pixels square. `meta` holds what the file
    itself says; the modality of an image file is not said in it and taken as dermoscopic (caveat `modality_assumed`).
    Raises UnusablePhotoError with the reason, SourceNotFoundError, AccessError.
    """
    contents = read_contents(Path(path), max_megapixels)
    return Photo(contents.decoded.pixels, photo_meta(contents.claims, contents.caveats))


def open_photo(path: str | Path, row: Mapping[str, Any], max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Photo:
    """Read a photo that was taken in: the file's pixels, and the `meta` of its row in table `photos`.

    Raises UnusablePhotoError (unreadable) where the file has another size than it had then.
    """
    contents = read_contents(Path(path), max_megapixels)
    height, width = contents.decoded.pixels.shape[:2]
    if (width, height) != (row["width_px"], row["height_px"]):
        raise UnusablePhotoError("unreadable", "the file has changed since it was taken in; run ingest again")
    return Photo(contents.decoded.pixels, row_meta(row))


def open_reduced(
    path: str | Path,
    row: Mapping[str, Any],
    least_side_px: int,
    is_same: Callable[[tuple[str, str]], bool],
    max_megapixels: float = DEFAULT_MAX_MEGAPIXELS,
) -> ReducedDecode | None:
    """The pixels of a large JPEG photo that was taken in, as small as its longer side stays at least `least_side_px`.

    `is_same` is asked whether the identity of the file's bytes, ("sha256", hex digest), is that of the photo: the bytes
    that are decoded are the ones that were taken in, to the last. None where it is not, where a reduced decode would
    not be smaller, and for files that are not read at reduced size; `open_photo` then tells. Raises
    UnusablePhotoError, SourceNotFoundError, AccessError.
    """
    if divisor_for(max(row["width_px"], row["height_px"]), least_side_px) == 1:
        return None
    with _opened(Path(path), max_megapixels) as (stream, head):
        if image_format(head) != "jpeg":
            return None
        data = stream.read()  # once: what is compared is what is decoded
    if not is_same(("sha256", hashlib.sha256(data).hexdigest())):
        return None
    with silenced():
        decoded = decode_reduced(data, least_side_px, max_megapixels)
    as_taken_in = decoded is not None and decoded.native_shape == (row["height_px"], row["width_px"])
    return decoded if as_taken_in else None


def row_meta(row: Mapping[str, Any]) -> PhotoMeta:
    """The `meta` of a row of table `photos`."""
    names = (
        "modality",
        "px_per_mm",
        "px_per_mm_source",
        "px_per_mm_error",
        "polarised",
        "contact",
        "magnification",
        "device",
    )
    return PhotoMeta(**{name: row[name] for name in names}, caveats=tuple(row["caveats"] or ()))


def read_contents(path: Path, max_megapixels: float) -> Contents:
    """Read and decode a file. Raises UnusablePhotoError, SourceNotFoundError, AccessError."""
    with _opened(path, max_megapixels) as (stream, head):
        if image_format(head) == "dicom":
            return _read_dicom(stream, max_megapixels)
        return _read_image(stream, max_megapixels)


@contextlib.contextmanager
def _opened(path: Path, max_megapixels: float) -> Iterator[tuple[io.BufferedReader, bytes]]:
    """A file of acceptable size, open at its start, and its first bytes.

    Raises UnusablePhotoError (too_large, truncated), SourceNotFoundError, AccessError.
    """
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > max_megapixels * 1e6 * _MAX_BYTES_PER_PIXEL + _HEADER_BYTES:
                raise UnusablePhotoError("too_large", f"a file of {size / 1e6:.0f} MB")
            head = stream.read(SNIFF_BYTES)
            if not head:
                raise UnusablePhotoError("truncated", "the file is empty")
            stream.seek(0)
            yield stream, head
    except FileNotFoundError:
        raise SourceNotFoundError("the photo's file does not exist; check the path") from None
    except OSError as error:
        raise AccessError(f"the photo's file cannot be read ({type(error).__name__}); check its permissions") from None


def _read_image(stream: io.BufferedReader, max_megapixels: float) -> Contents:
    identity = _digest(stream)
    with silenced():
        decoded = decode_image(stream, max_megapixels)
    return Contents(decoded, Claims(device=decoded.device), identity, ("burned_in_not_excluded", *decoded.caveats))


def _digest(stream: io.BufferedReader) -> tuple[str, str]:
    stream.seek(0)
    digest = hashlib.file_digest(stream, "sha256").hexdigest()
    stream.seek(0)
    return "sha256", digest


def _read_dicom(stream: io.BufferedReader, max_megapixels: float) -> Contents:
    with silenced(pydicom=True):
        # parsed from the file, not from its bytes: a large photo would be in memory twice
        dataset = open_dicom(stream)
        header = read_header(dataset)
        if header.claims.modality_problem:
            raise UnusablePhotoError("unsupported_modality", header.claims.modality_problem)
        if header.burned_in:
            raise UnusablePhotoError("burned_in_annotation", "BurnedInAnnotation is YES")
        decoded = decode_dicom(dataset, max_megapixels)
    identity = ("sop", header.sop_uid) if header.sop_uid else _digest(stream)
    unsaid = () if header.burned_in is False else ("burned_in_not_excluded",)
    return Contents(decoded, header.claims, identity, (*unsaid, *header.caveats, *decoded.caveats))


def photo_meta(claims: Claims, caveats: tuple[str, ...]) -> PhotoMeta:
    """The part of the claims that travels with the pixels."""
    meta = PhotoMeta(
        px_per_mm=claims.px_per_mm,
        px_per_mm_source=claims.px_per_mm_source,
        px_per_mm_error=claims.px_per_mm_error,
        polarised=claims.polarised,
        contact=claims.contact,
        magnification=claims.magnification,
        device=claims.device,
        caveats=caveats,
    )
    if claims.modality is None:
        return replace(meta, caveats=(*caveats, "modality_assumed"))
    return replace(meta, modality=claims.modality)
