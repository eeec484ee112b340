"""Forest plot: hazard ratios with their intervals on a log axis, and the numbers beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from longderm.prognosis.errors import PictureError
from longderm.prognosis.pictures.frame import MARGIN, ROW, TEXT_SIZE, TITLE_SIZE, WIDTH, notes
from longderm.prognosis.survival_model import SurvivalModel
from longderm.svg import (
    INK,
    LINE,
    QUIET,
    Axis,
    Style,
    document,
    fitted,
    line,
    marker,
    polygon,
    text,
    text_width,
)

_TOP, _ROW = 66.0, 22.0
#: An interval that leaves this range is cut there, with an arrow: beyond it a ratio is no more than "very large".
WIDEST = (0.02, 50.0)
_SQUARE = Style(INK, "", "square")
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


@dataclass(frozen=True)
class ForestRow:
    """A row: a label, a ratio above 0 with its 95% interval (None: no estimate, `remark` says why), a remark."""

    label: str
    ratio: float | None = None
    lower: float | None = None
    upper: float | None = None
    remark: str = ""


def forest_rows(model: SurvivalModel) -> list[ForestRow]:
    """The hazard ratios of a model, a row per column of its table."""
    rows = []
    for one in model.summary():
        ratio, lower, upper = (float(one[key]) for key in ("hazard_ratio", "hazard_ratio_lower", "hazard_ratio_upper"))
        if not all(math.isfinite(value) and value > 0 for value in (ratio, lower, upper)):
            rows.append(ForestRow(str(one["name"]), remark="no interval (penalised)"))
        else:
            rows.append(ForestRow(str(one["name"]), ratio, lower, upper))
    return rows


def forest_picture(
    rows: Sequence[ForestRow],
    *,
    title: str = "Hazard ratios",
    ratio_label: str = "Hazard ratio (95% interval)",
    remarks: Sequence[str] = (),
    ident: str = "forest",
) -> str:
    """An SVG of the rows, in their order. An interval beyond `WIDEST` ends in an arrow; the numbers stay whole.

    Raises PictureError for no rows, or a ratio that is not above 0 or not inside its interval.
    """
    if not rows:
        raise PictureError("nothing to draw: no hazard ratio was given")
    for row in rows:
        if row.ratio is not None and not 0 < (row.lower or 0.0) <= row.ratio <= (row.upper or 0.0):
            raise PictureError(f"{row.label}: ratio {row.ratio:g} is not above 0 and inside its interval")
    labels_end = MARGIN + min(max(text_width(row.label, TEXT_SIZE) for row in rows), 200.0)
    numbers = [_numbers(row) for row in rows]
    wide = min(max(text_width(one, TEXT_SIZE) for one in [*numbers, ratio_label]), 230.0)
    bottom = _TOP + _ROW * len(rows)
    axis = _axis(rows, labels_end + 18, WIDTH - MARGIN - wide - 18)
    parts = [
        text(MARGIN, 20, fitted(title, TITLE_SIZE * 1.1, WIDTH - 2 * MARGIN), size=TITLE_SIZE, bold=True),
        text(WIDTH - MARGIN, _TOP - 10, fitted(ratio_label, TEXT_SIZE, wide), anchor="end", bold=False, fill=QUIET),
    ]
    for tick in axis.ticks:
        at = axis.at(tick)
        one = tick == 0.0
        parts.append(line(at, _TOP - 4, at, bottom, colour=INK if one else LINE, width=1.0 if one else 0.7,
                          dash="4 3" if one else ""))  # fmt: skip
        parts.append(text(at, bottom + 15, f"{math.exp(tick):g}", anchor="middle"))
    parts.append(line(axis.start, bottom, axis.end, bottom))
    middle = (axis.start + axis.end) / 2
    parts.append(text(middle, bottom + 31, fitted("log scale; 1: no difference", TEXT_SIZE, axis.end - axis.start),
                      anchor="middle", fill=QUIET))  # fmt: skip
    for index, (row, said) in enumerate(zip(rows, numbers, strict=True)):
        y = _TOP + _ROW * (index + 0.5)
        parts.append(text(MARGIN, y + 4, fitted(row.label, TEXT_SIZE, labels_end - MARGIN + 0.5)))
        parts.append(text(WIDTH - MARGIN, y + 4, fitted(said, TEXT_SIZE, wide), anchor="end"))
        if row.ratio is not None and row.lower is not None and row.upper is not None:
            parts += _drawn(row.ratio, row.lower, row.upper, axis, y)
    small, below = notes(remarks, bottom + 31 + ROW)
    told = "; ".join(f"{row.label}: {said}" for row, said in zip(rows, numbers, strict=True)) + "."
    return document(WIDTH, below + MARGIN - 6, title, told, [*parts, *small], ident)


def _numbers(row: ForestRow) -> str:
    if row.ratio is None or row.lower is None or row.upper is None:
        return row.remark or "no estimate"
    said = f"{_short(row.ratio)} ({_short(row.lower)}–{_short(row.upper)})"
    return f"{said} {row.remark}".strip()


def _short(value: float) -> str:
    return f"{value:.2f}" if 0.1 <= value < 100 else f"{value:.2g}" if value < 0.1 else f"{value:.3g}"


def _axis(rows: Sequence[ForestRow], start: float, end: float) -> Axis:
    """In logarithms: from the tick below the least end to the one above the greatest; always with 1 inside."""
    ends = [one for row in rows if row.ratio is not None for one in (row.lower, row.upper) if one is not None]
    low = max(min([*ends, 0.5]), WIDEST[0])
    high = min(max([*ends, 2.0]), WIDEST[1])
    inside = [t for t in _TICKS if t <= low][-1:] + [t for t in _TICKS if low < t < high] + [
        t for t in _TICKS if t >= high
    ][:1]  # fmt: skip
    room = (end - start) / (math.log(inside[-1]) - math.log(inside[0]))
    kept: list[float] = []
    for tick in sorted(inside, key=lambda t: (t != 1.0, t not in (inside[0], inside[-1]), -abs(math.log(t)))):
        wide = text_width("0.02", TEXT_SIZE) + 4
        if all(abs(math.log(tick / other)) * room >= wide for other in kept):
            kept.append(tick)
    return Axis(math.log(inside[0]), math.log(inside[-1]), start, end, tuple(math.log(t) for t in sorted(kept)))


def _drawn(ratio: float, lower: float, upper: float, axis: Axis, y: float) -> list[Markup]:
    at = [min(max(axis.at(math.log(value)), axis.start), axis.end) for value in (lower, ratio, upper)]
    parts = [line(at[0], y, at[2], y, width=1.6, kind="interval")]
    for x, beyond, way in (
        (at[0], math.log(lower) < axis.low, 1.0),
        (at[2], math.log(upper) > axis.high, -1.0),
    ):
        if beyond:
            parts.append(polygon([(x, y), (x + way * 7, y - 4), (x + way * 7, y + 4)], fill=INK, kind="arrow"))
        else:
            parts.append(line(x, y - 4, x, y + 4, width=1.6))
    if axis.low <= math.log(ratio) <= axis.high:
        parts.append(marker(at[1], y, _SQUARE, size=4.6))
    return parts
