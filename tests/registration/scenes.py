"""Small scenes with a lesion: one plane, photographed under any pose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longderm.imaging import Segmentation
from longderm.photo import Photo
from longderm.registration import Prepared, prepare
from longderm.registration.similarity import Matrix, from_parts

SHAPE = (288, 384)


def blotches(shape: tuple[int, int], sizes: tuple[float, ...], generator: np.random.Generator) -> NDArray[np.float32]:
    import cv2

    total = np.zeros(shape, np.float32)
    for size in sizes:
        noise = generator.standard_normal((int(shape[0] / size) + 2, int(shape[1] / size) + 2), dtype=np.float32)
        total += cv2.resize(noise, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return total / np.float32(np.sqrt(len(sizes)))


def scene(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A plane (600 x 800) of textured skin with an irregular lesion in its middle, and the lesion's mask."""
    generator = np.random.default_rng(seed)
    height, width = 600, 800
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = np.arctan2(y - height / 2, x - width / 2)
    radius = 75.0 + sum(
        generator.uniform(3, 9) * np.cos(k * angle + generator.uniform(0, 2 * np.pi)) for k in range(1, 6)
    )
    depth = np.clip((radius - np.hypot(x - width / 2, y - height / 2)) / 8.0 + 0.5, 0.0, 1.0)
    skin = 1.0 + 0.05 * blotches((height, width), (3.0, 7.0, 16.0), generator)
    pigment = depth * (1.0 + 0.35 * blotches((height, width), (5.0, 9.0, 20.0), generator))
    light = np.array([0.62, 0.42, 0.34]) * skin[..., None] * np.exp(-pigment[..., None] * np.array([0.8, 1.1, 1.4]))
    return np.round(np.clip(light, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8), depth > 0.5


def photograph(
    plane: NDArray[np.uint8], mask: NDArray[np.bool_], pose: Matrix, seed: int, px_per_mm: float | None = None
) -> tuple[Photo, Segmentation]:
    """The plane under `pose` (plane to photo) with its own light, white balance and noise."""
    import cv2

    generator = np.random.default_rng(seed)
    height, width = SHAPE
    frame = cv2.warpAffine(plane, pose[:2], (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    seen = cv2.warpAffine(mask.astype(np.uint8) * 255, pose[:2], (width, height)) > 127
    ramp = 1.0 + generator.uniform(-0.1, 0.1) * np.linspace(-1, 1, width)[None, :, None]
    light = frame * ramp * generator.uniform(0.92, 1.05, 3) + generator.normal(0.0, 2.0, (height, width, 3))
    photo = Photo.from_array(np.clip(np.round(light), 0, 255).astype(np.uint8), px_per_mm=px_per_mm)
    found = bool(seen.any())
    return photo, Segmentation(
        mask=seen, confidence=0.9 if found else 0.0, found=found, reason=None, touches_border=False, model="truth"
    )


def pose_of(scale: float = 1.0, rotation_deg: float = 0.0, dx: float = 0.0, dy: float = 0.0) -> Matrix:
    """The plane's centre to the photo's centre plus (dx, dy), scaled and turned about it."""
    height, width = SHAPE
    return from_parts(scale, rotation_deg, complex(400, 300), complex((width - 1) / 2 + dx, (height - 1) / 2 + dy))


def prepared(seed: int, pose: Matrix, noise_seed: int, px_per_mm: float | None = None) -> Prepared:
    plane, mask = scene(seed)
    return prepare(*photograph(plane, mask, pose, noise_seed, px_per_mm))
