"""What comparing a pair of photos gives: measured differences, a score, and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Units of a heat map: colour difference, or the chance that a place changed.
LAB, PROBABILITY = "Lab", "probability"


@dataclass(frozen=True)
class Delta:
    """One measured difference of a pair, follow-up minus baseline (the fields of `longderm.schema.DELTA`).

    unit: "%" (relative to the baseline), "mm2", "mm", "Lab" (CIE 1976 units), "count" or "1" (no unit); baseline and
    followup: the two values, None where only the difference exists (maps compared pixel by pixel); mdc: the minimal
    detectable change (95%) in the same unit and in the delta's direction, None without a calibration; exceeds_mdc:
    the difference is larger than that, None without a calibration.
    """

    measure: str
    unit: str
    baseline: float | None
    followup: float | None
    delta: float
    mdc: float | None
    exceeds_mdc: bool | None


@dataclass(frozen=True, eq=False)
class Change:
    """What differs between the two photos of a pair.

    score: 0 (nothing beyond noise) to 1, None where nothing can be said; p_value: conformal p-value of "no change",
    None without a calibration; reasons: what changed, the largest in multiples of its MDC first, or why nothing can
    be said; deltas: sorted by measure;
    heatmap: float32 (H, W) on the baseline's native grid, NaN outside of what both photos show; area_change_percent:
    in the frame of the alignment; area_change_mm2: None without a scale in both photos; model: the release that scored
    it; heatmap_unit: PROBABILITY, the chance that a place changed, of a release with a network, else LAB, the colour
    difference; named_reasons: what the network would name as changed ("size", "colour", "structure", "symmetry"), the
    likeliest first.
    """

    score: float | None
    p_value: float | None
    reasons: tuple[str, ...]
    deltas: tuple[Delta, ...]
    heatmap: NDArray[np.float32] | None
    area_change_percent: float | None
    area_change_mm2: float | None
    model: str
    heatmap_unit: str | None = None
    named_reasons: tuple[str, ...] = ()
