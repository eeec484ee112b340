"""Segmentation: where the lesion is, drawn by colour against the photo's own skin, and when there is none to draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.artefacts import Artefacts, find_artefacts
from longderm.imaging.candidates import Candidate, find_candidates
from longderm.imaging.features import Scene, context_features, contrast_map, look_at, masked_blur, skin_features
from longderm.imaging.quadratic import QuadraticScore
from longderm.models import Release, load_release
from longderm.photo import Photo

#: The release that is used when none is given.
DEFAULT_VERSION = "0.1.0"

#: The release that tells lesion from skin in a third of the time; its outlines are too coarse to be measured.
QUICK_VERSION = "0.1.0-quick"

#: Below this many pixels on the shorter side, a photo holds too little to draw a border.
MIN_SIDE_PX = 24

#: Below this share of usable pixels (inside the field of view, no hair, no glare), nothing is drawn.
MIN_CLEAR_FRACTION = 0.1

#: A lesion of whose border more than this share lies on the edge of the field of view is cut by it.
CUT_SHARE = 0.02

#: The map is smoothed by this share of the longer side before it is cut: about the width of an expert's pen.
_SMOOTHING = 0.008


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The lesion's mask, bool (H, W) on the native grid; empty when `found` is False.

    confidence: overlap (Dice) to be expected with an expert's outline, times the probability that there is a lesion,
    in [0, 1]. reason: why nothing was found, or what makes the mask doubtful, else None. touches_border: the lesion is
    cut by the edge of the field of view. model: kind and version of the release that drew it.
    """

    mask: NDArray[np.bool_]
    confidence: float
    found: bool
    reason: str | None
    touches_border: bool
    model: str


@dataclass(frozen=True, eq=False)
class Segmenter:
    """The parameters of a release, ready for use.

    min_presence, min_overlap: below it, nothing is drawn. min_contrast (Lab units) and min_contrast_to_noise (times the
    spread of the ring's L*): likewise. doubtful_overlap: below it, the border is called doubtful.
    clinical_max_cut_share: a clinical photo shows its lesion whole, amid skin that shadows and folds make uneven up to
    the edge, so an area of whose border more than this share lies there is not it; through a dermatoscope, large
    lesions do fill the view.
    """

    side_px: int
    skin: QuadraticScore
    context: QuadraticScore
    choice: QuadraticScore
    overlap: QuadraticScore
    presence: QuadraticScore
    levels: tuple[float, ...]
    min_presence: float
    min_overlap: float
    min_contrast: float
    min_contrast_to_noise: float
    doubtful_overlap: float
    clinical_max_cut_share: float


def read_segmenter(config: dict[str, Any]) -> Segmenter:
    """The segmenter of a release's config. Raises KeyError or ValueError for a config of another kind."""
    return Segmenter(
        side_px=int(config["side_px"]),
        skin=QuadraticScore.from_weights(config["skin_weights"]),
        context=QuadraticScore.from_weights(config["context_weights"]),
        choice=QuadraticScore.from_weights(config["choice_weights"]),
        overlap=QuadraticScore.from_weights(config["overlap_weights"]),
        presence=QuadraticScore.from_weights(config["presence_weights"]),
        levels=tuple(float(level) for level in config["levels"]),
        min_presence=float(config["min_presence"]),
        min_overlap=float(config["min_overlap"]),
        min_contrast=float(config["min_contrast"]),
        min_contrast_to_noise=float(config["min_contrast_to_noise"]),
        doubtful_overlap=float(config["doubtful_overlap"]),
        clinical_max_cut_share=float(config["clinical_max_cut_share"]),
    )


def segment(photo: Photo, release: Release | None = None, artefacts: Artefacts | None = None) -> Segmentation:
    """Find the lesion of a close-up photo and draw its outline at full size.

    Each pixel of a reduced copy is scored by its colour against the photo's own skin, twice (the second time knowing
    the first map); areas cut at several levels from that map and from plain contrast are compared by how well such
    areas matched experts' outlines; the best is kept if it looks like a lesion and stands out from the skin.
    `release` is of kind "segmentation", by default the packaged one; `artefacts` are found where they are not
    given. In a total-body photo, nothing is drawn.
    """
    release = release if release is not None else load_release("segmentation", DEFAULT_VERSION)
    segmenter = read_segmenter(release.config)
    nothing = np.zeros(photo.shape, dtype=np.bool_)

    def refuse(reason: str, presence: float = 0.0) -> Segmentation:
        return Segmentation(nothing, presence, False, reason, False, release.name)

    if photo.meta.modality == "total_body":
        return refuse("a total-body photo shows many lesions")
    if min(photo.shape) < MIN_SIDE_PX:
        return refuse("the photo is too small")
    artefacts = artefacts if artefacts is not None else find_artefacts(photo.pixels)
    scene = look_at(photo.pixels, segmenter.side_px, artefacts)
    if scene.clear.mean() < MIN_CLEAR_FRACTION:
        return refuse("too little of the photo is free of hair, glare and dark borders")
    probability = map_probability(scene, segmenter)
    candidates = find_candidates(scene, probability, contrast_map(scene), segmenter.levels)
    if not candidates:
        return refuse("nothing differs from the surrounding skin")
    if photo.meta.modality == "clinical":
        candidates = [candidate for candidate in candidates if candidate.cut_share <= segmenter.clinical_max_cut_share]
        if not candidates:
            return refuse("what differs from the skin runs out of the photo")
    best, overlap = choose(candidates, segmenter)
    if best.contrast < segmenter.min_contrast or best.contrast < segmenter.min_contrast_to_noise * best.noise:
        return refuse("the contrast is below the variation of the skin")
    presence = _sigmoid(float(segmenter.presence(best.features)))
    confidence = round(presence * overlap, 4)
    if round(presence, 4) < segmenter.min_presence:
        return refuse("what differs from the skin does not look like a lesion", confidence)
    if overlap < segmenter.min_overlap:
        return refuse("the border of what differs from the skin cannot be told", confidence)
    mask = draw(best, photo.shape)
    if not mask.any():
        return refuse("nothing differs from the surrounding skin", confidence)
    touches_border = round(best.cut_share, 4) > CUT_SHARE
    reason = None
    if overlap < segmenter.doubtful_overlap:
        reason = "the border is doubtful"
    elif touches_border:
        reason = "the lesion is cut by the edge of the field of view"
    return Segmentation(mask, confidence, True, reason, touches_border, release.name)


def map_probability(scene: Scene, segmenter: Segmenter) -> NDArray[np.float32]:
    """Probability of lesion, float32 (h, w), smoothed; 0 outside of the field of view."""
    first = segmenter.skin(skin_features(scene))
    second = segmenter.context(context_features(scene, first))
    probability = (1 / (1 + np.exp(-np.clip(second, -20, 20)))).astype(np.float32)
    smooth, _ = masked_blur(probability, scene.inside, _SMOOTHING * max(probability.shape))
    # Rounded, so that the last bits of an addition do not move the border.
    return np.asarray(np.round(np.where(scene.inside, smooth, 0), 4), dtype=np.float32)


def choose(candidates: list[Candidate], segmenter: Segmenter) -> tuple[Candidate, float]:
    """The best candidate of a photo, and its expected overlap (Dice) with an expert's outline, in [0, 1]."""
    features = np.stack([candidate.features for candidate in candidates])
    index = int(np.argmax(np.round(segmenter.choice(features), 4)))
    return candidates[index], float(np.clip(np.round(segmenter.overlap(features[index]), 4), 0, 1))


def draw(candidate: Candidate, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The candidate's mask, bool `shape`: its level line in the enlarged map, smooth and closed."""
    import cv2

    level = np.float32(candidate.level)
    above = np.where(candidate.surface > level, candidate.surface, np.float32(1))
    below = np.minimum(candidate.surface, level)
    surface = np.where(candidate.mask, above, below).astype(np.float32)
    enlarged = cv2.resize(surface, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged > level + np.float32(1e-5))


def _sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(value, -30, 30))))
