"""What a ruler's tick is worth: by which ticks are longer, what lies between two ticks, and the width of the photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.ruler_strip import SAMPLES, lines_along
from longderm.imaging.tick_rows import TickRow

#: Width of the longer side in mm that a photo of each kind can show. Contact plates are 10 to 35 mm wide; a photo may be
#: cropped to a part of that. Close-ups reach from a macro lens to a whole back.
_FIELD_MM = {"dermoscopic": (5.0, 40.0), "tbp_tile": (5.0, 40.0), "clinical": (12.0, 450.0)}

#: Values of a tick in mm, the commonest first, by (every how many ticks one is longer, how many smaller ones lie
#: between two). Scales in use: 1/5/10 mm, 0.5/1/5 mm, plain 1 mm, and on graticules 0.1/0.5/1 mm. Every second tick
#: longer is left out: that may be 0.5/1 mm, 1/2 mm, or 5/10 mm with millimetres too fine to see.
_VALUES_MM = {
    (5, 1): (1.0, 0.1),
    (5, 2): (1.0,),
    (10, 1): (1.0, 0.1),
    (10, 2): (1.0,),
    (1, 1): (1.0,),
    (1, 5): (5.0, 0.5),
    (1, 10): (10.0, 1.0),
    (2, 5): (5.0, 0.5),
    (2, 10): (5.0,),
}
#: In close-ups, scales are never finer than half a millimetre.
_FINEST_CLINICAL_MM = 0.5

#: Binary fractions of an inch, told by lengths that grow with every halving: (longer every, value in mm).
_INCH_MM = 25.4

#: A tick is longer if it exceeds the short ones by this factor; further, a length class varies by this share at most.
_LONGER, _MAX_SPREAD = 1.22, 0.2
#: Share of (longer, short) pairs of ticks that may be the wrong way round.
_MAX_OVERLAP = 0.06
#: Lengths are read to about this (pixels of the search copy).
_LENGTH_ERROR_PX = 1.2
#: Equal ticks without a longer one say less: more of them are asked for, more alike, and a narrower range of fields, in
#: which half-millimetres would make a dermoscopic photo narrower than contact plates are.
_PLAIN_MIN_TICKS, _PLAIN_MAX_SPREAD, _PLAIN_MAX_CLUTTER, _PLAIN_FIELD_MM = 9, 0.12, 0.15, (8.0, 25.0)
#: Fewer ticks than this are taken for the commonest value alone: a few hatches in a lesion may pass for tenths.
_FINE_MIN_TICKS = 11
#: Smaller ticks between two: how deep they are against the ticks, at least, and the share of gaps that show them.
_SUB_DEPTH, _SUB_SHARE = 0.18, 0.8
#: A line without ticks (grey levels) says nothing.
_MIN_TICK_DEPTH = 2.0
#: Finest step (pixels of the search copy) at which smaller ticks could be seen.
_SUB_MIN_PX = 2.2


UNIT_UNKNOWN = "a ruler is seen, but not what its ticks are worth"


@dataclass(frozen=True)
class UnitReading:
    """One tick in mm; every: every how many ticks one is longer (1: none is); between: smaller ticks per tick."""

    tick_mm: float
    every: int
    between: int


def read_unit(
    row: TickRow,
    grey: NDArray[np.float32],
    field_ticks: float,
    modality: str,
    enlarged: float = 1.0,
) -> UnitReading | str:
    """The unit of a ruler's ticks, or the reason why it cannot be told.

    grey: the copy that the row lies on; field_ticks: the
    longer side of the photo in ticks; enlarged: how much larger `grey` is than the copy that lengths were read on.
    """
    every, spread = longer_every(row.index[row.whole], row.length[row.whole] / enlarged)
    if every == 0:
        return "the ticks of what may be a ruler are of no regular length"
    between = ticks_between(row, grey)
    if every == 1 and between == 2:
        every, between = 2, 1  # the longer ones alone were taken for ticks, or the shorter are faint
    values = _VALUES_MM.get((every, between), ())
    if modality == "clinical":
        values = tuple(value for value in values if value / between >= _FINEST_CLINICAL_MM)
    low, high = _FIELD_MM[modality]
    if (every, between) == (1, 1):
        if len(row) < _PLAIN_MIN_TICKS or spread > _PLAIN_MAX_SPREAD or row.clutter > _PLAIN_MAX_CLUTTER:
            return "the ruler's ticks are too few or too unlike to tell their unit"
        if modality != "clinical":
            low, high = _PLAIN_FIELD_MM
    if len(row) < _FINE_MIN_TICKS:
        values = values[:1]
    fitting = [value for value in values if low <= field_ticks * value <= high]
    if not values:
        return UNIT_UNKNOWN
    if not fitting:
        return "the ruler's ticks would make the photo wider or narrower than such photos are"
    return UnitReading(fitting[0], every, between)


def longer_every(index: NDArray[np.intp], length: NDArray[np.float64]) -> tuple[int, float]:
    """Every how many ticks one is longer: 1 none, 2, 5 or 10; 0 for irregular lengths; and the spread within classes.

    Several periods may fit few ticks: the least is taken, except that five includes ten where the tenth is not seen.
    """
    best = (0, np.inf)
    for every in (1, 2, 5, 10):
        for phase in range(every):
            classes = _classes(index, every, phase)
            fitted = np.empty_like(length)
            means = []
            for name in np.unique(classes):
                fitted[classes == name] = np.median(length[classes == name])
                means.append(float(np.median(length[classes == name])))
            if every > 1:
                ordered = means  # classes are numbered from short to long
                if len(ordered) < 2 or any(b < _LONGER * a or b < a + _LENGTH_ERROR_PX for a, b in zip(ordered, ordered[1:], strict=False)):
                    continue
                if np.count_nonzero(classes == 0) < 3 or _overlap(length[classes == 0], length[classes > 0]):
                    continue
            off = np.maximum(np.abs(length - fitted) - _LENGTH_ERROR_PX, 0) / fitted
            spread = float(np.sqrt(np.mean(off**2)))
            if spread <= _MAX_SPREAD and spread < best[1] - 0.03:
                best = (every, spread)
    return best if best[0] else (0, 0.0)


def _overlap(shorter: NDArray[np.float64], longer: NDArray[np.float64]) -> bool:
    """Whether more than a few of the longer ticks are not longer than the short ones."""
    below = (longer[:, None] <= shorter[None, :]).mean()
    return bool(below > _MAX_OVERLAP)


def _classes(index: NDArray[np.intp], every: int, phase: int) -> NDArray[np.intp]:
    """Class of each tick, 0 short: every fifth or second is 1; of ten, the fifth 1 and the tenth 2."""
    number = (index - phase) % every
    if every == 1:
        return np.zeros(len(index), dtype=np.intp)
    if every == 10:
        return np.where(number == 0, 2, np.where(number == 5, 1, 0)).astype(np.intp)
    return np.where(number == 0, 1, 0).astype(np.intp)


def ticks_between(row: TickRow, grey: NDArray[np.float32]) -> int:
    """How many parts smaller ticks divide a step into: 1 where there are none, else 2, 5 or 10.

    Read along lines at several distances across, since smaller ticks may reach less far: where at most of the places
    that divide a step there is a mark in most of the steps.
    """
    for parts in (10, 5, 2):
        if row.step_px / parts < _SUB_MIN_PX:
            continue
        for profile in lines_along(row, grey):
            steps = profile.reshape(-1, SAMPLES)
            # The ticks lie in the middle of each stretch of SAMPLES; of the row's ends, half a step is seen.
            usual = float(np.median(_depth(steps, 0.5, 0.25)))
            if abs(usual) < _MIN_TICK_DEPTH:
                continue
            small = [_depth(steps, 0.5 + k / parts, 0.5 / parts) / usual for k in range(1, parts)]
            marked = [np.median(depth) >= _SUB_DEPTH and np.mean(depth > 0.5 * _SUB_DEPTH) >= _SUB_SHARE for depth in small]
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
