"""Artefacts: hair, glare and dark corners are found where they are, and not on a plain lesion."""

import numpy as np
import pytest
from painted_lesions import draw_dark_corners, draw_hairs, paint, paint_skin

from longderm.imaging import field_of_view, glare_mask, hair_mask
from longderm.imaging.artefacts import find_artefacts
from longderm.imaging.grid import reduce_pixels
from longderm.photo import Photo


def test_hairs_are_found_where_they_lie():
    pixels, hairs = draw_hairs(paint()[0])
    found = hair_mask(Photo.from_array(pixels))
    assert found[hairs].mean() > 0.8
    assert found[~hairs].mean() < 0.06


def test_a_lesion_without_hair_has_no_hair():
    assert hair_mask(Photo.from_array(paint()[0])).mean() < 0.002


def test_round_dots_are_no_hair():
    pixels = paint_skin()
    rows, columns = np.mgrid[:480, :640]
    pixels[(rows % 24 - 12) ** 2 + (columns % 24 - 12) ** 2 < 12] = (70, 50, 40)
    assert hair_mask(Photo.from_array(pixels)).mean() < 0.01


def test_where_a_hair_is_half_a_pixel_wide_none_is_claimed():
    """Lines as thin as that are skin and lesion as often as hair, and leaving them out would move every colour."""
    pixels = reduce_pixels(draw_hairs(paint()[0])[0], (72, 96))
    assert not hair_mask(Photo.from_array(pixels)).any()


@pytest.mark.parametrize(("width", "is_hair"), [(2, True), (3, True), (8, False), (10, False)])
def test_a_short_hair_is_thin_and_a_wide_streak_of_a_lesion_is_none(width, is_hair):
    pixels = paint_skin()
    streak = np.zeros(pixels.shape[:2], np.bool_)
    streak[200 : 200 + width, 200:265] = True
    pixels[streak] = (60, 40, 32)
    assert hair_mask(Photo.from_array(pixels))[streak].any() == is_hair


def test_the_rim_of_a_dark_corner_is_no_hair():
    pixels, _ = draw_dark_corners(paint()[0])
    assert not find_artefacts(pixels).hair.any()


def test_black_corners_lie_outside_of_the_field_of_view():
    pixels, outside = draw_dark_corners(paint()[0])
    view = field_of_view(Photo.from_array(pixels))
    assert not view[outside].any()
    assert view[~outside].mean() > 0.9


def test_a_black_border_lies_outside_of_the_field_of_view():
    pixels = paint()[0]
    pixels[:, :60] = 0
    view = field_of_view(Photo.from_array(pixels))
    assert not view[:, :60].any()
    assert view[:, 80:].all()


def test_a_dark_lesion_that_runs_into_a_dark_corner_stays_in_view():
    pixels, outside = draw_dark_corners(paint()[0], 0.5)
    rows, columns = np.mgrid[:480, :640]
    lesion = np.hypot(columns - 500, rows - 120) < 70
    pixels[lesion & ~outside] = (20, 14, 12)
    view = field_of_view(Photo.from_array(pixels))
    assert view[lesion & ~outside].mean() > 0.75


def test_without_dark_corners_everything_is_in_view():
    assert field_of_view(Photo.from_array(paint()[0])).all()


def test_a_lesion_in_the_corner_of_the_photo_is_no_dark_corner():
    pixels, mask = paint(centre=(20.0, 20.0), radius=150.0)
    assert field_of_view(Photo.from_array(pixels))[mask].all()


def test_glare_is_found_where_it_is_and_pale_skin_is_not_glare():
    pixels = paint(skin=np.array([240.0, 226.0, 220.0]))[0]
    clean = glare_mask(Photo.from_array(pixels))
    pixels[100:112, 300:316] = 255
    found = glare_mask(Photo.from_array(pixels))
    assert clean.mean() < 0.001
    assert found[102:110, 302:314].all()
    assert found.mean() < 0.01


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (64, 48), (1200, 1600)])
def test_masks_are_on_the_native_grid(shape):
    photo = Photo.from_array(paint_skin(shape))
    for mask in (hair_mask(photo), glare_mask(photo), field_of_view(photo)):
        assert mask.shape == shape
        assert mask.dtype == bool


def test_what_is_found_once_for_all_is_what_each_mask_says():
    pixels = draw_dark_corners(draw_hairs(paint()[0])[0], 0.5)[0]
    pixels[200:206, 300:306] = 255
    photo, found = Photo.from_array(pixels), find_artefacts(pixels)
    masks = (hair_mask(photo), glare_mask(photo), field_of_view(photo))
    for small, native in zip((found.hair, found.glare, found.inside), masks, strict=True):
        assert small.shape[1] <= 512
        assert small.mean() == pytest.approx(native.mean(), abs=0.01)
        assert 0 < small.mean() < 1
