"""Growth over all visits of a lesion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longderm.change.evidence import DEFAULT_VERSION
from longderm.change.trajectory import DAYS_PER_MONTH, VisitMeasure, fit_trajectory, relative_areas, robust_slope
from longderm.models import load_release

MONTH = DAYS_PER_MONTH


def _visits(days, areas):
    return [VisitMeasure(day=d, area_mm2=a, relative_area=a / areas[0]) for d, a in zip(days, areas, strict=True)]


@given(
    st.floats(5, 60),
    st.floats(-0.3, 2.0),
    st.lists(st.integers(1, 3000), min_size=1, max_size=7, unique=True),
)
def test_a_lesion_that_grows_evenly_gets_its_rate_back(area, rate, later):
    days = [0, *sorted(later)]
    areas = [area + rate * d / MONTH for d in days]
    if min(areas) <= 0.5:
        return
    result = fit_trajectory(_visits(days, areas))
    assert result.growth_mm2_per_month == pytest.approx(rate, abs=2e-5)
    assert result.growth_percent_per_month == pytest.approx(100 * rate / area, abs=2e-4)
    slope = robust_slope(list(zip(days, areas, strict=True)), [0.1 * area for area in areas])
    assert slope.low <= rate + 1e-5 and rate - 1e-5 <= slope.high


def test_the_order_of_the_visits_is_of_no_matter():
    visits = _visits([0, 90, 200, 410], [20, 22, 21, 26])
    assert fit_trajectory(visits) == fit_trajectory(visits[::-1])


def test_one_wild_area_among_six_hardly_moves_the_rate():
    days = [0, 90, 180, 270, 360, 450]
    areas = [20 + 0.3 * d / MONTH for d in days]
    wild = [*areas[:3], areas[3] * 2, *areas[4:]]
    assert fit_trajectory(_visits(days, wild)).growth_mm2_per_month == pytest.approx(0.3, abs=0.1)


def test_one_visit_gives_no_growth_and_says_so():
    result = fit_trajectory([VisitMeasure(day=7, area_mm2=12.0, relative_area=1.0)])
    assert result.growth_mm2_per_month is None and result.growth_percent_per_month is None
    assert result.visits == 1 and "growth needs two" in result.reasons[0]
    assert fit_trajectory([]).visits == 0


def test_without_a_scale_growth_is_relative_only():
    result = fit_trajectory([VisitMeasure(day=0, relative_area=1.0), VisitMeasure(day=61, relative_area=1.2)])
    assert result.growth_mm2_per_month is None
    assert result.growth_percent_per_month == pytest.approx(20 / (61 / MONTH), rel=1e-4)
    assert any("mm2" in reason for reason in result.reasons)


def test_two_visits_have_an_interval_from_the_known_noise_and_none_without_it():
    points = [(0, 20.0), (90, 22.0)]
    assert robust_slope(points, None).low is None
    known = robust_slope(points, [2.0, 2.2])
    assert known.low < known.per_month < known.high
    doubled = robust_slope(points, [4.0, 4.4])
    assert (doubled.high - doubled.low) == pytest.approx(2 * (known.high - known.low), rel=1e-3)


def test_three_and_four_visits_claim_no_interval_from_their_scatter_alone():
    assert robust_slope([(0, 20.0), (90, 22.0), (180, 23.0)], None).low is None
    assert robust_slope([(0, 20.0), (90, 22.0), (180, 23.0), (270, 25.0), (360, 26.0)], None).low is not None


@pytest.mark.parametrize("visits", [2, 3, 5, 8])
def test_the_interval_covers_the_true_rate_at_least_19_times_in_20(visits):
    rng = np.random.default_rng(visits)
    days = np.linspace(0, 120 * (visits - 1), visits).astype(int)
    covered = []
    for _ in range(600):
        areas = (25 + 0.4 * days / MONTH) * (1 + rng.normal(0, 0.08, visits))
        slope = robust_slope(list(zip(days.tolist(), areas.tolist(), strict=True)), (0.08 * areas).tolist())
        covered.append(slope.low <= 0.4 <= slope.high)
    assert np.mean(covered) >= 0.93


def test_the_first_flagged_visit_is_the_earliest_one():
    days = [0, 100, 200, 300]
    visits = [VisitMeasure(day=d, relative_area=1.0, flagged=d >= 200) for d in days]
    assert fit_trajectory(visits).first_flagged_day == 200
    assert fit_trajectory(visits[:2]).first_flagged_day is None


def test_two_visits_on_one_day_and_areas_of_nothing_are_refused():
    with pytest.raises(ValueError, match="one day"):
        fit_trajectory([VisitMeasure(day=1, relative_area=1.0), VisitMeasure(day=1, relative_area=1.0)])
    with pytest.raises(ValueError, match="positive"):
        fit_trajectory([VisitMeasure(day=1, area_mm2=0.0)])


def test_relative_areas_undo_the_zoom_through_the_shortest_chain():
    true = [1.0, 1.1, 1.3, 1.2]
    zoom = [1.0, 1.5, 0.8, 1.2]
    areas = [1000 * a * z**2 for a, z in zip(true, zoom, strict=True)]
    scales = {(i, j): zoom[j] / zoom[i] for i, j in [(0, 1), (1, 2), (0, 2), (2, 3)]}
    assert relative_areas(areas, scales) == pytest.approx(true)
    # A direct link outweighs a chain: a wrong scale between 1 and 2 is not used.
    assert relative_areas(areas, scales | {(1, 2): 9.0}) == pytest.approx(true)


def test_a_visit_that_no_alignment_reaches_has_no_relative_area():
    assert relative_areas([100.0, 120.0, 130.0], {(1, 2): 1.0}) == (1.0, None, None)
    assert relative_areas([100.0, None, 130.0], {(0, 1): 1.0, (1, 2): 1.0}) == pytest.approx((1.0, None, 1.3))
    assert relative_areas([None, 120.0, 240.0], {(0, 1): 1.0, (1, 2): 2.0}) == (None, 1.0, 0.5)
    assert relative_areas([None, None], {(0, 1): 1.0}) == (None, None)
    assert relative_areas([], {}) == ()


@pytest.mark.parametrize("stated", [0.0, 0.01, 0.05])
def test_growth_in_mm2_covers_the_true_rate_though_the_scale_errs_as_it_says(stated):
    rng = np.random.default_rng(5)
    days = [0, 95, 300]
    mdc = load_release("change", DEFAULT_VERSION).config["noise"]["area"]["mdc"]
    sd = mdc / 1.959964 / np.sqrt(2)
    covered = []
    for _ in range(500):
        scale = 1 + rng.normal(0, stated, 3)
        areas = (25 + 0.4 * np.array(days) / MONTH) * (1 + rng.normal(0, sd, 3)) * scale**2
        visits = [VisitMeasure(d, float(a), px_per_mm_error=stated) for d, a in zip(days, areas, strict=True)]
        fit = fit_trajectory(visits)
        covered.append(fit.growth_mm2_per_month_low <= 0.4 <= fit.growth_mm2_per_month_high)
    assert 0.92 <= np.mean(covered) <= 0.98


def test_a_scale_whose_error_is_not_stated_is_taken_to_err_by_three_percent():
    def width(error):
        visits = [VisitMeasure(d, 20.0, px_per_mm_error=error) for d in (0, 90)]
        fit = fit_trajectory(visits)
        return fit.growth_mm2_per_month_high - fit.growth_mm2_per_month_low

    assert width(None) == pytest.approx(width(0.03))
    assert width(0.0) < width(0.01) < width(None)


def test_a_trend_of_colour_and_structure_is_a_slope_with_an_interval_over_the_visits_that_were_compared():
    days = [0, 90, 180, 400]
    visits = [VisitMeasure(d, differences={} if d == 180 else {"delta_lightness": -0.5 * d / MONTH}) for d in days]
    trends = fit_trajectory(visits).trends
    assert set(trends) == {"delta_lightness"}
    slope = trends["delta_lightness"]
    assert slope.per_month == pytest.approx(-0.5, abs=1e-5)
    assert slope.low < -0.5 < slope.high
