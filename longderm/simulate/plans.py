"""Patients: who they are, when they are seen, which lesions they have.

Patient k of a seed is the same whatever the number of patients: every draw comes from a generator of (seed, k).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from longderm.simulate.calibration import DAYS_PER_MONTH, PUBLISHED, Calibration
from longderm.simulate.history import MELANOMA_KINDS, LesionHistory, draw_lesion
from longderm.simulate.sites import SITE_SHARES, SITES

#: The day on which every simulated archive ends; no visit is later.
AS_OF = date(2025, 6, 30)


@dataclass(frozen=True)
class LesionPlan:
    """One lesion of a patient: its history, where it is, the visits (indices) at which it is photographed, its end."""

    number: int
    history: LesionHistory
    site: str
    visits: tuple[int, ...]
    close_up: bool = False  # also photographed as a clinical close-up
    excised_after_days: int | None = None  # days from its last visit to its excision
    photos_at: dict[int, int] = field(default_factory=dict)  # more photos than one at a visit
    flaws: dict[int, str] = field(default_factory=dict)  # visit -> "blurred" or "cut": its photo is useless on purpose


@dataclass(frozen=True)
class PatientPlan:
    """One patient: who, which maker's archive, when seen, and the lesions. `skin` is the Fitzpatrick type 1 to 6."""

    index: int
    seed: int
    maker: str  # "a" writes DICOM, "b" photo folders
    sex: str
    birth_year: int
    skin: int
    tan_reach: float
    visit_days: tuple[date, ...]
    lesions: tuple[LesionPlan, ...]
    overview_visits: tuple[int, ...] = ()
    frame: tuple[int, int] | None = None  # height, width of the photos; None: as the device makes them

    def month(self, lesion: LesionPlan, visit: int) -> float:
        """Months from the lesion's first photo to a visit."""
        return (self.visit_days[visit] - self.visit_days[lesion.visits[0]]).days / DAYS_PER_MONTH

    def tan(self, visit: int) -> float:
        """How tanned the patient is at a visit, 0 to 1: the season's share of what this patient's habits allow."""
        rng = np.random.default_rng([self.seed, self.index, 71, visit])
        day = self.visit_days[visit].timetuple().tm_yday
        season = 0.5 - 0.5 * np.cos(2 * np.pi * (day - 25) / 365.25)  # lowest late January
        return float(np.clip(self.tan_reach * season * rng.uniform(0.6, 1.2), 0, 1))


#: Fitzpatrick types I to VI among patients of such clinics. Assumption, with more dark skin than most have.
SKIN_SHARES = (0.1, 0.32, 0.28, 0.14, 0.09, 0.07)


def draw_patient(seed: int, index: int, calibration: Calibration = PUBLISHED) -> PatientPlan:
    """Draw patient `index` of an archive of `seed`; independent of all other patients."""
    rng = np.random.default_rng([seed, index, 1])
    visit_count = int(rng.choice(5, p=(0.1, 0.25, 0.3, 0.2, 0.15))) + 1
    lesion_count = int(rng.choice(5, p=(0.2, 0.27, 0.25, 0.17, 0.11))) + 1
    populations = [
        "suspicious" if rng.random() < calibration.suspicious_share else "ordinary" for _ in range(lesion_count)
    ]
    visit_days = draw_visit_days(rng, visit_count, "suspicious" in populations)
    lesions = [
        _draw_lesion_plan(rng, (seed, index, 2, number), number, population, visit_days, calibration)
        for number, population in enumerate(populations, 1)
    ]
    skin = int(rng.choice(6, p=SKIN_SHARES)) + 1
    return PatientPlan(
        index=index,
        seed=seed,
        maker="a" if rng.random() < 0.5 else "b",
        sex=str(rng.choice(("male", "female"))),
        birth_year=int(np.clip(rng.normal(1974, 15), 1935, 2006)),
        skin=skin,
        tan_reach=float(rng.beta(1.2, 2.0)) * (0.5 if skin in (1, 6) else 1.0),
        visit_days=visit_days,
        lesions=tuple(lesions),
        overview_visits=tuple(v for v in range(visit_count) if rng.random() < 0.06),
    )


def draw_visit_days(rng: np.random.Generator, count: int, suspicious: bool) -> tuple[date, ...]:
    """Short-term monitoring comes back after three months, then every half year to year; the others once a year."""
    last = AS_OF - timedelta(days=int(rng.integers(3, 330)))
    gaps = [int(rng.integers(330, 480)) for _ in range(count - 1)]
    if suspicious:
        gaps = [int(rng.integers(80, 110)) if i == 0 else int(rng.integers(150, 400)) for i in range(count - 1)]
    days = [last]
    for gap in reversed(gaps):
        days.append(days[-1] - timedelta(days=gap))
    return tuple(reversed(days))


def _draw_lesion_plan(
    rng: np.random.Generator,
    seed: tuple[int, ...],
    number: int,
    population: str,
    visit_days: tuple[date, ...],
    calibration: Calibration,
) -> LesionPlan:
    visits = list(range(len(visit_days)))
    short_term = len(visits) > 2 and (visit_days[1] - visit_days[0]).days < 150
    if population == "ordinary" and short_term and rng.random() < 0.6:
        visits.remove(1)  # an ordinary lesion waits for the yearly visit
    if population == "ordinary" and len(visits) > 2 and rng.random() < 0.12:
        visits = visits[1:]  # first noticed later
    if len(visits) > 2 and rng.random() < 0.06:
        visits = visits[:-1]  # missing at the last visit
    first = visit_days[visits[0]]
    months = (visit_days[visits[1]] - first).days / DAYS_PER_MONTH if len(visits) > 1 else 3.0
    history = draw_lesion(rng, seed, population, months, calibration)
    excised = None
    if history.kind in MELANOMA_KINDS and len(visits) > 1 and rng.random() < 0.8:
        excised = int(rng.integers(7, 45))
        if visit_days[visits[-1]] + timedelta(days=excised) >= AS_OF:
            excised = None
    site = str(rng.choice(list(SITES), p=SITE_SHARES))
    return LesionPlan(
        number=number,
        history=history,
        site=site,
        visits=tuple(visits),
        close_up=bool(rng.random() < 0.07),
        excised_after_days=excised,
        photos_at={v: 2 for v in visits if rng.random() < 0.06},
    )
