"""Skin tone: the light on the ring of skin around a lesion, its colour, typology angle and melanin index.

All of it is read in the photo's own colours, as rendered in sRGB under D65. One photo shows light times skin: a
camera's exposure and white balance cannot be parted from the skin's lightness and yellow, so the angle is that of the
photo, and its stated error says how far the skin's own may be from it. What needs no chart is what differs within the
photo, such as lesion from ring. Values of two devices compare only after a colour chart
(`longderm.imaging.colour_chart`). The lesion is left out everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.colour import linear_to_lab

#: Name of the scale of `ITA_BINS`.
ITA_SCALE = "Chardon 1991, Del Bino 2006"
#: Skin colour types by individual typology angle: (above this many degrees, name). Chardon et al. 1991
#: (doi 10.1111/j.1467-2494.1991.tb00561.x), with the sixth class of Del Bino et al. 2006
#: (doi 10.1111/j.1600-0749.2006.00338.x).
ITA_BINS = (
    (55.0, "very light"),
    (41.0, "light"),
    (28.0, "intermediate"),
    (10.0, "tan"),
    (-30.0, "brown"),
    (-np.inf, "dark"),
)

#: How far a camera's choices may be from a true rendering, as standard deviations: exposure (natural logarithm: half
#: a stop) and white balance (red and blue against green, in opposite ways). Set on simulated photos (seeds 1 to 3: the
#: error covers the skin's own angle in 68%, 1.96 times the error in 94%), whose meters and balances are assumed, too.
_EXPOSURE_SD, _BALANCE_SD = 0.35, 0.1

#: Which formula `melanin_index` is: 100 log10(1 / R) of the red reflectance (Takiwaki et al. 1994,
#: doi 10.1111/j.1365-2230.1994.tb01153.x), here of linear sRGB red with white as 1.
MELANIN_INDEX_FORMULA = "100*log10(1/R_linear_srgb)"
#: Red light is not taken to be less than this: one level of 255.
_LEAST_LIGHT = 3.0e-4

#: Shades of grey: the light's colour is the Minkowski mean of this order (Finlayson and Trezzi 2004, 6 the best of
#: their orders).
_MINKOWSKI_ORDER = 6
#: Fewer pixels of skin than this say nothing.
_MIN_PIXELS = 30
#: Share of the darkest and of the lightest skin that is left out: other spots, missed hair or glare.
_TRIM = 0.1


@dataclass(frozen=True)
class SkinTone:
    """Colour of the skin around a lesion, as the photo renders it.

    lightness, a, b: mean Lab (CIE 1976, D65) without the darkest and lightest tenth; ita_deg: individual typology angle
    atan2(L* - 50, b*) in degrees, in (-180, 180] (Chardon et al. 1991); ita_error_deg: its standard error as the skin's
    own angle, in degrees, for what exposure and white balance are not known (`ita_error_degrees`); ita_class: of
    `ITA_SCALE`; melanin_index: see `MELANIN_INDEX_FORMULA`, in hundredths of a decade of optical density; pixels: how
    many it is the mean of.
    """

    lightness: float
    a: float
    b: float
    ita_deg: float
    ita_error_deg: float
    ita_class: str
    melanin_index: float
    pixels: int


@dataclass(frozen=True, eq=False)
class Illumination:
    """The light as the ring of skin shows it.

    colour: float64 (3,), red, green and blue over their mean: of light and skin together, as one photo cannot part
    them (shades of grey, Finlayson and Trezzi 2004); fall: float64 (2,), change of the light across the whole width and
    the whole height, as natural logarithm of the ratio (0.1: a tenth brighter at the right or lower edge).
    """

    colour: NDArray[np.float64]
    fall: NDArray[np.float64]


def ita_degrees(lightness: float, b: float) -> float:
    """Individual typology angle in degrees: atan2(L* - 50, b*), which stays defined where b* is 0 or negative.

    Chardon et al. 1991 write it as arctan((L* - 50) / b*), which is the same for b* > 0.
    """
    return float(np.degrees(np.arctan2(lightness - 50.0, b)))


def ita_error_degrees(linear: NDArray[np.float64]) -> float:
    """Standard error, in degrees, of the angle of a linear sRGB colour (3,) as the skin's own.

    How far the angle turns when the exposure, and when the white balance, is off by a standard deviation, to the side
    where it turns further; both together as independent. Large where L* is near 50 and b* small.
    """
    exposure = np.exp([[_EXPOSURE_SD], [-_EXPOSURE_SD]])
    balance = 1 + np.array([[_BALANCE_SD], [-_BALANCE_SD]]) * np.array([1.0, 0.0, -1.0])
    angle, *others = (
        ita_degrees(float(lab[0]), float(lab[2]))
        for lab in linear_to_lab(np.concatenate([linear[None], linear * exposure, linear * balance]))
    )
    turns = [abs((other - angle + 180.0) % 360.0 - 180.0) for other in others]
    return float(np.hypot(max(turns[:2]), max(turns[2:])))


def ita_class(ita_deg: float) -> str:
    """The skin colour type of `ITA_SCALE` that an angle belongs to."""
    return next(name for above, name in ITA_BINS if ita_deg > above)


def melanin_index(red: float) -> float:
    """100 log10(1 / R) of linear red in [0, 1] (`MELANIN_INDEX_FORMULA`), hundredths of a decade; 0 for white.

    White is the photo's, not a reflectance standard: an exposure off by a tenth moves the index by 4.1. Indices of a
    narrow-band meter (660 nm), whose scales differ by maker, do not compare with it.
    """
    return float(100.0 * np.log10(1.0 / max(red, _LEAST_LIGHT)))


def skin_tone(linear: NDArray[np.float32], skin: NDArray[np.bool_]) -> SkinTone | None:
    """The tone of the pixels `skin`, bool (h, w), of linear sRGB (h, w, 3); None for too few pixels.

    Colours are averaged as light, not as numbers of a curve: noise and blur leave the mean as it is.
    """
    values = linear[skin].astype(np.float64)
    if len(values) < _MIN_PIXELS:
        return None
    order = np.argsort(values.sum(axis=1), kind="stable")
    cut = int(_TRIM * len(values))
    mean = values[order[cut : len(values) - cut]].mean(axis=0)
    lightness, a, b = (float(value) for value in linear_to_lab(mean))
    angle = ita_degrees(lightness, b)
    return SkinTone(
        lightness=lightness,
        a=a,
        b=b,
        ita_deg=angle,
        ita_error_deg=ita_error_degrees(mean),
        ita_class=ita_class(angle),
        melanin_index=melanin_index(float(mean[0])),
        pixels=len(values) - 2 * cut,
    )


def illumination(linear: NDArray[np.float32], skin: NDArray[np.bool_]) -> Illumination | None:
    """The light on the pixels `skin`, bool (h, w), of linear sRGB (h, w, 3); None for too few pixels.

    Estimated on skin alone: with the lesion in the frame, growth would turn into a change of colour.
    """
    rows, columns = np.nonzero(skin)
    if len(rows) < _MIN_PIXELS:
        return None
    values = np.maximum(linear[rows, columns].astype(np.float64), _LEAST_LIGHT)
    colour = np.mean(values**_MINKOWSKI_ORDER, axis=0) ** (1 / _MINKOWSKI_ORDER)
    height, width = skin.shape
    places = np.column_stack([np.ones(len(rows)), columns / max(1, width) - 0.5, rows / max(1, height) - 0.5])
    light = np.log(values.mean(axis=1))
    fit = _plane(places, light)
    # Again without spots that are off the plane.
    off = np.abs(light - places @ fit)
    kept = off <= np.percentile(off, 100 * (1 - 2 * _TRIM))
    fit = _plane(places[kept], light[kept])
    return Illumination(colour / colour.mean(), np.asarray(fit[1:], np.float64))


def _plane(places: NDArray[np.float64], light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares of a plane, (3,), by its normal equations: three unknowns of order one need no better."""
    fit, *_ = np.linalg.lstsq(places.T @ places, places.T @ light, rcond=None)
    return np.asarray(fit, np.float64)


def balanced(linear: NDArray[np.float32], light: Illumination, target: NDArray[np.float64]) -> NDArray[np.float32]:
    """Linear sRGB (h, w, 3) as if lit evenly and so that the skin's colour is `target` (3,), its mean made 1."""
    height, width = linear.shape[:2]
    x = (np.arange(width, dtype=np.float32) / max(1, width) - np.float32(0.5))[None, :]
    y = (np.arange(height, dtype=np.float32) / max(1, height) - np.float32(0.5))[:, None]
    even = np.exp(-(np.float32(light.fall[0]) * x + np.float32(light.fall[1]) * y))
    gains = (target / target.mean() / light.colour).astype(np.float32)
    return np.asarray(linear * even[..., None] * gains, dtype=np.float32)
