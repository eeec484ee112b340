"""What simpler ways of comparing a pair say: the baselines of the change score; larger is more change.

All of them are given what longderm's pipeline gives the score: its alignment, its masks, and both photos in the light
of the baseline's skin. So they lose by what they measure, not by what they were fed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from longderm.change.common_view import CommonView
from longderm.change.crops import Crops, in_one_light
from longderm.change.result import Change
from longderm.threads import one_thread

if TYPE_CHECKING:
    from longderm.models.encoder import Encoder

F32 = NDArray[np.float32]

#: SSIM's window and constants (Wang et al. 2004, doi 10.1109/TIP.2003.819861) on L*, whose range is 100.
_SSIM_SIGMA_PX, _SSIM_C1, _SSIM_C2 = 1.5, (0.01 * 100.0) ** 2, (0.03 * 100.0) ** 2
#: Bins of the colour histogram in L*, a*, b*, and their range.
_HISTOGRAM_BINS = (10, 8, 8)
_HISTOGRAM_RANGE = ((0.0, 100.0), (-20.0, 60.0), (-30.0, 50.0))


@dataclass(frozen=True, eq=False)
class Aligned:
    """What a baseline may look at: the pair in one light on one grid, the measured change, and the network's crops."""

    view: CommonView
    change: Change
    crops: Crops


def pixel_difference(pair: Aligned) -> float | None:
    """Mean colour difference (CIE 1976) over both lesions, colours corrected by the skin."""
    where = _both(pair.view)
    if not where.any():
        return None
    away = pair.view.followup_colour[where] - pair.view.baseline_colour[where]
    return float(np.sqrt((away.astype(np.float64) ** 2).sum(axis=1)).mean())


def dissimilarity(pair: Aligned) -> float | None:
    """1 minus the structural similarity of the lightness, mean over both lesions."""
    import cv2

    where = _both(pair.view)
    if not where.any():
        return None
    x, y = pair.view.baseline_lightness, pair.view.followup_lightness

    def mean(values: F32) -> F32:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), _SSIM_SIGMA_PX), np.float32)

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    top = (2 * mx * my + _SSIM_C1) * (2 * cov + _SSIM_C2)
    ssim = top / ((mx * mx + my * my + _SSIM_C1) * (vx + vy + _SSIM_C2))
    return 1.0 - float(ssim[where].mean(dtype=np.float64))


def area_ratio(pair: Aligned) -> float | None:
    """|log ratio| of both masks' areas in the frame of the alignment."""
    percent = pair.change.area_change_percent
    return None if percent is None else abs(float(np.log1p(percent / 100.0)))


def histogram_distance(pair: Aligned) -> float | None:
    """Hellinger distance of the colours inside each mask."""
    view = pair.view
    counts = []
    for colour, lesion in (
        (view.baseline_colour, view.baseline_lesion),
        (view.followup_colour, view.followup_lesion),
    ):
        values = colour[lesion & view.valid].astype(np.float64)
        if not len(values):
            return None
        clipped = np.clip(values, *np.array(_HISTOGRAM_RANGE).T)
        counts.append(np.histogramdd(clipped, bins=_HISTOGRAM_BINS, range=_HISTOGRAM_RANGE)[0] / len(values))
    return float(np.sqrt(max(0.0, 1.0 - np.sqrt(counts[0] * counts[1]).sum())))


def encoder_distance(pair: Aligned) -> float | None:
    """1 minus the cosine of the frozen encoder's vectors of both crops, in one light."""
    return crops_distance(*in_one_light(pair.crops))


def crops_distance(baseline: NDArray[np.uint8], followup: NDArray[np.uint8]) -> float:
    """`encoder_distance` of two crops uint8 (S, S, 3) that are in one light already (`change.crops.in_one_light`)."""
    import torch

    from longderm.models.encoder import cosine_distance

    crops = torch.from_numpy(np.stack([baseline, followup])).permute(0, 3, 1, 2).to(torch.float32) / 255
    with one_thread():
        return cosine_distance(frozen_encoder(), crops)


@lru_cache(maxsize=1)
def frozen_encoder() -> Encoder:
    """The encoder in use, read once a process; on the CPU, as the rest of the benchmark."""
    from longderm.models.encoder import load_encoder

    return load_encoder(device="cpu")


#: The baseline's name in rows and table.
FROZEN_ENCODER = "frozen-encoder cosine"
#: Name in the table -> baseline.
BASELINES: dict[str, Callable[[Aligned], float | None]] = {
    "pixel difference": pixel_difference,
    "1 - SSIM": dissimilarity,
    "area ratio": area_ratio,
    "colour histogram": histogram_distance,
    FROZEN_ENCODER: encoder_distance,
}


def _both(view: CommonView) -> NDArray[np.bool_]:
    """Either lesion, where both photos show it."""
    return np.asarray((view.baseline_lesion | view.followup_lesion) & view.valid)
