"""Warping brings the follow-up to the baseline's grid without moving pixel centres."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from longderm.registration import warp_to_baseline
from longderm.registration.similarity import from_parts, halfway, inverse, to_complex


def ramp(height: int, width: int) -> np.ndarray:
    """Red counts x, green counts y: a pixel says where it was."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)


def test_the_identity_changes_nothing():
    pixels = ramp(40, 60)
    warped, inside = warp_to_baseline(pixels, np.eye(3), (40, 60))
    assert np.array_equal(warped, pixels)
    assert inside.all()


def test_a_half_turn_is_exact():
    pixels = ramp(40, 60)
    half_turn = np.array([[-1.0, 0.0, 59.0], [0.0, -1.0, 39.0], [0.0, 0.0, 1.0]])
    warped, inside = warp_to_baseline(pixels, half_turn, (40, 60))
    assert np.array_equal(warped, pixels[::-1, ::-1])
    assert inside.all()


def test_outside_of_the_follow_up_is_said_to_be_outside_and_black():
    shift = np.array([[1.0, 0.0, 20.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    warped, inside = warp_to_baseline(np.full((40, 60, 3), 200, np.uint8), shift, (40, 60))
    assert inside[:, :40].all()
    assert not inside[:, 41:].any()
    assert (warped[~inside] == 0).all()
    assert (warped[inside] == 200).all()


def test_a_preview_shows_the_same_places_as_the_full_warp():
    """Preview pixel u lies at (u + 0.5) / scale - 0.5 of the baseline."""
    pixels = ramp(120, 160)
    shift = np.array([[1.0, 0.0, 7.0], [0.0, 1.0, 3.0], [0.0, 0.0, 1.0]])
    small, inside = warp_to_baseline(pixels, shift, (120, 160), scale=0.25)
    assert small.shape == (30, 40, 3)
    u = np.arange(40)
    expected = (u + 0.5) / 0.25 - 0.5 + 7.0
    middle = inside[10] & (u < 36)
    assert np.abs(small[10, middle, 0] - expected[middle]).max() <= 1.0


@settings(max_examples=50, deadline=None)
@given(st.floats(0.2, 5.0), st.floats(-179.0, 179.0), st.floats(-300.0, 300.0), st.floats(-300.0, 300.0))
def test_inverse_and_halfway_are_what_they_say(scale, rotation, x, y):
    matrix = from_parts(scale, rotation, complex(10.0, 20.0), complex(x, y))
    assert np.allclose(matrix @ inverse(matrix), np.eye(3), atol=1e-9)
    assert np.allclose(halfway(matrix, matrix, complex(5, 5)), matrix)
    a, b = to_complex(matrix)
    assert abs(a * complex(10, 20) + b - complex(x, y)) < 1e-6
