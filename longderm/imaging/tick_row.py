"""A row of evenly spaced ticks, as `longderm.imaging.tick_rows` finds it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class TickRow:
    """Evenly spaced ticks.

    index: whole numbers (N,) of each tick, ascending, from 0; member: which strokes they are (N,); along, across:
    place of each tick's centre in pixels along the row and at right angles to it (N,); length, contrast and whole: of
    the strokes (N,); origin (2,) and axis (2,) of the row, and direction (2,) of its ticks: centre = origin + along *
    axis + across * normal; step_px: distance of two ticks in the middle of the row; bend: change of the step per tick,
    as a share of it; residual: root mean square distance of ticks from even places, in steps; aligned_px: root mean
    square distance of the ticks' ends (or centres) from one smooth line; tilt: angle between the ticks and the row's
    normal (radians); clutter: strokes of the ticks' kind that lie in the row but not where a tick is due, per tick.
    """

    index: NDArray[np.intp]
    member: NDArray[np.intp]
    along: NDArray[np.float64]
    across: NDArray[np.float64]
    length: NDArray[np.float64]
    contrast: NDArray[np.float64]
    whole: NDArray[np.bool_]
    origin: NDArray[np.float64]
    axis: NDArray[np.float64]
    direction: NDArray[np.float64]
    step_px: float
    bend: float
    residual: float
    aligned_px: float
    tilt: float
    clutter: float

    def __len__(self) -> int:
        return len(self.index)

    @property
    def occupied(self) -> float:
        """Share of the places between the first and the last tick that hold one."""
        return len(self.index) / (int(self.index[-1]) + 1)

    def enlarged(self, factor: float) -> TickRow:
        """The same row on a copy of the photo that is `factor` times as large."""
        if factor == 1:
            return self
        return replace(
            self,
            along=self.along * factor,
            across=self.across * factor,
            length=self.length * factor,
            origin=(self.origin + 0.5) * factor - 0.5,
            step_px=self.step_px * factor,
            aligned_px=self.aligned_px * factor,
        )
