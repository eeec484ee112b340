"""Fit how melanoma-like an evolution is (`longderm.change.evolution`) to pairs of known lesions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.change.evolution import EITHER_WAY, INPUTS, INTERVAL, REQUIRED, RISING, inputs_of
from longderm.errors import StageError

#: Pull of the weights towards 0, per pair: the differences are correlated, and some hundred pairs cannot tell apart
#: which of them a melanoma moves.
RIDGE = 0.01
#: Area may carry at most this share of what can raise the score: size alone must not win.
SIZE_SHARE_MAX = 0.30
#: Fewer lesions of a class than this fit nothing.
MIN_LESIONS = 20


@dataclass(frozen=True)
class EvolutionPair:
    """A pair to learn from: differences in units of their MDC, days between the visits, the lesion it is of."""

    differences: Mapping[str, float]
    interval_days: int
    malignant: bool
    lesion: str


def fit_evolution(pairs: Sequence[EvolutionPair]) -> dict[str, Any]:
    """The field "evolution" of a change release's config: a penalised logistic regression with signs that hold.

    Melanomas and benign lesions count the same in sum, and all pairs of a lesion as much as one. Raises StageError for
    fewer than MIN_LESIONS lesions of either.
    """
    from scipy.optimize import minimize

    usable = [pair for pair in pairs if all(name in pair.differences for name in REQUIRED)]
    malignant = np.array([pair.malignant for pair in usable], bool)
    lesions = [pair.lesion for pair in usable]
    for wanted in (True, False):
        found = len({name for name, is_malignant in zip(lesions, malignant, strict=True) if is_malignant == wanted})
        if found < MIN_LESIONS:
            which = "melanomas" if wanted else "benign lesions"
            raise StageError(f"{found} {which} with a pair that may be judged are too few to fit; take {MIN_LESIONS}")
    inputs = np.array([inputs_of(pair.differences, pair.interval_days) for pair in usable], np.float64)
    share = _balanced(lesions, malignant)
    names = (*RISING, *EITHER_WAY)
    typical = {name: round(float(np.nanmedian(inputs[~malignant, at])), 6) for at, name in enumerate(names)}
    filled = np.where(np.isnan(inputs), [*typical.values(), 0.0], inputs)
    target = malignant.astype(np.float64)

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = parameters[1:]
        logit = np.einsum("ni,i->n", filled, weights) + parameters[0]
        value = float((share * (np.logaddexp(0.0, logit) - target * logit)).sum() + RIDGE * (weights**2).sum())
        residual = share * (1.0 / (1.0 + np.exp(-logit)) - target)
        gradient = np.einsum("ni,n->i", filled, residual) + 2.0 * RIDGE * weights
        return value, np.concatenate([[residual.sum()], gradient])

    signs: dict[str, tuple[float | None, float | None]] = dict.fromkeys(RISING, (0.0, None))
    signs |= dict.fromkeys(EITHER_WAY, (None, None)) | {INTERVAL: (None, 0.0)}
    bounds = [(None, None), *(signs[name] for name in INPUTS)]
    fitted = minimize(loss, np.zeros(len(INPUTS) + 1), jac=True, bounds=bounds, method="L-BFGS-B")
    weights = dict(zip(INPUTS, (float(value) for value in fitted.x[1:]), strict=True))
    rest = sum(abs(weights[name]) for name in names if name != "area")
    weights["area"] = min(weights["area"], SIZE_SHARE_MAX / (1.0 - SIZE_SHARE_MAX) * rest)
    return {
        "bias": round(float(fitted.x[0]), 6),
        "typical": typical,
        "weights": {name: round(weights[name], 6) for name in INPUTS},
    }


def _balanced(lesions: Sequence[str], malignant: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights (n,) that sum to 1: half for each class, the same for every lesion of it."""
    of_lesion = {name: lesions.count(name) for name in set(lesions)}
    share = np.array([1.0 / of_lesion[name] for name in lesions])
    for wanted in (True, False):
        share[malignant == wanted] *= 0.5 / share[malignant == wanted].sum()
    return share
