"""Survival models: optimism bootstraps beside a plain loop over lifelines, how concordance grows, coverage of gains."""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.prognosis_coverage import cover_gains, landmark_slopes
from longderm.bench.prognosis_gain import PLANTED, cover_planted, judge_one, planted_gains
from longderm.bench.prognosis_loop import lifelines_figures
from longderm.bench.prognosis_metastasis import cover_metastasis_gain
from longderm.prognosis.bootstrap import Candidate, optimism_bootstrap, resamples
from longderm.prognosis.concordance import harrell_c
from longderm.prognosis.cox import fit_cox
from longderm.prognosis.survival_times import SurvivalTimes, survival_times

#: The cohort of the bootstrap: six covariates, years of follow-up, the horizon of AUC and Brier.
COVARIATES = ("age", "thickness", "ulcer", "male", "image", "noise")
EFFECTS = (0.15, 0.6, 0.4, 0.2, 0.35, 0.0)
HORIZON_YEARS = 3.0
#: Largest difference between the loop's numbers and ours.
SAME = 1e-6
#: Patients of the three cohorts on which concordance is timed, and its median of so many runs.
SIZES, RUNS = (10_000, 100_000, 1_000_000), 3
#: Patients of a cancer registry's melanoma file.
REGISTRY_PATIENTS = 7775


def run(
    out: Path,
    patients: int = 5000,
    bootstraps: int = 500,
    loop: int = 10,
    seed: int = 1,
    coverage: int = 0,
    effect: int = 0,
    planted: float = PLANTED,
    metastasis: int = 0,
    landmarks: int = 4,
) -> dict[str, Any]:
    """Time `bootstraps` of ours against `loop` passes of lifelines on the same resamples, scaled to as many.

    CPU seconds of one process, so that what else the machine does is left out. One cohort of 2,000 simulated patients
    shows the gain of an image whose log hazard ratio is `planted`; `effect` cohorts say how often its interval covers
    the planted gain, `coverage` cohorts without an effect how often it covers zero; `metastasis` studies, with and
    without the effect, the same of an embedding's gain in a metastasis model; `landmarks` pairs of cohorts say how
    landmark predictions are calibrated.
    """
    data, matrix = draw_cohort(patients, seed)
    horizons, labels = np.array([HORIZON_YEARS]), ("3y",)
    started = time.process_time()
    ours = optimism_bootstrap(
        data,
        (Candidate("ours", COVARIATES, matrix),),
        horizons,
        labels,
        bootstraps=bootstraps,
        seed=seed,
        baseline="breslow",  # what lifelines gives
        kinds=("harrell_c", "auc", "brier"),
    )
    ours_s = time.process_time() - started
    differences, started = [], time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for b, rows in zip(range(loop), resamples(patients, bootstraps, seed), strict=False):
            itself, original = lifelines_figures(data, matrix, rows, HORIZON_YEARS)
            differences += [ours.on_itself["ours"][b] - itself, ours.on_original["ours"][b] - original]
    loop_s = (time.process_time() - started) * bootstraps / loop
    corrected = ours.corrected("ours")
    result: dict[str, Any] = {
        "patients": patients,
        "events": data.events,
        "bootstraps": bootstraps,
        "failed": ours.failed["ours"],
        "ours_cpu_s": round(ours_s, 2),
        "lifelines_cpu_s_scaled": round(loop_s, 2),
        "lifelines_passes_timed": loop,
        "times_faster": round(loop_s / ours_s, 1),
        "largest_difference": float(np.abs(differences).max()),
        "same_numbers": bool(np.abs(differences).max() <= SAME),
        "corrected": {name: [round(one.value, 4), round(one.lower, 4), round(one.upper, 4)] for name, one in
                      corrected.items()},
    }  # fmt: skip
    print(f"{bootstraps} optimism bootstraps, {patients} patients, {data.events} events: CPU s")
    print(f"  longderm          {ours_s:10.2f}")
    print(f"  lifelines loop    {loop_s:10.2f}   ({loop} passes, scaled to {bootstraps})")
    print(f"  times faster      {loop_s / ours_s:10.1f}   largest difference {result['largest_difference']:.1e}")
    result["registry"] = time_registry(seed)
    result["concordance"] = time_concordance(seed)
    if landmarks:
        result["landmark_slopes"] = landmark_slopes(landmarks, seed)
    truth = planted_gains(planted)
    result["planted_gain"] = judge_one(seed, planted, truth)
    if effect:
        result["planted_coverage"] = cover_planted(effect, seed, planted, truth)
    if metastasis:
        result["metastasis_coverage"] = [cover_metastasis_gain(metastasis, seed, one) for one in (0.0, planted)]
    if coverage:
        result["coverage"] = cover_gains(coverage, seed)
    return result


def draw_cohort(patients: int, seed: int) -> tuple[SurvivalTimes, NDArray[np.float64]]:
    """Simulated times (years) with six covariates of known effect, leaving evenly between 2 and 12 years."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(0, 1, (patients, len(COVARIATES)))
    matrix[:, 2:4] = rng.random((patients, 2)) < (0.3, 0.5)
    event = rng.exponential(1.0 / (0.04 * np.exp(matrix @ np.array(EFFECTS))))
    leave = rng.uniform(2.0, 12.0, patients)
    return survival_times(np.minimum(event, leave), event <= leave), matrix


def time_registry(seed: int) -> dict[str, Any]:
    """CPU seconds of a Cox model (Efron) of a registry's size: months of follow-up, rounded, so that times tie; plain,
    with four strata and robust errors, and the same with its follow-up cut into yearly rows.
    """
    data, matrix = draw_cohort(REGISTRY_PATIENTS, seed)
    stop = np.floor(data.stop * 12.0) + 0.5
    stratum, patient = np.arange(stop.size) % 4, np.arange(stop.size)
    pieces = [(np.flatnonzero(stop > low), low) for low in np.arange(0.0, stop.max(), 12.0)]
    rows = np.concatenate([who for who, _ in pieces])
    starts = np.concatenate([np.full(who.size, low) for who, low in pieces])
    ends = np.minimum(stop[rows], starts + 12.0)
    tied = survival_times(stop, data.event)
    strata = survival_times(stop, data.event, stratum=stratum)
    cut = survival_times(ends, data.event[rows] & (ends == stop[rows]), starts, stratum[rows])
    seconds = {
        "plain": _median_cpu_s(lambda: fit_cox(tied, matrix, COVARIATES)),
        "strata_robust": _median_cpu_s(lambda: fit_cox(strata, matrix, COVARIATES, cluster=patient)),
        "start_stop": _median_cpu_s(lambda: fit_cox(cut, matrix[rows], COVARIATES, cluster=patient[rows])),
    }
    result = {"patients": int(stop.size), "events": data.events, "times": int(np.unique(stop).size),
              "start_stop_rows": int(rows.size), "cpu_s": seconds}  # fmt: skip
    print(f"Cox model of {stop.size} patients at {result['times']} tied times, CPU s   "
          + "   ".join(f"{name}: {value}" for name, value in seconds.items()))  # fmt: skip
    return result


def _median_cpu_s(work: Callable[[], object]) -> float:
    runs = []
    for _ in range(RUNS):
        started = time.process_time()
        work()
        runs.append(time.process_time() - started)
    return round(float(np.median(runs)), 4)


def time_concordance(seed: int) -> dict[str, Any]:
    """CPU seconds of Harrell's C by size, and each size's growth over n log n of the one before."""
    rng = np.random.default_rng(seed)
    seconds: dict[str, float] = {}
    for size in SIZES:
        data, risk = survival_times(rng.exponential(1.0, size), rng.random(size) < 0.4), rng.normal(0, 1, size)
        seconds[str(size)] = _median_cpu_s(partial(harrell_c, data, risk, with_error=False))
    growth = {}
    for small, large in itertools.pairwise(SIZES):
        due = large * np.log(large) / (small * np.log(small))
        growth[f"{small}-{large}"] = round(seconds[str(large)] / seconds[str(small)] / float(due), 2)
    print("Harrell's C, CPU s   " + "   ".join(f"{size}: {value}" for size, value in seconds.items()))
    print("  growth over n log n  " + "   ".join(f"{name}: {value}" for name, value in growth.items()))
    return {"cpu_s": seconds, "growth_over_n_log_n": growth}
