"""What all figures of the change benchmark are made of: its score, a threshold, and intervals over photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from longderm.bench.rows import Row
from longderm.bench.statistics import bootstrap_interval

#: Value, low and high end; the value alone where there is nothing to redraw.
Figure = list[float]

#: The false-alarm rate at which sensitivity is told.
FALSE_ALARMS = 0.05


def score(row: Row) -> float:
    """The released score of a row."""
    return float(row["score"])


def baseline(name: str) -> Callable[[Row], float]:
    """What a baseline says of a row."""
    return lambda row: float(row["baselines"][name])


def threshold(stable: NDArray[np.float64]) -> float:
    """A value above it is an alarm: at most FALSE_ALARMS of the stable ones are."""
    return float(np.quantile(stable, 1.0 - FALSE_ALARMS, method="higher"))


def over_photos(rows: Sequence[Row], statistic: Callable[[NDArray[np.intp]], float]) -> Figure | None:
    """[value, low, high] of a statistic of row indices, photos redrawn with all their rows; None where undefined."""
    photos: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        photos.setdefault(row["photo"], []).append(index)
    groups = [np.array(photos[name], np.intp) for name in sorted(photos)]
    value = statistic(np.arange(len(rows)))
    if not groups or not np.isfinite(value):
        return None
    ends = bootstrap_interval(lambda drawn: statistic(np.concatenate([groups[i] for i in drawn])), len(groups))
    return [round(float(value), 4), *(ends or [])]


def share_of(alarms: Sequence[bool]) -> float | None:
    """Share of those that are so; None of none."""
    return round(float(np.mean(alarms)), 4) if alarms else None


def mean_of(values: NDArray[np.floating]) -> float:
    """The mean; NaN of none."""
    return float(values.mean()) if values.size else float("nan")
