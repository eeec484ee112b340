"""Kaplan-Meier, cumulative incidence and the log-rank test against lifelines and against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter
from lifelines.statistics import multivariate_logrank_test
from survival_tables import FROZEN, tied_table

from longderm.prognosis import cumulative_incidence, kaplan_meier, log_rank, survival_times
from longderm.prognosis.errors import OutsideFollowUpError, SurvivalTimesError, TooFewEventsError

followed = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2)), min_size=2, max_size=40)


@pytest.mark.parametrize("delayed", [False, True])
def test_kaplan_meier_equals_lifelines(delayed):
    table = tied_table(delayed=delayed)
    curve = kaplan_meier(survival_times(table.time, table.event, table.start))
    theirs = KaplanMeierFitter().fit(table.time, table.event, entry=table.start if delayed else None)
    at = theirs.survival_function_.iloc[:, 0].loc[curve.times]
    np.testing.assert_allclose(curve.survival, at, atol=1e-12)
    if not delayed:
        counts = theirs.event_table.loc[curve.times]
        np.testing.assert_array_equal(curve.at_risk, counts.at_risk)
        np.testing.assert_array_equal(curve.censored, counts.censored)


@given(followed)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_with_one_cause_the_incidence_is_one_minus_kaplan_meier(rows):
    stop, cause = np.array(rows).T
    if not (cause > 0).any():
        return
    curve, found = kaplan_meier(survival_times(stop, cause > 0)), cumulative_incidence(stop, (cause > 0).astype(int))
    np.testing.assert_allclose(found.incidence, 1 - curve.survival, atol=1e-14)
    alive = curve.survival > 0
    np.testing.assert_allclose(found.standard_error[alive], curve.standard_error[alive], atol=1e-10)


@given(followed)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_incidences_of_all_causes_and_survival_add_up_to_one(rows):
    stop, cause = np.array(rows).T
    if set(cause.tolist()) < {0, 1, 2} and not {1, 2} <= set(cause.tolist()):
        return
    one, two = cumulative_incidence(stop, cause, 1), cumulative_incidence(stop, cause, 2)
    np.testing.assert_allclose(one.incidence + two.incidence + one.survival, 1.0, atol=1e-14)


def weighted_incidence(stop, cause, weight, time):
    survival, total = 1.0, 0.0
    for moment in np.unique(stop[stop <= time]):
        at_risk, here = weight[stop >= moment].sum(), stop == moment
        total += survival * weight[here & (cause == 1)].sum() / at_risk
        survival *= 1 - weight[here & (cause > 0)].sum() / at_risk
    return total


def test_the_error_of_the_incidence_is_the_infinitesimal_jackknife():
    stop, cause = FROZEN.months.to_numpy(), FROZEN.cause.to_numpy()
    found = cumulative_incidence(stop, cause)
    for time in (5, 12, 30, 48):
        slopes = []
        for i in range(len(stop)):
            more, less = np.ones(len(stop)), np.ones(len(stop))
            more[i], less[i] = 1 + 1e-5, 1 - 1e-5
            up, down = (weighted_incidence(stop, cause, weight, time) for weight in (more, less))
            slopes.append((up - down) / 2e-5)
        row = int(np.searchsorted(found.times, time))
        assert found.standard_error[row] == pytest.approx(np.sqrt(np.sum(np.square(slopes))), rel=1e-7)


def test_frozen_figures_of_the_small_table():
    data = survival_times(FROZEN.months, FROZEN.cause == 1)
    curve = kaplan_meier(data)
    np.testing.assert_allclose(curve.at([8, 24, 48]), [0.794117647059, 0.536287242170, 0.286019862490], atol=1e-12)
    errors = curve.standard_error[curve.rows_at([8, 24, 48])]
    np.testing.assert_allclose(errors, [0.091921279784, 0.123444082675, 0.148524134123], atol=1e-12)
    found = cumulative_incidence(FROZEN.months, FROZEN.cause)
    np.testing.assert_allclose(found.at([8, 24, 48]), [0.2, 0.427678571429, 0.613392857143], atol=1e-12)
    assert log_rank(data, FROZEN.ulcer).chi_square == pytest.approx(4.283034882006, abs=1e-11)


def test_log_rank_of_several_groups_equals_lifelines():
    table = tied_table(strata=4)
    found = log_rank(survival_times(table.time, table.event), table.site)
    theirs = multivariate_logrank_test(table.time, table.site, table.event)
    assert found.chi_square == pytest.approx(theirs.test_statistic, abs=1e-9)
    assert found.p_value == pytest.approx(theirs.p_value, abs=1e-12) and found.degrees_of_freedom == 3
    assert found.observed.sum() == pytest.approx(found.expected.sum())


def test_stratified_log_rank_sums_observed_less_expected_over_strata():
    table = tied_table(strata=3)
    found = log_rank(survival_times(table.time, table.event, stratum=table.site), table.ulcer)
    gap = variance = 0.0
    for _, part in table.groupby("site"):
        for time in np.unique(part.time[part.event == 1]):
            at_risk, dying = part[part.time >= time], part[(part.time == time) & (part.event == 1)]
            n, d, share = len(at_risk), len(dying), at_risk.ulcer.mean()
            gap += dying.ulcer.sum() - d * share
            variance += d * share * (1 - share) * (n - d) / (n - 1) if n > 1 else 0.0
    assert found.chi_square == pytest.approx(gap**2 / variance, rel=1e-12)


def test_one_group_no_event_and_times_too_late_are_named():
    data = survival_times([1, 2, 3], [0, 0, 0])
    with pytest.raises(TooFewEventsError, match="all rows are censored"):
        log_rank(data, [1, 1, 2])
    with pytest.raises(SurvivalTimesError, match="only one"):
        log_rank(survival_times([1, 2], [1, 0]), ["a", "a"])
    with pytest.raises(OutsideFollowUpError, match="past the last follow-up 3"):
        kaplan_meier(data).at(4)
    assert kaplan_meier(survival_times([1, 2], [1, 1])).at([5]) == [0.0]


@pytest.mark.parametrize(
    ("stop", "event", "words"),
    [
        ([], [], "no patients"),
        ([1, -2], [1, 0], "row 1"),
        ([1, np.nan], [1, 0], "missing or infinite in 1 rows, first row 1"),
        ([1, 2], [1, 3], "neither 0 nor 1"),
        (["a", "b"], [1, 0], "text"),
    ],
)
def test_times_that_cannot_be_are_refused(stop, event, words):
    with pytest.raises(SurvivalTimesError, match=words):
        survival_times(stop, event)


def test_times_that_differ_by_rounding_are_one_time():
    data = survival_times([0.1 + 0.2, 0.3, 0.3 + 1e-6], [1, 1, 0])
    assert data.stop[0] == data.stop[1] != data.stop[2]
