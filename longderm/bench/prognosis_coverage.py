"""How often the interval of a gain that is none covers zero, how landmark risks come true: on simulated cohorts."""

from __future__ import annotations

from typing import Any

import numpy as np

from longderm.bench.statistics import wilson
from longderm.prognosis.bootstrap import Candidate, optimism_bootstrap
from longderm.prognosis.calibration import calibration_at
from longderm.prognosis.landmark import RISK_YEARS, fit_landmark, landmark_rows, predict_landmark
from longderm.prognosis.survival_model import PER_YEAR
from longderm.prognosis.survival_times import SurvivalTimes, survival_times
from longderm.simulate.cohort import SimulatedCohort, simulate_cohort

CLINICAL, IMAGE = ("log2_thickness", "ulcer", "age_decades", "male"), ("image_score",)
#: Patients of a cohort, and resamples per cohort.
PATIENTS, RESAMPLES = 2000, 60
#: Of the cohorts with visits: log hazard ratio of the image score and its step from visit to visit.
VISIT_EFFECT, VISIT_STEP = 0.6, 0.25


def cover_gains(seeds: int, seed: int) -> dict[str, Any]:
    """Share of `seeds` cohorts, in which the image knows nothing, whose 95% interval of the gain in Harrell's C covers
    zero, and its width. Of an image that does, `prognosis_gain` tells.
    """
    rows = []
    for turn in range(seeds):
        data, candidates = _models(simulate_cohort(PATIENTS, seed + 1 + turn, 0.0))
        boot = optimism_bootstrap(
            data, candidates, np.array([5 * PER_YEAR["days"]]), ("5y",),
            bootstraps=RESAMPLES, seed=turn, kinds=("harrell_c",),
        )  # fmt: skip
        population = boot.nested("combined", "clinical", len(IMAGE))[1]["harrell_c"]
        shifted = boot.gain("combined", "clinical")["harrell_c"]
        rows.append((population.value, population.lower, population.upper, shifted.value, shifted.lower, shifted.upper))
    table = np.array(rows)
    result: dict[str, Any] = {"seeds": seeds}
    for name, (value, low, high) in {"likelihood": table.T[:3], "shifted_bootstrap": table.T[3:]}.items():
        covered = int(((low <= 0.0) & (high >= 0.0)).sum())
        result[name] = {
            "covers": round(covered / seeds, 4),
            "covers_95": wilson(covered, seeds),
            "mean_gain": round(float(value.mean()), 5),
            "mean_width": round(float((high - low).mean()), 5),
        }
        print(f"gain in C of an image that knows nothing: {name:<18} covers zero in {covered} of {seeds} cohorts, "
              f"mean width {result[name]['mean_width']}")  # fmt: skip
    return result


def landmark_slopes(pairs: int, seed: int) -> dict[str, Any]:
    """Calibration slope and observed over expected of landmark risks, fitted on one cohort and judged on another."""
    found: dict[str, list[list[float]]] = {f"{year:g}y": [] for year in RISK_YEARS}
    for turn in range(pairs):
        train, test = (
            landmark_rows(
                {name: column for name, column in cohort.patients.items() if name not in IMAGE},
                cohort.visits,
                baseline=CLINICAL,
                measured=IMAGE,
            )
            for cohort in (
                simulate_cohort(PATIENTS, seed + 2 * turn + part, VISIT_EFFECT, VISIT_STEP) for part in (0, 1)
            )
        )
        risk = predict_landmark(fit_landmark(train, [*CLINICAL, *IMAGE]), test).risk
        data = survival_times(test.columns["time"], test.columns["event"])
        for k, year in enumerate(RISK_YEARS):
            one = calibration_at(data, risk[:, k], year * PER_YEAR["days"])
            found[f"{year:g}y"].append([round(one.slope or float("nan"), 3), round(one.observed_expected, 3)])
    for label, values in found.items():
        print(f"landmark {label}: slope " + ", ".join(f"{slope}" for slope, _ in values)
              + "; observed / expected " + ", ".join(f"{ratio}" for _, ratio in values))  # fmt: skip
    return {label: {"slope_and_observed_expected": values} for label, values in found.items()}


def _models(cohort: SimulatedCohort) -> tuple[SurvivalTimes, tuple[Candidate, Candidate]]:
    columns = cohort.patients
    clinical = np.column_stack([columns[name].astype(np.float64) for name in CLINICAL])
    combined = np.column_stack([clinical, *(columns[name].astype(np.float64) for name in IMAGE)])
    data = survival_times(columns["time"], columns["event"])
    return data, (Candidate("clinical", CLINICAL, clinical), Candidate("combined", (*CLINICAL, *IMAGE), combined))
