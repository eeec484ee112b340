"""Size and outline of a lesion's mask: area, diameters, perimeter, eccentricity, irregularity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.grid import reduce_mask, reduced_shape
from longderm.imaging.rounding import significant
from longderm.imaging.shape import eccentricity, trace

#: Longer side of the copy on which shape is measured.
_SIDE_PX = 512


@dataclass(frozen=True)
class Size:
    """Fields of `longderm.imaging.Measures`, see there; None where the mask is too small or has no scale."""

    area_px: float
    area_mm2: float | None = None
    perimeter_mm: float | None = None
    clin_size_long_diam_mm: float | None = None
    short_diam_mm: float | None = None
    long_diam_px: float | None = None
    eccentricity: float | None = None
    border_irregularity: float | None = None


def measure_size(mask: NDArray[np.bool_], px_per_mm: float | None) -> Size:
    """Size of a mask, bool (h, w) in native pixels, by a scale or without one."""
    area_px = float(np.count_nonzero(mask))
    area_mm2 = None if px_per_mm is None else significant(area_px / px_per_mm**2)
    shape = reduced_shape((mask.shape[0], mask.shape[1]), _SIDE_PX)
    small = reduce_mask(mask, shape)
    outline = trace(small)
    if outline is None:
        return Size(area_px, area_mm2)
    native_px = max(mask.shape) / max(shape)
    longest, across = (length * native_px for length in outline.diameters())
    in_mm = (
        {}
        if px_per_mm is None
        else {
            "perimeter_mm": significant(outline.perimeter * native_px / px_per_mm),
            "clin_size_long_diam_mm": significant(longest / px_per_mm),
            "short_diam_mm": significant(across / px_per_mm),
        }
    )
    return Size(
        area_px,
        area_mm2,
        long_diam_px=significant(longest),
        eccentricity=significant(eccentricity(small)),
        border_irregularity=significant(outline.irregularity),
        **in_mm,
    )
