"""Taking the photo: pose, light, what lies on the skin, lens, sensor. Works on linear RGB until the sensor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from longderm.simulate.devices import Device
from longderm.simulate.fields import F32, noise, spread

#: Skin is stretched by the contact plate by up to this much along one axis: the truth's affine part.
STRETCH_SD = 0.004

#: The meter brings the skin part of the way (this power) to the green reflectance of fair skin.
EXPOSURE_SHARE = 0.38
USUAL_SKIN = 0.46

#: Steps of the tone curves' tables, and the linear light at their end (white is 1).
TONE_STEPS = 8192
TONE_END = 2.0


@lru_cache(maxsize=16)
def tone_curve(gamma: float = 1.0) -> NDArray[np.float32]:
    """Grey level (0 to 255, fractional) for linear light in `TONE_STEPS` steps up to `TONE_END`.

    A soft shoulder instead of clipping, as cameras have, the device's gamma, then sRGB's transfer function.
    """
    linear = np.linspace(0, TONE_END, TONE_STEPS)
    linear = np.where(linear > 0.7, 1 - 0.3 * np.exp(-(linear - 0.7) / 0.3), linear) ** gamma
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (255 * encoded).astype(np.float32)


def encode(rgb: F32, gamma: float = 1.0) -> F32:
    """Grey levels (fractional) of linear RGB through a tone curve."""
    index = np.clip(rgb * np.float32((TONE_STEPS - 1) / TONE_END) + np.float32(0.5), 0, TONE_STEPS - 1)
    return np.asarray(tone_curve(gamma)[index.astype(np.uint16)], np.float32)


@dataclass(frozen=True)
class Shot:
    """How one photo is taken.

    `matrix` (3, 3): lesion frame in mm to pixels of the native grid; `blur_px`: Gaussian SD over the lens's own;
    `motion_px`: length of a motion blur; `gains`: white balance; `gradient`: light fall over the frame; `vignette`;
    `exposure`: relative; `artefacts`: what lies on the skin, with how much of it.
    """

    size: tuple[int, int]
    matrix: NDArray[np.float64]
    device: Device
    blur_px: float
    motion_px: float
    gains: tuple[float, float, float]
    gradient: tuple[float, float]
    vignette: float
    exposure: float
    artefacts: dict[str, float]
    jpeg_quality: int
    seed: tuple[int, ...]

    @property
    def px_per_mm(self) -> float:
        """Pixels per mm: square root of the area scale."""
        return float(np.sqrt(np.linalg.det(self.matrix[:2, :2])))

    @property
    def quality(self) -> str:
        """good, fair or poor: by the blur, the light and what covers the skin."""
        faults = (
            (self.blur_px > 1.6) + 2 * (self.blur_px > 3.2) + (self.motion_px > 4) + (abs(np.log(self.exposure)) > 0.3)
        )
        faults += int(self.artefacts.get("hair", 0) > 25) + int(self.artefacts.get("glare", 0) > 0.5)
        return ("good", "fair", "poor")[min(2, int(faults))]


def draw_shot(
    rng: np.random.Generator,
    seed: tuple[int, ...],
    device: Device,
    hairiness: float,
    lesion_radius_mm: float = 3.0,
    usual_turn: float = 0.0,
) -> Shot:
    """Draw a shot of a lesion with a device; large lesions are taken from further away so that they fit."""
    height, width = device.size
    field = device.field_mm * rng.uniform(0.88, 1.15)
    field = max(field, 3.0 * lesion_radius_mm * width / height * (0.8 + 0.2 * rng.random()))
    scale = width / field
    turn = usual_turn + float(np.clip(rng.normal(0, 0.22), -0.8, 0.8))
    if rng.random() < 0.06:
        turn += float(rng.choice((-1, 1))) * np.pi / 2  # camera held the other way
    stretch = np.clip(rng.normal(0, STRETCH_SD), -0.01, 0.01)
    axis = rng.uniform(0, np.pi)
    along = rotation(axis) @ np.diag([1 + stretch, 1 - stretch]) @ rotation(-axis)
    slack = 0.5 * np.array([field, field * height / width]) - lesion_radius_mm - 0.5
    shift = np.clip(rng.normal(0, 1.0, 2), -2.5, 2.5)
    shift = np.clip(shift, -np.clip(slack, 0, None), np.clip(slack, 0, None))
    matrix = np.eye(3)
    matrix[:2, :2] = scale * rotation(turn) @ along
    matrix[:2, 2] = np.array([(width - 1) / 2, (height - 1) / 2]) + scale * shift
    blur = float(rng.gamma(1.2, 0.4)) if rng.random() < 0.93 else float(rng.uniform(1.8, 4.0))
    warm = float(np.clip(rng.normal(device.warmth, 0.08), -0.25, 0.25))
    gains = (1 + warm, 1 + float(rng.normal(0, 0.025)), 1 - warm)
    return Shot(
        size=device.size,
        matrix=matrix,
        device=device,
        blur_px=round(blur, 4),
        motion_px=round(float(rng.uniform(2, 7)), 4) if rng.random() < 0.05 else 0.0,
        gains=gains,
        gradient=(float(rng.normal(0, 0.07)), float(rng.normal(0, 0.07))),
        vignette=float(rng.uniform(0.02, 0.22)),
        exposure=float(np.clip(rng.lognormal(0, 0.11), 0.6, 1.5)),
        artefacts=_draw_artefacts(rng, device, hairiness),
        jpeg_quality=int(rng.integers(78, 96)),
        seed=seed,
    )


def rotation(angle: float) -> NDArray[np.float64]:
    """The 2x2 rotation by `angle` radians from +x towards +y."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _draw_artefacts(rng: np.random.Generator, device: Device, hairiness: float) -> dict[str, float]:
    found: dict[str, float] = {}
    hairs = int(rng.poisson(20 * hairiness)) if rng.random() < 0.2 + 0.6 * hairiness else 0
    if hairs > 2:
        found["hair"] = float(hairs)
    if rng.random() < 0.7:
        found["vellus"] = float(rng.poisson(5))
    if device.contact and rng.random() < 0.28:
        found["bubbles"] = float(rng.integers(3, 40))
    if not device.polarised and rng.random() < 0.35:
        found["glare"] = float(rng.uniform(0.1, 1.0))
    if rng.random() < 0.22:
        found["ruler"] = 1.0
    if rng.random() < 0.05:
        found["ink"] = 1.0
    if device.corners > 0:
        found["dark_corners"] = device.corners * float(rng.uniform(0.8, 1.15))
    return found


def light(rgb: F32, shot: Shot) -> F32:
    """Light the scene: fall across the frame, vignette, white balance and the camera's exposure."""
    height, width = shot.size
    u = ((np.arange(width, dtype=np.float32) - (width - 1) / 2) / (width / 2))[None, :]
    v = ((np.arange(height, dtype=np.float32) - (height - 1) / 2) / (width / 2))[:, None]
    fall = 1 + shot.gradient[0] * u + shot.gradient[1] * v - shot.vignette * (u * u + v * v)
    # The exposure meter brings the skin nearly, not wholly, to one brightness.
    mean = float(np.median(rgb[::8, ::8, 1]))
    level = shot.exposure * (USUAL_SKIN / max(mean, 0.01)) ** EXPOSURE_SHARE
    fall *= np.float32(level)
    planes = [plane * fall * np.float32(gain) for plane, gain in zip(cv2.split(rgb), shot.gains, strict=True)]
    return np.asarray(cv2.merge(planes), np.float32)


def expose(rgb: F32, shot: Shot) -> NDArray[np.uint8]:
    """Lens and sensor: blur, colour response, tone curve, noise; linear RGB in, uint8 sRGB out."""
    device = shot.device
    rng = np.random.default_rng([*shot.seed, 41])
    sigma = float(np.hypot(device.blur_px, shot.blur_px))
    rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma), np.float32)
    if shot.motion_px > 1:
        kernel = np.zeros((15, 15), np.uint8)
        direction = shot.motion_px / 2 * rotation(rng.uniform(0, np.pi))[:, 0]
        start, end = np.rint((7 - direction) * 16).astype(int), np.rint((7 + direction) * 16).astype(int)
        cv2.line(kernel, start.tolist(), end.tolist(), 255, 1, cv2.LINE_AA, 4)
        rgb = np.asarray(cv2.filter2D(rgb, -1, kernel.astype(np.float32) / kernel.sum()), np.float32)
    if device.saturation != 1:
        red, green, blue = cv2.split(rgb)
        grey = spread(np.asarray((red + green + blue) / 3, np.float32))
        rgb = grey + np.float32(device.saturation) * (rgb - grey)
    encoded = encode(rgb, device.gamma)
    height, width = shot.size
    grain = rng.standard_normal((height, width), dtype=np.float32)
    half = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), dtype=np.float32)
    colour = np.asarray(cv2.resize(half, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    encoded += spread(np.float32(0.8 * device.noise) * grain)
    encoded += np.float32(0.6 * device.noise) * colour
    return np.asarray(np.clip(encoded + np.float32(0.5), 0, 255), np.uint8)


def glare_and_relief(rgb: F32, relief: F32, shot: Shot) -> F32:
    """Shade the skin's relief; unpolarised light also mirrors in it."""
    rng = np.random.default_rng([*shot.seed, 42])
    shading = 1 + np.float32(0.055 if shot.device.contact else 0.09) * relief
    rgb = rgb * spread(shading)
    amount = shot.artefacts.get("glare", 0.0)
    if amount > 0:
        # Small mirrors of the skin's surface, gathered where the plate does not touch.
        side = max(shot.size) // 4 + 1
        dry = cv2.resize(noise(rng, side, 18), (max(shot.size), max(shot.size)), interpolation=cv2.INTER_LINEAR)
        sparks = noise(rng, max(shot.size), max(2.0, 0.09 * shot.px_per_mm))
        height, width = shot.size
        where = np.clip(dry[:height, :width] - 2.0 + 0.7 * amount, 0, 1)
        shine = where * np.clip(sparks[:height, :width] + 0.6 * relief - 0.9, 0, 1.5)
        rgb = rgb + spread(np.float32(1.3) * shine)
    return np.asarray(rgb, np.float32)
