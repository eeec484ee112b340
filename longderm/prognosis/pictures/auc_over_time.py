"""Time-dependent AUC of models over the years, with intervals and the numbers under the axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from longderm.prognosis.errors import PictureError
from longderm.prognosis.evaluation import SurvivalEvaluation
from longderm.prognosis.pictures.frame import (
    MARGIN,
    WIDTH,
    TableRow,
    grid,
    heading,
    label_room,
    notes,
    styles_for,
    table_under,
)
from longderm.prognosis.survival_model import PER_YEAR
from longderm.prognosis.survival_times import Floats
from longderm.svg import QUIET, Axis, document, line, marker, nice_ticks, polyline

_TOP, _BOTTOM = 52.0, 292.0
#: Distance in user units by which the series stand beside each other, so that whiskers do not cover one another.
_BESIDE = 5.0


@dataclass(frozen=True)
class AucSeries:
    """AUC (k,) at `years` (k,), ascending, with the ends of its 95% interval (NaN: none)."""

    years: Floats
    auc: Floats
    lower: Floats
    upper: Floats


def auc_series(evaluation: SurvivalEvaluation) -> dict[str, AucSeries]:
    """The optimism-corrected AUC of each model of an evaluation at its horizons."""
    per_year = PER_YEAR[str(evaluation.settings["time_unit"])]
    found = {}
    for name, model in evaluation.models.items():
        figures = [model.figures[f"auc_{label}"] for label in evaluation.horizons]
        years = np.array(list(evaluation.horizons.values())) / per_year
        values = np.array([(one.value, one.lower, one.upper) for one in figures])
        found[name] = AucSeries(years, *values.T)
    return found


def auc_picture(
    series: Mapping[str, AucSeries],
    *,
    title: str = "Discrimination over time",
    auc_label: str = "AUC (cumulative/dynamic)",
    time_label: str = "Years",
    remarks: Sequence[str] = (),
    ident: str = "auc",
) -> str:
    """An SVG of the AUC of 1 to 8 models, name -> series. Values that are NaN are left out of the line.

    Raises PictureError for no series, more than 8, or no value at all.
    """
    styles = styles_for(list(series))
    drawn = np.concatenate([np.concatenate([one.auc, one.lower]) for one in series.values()])
    drawn = drawn[np.isfinite(drawn)]
    if not drawn.size:
        raise PictureError("nothing to draw: no AUC has a value")
    left = label_room(list(series))
    first = np.floor(min(float(drawn.min()), 0.5) * 10 - 1e-9) / 10
    low = max(round(float(first), 1), 0.0)
    y = Axis(low, 1.0, _BOTTOM, _TOP, tuple(round(low + 0.1 * k, 1) for k in range(round((1.0 - low) * 10) + 1)))
    last = max(float(one.years.max()) for one in series.values())
    ticks = nice_ticks(0.0, last, 8)
    x = Axis(0.0, max(ticks[-1], last * 1.05), left, WIDTH - MARGIN - 22, ticks)
    parts = [*heading(title, auc_label, left), *grid(x, y, time_label, y_format="{:.1f}")]
    parts.append(line(x.start, y.at(0.5), x.end, y.at(0.5), colour=QUIET, dash="1 4", width=1.4, kind="chance"))
    rows = []
    for index, ((name, one), style) in enumerate(zip(series.items(), styles, strict=True)):
        shift = _BESIDE * (index - (len(series) - 1) / 2)
        known = np.flatnonzero(np.isfinite(one.auc))
        points = [(x.at(float(one.years[k])) + shift, y.at(float(one.auc[k]))) for k in known]
        if len(points) > 1:
            parts.append(polyline(points, colour=style.colour, dash=style.dash, kind="curve"))
        for k, (at, _) in zip(known, points, strict=True):
            if np.isfinite(one.lower[k]) and np.isfinite(one.upper[k]):
                ends = [y.at(float(one.lower[k])), y.at(min(float(one.upper[k]), 1.0))]
                parts.append(line(at, ends[0], at, ends[1], colour=style.colour, kind="interval"))
                parts += [line(at - 2, end, at + 2, end, colour=style.colour) for end in ends]
        parts += [marker(*point, style) for point in points]
        rows.append(TableRow(name, style, [(x.at(float(one.years[k])), f"{one.auc[k]:.2f}") for k in known]))
    table, below = table_under(rows, "AUC", _BOTTOM + 58)
    small, height = notes([*remarks, "Bars: 95% interval. Dotted: 0.5, no better than chance."], below + 4)
    told = "; ".join(
        f"{name}: " + ", ".join(f"{v:.3f} at {t:g}" for t, v in zip(one.years, one.auc, strict=True) if np.isfinite(v))
        for name, one in series.items()
    )
    return document(WIDTH, height + MARGIN - 6, title, f"{told}.", [*parts, *table, *small], ident)
