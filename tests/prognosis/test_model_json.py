"""A survival model through JSON: the same predictions, and nothing but a whole model is taken for one."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longderm.prognosis import fit_survival, predict_survival
from longderm.prognosis.model_json import ModelFormatError, model_from_json, model_to_json
from longderm.simulate.cohort import simulate_cohort

PATIENTS = simulate_cohort(160, seed=5).patients | {
    "site": np.array(["arm", "leg", "trunk", "trunk"] * 40),
    "clinic": np.array(["a", "b"] * 80),
    "person": np.arange(160) // 2,
}
TIMES = [200.0, 1000.0, 2500.0, 9000.0]

MODELS = {
    "plain": lambda: fit_survival(PATIENTS, ["log2_thickness", "ulcer"]),
    "texts": lambda: fit_survival(PATIENTS, ["log2_thickness", "site"]),
    "strata": lambda: fit_survival(PATIENTS, ["age", "ulcer"], strata=["clinic", "site"]),
    "clusters": lambda: fit_survival(PATIENTS, ["age", "image_score"], cluster="person"),
    "ridge": lambda: fit_survival(PATIENTS, ["age", "image_score"], penalty=0.1, ties="breslow"),
    "set aside": lambda: fit_survival(PATIENTS | {"same": np.ones(160)}, ["age", "same"]),
}


def through_json(model):
    return model_from_json(json.loads(json.dumps(model_to_json(model), allow_nan=False)))


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_that_is_read_back_predicts_what_was_written(kind):
    model = MODELS[kind]()
    read = through_json(model)
    before, after = (predict_survival(one, PATIENTS, TIMES) for one in (model, read))
    for name in ("survival", "lower", "upper", "linear_predictor"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=0, atol=1e-12)
    assert np.isnan(before.survival[:, -1]).all() and not np.isnan(before.survival[:, 0]).any()
    assert after.outside == before.outside
    assert read.summary() == model.summary()
    assert (read.terms, read.levels, read.strata, read.notes) == (model.terms, model.levels, model.strata, model.notes)
    assert (read.outcome, read.set_aside, read.fit.wald) == (model.outcome, model.set_aside, model.fit.wald)
    assert model_to_json(read) == model_to_json(model)


def test_an_elastic_net_whose_standard_errors_are_not_known_stays_so():
    read = through_json(fit_survival(PATIENTS, ["age", "image_score"], penalty=0.05, l1_ratio=0.5))
    assert np.isnan(read.fit.standard_error).all() and np.isfinite(read.fit.beta).all()


def test_residuals_of_single_patients_are_not_written():
    model = MODELS["plain"]()
    read = through_json(model)
    assert model.hazards_check.times.size and read.hazards_check.times.size == 0
    assert read.hazards_check.overall == model.hazards_check.overall


WRITTEN = model_to_json(MODELS["strata"]())


def paths(value, before=()):
    yield before
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in list(items)[:3]:
        yield from paths(one, (*before, key))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_part_that_is_gone_or_of_another_kind_is_one_clear_error_or_does_not_matter_to_predictions(data):
    path = data.draw(st.sampled_from([path for path in paths(WRITTEN) if path]))
    damaged = copy.deepcopy(WRITTEN)
    holder = damaged
    for key in path[:-1]:
        holder = holder[key]
    if data.draw(st.booleans()):
        del holder[path[-1]]
    else:
        holder[path[-1]] = data.draw(st.sampled_from([None, "x", [], {}]))
    try:
        read = model_from_json(damaged)
    except ModelFormatError as error:
        assert "\n" not in str(error)
        return
    assert path[0] not in ("coefficients", "center", "baseline", "ranges", "format", "covariance")
    assert np.array_equal(read.fit.beta, np.array(WRITTEN["coefficients"]))


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("format", 2, "format 1"),
        ("coefficients", [float("nan"), 0.1], "no number"),
        ("center", [1.0], "unequal"),
        ("ranges", [[0.0, 1.0]], "unequal"),
    ],
)
def test_what_is_wrong_with_a_model_is_said(part, value, words):
    with pytest.raises(ModelFormatError, match=words):
        model_from_json(WRITTEN | {part: value})


def test_a_cumulative_hazard_that_falls_is_refused():
    damaged = copy.deepcopy(WRITTEN)
    damaged["baseline"][0]["hazard"][-1] = 0.0
    with pytest.raises(ModelFormatError, match="falls"):
        model_from_json(damaged)
