"""evaluate_survival with strata, with start-stop rows, with late entry and with too few patients at a horizon."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from survival_tables import cut_into_rows

from longderm import evaluate_survival, fit_survival, predict_survival
from longderm.prognosis import harrell_c, survival_times
from longderm.prognosis.brier import brier_scores
from longderm.prognosis.calibration import calibration_at
from longderm.prognosis.decision_curve import decision_curve
from longderm.prognosis.errors import OutsideFollowUpError, SurvivalTimesError, TooFewEventsError
from longderm.prognosis.follow_up import follow_up
from longderm.prognosis.resampled_cox import fit_risk_model
from longderm.prognosis.time_dependent_auc import auc_at
from longderm.simulate.cohort import simulate_cohort

COVARIATES = ["log2_thickness", "ulcer", "image_score"]
QUICK = {"bootstraps": 6, "repeats": 1, "folds": 4}
YEAR = 365.25


@pytest.fixture(scope="module")
def patients():
    table = pd.DataFrame(simulate_cohort(600, 11, image_effect=0.6).patients).assign(start=0.0)
    table["patient"] = table.patient_id
    # a second clinic sees the event three times as often, but late: hazards that are not proportional
    clinic = np.arange(600) % 2
    return table.assign(clinic=clinic, time=np.where(clinic == 1, np.minimum(table.time, 3000), table.time))


@pytest.fixture(scope="module")
def rows(patients):
    return cut_into_rows(patients, (400.0, 1200.0))


def figures(found, of="figures"):
    return {name: (one.value, one.lower, one.upper) for name, one in getattr(found.models["model"], of).items()}


def test_start_stop_rows_of_covariates_that_stay_are_judged_as_the_patients_are(patients, rows):
    whole = evaluate_survival(patients, COVARIATES, patient="patient", subgroups_by=["ulcer"], **QUICK)
    cut = evaluate_survival(rows, COVARIATES, start="start", patient="patient", subgroups_by=["ulcer"], **QUICK)
    assert (cut.patients, cut.events, cut.settings["rows"]) == (whole.patients, whole.events, len(rows))
    assert list(cut.horizons) == list(whole.horizons) and len(rows) > 1000
    for of in ("figures", "cross_validated"):
        ours, theirs = figures(cut, of), figures(whole, of)
        assert list(ours) == list(theirs)
        np.testing.assert_allclose(list(ours.values()), list(theirs.values()), rtol=1e-8)
    one, other = (found.models["model"] for found in (cut, whole))
    for label in whole.horizons:
        assert one.calibration[label].slope == pytest.approx(other.calibration[label].slope, rel=1e-7)
        np.testing.assert_allclose(one.calibration[label].observed, other.calibration[label].observed)
    assert one.subgroups[0].harrell_c == pytest.approx(other.subgroups[0].harrell_c)
    assert one.risk_groups.chi_square == pytest.approx(other.risk_groups.chi_square)
    assert any("from each patient's first row" in note for note in one.notes)


def test_later_rows_change_no_figure_at_a_horizon(patients, rows):
    model = fit_survival(patients, COVARIATES)
    later = rows.assign(image_score=np.where(rows.start > 0, rows.image_score + rows.event * 9, rows.image_score))
    before, after = (
        evaluate_survival(table, {"model": model}, start="start", patient="patient", **QUICK) for table in (rows, later)
    )
    ours, theirs = figures(after), figures(before)
    assert ours["harrell_c"][0] > theirs["harrell_c"][0] + 0.1  # what is known later does rank better, later
    for name in ours:
        if name.startswith(("auc", "brier", "uno", "integrated")):
            assert ours[name] == theirs[name]
    one, other = (found.models["model"].calibration["5y"] for found in (after, before))
    assert one.slope == other.slope and (one.observed == other.observed).all()


def test_late_entry_leaves_what_can_be_judged_and_says_why_not_the_rest(patients):
    late = patients.assign(start=np.where(patients.index % 3 == 0, np.floor(patients.time / 2), 0.0))
    found = evaluate_survival(late, COVARIATES, start="start", **QUICK)
    assert not found.horizons and set(found.dropped) == {"1y", "3y", "5y", "7y"}
    assert "200 of 600 patients enter after the origin" in found.dropped["5y"]
    model = found.models["model"]
    assert set(model.figures) == {"harrell_c", "calibration_slope"} == set(model.cross_validated)
    data = survival_times(late.time, late.event, late.start)
    fit = fit_survival(late, COVARIATES, start="start").fit
    apparent = harrell_c(data, late[COVARIATES].to_numpy() @ fit.beta).value
    assert model.figures["harrell_c"].apparent == pytest.approx(apparent, abs=1e-12)
    assert model.risk_groups.p_value < 1e-3 and not model.calibration and not model.decision_curves
    for judge in (calibration_at, decision_curve):
        with pytest.raises(OutsideFollowUpError, match="200 of 600 rows enter after the origin"):
            judge(data, np.full(600, 0.1), 1000.0)


def test_strata_have_each_a_hazard_that_goes_into_the_risk(patients):
    found = evaluate_survival(patients, COVARIATES, strata="clinic", horizons_years=(3, 5), **QUICK)
    assert found.settings["strata"] == ["clinic"]
    model = fit_survival(patients, COVARIATES, strata="clinic")
    data = survival_times(patients.time, patients.event, stratum=patients.clinic)
    at = np.array([3 * YEAR, 5 * YEAR])
    predicted = predict_survival(model, patients, at)
    apparent = {name: one.apparent for name, one in found.models["model"].figures.items()}
    assert apparent["harrell_c"] == pytest.approx(model.fit.concordance.value, abs=1e-12)
    auc, brier = auc_at(data, data, predicted.risk, at), brier_scores(data, data, predicted.survival, at)
    np.testing.assert_allclose([apparent["auc_3y"], apparent["auc_5y"]], auc, rtol=1e-9)
    np.testing.assert_allclose([apparent["brier_3y"], apparent["brier_5y"]], brier, rtol=1e-9)
    assert apparent["calibration_slope"] == pytest.approx(1.0, abs=1e-6)


def test_a_finished_model_with_strata_is_compared_within_them(patients):
    model = fit_survival(patients, COVARIATES, strata="clinic")
    found = evaluate_survival(patients, model, **QUICK)
    assert found.settings["strata"] == ["clinic"]
    assert found.models["model"].figures["harrell_c"].value == pytest.approx(model.fit.concordance.value, abs=1e-12)
    other = fit_survival(patients, COVARIATES, strata="male")
    with pytest.raises(SurvivalTimesError, match="different strata"):
        evaluate_survival(patients, {"one": model, "other": other}, **QUICK)


def test_the_quick_fit_has_the_hazards_of_all_strata(patients):
    data = survival_times(patients.time, patients.event, stratum=patients.clinic)
    at, matrix = np.array([500.0, 2000.0]), patients[COVARIATES].to_numpy()
    for ties in ("efron", "breslow"):
        quick = fit_risk_model(data, matrix, tuple(COVARIATES), at, ties=ties, strata=2)
        full = predict_survival(fit_survival(patients, COVARIATES, strata="clinic", ties=ties), patients, at)
        found = quick.survival(quick.predictor(matrix), data.stratum)
        np.testing.assert_allclose(found, full.survival, rtol=1e-8)


def test_a_stratum_without_an_event_is_named_and_predicts_nothing(patients):
    table = patients.assign(event=np.where(patients.clinic == 1, 0, patients.event))
    with pytest.raises(TooFewEventsError, match="no event in stratum clinic=1"):
        evaluate_survival(table, COVARIATES, strata="clinic", **QUICK)
    model = fit_survival(table, COVARIATES, strata="clinic")
    assert any("no event in stratum clinic=1" in note for note in model.notes)
    risk = predict_survival(model, table, [500.0]).risk[:, 0]
    np.testing.assert_array_equal(np.isnan(risk), table.clinic == 1)


def test_a_horizon_that_a_stratum_does_not_reach_is_left_out_with_the_stratum(patients):
    found = evaluate_survival(patients, COVARIATES, strata="clinic", horizons_years=(5, 9), **QUICK)
    assert list(found.horizons) == ["5y"] and "stratum clinic=1 is followed up to 3000 only" in found.dropped["9y"]


def test_a_horizon_with_few_events_or_few_at_risk_is_insufficient(patients):
    by_one_year = int(((patients.time <= YEAR) & (patients.event == 1)).sum())
    table = patients[(patients.time > YEAR) | (patients.event == 0) | (patients.index % 2 == 0)]
    few = int(((table.time <= YEAR) & (table.event == 1)).sum())
    assert few < 20 <= by_one_year
    found = evaluate_survival(table, COVARIATES, horizons_years=(1, 5), **QUICK)
    assert list(found.horizons) == ["5y"] and "auc_1y" not in found.models["model"].figures
    assert found.dropped["1y"] == f"insufficient: {few} events by 365.25, 20 are the least"
    early = (patients.index >= 12) & (patients.time > 2500)
    left = patients.assign(time=patients.time.where(~early, 2500), event=patients.event.where(~early, 0))
    beyond = evaluate_survival(left, COVARIATES, horizons_years=(5, 8), **QUICK)
    assert list(beyond.horizons) == ["5y"]
    assert beyond.dropped["8y"] == f"insufficient: {(left.time > 2922).sum()} at risk after 2922, 20 are the least"


def test_with_no_sufficient_horizon_concordance_is_left(patients):
    table = patients[: int(np.searchsorted(patients.event.cumsum(), 15)) + 1]
    assert table.event.sum() == 15
    found = evaluate_survival(table, ["log2_thickness"], **QUICK)
    assert not found.horizons and all(why.startswith("insufficient") for why in found.dropped.values())
    assert set(found.models["model"].figures) == {"harrell_c", "calibration_slope"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.assign(start=t.start.clip(upper=300.0)), r"rows overlap in \d+ patients, first row \d"),
        (lambda t: t.assign(event=1), r"\d+ patients have rows after the event, first row \d"),
    ],
)
def test_rows_that_cannot_be_of_one_patient_are_refused(rows, change, words):
    with pytest.raises(SurvivalTimesError, match=words):
        evaluate_survival(change(rows), COVARIATES, start="start", patient="patient", **QUICK)


def test_tumours_of_one_patient_are_not_taken_as_independent(patients):
    models = {"less": COVARIATES[:2], "more": COVARIATES}
    two_each = patients.assign(patient=patients.index // 2)
    alone, together = (
        evaluate_survival(table, models, patient="patient", horizons_years=(5,), **QUICK).gains[0]
        for table in (patients, two_each)
    )
    assert alone.added is not None and alone.population
    assert together.added is None and not together.population and together.figures["harrell_c"].value > 0


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans(), st.lists(st.integers(1, 39))), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_rows_in_any_order_come_back_as_whole_follow_ups(people):
    table = []
    for who, (stop, event, cuts) in enumerate(people):
        edges = [0, *sorted({cut for cut in cuts if cut < stop}), stop]
        table += [(who, low, high, event and high == stop) for low, high in pairwise(edges)]
    shuffled = [table[i] for i in np.random.default_rng(len(table)).permutation(len(table))]
    who, start, stop, event = (np.array(column) for column in zip(*shuffled, strict=True))
    found = follow_up(survival_times(stop, event, start), who)
    assert found.late == 0 and len(found.patients) == len(people)
    for row in np.flatnonzero(found.first):
        end, died, _ = people[who[row]]
        assert (found.rows.start[row], found.whole.stop[row], found.whole.event[row]) == (0, end, died)
