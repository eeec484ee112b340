"""Whether a transform is right: texture agreement inside and around the lesion, its border band left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.registration.preparation import Prepared
from longderm.registration.refine import bring_together, level_matrix
from longderm.registration.similarity import Matrix


@dataclass(frozen=True)
class Agreement:
    """Texture correlation of a pair under a transform, on one pyramid level.

    overall, inside, around: weighted correlation in [-1, 1] (None with too few pixels); pixels: how many it rests on;
    overlap: share of the baseline's valid pixels that the follow-up shows.
    """

    overall: float
    inside: float | None
    around: float | None
    pixels: float
    overlap: float

    @property
    def score(self) -> float:
        """Correlation times the root of the pixels it rests on: comparable between overlaps of unequal size."""
        return self.overall * float(np.sqrt(self.pixels))


#: A region of fewer pixels than this has no correlation worth the name.
_MIN_REGION_PX = 150.0


def agreement(baseline: Prepared, followup: Prepared, matrix: Matrix, level: int) -> Agreement:
    """Texture correlation under `matrix` on a pyramid level; inside is where either photo has lesion."""
    import cv2

    first, second = baseline.levels[level], followup.levels[level]
    common = bring_together(first, second, matrix)
    height, width = first.channel.shape
    step = level_matrix(first, second, matrix)[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    lesion = cv2.warpAffine(second.lesion, step, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT)
    inside = (np.maximum(first.lesion, lesion) > 0.5).astype(np.float32)
    overall = _correlation(common.baseline, common.followup, common.weight)
    valid = float(first.weight.sum(dtype=np.float64))
    return Agreement(
        overall=0.0 if overall is None else overall,
        inside=_correlation(common.baseline, common.followup, common.weight * inside),
        around=_correlation(common.baseline, common.followup, common.weight * (1.0 - inside)),
        pixels=float(common.weight.sum(dtype=np.float64)),
        overlap=float(common.seen.sum(dtype=np.float64)) / max(valid, 1.0),
    )


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32], weight: NDArray[np.float32]) -> float | None:
    mass = float(weight.sum(dtype=np.float64))
    if mass < _MIN_REGION_PX:
        return None
    a = a - np.float32((weight * a).sum(dtype=np.float64) / mass)
    b = b - np.float32((weight * b).sum(dtype=np.float64) / mass)
    ab = float((weight * a * b).sum(dtype=np.float64))
    aa = float((weight * a * a).sum(dtype=np.float64))
    bb = float((weight * b * b).sum(dtype=np.float64))
    return ab / float(np.sqrt(max(aa * bb, 1e-12)))


#: A confidence below this is a refusal.
ACCEPT_CONFIDENCE = 0.5

#: Logistic regression: constant, and weights of the natural logarithm of the score (correlation times the root of the
#: pixels), of Fisher's z of the correlation (middle level), and of the rival. Right (error below 3%) against wrong
#: (above 5%) and other lesions; fitted on 280 pairs of CC0 photos (ISIC 2018 task 1-2, train) photographed twice in
#: software at any rotation, scale 0.45-2.2, with blur to 4 px, skin texture that did not persist, hair, shrinking to
#: 40% and perturbed masks, results of the cheap path and of the search pooled. Fitted on one half, AUROC on the other
#: is 0.999, and no other lesion gets more than 0.4.
_CONFIDENCE = (-8.45, 2.53, 6.12, -4.85)

#: A candidate whose textures agree with less confidence than this on the middle level is not refined any further.
HOPELESS_CONFIDENCE = 0.05

#: Textures that agree with more confidence than this leave no doubt.
_BEYOND_DOUBT = 0.98

#: Least share of the baseline's valid pixels that must be seen in the follow-up.
MIN_OVERLAP = 0.10

#: Transforms fitted from either photo differ by no more than this share of the lesion's diameter.
MAX_INCONSISTENCY = 0.03

#: Least share of the smaller lesion that must lie in the other: masks err, but not past each other.
MIN_LESIONS_MET = 0.25

#: A segmentation less sure than this does not speak against a match.
_TRUSTED_LESION = 0.5

#: A rival that scores more than this share makes the match ambiguous (said so in the reason).
_AMBIGUOUS_RIVAL = 0.9

#: A photo with less detail than this is blurred (sharp ones have about 0.9; a blur of 5 px in 800 leaves 0.45).
_BLURRED_DETAIL = 0.5


@dataclass(frozen=True, eq=False)
class Evidence:
    """What speaks for and against a transform.

    middle: agreement on the middle pyramid level; inconsistency: distance between the transforms refined from either
    side, over the lesion's diameter, None where a hopeless candidate was not refined to the end; rival: score of the
    best different transform over this one's, on the coarsest level; lesions_met: share of the smaller lesion that lies
    in the other, None without two lesions whose masks can be trusted.
    """

    matrix: Matrix
    middle: Agreement
    inconsistency: float | None
    rival: float
    lesions_met: float | None

    @property
    def overlap(self) -> float:
        """Share of the baseline's valid pixels seen in the follow-up, in [0, 1]."""
        return self.middle.overlap


def gather_evidence(
    baseline: Prepared, followup: Prepared, matrix: Matrix, inconsistency: float | None, rival: float
) -> Evidence:
    """Measure the agreement under `matrix`, and how the lesions meet."""
    return Evidence(
        matrix,
        agreement(baseline, followup, matrix, 1),
        inconsistency,
        rival,
        _lesions_met(baseline, followup, matrix),
    )


def _lesions_met(baseline: Prepared, followup: Prepared, matrix: Matrix) -> float | None:
    import cv2

    if baseline.lesion_centre is None or followup.lesion_centre is None:
        return None
    if min(baseline.lesion_confidence, followup.lesion_confidence) < _TRUSTED_LESION:
        return None
    first, second = baseline.levels[1], followup.levels[1]
    height, width = first.channel.shape
    step = level_matrix(first, second, matrix)[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    lesion = cv2.warpAffine(second.lesion, step, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT) > 0.5
    mine = first.lesion > 0.5
    # Areas of the whole lesions, so that a lesion outside of the other photo counts as not met.
    area = min(float(mine.sum()), float((second.lesion > 0.5).sum()) / abs(float(np.linalg.det(step[:, :2]))))
    return float((mine & lesion).sum()) / max(area, 1.0)


def texture_confidence(middle: Agreement, rival: float) -> float:
    """Confidence in [0, 1] that textures agree because they are the same, rounded to 6 decimals."""
    correlation = min(max(middle.overall, 0.0), 0.99)
    constant, per_score, per_correlation, per_rival = _CONFIDENCE
    logit = (
        constant
        + per_score * float(np.log(max(correlation * np.sqrt(middle.pixels), 1.0)))
        + per_correlation * float(np.arctanh(correlation))
        + per_rival * min(max(rival, 0.0), 2.0)
    )
    return round(1.0 / (1.0 + float(np.exp(-logit))), 6)


def confidence_of(evidence: Evidence) -> float:
    """Confidence in [0, 1] that the transform is right; 0 where a rule forbids it."""
    if _forbidden(evidence) is not None:
        return 0.0
    return texture_confidence(evidence.middle, evidence.rival)


def is_right_but_forbidden(evidence: Evidence) -> bool:
    """Whether textures leave no doubt of the transform while a rule forbids it: a further search can find no better."""
    return _forbidden(evidence) is not None and texture_confidence(evidence.middle, evidence.rival) >= _BEYOND_DOUBT


def _forbidden(evidence: Evidence) -> str | None:
    """Why a transform cannot be accepted however well textures agree, or None."""
    if round(evidence.overlap, 6) < MIN_OVERLAP:
        return f"the photos overlap too little ({evidence.overlap:.0%} of the baseline)"
    if evidence.lesions_met is not None and round(evidence.lesions_met, 6) < MIN_LESIONS_MET:
        return (
            "where the photos look alike they do not show the same lesion: another lesion, or another part of the skin"
        )
    if evidence.inconsistency is not None and round(evidence.inconsistency, 6) > MAX_INCONSISTENCY:
        return "the transform is not settled: fitted from either photo it differs by more than 3% of the lesion"
    return None


def reason_for_refusal(evidence: Evidence | None, baseline: Prepared, followup: Prepared) -> str:
    """One sentence that says why a pair was refused."""
    if evidence is not None and is_right_but_forbidden(evidence):
        return _forbidden(evidence) or ""
    blurred = [
        role for role, photo in (("baseline", baseline), ("follow-up", followup)) if photo.detail < _BLURRED_DETAIL
    ]
    if blurred:
        which = "both photos are" if len(blurred) == 2 else f"the {blurred[0]} photo is"
        return f"{which} too blurred to find the texture of one in the other"
    if evidence is None:
        return "no transform was found that lays one photo over the other"
    forbidden = _forbidden(evidence)
    if forbidden is not None:
        return forbidden
    if evidence.rival > _AMBIGUOUS_RIVAL:
        return "the textures agree no better under one transform than under others: another lesion, or changed too much"
    return "the textures do not agree under any transform: another lesion, or changed too much"
