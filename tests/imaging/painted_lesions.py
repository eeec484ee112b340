"""Lesions painted from a formula, so that they can be drawn again at any angle, size and place without resampling."""

from __future__ import annotations

import numpy as np

SKIN = np.array([214.0, 170.0, 148.0])
BROWN = np.array([128.0, 82.0, 58.0])
DARK = np.array([66.0, 42.0, 36.0])


def inside_share(x, y, radius, lobes=0.15, elongation=1.3):
    """How far points lie inside (positive) or outside of a lobed ellipse, in pixels across its border."""
    angle = np.arctan2(y, x * elongation)
    border = radius * (1 + lobes * np.cos(3 * angle + 0.7) + 0.5 * lobes * np.sin(5 * angle))
    return border - np.hypot(x * np.sqrt(elongation), y / np.sqrt(elongation))


def lesion_mask(shape, centre, radius, turn_deg=0.0, **form):
    x, y = lesion_coordinates(shape, centre, turn_deg)
    return inside_share(x, y, radius, **form) > 0


def lesion_coordinates(shape, centre, turn_deg):
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(float)
    turn = np.deg2rad(turn_deg)
    x, y = columns - centre[0], rows - centre[1]
    return x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)


def paint(shape=(480, 640), centre=(320.0, 240.0), radius=90.0, turn_deg=0.0, skin=SKIN, seed=0, noise=2.0, **form):
    """A photo uint8 (H, W, 3) of a brown lesion, darker on one side, on skin with a little noise; and its mask."""
    x, y = lesion_coordinates(shape, centre, turn_deg)
    depth = inside_share(x, y, radius, **form)
    cover = np.clip(0.5 + depth / (0.06 * radius), 0, 1)[..., None]
    shade = np.clip(0.5 + x / radius, 0, 1)[..., None]
    colour = (1 - cover) * skin + cover * ((1 - shade) * BROWN + shade * DARK) * (skin / SKIN)
    grain = np.random.default_rng(seed).normal(0, noise, (*shape, 1))
    return np.clip(colour + grain, 0, 255).astype(np.uint8), depth > 0


def paint_skin(shape=(480, 640), skin=SKIN, seed=0, noise=2.0):
    grain = np.random.default_rng(seed).normal(0, noise, (*shape, 1))
    slow = np.linspace(-4, 4, shape[1])[None, :, None]
    return np.clip(skin + grain + slow, 0, 255).astype(np.uint8)


def draw_hairs(pixels, count=8, width=3, seed=1):
    """The photo with dark curved hairs, and where they are."""
    import cv2

    rng = np.random.default_rng(seed)
    height, wide = pixels.shape[:2]
    covered = np.zeros((height, wide), np.uint8)
    for _ in range(count):
        start, end = rng.uniform([0, 0], [wide, height], (2, 2))
        bend = (start + end) / 2 + rng.normal(0, 0.06 * wide, 2)
        t = np.linspace(0, 1, 60)[:, None]
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
        cv2.polylines(covered, [np.round(curve).astype(np.int32)], False, 1, width)
    drawn = pixels.copy()
    drawn[covered > 0] = (40, 28, 24)
    return drawn, covered > 0


def draw_dark_corners(pixels, radius_share=0.58):
    """The photo as through a round eyepiece, and where it is black."""
    height, width = pixels.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    outside = np.hypot(columns - width / 2, rows - height / 2) > radius_share * width
    drawn = pixels.copy()
    drawn[outside] = (6, 5, 5)
    return drawn, outside
