"""Laplacian pyramids: bands of detail, taken apart and put together (Burt and Adelson 1983, doi 10.1145/245.247)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def blend(below: U8, above: U8, mask: NDArray[np.bool_], levels: int) -> U8:
    """Both photos joined band by band, each band across a border as soft as the band is coarse."""
    import cv2

    bands = [pyramid(image.astype(np.float32), levels) for image in (below, above)]
    share = mask.astype(np.float32)
    joined = []
    for level, (one, other) in enumerate(zip(*bands, strict=True)):
        if level:
            share = np.asarray(cv2.pyrDown(share), np.float32)
        joined.append(one + share[..., None] * (other - one))
    return to_bytes(collapse(joined))


def pyramid(image: F32, levels: int) -> list[F32]:
    """Laplacian bands, finest first, and what is left at the end; (h, w, c) each."""
    import cv2

    bands: list[F32] = []
    for _ in range(levels):
        small = _three(cv2.pyrDown(image))
        bands.append(image - _three(cv2.pyrUp(small, dstsize=(image.shape[1], image.shape[0]))))
        image = small
    return [*bands, image]


def collapse(bands: list[F32]) -> F32:
    """The image of its bands."""
    import cv2

    image = bands[-1]
    for band in reversed(bands[:-1]):
        image = band + _three(cv2.pyrUp(image, dstsize=(band.shape[1], band.shape[0])))
    return image


def _three(image: NDArray[np.generic]) -> F32:
    """OpenCV drops a single channel's axis."""
    return np.asarray(image if image.ndim == 3 else image[..., None], np.float32)


def to_bytes(image: NDArray[np.number]) -> U8:
    """Rounded and clipped to grey levels."""
    return np.asarray(np.clip(np.round(image), 0, 255), np.uint8)
