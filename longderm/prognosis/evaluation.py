"""What an evaluation of survival models holds, and its plain form for JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from longderm.prognosis.bootstrap import Corrected
from longderm.prognosis.calibration import Calibration
from longderm.prognosis.cox import ChiSquare
from longderm.prognosis.cross_validation import FoldMean
from longderm.prognosis.decision_curve import DecisionCurve
from longderm.prognosis.nested_gain import NestedGain
from longderm.prognosis.risk_groups import NOT_TOLD, RiskGroups, Subgroup


@dataclass(frozen=True)
class ModelEvaluation:
    """One model: `figures` from the bootstrap by name (see `survival_figures`), the same `cross_validated`.

    `calibration`, `decision_curves` by horizon ("5y"), `risk_groups` and `subgroups` judge predictions for patients
    the model had not seen (first repeat of the cross-validation; of a finished model, its predictions). `notes` say
    what a reader must know. `failed` resamples had no estimate. Without a horizon, `calibration` and `decision_curves`
    are empty and groups are ranked by the risk at the last event.
    """

    name: str
    columns: tuple[str, ...]
    events_per_column: float | None
    figures: Mapping[str, Corrected]
    cross_validated: Mapping[str, FoldMean]
    calibration: Mapping[str, Calibration]
    decision_curves: Mapping[str, DecisionCurve]
    risk_groups: RiskGroups
    subgroups: tuple[Subgroup, ...]
    failed: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Gain:
    """What `model` gains over `over`, figure by figure (less is better for Brier): optimism-corrected from the paired
    bootstrap, and from paired folds.

    Where `model` has all columns of `over` and more, `added` is the likelihood ratio test of those (None otherwise,
    under a penalty, and where a patient has several tumours, which the likelihood would take as independent) and
    `population` the gain in the population with the interval to rely on where the gain may be nothing: the paired
    bootstrap's then holds zero nearly always.
    """

    model: str
    over: str
    figures: Mapping[str, Corrected]
    cross_validated: Mapping[str, FoldMean]
    added: ChiSquare | None
    population: Mapping[str, NestedGain]


@dataclass(frozen=True)
class SurvivalEvaluation:
    """Models side by side on the same `patients` and `events`; `horizons` label -> time in the table's unit.

    `dropped`: horizons without figures, with the reason (beyond the follow-up, or insufficient); `left_out` rows with
    missing values.
    """

    patients: int
    events: int
    left_out: int
    horizons: Mapping[str, float]
    dropped: Mapping[str, str]
    models: Mapping[str, ModelEvaluation]
    gains: tuple[Gain, ...]
    settings: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers; what is not a number becomes None."""
        result: dict[str, Any] = plain(self)
        return result


def plain(value: Any) -> Any:
    """A value of dataclasses, mappings and arrays as JSON knows it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        told = [field.name for field in dataclasses.fields(value) if NOT_TOLD not in field.metadata]
        return {name: plain(getattr(value, name)) for name in told}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(one) for one in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
