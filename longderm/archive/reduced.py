"""Decode a large JPEG at a half, a quarter or an eighth of its size, which libjpeg does while it decodes.

A scaled inverse DCT keeps the low frequencies of each block of 8x8 samples and leaves the others out, which costs a
fraction of decoding them all and averaging afterwards (Pillow's `draft`).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from longderm.archive.colour import is_turned
from longderm.archive.images import DEFAULT_MAX_MEGAPIXELS, finish_image, opened_image, read_exif

if TYPE_CHECKING:
    from PIL import Image

#: What a scaled inverse DCT divides the sides of an image by, strongest first.
_DIVISORS = (8, 4, 2)


@dataclass(frozen=True, eq=False)
class ReducedDecode:
    """A photo decoded at reduced size: `pixels` uint8 (h, w, 3) sRGB, upright, that cover all of the native grid.

    native_shape: (H, W) of the native grid. Its pixel (x, y) lies at ((x + 0.5) w / W - 0.5, (y + 0.5) h / H - 0.5).
    """

    pixels: NDArray[np.uint8]
    native_shape: tuple[int, int]


def divisor_for(longer_px: int, least_side_px: int) -> int:
    """The largest divisor (8, 4, 2 or 1) that leaves a side of `longer_px` at least `least_side_px`."""
    return next((divisor for divisor in _DIVISORS if longer_px >= divisor * least_side_px), 1)


def decode_reduced(
    data: bytes, least_side_px: int, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS
) -> ReducedDecode | None:
    """Decode a JPEG file as small as its longer side stays at least `least_side_px`; None where that is its full size.

    Also None for other formats and for inks (CMYK), whose way to sRGB is not that of an average. Orientation and colour
    profile are applied, and hostile files met, as by `decode_image`. Where a side is not a multiple of the divisor, the
    last column or row reaches beyond the photo; the pixels are then interpolated so that the copy ends where it does.
    Raises UnusablePhotoError as `decode_image`.
    """
    stream = io.BytesIO(data)
    with opened_image(stream, max_megapixels) as image:
        width, height = image.size
        divisor = divisor_for(max(width, height), least_side_px)
        if image.format not in ("JPEG", "MPO") or image.mode not in ("L", "RGB") or divisor == 1:
            return None
        scaled = -(-width // divisor), -(-height // divisor)
        turned = is_turned(read_exif(image)[0])
        image.draft(image.mode, (width // divisor, height // divisor))
        if image.size != scaled:  # a decoder that does not scale
            return None
        pixels = finish_image(image, stream, lambda loaded: _cut(loaded, (width / divisor, height / divisor))).pixels
    return ReducedDecode(pixels, (width, height) if turned else (height, width))


def _cut(image: Image.Image, covered: tuple[float, float]) -> Image.Image:
    """The image without what lies beyond `covered` (width, height), which is less than a pixel in each direction."""
    from PIL import Image

    if covered == image.size:
        return image
    size = max(1, round(covered[0])), max(1, round(covered[1]))
    return image.resize(size, Image.Resampling.BILINEAR, box=(0.0, 0.0, *covered))
