"""Crops of a pair: both show the same place, in the same light, whichever photo comes first."""

import numpy as np
import pytest
from drawn_lesions import lesion_pixels, rephotograph, similarity

from longderm.change.crops import CROP_MARGIN, UNSEEN_GREY, cut_crops, in_one_light


def test_both_crops_show_the_same_place():
    pixels, mask = lesion_pixels()
    matrix = similarity(1.2, 35.0, shift=(6.0, -4.0))
    moved, moved_mask = rephotograph(pixels, mask, matrix)
    crops = cut_crops((pixels, moved), (mask, moved_mask), matrix, 96)
    away = np.abs(crops.baseline.astype(int) - crops.followup)[crops.seen & (crops.baseline_lesion)]
    assert away.mean() < 4
    both = crops.baseline_lesion & crops.followup_lesion
    assert both.sum() > 0.95 * (crops.baseline_lesion | crops.followup_lesion).sum()


def test_the_box_holds_both_lesions_with_skin_around():
    pixels, mask = lesion_pixels()
    larger = lesion_pixels(radius=60.0)[1]
    crops = cut_crops((pixels, pixels), (mask, larger), np.eye(3), 120)
    y, x = np.nonzero(crops.followup_lesion)
    assert max(np.ptp(x), np.ptp(y)) + 1 == pytest.approx(120 / CROP_MARGIN, abs=2)
    corner = crops.matrix @ [59.5, 59.5, 1.0]
    y, x = np.nonzero(mask | larger)
    assert corner[:2] == pytest.approx([(x.min() + x.max()) / 2, (y.min() + y.max()) / 2], abs=0.6)


def test_without_any_lesion_there_is_nothing_to_cut():
    pixels, mask = lesion_pixels()
    nothing = np.zeros_like(mask)
    with pytest.raises(ValueError, match="lesion"):
        cut_crops((pixels, pixels), (nothing, nothing), np.eye(3))


def test_another_light_is_taken_out_and_a_darker_lesion_is_not():
    pixels, mask = lesion_pixels()
    warm, _ = lesion_pixels(gain=(1.15, 0.95, 0.8))
    darker, _ = lesion_pixels(density=1.6)
    lit, changed = (in_one_light(cut_crops((pixels, other), (mask, mask), np.eye(3), 96)) for other in (warm, darker))
    lesion = cut_crops((pixels, pixels), (mask, mask), np.eye(3), 96).baseline_lesion
    difference = [np.abs(a.astype(int) - b)[lesion].mean() for a, b in (lit, changed)]
    assert difference[0] < 8
    assert difference[1] > 2 * difference[0]


def test_the_order_of_the_photos_does_not_matter():
    pixels, mask = lesion_pixels()
    warm, _ = lesion_pixels(gain=(1.1, 1.0, 0.9))
    first, second = in_one_light(cut_crops((pixels, warm), (mask, mask), np.eye(3), 64))
    swapped = in_one_light(cut_crops((warm, pixels), (mask, mask), np.eye(3), 64))
    assert (first == swapped[1]).all() and (second == swapped[0]).all()


def test_what_one_photo_does_not_show_is_grey_in_both():
    pixels, mask = lesion_pixels()
    far = similarity(1.0, 0.0, shift=(-110.0, 0.0))
    crops = cut_crops((pixels, rephotograph(pixels, mask, far)[0]), (mask, mask), far, 64)
    for picture in in_one_light(crops):
        assert (picture[~crops.seen] == UNSEEN_GREY).all()
    assert 0 < crops.seen.mean() < 1
