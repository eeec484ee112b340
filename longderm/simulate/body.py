"""Overview photos: a patient's back with its moles in front of a clinic's wall."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from longderm.simulate.devices import Device
from longderm.simulate.exposure import encode
from longderm.simulate.fields import draw_discs, noise
from longderm.simulate.plans import PatientPlan
from longderm.simulate.skin import SKIN_MELANIN, TAN_GAIN, reflect

#: Height and width of overview photos; about 0.75 mm a pixel on the skin.
OVERVIEW_SIZE = (1024, 768)


def render_overview(plan: PatientPlan, visit: int, device: Device) -> NDArray[np.uint8]:
    """The patient's back at a visit, uint8 (1024, 768, 3) sRGB. Moles keep their places between visits."""
    height, width = OVERVIEW_SIZE
    fixed = np.random.default_rng([plan.seed, plan.index, 81])
    rng = np.random.default_rng([plan.seed, plan.index, 82, visit])
    body = _silhouette(fixed.uniform(0.92, 1.08))
    shift, turn, scale = rng.normal(0, 8, 2), rng.normal(0, 1.0), rng.uniform(0.96, 1.04)
    pose = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), turn, scale), np.float64)
    pose[:, 2] += shift
    mask = (
        cv2.GaussianBlur(
            cv2.warpAffine(body, pose, (width, height), borderMode=cv2.BORDER_REPLICATE), (0, 0), 1.5
        ).astype(np.float32)
        / 255
    )
    depth = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    shade = 0.55 + 0.45 * np.clip(depth / 120, 0, 1) ** 0.6
    count = int(fixed.poisson(45)) + len(plan.lesions)
    spots = np.stack([fixed.normal(width / 2, 105, count), fixed.uniform(260, 960, count)], axis=1)
    radii, dark = np.clip(fixed.lognormal(0.7, 0.4, count), 0.8, 6), fixed.uniform(0.8, 3, count)
    placed = spots @ pose[:, :2].T + pose[:, 2]
    moles = np.zeros((height, width), np.float32)
    for low in (0.0, 1.5):
        some = (dark >= low) & (dark < low + 1.5)
        discs = draw_discs((height, width), placed[some], radii[some] * scale)
        moles += np.asarray((low + 0.75) * cv2.GaussianBlur(discs, (0, 0), 0.8), np.float32)
    hair = np.zeros((height, width), np.uint8)
    cv2.ellipse(hair, (width // 2, 84), (68, 80), 0, 0, 360, 255, -1)
    scalp = np.asarray(cv2.GaussianBlur(cv2.warpAffine(hair, pose, (width, height)), (0, 0), 3), np.float32)
    moles += (
        np.float32(fixed.uniform(1.5, 4.0) / 255) * scalp * (1 + np.float32(0.2) * noise(fixed, 1024, 3)[:, :width])
    )
    tone = SKIN_MELANIN[plan.skin - 1] * (1 + TAN_GAIN * plan.tan(visit))
    blotch = cv2.warpAffine(noise(fixed, 1024, 60) * 0.05 + noise(fixed, 1024, 9) * 0.04, pose, (width, height))
    rgb = reflect((tone * (1 + blotch) + moles).astype(np.float32), (0.3 * (1 + 1.5 * blotch)).astype(np.float32))
    rgb *= (shade * 1.15)[..., None]
    wall = np.array([0.30, 0.36, 0.40], np.float32) * np.float32(rng.uniform(0.85, 1.15))
    rgb = np.asarray(wall + mask[..., None] * (rgb - wall), np.float32)
    rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), 0.9), np.float32)
    encoded = encode(rgb) + rng.normal(0, device.noise, (height, width, 1))
    return np.clip(encoded + 0.5, 0, 255).astype(np.uint8)


def _silhouette(build: float) -> NDArray[np.uint8]:
    """Head, neck, shoulders, back and arms from behind: 255 inside."""
    height, width = OVERVIEW_SIZE
    body = np.zeros((height, width), np.uint8)
    centre = width // 2
    cv2.ellipse(body, (centre, 95), (62, 84), 0, 0, 360, 255, -1)
    half = [
        (120, 45),
        (185, 48),
        (215, 90),
        (245, 165),
        (290, 205),
        (420, 190),
        (620, 165),
        (760, 170),
        (900, 190),
        (1024, 195),
    ]
    right = [(centre + round(w * build), y) for y, w in half]
    left = [(centre - round(w * build), y) for y, w in reversed(half)]
    cv2.fillPoly(body, [np.array(right + left, np.int32)], 255)
    for side in (-1, 1):
        arm = [
            (centre + side * round(x * build), y)
            for x, y in ((175, 265), (235, 330), (262, 560), (285, 820), (240, 830), (222, 570), (190, 430))
        ]
        cv2.fillPoly(body, [np.array(arm, np.int32)], 255)
    return np.where(cv2.GaussianBlur(body, (0, 0), 8) > 127, 255, 0).astype(np.uint8)
