"""Logistic regressions by Newton's method: one that learns from many signs, one that calibrates what is said."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Calibration moves away from what is said only as far as the photos ask for: some structures are rare.
_CALIBRATION_PENALTY = 2.0
_NEWTON_STEPS = 15


def fit_ridge(
    inputs: NDArray[np.float64],
    labels: NDArray[np.bool_],
    penalty: float,
    counts: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Weights (n + 1,), the offset last, of the penalised logistic regression of labels (N,) on inputs (N, n).

    counts: for how many each row counts, (N,); None: one each.
    """
    times = np.ones(len(inputs)) if counts is None else counts
    padded = np.column_stack([inputs, np.ones(len(inputs))])
    penalties = penalty * np.diag([1.0] * inputs.shape[1] + [1e-3])
    weights = np.zeros(padded.shape[1])
    for _ in range(_NEWTON_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(padded @ weights, -30, 30)))
        curvature = (padded * (times * probability * (1 - probability))[:, None]).T @ padded + penalties
        weights -= np.linalg.solve(curvature, padded.T @ (times * (probability - labels)) + penalties @ weights)
    return weights


def fit_calibration(log_odds: NDArray[np.float64], labels: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset with which log-odds (N,) fit labels (N,) best, drawn towards 1 and 0; Newton's method."""
    inputs = np.column_stack([log_odds, np.ones(len(log_odds))])
    prior, penalty = np.array([1.0, 0.0]), np.array([_CALIBRATION_PENALTY, 0.1])
    fitted = prior.copy()
    for _ in range(50):
        probability = 1 / (1 + np.exp(-np.clip(inputs @ fitted, -30, 30)))
        gradient = inputs.T @ (probability - labels) + penalty * (fitted - prior)
        hessian = (inputs * (probability * (1 - probability))[:, None]).T @ inputs + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        # Far from its goal, Newton's method overshoots; steps of at most 1 get there as well.
        step *= min(1.0, 1.0 / max(float(np.linalg.norm(step)), 1e-12))
        fitted -= step
        if np.abs(step).max() < 1e-8:
            break
    # A structure that the network cannot tell must not become likelier the less it sees of it.
    return max(float(fitted[0]), 0.0), float(fitted[1])
