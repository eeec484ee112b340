"""From a decoded image in whatever mode and profile to sRGB, 8 bits, three channels."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from longderm.errors import UnusablePhotoError

if TYPE_CHECKING:
    from PIL import Image

#: A profile that moves no probed colour by more than this many levels is sRGB: its transform would only add rounding.
SRGB_TOLERANCE_LEVELS = 1

#: A profile larger than this is not applied (the largest press profiles are some 2-4 MB).
MAX_PROFILE_BYTES = 16 * 2**20

#: ICC's relative colorimetric intent: colours that both devices know stay what they are.
_RELATIVE_COLORIMETRIC = 1

#: Colours per axis of the probe that tells whether a profile is sRGB.
_PROBE_STEPS = 5


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    """Convert a loaded image of mode L, RGB or CMYK to sRGB by its ICC profile (bytes, or None: taken as sRGB).

    Returns the image in mode RGB and caveats: `icc_profile_unusable` where a profile is there but damaged or made for
    another kind of pixels; then the pixels count as sRGB.
    """
    if not profile:
        return image.convert("RGB"), ()
    from PIL import ImageCms

    unusable = ("icc_profile_unusable",)
    if len(profile) > MAX_PROFILE_BYTES:
        return image.convert("RGB"), unusable
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = str(source.profile.xcolor_space).strip()
        if space == "RGB" and image.mode == "L":
            image = image.convert("RGB")
        if {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}.get(space) != image.mode:
            return image.convert("RGB"), unusable
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            image.mode,
            "RGB",
            renderingIntent=ImageCms.Intent(_RELATIVE_COLORIMETRIC),
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if image.mode == "RGB" and _is_srgb(transform):
            return image, ()
        converted = ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, ValueError, TypeError, OSError):
        return image.convert("RGB"), unusable
    return (converted if converted is not None else image), ()


def _is_srgb(transform: object) -> bool:
    from PIL import Image, ImageCms

    axis = np.linspace(0, 255, _PROBE_STEPS).round().astype(np.uint8)
    probe = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(1, -1, 3)
    moved = ImageCms.applyTransform(Image.fromarray(probe), transform)  # type: ignore[arg-type]
    difference = np.asarray(moved).astype(int) - probe.astype(int)
    return bool(np.abs(difference).max() <= SRGB_TOLERANCE_LEVELS)


def flatten(image: Image.Image, bits: int | None = None) -> tuple[Image.Image, tuple[str, ...]]:
    """Bring a loaded image of any mode to L, RGB or CMYK with 8 bits a channel.

    `bits`: significant bits of a 16-bit grey image (default 16). Transparent pixels show black, as what lies outside
    the field of view does; the caveat `transparent_pixels` says that there were some. Raises UnusablePhotoError
    (unsupported_syntax) for pixel formats without a defined way to 8-bit colour (floating point, Lab, 32-bit).
    """
    from PIL import Image

    mode = image.mode
    if mode in ("L", "RGB", "CMYK"):
        if "transparency" not in image.info:
            return image, ()
        image, mode = image.convert("RGBA"), "RGBA"
    if mode == "1":
        return image.convert("L"), ()
    if mode == "YCbCr":
        return image.convert("RGB"), ()
    if mode.startswith("I;16"):
        return Image.fromarray(scale_to_8_bits(np.asarray(image), bits or 16)), ()
    if mode in ("P", "PA"):
        transparent = mode == "PA" or "transparency" in image.info or image.palette.mode == "RGBA"  # type: ignore[union-attr]
        if not transparent:
            return image.convert("RGB"), ()
        image, mode = image.convert("RGBA"), "RGBA"
    if mode in ("LA", "La", "RGBA", "RGBa"):
        image = image.convert("RGBA") if mode != "RGBA" else image
        alpha = image.getchannel("A")
        if alpha.getextrema() == (255, 255):
            return image.convert("RGB"), ()
        flat = Image.new("RGB", image.size)
        flat.paste(image, mask=alpha)
        return flat, ("transparent_pixels",)
    if mode == "RGBX":
        return image.convert("RGB"), ()
    raise UnusablePhotoError("unsupported_syntax", f"pixels of mode {mode} have no defined way to 8-bit colour")


def scale_to_8_bits(values: NDArray[np.integer], bits: int) -> NDArray[np.uint8]:
    """Scale unsigned integers with `bits` significant bits to 0-255, rounded: full scale becomes 255.

    Works in strips, so that a large image needs no large temporary arrays. Any shape; returns uint8.
    """
    if bits == 8 and values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    full = 2**bits - 1
    # one table look-up per pixel: exact rounding without a wide temporary array
    table = ((np.arange(2 ** max(bits, 8), dtype=np.int64) * 255 + full // 2) // full).clip(0, 255).astype(np.uint8)
    out = np.empty(values.shape, np.uint8)
    step = max(1, 2**22 // max(1, int(np.prod(values.shape[1:]))))
    for start in range(0, values.shape[0], step):
        strip = values[start : start + step]
        out[start : start + step] = table[np.minimum(strip, table.size - 1)]
    return out
