"""Errors that outlines state of their areas, held against the realised ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.statistics import wilson

#: Parts of equally many photos, sorted by the error that is stated of their areas.
THIRDS = ("surest", "middle", "least_sure")


@dataclass(frozen=True, eq=False)
class StatedErrors:
    """Areas sorted by their `stated` error, float64 (N,), the surest first; off: (drawn - true) / true area, (N,)."""

    stated: NDArray[np.float64]
    off: NDArray[np.float64]

    @classmethod
    def of(cls, pairs: Iterable[tuple[float | None, float]]) -> StatedErrors:
        """From (stated, off) of each photo; those of which no error is stated are left out."""
        known = sorted((stated, off) for stated, off in pairs if stated is not None)
        table = np.array(known, np.float64).reshape(-1, 2)
        return cls(table[:, 0], table[:, 1])

    @property
    def is_covered(self) -> NDArray[np.bool_]:
        """Whether each area lies within a factor of 1 + stated of the true one, bool (N,)."""
        return np.asarray(np.abs(np.log1p(self.off)) <= np.log1p(self.stated))

    def coverage(self) -> tuple[float, tuple[float, float] | None]:
        """The share of areas that are covered, rounded to 4 decimals, with Wilson's 95% interval."""
        covered = self.is_covered
        return round(float(covered.mean()), 4), wilson(int(covered.sum()), covered.size)

    def thirds(self) -> dict[str, StatedErrors]:
        """The same of each of `THIRDS`."""
        parts: Any = zip(np.array_split(self.stated, len(THIRDS)), np.array_split(self.off, len(THIRDS)), strict=True)
        return {name: StatedErrors(*part) for name, part in zip(THIRDS, parts, strict=True)}
