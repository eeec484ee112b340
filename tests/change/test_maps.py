"""What differs between two aligned photos, told apart from how they were taken."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_lesions import SIDE, lesion_photo, lesion_pixels, rephotograph, similarity

from longderm.change.common_view import build_common_view
from longderm.change.maps import compare_maps, heat_map
from longderm.change.picture import SHOWN, draw_heatmap
from longderm.change.result import LAB
from longderm.photo import Photo

STILL = np.eye(3)


@pytest.fixture(scope="module")
def baseline():
    return lesion_photo()


def compared(baseline, followup, matrix=STILL):
    view = build_common_view(baseline[0], followup[0], matrix, (baseline[1], followup[1]))
    return view, compare_maps(view)


def colour_shift(maps):
    first, second = (np.array(values) for values in maps.colour)
    return second - first


def test_a_photo_does_not_differ_from_itself(baseline):
    _, maps = compared(baseline, baseline)
    assert np.allclose(colour_shift(maps), 0)
    assert maps.colour_local == maps.colour_border == maps.border_asymmetry == 0
    assert maps.structure_pattern == pytest.approx(0, abs=1e-9) and maps.structure_energy == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("gain", [(0.7, 0.62, 0.55), (1.1, 1.0, 0.85), (0.85, 0.85, 0.85)])
def test_tanning_light_and_white_balance_are_no_change(baseline, gain):
    _, maps = compared(baseline, lesion_photo(gain=gain))
    assert np.abs(colour_shift(maps)).max() < 0.5
    assert maps.colour_local < 0.6 and maps.structure_pattern < 0.02 and abs(maps.structure_energy) < 0.1


def test_a_lesion_that_darkens_while_its_skin_does_not_has_changed(baseline):
    darker = colour_shift(compared(baseline, lesion_photo(density=1.3))[1])
    paler = colour_shift(compared(baseline, lesion_photo(density=0.75))[1])
    assert darker[0] < -2 and paler[0] > 2


def test_a_new_blotch_is_a_local_change_of_colour_and_hardly_one_of_the_whole(baseline):
    _, maps = compared(baseline, lesion_photo(blotch=0.8))
    assert maps.colour_local > 3
    assert maps.border_asymmetry < 0.02


def test_lost_structure_lowers_its_energy_and_keeps_its_place_in_the_pattern(baseline):
    _, maps = compared(baseline, lesion_photo(structure=0.3))
    assert maps.structure_energy < -0.5
    _, other = compared(baseline, lesion_photo(seed=9))
    assert other.structure_pattern > 0.5 > maps.structure_pattern


def test_growth_on_one_side_moves_the_border_unevenly_and_growth_all_round_does_not(baseline):
    one_sided = compared(baseline, lesion_photo(bulge=0.3))[1].border_asymmetry
    all_round = compared(baseline, lesion_photo(radius=50.0))[1].border_asymmetry
    assert one_sided > 0.05 > 2 * all_round


def test_another_pose_is_no_change(baseline):
    pixels, mask = lesion_pixels()
    pose = similarity(1.25, 35, shift=(9, -6))
    moved, seen = rephotograph(pixels, mask, pose)
    _, maps = compared(baseline, (Photo.from_array(moved), seen), pose)
    assert np.abs(colour_shift(maps)).max() < 0.3
    assert maps.colour_local < 0.8 and maps.structure_pattern < 0.05 and maps.border_asymmetry < 0.02


def test_the_comparison_hardly_depends_on_the_resolution_of_the_photos():
    import cv2

    def enlarged(photo, mask, factor=4):
        big = cv2.resize(photo.pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        return Photo.from_array(big), cv2.resize(mask.astype(np.uint8), None, fx=factor, fy=factor) > 0

    small = [lesion_photo(), lesion_photo(blotch=0.8)]
    large = [enlarged(*pair) for pair in small]
    one, four = compared(*small)[1], compared(*large)[1]
    assert four.colour_local == pytest.approx(one.colour_local, rel=0.25)
    assert four.colour[1] == pytest.approx(one.colour[1], abs=0.6)


def test_without_skin_around_the_lesion_no_colour_is_compared():
    filled = lesion_photo(radius=400.0)
    view, maps = compared(filled, filled)
    assert not view.skin_known
    assert maps.colour is None and maps.colour_local is None and maps.colour_border is None
    assert np.isnan(heat_map(view, SIDE)).all()


def test_the_heat_map_is_hottest_where_something_changed(baseline):
    view, _ = compared(baseline, lesion_photo(blotch=0.8))
    heat = heat_map(view, SIDE)
    y, x = np.unravel_index(np.nanargmax(heat), heat.shape)
    assert heat.shape == SIDE and heat.dtype == np.float32
    assert np.hypot(x - (160 + 12), y - (120 - 8)) < 8
    assert np.nanmedian(heat) < 1


def test_the_heat_map_says_nothing_where_only_one_photo_looks(baseline):
    pixels, mask = lesion_pixels()
    pose = similarity(1.0, 0, shift=(60, 0))  # the baseline's right edge has left the follow-up
    moved, seen = rephotograph(pixels, mask, pose)
    heat = heat_map(compared(baseline, (Photo.from_array(moved), seen), pose)[0], SIDE)
    assert np.isnan(heat[:, 265:]).all() and np.isfinite(heat[:, 40:250]).all()


def test_the_same_pair_gives_the_same_result_to_the_last_bit_on_one_thread_and_on_four(baseline):
    import cv2

    followup = lesion_photo(blotch=0.5, gain=(0.9, 0.9, 0.8))
    before, results = cv2.getNumThreads(), []
    for threads in (1, 4):
        cv2.setNumThreads(threads)
        view, maps = compared(baseline, followup)
        results.append((heat_map(view, SIDE).tobytes(), maps))
    cv2.setNumThreads(before)
    assert results[0] == results[1]


def test_the_drawing_leaves_small_differences_alone_dims_the_unseen_and_marks_the_rest():
    preview = np.full((40, 60, 3), 120, np.uint8)
    heat = np.full((80, 120), SHOWN[LAB][0] - 0.5, np.float32)
    heat[20:40, 20:40] = 15
    heat[:, 100:] = np.nan
    drawn = draw_heatmap(heat, preview)
    assert drawn.shape == preview.shape and drawn.dtype == np.uint8
    assert (drawn[30:, 2:48] == 120).all()
    assert (drawn[:, 52:] < 80).all()
    assert np.abs(drawn[14, 14].astype(int) - 120).max() > 40
