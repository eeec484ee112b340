"""The skin around a lesion: chromophores that persist between visits, and those that do not.

Skin is described by what absorbs in it: melanin and blood, in units of optical density (natural logarithm) of the blue
channel for melanin and the green one for blood. `reflect` turns them into linear RGB.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from longderm.simulate.fields import F32, Lattice, cell_edges, draw_discs, draw_lines, noise, octaves, wander

#: Relative absorption in R, G, B. Melanin falls with the 3.3rd power of wavelength (620, 540, 460 nm), flattened here
#: because broad camera channels see less contrast; blood absorbs green most.
MELANIN_ABSORPTION = np.array([0.44, 0.68, 1.0], np.float32)
BLOOD_ABSORPTION = np.array([0.10, 1.0, 0.78], np.float32)

#: Reflectance of skin without absorbers.
SCATTER = np.array([0.93, 0.87, 0.84], np.float32)

#: Melanin of the Fitzpatrick types I to VI, chosen by eye against photos.
SKIN_MELANIN = (0.26, 0.40, 0.62, 1.0, 1.7, 2.6)

#: Tan adds at most this much melanin to skin, relative to what the type has.
TAN_GAIN = 0.8


@dataclass(frozen=True)
class SkinField:
    """Persistent skin: `lattice` with channels melanin, blood (relative modulation) and relief."""

    lattice: Lattice
    melanin: float
    blood: float


def build_skin(seed: tuple[int, ...], skin_type: int, extent_mm: float, per_mm: float, site: str = "back") -> SkinField:
    """Draw the skin of a lesion's surroundings: `extent_mm` wide, lattice of `per_mm` nodes per mm."""
    rng = np.random.default_rng([*seed, 21])
    size = int(extent_mm * per_mm)
    sun = float(rng.beta(1.5, 2.5))
    melanin = octaves(rng, size, per_mm, {5.0: 0.05, 1.8: 0.03 + 0.05 * sun, 0.6: 0.04, 0.25: 0.05, 0.13: 0.05})
    blood = octaves(rng, size, per_mm, {6.0: 0.10, 1.3: 0.07, 0.45: 0.09, 0.2: 0.09, 0.11: 0.07})
    relief = np.zeros((size, size), np.float32)

    if site in ("sole", "palm"):
        relief += _ridges(rng, size, per_mm)
    else:
        distance = cell_edges(rng, size, 0.55 * per_mm, 0.9)
        depth = float(rng.uniform(0.15, 0.7))
        relief -= depth * np.exp(-((distance / (0.045 * per_mm)) ** 2))
    relief += octaves(rng, size, per_mm, {0.3: 0.2, 0.12: 0.3})

    area = extent_mm**2
    pores = _scatter(rng, area, size, rng.uniform(0.05, 0.35) if site not in ("sole", "palm") else 0.0)
    if len(pores):
        discs = draw_discs((size, size), pores, rng.uniform(0.05, 0.11, len(pores)) * per_mm)
        halo = cv2.GaussianBlur(discs, (0, 0), 0.16 * per_mm)
        relief -= 0.9 * cv2.GaussianBlur(discs, (0, 0), 0.05 * per_mm)
        blood += 0.8 * halo * np.float32(rng.uniform(0, 1))
    freckles = _scatter(rng, area, size, 0.035 * sun * (2.0 if skin_type <= 3 else 0.6))
    if len(freckles):
        discs = draw_discs(
            (size, size), freckles, np.clip(rng.lognormal(-0.9, 0.45, len(freckles)), 0.15, 1.6) * per_mm
        )
        discs = cv2.GaussianBlur(discs, (0, 0), 0.18 * per_mm) * (1 + 0.35 * noise(rng, size, 0.3 * per_mm))
        melanin += discs * np.float32(rng.uniform(0.5, 1.4) / (0.6 + SKIN_MELANIN[skin_type - 1]))
    vessels = int(rng.poisson(5))
    if vessels:
        curves = [
            wander(rng, rng.uniform(0, size, 2), rng.uniform(0, 6.3), rng.uniform(1.5, 6) * per_mm, 1.2)
            for _ in range(vessels)
        ]
        lines = draw_lines((size, size), curves, [float(rng.uniform(0.05, 0.13) * per_mm) for _ in curves])
        blood += 1.1 * cv2.GaussianBlur(lines, (0, 0), 0.09 * per_mm)
    values = np.ascontiguousarray(np.stack([melanin, blood, relief], axis=2).astype(np.float32))
    tone = float(SKIN_MELANIN[skin_type - 1] * rng.lognormal(0, 0.12))
    return SkinField(Lattice(values, per_mm), tone, float(np.clip(rng.normal(0.30, 0.06), 0.16, 0.5)))


def skin_chromophores(
    skin: SkinField,
    seed: tuple[int, ...],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    tan: float,
    px_per_mm: float,
) -> tuple[F32, F32, F32]:
    """Melanin, blood and relief (each (H, W)) of the skin in one photo; `seed` draws what does not persist."""
    rng = np.random.default_rng([*seed, 22])
    sampled = skin.lattice.sample(matrix, size)
    tone = skin.melanin * (1 + TAN_GAIN * tan) * (1 + rng.normal(0, 0.03))
    flush = skin.blood * (1 + rng.normal(0, 0.12))
    # Blotches and dryness come and go, and the plate flattens more or less of the relief; the coarse pattern stays.
    side = max(size)
    coarse, fine = side // 4 + 1, side // 2 + 1
    blotch = noise(rng, coarse, 1.6 * px_per_mm / 4) * 0.6 + noise(rng, coarse, 0.5 * px_per_mm / 4) * 0.5
    speckle = noise(rng, fine, max(1.0, 0.16 * px_per_mm / 2))
    passing, dryness = (cv2.resize(plane, (side, side))[: size[0], : size[1]] for plane in (blotch, speckle))
    kept, new = np.float32(rng.uniform(0.5, 1.0)), np.float32(rng.uniform(0.03, 0.16))
    melanin = tone * np.clip(1 + sampled[..., 0] + np.float32(0.35) * new * dryness, 0.3, None)
    blood = flush * np.clip(1 + kept * sampled[..., 1] + new * (passing + np.float32(0.7) * dryness), 0.2, None)
    relief = np.float32(rng.uniform(0.3, 1.0)) * sampled[..., 2] + np.float32(0.3) * dryness
    return melanin.astype(np.float32), blood.astype(np.float32), relief.astype(np.float32)


def reflect(melanin: F32, blood: F32) -> F32:
    """Linear RGB reflectance (H, W, 3) of skin with that much melanin and blood."""
    # Dense pigment turns neutral: it absorbs all there is to absorb in blue.
    neutral = np.float32(0.06) * np.square(np.clip(melanin - np.float32(1.7), 0, None))
    planes = []
    for scatter, by_melanin, by_blood in zip(SCATTER, MELANIN_ABSORPTION, BLOOD_ABSORPTION, strict=True):
        density = melanin * by_melanin + blood * by_blood
        density += neutral
        planes.append(scatter * np.exp(-density))
    return np.asarray(cv2.merge(planes), np.float32)


def _scatter(rng: np.random.Generator, area: float, size: int, per_mm2: float) -> NDArray[np.float64]:
    return rng.uniform(0, size, (int(rng.poisson(area * per_mm2)), 2))


def _ridges(rng: np.random.Generator, size: int, per_mm: float) -> F32:
    """Parallel ridges of palms and soles, half a millimetre apart, gently curved."""
    angle = rng.uniform(0, np.pi)
    line = (np.arange(size) - size / 2) / per_mm
    across = line[None, :] * np.cos(angle) + line[:, None] * np.sin(angle)
    bend = noise(rng, size, 6 * per_mm) * 0.5
    return np.asarray(0.8 * np.cos(2 * np.pi * (across + bend) / 0.5), np.float32)
