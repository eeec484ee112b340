"""What a ruler's tick is worth: by which ticks are longer, what lies between two ticks, and the width of the photo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.ruler_strip import SAMPLES, lines_along, tick_lengths
from longderm.imaging.tick_row import TickRow

#: Width of the longer side in mm that a photo of each kind can show. Contact plates are 10 to 35 mm wide; a photo may
#: be cropped to a part of that. Close-ups reach from a macro lens to a whole back.
_FIELD_MM = {"dermoscopic": (5.0, 40.0), "tbp_tile": (5.0, 40.0), "clinical": (12.0, 450.0)}

Numbers = NDArray[np.intp]


@dataclass(frozen=True)
class Pattern:
    """How the lengths of ticks go: `level(number)` is 0 for the shortest; after `period` ticks it begins again.

    every: of the next longer ticks; least_levels: so many different lengths must be seen, and so many of the longest.
    """

    name: str
    period: int
    every: int
    level: Callable[[Numbers], Numbers]
    least_levels: int = 2
    least_longest: int = 1


def _longer(*every: int) -> Callable[[Numbers], Numbers]:
    """Levels by divisors, each of which is a multiple of the one before."""

    def level(number: Numbers) -> Numbers:
        return np.asarray(sum((number % divisor == 0).astype(np.intp) for divisor in every), dtype=np.intp)

    return level


#: From the simplest on; of two that fit alike, the first is meant.
PATTERNS = (
    Pattern("equal", 1, 1, lambda number: np.zeros(len(number), dtype=np.intp), 1),
    Pattern("2", 2, 2, _longer(2)),
    Pattern("5", 5, 5, _longer(5)),
    Pattern("5/10", 10, 5, _longer(5, 10)),
    # One long tick among equal ones may be a hair or a ridge of skin.
    Pattern("10", 10, 10, _longer(10), least_longest=2),
    Pattern("2/10", 10, 2, _longer(2, 10), 3),
    Pattern("2/10/20", 20, 2, _longer(2, 10, 20), 3),
    Pattern("2/4/8/16", 16, 2, _longer(2, 4, 8, 16), 3),
)

#: Values of a tick in mm, the commonest first, by (pattern, how many smaller ticks lie between two). Scales in use:
#: 1/5/10 mm, 0.5/1/5/10 mm, plain 1 mm, sixteenths of an inch, and on graticules 0.1/0.5/1 mm. Every second tick
#: longer and nothing else is left out: that may be 0.5/1 mm, 1/2 mm, or 5/10 mm with millimetres too fine to see. So
#: are ticks halfway between those that were followed, where these have a pattern: it may be that of every second tick.
_VALUES_MM = {
    ("equal", 1): (1.0,),
    ("equal", 5): (5.0, 0.5),
    ("equal", 10): (10.0, 1.0),
    ("2", 5): (5.0, 0.5),
    ("2", 10): (5.0,),
    ("5", 1): (1.0, 0.1),
    ("5/10", 1): (1.0, 0.1),
    ("10", 1): (1.0, 0.1),
    ("2/10", 1): (0.5,),
    ("2/10/20", 1): (0.5,),
    ("2/4/8/16", 1): (25.4 / 16,),
}
#: Fewer ticks than this are not taken for finer ones than this: a few hatches in a lesion may pass for tenths.
_FINE_MIN_TICKS, _FINE_MM = 11, 0.5
#: The commonest value gives way to a rarer one if it would make the photo wider than possible by this factor.
_FAR_TOO_WIDE = 2.5
#: In close-ups, scales are never finer than half a millimetre.
_FINEST_CLINICAL_MM = 0.5

#: A longer tick exceeds the next shorter ones by this factor and about the error of a length (pixels of the search
#: copy); lengths of one level vary by this share at most.
_LONGER, _LENGTH_ERROR_PX, _MAX_SPREAD = 1.18, 1.2, 0.2
#: Patterns of three and more levels fit more by chance: their lengths vary by this at most.
_INTRICATE_MAX_SPREAD = 0.08
#: A single tick of the longest level may be a hair; it exceeds the next shorter ones by this factor.
_LONE_LONGER = 1.35
#: Share of (longer, shorter) pairs of ticks that may be the wrong way round.
_MAX_OVERLAP = 0.06
#: A more intricate pattern must lessen the spread by this.
_SPREAD_GAIN = 0.02
#: One tick may be off where there are at least so many; of fewer, the lengths must agree within this share.
_ODD_MIN_TICKS, _FEW_MAX_SPREAD = 9, 0.06
#: Equal ticks without a longer one say less: more of them are asked for, more alike, uncluttered, and a narrower range
#: of fields, in which half-millimetres would make a dermoscopic photo narrower than contact plates are.
_PLAIN_MIN_TICKS, _PLAIN_MAX_SPREAD, _PLAIN_MAX_CLUTTER, _PLAIN_FIELD_MM = 9, 0.12, 0.15, (8.0, 25.0)
#: Smaller ticks between two: how deep they are against the ticks, at least, and the share of places that show them.
_SUB_DEPTH, _SUB_SHARE = 0.18, 0.8
#: Ticks fainter than this (grey levels) show nothing; lines on which they have less than this share of their depth lie
#: beside them.
_MIN_TICK_DEPTH, _SUB_LINE_DEPTH = 2.0, 0.4
#: Finest step (pixels of the copy that the strip is read from) at which smaller ticks could be seen.
_SUB_MIN_PX = 2.2

UNIT_UNKNOWN = "a ruler is seen, but not what its ticks are worth"
_IRREGULAR = "the ticks of what may be a ruler are of no regular length"
_TOO_PLAIN = "the ruler's ticks are too few or too unlike to tell their unit"
_WRONG_FIELD = "the ruler's ticks would make the photo wider or narrower than such photos are"


@dataclass(frozen=True)
class UnitReading:
    """One tick in mm; pattern: the name of how lengths go; between: parts that smaller ticks divide a step into."""

    tick_mm: float
    pattern: str
    between: int


def read_unit(
    row: TickRow, grey: NDArray[np.float32], field_ticks: float, modality: str, enlarged: float = 1.0
) -> UnitReading | str:
    """The unit of a ruler's ticks, or the reason why it cannot be told.

    grey: the copy that the row lies on; field_ticks: the longer side of the photo in ticks; enlarged: how much larger
    `grey` is than the copy that lengths were read on.
    """
    # Lengths are read twice, since lines that cross the ticks, such as a base line, leave parts of them as strokes.
    found: tuple[Pattern, float] | None = None
    for lengths in (row.length, tick_lengths(row, grey)):
        pattern_read = length_pattern(row.index[row.whole], lengths[row.whole] / enlarged)
        if pattern_read is not None and (found is None or pattern_read[1] < found[1] - _SPREAD_GAIN):
            found = pattern_read
    if found is None:
        return _IRREGULAR
    pattern, spread = found
    if np.count_nonzero(row.whole) < _ODD_MIN_TICKS and (spread > _FEW_MAX_SPREAD or pattern.least_levels > 2):
        return _IRREGULAR
    between = ticks_between(row, grey)
    name = "2" if (pattern.name, between) == ("equal", 2) else pattern.name
    between = 1 if name != pattern.name else between
    values = _VALUES_MM.get((name, between), ())
    if modality == "clinical":
        values = tuple(value for value in values if value / between >= _FINEST_CLINICAL_MM)
    if len(row) < _FINE_MIN_TICKS:
        values = tuple(value for value in values if value >= _FINE_MM)
    if not values:
        return UNIT_UNKNOWN
    low, high = _FIELD_MM[modality]
    if (name, between) == ("equal", 1):
        if len(row) < _PLAIN_MIN_TICKS or spread > _PLAIN_MAX_SPREAD or row.clutter > _PLAIN_MAX_CLUTTER:
            return _TOO_PLAIN
        if modality != "clinical":
            low, high = _PLAIN_FIELD_MM
    fitting = [value for value in values if low <= field_ticks * value <= high]
    if fitting and fitting[0] != values[0] and field_ticks * values[0] < _FAR_TOO_WIDE * high:
        return _WRONG_FIELD
    return UnitReading(fitting[0], name, between) if fitting else _WRONG_FIELD


def length_pattern(index: Numbers, length: NDArray[np.float64]) -> tuple[Pattern, float] | None:
    """The pattern that ticks' lengths (pixels) follow, and their spread about it; None for irregular ones."""
    best: tuple[Pattern, float] | None = None
    for pattern in PATTERNS:
        for phase in range(pattern.period):
            level = pattern.level(index - phase)
            spread = _spread(pattern, level, length)
            if not np.isfinite(spread) and len(index) >= _ODD_MIN_TICKS:
                usual = _odd_one_out(level, length)
                spread = _spread(pattern, level[usual], length[usual]) + _SPREAD_GAIN
            most = _MAX_SPREAD if pattern.least_levels < 3 else _INTRICATE_MAX_SPREAD
            if spread <= most and (best is None or spread < best[1] - _SPREAD_GAIN):
                best = pattern, spread
    return best


def _odd_one_out(level: Numbers, length: NDArray[np.float64]) -> NDArray[np.bool_]:
    """All ticks but the one that is least like others of its level: something may lie over it."""
    off = np.zeros(len(length))
    for value in np.unique(level):
        middle = float(np.median(length[level == value]))
        off[level == value] = np.abs(length[level == value] - middle) / middle
    return np.asarray(np.arange(len(length)) != int(np.argmax(np.round(off, 6))))


def _spread(pattern: Pattern, level: Numbers, length: NDArray[np.float64]) -> float:
    """Relative spread of lengths about their levels' medians; infinite where longer levels are not longer."""
    least_levels = pattern.least_levels
    groups = [length[level == value] for value in np.unique(level)]
    if len(groups) < least_levels or (least_levels > 1 and (level == 0).sum() < 3):
        return np.inf
    middles = [float(np.median(group)) for group in groups]
    for i in range(len(groups) - 1):
        if middles[i + 1] < max(_LONGER * middles[i], middles[i] + _LENGTH_ERROR_PX):
            return np.inf
        if (groups[i + 1][:, None] <= groups[i][None, :]).mean() > _MAX_OVERLAP:
            return np.inf
    if len(groups[-1]) < pattern.least_longest:
        return np.inf
    lone = len(groups) == least_levels > 2 and len(groups[-1]) < 2
    if lone and middles[-1] < _LONE_LONGER * middles[-2]:
        return np.inf
    off = [
        np.maximum(np.abs(group - middle) - _LENGTH_ERROR_PX, 0) / middle
        for group, middle in zip(groups, middles, strict=True)
    ]
    return float(np.sqrt(np.mean(np.concatenate(off) ** 2)))


def ticks_between(row: TickRow, grey: NDArray[np.float32]) -> int:
    """How many parts smaller ticks divide a step into: 1 where there are none, else 2, 5 or 10.

    Read along lines at several distances across, since smaller ticks may reach less far: where at most of the places
    that divide a step there is a mark in most of the steps.
    """
    # The ticks lie in the middle of each stretch of SAMPLES; of the row's ends, half a step is seen.
    lines = [profile.reshape(-1, SAMPLES) for profile in lines_along(row, grey)]
    usual = [float(np.median(_depth(steps, 0.5, 0.25))) for steps in lines]
    deepest = max(usual, key=abs)
    if abs(deepest) < _MIN_TICK_DEPTH:
        return 1
    for parts in (10, 5, 2):
        if row.step_px / parts < _SUB_MIN_PX:
            continue
        for steps, depth in zip(lines, usual, strict=True):
            # Off the ticks' ends, skin alone is read.
            if depth / deepest < _SUB_LINE_DEPTH:
                continue
            small = [_depth(steps, 0.5 + k / parts, 0.5 / parts) / depth for k in range(1, parts)]
            marked = [
                np.median(part) >= _SUB_DEPTH and np.mean(part > 0.5 * _SUB_DEPTH) >= _SUB_SHARE for part in small
            ]
            if np.mean(marked) >= _SUB_SHARE:
                return parts
    return 1


def _depth(steps: NDArray[np.float64], place: float, apart: float) -> NDArray[np.float64]:
    """Grey at a place (share of a step) minus the mean of that `apart` to either side, for each step (M,)."""
    samples = steps.shape[1]
    flat = steps.ravel()

    def at(where: float) -> NDArray[np.float64]:
        position = np.clip(np.arange(len(steps)) * samples + where * samples, 0, len(flat) - 1.001)
        low = np.floor(position).astype(int)
        share = position - low
        return np.asarray(flat[low] * (1 - share) + flat[low + 1] * share)

    return np.asarray(at(place) - 0.5 * (at(place - apart) + at(place + apart)))
