"""Logistic regression under an elastic net, exact zeros included: arrays in, coefficients out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longderm.prognosis.errors import NotConvergedError
from longderm.prognosis.survival_times import Floats

#: The optimum is reached where no coefficient's optimality condition is missed by more than this; the gradient is per
#: row and the columns have unit spread, so it is far below any standard error.
OPTIMAL = 1e-8
#: Newton steps and coordinate sweeps within one; both are reached only where a column separates almost perfectly.
MOST_STEPS, MOST_SWEEPS = 200, 2000
#: Least weight of a row, so that rows predicted with certainty do not make the curvature vanish.
LEAST_WEIGHT = 1e-6


@dataclass(frozen=True)
class Penalty:
    """`strength` * (`l1_ratio` * |beta|_1 + (1 - `l1_ratio`) / 2 * |beta|^2), column j's share times `factors[j]`.

    Added to the mean negative log likelihood (Zou and Hastie, JRSSB 2005; Friedman, Hastie and Tibshirani, J Stat Softw
    2010). `factors` float64 (p,), above 0.
    """

    strength: float
    l1_ratio: float
    factors: Floats

    @property
    def l1(self) -> Floats:
        """Weight of each absolute value (p,)."""
        return self.strength * self.l1_ratio * self.factors

    @property
    def l2(self) -> Floats:
        """Weight of half of each square (p,)."""
        return self.strength * (1.0 - self.l1_ratio) * self.factors

    def value(self, beta: Floats) -> float:
        """The penalty of coefficients (p,)."""
        return float(self.l1 @ np.abs(beta) + 0.5 * self.l2 @ beta**2)


@dataclass(frozen=True)
class LogisticFit:
    """`intercept` and `beta` (p,) of log odds = intercept + columns @ beta."""

    intercept: float
    beta: Floats

    def log_odds(self, columns: Floats) -> Floats:
        """Of rows (n, p) -> (n,)."""
        return self.intercept + columns @ self.beta


def probability(log_odds: Floats) -> Floats:
    """The logistic function, without overflow."""
    from scipy.special import expit

    return np.asarray(expit(log_odds), np.float64)


def log_loss(log_odds: Floats, event: Floats) -> Floats:
    """Negative log likelihood of each row (n,); `event` 0 or 1."""
    return np.logaddexp(0.0, log_odds) - event * log_odds


def fit_logistic(
    columns: Floats, event: Floats, penalty: Penalty, start: LogisticFit | None = None, optimal: float = OPTIMAL
) -> LogisticFit:
    """Fit by proximal Newton steps whose quadratic problems are solved by coordinate descent on the active columns.

    `columns` (n, p) float64, centred and of unit spread; `event` (n,) 0.0 or 1.0, both present. The intercept is not
    penalised. `start`: a fit of a neighbouring penalty, which only saves time (Lee, Sun and Saunders, SIAM J Optim
    2014).

    Raises NotConvergedError where the optimum is not reached.
    """
    share = float(event.mean())
    fit = start or LogisticFit(float(np.log(share / (1.0 - share))), np.zeros(columns.shape[1]))
    odds = fit.log_odds(columns)
    value = float(log_loss(odds, event).mean()) + penalty.value(fit.beta)
    l1, l2 = penalty.l1, penalty.l2
    for _ in range(MOST_STEPS):
        fitted = probability(odds)
        gradient = columns.T @ (fitted - event) / event.size
        offset = float((fitted - event).mean())
        used = (fit.beta != 0) | (np.abs(gradient) > l1)
        smooth = gradient + l2 * fit.beta
        missed = np.where(fit.beta != 0, np.abs(smooth + l1 * np.sign(fit.beta)), np.maximum(np.abs(smooth) - l1, 0.0))
        if max(float(missed.max(initial=0.0)), abs(offset)) < optimal:
            return fit
        active = np.flatnonzero(used)
        part = columns[:, active]
        weight = np.maximum(fitted * (1.0 - fitted), LEAST_WEIGHT)
        mean = part.T @ weight / weight.sum()
        curvature = (part * weight[:, None]).T @ part / event.size - np.outer(mean, mean) * weight.mean()
        slope = gradient[active] - mean * offset
        target = _quadratic(curvature, slope, fit.beta[active], l1[active], l2[active], 0.01 * optimal)
        step = target - fit.beta[active]
        shift = -offset / float(weight.mean()) - float(mean @ step)
        fit, odds, new = _backtrack(fit, odds, value, part, active, step, shift, event, penalty)
        if new >= value and float(np.abs(step).max(initial=0.0)) < 0.01 * optimal:
            return fit  # as near as the last bits allow
        value = new
    raise NotConvergedError("the elastic net did not settle; raise its penalty, or leave out columns that separate")


def largest_penalty(columns: Floats, event: Floats, l1_ratio: float, factors: Floats) -> float:
    """The least strength at which every coefficient is 0; for a pure ridge, which has none, that of `l1_ratio` 0.01."""
    gradient = np.abs(columns.T @ (event - event.mean())) / event.size
    return float((gradient / factors).max(initial=0.0)) / max(l1_ratio, 0.01)


def fit_path(
    columns: Floats, event: Floats, strengths: Floats, l1_ratio: float, factors: Floats, optimal: float = OPTIMAL
) -> list[LogisticFit]:
    """Fits at each of `strengths` (k,), from the strongest down, each started at the one before."""
    fits: list[LogisticFit] = []
    for strength in strengths:
        penalty = Penalty(float(strength), l1_ratio, factors)
        fits.append(fit_logistic(columns, event, penalty, fits[-1] if fits else None, optimal))
    return fits


def _quadratic(curvature: Floats, slope: Floats, beta: Floats, l1: Floats, l2: Floats, settled: float) -> Floats:
    """Minimise slope'd + d'Cd/2 + the penalty of beta + d by coordinate descent; returns beta + d.

    Once the signs stay as they are in a sweep the rest is linear and solved at once.
    """
    if not l1.any():
        solved: Floats = beta - np.linalg.solve(curvature + np.diag(l2 + 1e-14), slope + l2 * beta)
        return solved
    new, signs = beta.copy(), np.sign(beta)
    pull = slope.copy()  # slope of the smooth part at `new`, less the ridge
    diagonal = np.maximum(np.diag(curvature), 1e-12)
    total = diagonal + l2
    for _ in range(MOST_SWEEPS):
        largest = 0.0
        for j in range(new.size):
            old = new[j]
            wanted = diagonal[j] * old - pull[j]
            fresh = np.sign(wanted) * max(abs(wanted) - l1[j], 0.0) / total[j]
            if fresh != old:
                new[j] = fresh
                pull += curvature[j] * (fresh - old)
                largest = max(largest, abs(fresh - old))
        if largest < settled:
            break
        if (np.sign(new) == signs).all():
            exact = _with_signs(curvature, slope, beta, l1, l2, signs)
            if exact is not None:
                return exact
        signs = np.sign(new)
    return new


def _with_signs(curvature: Floats, slope: Floats, beta: Floats, l1: Floats, l2: Floats, signs: Floats) -> Floats | None:
    """The minimum if the signs are right, None if they are not."""
    kept = np.flatnonzero(signs)
    right = -slope + curvature @ beta
    try:
        solved = np.linalg.solve(curvature[np.ix_(kept, kept)] + np.diag(l2[kept]), (right - l1 * signs)[kept])
    except np.linalg.LinAlgError:
        return None
    if (np.sign(solved) != signs[kept]).any():
        return None
    new = np.zeros(beta.size)
    new[kept] = solved
    rest = np.abs(right - curvature @ new) > l1 * (1.0 + 1e-12)
    rest[kept] = False
    return None if rest.any() else new


def _backtrack(
    fit: LogisticFit,
    odds: Floats,
    value: float,
    part: Floats,
    active: np.ndarray,
    step: Floats,
    shift: float,
    event: Floats,
    penalty: Penalty,
) -> tuple[LogisticFit, Floats, float]:
    """The longest of the halved steps that lowers the objective; the last tried where none does."""
    along = part @ step + shift
    length = 1.0
    while True:
        beta = fit.beta.copy()
        beta[active] += length * step
        moved = odds + length * along
        new = float(log_loss(moved, event).mean()) + penalty.value(beta)
        if new <= value + 1e-15 or length < 1e-6:
            return LogisticFit(fit.intercept + length * shift, beta), moved, new
        length /= 2.0
