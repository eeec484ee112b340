"""Previews: area averages at a known scale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from painted_lesions import paint

from longderm.imaging import preview
from longderm.imaging.grid import enlarge_mask, enlarge_part
from longderm.photo import Photo


def test_a_preview_has_the_asked_size_and_says_its_scale():
    pixels, scale = preview(Photo.from_array(paint((600, 800))[0]), 200)
    assert pixels.shape == (150, 200, 3)
    assert scale == 0.25


def test_a_preview_is_the_mean_of_what_it_covers():
    full = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    pixels, _ = preview(Photo.from_array(full), 100)
    expected = full.reshape(100, 4, 100, 4, 3).mean(axis=(1, 3))
    assert np.abs(pixels - expected).max() <= 1


def test_a_small_photo_is_copied_and_not_enlarged():
    full = paint((60, 90), (45, 30), 12)[0]
    pixels, scale = preview(Photo.from_array(full), 480)
    assert scale == 1.0
    np.testing.assert_array_equal(pixels, full)
    assert pixels is not full


def test_no_preview_of_no_size():
    with pytest.raises(ValueError, match="max_side_px"):
        preview(Photo.from_array(paint((60, 90), (45, 30), 12)[0]), 0)


@given(st.integers(0, 60), st.integers(0, 80), st.integers(1, 200), st.integers(1, 300))
def test_a_part_of_an_enlarged_mask_is_that_part_of_all_of_it(top, left, height, width):
    y, x = np.mgrid[:48, :64]
    mask = np.hypot(y - 20, x - 30) < 15
    part = (slice(top, top + height), slice(left, left + width))
    whole, cut = enlarge_mask(mask, (133, 177))[part], enlarge_part(mask, (133, 177), part)
    assert cut.shape == whole.shape
    # The border of the disc is some 260 pixels long there.
    assert np.count_nonzero(cut != whole) <= 8
