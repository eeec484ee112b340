"""Kaplan-Meier curves of groups, with the numbers at risk under the axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from longderm.prognosis.errors import PictureError
from longderm.prognosis.kaplan_meier import KaplanMeier, kaplan_meier
from longderm.prognosis.pictures.frame import (
    MARGIN,
    TEXT_SIZE,
    WIDTH,
    TableRow,
    grid,
    heading,
    label_room,
    notes,
    styles_for,
    table_under,
)
from longderm.prognosis.survival_times import SurvivalTimes
from longderm.svg import Axis, Style, document, line, marker, nice_ticks, polygon, polyline, text_width

_TOP, _BOTTOM = 52.0, 312.0
#: Intervals of more groups lie over each other and show nothing.
BANDS_MOST = 2
#: More strokes than this blacken the curve.
STROKES_MOST = 400
#: Markers along a curve, by which it is told apart where the dashes are short.
_MARKS = 4


def survival_picture(
    groups: Mapping[str, SurvivalTimes],
    *,
    title: str = "Kaplan-Meier survival",
    survival_label: str = "Survival",
    time_label: str = "Time",
    per_unit: float = 1.0,
    remarks: Sequence[str] = (),
    ident: str = "survival",
) -> str:
    """An SVG of the Kaplan-Meier curve of each group (1 to 8), name -> follow-up, in the order given.

    Times are divided by `per_unit` for the axis (365.25 makes years of days), which `time_label` names. With one or two
    groups the 95% interval (log scale) is shaded; short strokes are censorings, left out where there are too many.
    Numbers at risk are those just before each tick. `remarks` (a log-rank test) stand below.

    Raises PictureError for no group or more than 8.
    """
    styles = styles_for(list(groups))
    if not per_unit > 0:
        raise PictureError(f"per_unit is {per_unit}; give how many units of the data make one of the axis")
    curves = {name: kaplan_meier(data) for name, data in groups.items()}
    last = max(float(curve.times[-1]) for curve in curves.values()) / per_unit
    most = max(len(data) for data in groups.values())
    cell = text_width(f"{most:,}", TEXT_SIZE) + 6
    left = label_room(list(groups), cell)
    x = _time_axis(last, left, cell)
    y = Axis(0.0, 1.0, _BOTTOM, _TOP, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
    parts = [*heading(title, survival_label, left), *grid(x, y, time_label)]
    shaded = len(curves) <= BANDS_MOST and any(curve.events.any() for curve in curves.values())
    strokes = sum(int(curve.censored.sum()) for curve in curves.values()) <= STROKES_MOST
    for (name, curve), style in zip(curves.items(), styles, strict=True):
        if shaded and curve.events.any():
            parts.append(polygon(_band(curve, x, y, per_unit), fill=style.colour, opacity=0.13, kind="interval"))
        parts.append(polyline(curve_points(curve, x, y, per_unit), colour=style.colour, dash=style.dash, kind="curve"))
        if strokes:
            for time in curve.times[curve.censored > 0]:
                at, height = x.at(float(time) / per_unit), y.at(float(curve.at([time])[0]))
                parts.append(line(at, height - 4, at, height + 4, colour=style.colour, width=0.9, kind="censored"))
        parts += _marks(curve, list(curves).index(name), len(curves), style, x, y, per_unit)
    rows = []
    for (name, data), style in zip(groups.items(), styles, strict=True):
        counts = curves[name].numbers_at_risk(data, [tick * per_unit for tick in x.ticks])
        rows.append(TableRow(name, style, [(x.at(t), f"{n:,}") for t, n in zip(x.ticks, counts, strict=True)]))
    table, below = table_under(rows, "Number at risk", _BOTTOM + 58)
    shown = ["Shaded: 95% interval. " if shaded else ""]
    shown.append("Strokes: end of a patient's follow-up." if strokes else "Ends of follow-up: too many to be marked.")
    small, height = notes([*remarks, "".join(shown)], below + 6)
    return document(WIDTH, height + MARGIN - 6, title, _told(curves, groups, time_label, per_unit),
                    [*parts, *table, *small], ident)  # fmt: skip


def curve_points(curve: KaplanMeier, x: Axis, y: Axis, per_unit: float) -> list[tuple[float, float]]:
    """The corners of the step curve from time 0 to the end of follow-up."""
    points, level = [(x.at(0.0), y.at(1.0))], 1.0
    for time, survival, events in zip(curve.times, curve.survival, curve.events, strict=True):
        if events:
            at = x.at(float(time) / per_unit)
            points += [(at, y.at(level)), (at, y.at(float(survival)))]
            level = float(survival)
    end = x.at(float(curve.times[-1]) / per_unit)
    return points if points[-1] == (end, y.at(level)) else [*points, (end, y.at(level))]


def _band(curve: KaplanMeier, x: Axis, y: Axis, per_unit: float) -> list[tuple[float, float]]:
    """Around the interval, as far as it has an estimate."""
    upper, lower = [(x.at(0.0), y.at(1.0))], [(x.at(0.0), y.at(1.0))]
    for time, low, high in zip(curve.times, curve.lower, curve.upper, strict=True):
        at = x.at(float(time) / per_unit)
        upper.append((at, upper[-1][1]))
        lower.append((at, lower[-1][1]))
        if np.isnan(low):
            break
        upper.append((at, y.at(float(high))))
        lower.append((at, y.at(float(low))))
    return upper + lower[::-1]


def _marks(curve: KaplanMeier, index: int, count: int, style: Style, x: Axis, y: Axis, per_unit: float) -> list[Markup]:
    """Markers along the curve, each group's at places of its own, and at its end."""
    end = float(curve.times[-1]) / per_unit
    span = (x.high - x.low) / _MARKS
    places = [x.low + span * (turn + (index + 1) / (count + 1)) for turn in range(_MARKS)]
    places = [place for place in places if place < end] + [end]
    return [marker(x.at(p), y.at(float(curve.at([min(p * per_unit, curve.times[-1])])[0])), style) for p in places]


def _time_axis(last: float, left: float, cell: float) -> Axis:
    """From 0 to the end of follow-up, with no more ticks than numbers at risk find room under."""
    for most in range(7, 0, -1):
        ticks = nice_ticks(0.0, last, most)
        inside = tuple(tick for tick in ticks if tick <= last * (1 + 1e-9))
        high, shown = (last, inside) if len(inside) > 1 else (ticks[-1], ticks)
        wide = max([cell, *(text_width(f"{tick:g}", TEXT_SIZE) + 6 for tick in shown)])
        end = WIDTH - MARGIN - wide / 2
        if (shown[1] - shown[0]) / high * (end - left) >= wide:
            break
    return Axis(0.0, high, left, end, shown)


def _told(curves: Mapping[str, KaplanMeier], groups: Mapping[str, SurvivalTimes], unit: str, per_unit: float) -> str:
    """The picture in words."""
    parts = []
    for name, curve in curves.items():
        end = float(curve.times[-1]) / per_unit
        parts.append(
            f"{name}: {len(groups[name])} patients, {groups[name].events} events, survival "
            f"{float(curve.survival[-1]):.3f} at the end of follow-up ({end:.3g})"
        )
    return "; ".join(parts) + f". Horizontal axis: {unit}."
