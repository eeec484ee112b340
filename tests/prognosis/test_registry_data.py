"""A registry of 7,775 patients in tied months: strata, start-stop rows, attained age, beside lifelines and sums."""

import numpy as np
import pytest
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.statistics import multivariate_logrank_test
from survival_tables import cut_into_rows, registry_table

from longderm.prognosis import cumulative_incidence, fit_survival, harrell_c, kaplan_meier, log_rank, survival_times
from longderm.prognosis.partial_likelihood import likelihood
from longderm.prognosis.risk_sets import risk_sets

COVARIATES = ["age", "female", "year", "site_1", "site_2", "site_3"]
YEARS = tuple(12.0 * year for year in range(1, 21))


@pytest.fixture(scope="module")
def registry():
    return registry_table()


@pytest.fixture(scope="module")
def stratified(registry):
    return fit_survival(registry, COVARIATES, strata="stage", cluster="patient")


def test_a_stratified_fit_equals_lifelines(registry, stratified):
    theirs = CoxPHFitter().fit(
        registry[[*COVARIATES, "time", "event", "stage"]], "time", "event", strata=["stage"],
        fit_options={"precision": 1e-12},
    )  # fmt: skip
    assert registry.time.nunique() < 260 and stratified.fit.events > 3000  # a dozen events at each time
    np.testing.assert_allclose(stratified.fit.beta, theirs.params_, atol=1e-9)
    naive = np.sqrt(np.diag(stratified.fit.naive_covariance))
    np.testing.assert_allclose(naive, theirs.standard_errors_, atol=1e-9)
    assert stratified.fit.log_likelihood[1] == pytest.approx(theirs.log_likelihood_, abs=1e-6)


def test_yearly_start_stop_rows_give_the_same_model(registry, stratified):
    rows = cut_into_rows(registry, YEARS)
    assert len(rows) > 60_000
    model = fit_survival(rows, COVARIATES, start="start", strata="stage", cluster="patient")
    np.testing.assert_allclose(model.fit.beta, stratified.fit.beta, rtol=1e-9)
    np.testing.assert_allclose(model.fit.covariance, stratified.fit.covariance, rtol=1e-8, atol=1e-14)
    ours, theirs = model.fit.concordance, stratified.fit.concordance
    assert (ours.concordant, ours.discordant, ours.tied_time) == (
        theirs.concordant, theirs.discordant, theirs.tied_time
    )  # fmt: skip
    assert ours.standard_error == pytest.approx(theirs.standard_error, rel=1e-9)
    for one, other in zip(model.hazards_check.tests, stratified.hazards_check.tests, strict=True):
        assert one.statistic == pytest.approx(other.statistic, rel=1e-8)


def test_attained_age_as_the_clock_equals_lifelines(registry):
    table = registry[:1500].assign(entry=lambda t: np.floor(t.age * 12), exit=lambda t: np.floor(t.age * 12) + t.time)
    names = COVARIATES[1:]
    model = fit_survival(table, names, start="entry", time="exit", strata="stage")
    theirs = CoxPHFitter().fit(
        table[[*names, "entry", "exit", "event", "stage"]], "exit", "event", entry_col="entry", strata=["stage"]
    )
    np.testing.assert_allclose(model.fit.beta, theirs.params_, atol=1e-6)
    np.testing.assert_allclose(model.fit.standard_error, theirs.standard_errors_, atol=1e-6)


def test_breslow_s_likelihood_is_the_sum_written_out(registry):
    table = registry[:600]
    model = fit_survival(table, COVARIATES, strata="stage", ties="breslow")
    data = survival_times(table.time, table.event, stratum=table.stage)
    predictor = table[COVARIATES].to_numpy() @ model.fit.beta
    total = 0.0
    for i in np.flatnonzero(data.event):
        at_risk = (data.stratum == data.stratum[i]) & (data.stop >= data.stop[i])
        total += predictor[i] - np.log(np.exp(predictor[at_risk]).sum())
    assert model.fit.log_likelihood[1] == pytest.approx(total, rel=1e-12)
    sets = risk_sets(data, "breslow")
    score = likelihood(sets, table[COVARIATES].to_numpy()[sets.order], model.fit.beta).score
    np.testing.assert_allclose(score / table[COVARIATES].to_numpy().std(axis=0), 0.0, atol=1e-6)


def test_concordance_within_strata_is_that_of_the_strata_together(registry, stratified):
    risk = registry[COVARIATES].to_numpy() @ stratified.fit.beta
    parts = [
        harrell_c(survival_times(part.time, part.event), risk[part.index], with_error=False)
        for _, part in registry.groupby("stage")
    ]
    whole = stratified.fit.concordance
    concordant, discordant = sum(one.concordant for one in parts), sum(one.discordant for one in parts)
    assert (whole.concordant, whole.discordant) == (concordant, discordant)
    assert whole.value == pytest.approx(concordant / (concordant + discordant), abs=1e-5)  # tied risks are few


def test_survival_of_those_who_enter_late_equals_lifelines(registry):
    entry = np.where(registry.index % 3 == 0, 0.0, np.floor(registry.time * (registry.index % 7) / 10))
    curve = kaplan_meier(survival_times(registry.time, registry.event, entry))
    theirs = KaplanMeierFitter().fit(registry.time, registry.event, entry=entry)
    np.testing.assert_allclose(curve.survival, theirs.survival_function_.iloc[:, 0].loc[curve.times], atol=1e-12)
    rows = cut_into_rows(registry, YEARS[:3])
    whole, parts = (
        kaplan_meier(survival_times(t.time, t.event, t.start if "start" in t else None)) for t in (registry, rows)
    )
    np.testing.assert_allclose(parts.survival[np.searchsorted(parts.times, whole.times)], whole.survival, rtol=1e-12)


def test_incidence_of_those_who_enter_late_is_the_sum_written_out(registry):
    table = registry[:500]
    entry = np.where(table.index % 2 == 0, 0.0, np.floor(table.time / 2))
    found = cumulative_incidence(table.time, table.cause, 2, entry)
    survival, total = 1.0, 0.0
    for time in np.unique(table.time[table.time <= 60]):
        at_risk = ((entry < time) & (table.time >= time)).sum()
        here = table.time == time
        total += survival * (here & (table.cause == 2)).sum() / at_risk
        survival *= 1 - (here & (table.cause > 0)).sum() / at_risk
    assert found.at(60)[0] == pytest.approx(total, rel=1e-12)


def test_the_log_rank_test_of_strata_is_that_of_their_sums(registry):
    data = survival_times(registry.time, registry.event)
    theirs = multivariate_logrank_test(registry.time, registry.stage, registry.event)
    assert log_rank(data, registry.stage).chi_square == pytest.approx(theirs.test_statistic, rel=1e-9)
    stratified = log_rank(survival_times(registry.time, registry.event, stratum=registry.stage), registry.female)
    gap = variance = 0.0
    for _, part in registry.groupby("stage"):
        one = log_rank(survival_times(part.time, part.event), part.female)
        step = one.observed[0] - one.expected[0]
        gap, variance = gap + step, variance + step**2 / one.chi_square
    assert stratified.chi_square == pytest.approx(gap**2 / variance, rel=1e-9)
