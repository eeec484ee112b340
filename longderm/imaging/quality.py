"""Quality: how far the measures of a photo are to be trusted, from the photo alone, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from longderm.errors import RefusedError
from longderm.imaging.artefacts import Artefacts, find_artefacts
from longderm.imaging.quality_model import (
    BLUR_RAMP,
    LESION_RAMPS,
    PHOTO_RAMPS,
    ErrorModel,
    badness,
    detail_px,
    photo_ramps,
)
from longderm.imaging.quality_signs import lesion_signs, photo_signs
from longderm.imaging.segmentation import Segmentation, segment
from longderm.imaging.sight import MIN_SIDE_PX
from longderm.models import Release, load_release
from longderm.photo import Photo

#: The release that is used when none is given.
DEFAULT_VERSION = "0.2.0"

#: What no distortion of the fit teaches costs a factor: (sign, value that costs nothing, value at which the photo is
#: useless). Set by eye on photos of the ISIC 2018 training part.
_FACTORS = (("corner_fraction", 0.25, 0.85), ("skin_fraction", 0.5, 0.1))
#: A photo with a shorter side below this is called too small: a lesion a third as wide has a diameter good to 4%.
_SMALL_SIDE_PX = 96
TOO_SMALL, NO_LESION = "too small", "no lesion is found"
#: Decimals of a score: what comes after means nothing.
SCORE_DECIMALS = 2


@dataclass(frozen=True)
class Quality:
    """How fit a photo is to be analysed.

    score: in [0, 1], two decimals; reasons: what lowers it, worst first; expected_error: how far measures and outline
    are expected to be off, in [0, 1], in units of how lesions differ among each other (0.5: as far as these do);
    features: signs by name (`longderm.imaging.quality_signs`).
    """

    score: float
    reasons: tuple[str, ...]
    expected_error: float
    features: Mapping[str, float]


def assess_quality(
    photo: Photo,
    artefacts: Artefacts | None = None,
    segmentation: Segmentation | None = None,
    release: Release | None = None,
) -> Quality:
    """Judge a photo by the error that its signs let expect: (1 - expected error)^2 is the score.

    `artefacts` are found and the lesion is outlined where they are not given; a lesion that cannot be outlined cannot
    be measured, and costs accordingly. Total-body photos are judged by their own signs alone. The release, of kind
    "quality", is fitted to distorted copies of photos, whose true change is none. Raises ValueError for a segmentation
    on another grid.
    """
    if segmentation is not None and segmentation.mask.shape != photo.shape:
        raise ValueError(f"the mask is {segmentation.mask.shape}, the photo {photo.shape}; segment the same photo")
    artefacts = artefacts if artefacts is not None else find_artefacts(photo.pixels)
    segmentation = segmentation if segmentation is not None else segment(photo, artefacts=artefacts)
    release = release if release is not None else load_release("quality", DEFAULT_VERSION)
    signs = photo_signs(photo, artefacts) | lesion_signs(photo, segmentation, artefacts)
    features = {name: round(value, 6) for name, value in signs.items()}
    known = all_signs(features, photo, segmentation)
    expected = expected_error(known, photo.meta.modality != "total_body", release)
    score = (1 - expected) ** 2
    for name, good, bad in _FACTORS:
        score *= float(np.clip((features[name] - bad) / (good - bad), 0.0, 1.0))
    if min(photo.shape) < MIN_SIDE_PX:
        score = 0.0
    reasons = _reasons(photo, known, segmentation.found)
    return Quality(round(score, SCORE_DECIMALS), reasons, expected, MappingProxyType(features))


def all_signs(features: Mapping[str, float], photo: Photo, segmentation: Segmentation) -> dict[str, float]:
    """What the error model reads: `features` (`photo_signs`, `lesion_signs`), confidence, and the photo's detail."""
    longer_px = float(max(photo.shape))
    detail = detail_px(longer_px, features["edge_blur"])
    return {**features, "confidence": segmentation.confidence, "detail_px": detail, "longer_px": longer_px}


def expected_error(signs: Mapping[str, float], close_up: bool, release: Release) -> float:
    """What a release expects of a photo with these signs, in [0, 1], four decimals.

    Raises RefusedError for a release that was fitted to other signs.
    """
    of_photo = photo_ramps(release.config["signs"])
    if of_photo is None:
        raise RefusedError(
            f"release {release.name} was fitted to other signs of quality; use the release of this version"
        )
    ramps = of_photo + LESION_RAMPS if close_up else of_photo
    model = ErrorModel.from_config(release.config["with_lesion" if close_up else "photo_alone"])
    return round(float(model(badness(signs, ramps))), 4)


def _reasons(photo: Photo, signs: Mapping[str, float], found: bool) -> tuple[str, ...]:
    """What is wrong, the worst first; of a lesion that is not found, nothing is told."""
    ramps = (BLUR_RAMP, *PHOTO_RAMPS, *(LESION_RAMPS if found else ()))
    excess = {
        ramp.reason: ramp(signs[ramp.sign]) / ramp.named_from
        for ramp in ramps
        if ramp.reason is not None and round(ramp(signs[ramp.sign]), 6) > ramp.named_from
    }
    if min(photo.shape) < _SMALL_SIDE_PX:
        excess[TOO_SMALL] = _SMALL_SIDE_PX / min(photo.shape)
    if not found and photo.meta.modality != "total_body":
        excess[NO_LESION] = 1.0
    return tuple(sorted(excess, key=lambda reason: (-excess[reason], reason)))
