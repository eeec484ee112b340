"""How the photos of one lesion are taken, visit by visit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from longderm.simulate.devices import TILE_CAMERA, Device
from longderm.simulate.exposure import Shot, draw_shot
from longderm.simulate.plans import LesionPlan, PatientPlan

#: Stated scales are off by this much (relative SD): calibration plates and hands are not exact.
SCALE_ERROR = 0.01

#: Blur of a photo that is useless on purpose: nothing of the structures is left.
FLAW_BLUR_PX = 9.0

#: A visit's photo is taken with the clinic's usual device in this share.
USUAL_DEVICE_SHARE = 0.75


class LesionShots:
    """Draws the shots of one lesion, whose largest radius ever seen is `reach` mm."""

    def __init__(self, plan: PatientPlan, lesion: LesionPlan, reach: float) -> None:
        rng = np.random.default_rng([*lesion.history.seed, 61])
        hairiness = float(rng.beta(1.0, 3.0)) * (1.4 if plan.sex == "male" else 0.8)
        if lesion.site in ("sole", "palm", "nail"):
            hairiness = 0.0
        self._plan, self._lesion, self._reach, self._hairiness = plan, lesion, reach, hairiness
        self._usual = float(rng.uniform(-np.pi, np.pi)) if rng.random() < 0.3 else 0.0

    def draw(self, visit: int, number: int, devices: tuple[Device, ...]) -> Shot:
        """The photo `number` of a visit, taken with one of `devices`."""
        seed = (*self._lesion.history.seed, 63, visit, number)
        rng = np.random.default_rng(seed)
        # A clinic keeps its camera for years: the device follows the visit, seldom the photo.
        clinic = np.random.default_rng([self._plan.seed, self._plan.index, 64])
        usual_device = devices[int(clinic.integers(len(devices)))]
        device = usual_device if rng.random() < USUAL_DEVICE_SHARE else devices[int(rng.integers(len(devices)))]
        if self._plan.frame is not None and devices != (TILE_CAMERA,):
            device = replace(device, size=self._plan.frame)
        shot = draw_shot(rng, seed, device, self._hairiness, self._reach, self._usual)
        flaw = self._lesion.flaws.get(visit)
        if flaw == "blurred":
            return replace(shot, blur_px=FLAW_BLUR_PX, motion_px=0.0)
        if flaw == "cut":
            matrix = shot.matrix.copy()
            matrix[0, 2] = 0.35 * self._reach * shot.px_per_mm  # so near the left edge that half is missing
            return replace(shot, matrix=matrix)
        return shot


def stated_scale(lesion: LesionPlan, visit: int, number: int, shot: Shot) -> float | None:
    """The pixels per mm that come with a photo, off by SCALE_ERROR; None where its device states none."""
    rng = np.random.default_rng([*lesion.history.seed, 62, visit, number])
    if rng.random() >= shot.device.calibrated:
        return None
    return shot.px_per_mm * (1 + float(rng.normal(0, SCALE_ERROR)))
