"""Colour chart: a correction of linear RGB fitted to patches of known colour, with its error on patches left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.errors import UsageError
from longderm.imaging.colour import linear_to_lab

#: Ways to correct: "linear" is a 3x3 matrix; "root_polynomial" adds the square roots of the products of two channels,
#: which scale with exposure as the channels do (Finlayson, Mackiewicz and Hurlbert 2015, doi 10.1109/TIP.2015.2405336,
#: second degree).
METHODS = ("linear", "root_polynomial")
#: A fit needs more patches than it has coefficients per channel, one being left out.
_TERMS = {"linear": 3, "root_polynomial": 6}
#: Singular values below this share of the largest mean patches too alike (all of one grey) to fit by.
_MIN_CONDITION = 1e-4

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ColourCorrection:
    """A fitted correction: `method`, `matrix` float64 (terms, 3).

    error, error_worst: CIE 1976 colour difference (Delta E*ab) of patches that the fit did not see, each left out once:
    mean and largest. error_before: the mean without a correction. patches: how many there were.
    """

    method: str
    matrix: Floats
    error: float
    error_worst: float
    error_before: float
    patches: int

    def apply(self, linear: NDArray[np.floating]) -> NDArray[np.float32]:
        """Corrected linear sRGB (..., 3); may lie outside of [0, 1]."""
        return np.asarray(_terms(np.asarray(linear, np.float64), self.method) @ self.matrix, dtype=np.float32)


def fit_chart(
    measured: NDArray[np.floating], reference: NDArray[np.floating], method: str = "linear"
) -> ColourCorrection:
    """The correction that takes `measured` patches to their `reference`, both linear sRGB (N, 3).

    Least squares of linear light. Raises UsageError for an unknown method, arrays of other shapes, values that are not
    finite or negative, too few patches (4 for "linear", 7 for "root_polynomial"), or patches too alike.
    """
    if method not in METHODS:
        raise UsageError(f"colour correction must be one of {', '.join(METHODS)}, not {method!r}")
    seen, known = np.asarray(measured, np.float64), np.asarray(reference, np.float64)
    if seen.ndim != 2 or seen.shape[1:] != (3,) or seen.shape != known.shape:
        raise UsageError(f"patches must be two arrays (N, 3), not {seen.shape} and {known.shape}")
    if not (np.isfinite(seen).all() and np.isfinite(known).all() and (seen >= 0).all() and (known >= 0).all()):
        raise UsageError("patches must be finite linear light, not negative")
    if len(seen) <= _TERMS[method]:
        raise UsageError(f"{method} needs at least {_TERMS[method] + 1} patches, not {len(seen)}")
    terms = _terms(seen, method)
    matrix = _solve(terms, known)
    errors = np.empty(len(seen))
    for left_out in range(len(seen)):
        others = np.arange(len(seen)) != left_out
        guess = terms[left_out] @ _solve(terms[others], known[others])
        errors[left_out] = _difference(guess, known[left_out])
    before = float(np.mean([_difference(a, b) for a, b in zip(seen, known, strict=True)]))
    return ColourCorrection(method, matrix, float(errors.mean()), float(errors.max()), before, len(seen))


def _terms(linear: Floats, method: str) -> Floats:
    if method == "linear":
        return linear
    light = np.maximum(linear, 0.0)
    red, green, blue = light[..., 0], light[..., 1], light[..., 2]
    products = np.stack([np.sqrt(red * green), np.sqrt(green * blue), np.sqrt(red * blue)], axis=-1)
    return np.asarray(np.concatenate([linear, products], axis=-1))


def _solve(terms: Floats, known: Floats) -> Floats:
    sizes = np.linalg.svd(terms, compute_uv=False)
    if sizes[-1] < _MIN_CONDITION * max(float(sizes[0]), 1e-12):
        raise UsageError("the chart's patches are too alike to fit a correction")
    fit, *_ = np.linalg.lstsq(terms, known, rcond=None)
    return np.asarray(fit, np.float64)


def _difference(first: Floats, second: Floats) -> float:
    one, two = (linear_to_lab(np.clip(colour, 0, None)).astype(np.float64) for colour in (first, second))
    return float(np.linalg.norm(one - two))
