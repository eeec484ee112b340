"""Small ICC profiles (matrix and curve) written byte for byte, without the creation date that libraries put in."""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

#: Primaries adapted to D50, as XYZ columns for red, green, blue: IEC 61966-2-1 for sRGB, and Display P3.
SRGB_PRIMARIES = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
P3_PRIMARIES = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))

#: White point D50, in which ICC profiles connect.
D50 = (0.9642, 1.0, 0.8249)


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _text(kind: bytes, text: str) -> bytes:
    if kind == b"desc":
        raw = text.encode() + b"\0"
        return b"desc\0\0\0\0" + struct.pack(">I", len(raw)) + raw + b"\0" * 4 + b"\0" * 4 + b"\0" * 3 + b"\0" * 67
    return b"text\0\0\0\0" + text.encode() + b"\0"


@lru_cache(maxsize=4)
def icc_profile(name: str) -> bytes:
    """The bytes of a version 2.4 display profile: "sRGB" or "Display P3" (both with sRGB's curve)."""
    primaries = SRGB_PRIMARIES if name == "sRGB" else P3_PRIMARIES
    samples = []
    for i in range(256):
        v = i / 255
        samples.append(round(65535 * (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4)))
    curve = b"curv\0\0\0\0" + struct.pack(">I", 256) + struct.pack(">256H", *samples)
    tags = {
        b"desc": _text(b"desc", name),
        b"cprt": _text(b"text", "No copyright, use freely"),
        b"wtpt": b"XYZ \0\0\0\0" + b"".join(_fixed(v) for v in D50),
        **{
            tag: b"XYZ \0\0\0\0" + b"".join(_fixed(v) for v in column)
            for tag, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
        },
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    offset = 128 + 4 + 12 * len(tags)
    table, body, places = b"", b"", {}
    for tag, data in tags.items():
        if data not in places:
            places[data] = offset + len(body)
            body += data + b"\0" * (-len(data) % 4)
        table += tag + struct.pack(">II", places[data], len(data))
    size = offset + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 4 + b"\0" * 4 + b"\0" * 8 + b"\0" * 8
    header += struct.pack(">I", 0) + b"".join(_fixed(v) for v in D50) + b"\0" * 4
    header += b"\0" * (128 - len(header))
    return header + struct.pack(">I", len(tags)) + table + body


def to_display_p3(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same colours, uint8 (H, W, 3), in the encoding of Display P3 instead of sRGB."""
    levels = np.arange(256) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4).astype(np.float32)
    srgb, p3 = (np.array(primaries).T for primaries in (SRGB_PRIMARIES, P3_PRIMARIES))
    light = linear[pixels] @ (np.linalg.inv(p3) @ srgb).T.astype(np.float32)
    light = np.clip(light, 0, 1)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.power(light, 1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * encoded), np.uint8)
