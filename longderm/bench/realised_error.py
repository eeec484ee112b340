"""How far a distortion moves what is measured of a lesion: the true change between a photo and its distorted copy is
none."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from longderm.imaging import Measures, Segmentation, measure, segment
from longderm.imaging.artefacts import Artefacts, find_artefacts
from longderm.imaging.fit import dice
from longderm.models import Release
from longderm.photo import Photo
from longderm.simulate.distortions import Distorted

#: By how much lesions differ among each other (1 / 1.35 of the range between quartiles; ISIC 2018's training part, 64
#: photos): a measure that moves so far says nothing any more. Those of `_RATIOS` in natural logarithms, Lab distances
#: and shares as they are.
SPREAD = {
    "area_px": 1.2,
    "long_diam_px": 0.64,
    "border_irregularity": 0.055,
    "eccentricity": 0.135,
    "asymmetry_shape": 0.03,
    "asymmetry_colour": 0.5,
    "colour_variegation": 0.33,
    "delta_lightness": 10.0,
    "delta_a": 4.5,
    "delta_b": 4.9,
}
_RATIOS = ("area_px", "long_diam_px", "border_irregularity", "asymmetry_colour", "colour_variegation")
#: An outline that overlaps with the first one (Dice) by so much less than 1 has moved by one unit, too.
_OVERLAP_SPREAD = 0.15
#: What is lost altogether has moved by this many units.
_LOST_UNITS = 50.0


@dataclass(frozen=True, eq=False)
class Measured:
    """What is made of one photo: its artefacts, outline and measures."""

    photo: Photo
    artefacts: Artefacts
    outline: Segmentation
    measures: Measures


def examine(pixels: NDArray[np.uint8], release: Release) -> Measured:
    """Outline and measure the lesion of uint8 (H, W, 3)."""
    photo = Photo.from_array(pixels)
    artefacts = find_artefacts(pixels)
    outline = segment(photo, release, artefacts=artefacts)
    return Measured(photo, artefacts, outline, measure(photo, outline, artefacts))


def realised_error(before: Measured, after: Measured, distorted: Distorted) -> float:
    """How far measures and outline moved, in [0, 1): each as u / (1 + u) with u in units of `SPREAD`; their mean."""
    import cv2

    frame = distorted.frame
    rows, columns = before.outline.mask[frame].shape
    mask = np.zeros(before.outline.mask.shape, np.bool_)
    back = cv2.resize(after.outline.mask.astype(np.uint8), (columns, rows), interpolation=cv2.INTER_NEAREST)
    mask[frame] = back > 0
    native_px = columns / after.photo.shape[1]
    units = [(1 - dice(mask, before.outline.mask)) / _OVERLAP_SPREAD]
    for name, spread in SPREAD.items():
        first, second = getattr(before.measures, name), getattr(after.measures, name)
        if name == "area_px":
            second = float(mask.sum()) or None
        if name == "long_diam_px" and second is not None:
            second *= native_px
        if first is None:
            continue
        if second is None:
            units.append(_LOST_UNITS)
        elif name in _RATIOS:
            units.append(abs(log(max(second, 1e-6) / max(first, 1e-6))) / spread)
        else:
            units.append(abs(second - first) / spread)
    moved = np.array(units)
    return float((moved / (1 + moved)).mean())
