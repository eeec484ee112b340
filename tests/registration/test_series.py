"""Three visits and more get transforms that agree with each other."""

from __future__ import annotations

import numpy as np
import pytest

from longderm.registration import align, align_series
from longderm.registration.similarity import distance, inverse

from .scenes import SHAPE, pose_of, prepared

CENTRE = complex((SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2)


@pytest.fixture(scope="module")
def poses():
    return [pose_of(), pose_of(1.1, 20.0, 5.0, 8.0), pose_of(0.9, -60.0, -10.0, 4.0), pose_of(1.2, 100.0, 6.0, -6.0)]


@pytest.fixture(scope="module")
def visits(poses):
    return [prepared(4, pose, 40 + index) for index, pose in enumerate(poses)]


def test_every_visit_gets_the_true_transform_from_the_reference(visits, poses):
    for reference in (0, 2):
        series = align_series(visits, reference)
        assert np.array_equal(series.matrices[reference], np.eye(3))
        for pose, matrix in zip(poses, series.matrices, strict=True):
            assert distance(matrix, pose @ inverse(poses[reference]), CENTRE, 75.0) < 0.25
        assert series.contradiction < 0.005 and not series.left_out


def test_no_alignment_is_further_from_the_averages_than_the_contradiction_says(visits):
    series = align_series(visits)
    for (earlier, later), found in series.alignments.items():
        along = found.matrix @ series.matrices[earlier]
        assert distance(along, series.matrices[later], CENTRE, 75.0) <= series.contradiction * 150.0 * 1.5


def test_a_visit_without_a_direct_match_is_reached_through_another(visits, poses, monkeypatch):
    import longderm.registration.series as room

    def not_directly(first, second):
        found = align(first, second)
        if {id(first), id(second)} == {id(visits[0]), id(visits[3])}:
            return type(found)(**{**vars(found), "accepted": False, "reason": "too far apart"})
        return found

    monkeypatch.setattr(room, "align", not_directly)
    series = align_series(visits)
    assert len(series.through[3]) == 3 and series.through[3][0] == 0
    assert distance(series.matrices[3], poses[3] @ inverse(poses[0]), CENTRE, 75.0) < 0.4


def test_an_alignment_that_contradicts_the_others_takes_no_part(visits, poses, monkeypatch):
    import longderm.registration.series as room

    def wrong_once(first, second):
        found = align(first, second)
        if first is visits[1] and second is visits[3]:
            return type(found)(**{**vars(found), "matrix": pose_of(1.3, 10.0, 30.0, 0.0), "confidence": 0.55})
        return found

    monkeypatch.setattr(room, "align", wrong_once)
    series = align_series(visits)
    assert series.left_out == ((1, 3),)
    for pose, matrix in zip(poses, series.matrices, strict=True):
        assert distance(matrix, pose @ inverse(poses[0]), CENTRE, 75.0) < 0.25


def test_a_visit_of_another_lesion_is_not_reached(visits):
    series = align_series([*visits[:2], prepared(9, pose_of(), 99)])
    assert series.matrices[2] is None and series.through[2] == ()
    assert series.matrices[1] is not None


def test_a_series_without_that_reference_is_an_error(visits):
    with pytest.raises(ValueError, match="reference"):
        align_series(visits, 7)


def test_one_photo_is_a_series():
    series = align_series([prepared(4, pose_of(), 1)])
    assert np.array_equal(series.matrices[0], np.eye(3)) and series.contradiction == 0.0
