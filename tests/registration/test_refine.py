"""Refinement: what is brought together, brought nearer, and what a worker's threads do meanwhile."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from longderm.registration.refine import bring_nearer, bring_together, correlation, refine, scale_error
from longderm.registration.similarity import Matrix, distance, from_parts, inverse
from longderm.threads import one_thread

from .scenes import pose_of, prepared

FIRST, SECOND = pose_of(), pose_of(1.1, 20.0, 6.0, -4.0)
TRUE = SECOND @ inverse(FIRST)
FREE = (-1.0, 1.0)


@pytest.fixture(scope="module")
def pair():
    return prepared(4, FIRST, 41), prepared(4, SECOND, 42)


def moved(matrix: Matrix, dx: float, rotation_deg: float) -> Matrix:
    """A little further on."""
    return from_parts(1.0, rotation_deg, complex(190, 140), complex(190 + dx, 140)) @ matrix


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_photo_brought_nearer_looks_as_if_brought_there_at_once(pair, level):
    first, second = (photo.levels[level] for photo in pair)
    near = moved(TRUE, 0.4 * 2**level, 0.05)
    at_once = bring_together(first, second, near)
    by_steps = bring_nearer(bring_together(first, second, TRUE), first, second, near)
    counted = (at_once.weight > 0) & (by_steps.weight > 0)
    apart = np.abs(at_once.followup - by_steps.followup)[counted]
    assert counted.mean() > 0.4
    assert np.quantile(apart, 0.95) < 0.1 * at_once.followup[counted].std()
    assert np.quantile(apart, 0.99) < 0.2 * at_once.followup[counted].std()


def test_the_true_transform_agrees_better_than_one_beside_it(pair):
    first, second = (photo.levels[0] for photo in pair)
    right, _ = correlation(bring_together(first, second, TRUE))
    beside, _ = correlation(bring_together(first, second, moved(TRUE, 4.0, 0.0)))
    assert right > 0.8
    assert beside < right - 0.2


@pytest.mark.parametrize("level", [0, 1])
def test_refinement_comes_back_from_some_pixels_beside(pair, level):
    start = moved(TRUE, 2.0 * 2**level, 0.5)
    found = refine(*pair, start, level, iterations=12, log_scale=FREE)
    assert distance(found, TRUE, complex(190, 140), 75.0) < 0.1 * distance(start, TRUE, complex(190, 140), 75.0)


def test_the_scale_stays_within_its_bounds(pair):
    bounds = float(np.log(1.02)), float(np.log(1.05))
    found = refine(*pair, moved(TRUE, 1.0, 0.0), 1, iterations=8, log_scale=bounds)
    assert np.log(abs(complex(found[0, 0], found[1, 0]))) == pytest.approx(bounds[1], abs=1e-6)


def test_the_error_of_the_scale_is_about_how_far_fits_of_other_photos_scatter():
    """Five follow-ups of one pose with their own noise: the stated error is of the size of their spread."""
    first = prepared(4, FIRST, 41)
    scales, stated = [], []
    for noise in range(50, 55):
        second = prepared(4, SECOND, noise)
        found = refine(first, second, TRUE, 1, iterations=8, log_scale=FREE)
        scales.append(np.log(abs(complex(found[0, 0], found[1, 0]))))
        stated.append(scale_error(bring_together(first.levels[1], second.levels[1], found)))
    assert 0.2 * np.std(scales, ddof=1) < np.median(stated) < 8.0 * np.std(scales, ddof=1)
    assert np.abs(np.array(scales) - np.log(1.1)).max() < 5.0 * np.median(stated)


def test_one_thread_holds_for_every_library_and_is_undone():
    import cv2
    import torch

    cv2.setNumThreads(2)
    torch.set_num_threads(2)
    before = [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]
    with one_thread():
        assert (cv2.getNumThreads(), torch.get_num_threads()) == (1, 1)
        assert {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"} == {1}
    assert (cv2.getNumThreads(), torch.get_num_threads()) == (2, 2)
    assert [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"] == before
