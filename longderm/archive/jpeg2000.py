"""JPEG 2000 streams of more than 8 bits: Pillow rounds their colour samples into overflow (white becomes black)."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.archive.colour import scale_to_8_bits
from longderm.errors import UnusablePhotoError

#: Start of codestream, then the marker of the image's size (ISO/IEC 15444-1 A.5.1), within a JP2 file's first boxes.
_SIZE_MARKER = b"\xff\x4f\xff\x51"

#: Where the number of components stands from there, then three bytes for each component.
_COMPONENTS_AT = 40


def depth(data: bytes) -> tuple[int, int]:
    """The number of components and their bits (the most of them); (0, 0) where the header is malformed."""
    start = data.find(_SIZE_MARKER)
    at = start + _COMPONENTS_AT + 2
    if start < 0 or at > len(data):
        return 0, 0
    (count,) = struct.unpack(">H", data[at - 2 : at])
    sizes = data[at : at + 3 * count : 3]
    return count, max(((size & 0x7F) + 1 for size in sizes), default=0)


def is_deep(data: bytes) -> bool:
    """Whether a stream holds colours of more than 8 bits a sample."""
    components, bits = depth(data)
    return components >= 3 and bits > 8


def decode_deep(data: bytes) -> NDArray[np.uint8]:
    """Decode such a stream to 8-bit samples (H, W, 3), scaled by its bits; its colour transform is undone.

    Raises UnusablePhotoError (unreadable, unsupported_syntax).
    """
    from openjpeg.utils import decode

    components, bits = depth(data)
    try:
        samples: NDArray[Any] = decode(data)
    except Exception:  # the decoder raises anything on malformed streams
        raise UnusablePhotoError("unreadable", "malformed pixels") from None
    if components != 3 or samples.ndim != 3 or samples.dtype != np.uint16 or bits > 16:
        raise UnusablePhotoError("unsupported_syntax", f"JPEG 2000 of {components} components, {bits} bits each")
    return scale_to_8_bits(samples, bits)
