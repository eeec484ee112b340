"""The figures of one set of predictions: discrimination, error, calibration slope, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from longderm.prognosis.brier import brier_scores
from longderm.prognosis.calibration import calibration_slope
from longderm.prognosis.concordance import harrell_c, uno_c
from longderm.prognosis.errors import NoComparablePairsError, OutsideFollowUpError, TooFewEventsError
from longderm.prognosis.follow_up import FollowUp
from longderm.prognosis.survival_times import Floats
from longderm.prognosis.time_dependent_auc import auc_at

#: Kinds of figures: the names below begin with them.
KINDS = ("harrell_c", "uno_c", "calibration_slope", "auc", "brier")


def survival_figures(
    train: FollowUp,
    test: FollowUp,
    predictor: Floats,
    survival: Floats,
    horizons: Floats,
    labels: tuple[str, ...],
    kinds: tuple[str, ...] = KINDS,
) -> dict[str, float]:
    """Figures of `predictor` (n,), of the rows of `test`, and of `survival` (m, k), of its patients by their first
    rows, at `horizons` (k,).

    `harrell_c` and `calibration_slope` compare rows within their stratum while they are at risk. The others judge what
    was predicted at the origin by the whole follow-up, censoring weights from `train`: `uno_c` (events before the last
    horizon), `auc_LABEL`, `brier_LABEL`, `integrated_brier` (from the first horizon to the last, with two or more), as
    far as `kinds` asks for them. With strata these rank by the risk at the horizon, which holds the stratum's hazard.
    A figure that these patients do not allow, such as an AUC before their first event, is NaN.
    """
    found: dict[str, float] = {}
    if "harrell_c" in kinds:
        found["harrell_c"] = _or_nan(lambda: harrell_c(test.rows, predictor, with_error=False).value)
    if "uno_c" in kinds or "auc" in kinds or "brier" in kinds:
        seen, judged = train.patients, test.patients
        stratified = bool(judged.stratum.any())
        risk = 1.0 - survival if stratified else predictor[test.first][:, None]
    if "uno_c" in kinds and horizons.size:
        found["uno_c"] = _or_nan(lambda: uno_c(seen, judged, risk[:, -1], float(horizons[-1])))
    if "calibration_slope" in kinds:
        slope = calibration_slope(test.rows, predictor)[0]
        found["calibration_slope"] = np.nan if slope is None else slope
    if "auc" in kinds:
        auc = _over(
            horizons, lambda times, pick: auc_at(seen, judged, risk[:, pick] if stratified else risk[:, 0], times)
        )
        found |= {f"auc_{label}": float(value) for label, value in zip(labels, auc, strict=True)}
    if "brier" in kinds:
        brier = _over(horizons, lambda times, pick: brier_scores(seen, judged, survival[:, pick], times))
        found |= {f"brier_{label}": float(value) for label, value in zip(labels, brier, strict=True)}
        if horizons.size > 1:
            found["integrated_brier"] = float(np.trapezoid(brier, horizons) / (horizons[-1] - horizons[0]))
    return found


def _over(horizons: Floats, figure: Callable[[Floats, slice], Floats]) -> Floats:
    """A figure at all horizons; where one of them fails, each by itself and NaN for those that fail."""
    try:
        return figure(horizons, slice(None)) if horizons.size else horizons
    except (OutsideFollowUpError, TooFewEventsError):
        single = [
            _or_nan(partial(lambda k: float(figure(horizons[[k]], slice(k, k + 1))[0]), k))
            for k in range(horizons.size)
        ]
        return np.array(single)


def _or_nan(figure: Callable[[], float]) -> float:
    try:
        return float(figure())
    except (OutsideFollowUpError, TooFewEventsError, NoComparablePairsError):
        return np.nan
