"""A real photo, photographed again in software: pose, light, camera, what lies on the skin; with or without growth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.registration.similarity import Matrix

#: Texture finer than this share of the photo's width is fine: 0.2 mm in a field of 20 mm, a mesh of pigment network.
_FINE_SHARE = 0.01

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Nuisance:
    """What differs between two photos beside the pose.

    blur_px: smallest and largest sigma; noise: largest standard deviation (grey levels); hairs: largest number;
    persistence: share of the skin's fine texture that both photos show, in [0, 1] (the rest is replaced by texture of
    each photo's own); fresh_texture: texture over skin and lesion that the other photo does not have, relative to the
    photo's own; colour_response: standard deviation of what a camera mixes of one colour channel into another.
    """

    blur_px: tuple[float, float]
    noise: float
    hairs: int
    persistence: float = 1.0
    fresh_texture: float = 0.0
    colour_response: float = 0.0


def take(scene: U8, pose: Matrix, size: tuple[int, int], nuisance: Nuisance, bend: F32 | None, seed: int) -> U8:
    """One photo uint8 (height, width, 3) of `scene`: pose (scene to photo), bend, light, camera, hair, lens, JPEG.

    bend: float32 (2, height, width), where the photo shows what lies there without it, as an offset in its pixels.
    """
    import cv2

    generator = np.random.default_rng([seed, 77])
    height, width = size
    frame = warp(scene, pose, size)
    if bend is not None:
        frame = bent(frame, bend)
    frame = add_texture(frame, nuisance.fresh_texture, generator)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    linear = _light(frame, x / width - 0.5, y / height - 0.5, generator)
    if nuisance.colour_response > 0:
        linear = linear @ _camera(nuisance.colour_response, generator)
    encoded = np.clip(linear, 0.0, 1.0) ** np.float32(1.0 / generator.uniform(2.0, 2.4))
    pixels = np.round(encoded * 255.0).astype(np.uint8)
    for _ in range(int(generator.integers(0, nuisance.hairs + 1))):
        _draw_hair(pixels, generator)
    sigma = generator.uniform(*nuisance.blur_px)
    if sigma > 0.2:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)
    if generator.random() < 0.3:
        radius = generator.uniform(0.52, 0.6) * width
        corner = np.clip((radius - np.hypot(x - width / 2, y - height / 2)) / 8.0 + 0.5, 0.0, 1.0)
        pixels = np.round(pixels * corner[..., None]).astype(np.uint8)
    grain = generator.normal(0.0, generator.uniform(0.5, nuisance.noise), pixels.shape)
    pixels = np.clip(np.round(pixels + grain), 0, 255).astype(np.uint8)
    return through_jpeg(pixels, int(generator.integers(70, 96)))


def widen(image: U8, generator: np.random.Generator) -> U8:
    """The photo in the middle of a plane three times its size, continued by its smoothed rim and plain skin texture.

    A reflected rim would put a mirrored copy of the lesion's surroundings into the pair.
    """
    import cv2

    height, width = image.shape[:2]
    small = cv2.resize(image, (width // 8, height // 8), interpolation=cv2.INTER_AREA)
    rows, columns = small.shape[:2]
    plane = cv2.copyMakeBorder(small, rows, rows, columns, columns, cv2.BORDER_REPLICATE)
    plane = cv2.resize(cv2.GaussianBlur(plane, (0, 0), 6.0), (3 * width, 3 * height), interpolation=cv2.INTER_LINEAR)
    plane = plane.astype(np.float32) + 2.0 * texture((3 * height, 3 * width), generator)[..., None]
    plane = np.clip(np.round(plane), 0, 255).astype(np.uint8)
    plane[height : 2 * height, width : 2 * width] = image
    return np.asarray(plane, np.uint8)


def renew_skin(image: U8, mask: NDArray[np.bool_], persistence: float, generator: np.random.Generator) -> U8:
    """The photo with its skin's fine texture kept to a share of `persistence`, the rest of it drawn anew."""
    import cv2

    if persistence >= 1.0:
        return image
    sigma = _FINE_SHARE * image.shape[1]
    coarse = cv2.GaussianBlur(image, (0, 0), sigma).astype(np.float32)
    fine = image - coarse
    skin = np.float32(1.0) - _softened(mask, 1.1)
    amount = float(np.median(np.abs(fine[skin > 0.5]))) * 1.48 if (skin > 0.5).any() else 0.0
    own = np.float32(amount) * texture(image.shape[:2], generator)[..., None]
    renewed = coarse + np.float32(persistence) * fine + np.float32(np.sqrt(1.0 - persistence**2)) * own
    mixed = image + (renewed - image) * skin[..., None]
    return np.asarray(np.round(np.clip(mixed, 0.0, 255.0)), np.uint8)


def grow_evenly(image: U8, mask: NDArray[np.bool_], area_factor: float) -> tuple[U8, NDArray[np.bool_]]:
    """The lesion with all its texture expanded about its centroid, over skin that stays; image and mask."""
    import cv2

    y, x = np.nonzero(mask)
    zoom = float(np.sqrt(area_factor))
    cx, cy = float(x.mean()), float(y.mean())
    step = np.array([[zoom, 0.0, cx - zoom * cx], [0.0, zoom, cy - zoom * cy]])
    size = (image.shape[1], image.shape[0])
    larger = cv2.warpAffine(image, step, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    grown = cv2.warpAffine(mask.astype(np.uint8) * 255, step, size, flags=cv2.INTER_LINEAR) > 127
    return _over(image, np.asarray(larger, np.uint8), _softened(grown, 1.04)), np.asarray(grown)


def grow_by_accretion(image: U8, mask: NDArray[np.bool_], area_factor: float) -> tuple[U8, NDArray[np.bool_]]:
    """New lesion tissue all around the old one, which stays where it was; image and mask."""
    grown_image, grown = grow_evenly(image, mask, area_factor)
    return _over(grown_image, image, _softened(mask, 0.9)), grown


def _softened(mask: NDArray[np.bool_], reach: float) -> F32:
    """The mask as opacity, float32 (H, W), its border moved to `reach` of the radius and softened."""
    import cv2

    radius = float(np.sqrt(max(1, int(mask.sum())) / np.pi))
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    depth = np.where(mask, inside, -outside) + (reach - 1.0) * radius
    return np.asarray(np.clip(0.5 + depth / max(2.0, 0.06 * radius), 0.0, 1.0), np.float32)


def _over(below: U8, above: U8, opacity: F32) -> U8:
    mixed = below + (above.astype(np.float32) - below) * opacity[..., None]
    return np.asarray(np.round(mixed), np.uint8)


def warp(image: U8, pose: Matrix, size: tuple[int, int]) -> U8:
    """An image on a frame of `size` (height, width) under `pose`, averaged before it is shrunk."""
    import cv2

    scale = abs(pose[0, 0] + 1j * pose[1, 0])
    if scale < 0.9:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5 * float(np.sqrt(1 / scale**2 - 1)) + 1e-3), np.uint8)
    return np.asarray(cv2.warpAffine(image, pose[:2], (size[1], size[0]), flags=cv2.INTER_CUBIC), np.uint8)


def draw_bend(size: tuple[int, int], most_px: float, generator: np.random.Generator) -> F32:
    """A smooth random displacement, float32 (2, height, width), at most `most_px` long."""
    import cv2

    coarse = generator.standard_normal((2, 4, 5), dtype=np.float32)
    field = np.stack([cv2.resize(part, (size[1], size[0]), interpolation=cv2.INTER_CUBIC) for part in coarse])
    return np.asarray(field * np.float32(most_px / np.hypot(*field).max()), np.float32)


def bent(frame: U8, bend: F32) -> U8:
    """The frame, bent: pixel (x, y) shows what was at (x, y) + bend."""
    import cv2

    y, x = np.mgrid[0 : frame.shape[0], 0 : frame.shape[1]].astype(np.float32)
    moved = cv2.remap(frame, x + bend[0], y + bend[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def texture(shape: tuple[int, int], generator: np.random.Generator) -> F32:
    """Blotches of three sizes, standard deviation about 1, float32."""
    import cv2

    total = np.zeros(shape, np.float32)
    for size in (1.5, 4.0, 10.0):
        small = (max(2, int(shape[0] / size)), max(2, int(shape[1] / size)))
        noise = generator.standard_normal(small, dtype=np.float32)
        total += cv2.resize(noise, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC) / np.float32(np.sqrt(3.0))
    return total


def add_texture(frame: U8, amount: float, generator: np.random.Generator) -> U8:
    """Fine texture of the skin (folds, gel) in units of the photo's own, which no other photo shares."""
    import cv2

    if amount <= 0:
        return frame
    grey = frame.mean(axis=2, dtype=np.float32)
    own = float(np.median(np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 4.0)))) * 1.48
    fresh = np.float32(generator.uniform(0.3, 1.0) * amount * own) * texture(grey.shape, generator)
    return np.asarray(np.round(np.clip(frame + fresh[..., None], 0.0, 255.0)), np.uint8)


def through_jpeg(pixels: U8, quality: int) -> U8:
    """What JPEG leaves of the pixels."""
    import cv2

    _, code = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])


def _light(frame: U8, u: F32, v: F32, generator: np.random.Generator) -> F32:
    """Linear light under a gradient, vignetting, white balance and exposure."""
    slope_x, slope_y = generator.uniform(-0.35, 0.35, 2)
    fall = (1.0 + slope_x * u + slope_y * v - generator.uniform(0.0, 0.6) * (u * u + v * v)).astype(np.float32)
    balance = generator.uniform(0.85, 1.15, 3).astype(np.float32) * np.float32(generator.uniform(0.8, 1.15))
    return np.asarray((frame / np.float32(255.0)) ** np.float32(2.2) * fall[..., None] * balance, np.float32)


def _camera(spread: float, generator: np.random.Generator) -> F32:
    """A camera's response to linear RGB, (3, 3): channels mixed at random; grey stays grey."""
    mixed = generator.normal(0.0, spread, (3, 3))
    np.fill_diagonal(mixed, 0.0)
    np.fill_diagonal(mixed, 1.0 - mixed.sum(axis=0))
    return np.asarray(mixed, np.float32)


def _draw_hair(pixels: U8, generator: np.random.Generator) -> None:
    import cv2

    height, width = pixels.shape[:2]
    start = generator.uniform([0, 0], [width, height])
    angle = generator.uniform(0, 2 * np.pi)
    length = generator.uniform(0.2, 0.7) * width
    sag = generator.uniform(-0.3, 0.3) * length
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    t = np.linspace(0.0, 1.0, 40)[:, None]
    points = start + along * length * t + across * sag * 4.0 * t * (1.0 - t)
    colour = [float(c) for c in generator.uniform(10, 60) * np.array([1.0, 0.8, 0.7])]
    line = np.round(points * 8).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(pixels, [line], False, colour, int(generator.integers(1, 4)), cv2.LINE_AA, 3)
