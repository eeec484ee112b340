"""Rows of ticks: strokes side by side at even distances, as a ruler has them, out of everything around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.strokes import Strokes
from longderm.imaging.tick_row import TickRow

#: Neighbouring ticks differ in direction by at most this (radians) ...
_MAX_TURN = 0.16
#: ... overlap by this share of the shorter one, seen along the row ...
_MIN_OVERLAP = 0.55
#: ... and are as strong as each other within this factor.
_MAX_CONTRAST_RATIO = 3.0
#: Ticks lie at least this far apart (pixels), and at most this many times their length.
_MIN_STEP_PX, _MAX_STEP_TO_LENGTH = 3.5, 5.0
#: One step is as long as the step before within this share.
_MAX_STEP_CHANGE = 0.14
#: Neighbours on either side that are looked at.
_NEIGHBOURS = 10
#: Fewer ticks than this in a row without a gap are no ruler to begin with.
_MIN_CHAIN = 4
#: Rows that are followed up, longest first.
_MAX_ROWS = 12
#: A chain is followed up if its ticks are as strong as each other (standard deviation of the logarithm), lie on a line
#: (by this share of their length, and a pixel), at right angles to it (radians) and evenly (share of the step).
_MAX_LOG_CONTRAST_SD, _MAX_SCATTER, _MAX_TILT, _MAX_OFF = 0.5, 0.35, 0.2, 0.12
#: A stroke belongs to the place where a tick is due if it is off by at most this share of the step.
_MAX_OFFSET = 0.2
#: Ticks that may be hidden (by hair, glare or a finger) in a row before it ends.
_MAX_HIDDEN = 3


def find_rows(strokes: Strokes) -> list[TickRow]:
    """Rows among the strokes, those with the most ticks first; a stroke may be in several."""
    if len(strokes) < _MIN_CHAIN:
        return []
    chains = _chains(strokes)
    rows: list[TickRow] = []
    taken = np.zeros(len(strokes), dtype=np.bool_)
    for chain in chains:
        if taken[chain].mean() > 0.5 or not _promising(strokes, chain):
            continue
        row = _complete(strokes, chain)
        if row is not None and _sound(row):
            rows.append(row)
            taken[row.member] = True
        if len(rows) == _MAX_ROWS:
            break
    return sorted(rows, key=lambda row: -len(row))


def _chains(strokes: Strokes) -> list[NDArray[np.intp]]:
    """Paths through neighbours at equal steps, longest first."""
    source, target, step = _edges(strokes)
    if not len(source):
        return []
    # Of every edge i -> j, the edge j -> k on the same side whose step is most alike. Edges are sorted by source.
    first = np.searchsorted(source, np.arange(len(strokes)))
    last = np.searchsorted(source, np.arange(len(strokes)), side="right")
    width = int((last - first).max())
    options = first[target][:, None] + np.arange(width)[None, :]
    valid = options < last[target][:, None]
    options = np.minimum(options, len(source) - 1)
    # A stroke's direction has no sign: where two neighbours' differ by half a turn, so do their steps' signs.
    flip = np.where(np.cos(strokes.angle[source] - strokes.angle[target]) < 0, -1.0, 1.0)
    ahead = step * flip
    change = np.abs(step[options] - ahead[:, None]) / np.abs(ahead[:, None])
    change[~valid | (target[options] == source[:, None])] = np.inf
    best = np.argmin(np.round(change, 6), axis=1)
    rows = np.arange(len(source))
    following = np.where(change[rows, best] <= _MAX_STEP_CHANGE, options[rows, best], -1)
    # Steps that can be made from every edge, by doubling; a path stops at the first edge without a successor.
    jump = following.copy()
    hops = np.where(jump >= 0, 1, 0)
    for _ in range(7):
        going = jump >= 0
        hops = np.where(going, hops + hops[jump], hops)
        jump = np.where(going, jump[jump], -1)
    reach = hops
    order = np.argsort(-reach, kind="stable")[: 40 * _MAX_ROWS]
    chains: list[NDArray[np.intp]] = []
    used = np.zeros(len(source), dtype=np.bool_)
    for start in order:
        if reach[start] + 2 < _MIN_CHAIN or len(chains) >= 4 * _MAX_ROWS:
            break
        if used[start]:
            continue
        path, edge = [int(source[start]), int(target[start])], int(start)
        while following[edge] >= 0 and len(path) < len(strokes):
            used[edge] = True
            edge = int(following[edge])
            if int(target[edge]) in path[-3:]:
                break
            path.append(int(target[edge]))
        used[edge] = True
        unique = np.array(sorted(set(path)), dtype=np.intp)
        if len(unique) >= _MIN_CHAIN:
            chains.append(unique)
    return chains


def _edges(strokes: Strokes) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Pairs of strokes that may be neighbouring ticks: source, target, signed step across the source's direction."""
    x, y, angle = (values.astype(np.float32) for values in (strokes.centre[:, 0], strokes.centre[:, 1], strokes.angle))
    length, contrast = strokes.length.astype(np.float32), np.log(strokes.contrast).astype(np.float32)
    dx, dy = x[None, :] - x[:, None], y[None, :] - y[:, None]
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    step = dy * cos - dx * sin
    apart = np.abs(step)
    longer, shorter = np.maximum(length[:, None], length[None, :]), np.minimum(length[:, None], length[None, :])
    possible = (apart >= _MIN_STEP_PX) & (apart <= _MAX_STEP_TO_LENGTH * longer)
    possible &= np.abs(contrast[:, None] - contrast[None, :]) <= np.log(_MAX_CONTRAST_RATIO)
    source, target = np.nonzero(possible)
    turn = np.abs(angle[source] - angle[target])
    near = np.minimum(turn, np.pi - turn) <= _MAX_TURN
    source, target = source[near], target[near]
    shift = (dx[source, target] * cos[source, 0]) + (dy[source, target] * sin[source, 0])
    overlap = np.minimum(length[source], shift * 2 + length[target]) - np.maximum(
        -length[source], shift * 2 - length[target]
    )
    beside = overlap / 2 >= _MIN_OVERLAP * shorter[source, target]
    source, target = source[beside], target[beside]
    step = step[source, target].astype(np.float64)
    # The nearest on either side of each source.
    side = (step > 0).astype(np.intp)
    order = np.lexsort((np.round(np.abs(step), 4), side, source))
    source, target, step, side = source[order], target[order], step[order], side[order]
    group = 2 * source + side
    rank = np.arange(len(group)) - np.searchsorted(group, group)
    keep = rank < _NEIGHBOURS
    return source[keep], target[keep], step[keep]


def _complete(strokes: Strokes, chain: NDArray[np.intp]) -> TickRow | None:
    """The row that a chain begins: axis, even places, further ticks beyond gaps."""
    members = chain
    for _ in range(4):
        frame = _frame(strokes, members)
        along, across = frame.project(strokes.centre)
        members = members[np.argsort(along[members], kind="stable")]
        index = _count(along[members])
        if index is None:
            return None
        keep = np.flatnonzero(np.r_[True, np.diff(index) > 0])
        members, index = members[keep], index[keep]
        if len(members) < _MIN_CHAIN:
            return None
        grown = _grow(strokes, along, across, members, index)
        if len(grown) < _MIN_CHAIN:
            return None
        if np.array_equal(grown, members):
            break
        members = grown
    frame = _frame(strokes, members)
    along, across = frame.project(strokes.centre)
    members = members[np.argsort(along[members], kind="stable")]
    index = _count(along[members])
    if index is None or (np.diff(index) <= 0).any():
        return None
    return _describe(strokes, frame, along, across, members, index)


def _promising(strokes: Strokes, chain: NDArray[np.intp]) -> bool:
    """Whether a chain is even, straight and uniform enough to be followed up."""
    if float(np.std(np.log(strokes.contrast[chain]))) > _MAX_LOG_CONTRAST_SD:
        return False
    frame = _frame(strokes, chain)
    if frame.aligned_px > _MAX_SCATTER * float(np.median(strokes.length[chain])) + 1 or frame.tilt > _MAX_TILT:
        return False
    along = np.sort(frame.project(strokes.centre[chain])[0])
    index = _count(along)
    if index is None:
        return False
    off = along - np.polyval(_places(index, along), index)
    return float(np.sqrt(np.mean(off**2))) <= _MAX_OFF * float(np.median(np.diff(along)))


def _sound(row: TickRow) -> bool:
    """Whether a completed row still is straight, square and even; one that took in strangers is not."""
    scatter = _MAX_SCATTER * float(np.median(row.length)) + 1
    return row.aligned_px <= scatter and row.tilt <= _MAX_TILT and row.residual <= _MAX_OFF / 2


@dataclass(frozen=True, eq=False)
class _Frame:
    origin: NDArray[np.float64]
    axis: NDArray[np.float64]
    aligned_px: float
    tilt: float

    def project(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        offset = points - self.origin
        normal = np.array([-self.axis[1], self.axis[0]])
        return offset @ self.axis, offset @ normal


def _frame(strokes: Strokes, members: NDArray[np.intp]) -> _Frame:
    """Origin and axis by the points of the ticks that lie best on one smooth line: either ends, or the centres."""
    angle = strokes.angle[members]
    mean = _mean_direction(angle)
    direction = float(np.arctan2(mean[1], mean[0]))
    unit = np.column_stack([np.cos(angle), np.sin(angle)])
    flip = np.where(np.cos(angle - direction) < 0, -1.0, 1.0)[:, None]
    half = unit * flip * strokes.length[members][:, None] / 2
    centre = strokes.centre[members]
    # Of ticks that the photo cuts off, neither ends nor middles say where the line is.
    sure = (
        strokes.whole[members]
        if np.count_nonzero(strokes.whole[members]) >= _MIN_CHAIN
        else np.ones(len(half), np.bool_)
    )
    best: tuple[float, _Frame] | None = None
    for points in (centre, centre - half, centre + half):
        origin = points[sure].mean(axis=0)
        _, _, axes = np.linalg.svd(points[sure] - origin, full_matrices=False)
        axis = axes[0]
        normal = np.array([-axis[1], axis[0]])
        along, across = (points[sure] - origin) @ axis, (points[sure] - origin) @ normal
        # The line may be bowed, by a lens or round a contact plate's rim.
        curve = np.polyval(np.polyfit(along, across, 2 if len(along) > 5 else 1), along)
        off = float(np.sqrt(np.mean((across - curve) ** 2)))
        tilt = abs(np.mod(direction - np.arctan2(normal[1], normal[0]) + np.pi / 2, np.pi) - np.pi / 2)
        if best is None or round(off, 6) < best[0]:
            if axis[np.argmax(np.abs(axis))] < 0:
                axis = -axis
            best = round(off, 6), _Frame(origin, axis, off, float(tilt))
    assert best is not None  # three candidates were compared
    return best[1]


def _mean_direction(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vector (2,) of the mean of directions without a sign."""
    mean = 0.5 * np.arctan2(np.sin(2 * angle).mean(), np.cos(2 * angle).mean())
    return np.array([np.cos(mean), np.sin(mean)])


def _count(along: NDArray[np.float64]) -> NDArray[np.intp] | None:
    """Whole numbers of ticks at these places (any order), from 0 at the least; None where no step fits."""
    order = np.argsort(along, kind="stable")
    sorted_ = along[order]
    steps = np.diff(sorted_)
    if not (steps > 0.5).any():
        return None
    step = float(np.median(steps[steps > 0.5]))
    number = np.zeros(len(along), dtype=np.intp)
    place, local = 0, step
    for i, gap in enumerate(steps):
        jump = max(0, round(gap / local))
        place += jump
        number[order[i + 1]] = place
        if jump:
            local = 0.7 * local + 0.3 * float(np.clip(gap / jump, 0.8 * local, 1.25 * local))
    return number


def _places(index: NDArray[np.intp], along: NDArray[np.float64]) -> NDArray[np.float64]:
    """Polynomial of place over number: a square once there are enough ticks (lenses stretch towards the rim)."""
    degree = 1 if len(index) < 6 else 2 if len(index) < 9 else 3
    return np.asarray(np.polyfit(index, along, degree))


def _grow(
    strokes: Strokes,
    along: NDArray[np.float64],
    across: NDArray[np.float64],
    members: NDArray[np.intp],
    index: NDArray[np.intp],
) -> NDArray[np.intp]:
    """The members, and strokes of their kind where further ticks are due."""
    order = np.argsort(index, kind="stable")
    members, index = members[order], index[order]
    like = _alike(strokes, members)
    fit = _places(index, along[members])
    bow = np.polyfit(along[members], across[members], 1)
    reach = float(strokes.length[members].max()) / 2
    low, high = int(index[0]) - _MAX_HIDDEN - 1, int(index[-1]) + _MAX_HIDDEN + 1
    # Beyond the row's ends a higher polynomial runs away: the last steps are carried on.
    number = np.arange(low, high + 1)
    inner = np.clip(number, index[0], index[-1])
    slope = np.polyval(np.polyder(fit), inner)
    due = np.polyval(fit, inner) + (number - inner) * slope
    if (np.diff(due) <= 0).any():
        return members
    near = np.flatnonzero(like & (np.abs(across - np.polyval(bow, along)) <= reach))
    place = np.clip(np.searchsorted((due[:-1] + due[1:]) / 2, along[near]), 0, len(due) - 1)
    distance = np.abs(along[near] - due[place])
    close = distance <= _MAX_OFFSET * np.abs(slope[place])
    near, place, distance = near[close], place[close], distance[close]
    # One stroke for each place: a member before others, then the nearest, long ones a little before short ones.
    order = np.lexsort((np.round(distance - 0.1 * strokes.length[near], 4), ~np.isin(near, members), place))
    _, first = np.unique(place[order], return_index=True)
    return np.asarray(np.sort(near[order][first]))


def _alike(strokes: Strokes, members: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Strokes of the members' direction, strength and size."""
    turn = np.abs(strokes.angle[:, None] - strokes.angle[members][None, :])
    turn = np.minimum(turn, np.pi - turn).min(axis=1)
    contrast, length = strokes.contrast[members], strokes.length[members]
    alike = turn <= _MAX_TURN
    alike &= (strokes.contrast >= 0.5 * contrast.min()) & (strokes.contrast <= 2 * contrast.max())
    return np.asarray(alike & (strokes.length >= 0.6 * length.min()) & (strokes.length <= 2.5 * length.max()))


def _describe(
    strokes: Strokes,
    frame: _Frame,
    along: NDArray[np.float64],
    across: NDArray[np.float64],
    members: NDArray[np.intp],
    index: NDArray[np.intp],
) -> TickRow:
    order = np.argsort(index, kind="stable")
    members, index = members[order], index[order] - int(index.min())
    fit = _places(index, along[members])
    slope = np.polyder(fit)
    middle = (index[0] + index[-1]) / 2
    step = float(np.polyval(slope, middle))
    off = along[members] - np.polyval(fit, index)
    first, last = (float(np.polyval(slope, end)) for end in (index[0], index[-1]))
    # What else of their kind lies within the row.
    like = _alike(strokes, members)
    like[members] = False
    inside = (along > along[members].min()) & (along < along[members].max())
    line = np.interp(along, along[members], across[members])
    beside = np.abs(across - line) <= 0.35 * float(np.median(strokes.length[members]))
    due = np.polyval(fit, np.arange(int(index[-1]) + 1))
    place = np.clip(np.searchsorted((due[:-1] + due[1:]) / 2, along), 0, len(due) - 1)
    astray = np.abs(along - due[place]) > _MAX_OFFSET * abs(step)
    clutter = int(np.count_nonzero(like & inside & beside & astray)) / len(members)
    return TickRow(
        index=index,
        member=members,
        along=along[members],
        across=across[members],
        length=strokes.length[members],
        contrast=strokes.contrast[members],
        whole=strokes.whole[members],
        origin=frame.origin,
        axis=frame.axis,
        direction=_mean_direction(strokes.angle[members]),
        step_px=step,
        bend=(last - first) / max(1, int(index[-1])) / step,
        residual=float(np.sqrt(np.mean(off**2))) / abs(step),
        aligned_px=frame.aligned_px,
        tilt=frame.tilt,
        clutter=clutter,
    )
