"""Decode an image file (JPEG, PNG, TIFF, BMP, WebP, JPEG 2000) to sRGB pixels on the native grid.

Hostile files are met before they are decoded: the header's size against the limit, the number of frames, the number
of scans of a progressive JPEG. Only formats whose decoders hold against hostile files are opened at all.
"""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from longderm.archive.colour import oriented, to_srgb_pixels
from longderm.archive.jpeg2000 import decode_deep, is_deep
from longderm.errors import UnusablePhotoError

if TYPE_CHECKING:
    from PIL import Image

#: The decoders that may be tried. JPEG also opens MPO, a JPEG with further pictures behind it.
_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "JPEG2000")

#: More than dermatology's cameras have (body scanners reach 60). Whatever the file, so many are decoded in 0.9 GB.
DEFAULT_MAX_MEGAPIXELS = 80.0

#: OpenJPEG needs 20 bytes and 60 ns a pixel: so many stay below 0.9 GB and 3 s.
JPEG2000_MAX_MEGAPIXELS = 40.0

#: Each scan of a progressive JPEG is a pass over the whole image (some 300 megapixels a second on one core). Encoders
#: write about 10; so many are always allowed, and more only where all passes together stay below 5 s.
JPEG_SCANS, JPEG_SCAN_MEGAPIXELS = 16, 1500.0

#: NewSubfileType (tag 254) bit 0: a reduced copy of another page, such as a thumbnail.
_TIFF_SUBFILE_TYPE, _TIFF_REDUCED = 254, 1
_TIFF_BITS_PER_SAMPLE, _TIFF_COMPRESSION = 258, 259

#: More tags than any camera writes; libtiff reports each foreign one of a malformed directory on stderr.
_TIFF_MAX_TAGS = 150

#: Fax codes of bilevel pages (CCITT RLE, Group 3, Group 4): no photo, and their damage goes unnoticed.
_FAX_COMPRESSIONS = (2, 3, 4, 32771)

#: TIFF pages looked at to see whether the further ones are only thumbnails.
_TIFF_MAX_PAGES = 8

#: EXIF tags: orientation, the camera's manufacturer and model.
_ORIENTATION, _MAKE, _MODEL = 0x0112, 0x010F, 0x0110

#: Files are looked through in pieces of this size.
_CHUNK_BYTES = 2**20

#: A device's name longer than this is a remark.
_DEVICE_LENGTH = 64


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pixels uint8 (H, W, 3) sRGB on the native grid, the file's format, caveats of the decoding, the EXIF device."""

    pixels: NDArray[np.uint8]
    format: str
    caveats: tuple[str, ...] = ()
    device: str | None = None


def decode_image(source: bytes | BinaryIO, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Decoded:
    """Decode an image file (open for reading, or its bytes), its orientation and colour profile applied.

    Raises UnusablePhotoError: not_an_image, too_large, multi_frame, truncated, unsupported_syntax or unreadable.
    """
    # read as it is decoded: the bytes of an uncompressed photo need not be in memory beside its pixels
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    with opened_image(stream, max_megapixels) as image:
        return finish_image(image, stream)


@contextlib.contextmanager
def opened_image(stream: BinaryIO, max_megapixels: float) -> Iterator[Image.Image]:
    """The image of a file, its header read and all that can be checked before its pixels are decoded.

    Raises UnusablePhotoError: not_an_image, too_large, multi_frame, unsupported_syntax or unreadable.
    """
    from PIL import Image, UnidentifiedImageError

    _load_plugins()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the size is checked against our own limit, odd tags end as caveats
        try:
            image = Image.open(stream, formats=_FORMATS)
        except Image.DecompressionBombError:
            raise UnusablePhotoError("too_large", "the header announces more pixels than any camera has") from None
        except UnidentifiedImageError:
            raise UnusablePhotoError("not_an_image", "no header of an image that is read") from None
        except Exception as error:  # decoders raise anything; the text may quote the file and is not passed on
            raise UnusablePhotoError("unreadable", f"malformed header ({type(error).__name__})") from None
        with image:
            check_size(*image.size, max_megapixels, jpeg2000=image.format == "JPEG2000")
            if image.format in ("JPEG", "MPO"):
                check_scans(stream, *image.size)
            _check_packing(image, stream)
            _check_frames(image)
            yield image


def _load_plugins() -> None:
    """Register just the decoders in `_FORMATS`, so that no other one of Pillow's is ever offered a file."""
    from PIL import (  # noqa: F401
        BmpImagePlugin,
        Jpeg2KImagePlugin,
        JpegImagePlugin,
        MpoImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )


def check_size(width: int, height: int, max_megapixels: float, jpeg2000: bool = False) -> None:
    """Refuse an image by the size its header states: UnusablePhotoError (too_large), before anything is decoded."""
    limit = min(max_megapixels, JPEG2000_MAX_MEGAPIXELS) if jpeg2000 else max_megapixels
    if width * height > limit * 1e6:
        raise UnusablePhotoError("too_large", f"{width}x{height} pixels, the limit is {limit:g} megapixels")
    if width < 1 or height < 1:
        raise UnusablePhotoError("unreadable", f"{width}x{height} pixels")


def check_scans(stream: BinaryIO, width: int, height: int) -> None:
    """Refuse a JPEG with so many scans that decoding takes too long: UnusablePhotoError (unreadable)."""
    place = stream.tell()
    stream.seek(0)
    scans, last = 0, b""
    while chunk := stream.read(_CHUNK_BYTES):
        # in entropy-coded data 0xFF is always followed by 0x00, so that these two bytes are a start of scan
        scans += (last + chunk).count(b"\xff\xda")
        last = chunk[-1:]
    stream.seek(place)
    if scans > max(JPEG_SCANS, JPEG_SCAN_MEGAPIXELS / (width * height / 1e6)):
        raise UnusablePhotoError("unreadable", "a JPEG of more scans than encoders write")


def _check_packing(image: Image.Image, stream: BinaryIO) -> None:
    """Refuse packings whose decoders hand out damaged pixels without a word: run-length BMP and fax pages."""
    if image.format == "BMP" and image.info.get("compression", 0) not in (0, 3):
        raise UnusablePhotoError("unsupported_syntax", "a run-length BMP")
    if image.format == "TIFF":
        if _tiff_tags(stream) > _TIFF_MAX_TAGS:
            raise UnusablePhotoError("unreadable", "a TIFF with more tags than any camera writes")
        if _tag(image, _TIFF_COMPRESSION) in _FAX_COMPRESSIONS:
            raise UnusablePhotoError("unsupported_syntax", "a fax page")


def _tiff_tags(stream: BinaryIO) -> int:
    """Entries of a TIFF's first directory as it states them; Pillow leaves out those that it cannot read."""
    place = stream.tell()
    stream.seek(0)
    head = stream.read(8)
    order = "<" if head[:2] == b"II" else ">"
    if head[2:4] not in (b"*\x00", b"\x00*"):  # a BigTIFF
        stream.seek(place)
        return 0
    stream.seek(struct.unpack(order + "I", head[4:8])[0])
    count = stream.read(2)
    stream.seek(place)
    return int(struct.unpack(order + "H", count)[0]) if len(count) == 2 else 0


def _check_frames(image: Image.Image) -> None:
    if image.format in ("JPEG", "MPO"):
        return  # the further pictures of an MPO are previews, depth or gain maps; the first is the photo
    frames = _tiff_full_pages(image) if image.format == "TIFF" else int(getattr(image, "n_frames", 1))
    if frames > 1:
        raise UnusablePhotoError("multi_frame", "several pages or an animation")


def _tiff_full_pages(image: Image.Image) -> int:
    """Pages of a TIFF that are not marked as reduced copies; stops counting at two."""
    full = 1
    try:
        for page in range(1, _TIFF_MAX_PAGES + 1):
            image.seek(page)
            if not int(_tag(image, _TIFF_SUBFILE_TYPE) or 0) & _TIFF_REDUCED:
                full += 1
                break
    except Exception:  # a malformed further page: the end of what can be read of the file
        pass
    try:
        image.seek(0)
    except Exception as error:  # Pillow's decoders raise anything on malformed pages
        raise UnusablePhotoError("unreadable", f"malformed pages ({type(error).__name__})") from None
    return full


def _tag(image: Image.Image, tag: int) -> Any:
    value = image.tag_v2.get(tag)  # type: ignore[attr-defined]  # Pillow types the base class only
    return value[0] if isinstance(value, tuple) and value else value


def finish_image(
    image: Image.Image, stream: BinaryIO, fit: Callable[[Image.Image], Image.Image] | None = None
) -> Decoded:
    """Decode the pixels of an opened image, bring them to sRGB and turn them upright; the image is closed.

    fit: a last step before colours and orientation are seen to. Raises UnusablePhotoError: truncated, too_large,
    unsupported_syntax or unreadable.
    """
    profile = image.info.get("icc_profile")
    name = {"MPO": "jpeg", "JPEG2000": "jpeg2000"}.get(str(image.format), str(image.format).lower())
    bits = _significant_bits(image)
    if image.format == "JPEG2000" and _is_deep(stream):
        from PIL import Image

        stream.seek(0)
        image = Image.fromarray(decode_deep(stream.read()))
    else:
        load(image)
    # after the pixels: Pillow turns a TIFF itself, and takes the tag away
    orientation, device, caveats = read_exif(image)
    fitted = image if fit is None else fit(image)
    pixels, colour = to_srgb_pixels(fitted, profile if isinstance(profile, bytes) else None, bits)
    image.close()  # before turning, which makes a copy
    return Decoded(oriented(pixels, orientation), name, (*caveats, *colour), device)


def read_exif(image: Image.Image) -> tuple[int, str | None, tuple[str, ...]]:
    """The orientation that an image's EXIF states (1 where it states none), the device, and caveats."""
    try:
        exif = image.getexif()
        return int(exif.get(_ORIENTATION, 1)), _device(exif), ()
    except Exception:  # malformed EXIF raises anything; the orientation is then unknown, which the caveat says
        return 1, None, ("exif_unreadable",)


def _is_deep(stream: BinaryIO) -> bool:
    place = stream.tell()
    stream.seek(0)
    deep = is_deep(stream.read(_CHUNK_BYTES))
    stream.seek(place)
    return deep


def load(image: Image.Image) -> None:
    """Decode the pixels of an opened image. Raises UnusablePhotoError: truncated or unreadable."""
    try:
        image.load()
    except Exception as error:  # decoders raise anything; the text may quote the file and is not passed on
        text = str(error).lower()
        cut = any(words in text for words in ("truncated", "not enough", "unexpected end"))
        if cut or isinstance(error, EOFError):
            raise UnusablePhotoError("truncated", "the file ends before its pixels do") from None
        if isinstance(error, MemoryError):
            raise UnusablePhotoError("too_large", "its pixels do not fit into memory") from None
        raise UnusablePhotoError("unreadable", f"malformed pixels ({type(error).__name__})") from None


def _device(exif: Image.Exif) -> str | None:
    return device_text(*(exif.get(tag) for tag in (_MAKE, _MODEL)))


def device_text(*parts: object) -> str | None:
    """Manufacturer and model as one short text of letters, digits and plain signs, or None."""
    words = " ".join(part for part in parts if isinstance(part, str)).replace("\x00", " ").split()
    joined = "".join(sign for sign in " ".join(words) if sign.isalnum() or sign in " .,()/+-_")
    return joined[:_DEVICE_LENGTH].strip() or None


def _significant_bits(image: Image.Image) -> int | None:
    if image.format == "TIFF":
        bits = _tag(image, _TIFF_BITS_PER_SAMPLE)
        return int(bits) if bits else None
    return None
