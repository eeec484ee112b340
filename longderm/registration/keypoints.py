"""The cheap path: keypoints on the prepared channel, mutual nearest neighbours, robust similarity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.registration.local import local_normalise
from longderm.registration.similarity import Matrix, from_complex, scale_of, to_complex

#: ORB's features per photo: matching grows with the square.
_FEATURES = 1000

#: FAST's threshold on the normalised channel (grey levels): low, because the mask and not the contrast chooses.
_FAST_THRESHOLD = 6

#: Grey levels per unit of the normalised channel, about mid grey.
_GREY_PER_DEVIATION = 80.0

#: Keypoints are for structures, not for skin: only half of a contrast of this (optical density) is evened out.
_CONTRAST_FLOOR = 0.2

#: Radius of the local normalisation (work pixels) before keypoints are sought.
_NORMALISE_RADIUS_PX = 10

#: A match farther than this many of ORB's 256 bits is a coincidence: unrelated descriptors differ in 128 +- 8 or so
#: bits, but the best of a thousand comes down to about 80.
_MAX_BITS = 80

#: An inlier lies within this share of the follow-up's longer side from where the similarity puts it.
_INLIER_SHARE = 0.012

#: ... and its own angle differs at most this much from the similarity's.
_INLIER_ANGLE_RAD = 0.45

#: Pairs of matches drawn as hypotheses.
_HYPOTHESES = 1500

#: A similarity that fewer matches agree on is no candidate; two agree by construction.
MIN_INLIERS = 6


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Keypoints on the native grid: `points` float64 (N, 2), `angles` radians (N,), `descriptors` uint8 (N, 32)."""

    points: NDArray[np.float64]
    angles: NDArray[np.float64]
    descriptors: NDArray[np.uint8]


#: What a photo without texture has.
NO_KEYPOINTS = Keypoints(np.zeros((0, 2)), np.zeros(0), np.zeros((0, 32), np.uint8))


def detect(
    channel: NDArray[np.float32], weight: NDArray[np.float32], from_native: NDArray[np.float64], empty: bool = False
) -> Keypoints:
    """ORB keypoints (Rublee et al. 2011) of the normalised channel where `weight` is positive."""
    import cv2

    if empty or min(channel.shape) < 48:
        return NO_KEYPOINTS
    texture = local_normalise(channel, weight, _NORMALISE_RADIUS_PX, _CONTRAST_FLOOR)
    grey = np.clip(128.0 + _GREY_PER_DEVIATION * texture, 0.0, 255.0).astype(np.uint8)
    mask = (weight > 0).astype(np.uint8)
    orb = cv2.ORB.create(nfeatures=_FEATURES, fastThreshold=_FAST_THRESHOLD)
    found, descriptors = orb.detectAndCompute(grey, mask)
    if descriptors is None or len(found) == 0:
        return NO_KEYPOINTS
    points = np.array([keypoint.pt for keypoint in found], dtype=np.float64)
    angles = np.deg2rad(np.array([keypoint.angle for keypoint in found], dtype=np.float64))
    scale = np.array([from_native[0, 0], from_native[1, 1]])
    native = (points - from_native[:2, 2]) / scale
    return Keypoints(native, angles, np.asarray(descriptors, dtype=np.uint8))


@dataclass(frozen=True, eq=False)
class Matches:
    """Mutual nearest neighbours: places in baseline and follow-up (complex, native pixels) and the turn of each.

    tolerance: follow-up pixels within which a match agrees with a similarity.
    """

    baseline: NDArray[np.complex128]
    followup: NDArray[np.complex128]
    turn: NDArray[np.complex128]
    tolerance: float

    def agreeing(self, matrix: Matrix) -> NDArray[np.bool_]:
        """Which matches agree with a similarity in place and angle."""
        a, b = to_complex(matrix)
        near = np.abs(a * self.baseline + b - self.followup) < self.tolerance
        return np.asarray(near & _same_turn(a, self.turn))


def match(baseline: Keypoints, followup: Keypoints, followup_side_px: int) -> Matches:
    """The mutual nearest neighbours of two photos' keypoints; followup_side_px: its longer side."""
    import cv2

    tolerance = _INLIER_SHARE * followup_side_px
    matches = []
    if len(baseline.points) and len(followup.points):
        matcher = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)
        matches = [m for m in matcher.match(baseline.descriptors, followup.descriptors) if m.distance <= _MAX_BITS]
    first = np.array([m.queryIdx for m in matches], np.int64)
    second = np.array([m.trainIdx for m in matches], np.int64)
    complex_of = np.array([1.0, 1.0j])
    turn = np.exp(1j * (followup.angles[second] - baseline.angles[first]))
    return Matches(baseline.points[first] @ complex_of, followup.points[second] @ complex_of, turn, tolerance)


def fit(matches: Matches, log_scale: tuple[float, float]) -> Matrix | None:
    """The similarity that most matches agree on, or None.

    log_scale: lowest and highest natural logarithm of the scale that is possible.
    """
    z, w = matches.baseline, matches.followup
    if len(z) < MIN_INLIERS:
        return None
    best = _vote(z, w, matches.turn, matches.tolerance, log_scale)
    if best is None:
        return None
    matrix = from_complex(*best)
    for _ in range(4):
        inlier = matches.agreeing(matrix)
        if inlier.sum() < MIN_INLIERS:
            return None
        matrix = from_complex(*_least_squares(z[inlier], w[inlier]))
    if matches.agreeing(matrix).sum() < MIN_INLIERS or not log_scale[0] <= np.log(scale_of(matrix)) <= log_scale[1]:
        return None
    return matrix


def _same_turn(a: complex | NDArray[np.complex128], turn: NDArray[np.complex128]) -> NDArray[np.bool_]:
    return np.asarray((turn * np.conj(a) / np.abs(a)).real > np.cos(_INLIER_ANGLE_RAD))


def _vote(
    z: NDArray[np.complex128],
    w: NDArray[np.complex128],
    turn: NDArray[np.complex128],
    tolerance: float,
    log_scale: tuple[float, float],
) -> tuple[complex, complex] | None:
    """Hypotheses from pairs of matches (seeded draws), scored by how many matches agree in place and angle."""
    generator = np.random.default_rng(0)
    count = len(z)
    i = generator.integers(0, count, 8 * _HYPOTHESES)
    j = generator.integers(0, count, 8 * _HYPOTHESES)
    apart = np.abs(z[i] - z[j]) > 4.0 * tolerance
    i, j = i[apart], j[apart]
    a = (w[i] - w[j]) / (z[i] - z[j])
    size = np.log(np.maximum(np.abs(a), 1e-9))
    possible = (size >= log_scale[0] - 0.1) & (size <= log_scale[1] + 0.1)
    i, j, a = i[possible], j[possible], a[possible]
    unit = a / np.abs(a)
    limit = np.cos(_INLIER_ANGLE_RAD)
    agree = ((turn[i] * np.conj(unit)).real > limit) & ((turn[j] * np.conj(unit)).real > limit)
    i, a = i[agree][:_HYPOTHESES], a[agree][:_HYPOTHESES]
    if len(a) == 0:
        return None
    b = w[i] - a * z[i]
    near = np.abs(a[:, None] * z[None] + b[:, None] - w[None]) < tolerance
    near &= (turn[None] * np.conj(a / np.abs(a))[:, None]).real > limit
    best = int(np.argmax(near.sum(axis=1)))
    return complex(a[best]), complex(b[best])


def _least_squares(z: NDArray[np.complex128], w: NDArray[np.complex128]) -> tuple[complex, complex]:
    zc, wc = z - z.mean(), w - w.mean()
    a = complex((np.conj(zc) * wc).sum() / max(float((np.abs(zc) ** 2).sum()), 1e-12))
    return a, complex(w.mean() - a * z.mean())
