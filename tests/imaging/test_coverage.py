"""What covers a photo is told apart and counted; crops and painted-over hair are for show."""

from __future__ import annotations

import numpy as np
import pytest
from painted_lesions import draw_dark_corners, draw_hairs, paint

from longderm.imaging.coverage import Coverage, assess_coverage, crop_dark_corners, paint_over_hair
from longderm.photo import Photo

PIXELS, MASK = paint()


def coverage(pixels):
    return assess_coverage(Photo.from_array(np.ascontiguousarray(pixels)))


def changed(where, colour):
    pixels = PIXELS.copy()
    pixels[where] = colour
    return pixels


def others(found: Coverage, *names):
    return max(value for name, value in vars(found).items() if name not in names)


def test_a_bare_photo_is_not_covered():
    assert others(coverage(PIXELS)) < 0.003


def test_a_black_bar_is_a_border_and_no_corner():
    found = coverage(changed(np.s_[:60], (4, 3, 3)))
    assert found.black_border == pytest.approx(60 / 480, abs=0.01)
    # The margin that is left out beside it counts as corner.
    assert found.dark_corners < 0.06


def test_an_eyepiece_makes_corners_and_no_border():
    pixels, dark = draw_dark_corners(PIXELS, 0.5)
    found = coverage(pixels)
    assert found.dark_corners == pytest.approx(dark.mean(), abs=0.09)
    assert found.black_border == 0


def test_violet_strokes_are_ink():
    found = coverage(changed(np.s_[30:60, 100:300], (104, 72, 158)))
    assert found.ink == pytest.approx(30 * 200 / (480 * 640), rel=0.2)
    assert found.sticker == 0


def test_a_saturated_disc_is_a_sticker():
    rows, columns = np.mgrid[:480, :640]
    disc = np.hypot(columns - 90, rows - 400) < 50
    for colour in ((255, 140, 10), (30, 160, 60)):
        found = coverage(changed(disc, colour))
        assert found.sticker == pytest.approx(disc.mean(), rel=0.15)
        assert found.ink == 0


def test_hair_is_hair_and_can_be_painted_over():
    pixels, where = draw_hairs(PIXELS, 8)
    assert coverage(pixels).hair > 0.5 * where.mean()
    shown = paint_over_hair(Photo.from_array(pixels)).astype(int)
    before = np.abs(pixels.astype(int) - PIXELS)[where].mean()
    assert np.abs(shown - PIXELS)[where].mean() < 0.3 * before
    assert (shown[:5, :5] == pixels[:5, :5]).all()


def test_a_ruler_covers_its_strip():
    pixels = PIXELS.copy()
    for number in range(12):
        pixels[20 : 48 if number % 5 == 0 else 34, 60 + 30 * number : 62 + 30 * number] = 30
    assert coverage(pixels).ruler == pytest.approx(12 * 30 * 28 / (480 * 640), rel=0.3)


def test_the_crop_holds_no_dark_corner_and_most_of_the_view():
    pixels, dark = draw_dark_corners(PIXELS, 0.5)
    crop = crop_dark_corners(Photo.from_array(pixels))
    assert not dark[crop].any()
    assert pixels[crop].size > 0.35 * pixels.size
    assert crop_dark_corners(Photo.from_array(PIXELS)) == np.s_[0:480, 0:640]


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (37, 5), (90, 120)])
def test_any_photo_has_shares(shape):
    noise = np.random.default_rng(2).integers(0, 256, (*shape, 3)).astype(np.uint8)
    for pixels in (noise, np.zeros_like(noise), np.full_like(noise, 255)):
        photo = Photo.from_array(pixels)
        assert all(0 <= value <= 1 for value in vars(assess_coverage(photo)).values())
        assert paint_over_hair(photo).shape == pixels.shape
        assert pixels[crop_dark_corners(photo)].size > 0
