"""Drawing charts as SVG: axes, coordinates, text that fits, and line styles that print in black and white.

Every part is a string of markup; whatever comes from outside is escaped. Equal input gives equal bytes.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

#: No font is fetched: the reader's own, of which DejaVu Sans is the widest and the measure of `text_width`.
FONT = "Helvetica, Arial, 'DejaVu Sans', sans-serif"
INK, QUIET, LINE = "#16222d", "#4d5c69", "#c3ccd3"

#: Widths of DejaVu Sans in ems, rounded up, by class of character.
_NARROW, _WIDE = frozenset("iljtfrI.,:;'|!()[] -/·"), frozenset("mwMW%@&#—")
_EM = {"narrow": 0.42, "wide": 1.0, "capital": 0.78, "other": 0.65, "full": 1.05}

#: What XML 1.0 cannot hold.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Axis:
    """A linear axis: `low` to `high` in data, drawn from `start` to `end`, with its tick values."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Where `value` lies, in user units."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def nice_ticks(low: float, high: float, most: int = 5) -> tuple[float, ...]:
    """Round values (1, 2 or 5 times a power of ten) that cover `low` to `high`, at most `most` + 2 of them."""
    span = max(high - low, 1e-9)
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(round(index * step, 9) for index in range(first, last + 1))


def coordinate(value: float) -> str:
    """A coordinate with two decimals at most, never "-0"."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def point_list(points: Sequence[tuple[float, float]]) -> str:
    """Points as `polyline` takes them."""
    return " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in points)


@dataclass(frozen=True)
class Style:
    """How one series is told apart without colour: dash pattern, marker and grey; the colour is for screens."""

    colour: str
    dash: str
    marker: str


#: Eight series; their colours keep different luminance in print (after Okabe and Ito 2008, darkened to 4.5:1 on white).
STYLES = (
    Style("#000000", "", "circle"),
    Style("#0063a3", "7 3", "square"),
    Style("#a84300", "2 3", "triangle"),
    Style("#00664f", "9 3 2 3", "diamond"),
    Style("#8a3a78", "12 4", "cross"),
    Style("#5b5b5b", "4 2", "plus"),
    Style("#6b5900", "9 3 2 3 2 3", "ring"),
    Style("#2b2f8f", "1 2", "down"),
)


def clean(text: object) -> str:
    """A text on one line, without characters that XML cannot hold or that turn the direction of writing."""
    found = " ".join(_NOT_XML.sub(" ", str(text)).split())
    return "".join(one for one in found if unicodedata.category(one) not in ("Cf", "Cc", "Cs"))


def text_width(text: str, size: float) -> float:
    """An upper estimate of the width of a text in user units at a font size."""
    return size * sum(_EM[_class_of(one)] for one in text)


def fitted(text: object, size: float, width: float) -> str:
    """The text, cut with an ellipsis where it is wider than `width`; a dash where there is none."""
    whole = clean(text) or "–"
    if text_width(whole, size) <= width:
        return whole
    while whole and text_width(whole + "…", size) > width:
        whole = whole[:-1].rstrip()
    return whole + "…"


def text(x: float, y: float, words: str, *, anchor: str = "start", size: float = 11.0, fill: str = INK,
         bold: bool = False) -> Markup:  # fmt: skip
    """A line of text whose baseline is at y."""
    weight = Markup(' font-weight="bold"') if bold else ""
    return Markup('<text x="{}" y="{}" text-anchor="{}" font-size="{}" fill="{}"{}>{}</text>').format(
        coordinate(x), coordinate(y), anchor, coordinate(size), fill, weight, escape(clean(words))
    )


def line(x1: float, y1: float, x2: float, y2: float, *, colour: str = INK, width: float = 1.0, dash: str = "",
         kind: str = "") -> Markup:  # fmt: skip
    """A straight line; `kind` becomes its class."""
    return Markup('<line{} x1="{}" y1="{}" x2="{}" y2="{}" stroke="{}" stroke-width="{}"{}/>').format(
        _class(kind), *(coordinate(one) for one in (x1, y1, x2, y2)), colour, coordinate(width), _dash(dash)
    )


def polyline(points: Sequence[tuple[float, float]], *, colour: str = INK, width: float = 1.6, dash: str = "",
             kind: str = "") -> Markup:  # fmt: skip
    """An open line through points."""
    return Markup('<polyline{} points="{}" fill="none" stroke="{}" stroke-width="{}"{}/>').format(
        _class(kind), point_list(points), colour, coordinate(width), _dash(dash)
    )


def polygon(points: Sequence[tuple[float, float]], *, fill: str, opacity: float = 1.0, kind: str = "") -> Markup:
    """A filled shape without an outline."""
    return Markup('<polygon{} points="{}" fill="{}" fill-opacity="{}"/>').format(
        _class(kind), point_list(points), fill, coordinate(opacity)
    )


def box(x: float, y: float, width: float, height: float, *, fill: str, stroke: str = "none", kind: str = "") -> Markup:
    """A rectangle."""
    return Markup('<rect{} x="{}" y="{}" width="{}" height="{}" fill="{}" stroke="{}"/>').format(
        _class(kind), *(coordinate(one) for one in (x, y, width, height)), fill, stroke
    )


def marker(x: float, y: float, style: Style, *, size: float = 4.0, kind: str = "mark") -> Markup:
    """The marker of a series, centred; open ones are filled with white."""
    s, c, cx, cy = size, style.colour, coordinate(x), coordinate(y)
    wide, back = coordinate(1.6 * size), coordinate(-1.6 * size)
    if style.marker in ("circle", "ring"):
        fill = c if style.marker == "circle" else "#ffffff"
        return Markup('<circle{} cx="{}" cy="{}" r="{}" fill="{}" stroke="{}" stroke-width="1.4"/>').format(
            _class(kind), cx, cy, coordinate(s * 0.85), fill, c
        )
    n = coordinate
    shapes = {
        "square": f"M{n(x - s * 0.8)} {n(y - s * 0.8)}h{n(s * 1.6)}v{n(s * 1.6)}h{n(-s * 1.6)}z",
        "triangle": f"M{cx} {n(y - s)}l{n(s)} {n(s * 1.8)}h{n(-2 * s)}z",
        "down": f"M{cx} {n(y + s)}l{n(s)} {n(-s * 1.8)}h{n(-2 * s)}z",
        "diamond": f"M{cx} {n(y - s * 1.2)}l{n(s)} {n(s * 1.2)}l{n(-s)} {n(s * 1.2)}l{n(-s)} {n(-s * 1.2)}z",
        "cross": f"M{n(x - s * 0.8)} {n(y - s * 0.8)}l{wide} {wide}m0 {back}l{back} {wide}",
        "plus": f"M{cx} {n(y - s)}v{n(2 * s)}M{n(x - s)} {cy}h{n(2 * s)}",
    }
    filled = {"square": c, "triangle": "#ffffff", "down": "#ffffff", "diamond": c}.get(style.marker, "none")
    return Markup('<path{} d="{}" fill="{}" stroke="{}" stroke-width="1.4"/>').format(
        _class(kind), shapes[style.marker], filled, c
    )


def document(width: float, height: float, title: object, description: object, parts: Sequence[Markup],
             ident: str) -> str:  # fmt: skip
    """A whole SVG file on white; `ident` (letters, digits, - and _) makes its ids unique on a page that holds it."""
    width, height = math.ceil(width), math.ceil(height)
    named, told = clean(title) or "–", clean(description) or "–"
    safe = re.sub(r"[^A-Za-z0-9_-]", "-", ident) or "chart"
    head = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" '
        'aria-labelledby="{i}-t {i}-d" font-family="{f}"><title id="{i}-t">{t}</title><desc id="{i}-d">{d}</desc>'
        '<rect width="{w}" height="{h}" fill="#ffffff"/>\n'
    ).format(w=coordinate(width), h=coordinate(height), i=safe, f=FONT, t=named, d=told)
    return str(head + Markup("\n").join(parts) + Markup("\n</svg>\n"))


def _class_of(one: str) -> str:
    if ord(one) >= 0x1100 and unicodedata.east_asian_width(one) in "WF":
        return "full"
    if one in _NARROW:
        return "narrow"
    if one in _WIDE:
        return "wide"
    return "capital" if one.isupper() else "other" if one.isascii() or one.isalpha() else "wide"


def _class(kind: str) -> Markup:
    return Markup(' class="{}"').format(kind) if kind else Markup("")


def _dash(dash: str) -> Markup:
    return Markup(' stroke-dasharray="{}"').format(dash) if dash else Markup("")
