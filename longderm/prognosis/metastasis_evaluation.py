"""What an evaluation of metastasis models holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from longderm.prognosis.binary_figures import Interval, MetastasisSubgroup, ProbabilityCurve
from longderm.prognosis.evaluation import plain
from longderm.prognosis.survival_times import Floats


@dataclass(frozen=True)
class MetastasisModelEvaluation:
    """One model on tumours it had not seen: `figures` by name (see `binary_figures`) with intervals from resamples of
    patients, which hold the chance of who was in the study, not that of how the folds fell.

    `risk` (tumours,) in the order of the evaluation's tumours; `threshold` that of the sensitivity; `picked` the share
    of the strongest useful penalty, mix and clinical factor of each fold (empty for a finished model).
    """

    name: str
    columns: int
    figures: Mapping[str, Interval]
    curve: ProbabilityCurve
    subgroups: tuple[MetastasisSubgroup, ...]
    risk: Floats
    threshold: float
    picked: tuple[Mapping[str, float], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class MetastasisGain:
    """What `model` gains over `over`, figure by figure, with intervals from the same resamples."""

    model: str
    over: str
    figures: Mapping[str, Interval]


@dataclass(frozen=True)
class MetastasisEvaluation:
    """Models side by side on the same tumours; `photos` were averaged per tumour, `left_out` had missing values."""

    endpoint: str
    tumours: int
    patients: int
    events: int
    photos: int
    left_out: int
    models: Mapping[str, MetastasisModelEvaluation]
    gains: tuple[MetastasisGain, ...]
    settings: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers; what is not a number becomes None."""
        result: dict[str, Any] = plain(self)
        return result
