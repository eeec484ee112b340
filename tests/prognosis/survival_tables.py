"""Small tables for the tests: drawn here, of nobody."""

from __future__ import annotations

import numpy as np
import pandas as pd


def tied_table(rows: int = 120, seed: int = 3, *, delayed: bool = False, strata: int = 1) -> pd.DataFrame:
    """Months of follow-up with many ties, three covariates of which one acts, patients, and strata."""
    rng = np.random.default_rng(seed)
    age, thickness = rng.normal(60, 12, rows), rng.lognormal(0.3, 0.7, rows)
    ulcer = (rng.random(rows) < 0.3).astype(float)
    hazard = 0.02 * np.exp(0.5 * np.log(thickness) + 0.6 * ulcer)
    time = np.ceil(np.minimum(rng.exponential(1 / hazard), 90))
    event = (rng.random(rows) < 0.8) & (time < 90)
    start = np.maximum(0.0, time - rng.integers(1, 30, rows)) if delayed else np.zeros(rows)
    return pd.DataFrame(
        {
            "start": start,
            "time": time,
            "event": event.astype(int),
            "age": age,
            "thickness": thickness,
            "ulcer": ulcer,
            "site": rng.integers(0, strata, rows),
            "patient": rng.integers(0, rows // 3, rows),
        }
    )


#: 20 patients: follow-up in months, what ended it (0 nothing, 1 the disease, 2 something else), thickness in mm,
#: ulceration, clinic. Times tie within and across causes; one column is a little of the other two's doing.
FROZEN = pd.DataFrame(
    {
        "months": [3, 5, 5, 8, 8, 8, 12, 12, 15, 18, 18, 24, 24, 30, 30, 36, 36, 48, 60, 60],
        "cause": [1, 1, 2, 1, 1, 0, 1, 0, 2, 1, 1, 0, 1, 2, 0, 1, 0, 1, 0, 0],
        "thickness": [
            4.1,
            6.0,
            1.1,
            2.2,
            3.5,
            0.9,
            1.8,
            0.4,
            2.7,
            5.2,
            0.8,
            0.6,
            1.5,
            3.0,
            1.2,
            0.7,
            2.0,
            1.0,
            0.5,
            1.4,
        ],
        "ulcer": [1, 1, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0],
        "clinic": list("aababbabababaabbabab"),
    }
)
