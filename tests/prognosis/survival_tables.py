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


def cut_into_rows(table: pd.DataFrame, cuts: tuple[float, ...]) -> pd.DataFrame:
    """The same follow-up as start-stop rows, cut at these times; rows of a patient stand together, in order."""
    ends = (*cuts, np.inf)
    parts = []
    for low, high in zip((0.0, *cuts), ends, strict=True):
        part = table[table.time > low]
        parts.append(
            part.assign(start=low, time=part.time.clip(upper=high), event=np.where(part.time <= high, part.event, 0))
        )
    return pd.concat(parts).sort_values(["patient", "start"], ignore_index=True)


def registry_table(patients: int = 7775, seed: int = 1) -> pd.DataFrame:
    """A cancer registry as registries are: months of follow-up, rounded, heavily tied, four stages as strata."""
    rng = np.random.default_rng(seed)
    age, female = np.clip(rng.normal(60, 16, patients), 5, 98), rng.integers(0, 2, patients)
    year, stage = rng.integers(1975, 1995, patients), rng.choice(4, patients, p=[0.68, 0.15, 0.06, 0.11])
    site = rng.integers(0, 4, patients)
    hazard = 0.004 * np.exp(0.02 * (age - 60) - 0.4 * female - 0.02 * (year - 1985) + 0.4 * stage)
    event, leave = rng.exponential(1 / hazard), (1996 - year - rng.random(patients)) * 12
    return pd.DataFrame(
        {
            "time": np.floor(np.minimum(event, leave)) + 0.5,
            "event": (event <= leave).astype(int),
            "cause": np.where(event <= leave, rng.integers(1, 3, patients), 0),
            "age": age,
            "female": female.astype(float),
            "year": year - 1985.0,
            **{f"site_{k}": (site == k).astype(float) for k in (1, 2, 3)},
            "stage": stage,
            "patient": np.arange(patients),
        }
    )
