"""Quality: whether a photo is fit to be analysed, from the photo alone, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.artefacts import ARTEFACT_SIDE_PX, Artefacts, find_artefacts
from longderm.imaging.colour import srgb_to_lab
from longderm.imaging.grid import reduce_pixels, reduced_shape
from longderm.photo import Photo

#: Edge widths are read from gradients at these two scales (pixels of a copy of ARTEFACT_SIDE_PX).
_NARROW_PX, _WIDE_PX = 1.0, 2.2
#: Edges are the steepest of the pixels (percent) ...
_STEEPEST_PERCENT = 2.0
#: ... if steeper than this many times the median slope, which noise and skin texture have everywhere ...
_EDGE_TO_MEDIAN = 3.0
#: ... and than this (Sobel sums: a quarter of a grey level per pixel), so that a blank frame has none.
_EDGE_MIN_SLOPE = 2.0
#: A photo is as sharp as its sharper edges (percentile of the edges' blur): a lesion's border is soft by itself. Of the
#: settings tried on 152 photos, this one rose with every step of a Gaussian blur of 0, 1, 2, 4, 8 px in all of them.
_SHARPER_EDGES_PERCENTILE = 25.0
#: The edges' blur (standard deviation, same pixels) at which sharpness is one half.
_HALF_SHARP_PX = 3.0

#: Below this L* a pixel is too dark: sRGB 59 of 255, where the noise of a small sensor is as large as skin's contrast.
_DARK_LIGHTNESS = 25.0

#: Colours of skin and lesions in Lab under D65, drawn around the middle 98% of 400 dermoscopy photos (ISIC 2018,
#: train), whose white balance varies widely: (least chroma, most chroma, least hue, most hue in degrees). Perfect greys
#: are not in it (no skin is without colour), white paper is not, dark pixels of any weak colour are (black lesions).
_SKIN_HUES = ((4.0, 20.0, -75.0, 120.0), (20.0, 65.0, -35.0, 95.0))
_PALE_MIN_CHROMA, _PALE_MAX_LIGHTNESS = 1.0, 97.0
_DARK_MAX_CHROMA = 25.0
#: Colours are counted on a copy of this size.
_COLOUR_SIDE_PX = 128

#: What each feature does to the score: (value that costs nothing, value at which the photo is useless, reason).
#: Between the two the factor falls linearly. Set by eye on photos of the ISIC 2018 training part.
_RAMPS = {
    "sharpness": (0.8, 0.0, "blurred"),
    "dark_fraction": (0.3, 0.85, "too dark"),
    "glare_fraction": (0.0, 0.25, "glare"),
    "hair_fraction": (0.0, 0.5, "hair"),
    "corner_fraction": (0.25, 0.85, "dark corners or borders"),
    "skin_fraction": (0.5, 0.1, "colours are not those of skin"),
}
#: Shorter sides in pixels: at the first a lesion a third as wide has a diameter good to 1-2%, at the second none.
_GOOD_SIDE_PX, _USELESS_SIDE_PX = 256, 48
#: A factor below this is named as a reason.
_REASON_BELOW = 0.7


@dataclass(frozen=True)
class Quality:
    """How fit a photo is to be analysed: `score` in [0, 1], `reasons` for what lowers it, `features` by column name."""

    score: float
    reasons: tuple[str, ...]
    features: Mapping[str, float]


def assess_quality(photo: Photo, artefacts: Artefacts | None = None) -> Quality:
    """Judge a photo without knowing where the lesion is; `artefacts` are found where they are not given.

    Features (all in [0, 1]): `sharpness`, 1 for edges as sharp as the pixels of a 512-pixel copy, one half for edges
    blurred by three of them; `corner_fraction`, the share of all pixels outside of the field of view; and of the field
    of view, `dark_fraction` (L* below 25), `glare_fraction`, `hair_fraction` (dark hair, ink or ruler lines as thin)
    and `skin_fraction` (a colour that skin or lesions have). The score is the product of a factor for each and one for
    the size of the photo.
    """
    medium = reduce_pixels(photo.pixels, reduced_shape(photo.shape, ARTEFACT_SIDE_PX))
    artefacts = artefacts if artefacts is not None else find_artefacts(photo.pixels)
    seen, _ = artefacts.seen()
    # Where all is dark there is no field of view to speak of: everything is judged.
    inside = seen if seen.any() else np.ones_like(seen)
    blur = edge_blur(medium, inside)
    small = _shrink(medium, _COLOUR_SIDE_PX)
    colours = srgb_to_lab(small)[_shrink_mask(inside, (small.shape[0], small.shape[1]))]
    features = {
        "sharpness": 0.0 if blur is None else 1 / (1 + (blur / _HALF_SHARP_PX) ** 2),
        "dark_fraction": _share(colours[:, 0] < _DARK_LIGHTNESS),
        "glare_fraction": _share(artefacts.glare[inside]),
        "hair_fraction": _share(artefacts.hair[inside]),
        "corner_fraction": 1 - _share(seen),
        "skin_fraction": _share(skin_coloured(colours)),
    }
    features = {name: round(value, 6) for name, value in features.items()}

    factors = {reason: _factor(features[name], good, bad) for name, (good, bad, reason) in _RAMPS.items()}
    factors["too small"] = _factor(log(min(photo.shape)), log(_GOOD_SIDE_PX), log(_USELESS_SIDE_PX))
    score = float(np.prod(sorted(factors.values())))
    reasons = tuple(reason for reason, factor in factors.items() if round(factor, 6) < _REASON_BELOW)
    return Quality(round(score, 6), reasons, MappingProxyType(features))


def edge_blur(pixels: NDArray[np.uint8], inside: NDArray[np.bool_]) -> float | None:
    """Blur of the sharper edges (standard deviation in pixels), or None where no edge stands out.

    An edge blurred by s has a gradient proportional to 1 / sqrt(s^2 + t^2) after smoothing by t; the ratio of two such
    gradients gives s (Zhuo and Sim 2011, doi 10.1016/j.patcog.2011.03.009).
    """
    import cv2

    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    core = cv2.erode(inside.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    if not core.any():
        return None
    narrow, wide = (_slope(np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma))) for sigma in (_NARROW_PX, _WIDE_PX))
    slopes = wide[core]
    steep = np.percentile(slopes, 100 - _STEEPEST_PERCENT)
    edges = core & (wide >= max(float(steep), _EDGE_TO_MEDIAN * float(np.median(slopes)), _EDGE_MIN_SLOPE))
    if not edges.any():
        return None
    ratio = np.maximum(narrow[edges] / wide[edges], 1 + 1e-3)
    square = (_WIDE_PX**2 - ratio**2 * _NARROW_PX**2) / (ratio**2 - 1)
    return float(np.percentile(np.sqrt(np.maximum(square, 0)), _SHARPER_EDGES_PERCENTILE))


def skin_coloured(lab: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which colours, Lab (N, 3), skin or a lesion on it may have, bool (N,)."""
    lightness, a, b = lab[:, 0], lab[:, 1], lab[:, 2]
    chroma = np.hypot(a, b)
    hue = np.degrees(np.arctan2(b, a))
    allowed = (lightness < _DARK_LIGHTNESS) & (chroma < _DARK_MAX_CHROMA)
    allowed |= (chroma >= _PALE_MIN_CHROMA) & (chroma < _SKIN_HUES[0][0]) & (lightness < _PALE_MAX_LIGHTNESS)
    for low, high, first, last in _SKIN_HUES:
        allowed |= (chroma >= low) & (chroma < high) & (hue > first) & (hue < last)
    return np.asarray(allowed)


def _factor(value: float, good: float, bad: float) -> float:
    """1 at `good` and beyond, 0 at `bad` and beyond, linear between."""
    return float(np.clip((value - bad) / (good - bad), 0.0, 1.0))


def _share(mask: NDArray[np.bool_]) -> float:
    return float(np.count_nonzero(mask)) / max(1, mask.size)


def _shrink(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    return reduce_pixels(pixels, reduced_shape((pixels.shape[0], pixels.shape[1]), side_px))


def _shrink_mask(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    import cv2

    smaller = cv2.resize(mask.astype(np.uint8), (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST) > 0
    return np.asarray(smaller if smaller.any() else np.ones(shape, dtype=np.bool_))


def _slope(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    import cv2

    return np.asarray(cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)))
