"""One monitored lesion of one patient, photographed at every visit, in memory: for measuring, without an archive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from longderm.simulate.calibration import PUBLISHED, Calibration
from longderm.simulate.devices import Device, dermatoscopes
from longderm.simulate.history import (
    MELANOMA_KINDS,
    Courses,
    LesionHistory,
    LesionState,
    draw_lesion,
    make_lesion,
)
from longderm.simulate.monitored import MONITORED
from longderm.simulate.pigment import draw_looks
from longderm.simulate.plans import SKIN_SHARES, LesionPlan, PatientPlan, draw_visit_days
from longderm.simulate.render import SKIN_EXTENT_MM, SKIN_PER_MM, render
from longderm.simulate.shots import LesionShots, stated_scale
from longderm.simulate.sites import SITE_SHARES, SITES
from longderm.simulate.skin import build_skin

#: What a monitored lesion is asked to be, besides a kind of `longderm.simulate.history`: a melanoma with the published
#: share in situ, or a benign lesion as a clinic monitors them, most of which are at rest.
MELANOMA, BENIGN = "melanoma", "benign"


@dataclass(frozen=True, eq=False)
class VisitPhoto:
    """The photo of one visit and its truth: uint8 (H, W, 3), the lesion's mask bool (H, W), its state, the scale as it
    truly is and as it is stated (None: it is not)."""

    day: date
    month: float
    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    state: LesionState
    device: Device
    px_per_mm: float
    px_per_mm_stated: float | None


def draw_monitored(
    seed: int,
    index: int,
    kind: str,
    visits: int,
    calibration: Calibration = PUBLISHED,
    courses: Courses = MONITORED,
    *,
    at_rest: bool = False,
) -> PatientPlan:
    """Draw patient `index` of a seed with one suspicious lesion under short-term monitoring, seen `visits` times.

    kind: MELANOMA, BENIGN or a kind of lesion; at_rest: the lesion keeps its looks and does not change, for telling
    how much of a score comes from looks alone. Independent of all other patients.
    """
    rng = np.random.default_rng([seed, index, 91])
    days = draw_visit_days(rng, visits, suspicious=True)
    months = (days[1] - days[0]).days / 30.4375 if visits > 1 else 3.0
    key = (seed, index, 92)
    history = _draw_history(rng, key, kind, months, calibration, courses)
    if at_rest:
        still = dict.fromkeys(history.final, 0.0)
        history = LesionHistory(**{**history.__dict__, "growth_mm2_per_month": 0.0, "final": still, "evolving": False})
    skin = int(rng.choice(6, p=SKIN_SHARES)) + 1
    site = str(rng.choice(list(SITES), p=SITE_SHARES))
    return PatientPlan(
        index=index,
        seed=seed,
        maker="a" if rng.random() < 0.5 else "b",
        sex=str(rng.choice(("male", "female"))),
        birth_year=1980,
        skin=skin,
        tan_reach=float(rng.beta(1.2, 2.0)) * (0.5 if skin in (1, 6) else 1.0),
        visit_days=days,
        lesions=(LesionPlan(number=1, history=history, site=site, visits=tuple(range(visits))),),
    )


def photograph(plan: PatientPlan) -> tuple[VisitPhoto, ...]:
    """The dermoscopic photos of a patient's first lesion, visit by visit."""
    lesion = plan.lesions[0]
    history = lesion.history
    states = {visit: history.state_at(plan.month(lesion, visit)) for visit in lesion.visits}
    reach = max(float(history.outline_at(state).max()) for state in states.values())
    skin = build_skin(history.seed, plan.skin, SKIN_EXTENT_MM, SKIN_PER_MM, lesion.site)
    looks = draw_looks(history, reach, skin.melanin)
    shots = LesionShots(plan, lesion, reach)
    photos = []
    for visit, state in states.items():
        shot = shots.draw(visit, 0, dermatoscopes(plan.maker))
        picture = render(skin, looks, history, state, shot, plan.tan(visit))
        photos.append(
            VisitPhoto(
                plan.visit_days[visit],
                plan.month(lesion, visit),
                picture.pixels,
                picture.mask,
                state,
                shot.device,
                shot.px_per_mm,
                stated_scale(lesion, visit, 0, shot),
            )
        )
    return tuple(photos)


def _draw_history(
    rng: np.random.Generator, key: tuple[int, ...], kind: str, months: float, calibration: Calibration, courses: Courses
) -> LesionHistory:
    if kind == MELANOMA:
        kind = MELANOMA_KINDS[0] if rng.random() < calibration.in_situ_share else MELANOMA_KINDS[1]
    if kind != BENIGN:
        return make_lesion(rng, key, kind, "suspicious", months, calibration, courses)
    while True:
        history = draw_lesion(rng, key, "suspicious", months, calibration, courses)
        if history.kind not in MELANOMA_KINDS:
            return history
