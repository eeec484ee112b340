"""The outline by colour against the photo's own skin: candidates of a scored map, the best of them drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.artefacts import Artefacts, find_artefacts
from longderm.imaging.candidates import Candidate, find_candidates
from longderm.imaging.features import Scene, context_features, contrast_map, look_at, masked_blur, skin_features
from longderm.imaging.outline import CUT_SHARE, Outline, caveat, draw_level
from longderm.imaging.quadratic import QuadraticScore
from longderm.photo import Photo

#: Below this share of usable pixels (inside the field of view, no hair, no glare), nothing is drawn.
MIN_CLEAR_FRACTION = 0.1

#: The map is smoothed by this share of the longer side before it is cut: about the width of an expert's pen.
_SMOOTHING = 0.008


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


def outline_by_colour(photo: Photo, segmenter: Segmenter, artefacts: Artefacts | None = None) -> Outline:
    """Find the lesion of a close-up photo; its artefacts are found where they are not given.

    Each pixel of a reduced copy is scored by its colour against the photo's own skin, twice (the second time knowing
    the first map); areas cut at several levels from that map and from plain contrast are compared by how well such
    areas matched experts' outlines; the best is kept if it looks like a lesion and stands out from the skin.
    """
    artefacts = artefacts if artefacts is not None else find_artefacts(photo.pixels)
    scene = look_at(photo.pixels, segmenter.side_px, artefacts)
    if scene.clear.mean() < MIN_CLEAR_FRACTION:
        return Outline.none("too little of the photo is free of hair, glare and dark borders")
    probability = map_probability(scene, segmenter)
    candidates = find_candidates(scene, probability, contrast_map(scene), segmenter.levels)
    if not candidates:
        return Outline.none("nothing differs from the surrounding skin")
    if photo.meta.modality == "clinical":
        candidates = [candidate for candidate in candidates if candidate.cut_share <= segmenter.clinical_max_cut_share]
        if not candidates:
            return Outline.none("what differs from the skin runs out of the photo")
    best, overlap = choose(candidates, segmenter)
    if best.contrast < segmenter.min_contrast or best.contrast < segmenter.min_contrast_to_noise * best.noise:
        return Outline.none("the contrast is below the variation of the skin")
    presence = _sigmoid(float(segmenter.presence(best.features)))
    confidence = round(presence * overlap, 4)
    if round(presence, 4) < segmenter.min_presence:
        return Outline.none("what differs from the skin does not look like a lesion", confidence)
    if overlap < segmenter.min_overlap:
        return Outline.none("the border of what differs from the skin cannot be told", confidence)
    mask = draw_level(best.surface, best.level, best.mask, photo.shape)
    if not mask.any():
        return Outline.none("nothing differs from the surrounding skin", confidence)
    touches_border = round(best.cut_share, 4) > CUT_SHARE
    return Outline(mask, confidence, caveat(overlap, segmenter.doubtful_overlap, touches_border), touches_border)


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


def _sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(value, -30, 30))))
