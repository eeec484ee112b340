"""The chart: what is drawn lies where its numbers say."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longderm.report.chart import (
    HEIGHT,
    WIDTH,
    AreaPoint,
    AreaSeries,
    area_chart,
    describe,
    growth_band,
    nice_ticks,
    time_axis,
    value_axis,
)
from tests.report.builder import steady

MONTH = 30.4375


@st.composite
def series(draw: st.DrawFn) -> AreaSeries:
    days = draw(st.lists(st.integers(-400, 4000), min_size=2, max_size=8, unique=True))
    areas = draw(st.lists(st.floats(0.01, 900), min_size=len(days), max_size=len(days)))
    judged = draw(st.lists(st.booleans(), min_size=len(days), max_size=len(days)))
    points = [
        AreaPoint(day, area, area * 0.9, area * 1.1, flagged=index % 2 == 0)
        if good
        else AreaPoint(day, None, None, None)
        for index, (day, area, good) in enumerate(zip(days, areas, judged, strict=True))
    ]
    slope = draw(st.none() | st.floats(-5, 5))
    spread = draw(st.floats(0, 3))
    ends = (None, None) if slope is None else (slope - spread, slope + spread)
    events = draw(st.lists(st.tuples(st.integers(-400, 4000), st.sampled_from(["excision", "biopsy"])), max_size=3))
    return AreaSeries(draw(st.sampled_from(["mm2", "percent"])), tuple(points), slope, *ends, tuple(events))


@steady
@given(series())
def test_every_mark_of_a_point_lies_inside_of_the_plot(drawn: AreaSeries) -> None:
    svg = ET.fromstring(area_chart(drawn, ident="a", subject="lesion"))
    numbers = [
        float(n) for path in svg.iter("path") for n in re.findall(r"-?\d+\.?\d*", path.get("d", "").split("l")[0])
    ]
    circles = [float(c.get(axis, "")) for c in svg.iter("circle") for axis in ("cx", "cy")]
    assert all(0 <= n <= WIDTH for n in numbers + circles)
    shown = [element for element in svg.iter() if element.get("class") in ("point", "point flagged")]
    assert len(shown) == len(drawn.judged)
    assert sum(element.get("class") == "unjudged" for element in svg.iter()) == len(drawn.points) - len(drawn.judged)


@steady
@given(series())
def test_the_axes_rise_and_hold_all_that_is_drawn(drawn: AreaSeries) -> None:
    values, times = value_axis(drawn), time_axis(drawn)
    assert values.at(0.0) == values.start
    for point in drawn.points:
        assert times.start <= times.at(point.day) <= times.end
        if point.high is not None:
            assert 0 < values.at(point.high) < values.at(point.low or 0.0) <= values.start < HEIGHT
    ordered = sorted(times.at(point.day) for point in drawn.points)
    assert ordered == [times.at(point.day) for point in sorted(drawn.points, key=lambda p: p.day)]


@steady
@given(st.floats(0, 1000), st.floats(0.001, 1000))
def test_ticks_cover_the_range_in_even_steps(low: float, span: float) -> None:
    ticks = nice_ticks(low, low + span)
    steps = {round((b - a) / span, 6) for a, b in pairwise(ticks)}
    assert 2 <= len(ticks) <= 8
    assert ticks[0] <= low + 1e-6 and ticks[-1] >= low + span - 1e-6
    assert max(steps) - min(steps) < 1e-3


def test_the_growth_line_has_the_slope_that_it_shows_and_its_band_opens_from_the_pivot() -> None:
    points = tuple(AreaPoint(round(month * MONTH), 10 + 2 * month, None, None) for month in range(5))
    band = growth_band(AreaSeries("mm2", points, 2.0, 1.0, 4.0))
    assert band is not None
    (first, begin, begin_low, begin_high), (_, middle, low, high), (last, end, end_low, end_high) = band
    assert (end - begin) / ((last - first) / MONTH) == pytest.approx(2.0)
    assert middle == low == high == pytest.approx(14.0)
    assert end_high - end == pytest.approx(2 * (last - first) / 2 / MONTH)
    assert begin_low < begin < begin_high and end_low < end < end_high


def test_without_a_growth_rate_the_points_are_only_joined() -> None:
    points = (AreaPoint(0, 10.0, None, None), AreaPoint(90, 12.0, None, None))
    assert growth_band(AreaSeries("mm2", points)) is None
    drawn = area_chart(AreaSeries("mm2", points), ident="a", subject="s")
    assert 'class="join"' in drawn and 'class="fit"' not in drawn


def test_the_chart_tells_its_numbers_in_words() -> None:
    points = (AreaPoint(0, 10.0, 9.0, 11.5), AreaPoint(91, None, None, None))
    assert describe(AreaSeries("mm2", points)) == "day 0: 10.0 mm² (95%: 9.0 to 11.5); month 3.0: not judged."


def test_a_hostile_subject_is_escaped() -> None:
    drawn = area_chart(AreaSeries("mm2", (AreaPoint(0, 1.0, None, None),)), ident="a", subject="<script>x</script>")
    assert "<script>" not in drawn
