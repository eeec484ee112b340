"""The exhaustive search finds a pose from nothing."""

from __future__ import annotations

import numpy as np
import pytest

from longderm.registration import coarse
from longderm.registration.similarity import apply, distance, inverse

from .scenes import pose_of, prepared


@pytest.mark.parametrize(
    ("scale", "rotation", "dx", "dy"),
    [(1.0, 0.0, 0.0, 0.0), (1.0, 181.0, 60.0, -40.0), (0.8, -75.0, -50.0, 30.0), (1.3, 118.0, 20.0, 45.0)],
)
def test_the_best_candidate_lies_within_a_mesh_of_the_truth(scale, rotation, dx, dy):
    first, second = pose_of(), pose_of(scale, rotation, dx, dy)
    found = coarse.search(prepared(6, first, 61), prepared(6, second, 62), [scale / 1.05, scale * 1.05], keep=4)
    search_px = 384 / coarse.SEARCH_SIDE_PX
    off = distance(found[0].matrix, second @ inverse(first), complex(191.5, 143.5), 75.0)
    assert off < 2.5 * search_px * max(1.0, scale)
    assert found[0].score > 1.3 * found[1].score


def test_candidates_differ_from_each_other_and_come_best_first():
    found = coarse.search(prepared(6, pose_of(), 61), prepared(7, pose_of(), 71), [1.0], keep=6)
    scores = [candidate.score for candidate in found]
    assert scores == sorted(scores, reverse=True)
    for index, one in enumerate(found):
        for other in found[:index]:
            turn = np.angle(complex(*one.matrix[:2, 0]) / complex(*other.matrix[:2, 0]), deg=True)
            shift = distance(one.matrix, other.matrix, complex(191.5, 143.5), 0.0)
            assert abs(turn) > 10.0 or shift > 10.0


def test_candidates_overlap_by_at_least_the_least_share():
    """The true shift leaves a tenth in common: what is found instead shares more than that."""
    first, second = pose_of(), pose_of(1.0, 0.0, 345.0, 0.0)
    y, x = np.mgrid[0:288:4, 0:384:4].reshape(2, -1).astype(float)
    for candidate in coarse.search(prepared(6, first, 61), prepared(6, second, 62), [1.0], keep=6):
        lands = apply(candidate.matrix, np.stack([x, y], axis=-1))
        inside = ((lands >= 0) & (lands <= [383, 287])).all(axis=1)
        assert inside.mean() > 0.8 * coarse.MIN_OVERLAP
