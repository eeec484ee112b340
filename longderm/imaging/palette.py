"""Palette: the six colours that dermatologists name in a lesion, found by Lab relative to the skin around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: The six colours of the ABCD rule of dermoscopy (Stolz et al. 1994, Eur J Dermatol 4:521; Nachbar et al. 1994,
#: doi 10.1016/S0190-9622(94)70061-3), in the order of their codes 1 to 6. The rule names them and gives no borders
#: between them: those below are ours.
COLOURS = ("white", "red", "light_brown", "dark_brown", "blue_grey", "black")
WHITE, RED, LIGHT_BROWN, DARK_BROWN, BLUE_GREY, BLACK = range(1, 7)

#: Median Lab of the ring of skin in 400 dermoscopy photos (ISIC 2018, train). The lesion's colours are moved by what
#: carries its own ring there, so that a device's white balance does not count as a colour of the lesion.
_REFERENCE_SKIN = np.array([70.0, 9.0, 9.0], dtype=np.float32)
#: Lightness is scaled to the reference only this far either way: dark skin is not an underexposed photo.
_LIGHTNESS_SCALE_RANGE = (0.85, 1.2)

# Borders between the colours, in Lab of the reference skin; set by eye on photos of the ISIC 2018 training part.
_BLACK_BELOW = 21.0
_DARK_BELOW = 42.0
#: Blue-grey has hardly more yellow than neutral grey and hardly more red than skin, and is darker than skin.
_BLUE_GREY_MAX_B, _BLUE_GREY_MAX_A, _BLUE_GREY_MAX_LIGHTNESS = 4.0, 13.0, 58.0
#: White is lighter than the skin around and has at most half of its colour.
_WHITE_ABOVE_SKIN, _WHITE_MAX_CHROMA = 2.0, 7.0
#: Red is this much redder than skin, more red than yellow, and not so dark that it reads as brown.
_RED_ABOVE_SKIN, _RED_MAX_HUE_DEG, _RED_ABOVE_LIGHTNESS = 9.0, 40.0, 34.0
#: Light brown differs from skin by this much, in lightness or in yellow; nearer colours are skin.
_BROWN_BELOW_SKIN, _BROWN_ABOVE_SKIN_B = 5.0, 6.0


def name_colours(lab: NDArray[np.float32], skin: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Codes of `COLOURS` (1 to 6; 0 the colour of skin), uint8 (...), of Lab (..., 3) beside a skin of Lab (3,).

    Lab of CIE 1976 under D65, L* from 0 to 100. Where two names fit, the later in this order holds: light brown, white,
    dark brown, red, blue-grey, black.
    """
    scale = np.clip(_REFERENCE_SKIN[0] / max(float(skin[0]), 1.0), *_LIGHTNESS_SCALE_RANGE)
    lightness = lab[..., 0] * scale
    skin_lightness = float(skin[0]) * float(scale)
    a = lab[..., 1] - skin[1] + _REFERENCE_SKIN[1]
    b = lab[..., 2] - skin[2] + _REFERENCE_SKIN[2]
    hue = np.degrees(np.arctan2(b, a))
    codes = np.zeros(lab.shape[:-1], dtype=np.uint8)
    brown = (lightness < skin_lightness - _BROWN_BELOW_SKIN) | (b > _REFERENCE_SKIN[2] + _BROWN_ABOVE_SKIN_B)
    codes[brown] = LIGHT_BROWN
    codes[(lightness > skin_lightness + _WHITE_ABOVE_SKIN) & (np.hypot(a, b) < _WHITE_MAX_CHROMA)] = WHITE
    codes[lightness < _DARK_BELOW] = DARK_BROWN
    red = (a > _REFERENCE_SKIN[1] + _RED_ABOVE_SKIN) & (hue < _RED_MAX_HUE_DEG)
    codes[red & (lightness > _RED_ABOVE_LIGHTNESS)] = RED
    blue_grey = (b < _BLUE_GREY_MAX_B) & (a < _BLUE_GREY_MAX_A)
    codes[blue_grey & (lightness < min(_BLUE_GREY_MAX_LIGHTNESS, skin_lightness - _BROWN_BELOW_SKIN))] = BLUE_GREY
    codes[lightness < _BLACK_BELOW] = BLACK
    return codes
