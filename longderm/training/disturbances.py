"""Disturbances that leave the mask as it is: light, colour, focus, grain, compression, hair, ink, dark corners."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Luma of sRGB (ITU-R BT.601), towards which a photo loses its saturation.
_LUMA = np.array([0.299, 0.587, 0.114])


def disturb(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A copy of uint8 (S, S, 3) as another camera, light or preparation might have given it."""
    import cv2

    result = pixels
    if rng.random() < 0.18:
        result = _draw_hairs(result, rng)
    if rng.random() < 0.05:
        result = _draw_ink(result, rng)
    if rng.random() < 0.85:
        result = _relight(result, rng)
    if rng.random() < 0.2:
        result = _shade(result, rng)
    if rng.random() < 0.1:
        result = _darken_corners(result, rng)
    if rng.random() < 0.2:
        result = np.asarray(cv2.GaussianBlur(result, (0, 0), rng.uniform(0.4, 1.6)), dtype=np.uint8)
    elif rng.random() < 0.12:
        soft = cv2.GaussianBlur(result, (0, 0), 1.2)
        amount = rng.uniform(0.2, 0.8)
        result = np.asarray(cv2.addWeighted(result, 1 + amount, soft, -amount, 0), dtype=np.uint8)
    if rng.random() < 0.2:
        grain = rng.standard_normal(result.shape[:2], dtype=np.float32)[..., None] * np.float32(rng.uniform(1, 9))
        result = np.clip(result + grain, 0, 255).astype(np.uint8)
    if rng.random() < 0.12:
        _, packed = cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))])
        result = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(result)


def _relight(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Another exposure, contrast, gamma, white balance and saturation."""
    import cv2

    if rng.random() < 0.6:
        keep = rng.uniform(0.6, 1.35)
        mix = keep * np.eye(3) + (1 - keep) * _LUMA[None, :] + rng.normal(0, 0.02, size=(3, 3))
        pixels = np.asarray(cv2.transform(pixels, mix), dtype=np.uint8)
    gain = np.exp(rng.normal(0, 0.12)) * np.exp(rng.normal(0, 0.05, size=3))
    gamma = np.exp(rng.normal(0, 0.18)) * np.exp(rng.normal(0, 0.03, size=3))
    contrast, middle = np.exp(rng.normal(0, 0.12)), rng.uniform(0.4, 0.7)
    levels = (np.arange(256) / 255.0)[:, None]
    curve = np.clip((levels**gamma * gain - middle) * contrast + middle, 0, 1)
    table = np.round(curve * 255).astype(np.uint8)[None]
    return np.asarray(cv2.LUT(pixels, table), dtype=np.uint8)


def _shade(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Light that falls off to one side."""
    side = pixels.shape[0]
    place = np.linspace(-1, 1, side, dtype=np.float32)
    slope = rng.normal(0, 0.12, size=2)
    light = 1 + slope[0] * place[:, None] + slope[1] * place[None, :]
    return np.asarray(np.clip(pixels * light[..., None].astype(np.float32), 0, 255), dtype=np.uint8)


def _darken_corners(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The round view of an eyepiece."""
    import cv2

    side = pixels.shape[0]
    view = np.zeros((side, side), dtype=np.uint8)
    centre = (np.array([side, side]) / 2 + rng.normal(0, 0.03 * side, size=2)).round().astype(int)
    axes = (rng.uniform(0.5, 0.7) * side, rng.uniform(0.5, 0.7) * side)
    cv2.ellipse(view, centre.tolist(), (round(axes[0]), round(axes[1])), 0, 0, 360, 255, -1)
    soft = cv2.GaussianBlur(view, (0, 0), rng.uniform(0.7, 5)).astype(np.float32)[..., None] / 255
    dark = rng.uniform(0, 25)
    return (pixels * soft + dark * (1 - soft)).astype(np.uint8)


def _draw_hairs(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    colour = np.array([45.0, 32.0, 26.0]) * rng.uniform(0.3, 2.0) if rng.random() < 0.85 else np.full(3, 215.0)
    return _draw_curves(pixels, rng, int(rng.integers(1, 26)), (0.002, 0.009), colour, rng.uniform(0.5, 1))


def _draw_ink(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    colour = rng.uniform([30, 20, 90], [110, 80, 200])
    return _draw_curves(pixels, rng, int(rng.integers(1, 4)), (0.012, 0.035), colour, rng.uniform(0.4, 0.9))


def _draw_curves(
    pixels: NDArray[np.uint8],
    rng: np.random.Generator,
    count: int,
    width_share: tuple[float, float],
    colour: NDArray[np.float64],
    cover: float,
) -> NDArray[np.uint8]:
    """Bent lines across the photo; widths are shares of its side, drawn at twice the size and reduced."""
    import cv2

    side = pixels.shape[0]
    shift = 4
    drawn = np.zeros((2 * side, 2 * side), dtype=np.uint8)
    steps = np.linspace(0, 1, 16)[:, None]
    for _ in range(count):
        start = rng.uniform(-0.1, 1.1, size=2)
        turn, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 1.0)
        end = start + length * np.array([np.cos(turn), np.sin(turn)])
        bend = (start + end) / 2 + rng.normal(0, 0.15 * length, size=2)
        curve = (1 - steps) ** 2 * start + 2 * steps * (1 - steps) * bend + steps**2 * end
        points = np.round(curve * 2 * side * 2**shift).astype(np.int32)
        thickness = max(1, round(rng.uniform(*width_share) * 2 * side))
        cv2.polylines(drawn, [points], False, 255, thickness, cv2.LINE_AA, shift)
    share = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)[..., None]
    share *= np.float32(cover / 255)
    return (pixels * (1 - share) + colour.astype(np.float32) * share).astype(np.uint8)
