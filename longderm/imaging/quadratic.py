"""Quadratic scores: a symmetric form in a handful of features, fitted by penalised logistic or linear regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Newton's method has converged when no weight moves by more than this; it takes 8-12 steps here.
_CONVERGED = 1e-3
_MAX_STEPS = 25


@dataclass(frozen=True, eq=False)
class QuadraticScore:
    """x' A x with x = (features, 1): `form` float32 (n + 1, n + 1), upper triangular."""

    form: NDArray[np.float32]

    @classmethod
    def from_weights(cls, weights: Sequence[float]) -> QuadraticScore:
        """From the upper triangle, row by row: (n + 1)(n + 2) / 2 weights. Raises ValueError for another count."""
        size = round((np.sqrt(8 * len(weights) + 1) - 1) / 2)
        if size * (size + 1) // 2 != len(weights):
            raise ValueError(f"{len(weights)} weights are no upper triangle of a square")
        form = np.zeros((size, size), dtype=np.float32)
        form[np.triu_indices(size)] = weights
        return cls(form)

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores, float32 (...), of features (..., n)."""
        flat = features.reshape(-1, features.shape[-1])
        padded = np.concatenate([flat, np.ones((len(flat), 1), dtype=np.float32)], axis=1)
        return np.asarray(np.einsum("ni,ni->n", padded @ self.form, padded).reshape(features.shape[:-1]))


def expand(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """All products of two of (features, 1), float32 (N, (n + 1)(n + 2) / 2), in the order of the weights."""
    padded = np.concatenate([features, np.ones((len(features), 1), dtype=np.float32)], axis=1)
    rows, columns = np.triu_indices(padded.shape[1])
    return np.asarray(padded[:, rows] * padded[:, columns], dtype=np.float32)


def fit_logistic(
    features: NDArray[np.float32], labels: NDArray[np.bool_], weight: NDArray[np.float64], penalty: float = 1e-4
) -> NDArray[np.float64]:
    """Weights of the quadratic log-odds of `labels` (N,), each sample counted by `weight`; Newton's method, L2."""
    products = expand(features)
    share = weight / weight.sum()
    result = np.zeros(products.shape[1])
    for _ in range(_MAX_STEPS):
        score = np.clip(products @ result.astype(np.float32), -30, 30)
        probability = 1 / (1 + np.exp(-score))
        gradient = products.T @ (share * (probability - labels)).astype(np.float32) + penalty * result
        curvature = (share * probability * (1 - probability)).astype(np.float32)
        hessian = (products * curvature[:, None]).T @ products + penalty * np.eye(len(result))
        step = np.linalg.solve(hessian.astype(np.float64), gradient)
        result = result - step
        if np.abs(step).max() < _CONVERGED:
            break
    return result


def fit_linear(
    features: NDArray[np.float32],
    values: NDArray[np.float64],
    groups: NDArray[np.int64] | None = None,
    penalty: float = 1e-3,
) -> NDArray[np.float64]:
    """Weights of the quadratic that predicts `values` (N,) with least squares, L2.

    With `groups` (N,), only what tells apart the members of a group is fitted: the differences from the group's mean.
    """
    products = expand(features).astype(np.float64)
    if groups is not None:
        products, values = _centre(products, groups), _centre(values[:, None], groups)[:, 0]
    gram = products.T @ products / len(products) + penalty * np.eye(products.shape[1])
    return np.asarray(np.linalg.solve(gram, products.T @ values / len(products)))


def _centre(values: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    _, members, counts = np.unique(groups, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, members, values)
    return np.asarray(values - (sums / counts[:, None])[members])
