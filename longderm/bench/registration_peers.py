"""What others would use to align two photos: the same masks, the same pairs, each method as its authors advise.

A method takes a `TruePair` and gives an `Answer`; to bench another, write such a function and add it to `METHODS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.registration_pairs import TruePair
from longderm.photo import Photo
from longderm.registration.similarity import Matrix, from_parts

#: Features of ORB and SIFT; inliers that count as a match; reprojection error of an inlier (RANSAC). ORB's own
#: threshold of FAST (20) finds next to nothing on skin: with 5 it is four times as good on hard pairs.
_FEATURES, _FAST_THRESHOLD, _INLIERS, _REPROJECTION_PX = 3000, 5, 12, 4.0
#: SIFT's least contrast, a quarter of its own for the same reason.
_CONTRAST = 0.01
#: Lowe's ratio of the nearest to the second nearest SIFT descriptor.
_LOWE_RATIO = 0.8
#: SimpleITK: histogram bins, share of pixels sampled, iterations of each of three levels.
_BINS, _SAMPLED, _ITERATIONS = 50, 0.2, 60
#: ECC: longer side of the images it is given, iterations, and the correlation from which it counts as a match.
_ECC_SIDE_PX, _ECC_ITERATIONS, _ECC_MATCH = 384, 100, 0.7


@dataclass(frozen=True, eq=False)
class Answer:
    """What a method says of a pair: matrix or None, accepted, confidence in [0, 1], CPU seconds; `details`: ours."""

    matrix: Matrix | None
    accepted: bool
    confidence: float
    seconds: float
    details: dict[str, Any]


Method = Callable[[TruePair], Answer]


def by_longderm(pair: TruePair) -> Answer:
    """Our alignment; the preparation of both photos, segmentation included, is counted."""
    from longderm.registration import align

    start = time.process_time()
    result = align(Photo.from_array(pair.baseline), Photo.from_array(pair.followup))
    seconds = time.process_time() - start
    details = {
        "reason": result.reason,
        "skin_scale": result.skin_scale,
        "lesion_scale": result.lesion_scale,
        "cautious": bool(result.cautions),
    }
    return Answer(result.matrix, result.accepted, result.confidence, seconds, details)


def by_orb(pair: TruePair) -> Answer:
    """ORB with hair and dark corners masked, mutual nearest neighbours, RANSAC similarity (OpenCV)."""
    import cv2

    def matched(first: Any, second: Any) -> list[Any]:
        return list(cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(first, second))

    return _by_features(pair, lambda: cv2.ORB.create(nfeatures=_FEATURES, fastThreshold=_FAST_THRESHOLD), matched)


def by_sift(pair: TruePair) -> Answer:
    """SIFT with the same masks, Lowe's ratio, RANSAC similarity (OpenCV)."""
    import cv2

    def matched(first: Any, second: Any) -> list[Any]:
        both = cv2.BFMatcher(cv2.NORM_L2).knnMatch(first, second, k=2)
        return [near[0] for near in both if len(near) == 2 and near[0].distance < _LOWE_RATIO * near[1].distance]

    return _by_features(pair, lambda: cv2.SIFT.create(nfeatures=_FEATURES, contrastThreshold=_CONTRAST), matched)


def _by_features(pair: TruePair, make: Callable[[], Any], matched: Callable[[Any, Any], list[Any]]) -> Answer:
    import cv2

    start = time.process_time()

    def answer(matrix: Matrix | None, inliers: int) -> Answer:
        seconds = time.process_time() - start
        return Answer(matrix, inliers >= _INLIERS, inliers / (inliers + _INLIERS), seconds, {})

    found = []
    for pixels in (pair.baseline, pair.followup):
        free = _usable(pixels).astype(np.uint8)
        found.append(make().detectAndCompute(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), free))
    (first, first_codes), (second, second_codes) = found
    if first_codes is None or second_codes is None or min(len(first), len(second)) < 3:
        return answer(None, 0)
    matches = matched(first_codes, second_codes)
    if len(matches) < 3:
        return answer(None, 0)
    source = np.array([first[m.queryIdx].pt for m in matches], np.float64)
    target = np.array([second[m.trainIdx].pt for m in matches], np.float64)
    affine, inliers = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=_REPROJECTION_PX, maxIters=5000
    )
    if affine is None:
        return answer(None, 0)
    return answer(np.vstack([affine, [0.0, 0.0, 1.0]]), int(inliers.sum()))


def by_mutual_information(pair: TruePair) -> Answer:
    """SimpleITK: lesion moments (centre and area of our masks), then Mattes mutual information, gradient descent."""
    sitk: Any = import_module("SimpleITK")  # its types are incomplete
    start = time.process_time()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    initial = _by_moments(pair)
    fixed, moving = (sitk.GetImageFromArray(_grey(pixels)) for pixels in (pair.baseline, pair.followup))
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(_SAMPLED, 1)
    method.SetMetricFixedMask(sitk.GetImageFromArray(_usable(pair.baseline).astype(np.uint8)))
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, _ITERATIONS)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    transform = sitk.Similarity2DTransform()
    transform.SetMatrix(initial[:2, :2].ravel().tolist())
    transform.SetTranslation(initial[:2, 2].tolist())
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(fixed, moving)
    except RuntimeError:  # the samples of both images no longer overlap
        return Answer(None, False, 0.0, time.process_time() - start, {})
    matrix = np.eye(3)
    matrix[:2, :2] = np.array(transform.GetMatrix()).reshape(2, 2)
    centre = np.array(transform.GetCenter())
    matrix[:2, 2] = np.array(transform.GetTranslation()) + centre - matrix[:2, :2] @ centre
    confidence = float(np.clip(-method.GetMetricValue(), 0.0, 1.0))
    return Answer(matrix, True, confidence, time.process_time() - start, {})


def by_ecc(pair: TruePair) -> Answer:
    """OpenCV's ECC (affine motion, the nearest it has to a similarity), started from the lesion's moments."""
    import cv2

    start = time.process_time()
    unit = _ECC_SIDE_PX / max(pair.baseline.shape[:2])
    to_small = np.array([[unit, 0.0, 0.5 * unit - 0.5], [0.0, unit, 0.5 * unit - 0.5], [0.0, 0.0, 1.0]])
    small = [
        cv2.resize(_grey(pixels), None, fx=unit, fy=unit, interpolation=cv2.INTER_AREA)
        for pixels in (pair.baseline, pair.followup)
    ]
    usable = _usable(pair.followup).astype(np.uint8)
    free = cv2.resize(usable, None, fx=unit, fy=unit, interpolation=cv2.INTER_NEAREST)
    step = (to_small @ _by_moments(pair) @ np.linalg.inv(to_small))[:2].astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ECC_ITERATIONS, 1e-5)
    try:
        correlation, found = cv2.findTransformECC(small[0], small[1], step, cv2.MOTION_AFFINE, criteria, free, 5)
    except cv2.error:  # it does not converge
        return Answer(None, False, 0.0, time.process_time() - start, {})
    matrix = np.linalg.inv(to_small) @ np.vstack([np.asarray(found), [0.0, 0.0, 1.0]]) @ to_small
    confidence = float(np.clip(correlation, 0.0, 1.0))
    return Answer(matrix, confidence >= _ECC_MATCH, confidence, time.process_time() - start, {})


METHODS: dict[str, Method] = {
    "longderm": by_longderm,
    "orb+mask": by_orb,
    "sift+mask": by_sift,
    "moments+mi": by_mutual_information,
    "ecc": by_ecc,
}


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    import cv2

    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)


def _usable(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    from longderm.imaging import field_of_view, hair_mask

    photo = Photo.from_array(pixels)
    return np.asarray(field_of_view(photo) & ~hair_mask(photo))


def _by_moments(pair: TruePair) -> Matrix:
    """Centre to centre, scale by the areas; moments of our masks, unless one finds no lesion: then frame to frame."""
    from longderm.imaging import segment

    masks = [segment(Photo.from_array(pixels)) for pixels in (pair.baseline, pair.followup)]
    if not all(mask.found and mask.mask.any() for mask in masks):
        return np.eye(3)
    centres, areas = [], []
    for found in masks:
        y, x = np.nonzero(found.mask)
        centres.append(complex(x.mean(), y.mean()))
        areas.append(len(x))
    return from_parts(float(np.sqrt(areas[1] / areas[0])), 0.0, centres[0], centres[1])
