"""Concordance against counting every pair, and against scikit-survival for Uno's C."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sksurv.metrics import concordance_index_ipcw
from sksurv.util import Surv

from longderm.prognosis import harrell_c, survival_times, uno_c
from longderm.prognosis.errors import NoComparablePairsError, OutsideFollowUpError, SurvivalTimesError


def by_counting(stop, event, start, stratum, risk, weight):
    """Every ordered pair: i fails while j is at risk and j is known to live longer."""
    kinds = dict.fromkeys(("concordant", "discordant", "tied_risk", "tied_time", "tied_both"), 0)
    above = pairs = 0.0
    for i in range(len(stop)):
        for j in range(len(stop)):
            if i == j or not event[i] or stratum[i] != stratum[j] or not start[j] < stop[i]:
                continue
            if stop[i] == stop[j] and event[j]:
                kinds["tied_both" if risk[i] == risk[j] else "tied_time"] += int(i < j)
            elif stop[j] >= stop[i]:
                kind = "concordant" if risk[i] > risk[j] else "tied_risk" if risk[i] == risk[j] else "discordant"
                kinds[kind] += 1
                pairs += weight[i] * weight[j]
                above += weight[i] * weight[j] * {"concordant": 1.0, "tied_risk": 0.5, "discordant": 0.0}[kind]
    return kinds, above / pairs if pairs else None


rows = st.tuples(
    st.integers(1, 8), st.booleans(), st.integers(0, 7), st.integers(0, 1), st.integers(-3, 3)
)  # stop, event, start, stratum, risk


@given(st.lists(rows, min_size=2, max_size=25), st.booleans())
@settings(max_examples=120, deadline=None, derandomize=True)
def test_pairs_are_those_one_counts_by_hand(table, delayed):
    stop, event, start, stratum, risk = (np.array(column) for column in zip(*table, strict=True))
    start = np.minimum(start, stop - 1) if delayed else np.zeros(len(stop))
    data = survival_times(stop, event, start, stratum)
    kinds, value = by_counting(stop, event, start, stratum, risk, np.ones(len(stop)))
    if value is None:
        with pytest.raises(NoComparablePairsError):
            harrell_c(data, risk)
        return
    found = harrell_c(data, risk)
    assert {name: getattr(found, name) for name in kinds} == kinds
    assert found.value == pytest.approx(value, abs=1e-14)


def test_standard_error_is_the_infinitesimal_jackknife():
    rng = np.random.default_rng(5)
    stop, risk = np.ceil(rng.exponential(6, 40)), np.round(rng.normal(size=40), 1)
    event, start = rng.random(40) < 0.6, np.maximum(0, stop - rng.integers(1, 5, 40))
    stratum, patient = rng.integers(0, 2, 40), rng.integers(0, 12, 40)
    slopes = np.empty(40)
    for i in range(40):
        more, less = np.ones(40), np.ones(40)
        more[i], less[i] = 1 + 1e-5, 1 - 1e-5
        up, down = (by_counting(stop, event, start, stratum, risk, weight)[1] for weight in (more, less))
        slopes[i] = (up - down) / 2e-5
    data = survival_times(stop, event, start, stratum)
    assert harrell_c(data, risk).standard_error == pytest.approx(np.sqrt(np.sum(slopes**2)), rel=1e-6)
    grouped = np.sqrt(np.sum(np.bincount(patient, slopes) ** 2))
    assert harrell_c(data, risk, cluster=patient).standard_error == pytest.approx(grouped, rel=1e-6)


def test_risks_that_differ_in_their_last_bit_are_tied():
    found = harrell_c(survival_times([1, 2], [1, 0]), [0.3, 0.1 + 0.2])
    assert (found.tied_risk, found.value) == (1, 0.5)


@pytest.mark.parametrize("seed", range(4))
def test_uno_equals_scikit_survival_with_ties(seed):
    rng = np.random.default_rng(seed)
    stop, event = np.ceil(rng.exponential(10, 150)), rng.random(150) < 0.5
    risk = np.round(rng.normal(size=150), 1)
    data, theirs = survival_times(stop, event), Surv.from_arrays(event, stop)
    tau = float(np.quantile(stop, 0.8))
    expected = concordance_index_ipcw(theirs, theirs, risk, tau)[0]
    assert uno_c(data, data, risk, tau) == pytest.approx(expected, abs=1e-12)


def test_uno_with_one_event_equals_scikit_survival():
    stop, event, risk = np.array([2.0, 2, 3, 4, 4]), np.array([1, 0, 0, 0, 0], bool), np.array([1.0, 1, 0, 2, 1])
    theirs = Surv.from_arrays(event, stop)
    data = survival_times(stop, event)
    assert uno_c(data, data, risk) == pytest.approx(concordance_index_ipcw(theirs, theirs, risk)[0], abs=1e-12)


def test_uno_says_why_it_has_no_answer():
    none = survival_times([1, 2, 3], [0, 0, 0])
    with pytest.raises(NoComparablePairsError, match="all patients are censored"):
        uno_c(none, none, [1, 2, 3])
    train, test = survival_times([1, 2, 3], [1, 0, 0]), survival_times([1, 4, 5], [0, 1, 0])
    with pytest.raises(OutsideFollowUpError, match=r"an event at 4 .* tau"):
        uno_c(train, test, [1, 2, 3])
    with pytest.raises(NoComparablePairsError, match=r"tau = 0\.5"):
        uno_c(train, train, [1, 2, 3], tau=0.5)


def test_a_missing_risk_is_refused_by_row():
    with pytest.raises(SurvivalTimesError, match="row 1"):
        harrell_c(survival_times([1, 2, 3], [1, 1, 0]), [1, np.nan, 2])
