"""Histories of lesions: what they are and how they change, drawn without rendering anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from longderm.simulate.calibration import PUBLISHED, Calibration
from longderm.simulate.outline import draw_lobe, draw_outline, grow

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

#: Range of areas at the first photo, mm2: what a monitored lesion may be.
AREA_RANGE_MM2 = (2.0, 90.0)

#: A benign lesion that grows does so by this much at least, mm2/month; the others drift by this SD, either way counted
#: as growth.
LEAST_BENIGN_GROWTH, OTHER_GROWTH_SD = 0.02, 0.03


#: Median, spread (SD of the logarithm), least and most of a course's time constant in months. Assumption.
USUAL_PACE_MONTHS = (6.0, 0.5, 2.0, 18.0)


@dataclass(frozen=True)
class Courses:
    """How changing lesions take their course.

    `features`: per kind, the features that may change and the range their final strength is drawn from, evenly;
    `shares`: per kind and feature, the share of lesions in which it changes at all (1 where none is given); paces: as
    USUAL_PACE_MONTHS, of melanomas and of the others; `made_visible`: strengthened until a reader would see the change
    at the first follow-up, which is what published shares of changed lesions count.
    """

    features: Mapping[str, Mapping[str, tuple[float, float]]]
    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    melanoma_pace_months: tuple[float, float, float, float] = USUAL_PACE_MONTHS
    benign_pace_months: tuple[float, float, float, float] = USUAL_PACE_MONTHS
    made_visible: bool = True


#: The courses of every archive: whatever changes, changes visibly.
USUAL = Courses(KIND_COURSES)


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
        one_sided = min(1.0, 1.3 * self.final.get("asymmetry", 0.0))
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
    courses: Courses = USUAL,
) -> LesionHistory:
    """Draw a lesion of a population ("suspicious" or "ordinary") first seen again after `first_interval_months`."""
    changed = calibration.suspicious_changed if population == "suspicious" else calibration.ordinary_changed
    if rng.random() >= changed:
        kind = str(rng.choice(RESTING_KINDS, p=RESTING_SHARES[population]))
        return make_lesion(rng, seed, kind, population, first_interval_months, calibration, courses)
    if rng.random() < calibration.melanoma_share_of_changed:
        kind = MELANOMA_KINDS[0] if rng.random() < calibration.in_situ_share else MELANOMA_KINDS[1]
    else:
        kind = str(rng.choice(BENIGN_CHANGING_KINDS, p=BENIGN_CHANGING_SHARES))
    return make_lesion(rng, seed, kind, population, first_interval_months, calibration, courses)


def make_lesion(
    rng: np.random.Generator,
    seed: tuple[int, ...],
    kind: str,
    population: str,
    first_interval_months: float,
    calibration: Calibration = PUBLISHED,
    courses: Courses = USUAL,
) -> LesionHistory:
    """Draw a lesion of a given kind."""
    area = _draw_area(rng, kind, population, calibration)
    irregularity = float(rng.uniform(*_IRREGULARITY[kind]))
    if kind in RESTING_KINDS:
        # At rest is not frozen: keratoses creep, the others drift by less than is visible.
        growth = rng.uniform(0.0, 0.04) if kind == "seborrhoeic_keratosis" else rng.normal(0, 0.004)
        drift = {"darkening": float(rng.normal(0, 0.03))}
        return LesionHistory(kind, population, area, float(growth), 0.0, 12.0, False, irregularity, drift, seed)
    growth = _draw_growth(rng, kind, calibration)
    # An ordinary lesion may rest for some time after its first photo before it begins to change.
    onset = 0.0 if population == "suspicious" else float(rng.uniform(0, 0.5) * first_interval_months)
    median, spread, least, most = courses.melanoma_pace_months if kind in MELANOMA_KINDS else courses.benign_pace_months
    pace = float(np.clip(rng.lognormal(np.log(median), spread), least, most))
    final = {name: float(rng.uniform(*span)) for name, span in courses.features[kind].items()}
    shares = courses.shares.get(kind, {})
    final = {name: end for name, end in final.items() if name not in shares or rng.random() < shares[name]}
    lesion = LesionHistory(kind, population, area, growth, onset, pace, True, irregularity, final, seed)
    return _made_visible(rng, lesion, first_interval_months) if courses.made_visible else lesion


def _made_visible(rng: np.random.Generator, lesion: LesionHistory, month: float) -> LesionHistory:
    """Strengthen the leading feature until the first follow-up differs visibly: the shares count what readers saw."""
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
    return float(np.clip(draw_lognormal(rng, mean, sd), *AREA_RANGE_MM2))


def _draw_growth(rng: np.random.Generator, kind: str, calibration: Calibration) -> float:
    if kind in MELANOMA_KINDS:
        mean = calibration.in_situ_growth_mean if kind == MELANOMA_KINDS[0] else calibration.invasive_growth_mean
        growth = draw_lognormal(rng, mean, mean * calibration.melanoma_growth_cv)
        return float(min(growth, GROWTH_CAP_MM2_PER_MONTH))
    if kind == "growing_nevus":
        # The published range is taken as the central 95% of lesions.
        sd = (calibration.benign_growth_high - calibration.benign_growth_low) / 3.92
        return float(max(LEAST_BENIGN_GROWTH, rng.normal(calibration.benign_growth_mean, sd)))
    return float(abs(rng.normal(0, OTHER_GROWTH_SD)))


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
