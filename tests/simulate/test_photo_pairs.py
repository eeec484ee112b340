"""Training pairs over photos: the truth that comes with them is true, and one seed makes one pair."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "imaging"))
from painted_lesions import paint

from longderm.registration.warp import warp_to_baseline
from longderm.simulate.photo_changes import KINDS, REASONS, paint_change
from longderm.simulate.photo_pairs import CANVAS_PX, cut_canvas, draw_photo_pair


@pytest.fixture(scope="module")
def canvas():
    pixels, mask = paint((240, 320), (120, 160), 50, 30.0, seed=4)
    network = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 1, mask.shape), (0, 0), 2) * 90 * mask
    return cut_canvas(np.clip(pixels + network[..., None], 0, 255).astype(np.uint8), mask)


def test_the_canvas_shows_the_whole_lesion_in_the_middle(canvas):
    pixels, mask = canvas
    assert pixels.shape == (CANVAS_PX, CANVAS_PX, 3)
    y, x = np.nonzero(mask)
    assert abs(np.median(x) - CANVAS_PX / 2) < 20 and abs(np.median(y) - CANVAS_PX / 2) < 20
    assert not mask[0].any() and not mask[:, 0].any()
    assert 0.1 < mask.mean() < 0.35


def test_one_seed_makes_one_pair_and_another_seed_another(canvas):
    first, again, other = (draw_photo_pair(*canvas, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert (first.baseline == again.baseline).all() and (first.followup == again.followup).all()
    assert first.kind == again.kind and first.interval_days == again.interval_days
    assert not (first.followup == other.followup).all()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_change_is_as_large_as_it_was_asked_to_be_and_lies_where_it_is_said_to(canvas, kind):
    pixels, mask = canvas
    low, high = KINDS[kind]
    size = (low * high) ** 0.5
    painted = paint_change(pixels, mask, kind, size, np.random.default_rng(3))
    assert painted.size == pytest.approx(size, rel=0.25)
    changed = np.abs(painted.pixels.astype(int) - pixels).sum(axis=2)
    assert changed[painted.where].mean() > 3 * max(1.0, changed[~painted.where].mean())
    assert painted.where.any() and kind in REASONS
    if kind == "growth":
        assert (painted.mask & ~mask == painted.where).all()
        assert (painted.mask | mask == painted.mask).all()


def test_nothing_changes_in_a_stable_pair_and_its_matrix_takes_one_lesion_to_the_other(canvas):
    for seed in range(4):
        pair = draw_photo_pair(*canvas, np.random.default_rng(seed), kind="")
        assert not pair.changed and not pair.where.any() and pair.size == 0
        as_pixels = np.repeat(pair.followup_mask[..., None].astype(np.uint8) * 255, 3, axis=2)
        brought = warp_to_baseline(as_pixels, pair.matrix, pair.baseline_mask.shape)[0][..., 0] > 127
        both = 2 * (brought & pair.baseline_mask).sum() / (brought.sum() + pair.baseline_mask.sum())
        assert both > 0.95
        assert not np.array_equal(pair.baseline, pair.followup)


def test_half_of_the_pairs_change_and_the_interval_does_not_tell_which(canvas):
    pairs = [draw_photo_pair(*canvas, np.random.default_rng([1, n]), frame=(64, 64)) for n in range(120)]
    changed = np.array([pair.changed for pair in pairs])
    days = np.array([pair.interval_days for pair in pairs])
    assert 0.35 < changed.mean() < 0.65
    assert abs(np.log(np.median(days[changed]) / np.median(days[~changed]))) < 0.5
    assert any(pair.size < 0 for pair in pairs), "some are turned round in time"


def test_a_change_that_nobody_could_see_is_not_called_one():
    pixels, mask = paint((240, 320), (120, 160), 50, 30.0, seed=4, noise=0.5)
    canvas = cut_canvas(cv2.GaussianBlur(pixels, (0, 0), 3), mask)
    kinds = {draw_photo_pair(*canvas, np.random.default_rng([2, n]), frame=(64, 64)).kind for n in range(60)}
    assert "structure" not in kinds, "there is none to be lost"
    assert {"growth", "blotch", "colour"} <= kinds


def test_a_photo_without_a_lesion_is_refused():
    empty = np.zeros((64, 64), bool)
    with pytest.raises(ValueError, match="lesion"):
        cut_canvas(np.zeros((64, 64, 3), np.uint8), empty)
    with pytest.raises(ValueError, match="lesion"):
        draw_photo_pair(np.zeros((64, 64, 3), np.uint8), empty, np.random.default_rng(0), kind="")
