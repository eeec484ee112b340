"""Times and events of patients, checked once; the estimators take nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longderm.prognosis.errors import SurvivalTimesError

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]

#: Times that differ by less than this, in units or relative to the mean time, are one time: days / 365.25 and sums of
#: intervals differ in their last bits. R's `survival` does the same (`aeqSurv`, square root of the machine epsilon).
TIED_TIMES = float(np.sqrt(np.finfo(np.float64).eps))


@dataclass(frozen=True)
class SurvivalTimes:
    """Follow-up of n rows, in one unit of time.

    `stop` float64 (n,): end of the row's follow-up, > 0; `event` bool (n,): it ended with the event. `start` float64
    (n,): the row is at risk in (start, stop]; all zero where everybody is followed from the origin. `stratum` int
    (n,): rows are compared within a stratum only; all zero without strata. Make it by `survival_times`.
    """

    stop: Floats
    event: Flags
    start: Floats
    stratum: Indices

    @property
    def delayed(self) -> bool:
        """Whether any row enters after the origin."""
        return bool((self.start > 0).any())

    @property
    def events(self) -> int:
        """How many rows end with the event."""
        return int(self.event.sum())

    def __len__(self) -> int:
        return int(self.stop.size)

    def take(self, rows: Indices | Flags) -> SurvivalTimes:
        """The rows at these positions, or where the flags are set; repeats are allowed."""
        return SurvivalTimes(self.stop[rows], self.event[rows], self.start[rows], self.stratum[rows])


def survival_times(
    stop: ArrayLike, event: ArrayLike, start: ArrayLike | None = None, stratum: ArrayLike | None = None
) -> SurvivalTimes:
    """Check follow-up times and bring them into shape.

    `stop`, `start` (n,): times in one unit; `event` (n,): bool or 0/1; `stratum` (n,): any labels. Times closer than
    `TIED_TIMES` become one.

    Raises SurvivalTimesError for no rows, unequal lengths, missing, negative or infinite times, `stop` of 0 or at or
    before `start`, and events that are neither 0 nor 1; the message gives the first row, counted from 0.
    """
    stops = _numbers("time", stop)
    if stops.size == 0:
        raise SurvivalTimesError("no patients: the table has no row to estimate from")
    flags = _numbers("event", event)
    _same_length("event", flags, stops)
    wrong = np.flatnonzero((flags != 0) & (flags != 1))
    if wrong.size:
        raise SurvivalTimesError(
            f"event is neither 0 nor 1 in {wrong.size} rows, first row {wrong[0]} ({flags[wrong[0]]:g}); "
            "code one event as 1 and all else as 0"
        )
    starts = np.zeros_like(stops) if start is None else _numbers("start", start)
    _same_length("start", starts, stops)
    stops, starts = _tie(stops, starts)
    if (starts < 0).any():
        row = int(np.flatnonzero(starts < 0)[0])
        raise SurvivalTimesError(f"start is negative in row {row} ({starts[row]:g}); count time from the origin")
    empty = np.flatnonzero(stops <= starts)
    if empty.size:
        row = int(empty[0])
        raise SurvivalTimesError(
            f"time {stops[row]:g} does not come after start {starts[row]:g} in {empty.size} rows, first row {row}; "
            "mend or leave out rows without follow-up"
        )
    strata = np.zeros(stops.size, np.intp)
    if stratum is not None:
        labels = np.asarray(stratum)
        _same_length("stratum", labels, stops)
        strata = np.unique(labels, return_inverse=True)[1].astype(np.intp)
    return SurvivalTimes(stops, flags == 1, starts, strata)


def _numbers(name: str, values: ArrayLike) -> Floats:
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise SurvivalTimesError(f"{name} holds text; give numbers") from None
    if numbers.ndim != 1:
        raise SurvivalTimesError(f"{name} has {numbers.ndim} dimensions; give one value per row")
    bad = np.flatnonzero(~np.isfinite(numbers))
    if bad.size:
        raise SurvivalTimesError(f"{name} is missing or infinite in {bad.size} rows, first row {bad[0]}")
    return numbers


def _same_length(name: str, values: NDArray[np.generic], stops: Floats) -> None:
    if values.shape != stops.shape:
        raise SurvivalTimesError(f"{name} has {values.size} values for {stops.size} times")


def _tie(stops: Floats, starts: Floats) -> tuple[Floats, Floats]:
    values = np.unique(np.concatenate([stops, starts]))
    gaps = np.diff(values)
    near = (gaps <= TIED_TIMES) | (gaps <= TIED_TIMES * np.abs(values).mean())
    if not near.any():
        return stops, starts
    firsts = np.concatenate([[True], ~near])
    kept = values[firsts][np.cumsum(firsts) - 1]
    return kept[np.searchsorted(values, stops)], kept[np.searchsorted(values, starts)]
