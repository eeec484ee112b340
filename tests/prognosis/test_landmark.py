"""Landmark rows know nothing later than their visit, and the risks they give come true."""

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxTimeVaryingFitter

from longderm import evaluate_survival, fit_survival
from longderm.prognosis.calibration import calibration_at
from longderm.prognosis.errors import SurvivalTimesError
from longderm.prognosis.landmark import fit_landmark, landmark_rows, predict_landmark, start_stop_rows
from longderm.prognosis.survival_times import survival_times
from longderm.simulate.cohort import simulate_cohort

YEAR = 365.25
CLINICAL = ["log2_thickness", "ulcer", "age_decades", "male"]


def rows_of(cohort):
    patients = {name: column for name, column in cohort.patients.items() if name != "image_score"}
    return landmark_rows(patients, cohort.visits, baseline=CLINICAL, measured=["image_score"])


def test_risks_of_unseen_patients_are_calibrated_at_three_and_five_years():
    test = rows_of(simulate_cohort(6000, 99, image_effect=0.6, image_step=0.25))
    data = survival_times(test.columns["time"], test.columns["event"])
    slopes = []
    for seed in (31, 41, 42, 43):  # the slope of one model of 2,000 patients scatters by 0.07 about its mean
        model = fit_landmark(rows_of(simulate_cohort(2000, seed, 0.6, 0.25)), [*CLINICAL, "image_score"])
        risk = predict_landmark(model, test).risk
        slopes.append([calibration_at(data, risk[:, k], years * YEAR).slope for k, years in enumerate((3, 5))])
    assert ((np.mean(slopes, axis=0) > 0.9) & (np.mean(slopes, axis=0) < 1.1)).all()
    assert model.fit.robust
    with pytest.raises(SurvivalTimesError, match=r"looks 5\.00 years ahead; 7 asked"):
        predict_landmark(model, test, [7])


def small():
    patients = pd.DataFrame({"patient_id": ["a", "b"], "time": [400, 900], "event": [1, 0], "age": [50, 60]})
    seen = pd.DataFrame(
        {
            "patient_id": ["b", "a", "a", "b", "b"],
            "day": [0, 0, 180, 500, 200],
            "score": [np.nan, 1.0, 2.0, 5.0, np.nan],
            "area": [7.0, np.nan, np.nan, np.nan, 8.0],
        }
    )
    return patients, seen


def test_each_visit_holds_the_last_values_known_by_then():
    rows = landmark_rows(*small(), baseline=["age"], measured=["score", "area"]).columns
    assert rows["patient"].tolist() == ["a", "a", "b", "b", "b"]
    assert rows["day"].tolist() == [0, 180, 0, 200, 500]
    assert rows["time"].tolist() == [400, 220, 900, 700, 400]
    np.testing.assert_array_equal(rows["score"], [1, 2, np.nan, np.nan, 5])
    np.testing.assert_array_equal(rows["area"], [np.nan, np.nan, 7, 8, 8])
    np.testing.assert_array_equal(rows["area_age_days"], [np.nan, np.nan, 0, 0, 300])


def test_later_measurements_change_no_earlier_row():
    cohort = simulate_cohort(50, 1, image_step=0.3)
    before = rows_of(cohort).columns
    late = cohort.visits["day"] > 700
    changed = cohort.visits | {"image_score": np.where(late, 99.0, cohort.visits["image_score"])}
    after = landmark_rows(
        {name: column for name, column in cohort.patients.items() if name != "image_score"},
        changed, baseline=CLINICAL, measured=["image_score"],
    ).columns  # fmt: skip
    early = before["day"] <= 700
    np.testing.assert_array_equal(before["image_score"][early], after["image_score"][early])
    assert (after["image_score"][~early] == 99).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"day": [0, 0, 401, 500, 200]}, "1 measurements are dated after the end"),
        ({"day": [0, -3, 180, 500, 200]}, "1 measurements are dated before the origin"),
        ({"patient_id": ["b", "a", "x", "b", "b"]}, "1 measurements belong to no patient"),
    ],
)
def test_measurements_that_cannot_have_been_known_are_refused(change, words):
    patients, seen = small()
    with pytest.raises(SurvivalTimesError, match=words):
        landmark_rows(patients, seen.assign(**change), baseline=["age"], measured=["score"])


def test_a_patient_listed_twice_is_refused():
    patients, seen = small()
    with pytest.raises(SurvivalTimesError, match="1 patients have several rows"):
        landmark_rows(pd.concat([patients, patients[:1]]), seen, baseline=["age"], measured=["score"])


def test_visits_as_start_stop_rows_give_the_time_varying_cox_model():
    rows = start_stop_rows(rows_of(simulate_cohort(700, 5, image_effect=0.6, image_step=0.25)))
    model = fit_survival(rows, [*CLINICAL, "image_score"], time="stop", start="start", cluster="patient")
    frame = pd.DataFrame(rows)[["patient", "start", "stop", "event", *CLINICAL, "image_score"]]
    theirs = CoxTimeVaryingFitter().fit(
        frame, id_col="patient", event_col="event", start_col="start", stop_col="stop",
        fit_options={"precision": 1e-10},
    )  # fmt: skip
    np.testing.assert_allclose(model.fit.beta, theirs.params_, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(model.fit.naive_covariance)), theirs.standard_errors_, atol=1e-6)
    effect, error = model.fit.beta[-1], model.fit.standard_error[-1]
    assert abs(effect - 0.6) < 3 * error < 0.35  # the hazard follows the last visit's score, as it was drawn
    found = evaluate_survival(
        rows, {"seen": [*CLINICAL, "image_score"]}, time="stop", start="start", patient="patient",
        horizons_years=(5,), bootstraps=3, folds=2, repeats=1,
    ).models["seen"]  # fmt: skip
    # what was seen last ranks better than what was seen first
    assert found.figures["harrell_c"].value > found.figures["uno_c"].value


def test_the_rows_of_a_patient_meet_and_end_with_the_event():
    rows = start_stop_rows(landmark_rows(*small(), baseline=["age"], measured=["score"]))
    assert rows["start"].tolist() == [0, 180, 0, 200, 500] and rows["stop"].tolist() == [180, 400, 200, 500, 900]
    assert rows["event"].tolist() == [0, 1, 0, 0, 0]
    np.testing.assert_array_equal(rows["score"], [1, 2, np.nan, np.nan, 5])
