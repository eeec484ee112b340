"""Skin tone: typology angle, melanin index, and the light on the skin, the lesion left out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longderm.imaging.colour import linear_to_lab, srgb_to_lab, srgb_to_linear
from longderm.imaging.skin_tone import (
    balanced,
    illumination,
    ita_class,
    ita_degrees,
    ita_error_degrees,
    melanin_index,
    skin_tone,
)

SKIN = np.array([214, 170, 148], np.uint8)


def patch(colour=SKIN, shape=(40, 60)):
    return np.broadcast_to(colour, (*shape, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("lightness", "b", "degrees", "name"),
    [
        (70.0, 10.0, 63.43, "very light"),
        (66.0, 16.0, 45.0, "light"),
        (60.0, 14.0, 35.54, "intermediate"),
        (55.0, 15.0, 18.43, "tan"),
        (45.0, 18.0, -15.52, "brown"),
        (30.0, 15.0, -53.13, "dark"),
    ],
)
def test_the_angle_and_its_class_are_those_of_the_definition(lightness, b, degrees, name):
    assert ita_degrees(lightness, b) == pytest.approx(degrees, abs=0.01)
    assert ita_class(degrees) == name


def test_skin_without_yellow_has_an_angle_too():
    assert ita_degrees(60.0, 0.0) == 90.0
    assert ita_degrees(60.0, -1.0) > 90.0


@given(st.floats(-180, 180))
def test_every_angle_has_one_class_and_darker_skin_a_darker_one(angle):
    order = ["very light", "light", "intermediate", "tan", "brown", "dark"]
    assert order.index(ita_class(angle)) >= order.index(ita_class(min(180.0, angle + 10)))


def test_the_melanin_index_is_a_decade_per_hundred():
    assert melanin_index(1.0) == 0.0
    assert melanin_index(0.1) == pytest.approx(100.0)
    assert np.isfinite(melanin_index(0.0))


def test_the_tone_of_one_colour_is_that_colour():
    tone = skin_tone(srgb_to_linear(patch()), np.ones((40, 60), bool))
    lab = srgb_to_lab(SKIN)
    assert (tone.lightness, tone.a, tone.b) == pytest.approx(tuple(lab), abs=0.01)
    assert tone.ita_deg == pytest.approx(np.degrees(np.arctan2(lab[0] - 50, lab[2])), abs=0.01)


def test_a_dark_lesion_and_a_few_hairs_do_not_move_the_tone():
    pixels = patch().copy()
    pixels[10:30, 20:40] = (60, 40, 30)
    pixels[:, 5] = (30, 20, 15)
    skin = np.ones((40, 60), bool)
    skin[10:30, 20:40] = False
    tone, bare = (skin_tone(srgb_to_linear(p), skin) for p in (pixels, patch()))
    assert tone.ita_deg == pytest.approx(bare.ita_deg, abs=0.1)


def test_too_little_skin_says_nothing():
    nothing = np.zeros((40, 60), bool)
    assert skin_tone(srgb_to_linear(patch()), nothing) is None
    assert illumination(srgb_to_linear(patch()), nothing) is None


def test_the_fall_of_the_light_is_found_and_undone():
    linear = srgb_to_linear(patch(shape=(120, 160))).copy()
    across = np.linspace(-0.5, 0.5, 160, dtype=np.float32)
    linear *= np.exp(0.4 * across)[None, :, None]
    light = illumination(linear, np.ones((120, 160), bool))
    assert light.fall == pytest.approx([0.4, 0.0], abs=0.02)
    even = balanced(linear, light, light.colour)
    assert even.std(axis=(0, 1)).max() < 0.01


def test_a_colour_cast_is_the_light_of_the_skin_alone():
    linear = srgb_to_linear(patch())
    cast = (linear * np.array([1.1, 1.0, 0.8], np.float32)).astype(np.float32)
    plain, tinted = (illumination(values, np.ones((40, 60), bool)) for values in (linear, cast))
    ratio = tinted.colour / plain.colour
    assert ratio[0] / ratio[2] == pytest.approx(1.1 / 0.8, rel=1e-3)
    back = balanced(cast, tinted, plain.colour)
    assert back[0, 0, 0] / back[0, 0, 2] == pytest.approx(linear[0, 0, 0] / linear[0, 0, 2], rel=1e-3)


def test_the_stated_error_is_how_far_exposure_and_white_balance_turn_the_angle():
    paints = np.array([[230, 200, 185], [150, 105, 80]], np.uint8)
    light, brown = srgb_to_linear(paints).astype(float)
    for colour in (light, brown):
        off = [np.exp(0.35), np.exp(-0.35), np.array([1.1, 1.0, 0.9]), np.array([0.9, 1.0, 1.1])]
        angles = [ita_degrees(*linear_to_lab(colour * gains)[[0, 2]]) for gains in (1.0, *off)]
        turns = np.abs(np.array(angles[1:]) - angles[0])
        assert ita_error_degrees(colour) == pytest.approx(np.hypot(turns[:2].max(), turns[2:].max()), abs=0.01)
    # Near L* = 50 a little light turns the angle a long way.
    assert ita_error_degrees(brown) > ita_error_degrees(light) > 1
    assert skin_tone(srgb_to_linear(patch()), np.ones((40, 60), bool)).ita_error_deg > 0
