"""Landmark predictions are judged landmark by landmark, by figures that one can work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from longderm.prognosis.calibration import calibration_at
from longderm.prognosis.errors import SurvivalTimesError, TooFewEventsError
from longderm.prognosis.figures import survival_figures
from longderm.prognosis.follow_up import follow_up
from longderm.prognosis.landmark import LandmarkRows, fit_landmark, landmark_rows, predict_landmark
from longderm.prognosis.landmark_evaluation import evaluate_landmark
from longderm.prognosis.survival_times import survival_times
from longderm.simulate.cohort import simulate_cohort

YEAR = 365.25
CLINICAL = ["log2_thickness", "ulcer", "age_decades", "male"]
COVARIATES = [*CLINICAL, "image_score"]


def rows_of(patients, seed):
    cohort = simulate_cohort(patients, seed, image_effect=0.6, image_step=0.25)
    people = {name: column for name, column in cohort.patients.items() if name != "image_score"}
    return landmark_rows(people, cohort.visits, baseline=CLINICAL, measured=["image_score"])


@pytest.fixture(scope="module")
def rows():
    return rows_of(700, 5)


@pytest.fixture(scope="module")
def model():
    return fit_landmark(rows_of(700, 6), COVARIATES)


def test_the_figures_of_a_landmark_are_those_of_one_visit_of_each_patient(rows, model):
    found = evaluate_landmark(rows, model, horizons_years=(3, 5), landmarks_years=(2,), bootstraps=2)
    everything, second = found.landmarks
    assert (everything.label, everything.visits) == ("all visits", len(rows))
    day, patient = rows.columns["day"], rows.columns["patient"]
    first = [np.flatnonzero((patient == one) & (day >= 2 * YEAR) & (day < 3 * YEAR))[:1] for one in np.unique(patient)]
    at = np.concatenate(first)
    assert (second.visits, second.patients) == (at.size, at.size)
    part = LandmarkRows({name: column[at] for name, column in rows.columns.items()})
    data = survival_times(part.columns["time"], part.columns["event"])
    predicted = predict_landmark(model, part)
    visits = follow_up(data)
    times = np.array([3, 5]) * YEAR
    told = survival_figures(
        visits, visits, predicted.linear_predictor, predicted.survival, times, ("3y", "5y"), ("auc", "brier")
    )
    for name in ("auc_3y", "auc_5y", "brier_3y", "brier_5y"):
        assert second.figures[name].value == pytest.approx(told[name], abs=1e-12)
    for k, years in enumerate((3, 5)):
        calibrated = calibration_at(data, predicted.risk[:, k], years * YEAR)
        assert second.figures[f"calibration_slope_{years}y"].value == pytest.approx(calibrated.slope)
        assert second.figures[f"observed_expected_{years}y"].value == pytest.approx(calibrated.observed_expected)
    within = (data.stop <= 5 * YEAR) & data.event
    assert second.events == within.sum()


def test_intervals_hold_the_value_and_the_same_seed_gives_them_again(rows, model):
    options = {"horizons_years": (3,), "landmarks_years": (0,), "bootstraps": 30}
    found, again = (evaluate_landmark(rows, model, seed=1, **options) for _ in range(2))
    assert found.to_dict() == again.to_dict()
    for figures in (one.figures for one in found.landmarks):
        assert all(one.lower < one.value < one.upper for one in figures.values())


def test_each_visit_is_judged_by_a_model_that_had_not_seen_its_patient(rows):
    noise = np.random.default_rng(0).normal(size=np.unique(rows.columns["patient"]).size)
    own = noise[np.unique(rows.columns["patient"], return_inverse=True)[1]]
    columns = rows.columns | {f"noise_{j}": np.roll(own, j * 37) for j in range(3)} | {"own": own}
    found = evaluate_landmark(LandmarkRows(columns), ["own"], horizons_years=(3,), landmarks_years=(), bootstraps=0)
    assert found.landmarks[0].figures["auc_3y"].value < 0.6  # nothing to be learnt of noise
    assert found.settings["folds"] == 5 and np.isnan(found.landmarks[0].figures["auc_3y"].lower)
    good = evaluate_landmark(rows, COVARIATES, horizons_years=(3,), landmarks_years=(), bootstraps=0)
    assert good.landmarks[0].figures["auc_3y"].value > 0.68
    assert good.patients == np.unique(rows.columns["patient"]).size


def test_few_events_are_insufficient_and_what_follow_up_does_not_reach_is_not_known(rows, model):
    found = evaluate_landmark(rows, model, horizons_years=(3, 5), landmarks_years=(5, 9), bootstraps=0)
    _, fifth, ninth = found.landmarks
    assert ninth.insufficient and not ninth.figures and ninth.events < 20
    late = {name: one.value for name, one in fifth.figures.items() if name.endswith("5y")}
    assert late and all(np.isnan(value) for value in late.values())  # nobody is followed to year 10 and beyond
    assert np.isfinite(fifth.figures["auc_3y"].value)


def test_visits_without_a_value_are_left_out_and_counted(rows, model):
    score = rows.columns["image_score"].copy()
    score[:40] = np.nan
    found = evaluate_landmark(
        LandmarkRows(rows.columns | {"image_score": score}),
        model,
        horizons_years=(3,),
        landmarks_years=(),
        bootstraps=0,
    )
    assert (found.left_out, found.landmarks[0].visits) == (40, len(rows) - 40)


def test_what_cannot_be_judged_is_said(rows, model):
    few = LandmarkRows({name: column[:60] for name, column in rows.columns.items()})
    with pytest.raises(TooFewEventsError, match="for 5 folds"):
        evaluate_landmark(few, COVARIATES, horizons_years=(3,))
    with pytest.raises(SurvivalTimesError, match="years ahead; 7 asked"):
        evaluate_landmark(rows, model, horizons_years=(7,))
    with pytest.raises(SurvivalTimesError, match="years above 0"):
        evaluate_landmark(rows, model, horizons_years=(0, 3))
