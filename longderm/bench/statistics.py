"""Statistics that several benchmarks report."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

#: Bootstrap samples of patients or pairs, and their seed.
BOOTSTRAP_SAMPLES, BOOTSTRAP_SEED = 1000, 1


def auroc(values: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve ties counted half (Mann-Whitney); NaN where one class is missing."""
    lower = np.sort(values[~positive])
    if not lower.size or not positive.any():
        return float("nan")
    below, up_to = (
        np.searchsorted(lower, values[positive], side="left"),
        np.searchsorted(lower, values[positive], side="right"),
    )
    return float((below + up_to).mean() / (2.0 * lower.size))


def wilson(count: int, total: int) -> tuple[float, float] | None:
    """Wilson's 95% interval of a share, rounded to 4 decimals; None of nothing."""
    if total == 0:
        return None
    z = 1.959964
    share = count / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * float(np.sqrt(share * (1 - share) / total + z * z / (4 * total * total)))
    return round(max(0.0, centre - half), 4), round(min(1.0, centre + half), 4)


def bootstrap_interval(statistic: Callable[[NDArray[np.intp]], float], count: int) -> list[float] | None:
    """95% interval of a statistic of `count` photos (or patients), rounded to 4 decimals; None of nothing.

    `statistic` takes the indices (count,) of the ones drawn, with repeats; draws for which it is NaN are left out.
    """
    if count == 0:
        return None
    picks = np.random.default_rng(BOOTSTRAP_SEED).integers(0, count, (BOOTSTRAP_SAMPLES, count))
    drawn = np.array([statistic(pick) for pick in picks], np.float64)
    drawn = drawn[np.isfinite(drawn)]
    return [round(float(end), 4) for end in np.percentile(drawn, [2.5, 97.5])] if drawn.size else None
