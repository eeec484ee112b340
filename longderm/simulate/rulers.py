"""Rulers in photos: scales of several makers, drawn at a known size over a photo, partly hidden, blurred and noisy."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from longderm.simulate.exposure import encode, rotation
from longderm.simulate.fields import F32, wander

#: Ticks are drawn on a canvas so many times finer than the photo, then averaged.
_FINER = 4

Points = NDArray[np.float64]


@dataclass(frozen=True)
class RulerStyle:
    """How a maker's scale looks; lengths in mm, colours linear RGB.

    step: distance of two ticks; lengths: (every, length) from the shortest ticks on, `every` in ticks; thick: of a
    tick; ink; opacity; strip: colour and width of what it is printed on, or None where it lies on the plate; baseline:
    a line joins the ticks; centred: ticks reach to both sides of their line; digits: numbers at the longest ticks;
    bow: the line's curvature in 1 / mm (a contact plate's rim).
    """

    name: str
    step: float
    lengths: tuple[tuple[int, float], ...]
    thick: float
    ink: tuple[float, float, float] = (0.02, 0.02, 0.025)
    opacity: float = 0.9
    strip: tuple[tuple[float, float, float], float] | None = None
    baseline: bool = False
    centred: bool = False
    digits: bool = False
    bow: float = 0.0


_PAPER = (0.86, 0.86, 0.82)
_BLACK, _WHITE, _VIOLET = (0.02, 0.02, 0.025), (0.85, 0.85, 0.85), (0.16, 0.08, 0.22)

#: Invented makers' scales for dermatoscopes; fields of 10 to 30 mm.
STYLES = {
    style.name: style
    for style in (
        RulerStyle("plate", 1.0, ((1, 0.5), (5, 1.0)), 0.09),
        RulerStyle("plate with baseline", 1.0, ((1, 0.4), (5, 0.7)), 0.05, baseline=True),
        RulerStyle("digits", 1.0, ((1, 0.55), (5, 1.0)), 0.06, ink=_VIOLET, digits=True),
        RulerStyle("tenths", 0.1, ((1, 0.14), (5, 0.35), (10, 0.6)), 0.03, baseline=True),
        RulerStyle("paper strip", 1.0, ((1, 1.2), (5, 1.8), (10, 2.4)), 0.12, strip=(_PAPER, 5.0), digits=True),
        RulerStyle("half millimetres", 0.5, ((1, 0.5), (2, 0.8), (10, 1.2)), 0.05),
        RulerStyle("inverted plate", 1.0, ((1, 0.5), (5, 1.0)), 0.08, ink=_WHITE),
        RulerStyle("inverted strip", 1.0, ((1, 0.9), (5, 1.4), (10, 1.8)), 0.1, ink=_WHITE, strip=((0.03,) * 3, 4.0)),
        RulerStyle("rim", 1.0, ((1, 0.6), (5, 1.1)), 0.08, bow=1 / 22.0),
        RulerStyle("graticule", 1.0, ((1, 0.6), (5, 1.2)), 0.04, opacity=0.55, baseline=True, centred=True),
    )
}

#: Scales of close-ups; fields of 60 to 160 mm.
CLINICAL_STYLES = {
    style.name: style
    for style in (
        RulerStyle("paper ruler", 1.0, ((1, 2.5), (5, 3.8), (10, 5.2)), 0.25, strip=(_PAPER, 14.0), digits=True),
        RulerStyle("steel ruler", 1.0, ((1, 3.0), (5, 4.2), (10, 5.5)), 0.2, strip=((0.42, 0.43, 0.44), 15.0)),
        RulerStyle(
            "inch ruler", 25.4 / 16, ((1, 2.5), (2, 3.6), (4, 5.0), (8, 6.8), (16, 9.0)), 0.3, strip=(_PAPER, 16.0)
        ),
    )
}


@dataclass(frozen=True)
class RulerTruth:
    """What is true of a drawn ruler: pixels per mm, its style, and the share of its ticks that can be seen."""

    px_per_mm: float
    style: str
    seen: float


def draw_ruler_photo(
    rng: np.random.Generator, photo: NDArray[np.uint8], style: RulerStyle, field_mm: float
) -> tuple[NDArray[np.uint8], RulerTruth]:
    """The photo, uint8 (H, W, 3) sRGB, with a ruler at any angle near an edge; `field_mm`: width of the longer side.

    Hair may cross it, something may cover a part or the frame cut it; then lens blur, noise and JPEG.
    """
    height, width = photo.shape[:2]
    scale = max(height, width) / field_mm
    rgb = np.asarray((photo / np.float32(255)) ** np.float32(2.2), np.float32)
    line = _line(rng, (height, width), style, scale)
    cover, seen = _cover(rng, (height, width), line)
    drawn = _draw(rgb.copy(), style, line, scale)
    rgb = drawn * (1 - cover[..., None]) + rgb * cover[..., None]
    for _ in range(int(rng.integers(0, 4))):
        _hair(rng, rgb, line, scale)
    sigma = float(rng.uniform(0.3, 1.5)) * max(height, width) / 1024
    rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), max(0.25, sigma)), np.float32)
    levels = encode(rgb) + rng.normal(0, rng.uniform(0.5, 3.0), (height, width, 1)).astype(np.float32)
    pixels = np.clip(levels + np.float32(0.5), 0, 255).astype(np.uint8)
    quality = int(rng.integers(72, 96))
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1]), RulerTruth(scale, style.name, seen)


@dataclass(frozen=True, eq=False)
class _Line:
    """Where a ruler lies: places and inward directions of its ticks, (N, 2) each, and their numbers (N,)."""

    places: Points
    inward: Points
    number: NDArray[np.intp]


def _line(rng: np.random.Generator, size: tuple[int, int], style: RulerStyle, scale: float) -> _Line:
    """A line at any angle whose middle lies towards an edge; its ends may lie outside of the frame."""
    height, width = size
    angle = float(rng.uniform(0, 2 * np.pi)) if rng.random() < 0.6 else float(rng.integers(4)) * np.pi / 2
    inward = rotation(angle) @ np.array([0.0, -1.0])
    along = rotation(angle) @ np.array([1.0, 0.0])
    middle = np.array([width, height]) / 2 - inward * rng.uniform(0.24, 0.38) * abs(inward @ np.array([width, height]))
    middle = middle + along * rng.normal(0, 0.06) * width
    across = min(width / max(abs(along[0]), 1e-6), height / max(abs(along[1]), 1e-6))
    length = min(rng.uniform(0.5, 1.1) * across / scale, 20.0 if style.step < 2 else 1e9)
    length = max(length, (11 if style.step >= 0.5 else 30) * style.step)
    number = np.arange(round(length / style.step) + 1)
    offset = (number - (len(number) - 1) / 2) * style.step
    if style.bow:
        # Round the middle of the frame: ticks point to the centre of the circle.
        turn = offset * style.bow
        radius = scale / style.bow
        centre = middle + inward * radius
        direction = np.sin(turn)[:, None] * along - np.cos(turn)[:, None] * inward
        return _Line(centre + radius * direction, -direction, number)
    places = middle + offset[:, None] * scale * along
    return _Line(places, np.broadcast_to(inward, places.shape).copy(), number)


def _draw(rgb: F32, style: RulerStyle, line: _Line, scale: float) -> F32:
    if style.strip is not None:
        colour, wide = style.strip
        along = line.places[-1] - line.places[0]
        along = along / np.linalg.norm(along) * 1.5 * scale
        front = line.inward[0] * wide * scale
        # Ticks begin at the strip's edge.
        first, last = line.places[0] - along, line.places[-1] + along
        corners = np.array([first, last, last + front, first + front])
        rgb = _paint(rgb, [corners], np.array(colour, np.float32), 1.0)
    shapes = []
    for place, inward, number in zip(line.places, line.inward, line.number, strict=True):
        length = next(long for every, long in reversed(style.lengths) if number % every == 0) * scale
        start = place - inward * length / 2 if style.centred else place
        shapes.append(_bar(start, start + inward * length, style.thick * scale))
        if style.digits and number % style.lengths[-1][0] == 0:
            shapes += _digits(str(number), place - inward * (-length - 0.5 * scale), inward, 0.45 * scale)
    if style.baseline:
        for a, b in zip(line.places[:-1], line.places[1:], strict=True):
            shapes.append(_bar(a, b, style.thick * scale))
    return _paint(rgb, shapes, np.array(style.ink, np.float32), style.opacity)


def _paint(rgb: F32, shapes: list[Points], colour: NDArray[np.float32], opacity: float) -> F32:
    height, width = rgb.shape[:2]
    canvas = np.zeros((height * _FINER, width * _FINER), np.uint8)
    for shape in shapes:
        points = np.rint((shape + 0.5) * _FINER * 16 - 8).astype(np.int32)
        cv2.fillConvexPoly(canvas, points, 255, cv2.LINE_8, 4)
    cover = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255 * opacity
    return np.asarray(rgb + cover[..., None] * (colour - rgb), np.float32)


def _bar(start: Points, end: Points, thick: float) -> Points:
    along = (end - start) / max(1e-6, float(np.linalg.norm(end - start)))
    side = np.array([-along[1], along[0]]) * thick / 2
    return np.array([start + side, end + side, end - side, start - side])


#: Strokes of digits on a 2 x 1 grid: (x, y) pairs from the top left.
_SEGMENTS = (
    ((0, 0), (1, 0)),
    ((0, 0), (0, 1)),
    ((1, 0), (1, 1)),
    ((0, 1), (1, 1)),
    ((0, 1), (0, 2)),
    ((1, 1), (1, 2)),
    ((0, 2), (1, 2)),
)
_DIGITS = {"0": (0, 1, 2, 4, 5, 6), "1": (2, 5), "2": (0, 2, 3, 4, 6), "3": (0, 2, 3, 5, 6), "4": (1, 2, 3, 5)}
_DIGITS |= {
    "5": (0, 1, 3, 5, 6),
    "6": (0, 1, 3, 4, 5, 6),
    "7": (0, 2, 5),
    "8": (0, 1, 2, 3, 4, 5, 6),
    "9": (0, 1, 2, 3, 5, 6),
}


def _digits(text: str, centre: Points, inward: Points, size: float) -> list[Points]:
    across = np.array([-inward[1], inward[0]])
    shapes = []
    for place, digit in enumerate(text):
        corner = centre + across * (place - len(text) / 2) * 0.75 * size + inward * size / 2
        for segment in _DIGITS[digit]:
            a, b = (corner + across * x * size / 2 - inward * y * size / 2 for x, y in _SEGMENTS[segment])
            shapes.append(_bar(a, b, 0.13 * size))
    return shapes


def _cover(rng: np.random.Generator, size: tuple[int, int], line: _Line) -> tuple[F32, float]:
    """Where something lies over the ruler (1 hides it), and the share of ticks that stay in sight."""
    height, width = size
    cover = np.zeros(size, np.float32)
    if rng.random() < 0.4:
        at = line.places[int(rng.integers(len(line.places)))]
        radius = float(rng.uniform(0.05, 0.14)) * float(np.linalg.norm(line.places[-1] - line.places[0]))
        axes = (int(radius), int(radius * rng.uniform(0.6, 1.2)))
        cv2.ellipse(cover, (int(at[0]), int(at[1])), axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
        cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), max(0.5, 0.1 * radius)), np.float32)
    x, y = np.rint(line.places).astype(int).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    seen = inside.copy()
    seen[inside] = cover[y[inside], x[inside]] < 0.5
    return cover, float(seen.mean())


def _hair(rng: np.random.Generator, rgb: F32, line: _Line, scale: float) -> None:
    """A dark hair across the ruler, drawn in place."""
    at = line.places[int(rng.integers(len(line.places)))]
    start = at + rng.normal(0, 2.0, 2) * scale
    curve = wander(rng, start, float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(3, 9)) * scale, 0.7)
    mask = np.zeros(rgb.shape[:2], np.uint8)
    thick = max(1, round(0.07 * min(scale, 45)))
    cv2.polylines(mask, [np.rint(curve * 16).astype(np.int32).reshape(-1, 1, 2)], False, 255, thick, cv2.LINE_AA, 4)
    share = np.float32(0.9) * mask.astype(np.float32)[..., None] / 255
    rgb += share * (np.array([0.05, 0.035, 0.025], np.float32) - rgb)
