"""How melanoma-like an evolution is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longderm.change.evolution import (
    EITHER_WAY,
    INPUTS,
    INTERVAL,
    REQUIRED,
    RISING,
    EvolutionModel,
    in_mdc,
    judge_differences,
    judge_evolution,
)
from longderm.change.result import Delta

HEAD = Path(__file__).parents[1] / "bench" / "results" / "evolution_head.json"

QUIET = dict.fromkeys((*RISING, *EITHER_WAY), 0.2)
WEIGHTS = st.fixed_dictionaries(
    {name: st.floats(0, 3) for name in RISING} | {name: st.floats(-2, 2) for name in EITHER_WAY}
)
DIFFERENCES = st.fixed_dictionaries({name: st.floats(-5, 5) for name in (*RISING, *EITHER_WAY)})


def model_of(weights, bias=-1.0, interval=-0.3):
    return EvolutionModel({**dict.fromkeys(INPUTS, 0.0), **weights, INTERVAL: interval}, bias, QUIET)


@given(WEIGHTS, DIFFERENCES, st.sampled_from(RISING), st.floats(0, 4), st.integers(20, 900))
def test_more_of_what_the_field_calls_a_sign_never_makes_an_evolution_less_melanoma_like(
    weights, differences, name, more, days
):
    before = judge_differences(differences, days, model_of(weights)).score
    after = judge_differences({**differences, name: differences[name] + more}, days, model_of(weights)).score
    assert after >= before


@given(WEIGHTS, DIFFERENCES, st.integers(20, 900), st.integers(1, 900))
def test_the_same_difference_over_a_longer_time_is_never_more_melanoma_like(weights, differences, days, longer):
    model = model_of(weights)
    assert (
        judge_differences(differences, days + longer, model).score <= judge_differences(differences, days, model).score
    )


@pytest.mark.parametrize("name", REQUIRED)
def test_without_size_symmetry_colour_and_structure_nothing_is_said_and_the_reason_is(name):
    differences = {key: value for key, value in QUIET.items() if key != name}
    judged = judge_differences(differences, 90, model_of({"area": 1.0}))
    assert judged.score is None and name.replace("_", " ") in judged.reasons[0]


def test_another_difference_that_is_missing_counts_as_on_benign_lesions():
    model = model_of({"colour_count": 2.0, "colour_local": 1.0})
    without = {key: value for key, value in QUIET.items() if key != "colour_count"}
    assert judge_differences(without, 90, model) == judge_differences(QUIET, 90, model)


def test_what_leads_is_what_raised_the_score_over_a_benign_lesions_the_most_first():
    model = model_of({"colour_local": 1.0, "border_asymmetry": 1.0, "area": 1.0})
    judged = judge_differences({**QUIET, "border_asymmetry": 1.0, "colour_local": 2.0, "area": 0.1}, 90, model)
    assert judged.leading == ("colour_local", "border_asymmetry")


def test_differences_are_taken_in_units_of_their_mdc_with_their_sign():
    deltas = (
        Delta("area", "%", 100.0, 80.0, -20.0, 10.0, True),
        Delta("colour_local", "Lab", None, None, 3.0, 6.0, False),
        Delta("area_mm2", "mm2", 10.0, 8.0, -2.0, None, None),
    )
    assert in_mdc(deltas) == {"area": -2.0, "colour_local": 0.5}
    whole = tuple(Delta(name, "1", None, None, 0.4, 2.0, False) for name in QUIET)
    model = model_of({"colour_local": 1.0})
    assert judge_evolution(whole, 90, model) == judge_differences(QUIET, 90, model)


def test_photos_of_one_day_or_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match="later"):
        judge_differences(QUIET, 0, model_of({}))


def test_a_release_without_the_field_has_no_such_score():
    assert EvolutionModel.from_config({"noise": {}}) is None


def test_the_fitted_head_keeps_its_signs_and_size_alone_does_not_win():
    model = EvolutionModel.from_config({"evolution": json.loads(HEAD.read_text())})
    assert all(model.weights[name] >= 0 for name in RISING) and model.weights[INTERVAL] <= 0
    total = sum(abs(value) for name, value in model.weights.items() if name != INTERVAL)
    assert model.weights["area"] <= 0.30 * total + 1e-6
    only_grown = {**model.typical, "area": 3.0}
    uneven = {**model.typical, "border_asymmetry": 1.5, "colour_local": 1.5, "structure_uneven": 1.5}
    assert judge_differences(only_grown, 91, model).score < judge_differences(uneven, 91, model).score
    assert judge_differences(dict(model.typical), 91, model).score < 0.5
