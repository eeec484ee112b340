"""A drawn lesion on skin, photographed in software: small pairs with a known truth."""

from __future__ import annotations

import cv2
import numpy as np

from longderm.imaging.colour import linear_to_srgb
from longderm.photo import Photo

SIDE = (240, 320)
SKIN = np.array([0.62, 0.40, 0.30])
LESION_DENSITY = np.array([0.7, 1.0, 1.2])


def lesion_pixels(
    radius=45.0, density=1.0, gain=(1.0, 1.0, 1.0), seed=0, blotch=0.0, bulge=0.0, structure=1.0, shape=SIDE
):
    """(pixels, mask) of one lesion; `density` scales its pigment, `gain` the light per channel."""
    rng = np.random.default_rng(seed)
    height, width = shape
    y, x = np.mgrid[0:height, 0:width].astype(float)
    dx, dy = x - width / 2, y - height / 2
    angle = np.arctan2(dy, dx)
    border = radius * (1.0 + 0.10 * np.cos(2 * angle + 0.5) + 0.06 * np.cos(3 * angle))
    border = border + bulge * radius * np.exp(-(((angle - 0.8) / 0.5) ** 2))
    inside = 1.0 / (1.0 + np.exp((np.hypot(dx, dy) - border) / 1.5))
    skin_texture = cv2.GaussianBlur(rng.normal(size=shape), (0, 0), 2.0)
    network = cv2.GaussianBlur(rng.normal(size=shape), (0, 0), 2.5)
    patches = cv2.GaussianBlur(rng.normal(size=shape), (0, 0), 9.0)
    pigment = inside * density * (0.6 + 1.6 * structure * network + 2.5 * patches)
    pigment = pigment + blotch * np.exp(-((dx - 12) ** 2 + (dy + 8) ** 2) / (2 * 7.0**2))
    light = SKIN * np.exp(-0.15 * skin_texture)[..., None] * np.exp(-pigment[..., None] * LESION_DENSITY)
    return linear_to_srgb(light * np.asarray(gain)), inside > 0.5


def lesion_photo(**kwargs):
    """(photo, mask) of `lesion_pixels`."""
    pixels, mask = lesion_pixels(**kwargs)
    return Photo.from_array(pixels), mask


def similarity(scale, angle_deg, about=(160.0, 120.0), shift=(0.0, 0.0)):
    """A (3, 3) matrix: scale and rotation about a point, then a shift."""
    turn = np.deg2rad(angle_deg)
    a, b = scale * np.cos(turn), scale * np.sin(turn)
    cx, cy = about
    return np.array(
        [[a, -b, cx - a * cx + b * cy + shift[0]], [b, a, cy - b * cx - a * cy + shift[1]], [0.0, 0.0, 1.0]]
    )


def rephotograph(pixels, mask, matrix, shape=SIDE):
    """Both as a camera in another pose sees them; `matrix` takes the given pixels to the new ones."""
    size = (shape[1], shape[0])
    moved = cv2.warpAffine(pixels, matrix[:2], size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    seen = cv2.warpAffine(mask.astype(np.uint8) * 255, matrix[:2], size, flags=cv2.INTER_LINEAR)
    return moved, seen > 127
