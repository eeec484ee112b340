"""The elastic net against scikit-learn and against its own optimality conditions."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longderm.prognosis.elastic_net_logistic import Penalty, fit_logistic, fit_path, largest_penalty, probability


def drawn(rows, columns, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)) @ (np.eye(columns) + 0.4 / np.sqrt(columns) * rng.normal(size=(columns,) * 2))
    x = (x - x.mean(0)) / x.std(0)
    return x, (rng.random(rows) < probability(x[:, 0] - x[:, 1] + 0.5)).astype(float)


def missed(x, y, penalty, fit):
    """By how much the optimality conditions are missed."""
    residual = probability(fit.log_odds(x)) - y
    gradient = x.T @ residual / y.size + penalty.l2 * fit.beta
    zero = fit.beta == 0
    kept = np.abs(gradient + penalty.l1 * np.sign(fit.beta))
    columns = np.where(zero, np.maximum(np.abs(gradient) - penalty.l1, 0), kept)
    return max(columns.max(), abs(residual.mean()))


@pytest.mark.parametrize(("rows", "columns"), [(200, 8), (120, 40), (60, 90)])
@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("strength", [0.05, 0.01])
def test_coefficients_are_those_of_scikit_learn(rows, columns, ratio, strength):
    from sklearn.linear_model import LogisticRegression

    x, y = drawn(rows, columns, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = LogisticRegression(
            penalty="elasticnet", solver="saga", C=1 / (rows * strength), l1_ratio=ratio, tol=1e-8, max_iter=20000
        ).fit(x, y)
    fit = fit_logistic(x, y, Penalty(strength, ratio, np.ones(columns)))
    assert fit.beta == pytest.approx(oracle.coef_[0], abs=1e-4)
    assert fit.intercept == pytest.approx(oracle.intercept_[0], abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(8, 60), st.integers(1, 25), st.floats(0.0, 1.0), st.floats(0.003, 0.5))
def test_every_fit_meets_the_conditions_of_its_optimum(seed, rows, columns, ratio, strength):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns))
    y = np.zeros(rows)
    y[: max(1, rows // 3)] = 1.0
    penalty = Penalty(strength, ratio, rng.uniform(0.1, 2.0, columns))
    assert missed(x, y, penalty, fit_logistic(x, y, penalty)) < 1e-6


def test_a_column_that_separates_has_a_finite_coefficient_under_a_penalty():
    y = np.repeat([0.0, 1.0], 20)
    x = np.column_stack([np.linspace(-1, 1, 40), np.ones(40) * 0.0])
    fit = fit_logistic(x, y, Penalty(1e-3, 0.5, np.ones(2)))
    assert np.isfinite(fit.beta).all() and fit.beta[0] > 3 and fit.beta[1] == 0


def test_the_largest_penalty_is_the_least_that_leaves_nothing():
    x, y = drawn(150, 12, 2)
    factors = np.linspace(0.5, 2, 12)
    top = largest_penalty(x, y, 0.6, factors)
    none, some = fit_path(x, y, np.array([top * 1.0001, top * 0.98]), 0.6, factors)
    assert not none.beta.any() and some.beta.any()


def test_a_path_ends_where_a_single_fit_does():
    x, y = drawn(150, 30, 3)
    path = fit_path(x, y, np.array([0.1, 0.03, 0.01]), 0.5, np.ones(30))
    assert path[-1].beta == pytest.approx(fit_logistic(x, y, Penalty(0.01, 0.5, np.ones(30))).beta, abs=1e-6)
