"""Area over time as inline SVG: points with whiskers, the growth line with its interval, events, visits not judged."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from longderm.report.words import DAYS_UNTIL_MONTHS, MONTH_DAYS, day_label, number, with_unit
from longderm.svg import Axis, nice_ticks
from longderm.svg import coordinate as _n
from longderm.svg import point_list as _path

#: Drawing size in user units. Narrow on purpose: on a telephone it is shrunk by a sixth only and stays readable.
WIDTH, HEIGHT = 420.0, 236.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 50.0, 14.0, 26.0, 40.0

#: Events closer than this (user units) put their names on different lines.
_EVENT_LABEL_GAP = 70.0


@dataclass(frozen=True)
class AreaPoint:
    """One visit: `value` in the series' unit with its 95% whisker; None where the visit was not judged."""

    day: int
    value: float | None
    low: float | None
    high: float | None
    flagged: bool = False


@dataclass(frozen=True)
class AreaSeries:
    """Area over time. unit: "mm2", or "percent" of the first visit; slopes per month in that unit, or None."""

    unit: str
    points: tuple[AreaPoint, ...]
    slope: float | None = None
    slope_low: float | None = None
    slope_high: float | None = None
    events: tuple[tuple[int, str], ...] = ()

    @property
    def judged(self) -> tuple[AreaPoint, ...]:
        """The points that carry a value, oldest first."""
        return tuple(point for point in sorted(self.points, key=lambda p: p.day) if point.value is not None)

    @property
    def has_whiskers(self) -> bool:
        """At least one point carries its uncertainty."""
        return any(point.low is not None for point in self.judged)


def value_axis(series: AreaSeries) -> Axis:
    """The vertical axis: it starts at zero, so that a height means a size, and holds every whisker."""
    tops = [point.high if point.high is not None else point.value for point in series.judged]
    ticks = nice_ticks(0.0, max([top for top in tops if top is not None], default=1.0) * 1.04)
    return Axis(0.0, ticks[-1], HEIGHT - _BOTTOM, _TOP, ticks)


def time_axis(series: AreaSeries) -> Axis:
    """The horizontal axis in days; its ticks are whole days or months, with room at both ends."""
    days = [point.day for point in series.points] + [day for day, _ in series.events]
    low, high = min(days), max(days)
    unit = 1.0 if max(abs(low), abs(high)) < DAYS_UNTIL_MONTHS else MONTH_DAYS
    margin = max((high - low) * 0.05, 1.0)
    ticks = [tick * unit for tick in nice_ticks(low / unit, high / unit) if float(tick).is_integer()]
    inside = tuple(tick for tick in ticks if low - margin <= tick <= high + margin)
    return Axis(low - margin, high + margin, _LEFT, WIDTH - _RIGHT, inside)


def growth_band(series: AreaSeries) -> list[tuple[float, float, float, float]] | None:
    """(day, line, low, high) at the first and last day and at the pivot between; None without a growth rate.

    The line goes through the median of the points, about which a robust slope turns.
    """
    judged = series.judged
    if series.slope is None or len(judged) < 2:
        return None
    days = sorted(float(point.day) for point in judged)
    values = sorted(float(point.value) for point in judged if point.value is not None)
    pivot, level = _median(days), _median(values)
    slopes = (series.slope, series.slope_low, series.slope_high)
    line, low, high = (series.slope if slope is None else slope for slope in slopes)
    band = []
    for day in sorted({days[0], pivot, days[-1]}):
        months = (day - pivot) / MONTH_DAYS
        ends = sorted((level + low * months, level + high * months))
        band.append((day, level + line * months, ends[0], ends[1]))
    return band


def area_chart(series: AreaSeries, *, ident: str, subject: str) -> Markup:
    """The chart as one `<svg>`; `ident` makes its ids unique on the page, `subject` names the lesion in its title."""
    values, times = value_axis(series), time_axis(series)
    parts = [
        Markup(
            '<svg class="chart" viewBox="0 0 {w} {h}" role="img" aria-labelledby="{i}-t {i}-d" '
            '><title id="{i}-t">{title}</title><desc id="{i}-d">{desc}</desc>'
        ).format(w=_n(WIDTH), h=_n(HEIGHT), i=ident, title=f"Area over time, {subject}", desc=describe(series)),
        Markup('<defs><clipPath id="{i}-c"><rect x="{x}" y="{y}" width="{w}" height="{h}"/></clipPath></defs>').format(
            i=ident, x=_n(_LEFT), y=_n(_TOP), w=_n(WIDTH - _LEFT - _RIGHT), h=_n(HEIGHT - _TOP - _BOTTOM)
        ),
        _grid(series, values, times),
        _band(series, values, times, ident),
        _events(series, times),
        _points(series, values, times),
        Markup("</svg>"),
    ]
    return Markup("").join(parts)


def describe(series: AreaSeries) -> str:
    """The chart in words: every value with its whisker, and the growth."""
    told = []
    for point in sorted(series.points, key=lambda p: p.day):
        if point.value is None:
            told.append(f"{day_label(point.day)}: not judged")
            continue
        text = f"{day_label(point.day)}: {with_unit(number(point.value, 1), series.unit)}"
        if point.low is not None and point.high is not None:
            text += f" (95%: {number(point.low, 1)} to {number(point.high, 1)})"
        told.append(text)
    return "; ".join(told) + "."


def _grid(series: AreaSeries, values: Axis, times: Axis) -> Markup:
    label = "Area in mm²" if series.unit == "mm2" else "Area in % of the first visit"
    tick_places = 0 if all(float(tick).is_integer() for tick in values.ticks) else 1
    parts = [_text(_LEFT - 40, 14, label, "start", "ax")]
    for tick in values.ticks:
        y = values.at(tick)
        line = '<line class="grid" x1="{}" y1="{}" x2="{}" y2="{}"/>'
        parts.append(Markup(line).format(_n(_LEFT), _n(y), _n(WIDTH - _RIGHT), _n(y)))
        parts.append(_text(_LEFT - 7, y + 4, number(tick, tick_places), "end"))
    in_months = max(abs(times.low), abs(times.high)) >= DAYS_UNTIL_MONTHS
    for tick in times.ticks:
        x = times.at(tick)
        line = '<line class="tick" x1="{0}" y1="{1}" x2="{0}" y2="{2}"/>'
        parts.append(Markup(line).format(_n(x), _n(values.start), _n(values.start + 4)))
        parts.append(_text(x, values.start + 17, number(tick / MONTH_DAYS if in_months else tick, 0), "middle"))
    unit = "Months since day 0" if in_months else "Days since day 0"
    parts.append(_text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 6, unit, "middle", "ax"))
    return Markup("").join(parts)


def _band(series: AreaSeries, values: Axis, times: Axis, ident: str) -> Markup:
    band = growth_band(series)
    if band is None:
        return Markup("")
    upper = [(times.at(day), values.at(high)) for day, _, _, high in band]
    lower = [(times.at(day), values.at(low)) for day, _, low, _ in reversed(band)]
    line = [(times.at(day), values.at(middle)) for day, middle, _, _ in band]
    shapes = '<g clip-path="url(#{}-c)">{}<polyline class="fit" points="{}"/></g>'
    area = Markup("")
    if series.slope_low is not None and series.slope_high is not None:
        area = Markup('<polygon class="band" points="{}"/>').format(_path(upper + lower))
    return Markup(shapes).format(ident, area, _path(line))


def _events(series: AreaSeries, times: Axis) -> Markup:
    parts: list[Markup] = []
    taken: list[tuple[float, int]] = []
    for day, name in sorted(series.events):
        x = times.at(day)
        row = 0
        while any(abs(x - other) < _EVENT_LABEL_GAP and row == used for other, used in taken):
            row += 1
        taken.append((x, row))
        line = '<line class="event" x1="{0}" y1="{1}" x2="{0}" y2="{2}"/>'
        parts.append(Markup(line).format(_n(x), _n(_TOP), _n(HEIGHT - _BOTTOM)))
        toward_left = x > WIDTH * 0.6
        anchor, shift = ("end", -5) if toward_left else ("start", 5)
        parts.append(_text(x + shift, _TOP + 10 + 13 * row, name, anchor, "ev"))
    return Markup("").join(parts)


def _points(series: AreaSeries, values: Axis, times: Axis) -> Markup:
    parts: list[Markup] = []
    judged = series.judged
    spots = [(times.at(point.day), values.at(point.value)) for point in judged if point.value is not None]
    if growth_band(series) is None:
        for (x1, y1), (x2, y2) in pairwise(spots):
            line = '<line class="join" x1="{}" y1="{}" x2="{}" y2="{}"/>'
            parts.append(Markup(line).format(_n(x1), _n(y1), _n(x2), _n(y2)))
    for point, (x, y) in zip(judged, spots, strict=True):
        if point.low is not None and point.high is not None:
            top, bottom = values.at(point.high), values.at(max(point.low, values.low))
            whisker = '<path class="whisker" d="M{0} {1}V{2}M{3} {1}H{4}M{3} {2}H{4}"/>'
            parts.append(Markup(whisker).format(_n(x), _n(top), _n(bottom), _n(x - 4), _n(x + 4)))
        shape = (
            '<path class="point flagged" d="M{0} {1}l6 6l-6 6l-6 -6z"/>'
            if point.flagged
            else '<circle class="point" cx="{0}" cy="{2}" r="4"/>'
        )
        parts.append(Markup(shape).format(_n(x), _n(y - 6), _n(y)))
    for point in series.points:
        if point.value is None:
            x, y = times.at(point.day), values.start - 8
            cross = '<path class="unjudged" d="M{} {}l7 7m0 -7l-7 7"/>'
            parts.append(Markup(cross).format(_n(x - 3.5), _n(y - 3.5)))
    return Markup("").join(parts)


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}" class="{}">{}</text>').format(
        _n(x), _n(y), anchor, kind, escape(text)
    )


def _median(ordered: list[float]) -> float:
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
