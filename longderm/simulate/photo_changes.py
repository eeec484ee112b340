"""Changes painted on a photo of a real lesion, for training: growth, a blotch, colour, lost structure, regression.

Quick: a few milliseconds on a canvas of 256 px. The change benchmark makes its changes by other means
(`longderm.bench.change_tissue`) and shares no code with this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: Kinds of change and the range of their size: relative growth of the area; share of the lesion; mean CIE 1976 colour
#: difference; shares of the lesion that lose structure, or regress.
KINDS: dict[str, tuple[float, float]] = {
    "growth": (0.05, 0.4),
    "blotch": (0.01, 0.08),
    "colour": (3.0, 12.0),
    "structure": (0.4, 0.9),
    "regression": (0.08, 0.4),
}
#: What each kind is reported as: its group among the measured differences.
REASONS = {
    "growth": "size",
    "blotch": "colour",
    "colour": "colour",
    "structure": "structure",
    "regression": "size",
}
#: No skin is so dark, in grey levels.
_BLACK = 12
#: Share of the lesion whose colour shifts.
_SHIFTED_SHARE = (0.25, 0.42)
#: A blotch against what lies under it, in L*, a*, b*: brown to black, blue-grey, red. Weighed by how often.
_BLOTCH_COLOURS = ((-1.0, 0.05, -0.15), (-0.7, -0.1, -0.75), (-0.25, 0.85, 0.2))
_BLOTCH_WEIGHTS = (0.65, 0.15, 0.2)
_BLOTCH_DELTA_E = (9.0, 26.0)


@dataclass(frozen=True, eq=False)
class Painted:
    """The canvas with a change: pixels uint8 (H, W, 3), the lesion's mask and what changed, bool (H, W); size as in
    KINDS, as it came out."""

    pixels: U8
    mask: Mask
    where: Mask
    size: float


def paint_change(pixels: U8, mask: Mask, kind: str, size: float, rng: np.random.Generator) -> Painted:
    """A change of one of KINDS on a copy of the canvas. Raises KeyError for another kind, ValueError without lesion."""
    if not mask.any():
        raise ValueError("a change needs a lesion")
    return _PAINTERS[kind](pixels, mask, size, rng)


def _grow(pixels: U8, mask: Mask, size: float, rng: np.random.Generator) -> Painted:
    radius = _radius(mask)
    outward = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
    # Nearest in a distance that runs slower on the sides to which the lesion grows.
    uneven = outward * np.exp(np.float32(rng.uniform(0.2, 1.0)) * _clouds(mask.shape, radius, rng))
    uneven[~(_is_seen(pixels) | mask)] = 1e9
    grown = _smallest(uneven, round((1.0 + size) * int(mask.sum())))
    fresh = grown & ~mask
    # The rim's tissue drawn outward: each new pixel shows what lies nearer the middle, jittered.
    y, x = _grid(mask.shape)
    cx, cy = _middle(mask)
    nearer = np.float32(rng.uniform(0.62, 0.85))
    jitter = np.float32(0.12 * radius)
    shift_x, shift_y = (jitter * _clouds(mask.shape, 0.4 * radius, rng) for _ in range(2))
    tissue = cv2.remap(
        pixels, cx + nearer * (x - cx) + shift_x, cy + nearer * (y - cy) + shift_y, cv2.INTER_LINEAR
    ).astype(np.float32)
    rim = mask & (cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3) < max(2.0, 0.3 * radius))
    if rim.any():
        level = _mean(pixels, rim) - _mean(tissue, fresh)
        tissue += np.float32(0.8) * level
    # Over the old rim as well, whose fading into skin now lies inside.
    inward = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    covered = grown & (inward < np.float32(rng.uniform(0.15, 0.3) * radius))
    opacity = _soft(covered, rng.uniform(0.04, 0.1) * radius)
    return Painted(_over(pixels, tissue, opacity), grown, fresh, float(fresh.sum()) / float(mask.sum()))


def _blotch(pixels: U8, mask: Mask, size: float, rng: np.random.Generator) -> Painted:
    radius = _radius(mask) * float(np.sqrt(size))
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    places = np.argwhere(depth >= min(float(depth.max()), rng.uniform(0.2, 1.0) * radius))
    cy, cx = places[int(rng.integers(len(places)))]
    y, x = _grid(mask.shape)
    turn, flat = rng.uniform(0, np.pi), np.float32(rng.uniform(1.0, 1.8))
    along = (x - cx) * np.float32(np.cos(turn)) + (y - cy) * np.float32(np.sin(turn))
    across = (y - cy) * np.float32(np.cos(turn)) - (x - cx) * np.float32(np.sin(turn))
    wavy = np.hypot(along / flat, across * flat) * (1 + np.float32(0.3) * _clouds(mask.shape, radius, rng))
    where = _smallest(np.where(mask, wavy, np.float32(1e9)), max(6, round(size * int(mask.sum()))))
    colour = np.array(_BLOTCH_COLOURS[int(rng.choice(len(_BLOTCH_COLOURS), p=_BLOTCH_WEIGHTS))], np.float32)
    if _lab(pixels)[where].mean(axis=0)[0] < 18:  # nothing is seen darker than black
        colour = np.array([0.9, 0.2, 0.3], np.float32)
    colour = colour + rng.normal(0, 0.12, 3).astype(np.float32)
    strength = np.float32(rng.uniform(*_BLOTCH_DELTA_E)) / np.linalg.norm(colour)
    mottled = (1 + np.float32(0.2) * _clouds(mask.shape, 0.5 * radius, rng))[..., None]
    soft = _soft(where, rng.uniform(0.08, 0.3) * radius)[..., None]
    return Painted(_in_lab(pixels, colour * strength * mottled * soft), mask, where, _share(where, mask))


def _shift_colour(pixels: U8, mask: Mask, size: float, rng: np.random.Generator) -> Painted:
    where = _part(mask, float(rng.uniform(*_SHIFTED_SHARE)), rng)
    direction = rng.normal(0, 1, 3) * np.array([1.0, 0.7, 0.7])
    shift = (direction / np.linalg.norm(direction) * size).astype(np.float32)
    if _lab(pixels)[where].mean(axis=0)[0] + shift[0] < 8:
        shift[0] = -shift[0]
    radius = _radius(mask)
    # The shift dies out towards the border, where a lesion has little colour of its own.
    border = np.clip(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3) / max(1.0, 0.12 * radius), 0, 1)
    soft = _soft(where, rng.uniform(0.04, 0.12) * radius) * border
    return Painted(_in_lab(pixels, shift * soft[..., None]), mask, where, float(size))


def _lose_structure(pixels: U8, mask: Mask, size: float, rng: np.random.Generator) -> Painted:
    where = _part(mask, size, rng)
    radius = _radius(mask)
    sigma = float(rng.uniform(0.08, 0.16)) * radius
    # Smoothed with lesion only, so that no skin bleeds in.
    weight = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma)
    inside = cv2.GaussianBlur(pixels * mask[..., None].astype(np.float32), (0, 0), sigma)
    flat = inside / np.maximum(weight, np.float32(0.05))[..., None]
    grain = pixels.astype(np.float32) - cv2.GaussianBlur(pixels, (0, 0), 0.8)
    smooth = flat + grain + np.float32(rng.uniform(0, 2.5)) * _clouds(mask.shape, 0.3 * radius, rng)[..., None]
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    opacity = _soft(where & (depth > 0.1 * radius), 0.06 * radius) * np.float32(rng.uniform(0.8, 1.0))
    return Painted(_over(pixels, smooth, opacity), mask, where, _share(where, mask))


def _regress(pixels: U8, mask: Mask, size: float, rng: np.random.Generator) -> Painted:
    """Part of the border gone, or a white scar-like part."""
    radius = _radius(mask)
    around = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
    skin_at = np.asarray(~mask & (around < 0.6 * radius) & _is_seen(pixels))
    skin = _mean(pixels, skin_at) if skin_at.any() else np.full(3, 200, np.float32)
    if rng.random() < 0.5:
        depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
        uneven = depth * np.exp(np.float32(0.8) * _clouds(mask.shape, radius, rng))
        where = _smallest(np.where(mask, uneven, np.float32(1e9)), round(size * int(mask.sum())))
        left = mask & ~where
        # Skin from beyond the border, mirrored at it.
        y, x = _grid(mask.shape)
        cx, cy = _middle(mask)
        away = np.maximum(np.hypot(x - cx, y - cy), np.float32(1))
        reach = (depth * np.float32(2.2) + np.float32(0.15 * radius)) / away
        tissue = cv2.remap(
            pixels, x + (x - cx) * reach, y + (y - cy) * reach, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        ).astype(np.float32)
        tissue[~_is_seen(tissue)] = skin
        tissue += np.float32(0.5) * (skin - _mean(tissue, where))
        wide = where | (~mask & (cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3) < 0.1 * radius))
        opacity = _soft(wide & ~left, rng.uniform(0.03, 0.09) * radius)
        return Painted(_over(pixels, tissue, opacity), left, where, _share(where, mask))
    where = _part(mask, size, rng)
    pale = skin + rng.uniform(0.2, 0.7) * (np.array([225, 215, 215], np.float32) - skin)
    grey = pixels.mean(axis=2, dtype=np.float32)
    texture = (grey - cv2.GaussianBlur(grey, (0, 0), 3))[..., None] * np.float32(0.5)
    opacity = _soft(where, rng.uniform(0.06, 0.15) * radius) * np.float32(rng.uniform(0.45, 0.85))
    return Painted(_over(pixels, pale.astype(np.float32) + texture, opacity), mask, where, _share(where, mask))


_PAINTERS: dict[str, Callable[[U8, Mask, float, np.random.Generator], Painted]] = {
    "growth": _grow,
    "blotch": _blotch,
    "colour": _shift_colour,
    "structure": _lose_structure,
    "regression": _regress,
}


def _radius(mask: Mask) -> float:
    return float(np.sqrt(int(mask.sum()) / np.pi))


def _middle(mask: Mask) -> tuple[np.float32, np.float32]:
    moments = cv2.moments(mask.astype(np.uint8), binaryImage=True)
    return np.float32(moments["m10"] / moments["m00"]), np.float32(moments["m01"] / moments["m00"])


def _grid(shape: tuple[int, ...]) -> tuple[F32, F32]:
    """Coordinates y (H, 1) and x (1, W), spread to the whole canvas."""
    y = np.repeat(np.arange(shape[0], dtype=np.float32)[:, None], shape[1], axis=1)
    x = np.repeat(np.arange(shape[1], dtype=np.float32)[None, :], shape[0], axis=0)
    return y, x


def _clouds(shape: tuple[int, ...], size_px: float, rng: np.random.Generator) -> F32:
    """Smooth noise with features of about `size_px`, standard deviation about 1."""
    rows, columns = (max(2, min(32, int(side / max(2.0, size_px)) + 2)) for side in shape)
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _smallest(values: F32, count: int) -> Mask:
    """The `count` pixels with the smallest values."""
    count = min(max(1, count), values.size)
    return np.asarray(values <= np.partition(values, count - 1, axis=None)[count - 1])


def _part(mask: Mask, share: float, rng: np.random.Generator) -> Mask:
    """A share of the lesion, in one piece or a few."""
    field = _clouds(mask.shape, float(rng.uniform(0.7, 1.8)) * _radius(mask), rng)
    limit = np.quantile(field[mask], 1.0 - share)
    return np.asarray(mask & (field >= limit))


def _is_seen(pixels: NDArray[np.generic]) -> Mask:
    """Where the canvas shows anything: beyond the photo it is black."""
    return np.asarray(pixels.max(axis=2) > _BLACK)


def _share(where: Mask, mask: Mask) -> float:
    return float(where.sum()) / float(mask.sum())


def _mean(image: U8 | F32, where: Mask) -> F32:
    return np.array(cv2.mean(image, where.astype(np.uint8))[:3], np.float32)


def _soft(mask: Mask, sigma: float) -> F32:
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(0.7, sigma)), np.float32)


def _over(below: U8, above: F32, opacity: F32) -> U8:
    mixed = below + (above - below) * opacity[..., None]
    return np.asarray(np.clip(mixed + np.float32(0.5), 0, 255), np.uint8)


def _lab(pixels: U8) -> F32:
    return np.asarray(cv2.cvtColor(pixels * np.float32(1 / 255), cv2.COLOR_RGB2Lab), np.float32)


def _in_lab(pixels: U8, shift: F32) -> U8:
    moved = np.asarray(_lab(pixels) + shift, np.float32)
    return np.asarray(np.clip(cv2.cvtColor(moved, cv2.COLOR_Lab2RGB) * 255 + np.float32(0.5), 0, 255), np.uint8)
