"""Distortions of a photo in five steps: what goes wrong at the camera, on the skin and on the way to the archive.

Each worsens from level 1 (barely seen) to level 5 (hardly anything left); the same generator draws the same hairs,
highlights and side at every level, so that a higher level only adds to a lower one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVELS = 5
#: Per level. Blur: standard deviation as a share of the longer side. Resolution: longer side in pixels. Light: gain of
#: linear light. Noise: standard deviation in grey levels on a copy of _REFERENCE_PX. Compression: JPEG quality; below 3
#: nothing more is lost, all its steps are at their largest.
_BLUR_SHARE = (0.003, 0.008, 0.02, 0.05, 0.12)
_RESOLUTION_PX = (256, 120, 60, 32, 16)
_DARK_GAIN = (0.7, 0.35, 0.14, 0.05, 0.012)
_BRIGHT_GAIN = (1.15, 1.5, 2.2, 3.6, 8.0)
_NOISE_GREY = (5.0, 14.0, 35.0, 80.0, 180.0)
_JPEG_QUALITY = (60, 30, 14, 7, 3)
#: Numbers of highlights and hairs, and share of the lesion that is cut off.
_HIGHLIGHTS = (5, 20, 70, 220, 700)
_HAIRS = (4, 14, 45, 130, 350)
_CUT_SHARE = (0.03, 0.12, 0.3, 0.55, 0.85)
_REFERENCE_PX = 512
#: Noise of a dark frame, as a share of full linear light: what a camera adds when too little light comes in.
_READ_NOISE = 0.0015
_GAMMA = 2.2

U8 = NDArray[np.uint8]
Frame = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class Distorted:
    """A distorted photo, `pixels` uint8 (h, w, 3), which shows `frame` (rows, columns) of the original."""

    pixels: U8
    frame: Frame


def distort(name: str, level: int, pixels: U8, mask: NDArray[np.bool_], rng: np.random.Generator) -> Distorted:
    """One of `DISTORTIONS` at level 1 to 5, of uint8 (H, W, 3) with the lesion's mask bool (H, W).

    Raises KeyError for another name, ValueError for another level.
    """
    if not 1 <= level <= LEVELS:
        raise ValueError(f"level must be 1 to {LEVELS}, not {level}")
    whole = (slice(0, pixels.shape[0]), slice(0, pixels.shape[1]))
    if name == CUT:
        frame = _cut(mask, _CUT_SHARE[level - 1], int(rng.integers(4)))
        return Distorted(np.ascontiguousarray(pixels[frame]), frame)
    return Distorted(_OF_PIXELS[name](pixels, level - 1, rng), whole)


def _blur(pixels: U8, step: int, rng: np.random.Generator) -> U8:
    import cv2

    del rng
    sigma = _BLUR_SHARE[step] * max(pixels.shape[:2])
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.uint8)


def _reduce(pixels: U8, step: int, rng: np.random.Generator) -> U8:
    import cv2

    del rng
    scale = min(1.0, _RESOLUTION_PX[step] / max(pixels.shape[:2]))
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _darken(pixels: U8, step: int, rng: np.random.Generator) -> U8:
    linear = _linear(pixels) * np.float32(_DARK_GAIN[step])
    return _encoded(linear + np.float32(_READ_NOISE) * rng.standard_normal(pixels.shape, dtype=np.float32))


def _brighten(pixels: U8, step: int, rng: np.random.Generator) -> U8:
    del rng
    return _encoded(_linear(pixels) * np.float32(_BRIGHT_GAIN[step]))


def _add_noise(pixels: U8, step: int, rng: np.random.Generator) -> U8:
    # On a larger photo, more noise per pixel is as much noise per area.
    amount = _NOISE_GREY[step] * max(1.0, max(pixels.shape[:2]) / _REFERENCE_PX)
    noise = np.float32(amount) * rng.standard_normal(pixels.shape, dtype=np.float32)
    return np.asarray(np.clip(np.round(pixels + noise), 0, 255), np.uint8)


def _compress(pixels: U8, step: int, rng: np.random.Generator) -> U8:
    import cv2

    del rng
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY[step]]
    _, code = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), quality)
    return np.ascontiguousarray(np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])


def _add_highlights(pixels: U8, step: int, rng: np.random.Generator) -> U8:
    import cv2

    height, width = pixels.shape[:2]
    side = max(height, width)
    count = _HIGHLIGHTS[-1]
    places = rng.uniform((0, 0), (width, height), (count, 2))
    radii = side * np.exp(rng.normal(np.log(0.011), 0.45, (count, 2)))
    turns = rng.uniform(0, 180, count)
    light = np.zeros((height, width), np.uint8)
    for place, radius, turn in zip(places[: _HIGHLIGHTS[step]], radii, turns, strict=False):
        cv2.ellipse(light, (place.tolist(), (2 * radius).tolist(), float(turn)), 255, -1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(light, (0, 0), max(0.5, 0.0025 * side)).astype(np.float32)[..., None] / 255
    return np.asarray(np.round(pixels * (1 - soft) + 254 * soft), np.uint8)


def _add_hairs(pixels: U8, step: int, rng: np.random.Generator) -> U8:
    import cv2

    height, width = pixels.shape[:2]
    side = max(height, width)
    result = pixels.copy()
    t = np.linspace(0.0, 1.0, 32)[:, None]
    trend = rng.uniform(0, np.pi)
    count = _HAIRS[-1]
    starts = rng.uniform((-0.2, -0.2), (1.0, 1.0), (count, 2)) * (width, height)
    angles, lengths = rng.normal(trend, 0.4, count), rng.uniform(0.3, 0.9, count) * side
    sags, shades = rng.uniform(-0.15, 0.15, count), rng.uniform(15, 60, count)
    widths = np.maximum(1, np.round(rng.uniform(0.003, 0.007, count) * side)).astype(int)
    for i in range(_HAIRS[step]):
        along = np.array([np.cos(angles[i]), np.sin(angles[i])])
        across = np.array([-along[1], along[0]])
        points = starts[i] + lengths[i] * (along * t + across * sags[i] * 4 * t * (1 - t))
        line = np.round(points * 8).astype(np.int32).reshape(-1, 1, 2)
        colour = [float(shades[i] * share) for share in (1.0, 0.8, 0.7)]
        cv2.polylines(result, [line], False, colour, int(widths[i]), cv2.LINE_AA, 3)
    return result


def _cut(mask: NDArray[np.bool_], share: float, side: int) -> Frame:
    """The frame that leaves out `share` of the lesion beyond one side (0 top, 1 bottom, 2 left, 3 right)."""
    height, width = mask.shape
    vertical, from_start = side < 2, side % 2 == 0
    held = mask.sum(axis=1 if vertical else 0).astype(np.float64)
    total = max(1.0, float(held.sum()))
    beyond = np.cumsum(held if from_start else held[::-1]) / total
    lost = min(int(np.searchsorted(beyond, share)) + 1, len(held) - 1)
    kept = slice(lost, len(held)) if from_start else slice(0, len(held) - lost)
    return (kept, slice(0, width)) if vertical else (slice(0, height), kept)


def _linear(pixels: U8) -> NDArray[np.float32]:
    table = ((np.arange(256) / 255.0) ** _GAMMA).astype(np.float32)
    return np.asarray(table[pixels])


def _encoded(linear: NDArray[np.float32]) -> U8:
    return np.asarray(np.round(255 * np.clip(linear, 0, 1) ** np.float32(1 / _GAMMA)), np.uint8)


#: The one that leaves the pixels as they are and shows fewer of them.
CUT = "cut"
_OF_PIXELS: dict[str, Callable[[U8, int, np.random.Generator], U8]] = {
    "blur": _blur,
    "low resolution": _reduce,
    "too dark": _darken,
    "too bright": _brighten,
    "noise": _add_noise,
    "compression": _compress,
    "glare": _add_highlights,
    "hair": _add_hairs,
}
#: All nine, in a fixed order.
DISTORTIONS = (*_OF_PIXELS, CUT)
