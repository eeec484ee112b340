"""A canvas with a real lesion as two visits' cameras might see it, for training: quick, and one seed one photo.

The change benchmark's camera (`longderm.bench.change_camera`) shares no code with this one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

#: Beyond the canvas nothing is seen: black, as beyond the round view of an eyepiece.
_BORDER = cv2.BORDER_CONSTANT
#: How often each thing lies on the skin or goes wrong at the camera, per photo.
_HAIR, _BUBBLES, _GLARE, _RULER, _CORNERS, _BLUR, _SHARPEN, _TAN = 0.35, 0.25, 0.2, 0.12, 0.15, 0.55, 0.1, 0.25
#: Fine texture of a photo's own: grey levels of its grain at most, and the sizes of the grain in pixels.
_TEXTURE_SHARE, _TEXTURE_GREY, _TEXTURE_PX = 0.7, 7.0, (1.2, 5.0)
#: Cameras develop: ranges of a device's and of a single photo's saturation, spread of contrast.
_DEVICE_SATURATION, _PHOTO_SATURATION, _CONTRAST_SD = (0.7, 1.35), 0.1, 0.15
#: Linear light of stored grey levels, roughly.
_LIGHT = (np.arange(256, dtype=np.float32) / 255) ** 2


@dataclass(frozen=True)
class Sensor:
    """A device: mixing (3, 3) of linear RGB as rows, tone exponent per channel, grain in grey levels."""

    mixing: tuple[tuple[float, ...], ...]
    exponents: tuple[float, float, float]
    grain: float


def draw_sensor(rng: np.random.Generator) -> Sensor:
    """A device at random."""
    keep = rng.uniform(*_DEVICE_SATURATION)
    mixing = keep * np.eye(3) + (1 - keep) * np.array([[0.3, 0.59, 0.11]]) + rng.normal(0, 0.025, (3, 3))
    mixing /= mixing.sum(axis=1, keepdims=True)
    exponents = np.exp(rng.normal(0, 0.13) + rng.normal(0, 0.03, 3))
    rows = tuple(tuple(float(v) for v in row) for row in mixing)
    return Sensor(rows, (float(exponents[0]), float(exponents[1]), float(exponents[2])), float(rng.uniform(0.5, 5.0)))


def see_canvas(canvas: U8, homography: NDArray[np.float64], frame: tuple[int, int], bend: F32 | None) -> U8:
    """The canvas in a frame of (height, width): homography takes canvas to frame; bend moves frame pixels, float32
    (height, width, 2)."""
    height, width = frame
    if bend is None:
        return np.asarray(
            cv2.warpPerspective(canvas, homography, (width, height), flags=cv2.INTER_LINEAR, borderMode=_BORDER),
            np.uint8,
        )
    back = np.linalg.inv(homography)
    x = np.arange(width, dtype=np.float32)[None, :] + bend[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + bend[..., 1]
    (a, b, c), (d, e, f), (g, h, i) = back.astype(np.float32)
    depth = g * x + h * y + i
    return np.asarray(
        cv2.remap(
            canvas,
            (a * x + b * y + c) / depth,
            (d * x + e * y + f) / depth,
            cv2.INTER_LINEAR,
            borderMode=_BORDER,
        ),
        np.uint8,
    )


def develop(view: U8, sensor: Sensor, rng: np.random.Generator) -> U8:
    """The view with things on the skin, light, the sensor's colours, focus, grain and compression; a new array."""
    view = view.copy()
    side = max(view.shape[:2])
    if rng.random() < _RULER:
        _lay_ruler(view, rng)
    if rng.random() < _HAIR:
        _lay_hairs(view, rng)
    if rng.random() < _BUBBLES:
        _lay_bubbles(view, rng)
    if rng.random() < _GLARE:
        _lay_glare(view, rng)
    view = _light(view, rng)
    if rng.random() < _TAN:
        # Brown skin and brown lesion alike: more is lost towards blue.
        loss = np.exp(-rng.uniform(0.0, 0.22) * np.array([0.35, 0.7, 1.0]))
        view = np.asarray(cv2.multiply(view, np.array([*loss, 1.0])), np.uint8)
    if rng.random() < _TEXTURE_SHARE:
        _lay_texture(view, rng)
    keep = float(np.exp(rng.normal(0, _PHOTO_SATURATION)))
    mixing = (keep * np.eye(3) + (1 - keep) / 3) @ np.array(sensor.mixing)
    view = _tone(mix_channels(view, mixing), sensor, rng)
    if rng.random() < _BLUR:
        view = np.asarray(cv2.GaussianBlur(view, (0, 0), rng.uniform(0.3, 1.8) * side / 256), np.uint8)
    elif rng.random() < _SHARPEN:
        view = np.asarray(cv2.addWeighted(view, 1.5, cv2.GaussianBlur(view, (0, 0), 1.0), -0.5, 0), np.uint8)
    if rng.random() < _CORNERS:
        _darken_rim(view, rng)
    grain = np.empty(view.shape, np.int16)
    cv2.setRNGSeed(int(rng.integers(2**31)))
    cv2.randn(grain, np.zeros(3), np.full(3, sensor.grain))
    view = np.asarray(cv2.add(view, grain, dtype=cv2.CV_8U), np.uint8)
    _, packed = cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(68, 98))])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def draw_bend(frame: tuple[int, int], most_px: float, rng: np.random.Generator) -> F32:
    """Skin bent under the plate: sines of long wavelength, float32 (height, width, 2), at most `most_px`."""
    height, width = frame
    y, x = np.arange(height, dtype=np.float32) / height, np.arange(width, dtype=np.float32) / width
    bend = np.empty((height, width, 2), np.float32)
    for axis in range(2):
        fx, fy = rng.uniform(0.3, 1.6, 2)
        rows, columns = (
            np.sin(2 * np.pi * (frequency * place + rng.random())).astype(np.float32)
            for frequency, place in ((fy, y), (fx, x))
        )
        bend[..., axis] = np.float32(0.35 * most_px) * (rows[:, None] + columns[None, :])
    return bend


def _light(view: U8, rng: np.random.Generator) -> U8:
    """Uneven light of the lamp, in stored grey levels."""
    height, width = view.shape[:2]
    u, v = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)
    slope = rng.normal(0, 0.05, 2).astype(np.float32)
    dim = np.float32(rng.uniform(0, 0.12))
    fall = (1 + slope[0] * u - dim * u * u)[None, :] + (slope[1] * v - dim * v * v)[:, None]
    # To 8 bits: OpenCV multiplies bytes with rounding and saturation.
    table = np.clip(fall * 200 + np.float32(0.5), 0, 255).astype(np.uint8)
    return np.asarray(cv2.multiply(view, cv2.merge([table, table, table]), scale=1 / 200), np.uint8)


def mix_channels(view: U8, mixing: NDArray[np.float64]) -> U8:
    """Channels mixed as a sensor's filters do, in linear light, which is about the square of what is stored: dark tones
    take up more of their neighbours' colour than bright ones."""
    light = cv2.transform(_LIGHT[view], mixing.astype(np.float32))
    return np.asarray(np.sqrt(np.clip(light, 0, 1, out=light), out=light) * 255 + np.float32(0.5), np.uint8)


def _tone(view: U8, sensor: Sensor, rng: np.random.Generator) -> U8:
    gain = np.exp(rng.normal(0, 0.09) + rng.normal(0, 0.05, 3))
    contrast, middle = np.exp(rng.normal(0, _CONTRAST_SD)), rng.uniform(0.45, 0.7)
    levels = np.arange(256)[:, None] / 255.0
    curve = (levels ** np.array(sensor.exponents) * gain - middle) * contrast + middle
    # Bright tones are pressed together, not cut off.
    curve = np.where(curve > 0.9, 0.9 + 0.1 * np.tanh((curve - 0.9) / 0.1), curve)
    return np.asarray(cv2.LUT(view, np.clip(curve * 255 + 0.5, 0, 255).astype(np.uint8)[None]), np.uint8)


def _lay_texture(view: U8, rng: np.random.Generator) -> None:
    """Folds, flakes and gel: grain of a random size that is in this photo alone."""
    height, width = view.shape[:2]
    grain = rng.uniform(*_TEXTURE_PX) * width / 256
    coarse = np.empty((max(2, round(height / grain)), max(2, round(width / grain))), np.int16)
    cv2.setRNGSeed(int(rng.integers(2**31)))
    cv2.randn(coarse, np.zeros(1), np.full(1, rng.uniform(0.5, _TEXTURE_GREY)))
    fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    cv2.add(view, cv2.merge([fine, fine, fine]), dst=view, dtype=cv2.CV_8U)


def _lay_hairs(view: U8, rng: np.random.Generator) -> None:
    height, width = view.shape[:2]
    t = np.linspace(0, 1, 14)[:, None]
    for _ in range(int(rng.integers(1, 18))):
        ends = rng.uniform(-0.15, 1.15, (2, 2)) * (width, height)
        control = ends.mean(axis=0) + rng.normal(0, 0.12, 2) * (width, height)
        ends[1] = ends[0] + (ends[1] - ends[0]) * rng.uniform(0.3, 1.0)
        curve = (1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * control + t**2 * ends[1]
        shade = rng.uniform(15, 75)
        colour = (shade * 1.15, shade, shade * 0.85) if rng.random() < 0.9 else (225, 220, 205)
        thick = max(1, round(rng.uniform(0.5, 2.6) * float(np.sqrt(width / 256))))
        cv2.polylines(view, [np.round(curve * 8).astype(np.int32)], False, colour, thick, cv2.LINE_AA, 3)


def _lay_bubbles(view: U8, rng: np.random.Generator) -> None:
    height, width = view.shape[:2]
    for _ in range(int(rng.integers(2, 25))):
        at = (rng.uniform(0, 1, 2) * (width, height)).astype(int)
        size = int(rng.gamma(2.0, 0.012 * width)) + 2
        box = (
            slice(max(0, at[1] - size - 2), at[1] + size + 3),
            slice(max(0, at[0] - size - 2), at[0] + size + 3),
        )
        part = view[box]
        if not part.size:
            continue
        drawn = part.copy()
        place = (int(at[0]) - box[1].start, int(at[1]) - box[0].start)
        cv2.circle(drawn, place, size, (70, 60, 58), 1, cv2.LINE_AA)
        cv2.ellipse(drawn, place, (max(1, size - 1),) * 2, rng.uniform(0, 360), 0, 130, (250, 250, 250), 1, cv2.LINE_AA)
        opacity = rng.uniform(0.2, 0.65)
        cv2.addWeighted(drawn, opacity, part, 1 - opacity, 0, dst=part)


def _lay_glare(view: U8, rng: np.random.Generator) -> None:
    height, width = view.shape[:2]
    shine = np.zeros((height, width), np.uint8)
    for _ in range(int(rng.integers(1, 10))):
        at = (rng.uniform(0.1, 0.9, 2) * (width, height)).astype(int).tolist()
        axes = (max(1, int(rng.gamma(1.5, 0.006 * width))), max(1, int(rng.gamma(1.5, 0.006 * width))))
        cv2.ellipse(shine, at, axes, rng.uniform(0, 180), 0, 360, float(rng.uniform(90, 255)), -1, cv2.LINE_AA)
    shine = np.asarray(cv2.blur(shine, (3, 3)), np.uint8)
    cv2.add(view, cv2.merge([shine, shine, shine]), dst=view)


def _lay_ruler(view: U8, rng: np.random.Generator) -> None:
    height, width = view.shape[:2]
    row = int(rng.choice([0.04, 0.96]) * height)
    start, step = rng.uniform(-0.2, 0.3) * width, rng.uniform(0.02, 0.06) * width
    tilt = rng.normal(0, 0.03)
    ink = (rng.uniform(10, 70),) * 3
    for number in range(int(1.2 * width / step)):
        x = start + number * step
        y = row + tilt * x
        length = (0.05 if number % 5 else 0.09) * height
        cv2.line(view, (round(x), round(y - length / 2)), (round(x), round(y + length / 2)), ink, 1, cv2.LINE_AA)


def _darken_rim(view: U8, rng: np.random.Generator) -> None:
    height, width = view.shape[:2]
    field = np.zeros((height, width), np.uint8)
    middle = (rng.normal(0.5, 0.03, 2) * (width, height)).astype(int).tolist()
    radius = int(rng.uniform(0.56, 0.72) * width)
    cv2.circle(field, middle, radius, 255, -1, cv2.LINE_AA)
    field = np.asarray(cv2.blur(field, (5, 5)), np.uint8)
    cv2.multiply(view, cv2.merge([field, field, field]), dst=view, scale=1 / 255)
