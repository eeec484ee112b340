"""One patient's risk as a picture: bars from the average patient to this one, covariate by covariate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from longderm.prognosis.errors import PictureError
from longderm.prognosis.pictures.frame import MARGIN, ROW, TEXT_SIZE, TITLE_SIZE, WIDTH, notes
from longderm.prognosis.risk_breakdown import Contribution, RiskBreakdown
from longderm.svg import (
    INK,
    LINE,
    QUIET,
    Axis,
    Style,
    box,
    document,
    fitted,
    line,
    marker,
    nice_ticks,
    text,
    text_width,
)

#: More rows than this are not read; the smallest contributions are added up in the last.
ROWS_MOST = 12
_TOP, _ROW, _HALF = 66.0, 24.0, 7.0
_AMOUNT, _RISK = 74.0, 70.0
_END = Style(INK, "", "diamond")


def breakdown_picture(
    breakdown: RiskBreakdown,
    *,
    title: str = "How this risk comes about",
    remarks: Sequence[str] = (),
    ident: str = "breakdown",
) -> str:
    """An SVG of a breakdown: solid bars raise the risk, open bars lower it; each begins where the one above ended.

    Beside each bar stand its amount and the risk so far. More than `ROWS_MOST` covariates: the smallest in one row.
    Raises PictureError for a breakdown without contributions, or with amounts that are not finite.
    """
    if not breakdown.contributions:
        raise PictureError("nothing to draw: the breakdown has no contribution")
    if not all(math.isfinite(one.amount) for one in breakdown.contributions):
        raise PictureError("a contribution is not finite; the picture cannot show it")
    parts_of, risks = _rows(breakdown)
    labels = ["Average of the fit", *(_label(one) for one in parts_of), "This patient"]
    sums = np.concatenate([[0.0], np.cumsum([one.amount for one in parts_of])])
    left = MARGIN + min(max(text_width(one, TEXT_SIZE) for one in labels), 210.0) + 14
    end = WIDTH - MARGIN - _AMOUNT - _RISK - 12
    ticks = nice_ticks(min(float(sums.min()), -0.1), max(float(sums.max()), 0.1), 5)
    axis = Axis(ticks[0], ticks[-1], left, end, ticks)
    bottom = _TOP + _ROW * len(labels)
    amount_x, risk_x = end + 12 + _AMOUNT, WIDTH - MARGIN
    said = breakdown.what[:1].upper() + breakdown.what[1:]
    parts = [
        text(MARGIN, 20, fitted(title, TITLE_SIZE * 1.1, WIDTH - 2 * MARGIN), size=TITLE_SIZE, bold=True),
        text(MARGIN, 38, fitted(said, TEXT_SIZE, WIDTH - 2 * MARGIN), fill=QUIET),
        text(amount_x, _TOP - 10, breakdown.scale, anchor="end", fill=QUIET),
        text(risk_x, _TOP - 10, "risk so far", anchor="end", fill=QUIET),
    ]
    for tick in axis.ticks:
        at = axis.at(tick)
        parts.append(line(at, _TOP - 4, at, bottom, colour=INK if tick == 0 else LINE, width=0.8,
                          dash="4 3" if tick == 0 else ""))  # fmt: skip
        parts.append(text(at, bottom + 15, f"{tick:g}", anchor="middle"))
    parts.append(line(axis.start, bottom, axis.end, bottom))
    words = f"{breakdown.scale}, from the average of the fit"
    parts.append(text((left + end) / 2, bottom + 31, fitted(words, TEXT_SIZE, end - left), anchor="middle", fill=QUIET))
    for index, label in enumerate(labels):
        y = _TOP + _ROW * (index + 0.5)
        outer = index in (0, len(labels) - 1)
        parts.append(text(MARGIN, y + 4, fitted(label, TEXT_SIZE, left - MARGIN - 10), bold=False))
        if outer:
            total = float(sums[0] if index == 0 else sums[-1])
            risk = breakdown.start_risk if index == 0 else breakdown.risk
            parts.append(marker(axis.at(total), y, _END, size=5, kind="end"))
            parts.append(text(amount_x, y + 4, "0" if index == 0 else f"{total:+.2f}", anchor="end"))
        else:
            before, after = float(sums[index - 1]), float(sums[index])
            risk = float(risks[index - 1])
            x1, x2 = sorted((axis.at(before), axis.at(after)))
            rising = after >= before
            kind = "raises" if rising else "lowers"
            parts.append(box(x1, y - _HALF, max(x2 - x1, 1.0), 2 * _HALF, fill=INK if rising else "#ffffff",
                             stroke=INK, kind=kind))  # fmt: skip
            parts.append(text(amount_x, y + 4, f"{after - before:+.2f}", anchor="end"))
        if index < len(labels) - 1:
            at = axis.at(float(sums[index]))
            parts.append(line(at, y + (5 if outer else _HALF), at, y + _ROW - _HALF, colour=QUIET, width=0.8))
        parts.append(text(risk_x, y + 4, _percent(risk), anchor="end"))
    shown = []
    if math.isfinite(breakdown.lower) and math.isfinite(breakdown.upper):
        shown.append(f"This patient: {_percent(breakdown.risk)} (95% interval {_percent(breakdown.lower)} to "
                     f"{_percent(breakdown.upper)}).")  # fmt: skip
    shown.append("Solid bars raise the risk, open bars lower it. They tell of the model, not of causes.")
    small, below = notes([*remarks, *shown], bottom + 31 + ROW)
    told = f"{said}: {_percent(breakdown.start_risk)} at the average of the fit; " + "; ".join(
        f"{_label(one)} {one.amount:+.2f} on the {breakdown.scale}" for one in parts_of
    ) + f"; this patient {_percent(breakdown.risk)}."  # fmt: skip
    return document(WIDTH, below + MARGIN - 6, title, told, [*parts, *small], ident)


def _rows(breakdown: RiskBreakdown) -> tuple[list[Contribution], list[float]]:
    """The contributions to draw and the risk after each."""
    parts = list(breakdown.contributions)
    risks = [float(one) for one in breakdown.risks]
    if len(parts) <= ROWS_MOST:
        return parts, risks
    rest = parts[ROWS_MOST - 1 :]
    others = Contribution(f"{len(rest)} others", "", sum(one.amount for one in rest))
    return [*parts[: ROWS_MOST - 1], others], [*risks[: ROWS_MOST - 1], breakdown.risk]


def _label(one: Contribution) -> str:
    return f"{one.name}: {one.value}" if one.value else one.name


def _percent(risk: float) -> str:
    """One decimal below 10%, so that small risks stay apart; never 0% or 100% by rounding."""
    percent = 100.0 * risk
    if 0 < percent < 0.1:
        return "<0.1%"
    if 99.9 < percent < 100:
        return ">99.9%"
    return f"{percent:.1f}%" if percent < 10 or percent > 99 else f"{percent:.0f}%"
