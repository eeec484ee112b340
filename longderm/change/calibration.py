"""Fit a release of kind "change": the noise of each measure, the weights of the score, and the calibration scores.

Pure arithmetic on observed pairs. Stable pairs make the noise; changed pairs only weigh the measures against each
other. The calibration scores come from patients whose pairs served for nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.change.evidence import (
    APPEARANCE,
    DISTANCES,
    MEASURES,
    SPECS,
    Z95,
    Noise,
    NoiseModel,
    Observation,
    evidence,
    score_of,
)

#: Fewer stable pairs than this say nothing of a measure's noise; it is then left out.
MIN_STABLE_PAIRS = 20
#: A normal distribution's standard deviation over its median absolute deviation.
MAD_TO_SD = 1.4826
#: The noise of a measure is not taken to be finer than this (its own unit; counts and shares change in steps).
SPREAD_FLOOR = {"count": 0.5, "Lab": 0.1, "1": 0.005, "%": 0.01}
#: The size group may carry at most this share of all weight: size alone must not win.
SIZE_SHARE_MAX = 0.30
#: The logistic fit is held to equal weights by this penalty (per pair): some hundred pairs cannot tell
#: seventeen correlated measures apart, and what the simulator does not change may well change in a clinic.
RIDGE = 0.01
EQUAL_WEIGHT = 1.0
#: Beside a network, whose log odds already weigh what it sees, each other measure is held near to little instead: it is
#: to tell what the network missed, and its noise is not to drown what the network saw.
BESIDE_NETWORK_WEIGHT, BESIDE_NETWORK_RIDGE = 0.1, 0.03

Pairs = Sequence[Sequence[Observation]]


def fit_noise(stable: Pairs) -> dict[str, Noise]:
    """Centre, spread and 95% MDC of every measure over stable pairs.

    MDC = 1.96 sqrt(2) SD of one measurement = 1.96 SD of the difference (Weir 2005, doi 10.1519/15184.1), with a robust
    SD (1.4826 MAD; about 0 for measures with a sign, since the order of two photos of a stable lesion is arbitrary); or
    the 95th percentile of |difference| where the tails are heavier than normal: whichever is more. The spread is that
    of a normal distribution with this MDC, so that a mask that once failed does not count as 15 SD.
    """
    fitted = {}
    for spec in MEASURES:
        values = np.array([o.value for pair in stable for o in pair if o.measure == spec.name])
        if len(values) < MIN_STABLE_PAIRS:
            continue
        distance = spec.kind in DISTANCES
        centre = float(np.median(values)) if distance else 0.0
        spread = max(MAD_TO_SD * float(np.median(np.abs(values - centre))), SPREAD_FLOOR[spec.unit])
        tail = float(np.quantile(values if distance else np.abs(values), 0.95))
        mdc = max(centre + Z95 * spread, tail)
        fitted[spec.name] = Noise(round(centre, 6), round((mdc - centre) / Z95, 6), round(mdc, 6))
    return fitted


def fit_weights(
    stable: Pairs,
    changed: Pairs,
    noise: Mapping[str, Noise],
    prior: Mapping[str, float] | None = None,
    ridge: float = RIDGE,
) -> tuple[dict[str, float], float]:
    """Weights (none negative) and bias of the score: a logistic regression of changed against stable pairs.

    Both classes count the same in sum. Weights below zero are not allowed, so that the score rises with every
    difference; the size group is held to SIZE_SHARE_MAX of all weight, where anything else has some. prior: the
    weights that `ridge` holds the fit to, 0 where it names none; without it they are all EQUAL_WEIGHT.
    """
    from scipy.optimize import minimize

    names = sorted(noise)
    rows = np.array([_evidence_row(pair, names, noise) for pair in [*stable, *changed]])
    target = np.array([0.0] * len(stable) + [1.0] * len(changed))
    held_to = np.array([EQUAL_WEIGHT if prior is None else prior.get(name, 0.0) for name in names])
    weight = np.where(target > 0, 0.5 / max(len(changed), 1), 0.5 / max(len(stable), 1))

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logit = np.einsum("ni,i->n", rows, parameters[1:]) + parameters[0]
        probability = 1.0 / (1.0 + np.exp(-logit))
        value = float((weight * (np.logaddexp(0.0, logit) - target * logit)).sum())
        residual = weight * (probability - target)
        away = parameters[1:] - held_to
        gradient = np.concatenate([[residual.sum()], np.einsum("ni,n->i", rows, residual) + 2.0 * ridge * away])
        return value + ridge * float((away**2).sum()), gradient

    bounds = [(None, None)] + [(0.0, None)] * len(names)
    start = np.concatenate([[-1.0], held_to])
    result = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B")
    weights = {name: float(value) for name, value in zip(names, result.x[1:], strict=True)}
    size = sum(value for name, value in weights.items() if SPECS[name].group == "size")
    rest = sum(weights.values()) - size
    if size > SIZE_SHARE_MAX / (1.0 - SIZE_SHARE_MAX) * rest > 0:
        shrink = SIZE_SHARE_MAX / (1.0 - SIZE_SHARE_MAX) * rest / size
        weights = {n: v * shrink if SPECS[n].group == "size" else v for n, v in weights.items()}
    return {name: round(value, 6) for name, value in weights.items() if value > 1e-4}, round(float(result.x[0]), 6)


def fit_release(stable: Pairs, changed: Pairs, calibration: Pairs, alpha: float) -> dict[str, Any]:
    """The numbers of a release's config.json. `calibration`: stable pairs of other patients, one per patient."""
    noise = fit_noise(stable)
    if APPEARANCE in noise:
        prior = dict.fromkeys(noise, BESIDE_NETWORK_WEIGHT) | {APPEARANCE: 1.0}
        weights, bias = fit_weights(stable, changed, noise, prior, BESIDE_NETWORK_RIDGE)
    else:
        weights, bias = fit_weights(stable, changed, noise)
    model = NoiseModel(noise, weights, bias, (), alpha)
    return {
        "alpha": alpha,
        "bias": bias,
        "calibration_scores": sorted(score_of(pair, model) for pair in calibration),
        "noise": {
            name: {"centre": n.centre, "mdc": n.mdc, "spread": n.spread, "unit": _unit(name)}
            for name, n in sorted(noise.items())
        },
        "weights": dict(sorted(weights.items())),
    }


def _unit(name: str) -> str:
    return "log ratio" if SPECS[name].kind == "ratio" else SPECS[name].unit


def _evidence_row(pair: Sequence[Observation], names: Sequence[str], noise: Mapping[str, Noise]) -> list[float]:
    values = {o.measure: evidence(o, noise[o.measure]) for o in pair if o.measure in noise}
    return [values.get(name, 0.0) for name in names]
