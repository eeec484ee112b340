"""How the change benchmark photographs a scene: skin tone, what lies on the skin, illuminant, camera, JPEG.

Light is linear until the tone curve. Every nuisance is a number of its own, so that one alone can be switched on.
Poses, bending and JPEG are those of `rephotography`; the training's photos (`longderm.simulate.photo_visits`) share
none of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from longderm.bench.rephotography import add_texture, bent, through_jpeg, warp
from longderm.imaging.colour import srgb_to_linear
from longderm.registration.similarity import Matrix

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

#: Optical density that a tan adds per unit, in red, green, blue (melanin; Jacques 2013,
#: doi 10.1088/0031-9155/58/11/R37).
_TAN = np.array([0.45, 0.7, 1.0], np.float32)
_NEUTRAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

#: How devices and photos differ, set by what real lesions photographed more than once show (HAM10000, other visits,
#: magnifications and devices; colours matched by the skin, on thumbnails of 200 px): cameras' colours (standard
#: deviation of the mixing of channels and of the log of the saturation; tone curve), fine texture of wet skin, focus.
_MIXING_SD, _SATURATION_SD, _GAMMA, _CONTRAST = 0.035, 0.12, (1.95, 2.5), (-0.15, 0.3)
_FRESH_TEXTURE, _DEFOCUS_PX = (0.4, 2.2), 3.0
#: One device develops no two photos alike (automatic exposure, contrast and colour; the plate presses out blood):
#: standard deviations of the log of gamma, of the contrast, of the log of the saturation.
_AUTOMATIC = (0.05, 0.1, 0.08)

#: The nuisances that are tried alone.
ALONE = ("tanning", "white balance", "hair", "gel", "other device")


@dataclass(frozen=True)
class Camera:
    """A device: colour matrix (rows of linear RGB out), gamma and contrast of its tone curve, blur, noise, corners.

    blur_px: Gaussian sigma; noise: standard deviation in grey levels; corners: radius of the round view as a share of
    the photo's width, 0 for none.
    """

    matrix: tuple[tuple[float, float, float], ...] = _NEUTRAL
    gamma: float = 2.2
    contrast: float = 0.0
    blur_px: float = 0.4
    noise: float = 1.0
    corners: float = 0.0


@dataclass(frozen=True)
class Conditions:
    """What one photo is taken under; the defaults are a calm day.

    tan: optical density unit of melanin added to everything; gains: illuminant and white balance; exposure; slope: fall
    of the light across the frame; vignette; hairs, bubbles, sparks: numbers of hairs, gel bubbles, specular spots;
    ruler: a printed ruler lies at the edge; fresh_texture: fine skin texture that no other photo shares, relative to
    the photo's own; defocus_px: Gaussian sigma on top of the camera's; quality: JPEG.
    """

    camera: Camera = field(default_factory=Camera)
    tan: float = 0.0
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    exposure: float = 1.0
    slope: tuple[float, float] = (0.0, 0.0)
    vignette: float = 0.1
    hairs: int = 0
    bubbles: int = 0
    sparks: int = 0
    ruler: bool = False
    fresh_texture: float = 0.2
    defocus_px: float = 0.0
    quality: int = 92


def draw_camera(rng: np.random.Generator) -> Camera:
    """A device of a clinic."""
    mixed = rng.normal(0.0, _MIXING_SD, (3, 3))
    np.fill_diagonal(mixed, 0.0)
    matrix = _saturating(float(np.exp(rng.normal(0.0, _SATURATION_SD)))) + mixed - np.diag(mixed.sum(axis=1))
    return Camera(
        _rows(matrix),
        gamma=float(rng.uniform(*_GAMMA)),
        contrast=float(rng.uniform(*_CONTRAST)),
        blur_px=float(rng.uniform(0.3, 1.3)),
        noise=float(rng.uniform(0.6, 3.0)),
        corners=float(rng.uniform(0.5, 0.6)) if rng.random() < 0.25 else 0.0,
    )


def draw_conditions(camera: Camera, rng: np.random.Generator) -> Conditions:
    """An ordinary visit: every nuisance as it may come."""
    gamma_sd, contrast_sd, saturation_sd = _AUTOMATIC
    camera = replace(
        camera,
        matrix=_rows(_saturating(float(np.exp(rng.normal(0.0, saturation_sd)))) @ np.array(camera.matrix)),
        gamma=camera.gamma * float(np.exp(rng.normal(0.0, gamma_sd))),
        contrast=camera.contrast + float(rng.normal(0.0, contrast_sd)),
    )
    warm, tint = rng.normal(0.0, 0.06), rng.normal(0.0, 0.02)
    return Conditions(
        camera,
        tan=float(rng.uniform(0.0, 0.2)) if rng.random() < 0.3 else 0.0,
        gains=(float(np.exp(warm)), float(np.exp(tint)), float(np.exp(-warm))),
        exposure=float(np.exp(rng.normal(0.0, 0.1))),
        slope=(float(rng.normal(0.0, 0.08)), float(rng.normal(0.0, 0.08))),
        vignette=float(rng.uniform(0.0, 0.3)),
        hairs=int(rng.integers(2, 16)) if rng.random() < 0.4 else 0,
        bubbles=int(rng.integers(4, 24)) if rng.random() < 0.25 else 0,
        sparks=int(rng.integers(2, 14)) if rng.random() < 0.2 else 0,
        ruler=bool(rng.random() < 0.15),
        fresh_texture=float(rng.uniform(*_FRESH_TEXTURE)),
        defocus_px=float(rng.uniform(0.0, _DEFOCUS_PX)),
        quality=int(rng.integers(75, 97)),
    )


def _saturating(saturation: float) -> NDArray[np.float64]:
    return np.asarray(saturation * np.eye(3) + (1.0 - saturation) / 3.0, np.float64)


def _rows(matrix: NDArray[np.float64]) -> tuple[tuple[float, float, float], ...]:
    return tuple((float(a), float(b), float(c)) for a, b, c in matrix)


def with_one(calm: Conditions, nuisance: str, rng: np.random.Generator) -> Conditions:
    """The same conditions with one of `ALONE` besides. Raises KeyError for another name."""
    sign = -1.0 if rng.random() < 0.5 else 1.0
    warm = sign * float(rng.uniform(0.06, 0.16))
    return {
        "tanning": replace(calm, tan=float(rng.uniform(0.1, 0.3))),
        "white balance": replace(calm, gains=(float(np.exp(warm)), 1.0, float(np.exp(-warm)))),
        "hair": replace(calm, hairs=int(rng.integers(8, 25))),
        "gel": replace(calm, bubbles=int(rng.integers(8, 30)), sparks=int(rng.integers(3, 16))),
        "other device": replace(calm, camera=draw_camera(rng)),
    }[nuisance]


def photograph(
    scene: U8, pose: Matrix, size: tuple[int, int], conditions: Conditions, bend: F32 | None, rng: np.random.Generator
) -> U8:
    """One photo uint8 (height, width, 3) of `scene` under `pose` (scene to photo); bend as in `rephotography.bent`."""
    import cv2

    height, width = size
    frame = warp(scene, pose, size)
    if bend is not None:
        frame = bent(frame, bend)
    # Each nuisance draws from a stream of its own: switching one off leaves the others as they are.
    texture_rng, skin_rng, sensor_rng = rng.spawn(3)
    frame = add_texture(frame, conditions.fresh_texture, texture_rng)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    light = srgb_to_linear(frame) * np.exp(-np.float32(conditions.tan) * _TAN)
    light = _covered(light, conditions, skin_rng)
    u, v = x / width - np.float32(0.5), y / width - np.float32(0.5 * height / width)
    slope_x, slope_y = (np.float32(value) for value in conditions.slope)
    fall = 1 + slope_x * u + slope_y * v - np.float32(conditions.vignette) * (u * u + v * v) * 2
    light *= (fall * np.float32(conditions.exposure))[..., None] * np.array(conditions.gains, np.float32)
    camera = conditions.camera
    light = np.asarray(cv2.transform(light, np.array(camera.matrix, np.float32)), np.float32)
    sigma = max(0.2, float(np.hypot(camera.blur_px, conditions.defocus_px)))
    light = np.asarray(cv2.GaussianBlur(light, (0, 0), sigma), np.float32)
    level = np.clip(light, 0.0, 1.0) ** np.float32(1.0 / camera.gamma)
    # An S about middle grey; black and white stay.
    level += np.float32(camera.contrast) * level * (1 - level) * (2 * level - 1) * 2
    if camera.corners > 0:
        from_middle = np.hypot(x - width / 2, y - height / 2)
        level *= np.clip((np.float32(camera.corners * width) - from_middle) / 6 + np.float32(0.5), 0, 1)[..., None]
    # Photon noise is larger where it is brighter.
    grain = sensor_rng.standard_normal(level.shape, dtype=np.float32) * np.float32(camera.noise)
    grey = level * 255 + grain * (np.float32(0.5) + np.float32(0.5) * level)
    return through_jpeg(np.asarray(np.clip(np.round(grey), 0, 255), np.uint8), conditions.quality)


def _covered(light: F32, conditions: Conditions, rng: np.random.Generator) -> F32:
    """Linear light with gel, hair, ruler and specular spots on the skin; each has its own random stream."""
    gel_rng, hair_rng, ruler_rng, spark_rng = rng.spawn(4)
    light = _bubbles(light, conditions.bubbles, gel_rng)
    if conditions.hairs:
        opacity = _hairs(light.shape[:2], conditions.hairs, hair_rng)[..., None]
        colour = np.array([0.03, 0.018, 0.012], np.float32) * np.float32(hair_rng.uniform(0.4, 3.0))
        light = light + opacity * (colour - light)
    if conditions.ruler:
        light = _ruler(light, ruler_rng)
    if conditions.sparks:
        light = light + _sparks(light.shape[:2], conditions.sparks, spark_rng)[..., None]
    return np.asarray(light, np.float32)


def _hairs(size: tuple[int, int], count: int, rng: np.random.Generator) -> F32:
    """Opacity of hairs that mostly lie one way: arcs of circles that taper to their ends."""
    import cv2

    height, width = size
    drawn = np.zeros(size, np.uint8)
    lie = rng.uniform(0, np.pi)
    for _ in range(count):
        at = rng.uniform([0, 0], [width, height])
        turn, length = lie + rng.normal(0, 0.5), rng.uniform(0.15, 0.6) * width
        bow = rng.normal(0, 0.8)
        t = np.linspace(-0.5, 0.5, 24)
        heading = turn + bow * t
        points = at + np.cumsum(np.column_stack([np.cos(heading), np.sin(heading)]), axis=0) * length / 24
        thick = rng.uniform(1.2, 3.6)
        for index in range(len(points) - 1):
            taper = 1.0 - (2.0 * abs(index / (len(points) - 2) - 0.5)) ** 3
            start, end = (np.round(points[index + k] * 16).astype(int).tolist() for k in range(2))
            cv2.line(drawn, start, end, 255, max(1, round(thick * taper)), cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(drawn, (0, 0), 0.7).astype(np.float32) / np.float32(255)
    return np.asarray(soft * np.float32(rng.uniform(0.7, 0.95)), np.float32)


def _bubbles(light: F32, count: int, rng: np.random.Generator) -> F32:
    """Bubbles in the gel: what lies under each is seen a little smaller, its rim is dark outside and bright inside."""
    import cv2

    height, width = light.shape[:2]
    for _ in range(count):
        radius = float(np.clip(rng.lognormal(np.log(0.009 * width), 0.6), 3.0, 0.05 * width))
        cx, cy = rng.uniform([radius, radius], [width - radius, height - radius])
        half = int(1.3 * radius) + 2
        left, top = max(0, int(cx) - half), max(0, int(cy) - half)
        right, bottom = min(width, int(cx) + half + 1), min(height, int(cy) + half + 1)
        x, y = np.meshgrid(np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32))
        away = np.hypot(x - cx, y - cy) / np.float32(radius)
        lens = np.where(away < 1, 1 + np.float32(0.25) * (1 - away), 1)
        under = cv2.remap(
            light,
            np.asarray(cx + (x - cx) * lens, np.float32),
            np.asarray(cy + (y - cy) * lens, np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        rim = np.exp(-(((away - 0.95) * np.float32(radius / 1.6)) ** 2))
        toward = (x - cx + y - cy) / (np.float32(radius) * np.float32(1.41))
        shaded = under * (1 - np.float32(0.35) * rim)[..., None]
        light[top:bottom, left:right] = shaded + (np.float32(0.25) * rim * np.clip(-toward, 0, 1))[..., None]
    return light


def _sparks(size: tuple[int, int], count: int, rng: np.random.Generator) -> F32:
    """Light of the lamp mirrored in wet skin, in clusters."""
    import cv2

    height, width = size
    shine = np.zeros(size, np.float32)
    middle = rng.uniform([0.2 * width, 0.2 * height], [0.8 * width, 0.8 * height])
    for _ in range(count):
        at = np.round(middle + rng.normal(0, 0.12 * width, 2)).astype(int).tolist()
        axes = [max(1, round(float(a))) for a in rng.uniform(1.0, 0.008 * width, 2)]
        cv2.ellipse(shine, at, axes, float(rng.uniform(0, 180)), 0, 360, float(rng.uniform(0.3, 1.2)), -1)
    return np.asarray(cv2.GaussianBlur(shine, (0, 0), 1.2), np.float32)


def _ruler(light: F32, rng: np.random.Generator) -> F32:
    """A strip with millimetre ticks along one side of the frame."""
    height, width = light.shape[:2]
    upright = rng.random() < 0.5
    strip = light.swapaxes(0, 1) if upright else light
    depth, pitch = round(0.07 * height), float(rng.uniform(0.025, 0.05) * width)
    strip = strip.copy()
    strip[:depth] = np.float32(0.75)
    for number, place in enumerate(np.arange(0.3 * pitch, strip.shape[1] - 2, pitch)):
        strip[: depth // (1 if number % 5 == 0 else 2), int(place) : int(place) + 2] = np.float32(0.03)
    return np.ascontiguousarray(strip.swapaxes(0, 1) if upright else strip)
