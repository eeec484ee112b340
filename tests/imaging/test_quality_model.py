"""The expected error of measurement never falls where a sign of bad quality grows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longderm.imaging.quality_model import BLUR_RAMP, LESION_RAMPS, PHOTO_RAMPS, ErrorModel, Ramp, badness, detail_px
from longderm.models import load_release

RAMPS = PHOTO_RAMPS + LESION_RAMPS
CONFIG = load_release("quality", "0.2.0").config
SIGNS = st.lists(st.floats(0, 1.5), min_size=len(RAMPS), max_size=len(RAMPS)).map(np.array)


@given(SIGNS, st.integers(0, len(RAMPS) - 1), st.floats(0, 1))
def test_no_sign_makes_a_photo_better(signs, which, more):
    model = ErrorModel.from_config(CONFIG["with_lesion"])
    worse = signs.copy()
    worse[which] += more
    assert model(worse) >= model(signs) - 1e-12


@pytest.mark.parametrize("name", ["with_lesion", "photo_alone"])
def test_the_release_tells_the_best_photo_from_the_worst(name):
    model = ErrorModel.from_config(CONFIG[name])
    signs = len(RAMPS) if name == "with_lesion" else len(PHOTO_RAMPS)
    assert model(np.zeros(signs)) < 0.05
    assert model(np.ones(signs)) > 0.8


def test_the_release_names_the_signs_it_was_fitted_to():
    assert CONFIG["signs"] == [ramp.sign for ramp in RAMPS]


def test_a_model_whose_error_falls_with_a_sign_is_refused():
    with pytest.raises(ValueError, match="below 0"):
        ErrorModel.from_config({"direct": [-1.0], "inner": [[1.0, 1.0]], "bias": [0, 0], "outer": [1, 1], "offset": 0})


@given(st.floats(0, 1000))
def test_a_ramp_rises_from_good_to_bad(value):
    for ramp in (Ramp("x", 1.0, 30.0, 0.3), Ramp("x", 0.9, 0.1)):
        towards_bad = value * (1.1 if ramp.bad > ramp.good else 0.9)
        assert 0 <= ramp(value) <= ramp(towards_bad) <= 1


def test_a_ramp_is_0_at_good_and_1_at_bad():
    for ramp in RAMPS:
        assert ramp(ramp.good) == 0
        assert ramp(ramp.bad) == pytest.approx(1)


def test_a_blurred_photo_is_worth_as_many_pixels_as_are_as_bad():
    pixels = PHOTO_RAMPS[0]
    assert detail_px(400.0, 0.0) == 400, "a sharp photo has its own"
    assert detail_px(4000.0, 20.0) == detail_px(512.0, 20.0), "more pixels do not help it"
    for edge_blur in (1.0, 8.0, 30.0):
        assert pixels(detail_px(4000.0, edge_blur)) == pytest.approx(BLUR_RAMP(edge_blur))
    assert detail_px(20.0, 8.0) == 20, "a small photo is not made larger"


def test_badness_is_in_the_order_of_the_ramps():
    signs = {ramp.sign: ramp.good for ramp in RAMPS}
    signs[RAMPS[3].sign] = RAMPS[3].bad
    assert np.argmax(badness(signs, RAMPS)) == 3
