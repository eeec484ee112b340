"""How a model is to be fitted and judged, as a person asks for it."""

from __future__ import annotations

from dataclasses import dataclass

from longderm.prognosis_cohort import Missing

#: Decimals of a figure in a release.
FIGURE_DECIMALS = 4


@dataclass(frozen=True)
class FitOptions:
    """How a model is to be fitted. `bootstraps` 0: no figures beside the apparent ones."""

    strata: tuple[str, ...] = ()
    penalty: float = 0.0
    missing: Missing = "refuse"
    all_events_are_real: bool = False
    bootstraps: int = 100
    seed: int = 0
