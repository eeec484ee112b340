"""From a decoded image in whatever mode and profile to sRGB, 8 bits, three channels.

All steps act on single pixels, so they are done strip by strip: a large photo needs no second copy of itself.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from longderm.errors import UnusablePhotoError

if TYPE_CHECKING:
    from PIL import Image

#: Pixels per strip: large enough for speed, small beside the photo.
STRIP_PIXELS = 2**21

#: A profile that moves no probed colour by more than this many levels is sRGB: its transform would only add rounding.
SRGB_TOLERANCE_LEVELS = 1

#: A profile larger than this is not applied (the largest press profiles are some 2-4 MB).
MAX_PROFILE_BYTES = 16 * 2**20

#: Colours per axis of the probe that tells whether a profile is sRGB.
_PROBE_STEPS = 5

_UNUSABLE_PROFILE = "icc_profile_unusable"

Converter = Callable[["Image.Image"], "Image.Image"]


def to_srgb_pixels(
    image: Image.Image, profile: bytes | None = None, bits: int | None = None
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """The pixels of a loaded image of any mode, uint8 (H, W, 3) sRGB, and caveats.

    profile: its ICC profile; without one the pixels count as sRGB; bits: significant bits of a 16-bit grey image.
    Transparent pixels show black, as what lies outside the field of view does. Caveats: `transparent_pixels`,
    `icc_profile_unusable` (damaged, or made for another kind of pixels). Raises UnusablePhotoError
    (unsupported_syntax) for pixels without a defined way to 8-bit colour (floating point, Lab, 32-bit).
    """
    width, height = image.size
    return strips_to_srgb((height, width), lambda top, bottom: image.crop((0, top, width, bottom)), profile, bits)


def strips_to_srgb(
    shape: tuple[int, int],
    strip_of: Callable[[int, int], Image.Image],
    profile: bytes | None = None,
    bits: int | None = None,
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """The same for a photo of `shape` (height, width) that is had in strips: `strip_of(top, bottom)`."""
    height, width = shape
    out = np.empty((height, width, 3), np.uint8)
    step = max(1, STRIP_PIXELS // width)
    caveats: set[str] = set()
    convert: Converter | None = None
    for top in range(0, height, step):
        bottom = min(height, top + step)
        strip, transparent = _flatten(strip_of(top, bottom), bits)
        if transparent:
            caveats.add("transparent_pixels")
        if convert is None:
            convert, usable = _converter(strip.mode, profile)
            caveats |= set() if usable else {_UNUSABLE_PROFILE}
        out[top:bottom] = np.asarray(convert(strip))
    return out, tuple(sorted(caveats))


def _converter(mode: str, profile: bytes | None) -> tuple[Converter, bool]:
    """How strips of mode L, RGB or CMYK become sRGB, and whether the profile could be used."""
    from PIL import ImageCms

    def plain(strip: Image.Image) -> Image.Image:
        return strip if strip.mode == "RGB" else strip.convert("RGB")

    if not profile:
        return plain, True
    if len(profile) > MAX_PROFILE_BYTES:
        return plain, False
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}.get(str(source.profile.xcolor_space).strip())
        if space is None or (space != mode and (space, mode) != ("RGB", "L")):
            return plain, False
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            space,
            "RGB",
            # colours that both devices know stay what they are; the darkest one of each is black
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if space == "RGB" and _is_srgb(transform):
            return plain, True
    except (ImageCms.PyCMSError, ValueError, TypeError, OSError):
        return plain, False

    def transformed(strip: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(strip.convert(space), transform)
        return strip if converted is None else converted

    return transformed, True


def _is_srgb(transform: Any) -> bool:
    from PIL import Image, ImageCms

    axis = np.linspace(0, 255, _PROBE_STEPS).round().astype(np.uint8)
    probe = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(1, -1, 3)
    moved = ImageCms.applyTransform(Image.fromarray(probe), transform)
    difference = np.asarray(moved).astype(int) - probe.astype(int)
    return bool(np.abs(difference).max() <= SRGB_TOLERANCE_LEVELS)


def _flatten(strip: Image.Image, bits: int | None) -> tuple[Image.Image, bool]:
    """A strip of mode L, RGB or CMYK with 8 bits a channel, and whether some of its pixels were transparent."""
    from PIL import Image

    mode = strip.mode
    if mode in ("L", "RGB", "CMYK") and "transparency" not in strip.info:
        return strip, False
    if mode == "1":
        return strip.convert("L"), False
    if mode in ("YCbCr", "RGBX"):
        return strip.convert("RGB"), False
    if mode.startswith("I;16"):
        return Image.fromarray(scale_to_8_bits(np.asarray(strip), bits or 16)), False
    if mode == "P" and "transparency" not in strip.info and strip.palette is not None and strip.palette.mode == "RGB":
        return strip.convert("RGB"), False
    if mode not in ("L", "RGB", "P", "PA", "LA", "La", "RGBA", "RGBa"):
        raise UnusablePhotoError("unsupported_syntax", f"pixels of mode {mode} have no defined way to 8-bit colour")
    strip = strip if mode == "RGBA" else strip.convert("RGBA")
    alpha = strip.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return strip.convert("RGB"), False
    flat = Image.new("RGB", strip.size)
    flat.paste(strip, mask=alpha)
    return flat, True


def scale_to_8_bits(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Scale unsigned integers with `bits` significant bits (1 to 16) to 0-255, rounded: full scale becomes 255."""
    if bits == 8 and values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    full = 2**bits - 1
    # one look-up per pixel: exact rounding without a wide temporary array; what lies beyond full scale is full
    table = ((np.arange(2**16, dtype=np.int64) * 255 + full // 2) // full).clip(0, 255).astype(np.uint8)
    scaled: NDArray[np.uint8] = table[values]
    return scaled


def oriented(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn and mirror pixels (H, W, 3) as the EXIF orientation (1 to 8; others count as 1) says; contiguous."""
    if is_turned(orientation):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def is_turned(orientation: int) -> bool:
    """Whether an EXIF orientation makes rows of columns, so that width and height change places."""
    return orientation in (5, 6, 7, 8)
