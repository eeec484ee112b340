"""Distortions worsen level by level, leave the original alone and say which part of it they show."""

from itertools import pairwise

import numpy as np
import pytest

from longderm.simulate.close_up import draw_close_up
from longderm.simulate.distortions import CUT, DISTORTIONS, LEVELS, distort

SCENE = draw_close_up(4, 2, bare=True)
PIXELS, MASK = SCENE.pixels, SCENE.mask


def distorted(name, level, seed=3):
    return distort(name, level, PIXELS, MASK, np.random.default_rng(seed))


def lost(name, level):
    """Share of what the photo showed that is not there any more: mean difference on the original grid."""
    import cv2

    copy = distorted(name, level)
    shown = np.zeros_like(PIXELS)
    frame = shown[copy.frame]
    shown[copy.frame] = cv2.resize(copy.pixels, (frame.shape[1], frame.shape[0]), interpolation=cv2.INTER_NEAREST)
    return float(np.abs(shown.astype(float) - PIXELS).mean())


def test_there_are_nine():
    assert len(set(DISTORTIONS)) == 9


@pytest.mark.parametrize("name", DISTORTIONS)
def test_every_level_takes_more_away(name):
    losses = [lost(name, level) for level in range(1, LEVELS + 1)]
    assert losses[0] > 0
    assert all(more > less for less, more in pairwise(losses))


@pytest.mark.parametrize("name", DISTORTIONS)
def test_the_same_generator_gives_the_same_copy(name):
    assert np.array_equal(distorted(name, 3).pixels, distorted(name, 3).pixels)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_the_original_stays_as_it_is(name):
    before = PIXELS.copy()
    copy = distorted(name, 5).pixels
    assert copy.dtype == np.uint8 and copy.flags.c_contiguous
    assert np.array_equal(PIXELS, before)


@pytest.mark.parametrize("seed", range(4))
def test_a_cut_copy_shows_its_frame_of_the_original(seed):
    copy = distorted(CUT, 3, seed)
    assert np.array_equal(copy.pixels, PIXELS[copy.frame])
    left = MASK[copy.frame].sum() / MASK.sum()
    assert 0.6 < left < 0.75


def test_only_a_cut_changes_the_frame():
    for name in DISTORTIONS:
        whole = distorted(name, 4).frame == (slice(0, PIXELS.shape[0]), slice(0, PIXELS.shape[1]))
        assert whole == (name != CUT)


@pytest.mark.parametrize("level", [0, 6])
def test_there_are_five_levels(level):
    with pytest.raises(ValueError, match="1 to 5"):
        distorted("blur", level)
