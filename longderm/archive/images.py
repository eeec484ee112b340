"""Decode an image file (JPEG, PNG, TIFF, BMP, WebP, JPEG 2000) to sRGB pixels on the native grid.

Hostile files are met before they are decoded: the header's size against the limit, the number of frames, the number
of scans of a progressive JPEG. Only formats whose decoders hold against hostile files are opened at all.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from longderm.archive.colour import flatten, to_srgb
from longderm.errors import UnusablePhotoError

if TYPE_CHECKING:
    from PIL import Image

#: The decoders that may be tried. JPEG also opens MPO, a JPEG with further pictures behind it.
_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "JPEG2000")

#: More than any camera's sensor; needs some 0.8 GB while it is decoded.
DEFAULT_MAX_MEGAPIXELS = 100.0

#: JPEG 2000 decodes at 15 megapixels a second on one core: this many stay below 5 s.
JPEG2000_MAX_MEGAPIXELS = 60.0

#: Encoders write about 10 scans; each scan of a hostile progressive JPEG costs a pass over the whole image.
MAX_JPEG_SCANS = 100

#: NewSubfileType (tag 254) bit 0: a reduced copy of another page, such as a thumbnail.
_TIFF_SUBFILE_TYPE, _TIFF_REDUCED = 254, 1
_TIFF_BITS_PER_SAMPLE = 258

#: TIFF pages looked at to see whether the further ones are only thumbnails.
_TIFF_MAX_PAGES = 8

_ORIENTATION = 0x0112


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pixels uint8 (H, W, 3) sRGB on the native grid, the file's format, and caveats of the decoding."""

    pixels: NDArray[np.uint8]
    format: str
    caveats: tuple[str, ...] = ()


def decode_image(data: bytes, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Decoded:
    """Decode the bytes of an image file, its orientation and colour profile applied.

    Raises UnusablePhotoError: not_an_image, too_large, multi_frame, truncated, unsupported_syntax or unreadable.
    """
    from PIL import Image, UnidentifiedImageError

    _load_plugins()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of every odd tag; what matters ends as a caveat or an error
        try:
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
        except Image.DecompressionBombError:
            raise UnusablePhotoError("too_large", "the header announces more pixels than any camera has") from None
        except UnidentifiedImageError:
            raise UnusablePhotoError("not_an_image", "no header of an image that is read") from None
        except Exception as error:
            # the decoders raise anything on malformed headers; the text may quote the file, so it is not passed on
            raise UnusablePhotoError("unreadable", f"malformed header ({type(error).__name__})") from None
        with image:
            check_size(*image.size, max_megapixels, jpeg2000=image.format == "JPEG2000")
            _check_frames(image, data)
            return _decode(image)


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


def check_scans(data: bytes) -> None:
    """Refuse a JPEG with so many scans that decoding would take minutes: UnusablePhotoError (unreadable)."""
    # in entropy-coded data 0xFF is always followed by 0x00, so that these two bytes are a start of scan
    if data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise UnusablePhotoError("unreadable", f"a JPEG of more than {MAX_JPEG_SCANS} scans, as no camera writes it")


def _check_frames(image: Image.Image, data: bytes) -> None:
    if image.format in ("JPEG", "MPO"):
        # the further pictures of an MPO are previews, depth or gain maps; the first is the photo
        check_scans(data)
        return
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
    except Exception as error:
        raise UnusablePhotoError("unreadable", f"malformed pages ({type(error).__name__})") from None
    return full


def _tag(image: Image.Image, tag: int) -> Any:
    value = image.tag_v2.get(tag)  # type: ignore[attr-defined]
    return value[0] if isinstance(value, tuple) and value else value


def _decode(image: Image.Image) -> Decoded:
    from PIL import ImageOps

    caveats: tuple[str, ...] = ()
    profile = image.info.get("icc_profile")
    name = {"MPO": "jpeg", "JPEG2000": "jpeg2000"}.get(str(image.format), str(image.format).lower())
    bits = _significant_bits(image)
    try:
        image.load()
    except (OSError, SyntaxError, EOFError) as error:
        text = str(error).lower()
        if "truncated" in text or "not enough" in text or "unexpected end" in text or isinstance(error, EOFError):
            raise UnusablePhotoError("truncated", "the file ends before its pixels do") from None
        raise UnusablePhotoError("unreadable", f"malformed pixels ({type(error).__name__})") from None
    except Exception as error:
        raise UnusablePhotoError("unreadable", f"malformed pixels ({type(error).__name__})") from None
    try:
        oriented = ImageOps.exif_transpose(image)
    except Exception:  # malformed EXIF raises anything; the orientation is then unknown, which the caveat says
        oriented, caveats = image, ("exif_unreadable",)
    flat, alpha = flatten(oriented, bits)
    rgb, colour = to_srgb(flat, profile if isinstance(profile, bytes) else None)
    return Decoded(np.asarray(rgb), name, (*caveats, *alpha, *colour))


def _significant_bits(image: Image.Image) -> int | None:
    if image.format == "TIFF":
        bits = _tag(image, _TIFF_BITS_PER_SAMPLE)
        return int(bits) if bits else None
    return None
