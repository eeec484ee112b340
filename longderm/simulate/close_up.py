"""A simulated dermoscopic photo by itself, with its true pose and mask: for measuring, where no archive is needed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from longderm.simulate.devices import DERMATOSCOPES
from longderm.simulate.exposure import Shot, draw_shot
from longderm.simulate.history import LesionHistory, LesionState, draw_lesion, make_lesion
from longderm.simulate.pigment import LesionLooks, draw_looks
from longderm.simulate.render import SKIN_EXTENT_MM, SKIN_PER_MM, render
from longderm.simulate.skin import SkinField, build_skin


@dataclass(frozen=True, eq=False)
class CloseUp:
    """A rendered photo, uint8 (H, W, 3), the true mask, bool (H, W), and what it was rendered from."""

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    shot: Shot
    skin: SkinField
    looks: LesionLooks
    history: LesionHistory
    state: LesionState
    skin_type: int


def draw_close_up(seed: int, number: int, bare: bool = False, kind: str | None = None, month: float = 0.0) -> CloseUp:
    """The photo `number` of a seed; `bare`: with nothing on the skin but the light: no hair, bubbles, ruler or ink.

    kind: of the lesion (`longderm.simulate.pigment.LOOKS`), by default drawn as they come to a clinic; month: of its
    course, 0 at its first photo.
    """
    generator = np.random.default_rng([seed, number, 71])
    key = (seed, number, 71)
    population = "suspicious" if number % 2 else "ordinary"
    history = (
        draw_lesion(generator, key, population, 3.0)
        if kind is None
        else make_lesion(generator, key, kind, population, 3.0)
    )
    skin_type = int(generator.integers(1, 7))
    skin = build_skin(key, skin_type, SKIN_EXTENT_MM, SKIN_PER_MM)
    state = history.state_at(month)
    radius = float(np.sqrt(state.area_mm2 / np.pi))
    looks = draw_looks(history, radius, skin.melanin)
    device = DERMATOSCOPES[number % len(DERMATOSCOPES)]
    shot = draw_shot(generator, key, device, float(generator.uniform(0, 0.6)), radius)
    dropped = {"ruler"} | ({"hair", "vellus", "bubbles", "ink", "glare"} if bare else set())
    shot = replace(shot, artefacts={name: much for name, much in shot.artefacts.items() if name not in dropped})
    picture = render(skin, looks, history, state, shot, 0.0)
    return CloseUp(picture.pixels, picture.mask, shot, skin, looks, history, state, skin_type)
