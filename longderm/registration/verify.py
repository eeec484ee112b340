"""Whether a transform is right: texture agreement inside and around the lesion, its border band left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longderm.registration.preparation import Prepared
from longderm.registration.refine import bring_together, correlation, level_matrix
from longderm.registration.similarity import Matrix


@dataclass(frozen=True)
class Agreement:
    """Texture correlation of a pair under a transform, on one pyramid level.

    inside, around: weighted correlation in [-1, 1] in the lesion and in the skin around it (None with too few pixels),
    and the pixels they rest on; overlap: share of the baseline's valid pixels that the follow-up shows.
    """

    inside: float | None
    around: float | None
    inside_pixels: float
    around_pixels: float
    overlap: float

    @property
    def score(self) -> float:
        """Root of the log likelihood ratio of "same texture" against "unrelated", both regions summed.

        -n log(1 - r^2) each (Gaussian textures, twice the ratio): a lesion that persists outweighs any amount of skin
        that does not, which an average over both would drown it in.
        """
        regions = ((self.inside, self.inside_pixels), (self.around, self.around_pixels))
        return float(np.sqrt(sum(pixels * _log_likelihood(r) for r, pixels in regions if r is not None)))


def _log_likelihood(correlation: float) -> float:
    return -float(np.log1p(-(min(max(correlation, 0.0), _CORRELATION_MOST) ** 2)))


#: A correlation counts as no more than this: beyond it blur and compression decide.
_CORRELATION_MOST = 0.98


def agreement(baseline: Prepared, followup: Prepared, matrix: Matrix, level: int) -> Agreement:
    """Texture correlation under `matrix` on a pyramid level; inside is where either photo has lesion."""
    first = baseline.levels[level]
    common = bring_together(first, followup.levels[level], matrix)
    inside, inside_pixels = correlation(common, common.inside)
    around, around_pixels = correlation(common, ~common.inside)
    valid = float(first.weight.sum(dtype=np.float64))
    overlap = float(common.seen.sum(dtype=np.float64)) / max(valid, 1.0)
    return Agreement(inside, around, inside_pixels, around_pixels, overlap)


#: A confidence below this is a refusal.
ACCEPT_CONFIDENCE = 0.5

#: Logistic regression: constant and the weights of `confidence_features`. Right transforms (error below 3%) against
#: wrong ones (above 5%) and impostors, results of the cheap path and of the search pooled, fitted on CC0 photos (ISIC
#: 2018 task 1-2, train) taken twice in software; `longderm bench confidence` fits them again and checks them on
#: synthetic pairs.
_CONFIDENCE = (-15.26, 2.54, 2.13, -1.21, 1.97)

#: A candidate whose textures agree with less confidence than this on the middle level is not refined any further.
HOPELESS_CONFIDENCE = 0.1

#: Textures that agree with more confidence than this leave no doubt.
BEYOND_DOUBT = 0.995

#: Least share of the baseline's valid pixels that must be seen in the follow-up.
MIN_OVERLAP = 0.10

#: Transforms fitted from either photo differ by no more than this share of the lesion's diameter.
MAX_INCONSISTENCY = 0.03

#: Least share of the smaller lesion that must lie in the other: masks err, but not past each other.
MIN_LESIONS_MET = 0.25

#: A segmentation less sure than this does not speak against a match.
_TRUSTED_LESION = 0.5

#: A rival counts as no stronger than this, and one that was not sought as just so strong.
_WORST_RIVAL = 2.0

#: A rival that scores more than this share makes the match ambiguous (said so in the reason).
_AMBIGUOUS_RIVAL = 0.9

#: A photo with less detail than this is blurred (sharp ones have about 0.9; a blur of 5 px in 800 leaves 0.45).
_BLURRED_DETAIL = 0.5


@dataclass(frozen=True, eq=False)
class Evidence:
    """What speaks for and against a transform.

    middle: agreement on the middle pyramid level; inconsistency: distance between the transforms refined from either
    side, over the lesion's diameter, None where a hopeless candidate was not refined to the end; rival: score of the
    best different transform over this one's, on the coarsest level, None where none was sought, since even the worst
    would not have changed the verdict; support: matches of keypoints that agree with the transform; lesions_met: share
    of the smaller lesion that lies in the other, None without two lesions whose masks can be trusted.
    """

    matrix: Matrix
    middle: Agreement
    inconsistency: float | None
    rival: float | None
    support: int
    lesions_met: float | None

    @property
    def overlap(self) -> float:
        """Share of the baseline's valid pixels seen in the follow-up, in [0, 1]."""
        return self.middle.overlap


def gather_evidence(
    baseline: Prepared,
    followup: Prepared,
    matrix: Matrix,
    inconsistency: float | None,
    rival: float | None,
    support: int,
) -> Evidence:
    """Measure the agreement under `matrix`, and how the lesions meet."""
    return Evidence(
        matrix,
        agreement(baseline, followup, matrix, 1),
        inconsistency,
        rival,
        support,
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


def confidence_features(evidence: Evidence) -> tuple[float, float, float, float]:
    """What the confidence is a logistic function of: logarithm of the agreement's score, Fisher's z of the better
    region's correlation, the rival, and the logarithm of the support."""
    middle = evidence.middle
    best = min(max(middle.inside or 0.0, middle.around or 0.0, 0.0), _CORRELATION_MOST)
    return (
        float(np.log(max(middle.score, 1.0))),
        float(np.arctanh(best)),
        _WORST_RIVAL if evidence.rival is None else min(max(evidence.rival, 0.0), _WORST_RIVAL),
        float(np.log1p(evidence.support)),
    )


def texture_confidence(evidence: Evidence) -> float:
    """Confidence in [0, 1] that textures agree because they are the same, rounded to 6 decimals."""
    constant, *weights = _CONFIDENCE
    logit = constant + sum(w * value for w, value in zip(weights, confidence_features(evidence), strict=True))
    return round(1.0 / (1.0 + float(np.exp(-logit))), 6)


def confidence_of(evidence: Evidence) -> float:
    """Confidence in [0, 1] that the transform is right; 0 where a rule forbids it."""
    if _forbidden(evidence) is not None:
        return 0.0
    return texture_confidence(evidence)


def is_right_but_forbidden(evidence: Evidence) -> bool:
    """Whether textures leave no doubt of the transform while a rule forbids it: a further search can find no better."""
    return _forbidden(evidence) is not None and texture_confidence(evidence) >= BEYOND_DOUBT


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
    if evidence.rival is not None and evidence.rival > _AMBIGUOUS_RIVAL:
        return "the textures agree no better under one transform than under others: another lesion, or changed too much"
    return "the textures do not agree under any transform: another lesion, or changed too much"
