"""Statistics that several benchmarks report."""

from __future__ import annotations

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
