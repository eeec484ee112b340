"""Cox models against lifelines, against sums written out, and where no coefficient exists."""

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter, KaplanMeierFitter
from survival_tables import FROZEN, tied_table

from longderm.prognosis import fit_cox, fit_survival, predict_survival, survival_times
from longderm.prognosis.cox import baseline_hazards
from longderm.prognosis.errors import (
    MissingValuesError,
    SurvivalTimesError,
    TooFewEventsError,
    UnusableColumnsError,
)
from longderm.prognosis.partial_likelihood import likelihood
from longderm.prognosis.risk_sets import risk_sets

COVARIATES = ["age", "thickness", "ulcer"]

#: lifelines 0.30 gives the coefficients, errors and the likelihood ratio of FROZEN to 1e-8 (Efron's ties).
FROZEN_BETA, FROZEN_ERROR = [0.6559362968, 1.5307797870], [0.2376556727, 0.7804848030]
FROZEN_TESTS, FROZEN_C = [11.3219304610, 8.9174621329, 12.4333798949], 0.8125


@pytest.mark.parametrize(("delayed", "strata"), [(False, 1), (False, 3), (True, 1), (True, 3)])
def test_equals_lifelines_with_ties_strata_and_start_stop_rows(delayed, strata):
    table = tied_table(delayed=delayed, strata=strata)
    model = fit_survival(table, COVARIATES, start="start", strata="site")
    theirs = CoxPHFitter().fit(
        table[[*COVARIATES, "time", "event", "start", "site"]],
        "time", "event", entry_col="start", strata=["site"], fit_options={"precision": 1e-12},
    )  # fmt: skip
    np.testing.assert_allclose(model.fit.beta, theirs.params_, atol=1e-6)
    np.testing.assert_allclose(model.fit.standard_error, theirs.standard_errors_, atol=1e-6)
    assert model.fit.log_likelihood[1] == pytest.approx(theirs.log_likelihood_, abs=1e-8)
    if not delayed and strata == 1:
        ratio = theirs.log_likelihood_ratio_test().test_statistic
        assert model.fit.likelihood_ratio.statistic == pytest.approx(ratio, abs=1e-8)


def test_ridge_and_elastic_net_equal_lifelines():
    table = tied_table()
    for l1_ratio in (0.0, 0.5):
        model = fit_survival(table, COVARIATES, penalty=0.1, l1_ratio=l1_ratio)
        fitter = CoxPHFitter(penalizer=0.1, l1_ratio=l1_ratio)
        theirs = fitter.fit(table[[*COVARIATES, "time", "event"]], "time", "event")
        np.testing.assert_allclose(model.fit.beta, theirs.params_, atol=1e-4)
        assert model.fit.wald is None and model.hazards_check is None


def direct_score_residuals(table, matrix, beta, *, efron):
    """The residuals as Therneau and Grambsch write them, event by event and row by row."""
    n, hazard = len(table), np.exp(matrix @ beta)
    stop, start, event = table.time.to_numpy(), table.start.to_numpy(), table.event.to_numpy() == 1
    residual = np.zeros_like(matrix)
    for time in np.unique(stop[event]):
        at_risk, dying = (start < time) & (stop >= time), event & (stop == time)
        deaths = int(dying.sum())
        for k in range(deaths):
            weight = hazard * at_risk * (1.0 - (k / deaths if efron else 0.0) * dying)
            mean = weight @ matrix / weight.sum()
            for i in range(n):
                residual[i] -= weight[i] / weight.sum() * (matrix[i] - mean)
                if dying[i]:
                    residual[i] += (matrix[i] - mean) / deaths
    return residual


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_robust_errors_are_the_sandwich_of_residuals_summed_per_patient(ties):
    table = tied_table(60, delayed=True)
    model = fit_survival(table, COVARIATES, start="start", cluster="patient", ties=ties)
    residual = direct_score_residuals(table, table[COVARIATES].to_numpy(), model.fit.beta, efron=ties == "efron")
    influence = pd.DataFrame(residual @ model.fit.naive_covariance).groupby(table.patient).sum().to_numpy()
    np.testing.assert_allclose(model.fit.covariance, influence.T @ influence, rtol=1e-7)
    wald = model.fit.beta @ np.linalg.solve(influence.T @ influence, model.fit.beta)
    assert model.fit.wald.statistic == pytest.approx(wald, rel=1e-7)


def test_robust_errors_equal_lifelines_without_ties():
    table = tied_table()
    table["time"] += np.linspace(0, 0.5, len(table))
    model = fit_survival(table, COVARIATES, cluster="patient")
    theirs = CoxPHFitter().fit(table[[*COVARIATES, "time", "event", "patient"]], "time", "event", cluster_col="patient")
    np.testing.assert_allclose(model.fit.standard_error, theirs.standard_errors_, rtol=1e-5)


def test_follow_up_cut_into_rows_gives_the_same_model():
    table = tied_table().assign(start=0.0)
    cut = 7.0
    long = table.time > cut
    first = table.assign(time=table.time.clip(upper=cut), event=table.event.where(~long, 0))
    split = pd.concat([first, table[long].assign(start=cut)])
    whole, parts = fit_survival(table, COVARIATES), fit_survival(split, COVARIATES, start="start")
    np.testing.assert_allclose(parts.fit.beta, whole.fit.beta, rtol=1e-9)
    np.testing.assert_allclose(parts.fit.covariance, whole.fit.covariance, rtol=1e-8)
    assert parts.fit.concordance.value == pytest.approx(whole.fit.concordance.value, abs=1e-14)
    np.testing.assert_allclose(parts.fit.baseline[0].hazard, whole.fit.baseline[0].hazard * np.exp(
        whole.fit.beta @ (parts.fit.center - whole.fit.center)), rtol=1e-9)  # fmt: skip


def test_the_check_of_proportional_hazards_is_the_score_test_of_the_column_times_time():
    table = tied_table(80).assign(start=0.0)
    model = fit_survival(table, COVARIATES)
    # the same test the long way: a row per patient and event time, with the column times g(t) as a further one
    times = np.unique(table.time[table.event == 1])
    curve = KaplanMeierFitter().fit(table.time, table.event)
    course = {time: 1 - float(curve.predict(time - 0.5)) for time in times}
    pieces = []
    for before, time in zip([0.0, *times[:-1]], times, strict=True):
        alive = table[(table.time > before)]
        stop = alive.time.clip(upper=time)
        part = alive.assign(start=before, time=stop, event=(alive.event == 1) & (alive.time == time))
        pieces.append(part.assign(**{f"{name}_t": part[name] * course[time] for name in COVARIATES}))
    long = pd.concat(pieces)
    data = survival_times(long.time, long.event, long.start)
    sets = risk_sets(data)
    columns = long[[*COVARIATES, *(f"{name}_t" for name in COVARIATES)]].to_numpy()
    columns = (columns - columns.mean(axis=0))[sets.order]
    at = likelihood(sets, columns, np.concatenate([model.fit.beta, np.zeros(3)]))
    overall = at.score @ np.linalg.solve(at.information, at.score)
    assert model.hazards_check.overall.statistic == pytest.approx(overall, rel=1e-6)
    for j, test in enumerate(model.hazards_check.tests):
        pick = [0, 1, 2, 3 + j]
        single = at.score[pick] @ np.linalg.solve(at.information[np.ix_(pick, pick)], at.score[pick])
        assert test.statistic == pytest.approx(single, rel=1e-6)


def test_columns_without_an_estimate_are_set_aside_and_named():
    table = tied_table().assign(clinic=1.0, double=lambda t: 2 * t.age - t.ulcer)
    model = fit_survival(table, [*COVARIATES, "clinic", "double"])
    assert model.set_aside == ("clinic", "double")
    assert "constant among those at risk at an event: clinic" in model.notes[0]
    assert "double is given by age, ulcer" in model.notes[0]
    np.testing.assert_allclose(model.fit.beta, fit_survival(table, COVARIATES).fit.beta, rtol=1e-9)
    with pytest.raises(UnusableColumnsError, match="clinic") as refused:
        fit_survival(table, [*COVARIATES, "clinic"], unusable="raise")
    assert refused.value.columns == ("clinic",)


def test_a_separating_column_is_named_and_kept_under_a_ridge():
    table = tied_table().assign(marker=lambda t: t.event)
    with pytest.raises(UnusableColumnsError, match="no finite coefficient for marker:") as refused:
        fit_survival(table, [*COVARIATES, "marker"], unusable="raise")
    assert refused.value.columns == ("marker",)
    model = fit_survival(table, [*COVARIATES, "marker"])
    assert any("marker" in note and "ridge" in note for note in model.notes)
    assert np.isfinite(model.fit.beta).all() and model.fit.beta[3] > 1 and model.fit.likelihood_ratio is None


def test_missing_values_are_refused_by_name_or_left_out_and_counted():
    table = tied_table()
    table.loc[[3, 8], "thickness"] = np.nan
    with pytest.raises(MissingValuesError, match=r"thickness \(2 rows\)"):
        fit_survival(table, COVARIATES)
    model = fit_survival(table, COVARIATES, missing="complete_case")
    assert model.left_out == 2 and model.fit.rows == len(table) - 2
    assert "2 of 120 rows left out for missing values" in model.notes


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"event": 0}, TooFewEventsError, "all rows are censored"),
        ({"event": 2}, SurvivalTimesError, "neither 0 nor 1"),
        ({"time": 0.0}, SurvivalTimesError, "does not come after start"),
        ({"time": "soon"}, SurvivalTimesError, "text"),
        ({"age": "1,234"}, SurvivalTimesError, "age holds numbers as text, such as '1,234'"),
    ],
)
def test_what_cannot_be_fitted_is_said(change, error, words):
    with pytest.raises(error, match=words):
        fit_survival(tied_table().assign(**change), ["age"])


def test_text_becomes_levels_and_an_unknown_one_is_refused():
    table = tied_table().assign(site=lambda t: np.where(t.ulcer == 1, "trunk", "arm"))
    model, numeric = fit_survival(table, ["age", "site"]), fit_survival(table, ["age", "ulcer"])
    np.testing.assert_allclose(model.fit.beta, numeric.fit.beta)
    assert [row["name"] for row in model.summary()] == ["age", "site=trunk"]
    with pytest.raises(SurvivalTimesError, match="'leg', which the model has not seen"):
        predict_survival(model, {"age": [50], "site": ["leg"]}, [12])


def test_the_first_level_of_a_categorical_column_is_the_reference():
    table = tied_table().assign(site=lambda t: np.where(t.ulcer == 1, "trunk", "arm"))
    ordered = table.assign(site=pd.Categorical(table.site, categories=["trunk", "arm", "leg"]))
    model, plain = fit_survival(ordered, ["age", "site"]), fit_survival(table, ["age", "site"])
    assert [row["name"] for row in model.summary()] == ["age", "site=arm"]
    np.testing.assert_allclose(model.fit.beta, plain.fit.beta * [1, -1], rtol=1e-9)
    np.testing.assert_allclose(
        predict_survival(model, table, [12]).risk, predict_survival(plain, table, [12]).risk, rtol=1e-9
    )


def test_the_baseline_hazard_equals_lifelines():
    table = tied_table(strata=2)
    fitter = CoxPHFitter().fit(table[[*COVARIATES, "time", "event", "site"]], "time", "event", strata=["site"])
    data = survival_times(table.time, table.event, stratum=table.site)
    matrix, beta, mean = table[COVARIATES].to_numpy(), fitter.params_.to_numpy(), table[COVARIATES].mean().to_numpy()
    ours = baseline_hazards(data, matrix, beta, mean, "breslow")  # lifelines' baseline, whatever the ties of its fit
    for stratum, baseline in enumerate(ours):
        theirs = fitter.baseline_cumulative_hazard_[stratum].loc[baseline.times]
        np.testing.assert_allclose(baseline.hazard, theirs, rtol=1e-9)


def test_a_prediction_ends_with_the_follow_up_of_its_stratum():
    table = tied_table(strata=2)
    table = table[(table.site == 0) | (table.time < 50)]
    model = fit_survival(table, COVARIATES, strata="site")
    survival = predict_survival(model, table, [24.0, 60.0, 500.0]).survival
    np.testing.assert_array_equal(np.isnan(survival[:, 1]), table.site == 1)
    assert np.isfinite(survival[:, 0]).all() and np.isnan(survival[:, 2]).all()


def test_the_interval_of_a_prediction_covers_what_a_bootstrap_of_patients_gives():
    table = tied_table(300)
    model = fit_survival(table, COVARIATES)
    one = table.iloc[[0]]
    found = predict_survival(model, one, [36.0])
    rng = np.random.default_rng(0)
    drawn = [
        predict_survival(fit_survival(table.iloc[rng.integers(0, 300, 300)], COVARIATES), one, [36.0]).survival[0, 0]
        for _ in range(100)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert abs(found.lower[0, 0] - low) < 0.35 * (high - low) and abs(found.upper[0, 0] - high) < 0.35 * (high - low)


def test_a_patient_outside_the_training_range_is_marked():
    model = fit_survival(tied_table(), COVARIATES)
    found = predict_survival(model, {"age": [60, 60], "thickness": [1.0, 99.0], "ulcer": [0, 1]}, [12])
    assert found.outside == ((), ("thickness",))


def test_frozen_figures_of_the_small_table():
    data = survival_times(FROZEN.months, FROZEN.cause == 1)
    fit = fit_cox(data, FROZEN[["thickness", "ulcer"]], ["thickness", "ulcer"])
    np.testing.assert_allclose(fit.beta, FROZEN_BETA, atol=5e-9)
    np.testing.assert_allclose(fit.standard_error, FROZEN_ERROR, atol=5e-9)
    statistics = [test.statistic for test in (fit.likelihood_ratio, fit.wald, fit.score)]
    np.testing.assert_allclose(statistics, FROZEN_TESTS, atol=5e-8)
    assert fit.concordance.value == pytest.approx(FROZEN_C, abs=5e-9)
