"""Outlines of lesions: star-shaped curves r(theta) in mm, whose area is known in closed form.

An outline is a radius at `ANGLES` equally spaced directions (theta from +x towards +y). Growth either enlarges it as a
whole or pushes one side out, and is solved for the area it must reach.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Directions at which a radius is stored: 0.35 degrees, below a pixel at the edge of the largest lesion.
ANGLES = 1024

#: Highest harmonic of an irregular border; at 3 mm radius its notches are half a millimetre wide.
HARMONICS = 26

Radii = NDArray[np.float64]


def draw_outline(rng: np.random.Generator, irregularity: float, elongation: float) -> Radii:
    """Draw an outline of unit area: `irregularity` in [0, 1] roughens it, `elongation` >= 1 is its axis ratio."""
    theta = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    axis = rng.uniform(0, np.pi)
    root = np.sqrt(elongation)
    radii = 1 / np.sqrt((np.cos(theta - axis) / root) ** 2 + (np.sin(theta - axis) * root) ** 2)
    ripple = np.zeros(ANGLES)
    for k in range(2, HARMONICS + 1):
        # k**-1.1 keeps the notches of real borders visible beside the coarse shape.
        ripple += rng.normal(0, 0.12 * irregularity * k**-1.1 * 2) * np.cos(k * theta + rng.uniform(0, 2 * np.pi))
    radii = radii * np.exp(np.clip(ripple, -0.6, 0.5))
    return scale_to_area(radii, 1.0)


def draw_lobe(rng: np.random.Generator) -> Radii:
    """Draw a one-sided bulge, at most 1: where a lesion grows that does not grow all round."""
    theta = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    lobe = np.zeros(ANGLES)
    first = rng.uniform(0, 2 * np.pi)
    for offset, height in ((0.0, 1.0), (rng.uniform(0.6, 1.4), rng.uniform(0.2, 0.7))):
        width = rng.uniform(2.0, 6.0)
        lobe += height * np.exp(width * (np.cos(theta - first - offset) - 1))
    notches = sum(rng.normal(0, 0.12) * np.cos(k * theta + rng.uniform(0, 2 * np.pi)) for k in range(5, 14))
    lobe = np.clip(lobe * (1 + notches), 0, None)
    return np.asarray(lobe / lobe.max())


def area_mm2(radii: Radii) -> float:
    """Area inside an outline: half the integral of r squared, mm2."""
    return float(0.5 * np.sum(radii**2) * (2 * np.pi / len(radii)))


def scale_to_area(radii: Radii, area: float) -> Radii:
    """The outline enlarged as a whole to `area` mm2."""
    return np.asarray(radii * np.sqrt(area / area_mm2(radii)))


def grow(radii: Radii, lobe: Radii, area: float, one_sided: float) -> Radii:
    """The outline grown to `area` mm2: a share `one_sided` (0 to 1) of what is new through `lobe`.

    The rest grows all round; shrinking is always all round.
    """
    before = area_mm2(radii)
    gained = area - before
    if gained <= 0 or one_sided <= 0:
        return scale_to_area(radii, area)
    base = scale_to_area(radii, before + gained * (1 - one_sided))
    # 1/2 integral (base + g lobe)^2 = area is a quadratic in the height g.
    step = 2 * np.pi / len(radii)
    a = 0.5 * step * float(np.sum(lobe**2))
    b = step * float(np.sum(base * lobe))
    c = area_mm2(base) - area
    height = (-b + np.sqrt(b * b - 4 * a * c)) / (2 * a)
    return np.asarray(base + height * lobe)
