"""A cohort of melanoma patients with a known hazard, for judging prognosis models; nobody's data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Days of a year, as everywhere (a month is 30.4375 days).
DAYS_PER_YEAR = 365.25
#: Log hazard ratios of the clinical covariates: per doubling of thickness, for ulceration, per 10 years of age, for
#: male sex; of the size published for primary melanoma (AJCC 8; the Odense table gives 0.78 per unit of log mm).
CLINICAL_EFFECTS = {"log2_thickness": 0.5, "ulcer": 0.6, "age_decades": 0.15, "male": 0.3}
#: Hazard per year of a patient at the mean of all covariates; about a quarter have the event in ten years.
HAZARD_PER_YEAR = 0.02
#: Days between follow-up visits, and by how much each is early or late at most.
VISIT_EVERY_DAYS, VISIT_JITTER_DAYS = 182, 21
#: Follow-up ends for everybody after so many years; some leave earlier, evenly from two years on.
FOLLOW_UP_YEARS, FIRST_TO_LEAVE_YEARS = 10.0, 2.0


@dataclass(frozen=True)
class SimulatedCohort:
    """`patients`: column -> (n,): patient_id, time (days), event, thickness_mm, ulcer, age, male, the derived
    log2_thickness, age_decades, and image_score at diagnosis, image_noise (which never acts).
    `visits`: column -> (m,): patient_id, day, image_score as measured on that day; only visits before the end of
    follow-up. `hazard_per_year` (n,) is each patient's at diagnosis.
    """

    patients: dict[str, NDArray[np.generic]]
    visits: dict[str, NDArray[np.generic]]
    hazard_per_year: NDArray[np.float64]


def simulate_cohort(patients: int, seed: int, image_effect: float = 0.5, image_step: float = 0.0) -> SimulatedCohort:
    """Draw a cohort.

    `image_effect` is the log hazard ratio per standard deviation of the image score at the last visit (0: images know
    nothing); `image_step` the standard deviation of the score's random step from visit to visit (0: it stays). The
    hazard is constant between visits, so that times come from their exact distribution. The same seed gives the same
    cohort.
    """
    rng = np.random.default_rng(seed)
    log2_thickness = rng.normal(0.3, 1.3, patients)
    ulcer = (rng.random(patients) < 1 / (1 + np.exp(1.6 - 0.6 * log2_thickness))).astype(np.int64)
    age, male = np.clip(rng.normal(58, 15, patients), 18, 95), rng.integers(0, 2, patients)
    columns = {
        "log2_thickness": log2_thickness,
        "ulcer": ulcer.astype(np.float64),
        "age_decades": age / 10.0,
        "male": male.astype(np.float64),
    }
    middle = {"log2_thickness": 0.3, "ulcer": 0.2, "age_decades": 5.8, "male": 0.5}
    clinical = sum(
        (effect * (columns[name] - middle[name]) for name, effect in CLINICAL_EFFECTS.items()), np.zeros(patients)
    )
    score = rng.normal(0, 1, patients)
    visits = int(np.ceil(FOLLOW_UP_YEARS * DAYS_PER_YEAR / VISIT_EVERY_DAYS)) + 1
    days = np.arange(visits) * VISIT_EVERY_DAYS + rng.integers(
        -VISIT_JITTER_DAYS, VISIT_JITTER_DAYS + 1, (patients, visits)
    )
    days[:, 0] = 0
    steps = rng.normal(0, 1, (patients, visits)) * image_step
    steps[:, 0] = 0
    scores = score[:, None] + np.cumsum(steps, axis=1)
    hazard = HAZARD_PER_YEAR / DAYS_PER_YEAR * np.exp(clinical[:, None] + image_effect * scores)
    time = _first_event(days.astype(np.float64), hazard, rng.exponential(1.0, patients))
    latest = FOLLOW_UP_YEARS * DAYS_PER_YEAR
    leave = np.minimum(rng.uniform(FIRST_TO_LEAVE_YEARS, FOLLOW_UP_YEARS * 1.5, patients) * DAYS_PER_YEAR, latest)
    event = time <= leave
    end = np.ceil(np.minimum(time, leave)).clip(min=1.0)
    ids = np.array([f"P{index:06d}" for index in range(patients)])
    seen = days < end[:, None]
    who, which = np.nonzero(seen)
    return SimulatedCohort(
        {
            "patient_id": ids,
            "time": end,
            "event": event.astype(np.int64),
            "thickness_mm": 2.0**log2_thickness,
            "age": age,
            **columns,
            "image_score": score,
            "image_noise": rng.normal(0, 1, patients),
        },
        {"patient_id": ids[who], "day": days[who, which], "image_score": scores[who, which]},
        hazard[:, 0] * DAYS_PER_YEAR,
    )


def _first_event(
    days: NDArray[np.float64], hazard: NDArray[np.float64], threshold: NDArray[np.float64]
) -> NDArray[np.float64]:
    """When the hazard, constant from each of `days` (n, v) to the next, has summed to the threshold (n,)."""
    reached = np.concatenate(
        [np.zeros((days.shape[0], 1)), np.cumsum(hazard[:, :-1] * np.diff(days, axis=1), axis=1)], axis=1
    )
    last = (reached <= threshold[:, None]).sum(axis=1) - 1
    rows = np.arange(days.shape[0])
    return np.asarray(days[rows, last] + (threshold - reached[rows, last]) / hazard[rows, last], np.float64)
