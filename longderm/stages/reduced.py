"""A large photo worked on at reduced size: its grid, and what goes between that and the native one.

What is written to tables is on the native grid. Between the two lies a stretch per axis, with pixel centres at
integers on both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from longderm.imaging import Measures
from longderm.photo import PhotoMeta


@dataclass(frozen=True)
class ReducedGrid:
    """A grid of `shape` (h, w) that covers all of a photo's `native` grid (H, W)."""

    native: tuple[int, int]
    shape: tuple[int, int]

    @property
    def is_reduced(self) -> bool:
        """Whether it is smaller than the native grid."""
        return self.shape != self.native

    @property
    def scale(self) -> float:
        """Pixels of this grid per native pixel, at most 1: the geometric mean of both axes."""
        return float(np.sqrt(self.shape[0] / self.native[0] * self.shape[1] / self.native[1]))

    @property
    def from_native(self) -> NDArray[np.float64]:
        """Native to reduced pixel coordinates, float64 (3, 3)."""
        down, across = self.shape[0] / self.native[0], self.shape[1] / self.native[1]
        return np.array([[across, 0.0, (across - 1) / 2], [0.0, down, (down - 1) / 2], [0.0, 0.0, 1.0]])

    def lower_mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A mask bool (H, W) on this grid: True where at least half of a pixel is covered.

        Raises ValueError for a mask on another grid than the native one.
        """
        import cv2

        if mask.shape != self.native:
            raise ValueError(f"the mask is {mask.shape}, the photo {self.native}; segment the same photo")
        size = (self.shape[1], self.shape[0])
        share = cv2.resize(mask.astype(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA)
        return np.asarray(share > 127)

    def lower_meta(self, meta: PhotoMeta) -> PhotoMeta:
        """What is known of the photo, with the scale of this grid."""
        return meta if meta.px_per_mm is None else replace(meta, px_per_mm=meta.px_per_mm * self.scale)

    def lower_measures(self, measures: Measures) -> Measures:
        """Measures with what is counted in pixels counted in those of this grid."""

        def times(value: float | None, factor: float) -> float | None:
            return None if value is None else value * factor

        return replace(
            measures,
            area_px=times(measures.area_px, self.scale**2),
            long_diam_px=times(measures.long_diam_px, self.scale),
            border_width_px=times(measures.border_width_px, self.scale),
        )


def lower_matrix(matrix: NDArray[np.float64], baseline: ReducedGrid, followup: ReducedGrid) -> NDArray[np.float64]:
    """A transform (3, 3) between native grids as one between reduced grids."""
    return np.asarray(followup.from_native @ matrix @ np.linalg.inv(baseline.from_native))
