"""Histories of patients and lesions: what is there and how it changes, drawn without rendering anything.

Patient k of a seed is the same whatever the number of patients: every draw comes from a generator of (seed, k).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from longderm.simulate.calibration import DAYS_PER_MONTH, PUBLISHED, Calibration
from longderm.simulate.outline import draw_lobe, draw_outline, grow
from longderm.simulate.sites import SITE_SHARES, SITES

#: The day on which every simulated archive ends; no visit is later.
AS_OF = date(2025, 6, 30)

#: Growth is capped: a lesion that trebles within a month is no superficial melanoma.
GROWTH_CAP_MM2_PER_MONTH = 9.0

#: A state differs visibly from another one when a course value moved by this much (of 1), or the area by this share.
#: Assumption: about what two readers see side by side.
VISIBLE_STEP = 0.12
VISIBLE_AREA_SHARE = 0.10

#: Tan (0 winter to 1) that differs by this much marks a pair as tanned.
VISIBLE_TAN = 0.35

#: Kinds of lesion: benign and at rest, benign and changing, malignant.
RESTING_KINDS = (
    "common_nevus",
    "dysplastic_nevus",
    "dermal_nevus",
    "solar_lentigo",
    "seborrhoeic_keratosis",
    "angioma",
)
BENIGN_CHANGING_KINDS = ("growing_nevus", "changing_nevus", "irritated_nevus")
MELANOMA_KINDS = ("melanoma_in_situ", "melanoma_invasive")

#: Kinds drawn for a lesion at rest, per population.
RESTING_SHARES = {
    "suspicious": (0.12, 0.82, 0.0, 0.02, 0.04, 0.0),
    "ordinary": (0.58, 0.08, 0.12, 0.08, 0.1, 0.04),
}

#: What a benign lesion that changes does. Assumption.
BENIGN_CHANGING_SHARES = (0.6, 0.25, 0.15)

#: Features of a lesion that change in the course of time, each 0 to 1; by which word a change of theirs is called.
COURSE_WAYS = {
    "asymmetry": "symmetry",
    "new_colour": "colour",
    "darkening": "colour",
    "redness": "colour",
    "regression": "colour",
    "network_loss": "structure",
    "streaks": "structure",
    "rim_globules": "structure",
}

#: Which features a kind may change, with the range their final strength is drawn from.
KIND_COURSES: dict[str, dict[str, tuple[float, float]]] = {
    "growing_nevus": {"rim_globules": (0.0, 0.5)},
    "changing_nevus": {"darkening": (-0.4, 0.5), "network_loss": (0.0, 0.6)},
    "irritated_nevus": {"redness": (0.3, 0.9), "darkening": (-0.1, 0.2)},
    "melanoma_in_situ": {
        "asymmetry": (0.1, 0.8),
        "new_colour": (0.0, 0.7),
        "network_loss": (0.0, 0.7),
        "streaks": (0.0, 0.4),
        "darkening": (0.0, 0.4),
        "regression": (0.0, 0.3),
    },
    "melanoma_invasive": {
        "asymmetry": (0.2, 1.0),
        "new_colour": (0.2, 1.0),
        "network_loss": (0.1, 0.9),
        "streaks": (0.0, 0.8),
        "darkening": (0.0, 0.5),
        "regression": (0.0, 0.7),
        "redness": (0.0, 0.4),
    },
}


@dataclass(frozen=True)
class LesionState:
    """A lesion on one day: `area_mm2` and the strength (0 to 1) of each feature of its course."""

    area_mm2: float
    course: dict[str, float]

    def get(self, feature: str) -> float:
        """Strength of a feature; 0 where the kind's course has none."""
        return self.course.get(feature, 0.0)


@dataclass(frozen=True)
class LesionHistory:
    """One lesion and its course.

    `area_mm2`: at month 0; `growth_mm2_per_month` from `onset_month` on; `final`: strength each feature of the course
    tends to; `pace_months`: the time constant of that; `seed`: what its looks are drawn from; `evolving`: it changes
    within its observation, more than the eye overlooks.
    """

    kind: str
    population: str
    area_mm2: float
    growth_mm2_per_month: float = 0.0
    onset_month: float = 0.0
    pace_months: float = 6.0
    evolving: bool = False
    irregularity: float = 0.3
    final: dict[str, float] = field(default_factory=dict)
    seed: tuple[int, ...] = (0,)

    def state_at(self, month: float) -> LesionState:
        """The lesion at `month` (months after its first photo; may be negative)."""
        elapsed = max(0.0, month - self.onset_month)
        share = 1 - float(np.exp(-elapsed / self.pace_months))
        return LesionState(
            max(0.5, self.area_mm2 + self.growth_mm2_per_month * elapsed),
            {name: strength * share for name, strength in self.final.items()},
        )

    def outline_at(self, state: LesionState) -> np.ndarray:
        """Radii in mm of the lesion's border in `state` (see `outline`)."""
        rng = np.random.default_rng([*self.seed, 11])
        base = draw_outline(rng, self.irregularity, float(rng.uniform(1.0, 1.5))) * np.sqrt(self.area_mm2)
        one_sided = min(1.0, 1.3 * self.final.get("asymmetry", 0.0)) if self.kind in MELANOMA_KINDS else 0.0
        grown = grow(base, draw_lobe(rng), state.area_mm2, one_sided)
        teeth = state.get("streaks")
        if teeth <= 0:
            return grown
        # Streaks are teeth of a sector of the border; they are part of the outline, so the area holds them.
        theta = np.arange(len(grown)) * (2 * np.pi / len(grown))
        centre = rng.uniform(0, 2 * np.pi)
        count = int(rng.integers(26, 40))
        sector = np.exp(2.5 * (np.cos(theta - centre) - 1))
        comb = np.clip(np.cos(count * theta + rng.uniform(0, 6)), 0, None) ** 2
        return grow(grown + 0.28 * teeth * sector * comb, draw_lobe(rng), state.area_mm2, 0.0)


def changed_ways(before: LesionState, after: LesionState) -> tuple[str, ...]:
    """In which of size, symmetry, colour, structure two states of a lesion differ visibly, sorted."""
    ways = {
        COURSE_WAYS[name]
        for name in sorted(after.course)
        if round(abs(after.get(name) - before.get(name)), 6) >= VISIBLE_STEP
    }
    if round(abs(after.area_mm2 - before.area_mm2) / before.area_mm2, 6) >= VISIBLE_AREA_SHARE:
        ways.add("size")
    return tuple(sorted(ways))


def draw_lesion(
    rng: np.random.Generator,
    seed: tuple[int, ...],
    population: str,
    first_interval_months: float,
    calibration: Calibration = PUBLISHED,
) -> LesionHistory:
    """Draw a lesion of a population ("suspicious" or "ordinary") first seen again after `first_interval_months`."""
    changed = calibration.suspicious_changed if population == "suspicious" else calibration.ordinary_changed
    if rng.random() >= changed:
        kind = str(rng.choice(RESTING_KINDS, p=RESTING_SHARES[population]))
        return make_lesion(rng, seed, kind, population, first_interval_months, calibration)
    if rng.random() < calibration.melanoma_share_of_changed:
        kind = MELANOMA_KINDS[0] if rng.random() < calibration.in_situ_share else MELANOMA_KINDS[1]
    else:
        kind = str(rng.choice(BENIGN_CHANGING_KINDS, p=BENIGN_CHANGING_SHARES))
    return make_lesion(rng, seed, kind, population, first_interval_months, calibration)


def make_lesion(
    rng: np.random.Generator,
    seed: tuple[int, ...],
    kind: str,
    population: str,
    first_interval_months: float,
    calibration: Calibration = PUBLISHED,
) -> LesionHistory:
    """Draw a lesion of a given kind."""
    area = _draw_area(rng, kind, population, calibration)
    irregularity = float(rng.uniform(*_IRREGULARITY[kind]))
    if kind in RESTING_KINDS:
        # At rest is not frozen: keratoses creep, the others drift by less than is visible.
        growth = rng.uniform(0.0, 0.04) if kind == "seborrhoeic_keratosis" else rng.normal(0, 0.01)
        drift = {"darkening": float(rng.normal(0, 0.03))}
        return LesionHistory(kind, population, area, float(growth), 0.0, 12.0, False, irregularity, drift, seed)
    growth = _draw_growth(rng, kind, calibration)
    # An ordinary lesion may rest for some time after its first photo before it begins to change.
    onset = 0.0 if population == "suspicious" else float(rng.uniform(0, 0.5) * first_interval_months)
    pace = float(np.clip(rng.lognormal(np.log(6.0), 0.5), 2.0, 18.0))
    final = {name: float(rng.uniform(*span)) for name, span in KIND_COURSES[kind].items()}
    lesion = LesionHistory(kind, population, area, growth, onset, pace, True, irregularity, final, seed)
    return _made_visible(rng, lesion, first_interval_months)


def _made_visible(rng: np.random.Generator, lesion: LesionHistory, month: float) -> LesionHistory:
    """Strengthen the lesion's leading feature until its first follow-up differs visibly: the shares count seen changes."""
    if changed_ways(lesion.state_at(0.0), lesion.state_at(month)):
        return lesion
    share = 1 - float(np.exp(-(month - lesion.onset_month) / lesion.pace_months))
    leading = max(sorted(lesion.final), key=lambda name: abs(lesion.final[name]))
    strength = min(1.0, VISIBLE_STEP * float(rng.uniform(1.05, 1.8)) / share)
    sign = -1.0 if lesion.final[leading] < 0 else 1.0
    pace = (
        lesion.pace_months if strength < 1.0 else -(month - lesion.onset_month) / float(np.log(1 - 1.3 * VISIBLE_STEP))
    )
    return LesionHistory(
        **{**lesion.__dict__, "final": {**lesion.final, leading: sign * strength}, "pace_months": pace}
    )


def _draw_area(rng: np.random.Generator, kind: str, population: str, calibration: Calibration) -> float:
    if kind in MELANOMA_KINDS:
        mean, sd = calibration.melanoma_area_mean, calibration.melanoma_area_sd
    elif population == "suspicious":
        mean, sd = calibration.suspicious_area_mean, calibration.suspicious_area_sd
    else:
        mean, sd = calibration.nevus_area_mean, calibration.nevus_area_sd
    return float(np.clip(draw_lognormal(rng, mean, sd), 2.0, 90.0))


def _draw_growth(rng: np.random.Generator, kind: str, calibration: Calibration) -> float:
    if kind in MELANOMA_KINDS:
        mean = calibration.in_situ_growth_mean if kind == MELANOMA_KINDS[0] else calibration.invasive_growth_mean
        growth = draw_lognormal(rng, mean, mean * calibration.melanoma_growth_cv)
        return float(min(growth, GROWTH_CAP_MM2_PER_MONTH))
    if kind == "growing_nevus":
        # The published range is taken as the central 95% of lesions.
        sd = (calibration.benign_growth_high - calibration.benign_growth_low) / 3.92
        return float(max(0.02, rng.normal(calibration.benign_growth_mean, sd)))
    return float(abs(rng.normal(0, 0.03)))


def draw_lognormal(rng: np.random.Generator, mean: float, sd: float) -> float:
    """Draw from the log-normal distribution of that mean and standard deviation."""
    variance = np.log(1 + (sd / mean) ** 2)
    return float(rng.lognormal(np.log(mean) - variance / 2, np.sqrt(variance)))


_IRREGULARITY = {
    "common_nevus": (0.1, 0.35),
    "dysplastic_nevus": (0.35, 0.75),
    "dermal_nevus": (0.05, 0.25),
    "solar_lentigo": (0.4, 0.8),
    "seborrhoeic_keratosis": (0.2, 0.5),
    "angioma": (0.1, 0.4),
    "growing_nevus": (0.05, 0.2),
    "changing_nevus": (0.2, 0.6),
    "irritated_nevus": (0.1, 0.4),
    "melanoma_in_situ": (0.45, 0.9),
    "melanoma_invasive": (0.55, 1.0),
}


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
    visit_days = _draw_visit_days(rng, visit_count, "suspicious" in populations)
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


def _draw_visit_days(rng: np.random.Generator, count: int, suspicious: bool) -> tuple[date, ...]:
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
