"""What the trajectory benchmark makes of its rows: thresholds of other patients, first flags, months won, coverage."""

from __future__ import annotations

import numpy as np
import pytest

from longderm.bench.trajectory import Judged, _months_won, flag_all, judge, specs_of
from longderm.bench.trajectory_growth import trajectory_of
from longderm.models import load_release


def lesion(values, malignant=False, fold=0):
    return Judged(malignant, fold, tuple(values), tuple(91 * (n + 1) for n in range(len(values))))


def test_the_threshold_of_a_fold_leaves_out_its_own_benign_lesions():
    rng = np.random.default_rng(1)
    benign = [lesion([rng.uniform(0, 1)], fold=n % 5) for n in range(100)]
    loud = [lesion([9.0], fold=0) for _ in range(30)]  # would raise their own threshold, were they asked
    flags = flag_all([*benign, *loud])
    assert all(flag == 0 for flag in flags[100:])
    assert 0.8 < np.mean([flag is None for flag in flag_all(benign)]) <= 1.0


def test_nine_in_ten_benign_lesions_are_never_flagged_over_all_their_visits():
    rng = np.random.default_rng(2)
    benign = [lesion(rng.normal(0, 1, 3), fold=n % 5) for n in range(400)]
    flags = flag_all(benign)
    assert np.mean([flag is None for flag in flags]) == pytest.approx(0.9, abs=0.02)
    at_first = flag_all(benign, first_only=True)
    assert np.mean([flag is None for flag in at_first]) == pytest.approx(0.9, abs=0.02)


def test_a_withheld_visit_flags_nothing():
    benign = [lesion([0.1 * n / 50], fold=n % 5) for n in range(50)]
    flags = flag_all([*benign, lesion([None, 5.0], True), lesion([None, None], True)])
    assert flags[-2:] == [1, None]


def test_months_won_count_a_lesion_never_flagged_at_its_last_visit():
    lesions = [lesion([0, 0, 0], True) for _ in range(3)] + [lesion([0, 0, 0])]
    told = _months_won(lesions, [0, 1, None, 0], [2, None, 1, None])
    month = 91 / 30.4375
    assert told["mean"][0] == pytest.approx((2 * month + month - month) / 3, abs=1e-3)
    assert (told["earlier"], told["same_visit"], told["later"], told["melanomas"]) == (2, 0, 1, 3)


def test_a_follow_up_counts_by_the_higher_of_its_pairs_and_withheld_ones_by_none():
    row = {
        "malignant": True,
        "index": 7,
        "visits_measured": [{"day": 0}, {"day": 90}, {"day": 300}],
        "pairs": [
            {"baseline": 0, "followup": 1, "withheld": "quality"},
            {"baseline": 0, "followup": 2, "withheld": None, "score": 0.3},
            {"baseline": 1, "followup": 2, "withheld": None, "score": 0.7},
        ],
    }
    assert judge(row, lambda pair: pair["score"]) == Judged(True, 2, (None, 0.7), (90, 300))


def test_melanomas_are_spread_over_the_patients_whatever_their_number():
    specs = specs_of(200, 5)
    assert sum(spec.kind == "melanoma" for spec in specs) == 70
    assert 5 <= sum(spec.kind == "melanoma" for spec in specs[:20]) <= 8
    assert specs_of(200, 5) == specs and specs_of(200, 6) != specs


def test_a_row_gives_the_trajectory_that_the_flow_would_fit():
    days, rate, zoom = [0, 90, 300], 0.5, [1.0, 1.2, 0.9]
    areas = [20 + rate * day / 30.4375 for day in days]
    row = {
        "visits_measured": [
            {"day": day, "area_mm2": area, "area_px": 900 * area * z**2}
            for day, area, z in zip(days, areas, zoom, strict=True)
        ],
        "pairs": [
            {"baseline": 0, "followup": 1, "scale": 1.2, "withheld": "quality"},
            {
                "baseline": 0,
                "followup": 2,
                "scale": 0.9,
                "withheld": None,
                "deltas": {"delta_lightness": [-2.0, 3.0], "area": [20.0, 12.0]},
            },
        ],
    }
    fit = trajectory_of(row, load_release("change", "0.1.0"))
    assert fit.growth_mm2_per_month == pytest.approx(rate, abs=1e-4)
    assert fit.growth_percent_per_month == pytest.approx(100 * rate / 20, abs=1e-3)
    assert fit.trends["delta_lightness"].per_month == pytest.approx(-2.0 / (300 / 30.4375), abs=1e-4)
    assert set(fit.trends) == {"delta_lightness"}
