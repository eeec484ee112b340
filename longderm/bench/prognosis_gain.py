"""Does the combined model's gain over the clinical one come out as it was planted? On simulated cohorts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from longderm.bench.prognosis_coverage import CLINICAL, IMAGE, PATIENTS
from longderm.bench.statistics import wilson
from longderm.prognosis.concordance import harrell_c
from longderm.prognosis.evaluate import evaluate_survival
from longderm.prognosis.evaluation import Gain
from longderm.prognosis.survival_model import PER_YEAR
from longderm.prognosis.survival_times import survival_times
from longderm.prognosis.time_dependent_auc import auc_at
from longderm.simulate.cohort import CLINICAL_EFFECTS, simulate_cohort

#: Log hazard ratio per standard deviation of the image score, where nothing else is asked; that of a good dermoscopy
#: score. The gain in C is then 0.033.
PLANTED = 0.5
#: Cohorts, and patients in each, that tell the planted gain: its Monte Carlo error is then below 0.0005.
TRUTH_COHORTS, TRUTH_PATIENTS = 10, 100_000
#: Seeds of the cohorts that tell the truth begin here, apart from those that are judged.
TRUTH_SEED = 900_000
#: Figures whose planted gain the true linear predictors tell; horizon of the second in years.
FIGURES, HORIZON_YEARS = ("harrell_c", "auc_5y"), 5.0
#: Resamples of the one cohort that is shown, and of each of many.
RESAMPLES_OF_ONE, RESAMPLES_OF_MANY = 200, 60
#: The intervals of a gain that an evaluation reports.
INTERVALS = ("population", "shifted_bootstrap", "cross_validated")


def planted_gains(effect: float) -> dict[str, tuple[float, float]]:
    """Figure -> the gain of the true linear predictor with the image over that without it, and its Monte Carlo error.

    Censoring is that of the cohorts that are judged: Harrell's C hangs on it.
    """
    gains = np.empty((TRUTH_COHORTS, len(FIGURES)))
    horizon = HORIZON_YEARS * PER_YEAR["days"]
    for turn in range(TRUTH_COHORTS):
        columns = simulate_cohort(TRUTH_PATIENTS, TRUTH_SEED + turn, effect).patients
        data = survival_times(columns["time"], columns["event"])
        clinical = sum(
            (weight * columns[name].astype(np.float64) for name, weight in CLINICAL_EFFECTS.items()),
            np.zeros(TRUTH_PATIENTS),
        )
        figures = [
            (harrell_c(data, risk, with_error=False).value, float(auc_at(data, data, risk, horizon)[0]))
            for risk in (clinical, clinical + effect * columns["image_score"].astype(np.float64))
        ]
        gains[turn] = np.array(figures[1]) - np.array(figures[0])
    means, errors = gains.mean(axis=0), gains.std(axis=0, ddof=1) / np.sqrt(TRUTH_COHORTS)
    return {name: (float(means[j]), float(errors[j])) for j, name in enumerate(FIGURES)}


def judge_one(seed: int, effect: float, truth: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    """The gain of one cohort of `PATIENTS` as `evaluate_survival` reports it, beside the planted one."""
    gain = _gain(seed, effect, RESAMPLES_OF_ONE)
    result: dict[str, Any] = {"effect": effect, "patients": PATIENTS, "seed": seed}
    for name, (planted, error) in truth.items():
        one = gain.population[name]
        result[name] = {
            "planted": round(planted, 5),
            "planted_error": round(error, 5),
            "gain": round(one.value, 5),
            "interval_95": [round(one.lower, 5), round(one.upper, 5)],
            "covered": bool(one.lower <= planted <= one.upper),
        }
        print(f"gain of the image in {name}: planted {planted:.4f}, found {one.value:.4f} "
              f"({one.lower:.4f} to {one.upper:.4f}) in one cohort of {PATIENTS}")  # fmt: skip
    return result


def cover_planted(seeds: int, seed: int, effect: float, truth: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    """How often each 95% interval of the gain that `evaluate_survival` reports covers the planted gain."""
    rows = []
    for turn in range(seeds):
        gain = _gain(seed + 1 + turn, effect, RESAMPLES_OF_MANY)
        rows.append([
            [(one.value, one.lower, one.upper) for one in (gain.population[name], gain.figures[name],
                                                            gain.cross_validated[name])]
            for name in FIGURES
        ])  # fmt: skip
    table = np.array(rows)  # cohort, figure, kind of interval, (value, lower, upper)
    result: dict[str, Any] = {"seeds": seeds, "effect": effect}
    for j, name in enumerate(FIGURES):
        planted = truth[name][0]
        found: dict[str, Any] = {"planted": round(planted, 5), "planted_error": round(truth[name][1], 5)}
        for k, kind in enumerate(INTERVALS):
            value, low, high = table[:, j, k].T
            covered = int(((low <= planted) & (planted <= high)).sum())
            found[kind] = {
                "covers": round(covered / seeds, 4),
                "covers_95": wilson(covered, seeds),
                "lies_above": int((low > planted).sum()),
                "lies_below": int((high < planted).sum()),
                "excludes_zero": int((low > 0).sum()),
                "mean_gain": round(float(value.mean()), 5),
                "mean_width": round(float((high - low).mean()), 5),
            }
            print(f"gain in {name}, planted {planted:.4f}: {kind:<18} covers it in {covered} of {seeds} cohorts "
                  f"(above {found[kind]['lies_above']}, below {found[kind]['lies_below']}), mean gain "
                  f"{found[kind]['mean_gain']:.4f}, mean width {found[kind]['mean_width']:.4f}")  # fmt: skip
        result[name] = found
    return result


def _gain(seed: int, effect: float, bootstraps: int) -> Gain:
    columns = simulate_cohort(PATIENTS, seed, effect).patients
    found = evaluate_survival(
        columns,
        {"clinical": list(CLINICAL), "combined": [*CLINICAL, *IMAGE]},
        horizons_years=(HORIZON_YEARS,),
        bootstraps=bootstraps,
        repeats=1,
        seed=seed,
    )
    return found.gains[0]
