"""Figures on a site's labelled pairs: patients stay together, thresholds come from stable pairs, gaps are told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from site_pairs import drawn_pairs

from longderm.bench.statistics import auroc
from longderm.site.figures import LONG, SHORT, UNDATED, auroc_gain, figures_of, sensitivity_at, time_point
from longderm.site.folds import FOLDS, over_patients, patient_folds


@given(st.lists(st.tuples(st.sampled_from([f"p{i}" for i in range(30)]), st.booleans()), min_size=1, max_size=80))
def test_a_patient_is_in_one_fold_and_the_folds_share_those_with_changes_evenly(pairs):
    fold = patient_folds(pairs)
    assert set(fold) == {patient for patient, _ in pairs}
    sizes = np.bincount(list(fold.values()), minlength=FOLDS)
    with_change = np.bincount([fold[p] for p in {p for p, changed in pairs if changed}], minlength=FOLDS)
    assert np.ptp(sizes) <= 1 and np.ptp(with_change) <= 1
    assert fold == patient_folds(reversed(pairs))


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=4, max_size=60), st.sampled_from([0.9, 0.95]))
def test_no_more_stable_pairs_than_the_specificity_allows_lie_above_the_threshold(drawn, specificity):
    scores, changed = np.array([value for value, _ in drawn]), np.array([label for _, label in drawn])
    found = sensitivity_at(scores, changed, specificity)
    if changed.all() or not changed.any():
        assert np.isnan(found)
        return
    line = np.quantile(scores[~changed], specificity, method="higher")
    assert (scores[~changed] > line).mean() <= 1 - specificity + 1e-9
    assert found == pytest.approx((scores[changed] > line).mean())


def test_time_points_are_those_of_the_published_tables():
    (pair,) = drawn_pairs(1, seed=1)
    points = [time_point(replace(pair, interval_days=days)) for days in (30, 137, 138, 900, None)]
    assert points == [SHORT, SHORT, LONG, LONG, UNDATED]


def test_figures_agree_with_a_plain_count_and_say_what_cannot_be_told():
    pairs = drawn_pairs(120, seed=2, changed_share=0.3, shift=0.3)
    values = {pair.pair_id: float(np.mean([abs(o.value) for o in pair.observations])) for pair in pairs}
    told = figures_of(pairs, values)
    plain = auroc(np.array([values[p.pair_id] for p in pairs]), np.array([p.changed for p in pairs]))
    value, low, high = told["auroc"]
    assert value == pytest.approx(plain, abs=1e-4) and low < value < high
    assert len(told["folds"]["each"]) == FOLDS and told["folds"]["mean"] == pytest.approx(value, abs=0.08)
    assert sum(point["pairs"] for point in told["time_points"].values()) == len(pairs)
    assert "auroc_melanoma" not in told
    few = [p for p in pairs if p.changed] + [p for p in pairs if not p.changed][:12]
    short = figures_of([replace(p, interval_days=60) for p in few], values)["time_points"][SHORT]
    assert short["sensitivity_at_specificity"]["0.90"] is not None
    assert short["sensitivity_at_specificity"]["0.95"] is None, "12 stable pairs allow no 5% of alarms"


def test_a_figure_of_few_patients_has_no_interval():
    pairs = drawn_pairs(40, seed=5, changed_share=0.5)
    values = {pair.pair_id: float(bool(pair.changed)) for pair in pairs}
    changed, stable = ([p for p in pairs if p.changed is label] for label in (True, False))
    assert figures_of([*changed[:10], *stable[:10]], values)["auroc"] == [1.0, 1.0, 1.0]
    assert figures_of([*changed[:9], *stable], values)["auroc"] == [1.0]
    one_patient = [replace(pair, patient_id="one") for pair in changed]
    assert figures_of([*one_patient, *stable], values)["auroc"] == [1.0]


def test_a_pair_without_an_answer_is_left_out_and_a_method_gains_nothing_over_itself():
    pairs = drawn_pairs(60, seed=3, changed_share=0.5)
    values = {pair.pair_id: float(index) for index, pair in enumerate(pairs)}
    partly = values | {pairs[0].pair_id: None}
    assert figures_of(pairs, partly)["pairs"] == len(pairs) - 1
    assert auroc_gain(pairs, values, values) == [0.0, 0.0, 0.0]


def test_the_interval_is_wider_where_pairs_come_from_fewer_patients():
    values = np.random.default_rng(4).normal(size=200)
    narrow = over_patients([str(i) for i in range(200)], lambda index: float(values[index].mean()))
    shared = np.repeat(values[:20], 10)
    wide = over_patients([str(i // 10) for i in range(200)], lambda index: float(shared[index].mean()))
    assert wide[2] - wide[1] > 2 * (narrow[2] - narrow[1])
