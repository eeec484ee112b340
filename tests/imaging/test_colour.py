"""Colour: known values of sRGB in linear light and in Lab, and the way back."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from longderm.imaging import linear_to_srgb, srgb_to_lab, srgb_to_linear

ALL_BYTES = np.arange(256, dtype=np.uint8)


def test_white_is_lightness_100_without_colour():
    lab = srgb_to_lab(np.array([[255, 255, 255]], np.uint8))
    np.testing.assert_allclose(lab, [[100, 0, 0]], atol=1e-3)


def test_primaries_have_their_published_lab_values():
    # sRGB primaries under D65, as printed by Lindbloom's calculator.
    lab = srgb_to_lab(np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8))
    expected = [[53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86]]
    np.testing.assert_allclose(lab, expected, atol=0.1)


def test_every_byte_survives_the_way_to_linear_light_and_back():
    np.testing.assert_array_equal(linear_to_srgb(srgb_to_linear(ALL_BYTES)), ALL_BYTES)


def test_greys_have_no_colour():
    greys = np.repeat(ALL_BYTES[:, None], 3, axis=1)
    assert np.abs(srgb_to_lab(greys)[:, 1:]).max() < 1e-2


@settings(deadline=None)
@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_lab_agrees_with_opencv(rgb):
    pixel = np.array([[rgb]], np.uint8)
    theirs = cv2.cvtColor(srgb_to_linear(pixel), cv2.COLOR_LRGB2Lab)
    # OpenCV's matrix has other digits and its cube root is interpolated.
    np.testing.assert_allclose(srgb_to_lab(pixel), theirs, atol=0.35)
