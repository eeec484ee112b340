"""The range that a release was calibrated on: who lies outside, by which level, and how often by chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longderm.change.familiar import LEVELS, PAIRS_MIN, distance_of, fit_range, levels_of
from longderm.imaging import measure, segment
from longderm.photo import Photo

NAMES = sorted(LEVELS)


def photos(count, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return [{name: 50.0 + 4.0 * rng.normal() + shift for name in NAMES} for _ in range(count)]


def pairs(count, seed, shift=0.0):
    both = photos(2 * count, seed, shift)
    return [both[2 * i : 2 * i + 2] for i in range(count)]


def farthest(pair, block):
    return max(distance_of(levels, block["levels"])[0] for levels in pair)


def test_new_pairs_like_those_of_the_calibration_are_seldom_unusual_and_hardly_ever_far():
    block = fit_range(photos(200, 0), pairs(300, 1), [40, 90, 400])
    new = np.array([farthest(pair, block) for pair in pairs(5000, 2)])
    assert block["pairs"] == 300 and block["interval_days"] == [40, 400]
    assert 0.001 < np.mean(new > block["unusual"]) < 0.03
    assert np.mean(new > block["far"]) < 0.01 and block["far"] >= block["unusual"]


def test_photos_of_another_kind_lie_far_out_and_it_is_said_by_which_level():
    block = fit_range(photos(200, 0), pairs(300, 1), [])
    assert np.mean([farthest(pair, block) > block["far"] for pair in pairs(200, 3, shift=40.0)]) == 1.0
    dark = photos(1, 4)[0] | {"tbp_lv_Lext": 5.0}
    distance, level = distance_of(dark, block["levels"])
    assert level == "tbp_lv_Lext" and distance > block["far"]
    assert block["interval_days"] is None


def test_too_few_pairs_or_photos_without_levels_state_no_range():
    assert fit_range(photos(200, 0), pairs(PAIRS_MIN - 1, 1), []) is None
    assert fit_range(photos(3, 0), pairs(300, 1), []) is None
    assert fit_range(photos(200, 0), [[{}, {}]] * 300, []) is None


@given(st.dictionaries(st.sampled_from(NAMES), st.floats(-200, 200)), st.randoms())
def test_a_photo_lies_as_far_out_as_its_farthest_level_in_whatever_order_they_come(levels, random):
    spreads = {name: {"median": 10.0, "spread": 2.0} for name in NAMES[:5]}
    shuffled = list(levels.items())
    random.shuffle(shuffled)
    found = distance_of(levels, spreads)
    assert found == distance_of(dict(shuffled), spreads)
    known = {name: abs(value - 10.0) / 2.0 for name, value in levels.items() if name in spreads}
    if not known:
        assert found is None
    else:
        assert found[0] == pytest.approx(max(known.values()), abs=1e-4)
        assert known[found[1]] == pytest.approx(found[0], abs=1e-4)


def test_a_photo_has_every_level_where_lesion_and_skin_are_seen_and_none_without_a_lesion():
    y, x = np.mgrid[:240, :320]
    pixels = np.full((240, 320, 3), (225, 180, 160), np.uint8)
    pixels[(x - 160) ** 2 + (y - 120) ** 2 < 60**2] = (110, 70, 50)
    pixels = np.clip(pixels + np.random.default_rng(0).normal(0, 2, pixels.shape), 0, 255).astype(np.uint8)
    photo = Photo.from_array(pixels)
    found = levels_of(measure(photo, segment(photo)))
    assert sorted(found) == NAMES and found["tbp_lv_deltaL"] < -10 < 50 < found["tbp_lv_Lext"]
    bare = Photo.from_array(np.full((240, 320, 3), 200, np.uint8))
    assert levels_of(measure(bare, segment(bare))) == {}
