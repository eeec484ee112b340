"""Tables of a simulated clinic for prognosis, in ISIC names: outcomes, follow-up visits, patients to predict for."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from longderm.simulate.cohort import simulate_cohort

#: Patients with a known outcome, and patients to predict for; the seeds of the packaged tables.
PATIENTS, NEW_PATIENTS, SEED, NEW_SEED = 300, 20, 20, 21
#: Log hazard ratio of the image score at the last visit, and how it wanders from visit to visit.
IMAGE_EFFECT, IMAGE_STEP = 0.6, 0.25
_FIRST_DIAGNOSIS = date(2009, 1, 5)
_DAYS_BETWEEN = 3
#: By when a distant metastasis counts in clinic.csv.
_METASTASIS_DAYS = 5 * 365.25
#: Thickness as a pathologist would state it: neither a single cell nor a tumour that nobody has seen.
_THICKNESS_MM = (0.1, 20.0)


def write_clinic_tables(folder: Path) -> None:
    """Write clinic.csv, visits.csv (of 300 patients), new.csv and new_visits.csv (of 20 others). The same bytes each
    time; nobody's data.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, patients, seed in (("", PATIENTS, SEED), ("new", NEW_PATIENTS, NEW_SEED)):
        outcomes, visits = _tables(patients, seed, prefix[:1].upper() or "C", with_outcome=not prefix)
        _write(folder / (f"{prefix}.csv" if prefix else "clinic.csv"), outcomes)
        _write(folder / (f"{prefix}_visits.csv" if prefix else "visits.csv"), visits)


def _tables(
    patients: int, seed: int, letter: str, with_outcome: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    cohort = simulate_cohort(patients, seed, IMAGE_EFFECT, IMAGE_STEP)
    people, seen = cohort.patients, cohort.visits
    names = {str(one): f"{letter}{index + 1:03d}" for index, one in enumerate(people["patient_id"])}
    origins = {one: _FIRST_DIAGNOSIS + timedelta(days=_DAYS_BETWEEN * k) for k, one in enumerate(names.values())}
    rows = []
    for index, name in enumerate(names.values()):
        low, high = _THICKNESS_MM
        row: dict[str, Any] = {
            "patient_id": name,
            "origin_date": origins[name].isoformat(),
            "mel_thick_mm": round(min(max(float(people["thickness_mm"][index]), low), high), 2),
            "mel_ulcer": "yes" if people["ulcer"][index] else "no",
            "age_approx": round(float(people["age"][index])),
            "sex": "male" if people["male"][index] else "female",
            "image_score": round(float(people["image_score"][index]), 3),
        }
        if with_outcome:
            end = (origins[name] + timedelta(days=int(people["time"][index]))).isoformat()
            died = bool(people["event"][index])
            row |= {
                "death_date": end if died else "",
                "death_cause": "melanoma" if died else "",
                "last_follow_up_date": end,
                "metastasis_distant": _metastasised(float(people["time"][index]), died),
            }
        rows.append(row)
    visits = [
        {
            "patient_id": names[str(one)],
            "visit_date": (origins[names[str(one)]] + timedelta(days=int(day))).isoformat(),
            "image_score": round(float(score), 3),
        }
        for one, day, score in zip(seen["patient_id"], seen["day"], seen["image_score"], strict=True)
    ]
    return rows, visits


def _metastasised(days: float, died: bool) -> int | str:
    """Distant metastasis within five years: who dies of melanoma had one; empty for who was lost before."""
    return 1 if died and days <= _METASTASIS_DAYS else 0 if days >= _METASTASIS_DAYS else ""


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
