"""What lies between the skin and the camera: hair, gel bubbles, a ruler, ink, the dark corners of the lens."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from longderm.simulate.exposure import Shot, rotation
from longderm.simulate.fields import DRAW_SHIFT, F32, draw_lines, spread, wander


def add_artefacts(rgb: F32, shot: Shot) -> F32:
    """Draw the shot's artefacts over the linear RGB scene (before the lens; changed in place), all but the corners."""
    rng = np.random.default_rng([*shot.seed, 51])
    for name, draw in (("vellus", _vellus), ("hair", _hair), ("ink", _ink), ("bubbles", _bubbles), ("ruler", _ruler)):
        amount = shot.artefacts.get(name, 0.0)
        if amount > 0:
            rgb = draw(rng, rgb, shot, amount)
    return rgb


def dark_corners(rgb: F32, shot: Shot) -> F32:
    """Darken what lies outside the round field of view."""
    amount = shot.artefacts.get("dark_corners", 0.0)
    if amount <= 0:
        return rgb
    height, width = shot.size
    rng = np.random.default_rng([*shot.seed, 52])
    centre = np.array([width / 2, height / 2]) + rng.normal(0, 0.008 * width, 2)
    corner = np.hypot(width, height) / 2
    # 0: the circle touches the corners; 1: it touches the long sides of the frame.
    radius = corner - amount * (corner - width / 2)
    x = np.arange(width, dtype=np.float32)[None, :] - np.float32(centre[0])
    y = np.arange(height, dtype=np.float32)[:, None] - np.float32(centre[1])
    shade = np.clip((np.float32(radius) - np.sqrt(x * x + y * y)) / np.float32(0.02 * width) + 0.5, 0, 1)
    return np.asarray(rgb * spread(shade * np.float32(0.99) + np.float32(0.01)), np.float32)


def _over(rgb: F32, cover: F32, colour: NDArray[np.float32]) -> F32:
    rows, columns = np.nonzero(cover > 0.002)
    below = rgb[rows, columns]
    rgb[rows, columns] = below + cover[rows, columns, None] * (colour - below)
    return rgb


def _strands(
    rng: np.random.Generator, shot: Shot, count: int, length_mm: tuple[float, float], bend: float
) -> list[NDArray[np.float64]]:
    height, width = shot.size
    drift = rng.uniform(0, 2 * np.pi)
    curves = []
    for _ in range(count):
        start = rng.uniform((-0.1 * width, -0.1 * height), (1.1 * width, 1.1 * height))
        length = rng.uniform(*length_mm) * shot.px_per_mm
        curves.append(wander(rng, start, drift + rng.normal(0, 0.5), length, bend))
    return curves


def _hair(rng: np.random.Generator, rgb: F32, shot: Shot, amount: float) -> F32:
    curves = _strands(rng, shot, int(amount), (3, 14), 0.6)
    # Terminal hair is 0.04 to 0.1 mm thick; its tip is thinner than a pixel can show and only fainter.
    widths = [float(rng.uniform(0.04, 0.1)) * shot.px_per_mm for _ in curves]
    faint = [min(0.6, 0.6 * width) for width in widths]
    lines = draw_lines(shot.size, [curve[-4:] for curve in curves] + [curve[:-3] for curve in curves], faint + widths)
    shadow = cv2.GaussianBlur(np.roll(lines, (2, 1), (0, 1)), (0, 0), 2.0)
    rgb = np.asarray(rgb * spread(np.float32(1) - np.float32(0.18) * shadow), np.float32)
    shade = float(rng.choice((0.015, 0.04, 0.11)))
    return _over(rgb, 0.93 * lines, shade * np.array([1.25, 0.9, 0.65], np.float32))


def _vellus(rng: np.random.Generator, rgb: F32, shot: Shot, amount: float) -> F32:
    curves = _strands(rng, shot, int(amount), (1, 4), 0.9)
    lines = draw_lines(shot.size, curves, [float(rng.uniform(0.3, 0.7)) for _ in curves])
    return _over(rgb, 0.35 * lines, np.array([0.32, 0.2, 0.12], np.float32))


def _ink(rng: np.random.Generator, rgb: F32, shot: Shot, amount: float) -> F32:
    """A stroke of the surgeon's violet pen near an edge of the frame."""
    height, width = shot.size
    start = np.array([rng.uniform(0, width), rng.choice((0.03, 0.97)) * height])
    curve = wander(rng, start, rng.choice((0.0, np.pi)) + rng.normal(0, 0.3), 6 * shot.px_per_mm, 0.6)
    stroke = draw_lines(shot.size, [curve], [0.5 * shot.px_per_mm])
    patchy = rng.random((height // 3 + 1, width // 3 + 1), dtype=np.float32)
    density = np.asarray(cv2.resize(patchy, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return _over(
        rgb,
        cv2.GaussianBlur(stroke, (0, 0), 1.2) * np.clip(density * 1.6, 0.15, 0.95),
        np.array([0.11, 0.07, 0.3], np.float32),
    )


def _bubbles(rng: np.random.Generator, rgb: F32, shot: Shot, amount: float) -> F32:
    """Bubbles in the gel: a dark rim, a bright ring inside it and a highlight; they gather in clusters."""
    height, width = shot.size
    dark, bright = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
    clusters = rng.uniform((0, 0), (width, height), (max(1, int(amount // 6)), 2))
    scale = 1 << DRAW_SHIFT
    for _ in range(int(amount)):
        x, y = clusters[rng.integers(len(clusters))] + rng.normal(0, 0.09 * width, 2)
        radius = float(np.clip(rng.lognormal(-1.6, 0.55), 0.08, 0.9)) * shot.px_per_mm
        at = (int(x * scale), int(y * scale))
        cv2.circle(dark, at, int(radius * scale), 150, max(1, round(0.16 * radius)), cv2.LINE_AA, DRAW_SHIFT)
        cv2.circle(bright, at, int(0.8 * radius * scale), 90, max(1, round(0.12 * radius)), cv2.LINE_AA, DRAW_SHIFT)
        spot = (int((x - 0.4 * radius) * scale), int((y - 0.4 * radius) * scale))
        cv2.circle(bright, spot, int(max(0.7, 0.16 * radius) * scale), 255, -1, cv2.LINE_AA, DRAW_SHIFT)
    rgb = np.asarray(rgb * (1 - 0.55 * dark.astype(np.float32) / 255)[..., None], np.float32)
    return np.asarray(rgb + 0.75 * (bright.astype(np.float32) / 255)[..., None], np.float32)


def _ruler(rng: np.random.Generator, rgb: F32, shot: Shot, amount: float) -> F32:
    """A millimetre scale etched into the plate: ticks at true millimetres along an edge, every fifth longer."""
    height, width = shot.size
    plane = np.zeros((height, width), np.uint8)
    scale = shot.px_per_mm
    side = int(rng.integers(4))
    tilt = rng.normal(0, 0.06)
    inward = rotation(tilt) @ ((0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0))[side]
    along = rotation(np.pi / 2) @ inward
    middle = np.array([width / 2, height / 2]) - inward * (0.44 * (height if side % 2 == 0 else width))
    length = int(rng.integers(8, 13))
    thick = max(1, round(0.045 * scale))
    middle = middle - along * (length / 2 * scale)
    shift = 1 << DRAW_SHIFT

    def stroke(a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
        start, end = np.rint(a * shift).astype(int), np.rint(b * shift).astype(int)
        cv2.line(plane, start.tolist(), end.tolist(), 255, thick, cv2.LINE_AA, DRAW_SHIFT)

    stroke(middle, middle + along * length * scale)
    for tick in range(length + 1):
        at = middle + along * tick * scale
        stroke(at, at + inward * scale * (0.7 if tick % 5 == 0 else 0.4))
    text = middle + along * (length + 0.3) * scale
    cv2.putText(
        plane, "mm", (int(text[0]), int(text[1])), cv2.FONT_HERSHEY_SIMPLEX, 0.035 * scale / 2, 255, thick, cv2.LINE_AA
    )
    return _over(rgb, np.float32(0.85 / 255) * plane.astype(np.float32), np.array([0.03, 0.03, 0.035], np.float32))
