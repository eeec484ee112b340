"""An outline on a small grid, the way to full size, and how much of it the edge of view cuts off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: A lesion of whose border more than this share lies on the edge of the field of view is cut by it.
CUT_SHARE = 0.02


@dataclass(frozen=True, eq=False)
class Outline:
    """What a method drew: `mask` bool (H, W) or None, in which case `reason` says why.

    confidence: expected overlap (Dice) with an expert's outline times the probability of a lesion, in [0, 1];
    touches_border: the edge of the field of view cuts the lesion. With a mask, `reason` is what makes it doubtful.
    area_error: as in `longderm.imaging.segmentation.Segmentation`.
    """

    mask: NDArray[np.bool_] | None
    confidence: float
    reason: str | None
    touches_border: bool = False
    area_error: float | None = None

    @classmethod
    def none(cls, reason: str, confidence: float = 0.0) -> Outline:
        """Nothing drawn."""
        return cls(None, confidence, reason)


def caveat(overlap: float, doubtful_overlap: float, touches_border: bool) -> str | None:
    """What makes an outline doubtful, if anything; `overlap` is the expected Dice."""
    if overlap < doubtful_overlap:
        return "the border is doubtful"
    return "the lesion is cut by the edge of the field of view" if touches_border else None


def share_at_edge(points: NDArray[Any], inside: NDArray[np.bool_]) -> float:
    """Share of a contour's points (N, 2), x and y, on the edge of the field of view `inside` (h, w) or beyond."""
    import cv2

    field = inside.astype(np.uint8)
    eroded = cv2.erode(field, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return float((eroded[points[:, 1], points[:, 0]] == 0).mean())


def draw_level(
    surface: NDArray[np.float32], level: float, mask: NDArray[np.bool_], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """The level line of `surface` (h, w) around `mask`, an area above `level`, as a mask bool `shape`: smooth, closed.

    Holes of the area are filled and other areas left out before the map is enlarged.
    """
    import cv2

    at = np.float32(level)
    above = np.where(surface > at, surface, np.float32(1))
    joined = np.where(mask, above, np.minimum(surface, at)).astype(np.float32)
    enlarged = cv2.resize(joined, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged > at + np.float32(1e-5))
