"""Render one photo of one lesion: skin, pigment, light, artefacts, camera. The pose is exact truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.simulate.artefacts import add_artefacts, dark_corners
from longderm.simulate.exposure import Shot, expose, glare_and_relief, light
from longderm.simulate.history import LesionHistory, LesionState
from longderm.simulate.pigment import BLUE_GREY, KERATIN, LesionLooks, render_pigment
from longderm.simulate.skin import SCATTER, SkinField, reflect, skin_chromophores

#: The whole number of nodes per mm of skin lattices for dermoscopic photos, and how wide they are.
SKIN_PER_MM = 26.0
SKIN_EXTENT_MM = 30.0


#: Share of the skin's melanin and blood that regressed areas keep.
SCAR_SHARE = 0.45


@dataclass(frozen=True)
class Rendering:
    """A rendered photo: `pixels` uint8 (H, W, 3) sRGB, `mask` bool (H, W) where the lesion truly is, its area."""

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]

    @property
    def area_px(self) -> int:
        """Pixels of the lesion that lie inside the frame."""
        return int(self.mask.sum())


def render(
    skin: SkinField,
    looks: LesionLooks,
    history: LesionHistory,
    state: LesionState,
    shot: Shot,
    tan: float,
    zoom: float = 1.0,
) -> Rendering:
    """Render a lesion in `state` as `shot` sees it, on a skin tanned by `tan` (0 to 1).

    zoom: the lesion with all its structures is this much larger than `state` says; the skin is not.
    """
    size = shot.size
    melanin, blood, relief = skin_chromophores(skin, shot.seed, shot.matrix, size, tan, shot.px_per_mm)
    placed = shot.matrix @ np.diag([zoom, zoom, 1.0])
    pigment = render_pigment(looks, history, state, history.outline_at(state), placed, size, tan)
    window = pigment.window
    melanin[window] += pigment.melanin
    blood[window] += pigment.blood
    rgb = reflect(melanin, blood)
    part = rgb[window]
    scar = _scar(skin)
    # Deep pigment is seen through the skin's own.
    part += pigment.blue[..., None] * (BLUE_GREY * (scar / SCATTER) - part)
    part += pigment.white[..., None] * (scar - part)
    part += pigment.keratin[..., None] * (KERATIN - part)
    rgb = glare_and_relief(rgb, relief, shot)
    rgb = add_artefacts(rgb, shot)
    rgb = light(rgb, shot)
    pixels = expose(dark_corners(rgb, shot), shot)
    mask = np.zeros(size, bool)
    mask[window] = pigment.inside
    return Rendering(pixels, mask)


def _scar(skin: SkinField) -> NDArray[np.float32]:
    """Colour (3,) of regression: what little pigment scar-like skin keeps of the patient's own."""
    little = np.full((1, 1), SCAR_SHARE, np.float32)
    return np.asarray(reflect(little * np.float32(skin.melanin), little * np.float32(skin.blood))[0, 0])
