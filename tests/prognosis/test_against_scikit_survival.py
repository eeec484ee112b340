"""Uno's C, time-dependent AUC and Brier equal scikit-survival's to 1e-8 on three published data sets."""

import numpy as np
import pytest
from sksurv.datasets import load_flchain, load_gbsg2, load_veterans_lung_cancer, load_whas500
from sksurv.metrics import brier_score, concordance_index_ipcw, cumulative_dynamic_auc, integrated_brier_score
from sksurv.util import Surv

from longderm.prognosis import fit_cox, survival_times, uno_c
from longderm.prognosis.brier import brier_scores, integrated_brier
from longderm.prognosis.errors import OutsideFollowUpError, SurvivalTimesError, TooFewEventsError
from longderm.prognosis.kaplan_meier import step_at
from longderm.prognosis.time_dependent_auc import auc_at, mean_auc

LOADERS = {
    "flchain": (load_flchain, ["age", "kappa", "lambda"]),
    "gbsg2": (load_gbsg2, ["age", "pnodes", "progrec", "tsize"]),
    "veteran": (load_veterans_lung_cancer, ["Age_in_years", "Karnofsky_score", "Months_from_Diagnosis"]),
    "whas500": (load_whas500, ["age", "bmi", "hr"]),
}


@pytest.fixture(scope="module", params=sorted(LOADERS))
def cohort(request):
    """Train and test halves, times of both kinds, and predictions of a Cox model of the first half for the second."""
    load, names = LOADERS[request.param]
    features, outcome = load()
    event, stop = (outcome[name] for name in outcome.dtype.names)
    kept = stop > 0
    stop, event, matrix = stop[kept], event[kept], features[names].to_numpy(float)[kept]
    half = np.arange(stop.size) % 2 == 0
    last = stop.argmax()
    half[last] = True  # scikit-survival wants the follow-up of the test half inside that of the train half
    train, test = survival_times(stop[half], event[half]), survival_times(stop[~half], event[~half])
    fit = fit_cox(train, matrix[half], names)
    predictor = (matrix[~half] - fit.center) @ fit.beta
    times = np.unique(np.quantile(test.stop[test.event], np.linspace(0.1, 0.85, 7)))
    hazard = step_at(fit.baseline[0].times, fit.baseline[0].hazard, times, 0.0)
    survival = np.exp(-np.exp(predictor)[:, None] * hazard)
    theirs = [Surv.from_arrays(part.event, part.stop) for part in (train, test)]
    return train, test, predictor, survival, times, theirs


def test_uno(cohort):
    train, test, predictor, _, times, theirs = cohort
    assert uno_c(train, test, predictor, times[-1]) == pytest.approx(
        concordance_index_ipcw(*theirs, predictor, times[-1])[0], abs=1e-8
    )


def test_time_dependent_auc_and_its_mean(cohort):
    train, test, predictor, survival, times, theirs = cohort
    rounded = np.round(predictor, 1)  # many ties
    for risk in (predictor, rounded, 1 - survival):
        expected, mean = cumulative_dynamic_auc(*theirs, risk, times)
        found = auc_at(train, test, risk, times)
        np.testing.assert_allclose(found, expected, atol=1e-8)
        assert mean_auc(test, times, found) == pytest.approx(mean, abs=1e-8)


def test_brier_and_integrated_brier(cohort):
    train, test, _, survival, times, theirs = cohort
    np.testing.assert_allclose(
        brier_scores(train, test, survival, times), brier_score(*theirs, survival, times)[1], atol=1e-8
    )
    assert integrated_brier(train, test, survival, times) == pytest.approx(
        integrated_brier_score(*theirs, survival, times), abs=1e-8
    )


def test_one_event_with_ties():
    stop, event, risk = np.array([2.0, 2, 3, 4, 5]), np.array([1, 0, 0, 0, 0], bool), np.array([1.0, 1, 0, 2, 1])
    data, theirs = survival_times(stop, event), Surv.from_arrays(event, stop)
    assert auc_at(data, data, risk, 3)[0] == pytest.approx(cumulative_dynamic_auc(theirs, theirs, risk, 3)[0][0])
    survival = np.array([0.5, 0.4, 0.6, 0.7, 0.8])
    expected = brier_score(theirs, theirs, survival, 3)[1]
    np.testing.assert_allclose(brier_scores(data, data, survival, 3), expected, atol=1e-12)


def test_what_has_no_answer_says_why():
    none = survival_times([1, 2, 3], [0, 0, 0])
    with pytest.raises(TooFewEventsError, match="all patients are censored"):
        auc_at(none, none, [1, 2, 3], 2)
    data = survival_times([2, 3, 4, 6], [1, 0, 1, 1])
    for call in (lambda t: auc_at(data, data, [1, 2, 3, 4], t), lambda t: brier_scores(data, data, [0.5] * 4, t)):
        with pytest.raises(OutsideFollowUpError, match="time 6 lies past the last follow-up 6"):
            call(6)
        with pytest.raises(OutsideFollowUpError, match="before the first follow-up 2"):
            call(1)
    with pytest.raises(OutsideFollowUpError, match="no event has come by 3, the first is at 4"):
        auc_at(data, survival_times([2, 3, 4, 6], [0, 0, 1, 1]), [1, 2, 3, 4], 3)
    with pytest.raises(OutsideFollowUpError, match="all of the reference patients are censored"):
        brier_scores(survival_times([1, 2, 3], [1, 0, 0]), data, [0.5] * 4, 4)
    with pytest.raises(SurvivalTimesError, match=r"\[0, 1\]"):
        brier_scores(data, data, [0.5, np.nan, 0.5, 2], 4)
    with pytest.raises(SurvivalTimesError, match="two times"):
        integrated_brier(data, data, np.full((4, 1), 0.5), [4])
    rows = survival_times([2, 3, 4, 6], [1, 0, 1, 1], [0, 1, 0, 0])
    with pytest.raises(OutsideFollowUpError, match="enter after the origin"):
        brier_scores(rows, rows, [0.5] * 4, 4)
