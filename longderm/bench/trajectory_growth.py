"""How well the growth of simulated lesions is known from their visits: coverage of the intervals, error, trends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from longderm.bench.rows import Row
from longderm.bench.statistics import auroc, bootstrap_interval, wilson
from longderm.change.trajectory import TREND_MEASURES, Trajectory, VisitMeasure, fit_trajectory, relative_areas
from longderm.models import Release
from longderm.simulate.shots import SCALE_ERROR


def trajectory_of(row: Row, release: Release) -> Trajectory:
    """The trajectory of a measured lesion, fitted as the monitoring flow fits it."""
    visits, pairs = row["visits_measured"], row["pairs"]
    scales = {(pair["baseline"], pair["followup"]): pair["scale"] for pair in pairs if pair["scale"] is not None}
    shares = relative_areas([visit["area_px"] for visit in visits], scales)
    from_first: dict[int, dict[str, float]] = {0: dict.fromkeys(TREND_MEASURES, 0.0)}
    for pair in pairs:
        if pair["baseline"] == 0 and pair["withheld"] is None:
            from_first[pair["followup"]] = {
                name: pair["deltas"][name][0] for name in TREND_MEASURES if name in pair["deltas"]
            }
    measured = [
        VisitMeasure(
            visit["day"],
            visit["area_mm2"],
            share,
            px_per_mm_error=None if visit["area_mm2"] is None else SCALE_ERROR,
            differences=from_first.get(index, {}),
        )
        for index, (visit, share) in enumerate(zip(visits, shares, strict=True))
    ]
    return fit_trajectory(measured, release=release)


def growth_figures(rows: Sequence[Row], release: Release) -> dict[str, Any]:
    """Coverage of the 95% intervals with Wilson's interval, the median error of the rate, and what trends tell."""
    fits = [trajectory_of(row, release) for row in rows]
    truth = [row["true_growth_mm2_per_month"] for row in rows]
    percent = [100.0 * rate / row["visits_measured"][0]["true_area_mm2"] for rate, row in zip(truth, rows, strict=True)]
    told: dict[str, Any] = {}
    for unit, true in (("mm2", truth), ("percent", percent)):
        name = f"growth_{unit}_per_month"
        known = [
            (value, getattr(fit, f"{name}_low"), getattr(fit, f"{name}_high"), rate)
            for fit, rate in zip(fits, true, strict=True)
            if (value := getattr(fit, name)) is not None
        ]
        covered = [low <= rate <= high for _, low, high, rate in known if low is not None]
        above = [low > 0 for _, low, _, rate in known if low is not None and rate > 0]
        told[name] = {
            "lesions": len(known),
            "interval_covers_true_rate": [
                round(sum(covered) / len(covered), 4),
                *(wilson(sum(covered), len(covered)) or ()),
            ]
            if covered
            else None,
            "error_median": _median([abs(value - rate) for value, _, _, rate in known]),
            "bias_median": _median([value - rate for value, _, _, rate in known]),
            "interval_width_median": _median([high - low for _, low, high, _ in known if low is not None]),
            "growing_lesions_with_interval_above_zero": sum(above),
        }
    malignant = np.array([row["malignant"] for row in rows], bool)
    told["trends"] = {measure: _trend(fits, malignant, measure) for measure in TREND_MEASURES}
    return told


def _trend(fits: Sequence[Trajectory], malignant: np.ndarray, measure: str) -> dict[str, Any]:
    """Median trend per month of melanomas and of benign lesions, and the AUROC of its size between them."""
    known = np.array([measure in fit.trends for fit in fits], bool)
    values = np.array([fit.trends[measure].per_month for fit in fits if measure in fit.trends])
    of_known = malignant[known]
    figures: dict[str, Any] = {
        "melanoma_median": _median(values[of_known].tolist()),
        "benign_median": _median(values[~of_known].tolist()),
    }
    if not of_known.any() or of_known.all():
        return figures | {"auroc_of_size": None}
    size = np.abs(values)
    ends = bootstrap_interval(lambda index: auroc(size[index], of_known[index]), len(size)) or []
    return figures | {"auroc_of_size": [round(auroc(size, of_known), 4), *ends]}


def _median(values: Sequence[float]) -> float | None:
    return round(float(np.median(values)), 4) if len(values) else None
