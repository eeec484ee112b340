"""Colour: sRGB bytes to linear light to CIE Lab under D65."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Linear sRGB to CIE XYZ, D65, 2 degree observer (IEC 61966-2-1, table of the standard, 4 decimals).
_RGB_TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]],
    dtype=np.float64,
)

#: White of `_RGB_TO_XYZ`, the sum of its rows, so that (255, 255, 255) is exactly L* = 100, a* = b* = 0.
_WHITE = _RGB_TO_XYZ.sum(axis=1)

#: CIE 15:2018, 8.2.1.1: below (6/29)^3 the cube root is replaced by a line of slope 841/108 and offset 4/29.
_LINE_BELOW = (6.0 / 29.0) ** 3
_LINE_SLOPE = 841.0 / 108.0
_LINE_OFFSET = 4.0 / 29.0


def _srgb_decoding_table() -> NDArray[np.float32]:
    encoded = np.arange(256, dtype=np.float64) / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


_SRGB_TO_LINEAR = _srgb_decoding_table()


def lightest_channel(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest of each pixel's three channels, uint8 (h, w), of uint8 (h, w, 3)."""
    import cv2

    red, green, blue = cv2.split(pixels)
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)


def srgb_to_linear(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Linear light in [0, 1], float32, of sRGB bytes of any shape (IEC 61966-2-1)."""
    return np.asarray(_SRGB_TO_LINEAR[pixels])


def linear_to_srgb(linear: NDArray[np.floating]) -> NDArray[np.uint8]:
    """sRGB bytes of linear light; what lies outside [0, 1] is clipped (IEC 61966-2-1)."""
    light = np.clip(np.asarray(linear, dtype=np.float64), 0.0, 1.0)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1.0 / 2.4) - 0.055)
    return np.round(encoded * 255.0).astype(np.uint8)


def linear_to_lab(linear: NDArray[np.floating]) -> NDArray[np.float32]:
    """CIE 1976 L*a*b* under D65 (CIE 15:2018, 8.2.1), float32 (..., 3), of linear sRGB (..., 3)."""
    matrix = (_RGB_TO_XYZ / _WHITE[:, None]).astype(np.float32)
    xyz = np.asarray(linear, dtype=np.float32) @ matrix.T
    curve = np.where(xyz > _LINE_BELOW, np.cbrt(xyz), np.float32(_LINE_SLOPE) * xyz + np.float32(_LINE_OFFSET))
    lab = np.empty(curve.shape, dtype=np.float32)
    lab[..., 0] = 116.0 * curve[..., 1] - 16.0
    lab[..., 1] = 500.0 * (curve[..., 0] - curve[..., 1])
    lab[..., 2] = 200.0 * (curve[..., 1] - curve[..., 2])
    return lab


def srgb_to_lab(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """CIE 1976 L*a*b* under D65, float32 (..., 3): L* in [0, 100], of sRGB bytes (..., 3)."""
    return linear_to_lab(srgb_to_linear(pixels))
