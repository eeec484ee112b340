"""Histories, drawn without rendering, agree with the published figures they are calibrated to."""

from __future__ import annotations

import numpy as np
import pytest

from longderm.simulate.calibration import PUBLISHED
from longderm.simulate.history import MELANOMA_KINDS, LesionHistory, changed_ways, draw_lesion, make_lesion
from longderm.simulate.plans import AS_OF, draw_patient

DRAWS = 8000


def draw(population: str, months: float, count: int = DRAWS) -> list[LesionHistory]:
    return [draw_lesion(np.random.default_rng([5, i]), (5, i), population, months) for i in range(count)]


def share_changed(lesions: list[LesionHistory], months: float) -> float:
    return float(np.mean([bool(changed_ways(lesion.state_at(0), lesion.state_at(months))) for lesion in lesions]))


def melanomas(kind: str | None = None) -> list[LesionHistory]:
    rng = np.random.default_rng(17)
    out = []
    for i in range(DRAWS):
        drawn = MELANOMA_KINDS[0] if rng.random() < PUBLISHED.in_situ_share else MELANOMA_KINDS[1]
        out.append(make_lesion(np.random.default_rng([6, i]), (6, i), kind or drawn, "suspicious", 3.0))
    return out


def auroc(changed: list[float], rest: list[float]) -> float:
    """Chance that a changed lesion scores higher than an unchanged one."""
    order = np.argsort(np.concatenate([changed, rest]), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    return float((ranks[: len(changed)].sum() - len(changed) * (len(changed) + 1) / 2) / (len(changed) * len(rest)))


def test_16_percent_of_monitored_suspicious_nevi_change_within_3_months():
    margin = 3 * np.sqrt(0.16 * 0.84 / DRAWS)
    assert abs(share_changed(draw("suspicious", 3.0), 3.0) - 0.16) < margin


def test_4_to_5_percent_of_ordinary_nevi_change_over_a_year():
    margin = 3 * np.sqrt(0.045 * 0.955 / DRAWS)
    assert 0.04 - margin < share_changed(draw("ordinary", 12.0), 12.0) < 0.05 + margin


def test_one_changed_lesion_in_nine_is_malignant():
    changed = [lesion for lesion in draw("suspicious", 3.0) if lesion.evolving]
    malignant = np.mean([lesion.kind in MELANOMA_KINDS for lesion in changed])
    assert 0.11 - 3 * np.sqrt(0.11 * 0.89 / len(changed)) < malignant < 0.11 + 3 * np.sqrt(0.11 * 0.89 / len(changed))


def test_melanoma_grows_043_mm2_per_month_sd_09():
    growth = np.array([lesion.growth_mm2_per_month for lesion in melanomas()])
    assert abs(growth.mean() - 0.43) < 3 * 0.9 / np.sqrt(DRAWS)
    assert 0.65 < growth.std() < 1.1  # heavy tailed: the sample SD of so skewed a distribution spreads widely


@pytest.mark.parametrize(("kind", "mean"), [("melanoma_in_situ", 0.25), ("melanoma_invasive", 0.58)])
def test_in_situ_grows_slower_than_invasive(kind, mean):
    growth = np.array([lesion.growth_mm2_per_month for lesion in melanomas(kind)])
    assert abs(growth.mean() - mean) < 3 * PUBLISHED.melanoma_growth_cv * mean / np.sqrt(DRAWS)


def test_melanoma_is_256_mm2_at_baseline_sd_145():
    area = np.array([lesion.area_mm2 for lesion in melanomas()])
    assert abs(area.mean() - 25.6) < 0.6
    assert abs(area.std() - 14.5) < 1.5


def test_benign_growing_nevi_gain_025_mm2_per_month():
    growth = np.array(
        [
            make_lesion(np.random.default_rng([7, i]), (7, i), "growing_nevus", "ordinary", 12.0).growth_mm2_per_month
            for i in range(2000)
        ]
    )
    assert abs(growth.mean() - 0.25) < 0.01
    assert 0.93 < np.mean((growth > 0.14) & (growth < 0.36)) < 0.97


def test_growth_within_3_months_is_below_measuring_noise_so_that_size_alone_does_not_separate():
    malignant, rest = melanomas(), [lesion for lesion in draw("suspicious", 3.0) if not lesion.evolving]

    def diameter(area: float) -> float:
        return float(2 * np.sqrt(area / np.pi))

    gained = [diameter(lesion.state_at(3).area_mm2) - diameter(lesion.area_mm2) for lesion in malignant]
    assert 0.09 < np.mean(gained) < 0.2  # published: 0.14 mm
    # An area is measured to some 8% from photo to photo.
    rng = np.random.default_rng(2)

    def measured(lesion: LesionHistory) -> float:
        return float(np.log(lesion.state_at(3).area_mm2 / lesion.area_mm2) + rng.normal(0, 0.08 * np.sqrt(2)))

    assert auroc([measured(x) for x in malignant], [measured(x) for x in rest]) < 0.7
    # Over a year it begins to.
    later = [np.log(x.state_at(12).area_mm2 / x.area_mm2) + rng.normal(0, 0.11) for x in malignant]
    assert auroc(later, [measured(x) for x in rest]) > 0.7


def test_what_melanoma_does_and_growing_nevi_do_not():
    ways = {"melanoma_invasive": set(), "growing_nevus": set()}
    for kind, seen in ways.items():
        for i in range(60):
            lesion = make_lesion(np.random.default_rng([8, i]), (8, i), kind, "suspicious", 3.0)
            seen.update(changed_ways(lesion.state_at(0), lesion.state_at(12)))
    assert {"symmetry", "colour", "structure"} <= ways["melanoma_invasive"]
    assert ways["growing_nevus"] == {"size", "structure"}


def test_patients_have_one_to_five_lesions_and_visits_before_the_archive_ends():
    patients = [draw_patient(3, i) for i in range(300)]
    assert {len(patient.lesions) for patient in patients} == {1, 2, 3, 4, 5}
    assert {len(patient.visit_days) for patient in patients} == {1, 2, 3, 4, 5}
    assert all(patient.visit_days[-1] < AS_OF for patient in patients)
    assert all(list(patient.visit_days) == sorted(set(patient.visit_days)) for patient in patients)
    assert {patient.skin for patient in patients} == {1, 2, 3, 4, 5, 6}
    assert {patient.maker for patient in patients} == {"a", "b"}


def test_a_patient_does_not_depend_on_the_others_but_on_the_seed():
    assert draw_patient(3, 7) == draw_patient(3, 7)
    assert draw_patient(3, 7) != draw_patient(4, 7)
    assert draw_patient(3, 7) != draw_patient(3, 8)


def test_tan_follows_the_seasons():
    patients = [draw_patient(9, i) for i in range(400)]
    tans = [(day.month, patient.tan(visit)) for patient in patients for visit, day in enumerate(patient.visit_days)]
    summer = np.mean([tan for month, tan in tans if month in (6, 7, 8)])
    winter = np.mean([tan for month, tan in tans if month in (12, 1, 2)])
    assert summer > winter + 0.2
