"""Scale from a ruler in the photo: the period of its ticks along its line, and what one tick is worth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.grid import reduce_pixels, reduced_shape
from longderm.imaging.ruler_strip import SAMPLES, strip
from longderm.imaging.ruler_unit import UNIT_UNKNOWN, UnitReading, read_unit
from longderm.imaging.strokes import find_strokes
from longderm.imaging.tick_row import TickRow
from longderm.imaging.tick_rows import find_rows
from longderm.photo import Photo

#: Longer sides of the copies on which ticks are sought, wide marks on the smaller ones ...
SEARCH_SIDES_PX = (640, 320, 160)
#: ... and, where those show no ruler and the photo has the resolution, this one: a ruler far away in a large photo.
FINE_SIDE_PX = 2048
#: What lies between the ticks is read from a copy of this size: full resolution up to 3 megapixels.
STRIP_SIDE_PX = 2048
#: Below this on the shorter side there is no room for a ruler.
MIN_SIDE_PX = 64

#: Red tells ink from skin and lesion best, blue least: grey levels are this mixture of R, G, B.
_MIXTURE = (0.5, 0.4, 0.1)

#: A ruler shows at least this many whole ticks ...
MIN_TICKS = 6
#: ... at this share of the places between the first and the last; at fewer if they are as even as this (share of a
#: step), which strokes of skin are not by chance ...
_MIN_OCCUPIED, _EVEN_MIN_OCCUPIED, _EVEN_RESIDUAL = 0.75, 0.55, 0.012
#: ... off their even places by this share of a step (root mean square) or this many pixels of the search copy ...
_MAX_RESIDUAL, _MAX_RESIDUAL_PX = 0.05, 0.45
#: ... at right angles to the ruler within this (radians): a photo squashed along one axis shears a slanted ruler ...
_MAX_TILT = 0.12
#: ... with one end (or the middle) on a line within this share of the median length and this many pixels ...
_MAX_SCATTER, _SCATTER_PX = 0.16, 0.6
#: ... as strong as each other (standard deviation of the logarithm) ...
_MAX_LOG_CONTRAST_SD = 0.42
#: ... with at most this many other strokes of their kind per tick among them ...
_MAX_CLUTTER = 0.4
#: ... and steps that change by at most this share per tick, as a lens's distortion may make them.
_MAX_BEND = 0.02
#: With fewer ticks than this, chance may line up skin: the bounds above are this share of themselves.
FEW_TICKS, _FEW_STRICTNESS = 9, 0.55
#: Share of the strip's variation that repeats with the ticks (power at whole cycles per tick), at least; and where the
#: ticks are few.
_MIN_PURITY, _FEW_MIN_PURITY = 0.45, 0.8

#: Beyond the ticks' ends, at these multiples of their length from their line, a ruler's period is weaker than this
#: share of what it is along the ticks, on one side at the least. Beyond the common ticks' ends, the longer ones alone
#: go on, which repeat less often. Looked at are up to so many cycles per tick: of ridges, a row may take every third.
_BEYOND, _GOES_ON, _MOST_CYCLES = (1.3, 1.7, 2.1, 2.5), 0.5, 6
#: What goes on stands out of the frequencies beside it (root mean square) by this factor: mottled skin, which swings at
#: all of them, is as strong as a faint graticule. By chance it does at one in fifty places.
_STANDS_OUT = 2.0

#: Relative error that no reading goes below: the ruler lies on the plate or the skin, the lesion a little off it.
_BASE_ERROR = 0.01

#: Sides that differ by less than this share make a square. No camera's frame is one: such a photo was cropped, or
#: squashed for a network as public collections are, and where its ruler lies along an edge, nothing shows which.
_SQUARE_TOLERANCE = 0.01
_MAY_BE_SQUASHED = "the photo is square and may have been squashed, so that its scale differs along and across"
_NOTHING = "no ruler is seen"


@dataclass(frozen=True, eq=False)
class RulerScale:
    """A scale read from a ruler.

    px_per_mm: pixels of the native grid per millimetre in the middle of the ruler; error: its relative standard error;
    tick_mm: what one tick is worth; tick_px: distance of two ticks (native pixels); ticks: how many were read; ends:
    float64 (2, 2), the first and the last tick's places as (x, y); half_width_px: half of the longest tick.
    """

    px_per_mm: float
    error: float
    tick_mm: float
    tick_px: float
    ticks: int
    ends: NDArray[np.float64]
    half_width_px: float


@dataclass(frozen=True, eq=False)
class RulerReading:
    """What `read_ruler` found: `scale`, or None and the `reason` why not."""

    scale: RulerScale | None
    reason: str | None


def read_ruler(photo: Photo) -> RulerReading:
    """Read the scale off a ruler, graticule or printed scale in the photo, or say why none is read.

    Rows of evenly spaced parallel strokes are sought on copies of the photo, dark ones and bright ones. A row counts as
    a ruler if its ticks are alike, aligned, uncluttered, and repeat in the strip's spectrum; its unit is told by which
    ticks are longer, what lies between them and how wide the photo would be (`longderm.imaging.ruler_unit`). Where the
    unit is open, nothing is claimed. In a total-body photo nothing is sought.
    """
    if photo.meta.modality == "total_body":
        return RulerReading(None, "a total-body photo has no one scale")
    if min(photo.shape) < MIN_SIDE_PX:
        return RulerReading(None, "the photo is too small")
    finest, scale = _grey(photo, STRIP_SIDE_PX)
    reading = _search(photo, finest, scale, SEARCH_SIDES_PX)
    if reading.scale is None and reading.reason == _NOTHING and max(finest.shape) >= FINE_SIDE_PX:
        reading = _search(photo, finest, scale, (FINE_SIDE_PX,))
    return reading


def _search(photo: Photo, finest: NDArray[np.float32], scale: float, sides: tuple[int, ...]) -> RulerReading:
    """Seek on copies of `finest`, of which a pixel is `scale` native ones, with these longer sides."""
    import cv2

    refused: list[str] = []
    grey = finest
    for number, side in enumerate(sides):
        if number and side >= max(grey.shape):
            continue
        shape = reduced_shape((finest.shape[0], finest.shape[1]), side)
        if shape != grey.shape:
            grey = np.asarray(cv2.resize(grey, (shape[1], shape[0]), interpolation=cv2.INTER_AREA))
        factor = max(finest.shape) / max(shape)
        for strokes in find_strokes(grey):
            for row in find_rows(strokes):
                if not _is_ruler(row):
                    continue
                verdict = _judge(row, row.enlarged(factor), finest, scale, photo)
                if isinstance(verdict, RulerScale):
                    return RulerReading(verdict, None)
                if verdict in (UNIT_UNKNOWN, _MAY_BE_SQUASHED):
                    return RulerReading(None, verdict)
                refused.append(verdict)
    return RulerReading(None, next((reason for reason in refused if reason), _NOTHING))


def _goes_on(row: TickRow, grey: NDArray[np.float32]) -> bool:
    """Whether the pattern goes on beyond both ends of the ticks, as that of a cloth, of ridges or of rows of dots.

    Looked for beyond the common ticks as well as beyond the longest, which among dots may be a stranger.
    """

    cycles = np.arange(1, _MOST_CYCLES + 1)

    def swing(offset: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Amplitudes at whole cycles per tick along a strip beside the row, and root mean squares around each."""
        profile = strip(replace(row, across=row.across + offset), grey, 0.3)
        spectrum = np.abs(np.fft.rfft(profile)) / len(profile)
        places = len(profile) // SAMPLES
        half = max(2, places // 2)
        beside = np.r_[-half:-1, 2 : half + 1]
        around = spectrum[np.clip(cycles[:, None] * places + beside, 1, len(spectrum) - 1)]
        return spectrum[cycles * places], np.sqrt(np.mean(around**2, axis=1))

    own = float(swing(0.0)[0].max())

    def as_strong(offset: float) -> bool:
        beyond, around = swing(offset)
        return bool((beyond > np.maximum(_GOES_ON * own, _STANDS_OUT * around)).any())

    return any(
        all(any(as_strong(side * times * length) for times in _BEYOND) for side in (1, -1))
        for length in sorted({float(np.median(row.length)), float(row.length.max())})
    )


def _grey(photo: Photo, side: int) -> tuple[NDArray[np.float32], float]:
    """A copy in grey levels, float32 (h, w), and how many native pixels one of its pixels is."""
    import cv2

    shape = reduced_shape(photo.shape, side)
    pixels = photo.pixels if shape == photo.shape else reduce_pixels(photo.pixels, shape)
    grey = cv2.transform(pixels, np.array([_MIXTURE], np.float32)).astype(np.float32)
    return np.asarray(grey.reshape(shape)), max(photo.shape) / max(shape)


def _judge(found: TickRow, row: TickRow, grey: NDArray[np.float32], scale: float, photo: Photo) -> RulerScale | str:
    """The scale that a row of ticks gives, or why it gives none ("" where it is no ruler at all).

    found: the row on the copy where it was found; row: the same on `grey`, of which a pixel is `scale` native ones.
    """
    if _purity(row, grey) < (_FEW_MIN_PURITY if np.count_nonzero(row.whole) < FEW_TICKS else _MIN_PURITY):
        return ""
    if _goes_on(row, grey):
        return ""
    unit = read_unit(row, grey, max(grey.shape) / row.step_px, photo.meta.modality, row.step_px / found.step_px)
    if not isinstance(unit, UnitReading):
        return unit
    if abs(photo.shape[0] - photo.shape[1]) <= _SQUARE_TOLERANCE * max(photo.shape):
        return _MAY_BE_SQUASHED
    tick_px = row.step_px * scale
    number = len(row)
    # Standard error of the slope of a line through evenly spaced points, and what a lens's distortion leaves open.
    slope_error = row.residual * np.sqrt(12 / (number * (float(row.index[-1]) ** 2)))
    bend_error = abs(row.bend) * float(row.index[-1]) / np.sqrt(12)
    error = float(np.sqrt(_BASE_ERROR**2 + slope_error**2 + bend_error**2))
    normal = np.array([-row.axis[1], row.axis[0]])
    middle = float(np.median(row.across))
    ends = np.stack([row.origin + row.axis * place + normal * middle for place in (row.along[0], row.along[-1])])
    return RulerScale(
        px_per_mm=float(f"{tick_px / unit.tick_mm:.6g}"),
        error=float(f"{error:.3g}"),
        tick_mm=unit.tick_mm,
        tick_px=float(f"{tick_px:.6g}"),
        ticks=number,
        ends=(ends + 0.5) * scale - 0.5,
        half_width_px=float(row.length.max()) / 2 * scale,
    )


def _is_ruler(row: TickRow) -> bool:
    """Whether a row is as even, straight, square, uniform and clear as a printed one; the more so, the fewer ticks."""
    ticks = int(np.count_nonzero(row.whole))
    if ticks < MIN_TICKS:
        return False
    strict = _FEW_STRICTNESS if ticks < FEW_TICKS else 1.0
    occupied = _EVEN_MIN_OCCUPIED if row.residual <= _EVEN_RESIDUAL else 1 - strict * (1 - _MIN_OCCUPIED)
    return bool(
        row.occupied >= occupied
        and row.residual <= strict * max(_MAX_RESIDUAL, _MAX_RESIDUAL_PX / row.step_px)
        and row.tilt <= _MAX_TILT
        and row.aligned_px <= _MAX_SCATTER * float(np.median(row.length)) + _SCATTER_PX
        and _unevenness(row) <= strict * _MAX_LOG_CONTRAST_SD
        and row.clutter <= strict * _MAX_CLUTTER
        and abs(row.bend) <= _MAX_BEND
    )


def _unevenness(row: TickRow) -> float:
    """Standard deviation of the logarithm of the ticks' contrast about a straight line: light falls off to one side."""
    strength = np.log(row.contrast)
    return float(np.std(strength - np.polyval(np.polyfit(row.index, strength, 1), row.index)))


def _purity(row: TickRow, grey: NDArray[np.float32]) -> float:
    """Share of the strip's variation along the row, between half a cycle and eight per tick, at whole cycles."""
    profile = strip(row, grey, 0.3)
    profile = profile - profile.mean()
    power = np.abs(np.fft.rfft(profile * np.hanning(len(profile)))) ** 2
    cycles = np.arange(len(power)) / (len(profile) / SAMPLES)
    band = (cycles > 0.5) & (cycles < 8.5)
    whole = np.abs(cycles - np.round(cycles)) <= 2.01 / (len(profile) / SAMPLES)
    return float(power[band & whole].sum() / max(float(power[band].sum()), 1e-9))
