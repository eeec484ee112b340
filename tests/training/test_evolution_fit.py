"""The fit of the evolution head."""

from __future__ import annotations

import numpy as np
import pytest

from longderm.change.evolution import EITHER_WAY, INTERVAL, RISING, EvolutionModel, judge_differences
from longderm.errors import StageError
from longderm.training.evolution import EvolutionPair, fit_evolution

NAMES = (*RISING, *EITHER_WAY)


def pairs_of(lesions, seed=3, shift=None):
    """Half melanomas, whose differences lie `shift` higher than those of the rest."""
    rng = np.random.default_rng(seed)
    pairs = []
    for number in range(lesions):
        malignant = number % 2 == 0
        drawn = {name: float(rng.normal((shift or {}).get(name, 0.0) * malignant, 0.5)) for name in NAMES}
        pairs.append(EvolutionPair(drawn, int(rng.integers(80, 400)), malignant, f"L{number}"))
    return pairs


def test_a_sign_that_points_the_wrong_way_in_the_data_gets_no_weight():
    weights = fit_evolution(pairs_of(200, shift={"colour_local": 1.0, "asymmetry_shape": -1.0}))["weights"]
    assert weights["colour_local"] > 0.3
    assert weights["asymmetry_shape"] == 0.0
    assert weights[INTERVAL] <= 0.0


def test_what_may_point_either_way_takes_the_sign_of_the_data():
    weights = fit_evolution(pairs_of(200, shift={"delta_a": -1.0, "colour_local": 0.5}))["weights"]
    assert weights["delta_a"] < -0.3


def test_size_gets_no_more_than_its_share_even_where_nothing_else_tells():
    weights = fit_evolution(pairs_of(200, shift={"area": 2.0}))["weights"]
    total = sum(abs(weights[name]) for name in NAMES)
    assert weights["area"] <= 0.30 * total + 1e-4


def test_a_fitted_head_tells_other_lesions_apart():
    shift = {"colour_local": 0.6, "structure_uneven": 0.6}
    model = EvolutionModel.from_config({"evolution": fit_evolution(pairs_of(200, shift=shift))})
    others = pairs_of(200, seed=4, shift=shift)
    scores = {True: [], False: []}
    for pair in others:
        scores[pair.malignant].append(judge_differences(pair.differences, pair.interval_days, model).score)
    wins = np.mean([high > low for high in scores[True] for low in scores[False]])
    assert wins > 0.8


def test_more_pairs_of_a_lesion_weigh_no_more_than_one():
    pairs = pairs_of(80, shift={"colour_local": 1.0})
    assert fit_evolution([*pairs, pairs[0], pairs[0], pairs[0]])["weights"] == pytest.approx(
        fit_evolution(pairs)["weights"], abs=2e-4
    )


def test_too_few_lesions_fit_nothing_and_say_how_many_it_takes():
    with pytest.raises(StageError, match=r"10 melanomas .* take 20"):
        fit_evolution(pairs_of(20))


def test_pairs_that_could_not_be_judged_teach_nothing():
    pairs = pairs_of(80, shift={"colour_local": 1.0})
    blind = EvolutionPair({"area": 3.0}, 90, True, "blind")
    assert fit_evolution([*pairs, blind]) == fit_evolution(pairs)
