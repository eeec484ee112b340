"""The border's movement counts as far as the images confirm it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_lesions import lesion_photo

from longderm.change.border import border_asymmetry, confirmed_lesion
from longderm.change.common_view import build_common_view
from longderm.change.maps import compare_maps

STILL = np.eye(3)


def widened(mask, by_px):
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by_px + 1, 2 * by_px + 1))
    return cv2.dilate(mask.astype(np.uint8), disc) > 0


def test_two_masks_of_one_photo_that_differ_are_no_growth():
    photo, mask = lesion_photo()
    view = build_common_view(photo, photo, STILL, (mask, widened(mask, 5)))
    assert view.followup_lesion.sum() > 1.2 * view.baseline_lesion.sum()
    assert compare_maps(view).area_confirmed == pytest.approx(0, abs=0.01)
    one_sided = mask.copy()
    one_sided[:, 160:] = widened(mask, 8)[:, 160:]
    view = build_common_view(photo, photo, STILL, (mask, one_sided))
    assert border_asymmetry(view, view.followup_lesion.astype(np.float32)) > 0.05
    assert compare_maps(view).border_asymmetry < 0.005


@pytest.mark.parametrize(("radius", "growth"), [(48.0, 0.138), (54.0, 0.44), (41.0, -0.17)])
def test_growth_and_shrinking_that_the_images_show_are_confirmed(radius, growth):
    baseline, followup = lesion_photo(), lesion_photo(radius=radius, gain=(0.85, 0.8, 0.75))
    view = build_common_view(baseline[0], followup[0], STILL, (baseline[1], followup[1]))
    assert np.expm1(compare_maps(view).area_confirmed) == pytest.approx(growth, abs=0.3 * abs(growth))


def test_growth_that_the_masks_missed_is_not_invented():
    baseline, followup = lesion_photo(), lesion_photo(radius=52.0)
    view = build_common_view(baseline[0], followup[0], STILL, (baseline[1], baseline[1]))
    assert compare_maps(view).area_confirmed == 0


def test_nothing_is_confirmed_where_the_lesion_hardly_differs_from_its_skin():
    photo, mask = lesion_photo(density=0.05)
    view = build_common_view(photo, photo, STILL, (mask, mask))
    assert confirmed_lesion(view) is None
    maps = compare_maps(view)
    assert maps.area_confirmed is None and maps.border_asymmetry is None
