"""What the pictures share: title, axes with grid, the table under an axis whose rows are the legend, notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from longderm.prognosis.errors import PictureError
from longderm.svg import LINE, QUIET, STYLES, Axis, Style, fitted, line, marker, text, text_width

#: Font sizes in user units (at the drawn size, CSS pixels; 11 is 8.3 pt in print).
TITLE_SIZE, TEXT_SIZE = 14.0, 11.0
WIDTH = 660.0
#: Width of a sample of a series' line in the legend, and the most a label beside it may take.
SAMPLE, LABEL_MOST = 34.0, 180.0
ROW = 16.0
MARGIN = 10.0


@dataclass(frozen=True)
class TableRow:
    """A row of the table under a plot: a series with what stands at positions x (user units)."""

    label: str
    style: Style | None
    cells: Sequence[tuple[float, str]]


def styles_for(names: Sequence[str]) -> list[Style]:
    """A style for each series; PictureError for none, or more than can be told apart."""
    if not names:
        raise PictureError("nothing to draw: no series was given")
    if len(names) > len(STYLES):
        raise PictureError(f"{len(names)} series; {len(STYLES)} can be told apart in print, so draw fewer in a picture")
    return list(STYLES[: len(names)])


def label_room(labels: Sequence[str], cell: float = 0.0) -> float:
    """Where the plot may begin so that sample and label stand left of it, and of a first cell of width `cell`."""
    widest = max((text_width(label, TEXT_SIZE) for label in labels), default=0.0)
    return MARGIN + SAMPLE + min(widest, LABEL_MOST) + max(26.0, cell / 2 + 8.0)


def heading(title: str, y_label: str, left: float, width: float = WIDTH) -> list[Markup]:
    """Title, and the vertical axis's label below it at the axis."""
    return [
        text(MARGIN, 20, fitted(title, TITLE_SIZE * 1.1, width - 2 * MARGIN), size=TITLE_SIZE, bold=True),
        text(left - 4, 40, fitted(y_label, TEXT_SIZE, width - left - MARGIN), fill=QUIET),
    ]


def grid(x: Axis, y: Axis, x_label: str, *, x_format: str = "{:g}", y_format: str = "{:g}") -> list[Markup]:
    """Grid lines and tick labels of both axes, and the label under the horizontal one."""
    parts = []
    for tick in y.ticks:
        at = y.at(tick)
        parts.append(line(x.start, at, x.end, at, colour=LINE, width=0.7))
        parts.append(text(x.start - 6, at + 4, y_format.format(tick), anchor="end", size=TEXT_SIZE))
    for tick in x.ticks:
        at = x.at(tick)
        parts.append(line(at, y.start, at, y.start + 4, kind="tick"))
        parts.append(text(at, y.start + 17, x_format.format(tick), anchor="middle"))
    parts.append(line(x.start, y.start, x.end, y.start))
    parts.append(line(x.start, y.start, x.start, y.end))
    middle = (x.start + x.end) / 2
    parts.append(text(middle, y.start + 34, fitted(x_label, TEXT_SIZE, x.end - x.start), anchor="middle", fill=QUIET))
    return parts


def table_under(rows: Sequence[TableRow], header: str, top: float) -> tuple[list[Markup], float]:
    """The table whose first baseline is `top`, its labels at the left edge; returns the parts and the y below it.

    A cell that would touch the one before it is left out.
    """
    parts = [text(MARGIN, top, fitted(header, TEXT_SIZE, WIDTH - 2 * MARGIN), bold=True)]
    y = top
    for row in rows:
        y += ROW
        if row.style is not None:
            parts.append(line(MARGIN, y - 4, MARGIN + SAMPLE - 6, y - 4, colour=row.style.colour, width=1.6,
                              dash=row.style.dash))  # fmt: skip
            parts.append(marker(MARGIN + (SAMPLE - 6) / 2, y - 4, row.style, kind="legend"))
        parts.append(text(MARGIN + SAMPLE, y, fitted(row.label, TEXT_SIZE, LABEL_MOST)))
        until = float("-inf")
        for x, words in row.cells:
            half = text_width(words, TEXT_SIZE) / 2
            if x - half < until:
                continue
            until = x + half + 4
            parts.append(text(x, y, words, anchor="middle"))
    return parts, y + ROW


def notes(lines: Sequence[str], top: float, width: float = WIDTH) -> tuple[list[Markup], float]:
    """Lines of small print from `top` on, broken into words where they are wider than the picture; the y below."""
    parts = []
    for words in lines:
        for part in _wrapped(words, width - 2 * MARGIN):
            parts.append(text(MARGIN, top, part, size=TEXT_SIZE - 1, fill=QUIET))
            top += ROW - 2
    return parts, top


def _wrapped(words: str, width: float) -> list[str]:
    lines, current = [], ""
    for word in words.split():
        wider = f"{current} {word}".strip()
        if current and text_width(wider, TEXT_SIZE - 1) > width:
            lines.append(current)
            current = word
        else:
            current = wider
    return [fitted(one, TEXT_SIZE - 1, width) for one in [*lines, current] if one]
