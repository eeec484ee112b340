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

#: Least overlap of the baseline's valid pixels, and least pixels in common (finest level but one).
MIN_OVERLAP = 0.15


@dataclass(frozen=True, eq=False)
class Evidence:
    """What speaks for and against a transform.

    fine, middle: agreement on the two finest levels; inconsistency: distance between the transforms refined from either
    side, over the lesion's diameter; rival: score of the best different transform over this one's, on the coarsest
    level; lesions_met: share of the smaller lesion (of what both photos show) that lies in the other, None without two
    lesions.
    """

    matrix: Matrix
    fine: Agreement
    middle: Agreement
    inconsistency: float
    rival: float
    lesions_met: float | None

    @property
    def overlap(self) -> float:
        """Share of the baseline's valid pixels seen in the follow-up, in [0, 1]."""
        return self.fine.overlap


def gather_evidence(
    baseline: Prepared, followup: Prepared, matrix: Matrix, inconsistency: float, rival: float
) -> Evidence:
    """Measure the agreement under `matrix` on the two finest levels."""
    return Evidence(
        matrix,
        agreement(baseline, followup, matrix, 0),
        agreement(baseline, followup, matrix, 1),
        inconsistency,
        rival,
        _lesions_met(baseline, followup, matrix),
    )


def _lesions_met(baseline: Prepared, followup: Prepared, matrix: Matrix) -> float | None:
    import cv2

    if baseline.lesion_centre is None or followup.lesion_centre is None:
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


def confidence_of(evidence: Evidence) -> float:
    """Confidence in [0, 1] that the transform is right, rounded to 6 decimals."""
    if evidence.overlap < MIN_OVERLAP or evidence.inconsistency > 0.03:
        return 0.0
    if evidence.lesions_met is not None and evidence.lesions_met < 0.2:
        return 0.0
    z = 30.0 * (evidence.middle.overall - 0.30)
    return round(1.0 / (1.0 + float(np.exp(-z))), 6)


def reason_for_refusal(evidence: Evidence | None, mirrored: bool) -> str:
    """One sentence that says why a pair was refused."""
    if mirrored:
        return "the follow-up photo is mirrored: it matches only after being flipped"
    if evidence is None:
        return "no transform was found that lays one photo over the other"
    if evidence.overlap < MIN_OVERLAP:
        return f"the photos overlap too little ({evidence.overlap:.0%} of the baseline)"
    if evidence.inconsistency > 0.03:
        return "the transform is not settled: fitted from either photo it differs by more than 3% of the lesion"
    return "the textures do not agree under any transform: another lesion, or too blurred or changed"
