"""Calibration: observed against predicted risk, in groups, with the line on which both are equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from longderm.prognosis.errors import PictureError
from longderm.prognosis.pictures.frame import (
    MARGIN,
    TableRow,
    grid,
    heading,
    label_room,
    notes,
    styles_for,
    table_under,
)
from longderm.prognosis.survival_times import Floats, Indices
from longderm.svg import QUIET, Axis, document, line, marker, nice_ticks, polyline

#: More curves cover each other.
CURVES_MOST = 4
_TOP, _SIDE = 52.0, 340.0


class CalibrationGroups(Protocol):
    """What is drawn: groups (g,) from the lowest predicted risk; `Calibration` and `ProbabilityCurve` are such."""

    @property
    def predicted(self) -> Floats:
        """Mean predicted risk of each group."""

    @property
    def observed(self) -> Floats:
        """Observed risk of each group."""

    @property
    def observed_lower(self) -> Floats:
        """Lower end of its 95% interval."""

    @property
    def observed_upper(self) -> Floats:
        """Upper end of its 95% interval."""

    @property
    def patients(self) -> Indices:
        """How many are in each group."""

    @property
    def events(self) -> Indices:
        """How many had the event."""


def calibration_picture(
    curves: Mapping[str, CalibrationGroups],
    *,
    title: str = "Calibration",
    risk: str = "risk",
    remarks: Sequence[str] = (),
    ident: str = "calibration",
) -> str:
    """An SVG of up to `CURVES_MOST` models' calibration, name -> groups. `risk` names it ("5-year risk").

    Both axes are the same and begin at 0. `remarks` (slope, observed over expected) stand below.
    Raises PictureError for no curve, too many, or one without groups.
    """
    styles = styles_for(list(curves))
    if len(curves) > CURVES_MOST:
        raise PictureError(f"{len(curves)} calibration curves cover each other; draw {CURVES_MOST} at most")
    if any(one.predicted.size == 0 for one in curves.values()):
        raise PictureError("nothing to draw: a calibration curve has no group")
    left = max(label_room(list(curves)) - 26.0, 56.0)
    width = left + _SIDE + MARGIN + 12
    highest = max(float(np.nanmax([one.predicted.max(), one.observed_upper.max()])) for one in curves.values())
    ticks = nice_ticks(0.0, max(min(highest, 1.0), 0.01))
    x = Axis(0.0, ticks[-1], left, left + _SIDE, ticks)
    y = Axis(0.0, ticks[-1], _TOP + _SIDE, _TOP, ticks)
    parts = [*heading(title, f"Observed {risk}", left, width), *grid(x, y, f"Predicted {risk}")]
    parts.append(line(x.start, y.start, x.end, y.end, colour=QUIET, dash="1 4", width=1.4, kind="ideal"))
    for one, style in zip(curves.values(), styles, strict=True):
        points = [(x.at(float(p)), y.at(float(o))) for p, o in zip(one.predicted, one.observed, strict=True)]
        parts.append(polyline(points, colour=style.colour, dash=style.dash, width=1.2, kind="curve"))
        for (at, _), low, high in zip(points, one.observed_lower, one.observed_upper, strict=True):
            ends = [y.at(float(low)), y.at(float(high))]
            parts.append(line(at, ends[0], at, ends[1], colour=style.colour, kind="interval"))
            parts += [line(at - 3, end, at + 3, end, colour=style.colour) for end in ends]
        parts += [marker(at, height, style) for at, height in points]
    rows = [TableRow(name, style, ()) for name, style in zip(curves, styles, strict=True)]
    table, below = table_under(rows, "Groups of predicted risk", _TOP + _SIDE + 58)
    said = [f"{name}: {_told(one)}." for name, one in curves.items()]
    small, height = notes([*remarks, *said, "Dotted: predicted and observed equal."], below + 4, width)
    return document(width, height + MARGIN - 6, title, " ".join(said), [*parts, *table, *small], ident)


def _told(one: CalibrationGroups) -> str:
    least, most = int(one.patients.min()), int(one.patients.max())
    size = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    plural = "group" if one.predicted.size == 1 else "groups"
    return f"{one.predicted.size} {plural} of {size}, {int(one.events.sum()):,} events in all"
