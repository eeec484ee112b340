"""Noise, score and p-value as arithmetic on measured differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longderm.change.calibration import SIZE_SHARE_MAX, fit_noise, fit_release, fit_weights
from longderm.change.evidence import (
    MEASURES,
    SPECS,
    Noise,
    NoiseModel,
    Observation,
    conformal_p_value,
    score_of,
    sentence,
    to_delta,
)

NOISE = {
    "area": Noise(0.0, 0.08, math.log(1.17)),
    "colour_local": Noise(2.0, 0.5, 3.0),
    "delta_lightness": Noise(0.0, 1.0, 2.0),
}
MODEL = NoiseModel(NOISE, {"area": 1.0, "colour_local": 2.0, "delta_lightness": 2.0}, -2.0, (), 0.05)


@given(
    name=st.sampled_from(sorted(NOISE)),
    value=st.floats(-3, 3),
    more=st.floats(0, 3),
    other=st.floats(-2, 2),
)
def test_the_score_never_falls_when_a_difference_grows(name, value, more, other):
    distance = SPECS[name].kind == "distance"
    small = abs(value) if distance else value
    large = small + math.copysign(more, small)
    rest = [Observation(n, abs(other)) for n in NOISE if n != name]
    assert score_of([Observation(name, large), *rest], MODEL) >= score_of([Observation(name, small), *rest], MODEL)


def test_growing_and_shrinking_by_the_same_factor_weigh_the_same():
    grown, shrunk = (score_of([Observation("area", x)], MODEL) for x in (0.4, -0.4))
    assert grown == shrunk > score_of([], MODEL)


def test_a_missing_measure_adds_no_evidence_and_is_no_zero_difference_of_a_distance():
    assert score_of([], MODEL) == score_of([Observation("colour_local", 0.0)], MODEL)
    assert score_of([Observation("colour_local", 5.0)], MODEL) > score_of([], MODEL)


@given(st.lists(st.floats(0, 1), min_size=19, max_size=40), st.floats(0, 1))
def test_the_p_value_counts_stable_pairs_at_least_as_changed(calibration, score):
    p = conformal_p_value(score, calibration, 0.05)
    assert p == pytest.approx((1 + sum(s >= score for s in calibration)) / (len(calibration) + 1), abs=1e-6)
    assert p > 0


def test_there_is_no_p_value_where_too_few_stable_pairs_could_ever_reach_alpha():
    assert conformal_p_value(0.9, (), 0.05) is None
    assert conformal_p_value(0.9, [0.1] * 18, 0.05) is None
    assert conformal_p_value(0.9, [0.1] * 19, 0.05) == 0.05
    assert conformal_p_value(0.9, [0.1] * 98, 0.01) is None


def test_p_values_of_stable_pairs_are_uniform_so_that_alpha_is_the_false_alarm_rate():
    rng = np.random.default_rng(5)
    calibration = rng.normal(size=999).tolist()
    p = np.array([conformal_p_value(s, calibration, 0.05) for s in rng.normal(size=4000)])
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.025)
    assert (p <= 0.5).mean() == pytest.approx(0.5, abs=0.1)


def test_a_delta_states_its_mdc_in_percent_and_in_its_own_direction():
    grown = to_delta(Observation("area", math.log(1.38), 100.0, 138.0), MODEL)
    shrunk = to_delta(Observation("area", math.log(0.86), 100.0, 86.0), MODEL)
    assert grown.delta == pytest.approx(38) and grown.mdc == pytest.approx(17) and grown.exceeds_mdc
    assert shrunk.mdc == pytest.approx(100 * (1 - 1 / 1.17)) and not shrunk.exceeds_mdc
    assert sentence(grown) == "area +38% (MDC 17%)"


@given(st.floats(-1, 1))
def test_a_ratio_exceeds_its_mdc_exactly_when_its_percentage_does(log_ratio):
    delta = to_delta(Observation("area", log_ratio), MODEL)
    assert delta.exceeds_mdc == (abs(delta.delta) > delta.mdc + 1e-4) or abs(abs(delta.delta) - delta.mdc) < 1e-3


def test_a_measure_without_calibration_claims_nothing():
    delta = to_delta(Observation("eccentricity", 0.4), MODEL)
    assert delta.mdc is None and delta.exceeds_mdc is None and "MDC not known" in sentence(delta)


def test_the_same_difference_is_not_called_change_at_its_mdc():
    at, above = (to_delta(Observation("delta_lightness", x), MODEL).exceeds_mdc for x in (2.0, 2.0001))
    assert (at, above) == (False, True)


def _pairs(rng, count, shift):
    def value(spec):
        drawn = rng.normal() * 0.1 + shift.get(spec.name, 0.0)
        return abs(drawn) if spec.kind == "distance" else drawn

    return [[Observation(spec.name, value(spec)) for spec in MEASURES] for _ in range(count)]


def test_the_mdc_is_passed_by_about_one_stable_pair_in_twenty():
    rng = np.random.default_rng(1)
    noise = fit_noise(_pairs(rng, 600, {}))
    fresh = _pairs(rng, 600, {})
    for spec in MEASURES:
        if spec.kind == "signed" and spec.unit == "1":
            share = np.mean([abs(o.value) > noise[o.measure].mdc for p in fresh for o in p if o.measure == spec.name])
            assert 0.02 < share < 0.09, spec.name


def test_the_mdc_follows_heavy_tails_that_a_robust_spread_does_not_see():
    rng = np.random.default_rng(2)
    values = rng.standard_t(1.5, size=2000) * 0.1
    noise = fit_noise([[Observation("eccentricity", v)] for v in values])["eccentricity"]
    assert np.mean(np.abs(values) > noise.mdc) <= 0.051


def test_a_measure_seen_in_too_few_stable_pairs_is_left_out():
    pairs = [[Observation("area", 0.01 * i)] for i in range(5)]
    assert fit_noise(pairs) == {}


def test_weights_favour_what_separates_and_size_never_carries_the_score():
    rng = np.random.default_rng(3)
    stable, changed = _pairs(rng, 150, {}), _pairs(rng, 150, {"area": 0.8, "colour_local": 0.6})
    weights, _ = fit_weights(stable, changed, fit_noise(stable))
    size = sum(w for name, w in weights.items() if SPECS[name].group == "size")
    assert all(w > 0 for w in weights.values())
    assert size <= SIZE_SHARE_MAX * sum(weights.values()) + 1e-4
    assert weights["colour_local"] == max(w for n, w in weights.items() if SPECS[n].group != "size")


def test_a_fitted_release_is_read_back_and_holds_one_score_per_calibration_pair():
    rng = np.random.default_rng(4)
    config = fit_release(_pairs(rng, 60, {}), _pairs(rng, 40, {"colour_local": 0.6}), _pairs(rng, 30, {}), 0.05)
    model = NoiseModel.from_config(config)
    assert len(model.calibration) == 30 and model.alpha == 0.05
    changed = _pairs(rng, 40, {"colour_local": 0.9})
    p = [conformal_p_value(score_of(pair, model), model.calibration, 0.05) for pair in changed]
    assert np.mean([value <= 0.05 for value in p]) > 0.5
