"""Recalibration to a site's stable pairs: what it promises, when it is accepted, and when it abstains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from site_pairs import drawn_pairs

from longderm.change.calibration import fit_noise
from longderm.change.evidence import NoiseModel, conformal_p_value, score_of
from longderm.site.recalibration import (
    NOISE_AND_SCORES,
    SCORES,
    fit,
    judge,
    least_patients,
    one_per_patient,
    recalibrate,
)


def released(spread=1.0, patients=300, alpha=0.05) -> NoiseModel:
    """A release whose noise and calibration come from patients with noise of `spread`."""
    observed = [pair.observations for pair in drawn_pairs(patients, seed=77, spread=spread)]
    noise = fit_noise(observed[::2])
    model = NoiseModel(noise, dict.fromkeys(noise, 1.0), -2.0, (), alpha)
    return replace(model, calibration=tuple(sorted(score_of(found, model) for found in observed[1::2])))


RELEASED = released()


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from([0.6, 1.0, 1.8]),
    st.sampled_from([SCORES, NOISE_AND_SCORES]),
    st.sampled_from([(0.05, 150), (0.01, 400)]),
)
def test_stable_patients_like_those_of_the_calibration_are_flagged_as_often_as_is_meant(seed, spread, what, level):
    alpha, count = level
    ones = one_per_patient(drawn_pairs(count, seed, spread))
    model = fit(replace(RELEASED, alpha=alpha), ones, what).model
    asked = [score_of(pair.observations, model) for pair in drawn_pairs(400, seed + 20_000, spread)]
    flagged = sum(conformal_p_value(score, model.calibration, alpha) <= alpha for score in asked)
    # Given the calibration, the chance of a flag is itself drawn (Beta): the count is beta-binomial.
    n = len(model.calibration)
    ranks = int(np.floor(round(alpha * (n + 1), 9)))
    drawn = np.random.default_rng(1).beta(ranks, n + 1 - ranks, 4000)
    low, high = (np.quantile(binom.ppf(q, 400, drawn), q) for q in (0.0005, 0.9995))
    assert low <= flagged <= high


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 99)), min_size=1, max_size=40))
def test_each_patient_gives_one_pair_whatever_the_order(told):
    (pattern,) = drawn_pairs(1, seed=0)
    pairs = [replace(pattern, patient_id=patient, pair_id=f"{number:02d}") for patient, number in told]
    ones = one_per_patient(pairs)
    assert [pair.patient_id for pair in ones] == sorted({patient for patient, _ in told})
    assert ones == one_per_patient(pairs[::-1])


@pytest.mark.parametrize(("alpha", "least"), [(0.05, 20), (0.01, 100)])
def test_with_too_few_patients_it_abstains_and_says_how_many_it_takes(alpha, least):
    assert least_patients(alpha) == least
    base = replace(RELEASED, alpha=alpha)
    # Many lesions of one patient are one patient.
    too_few = drawn_pairs(least - 1, seed=5, spread=2.0, lesions=3)
    told = recalibrate(base, too_few, [])
    assert told.fitted is None and f"take {least}" in told.reasons[0] and f"{least - 1} patients" in told.reasons[0]
    assert not told.tried


def test_a_site_that_is_noisier_gains_by_its_own_scores_and_loses_no_sensitivity():
    pairs = drawn_pairs(120, seed=6, spread=1.6, changed_share=0.4, lesions=2)
    stable, changed = ([p for p in pairs if p.changed is label] for label in (False, True))
    told = recalibrate(RELEASED, stable, changed)
    assert told.fitted is not None and told.what == NOISE_AND_SCORES
    figures = told.tried[0].figures
    assert figures["false_alarm_rate_before"] > 0.2 > 0.12 > figures["false_alarm_rate"]
    assert figures["beyond_mdc_before"] > 2 * figures["beyond_mdc"]
    assert figures["sensitivity_at_same_specificity_lost"] <= 0.02
    # The site's noise enters the MDC.
    assert told.fitted.model.noise["area"].mdc > 1.3 * RELEASED.noise["area"].mdc
    assert told.fitted.noise_patients + told.fitted.calibration_patients == 120
    assert told.fitted.model.weights == RELEASED.weights


def test_without_changed_pairs_the_noise_stays_since_nobody_knows_what_sensitivity_would_do():
    told = recalibrate(RELEASED, drawn_pairs(120, seed=6, spread=1.6), [])
    assert told.what == SCORES and any("10 labelled changed pairs" in reason for reason in told.reasons)
    assert told.fitted.model.noise == RELEASED.noise
    assert told.fitted.calibration_patients == 120


def test_a_site_that_is_too_quiet_for_the_release_gains_sensitivity():
    pairs = drawn_pairs(150, seed=8, spread=0.6, changed_share=0.4, shift=1.0, lesions=2)
    stable, changed = ([p for p in pairs if p.changed is label] for label in (False, True))
    judged = judge(RELEASED, one_per_patient(stable), changed, SCORES)
    assert judged.gains and judged.figures["false_alarm_rate_before"] == 0.0
    assert judged.figures["sensitivity"] > judged.figures["sensitivity_before"]
    assert judged.figures["sensitivity_at_same_specificity_lost"] == 0.0, "the order of the scores is the same"


def test_where_the_release_holds_already_nothing_is_accepted_most_of_the_time():
    """The band of chance is 90%: of sites like those of the release about one in ten is recalibrated for nothing."""
    base = released(patients=1600)
    accepted = [recalibrate(base, drawn_pairs(60, seed=seed), []).fitted is not None for seed in range(30)]
    assert sum(accepted) <= binom.ppf(0.999, 30, 0.14)
    told = recalibrate(base, drawn_pairs(60, seed=accepted.index(False)), [])
    assert "no more than chance" in " ".join(told.reasons)


def test_the_smallest_site_is_judged_by_leaving_one_patient_out():
    stable = drawn_pairs(20, seed=9, spread=3.0)
    told = recalibrate(RELEASED, stable, [])
    assert told.fitted is not None and told.fitted.calibration_patients == 20
    assert told.tried[0].figures["false_alarm_rate"] == 0.05


def test_the_smallest_site_that_claims_one_in_a_hundred_is_judged_by_p_values_that_exist():
    base = replace(RELEASED, alpha=0.01)
    told = recalibrate(base, drawn_pairs(100, seed=12, spread=3.0), [])
    assert told.fitted is not None and told.fitted.calibration_patients == 100
    assert told.tried[0].figures["false_alarm_rate"] == 0.01, "one of a hundred, by leaving one out"


def test_a_release_that_claims_nothing_at_the_wanted_level_is_not_right_by_its_silence():
    base = replace(RELEASED, alpha=0.01, calibration=RELEASED.calibration[:40])
    told = recalibrate(base, drawn_pairs(150, seed=13), [])
    assert told.fitted is not None and "claims no p-value of 0.01" in " ".join(told.reasons)


def test_the_range_of_photos_is_that_of_the_site_or_none():
    ones = one_per_patient(drawn_pairs(300, seed=10))
    within = fit(RELEASED, ones, NOISE_AND_SCORES).in_distribution
    assert within["pairs"] == 200 and within["far"] >= within["unusual"]
    assert fit(RELEASED, ones, SCORES).in_distribution is None, "who calibrates gives no yardstick"
    spreads = {"tbp_lv_Aext": {"median": 60.0, "spread": 5.0}}
    assert fit(RELEASED, ones, SCORES, spreads).in_distribution["levels"] == spreads
