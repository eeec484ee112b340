"""Three visits and more: transforms from one reference visit that agree with each other."""

from __future__ import annotations

import cmath
import heapq
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.photo import Photo
from longderm.registration.alignment import Alignment, align
from longderm.registration.preparation import Prepared, prepare
from longderm.registration.similarity import Matrix, distance, from_complex, to_complex

#: Visits at most this far apart in the series are aligned with each other, beside each with the reference: lesions and
#: skin change slowly, so neighbours match best.
_NEIGHBOURS = 2

#: An alignment that contradicts the others by more than this share of the lesion's diameter does not take part. It is
#: what two fits of one transform may differ by (`verify.MAX_INCONSISTENCY`).
MAX_CONTRADICTION = 0.03


@dataclass(frozen=True, eq=False)
class Series:
    """Transforms of a series of photos from one of them.

    reference: its index; matrices: float64 (3, 3) each, from the reference's to the photo's pixel coordinates, None for
    a photo that cannot be reached; through: the photos on the way to each, itself included (empty where it cannot be
    reached); contradiction: the largest disagreement between the transforms and an alignment of two photos that took
    part, as a share of the lesion's diameter; alignments: all that were tried, by (earlier, later) index; left_out:
    accepted ones that contradict the others.
    """

    reference: int
    matrices: tuple[NDArray[np.float64] | None, ...]
    through: tuple[tuple[int, ...], ...]
    contradiction: float
    alignments: Mapping[tuple[int, int], Alignment]
    left_out: tuple[tuple[int, int], ...]


Edges = dict[tuple[int, int], Alignment]


def align_series(photos: Sequence[Photo | Prepared], reference: int = 0) -> Series:
    """Align the visits of one lesion, in order of time, to one of them.

    Every photo is aligned with the reference and its neighbours; the transforms are the least-squares average over all
    accepted alignments (pose graph), without those that contradict it. A visit with no direct match is reached through
    others. Raises ValueError where there is no photo, or no such reference.
    """
    if not 0 <= reference < len(photos):
        raise ValueError(f"a series of {len(photos)} photos has no reference {reference}")
    ready = [prepare(photo) if isinstance(photo, Photo) else photo for photo in photos]
    tried: Edges = {}
    for later in range(len(ready)):
        for earlier in range(later):
            if later - earlier <= _NEIGHBOURS or reference in (earlier, later):
                tried[earlier, later] = align(ready[earlier], ready[later])
    taking_part = {key: found for key, found in tried.items() if found.accepted and found.matrix is not None}
    pivot, radius = _pivot(ready[reference])
    left_out: list[tuple[int, int]] = []
    while True:
        ways = _ways(taking_part, len(ready), reference)
        poses = _average(taking_part, ways, reference, pivot)
        errors = {key: _contradiction(poses, key, found, pivot, radius) for key, found in taking_part.items()}
        known = {key: error for key, error in errors.items() if error is not None}
        worst = max(sorted(known), key=lambda key: round(known[key], 9), default=None)
        if worst is None or known[worst] <= MAX_CONTRADICTION:
            break
        # Of a contradiction the least confident alignment on the loop is the likelier liar.
        suspects = [key for key in sorted(known) if known[key] > 0.5 * known[worst]]
        liar = min(suspects, key=lambda key: (taking_part[key].confidence, key))
        left_out.append(liar)
        del taking_part[liar]
    matrices = tuple(poses.get(index) for index in range(len(ready)))
    contradiction = round(max(known.values(), default=0.0), 6)
    return Series(reference, matrices, ways, contradiction, tried, tuple(left_out))


def _pivot(photo: Prepared) -> tuple[complex, float]:
    if photo.lesion_centre is not None and photo.lesion_diameter_px is not None:
        return complex(*photo.lesion_centre), 0.5 * photo.lesion_diameter_px
    height, width = photo.shape
    return complex((width - 1) / 2, (height - 1) / 2), 0.25 * min(height, width)


def _relative(edges: Edges, start: int, end: int) -> tuple[complex, complex]:
    """a, b of z' = a z + b from one photo to another, by the alignment of both in either direction."""
    forward = (start, end) in edges
    a, b = to_complex(_matrix(edges[(start, end) if forward else (end, start)]))
    return (a, b) if forward else (1.0 / a, -b / a)


def _matrix(found: Alignment) -> Matrix:
    if found.matrix is None:
        raise ValueError("an alignment without a transform takes no part in a series")
    return found.matrix


def _ways(edges: Edges, count: int, reference: int) -> tuple[tuple[int, ...], ...]:
    """The most confident way from the reference to each photo (Dijkstra on -log confidence); empty where none is."""
    best: dict[int, tuple[float, tuple[int, ...]]] = {}
    queue: list[tuple[float, tuple[int, ...]]] = [(0.0, (reference,))]
    while queue:
        cost, way = heapq.heappop(queue)
        here = way[-1]
        if here in best:
            continue
        best[here] = (cost, way)
        for (earlier, later), found in sorted(edges.items()):
            if here in (earlier, later):
                there = later if here == earlier else earlier
                # A detour costs a little even where all are certain.
                step = 0.01 - float(np.log(max(found.confidence, 1e-6)))
                heapq.heappush(queue, (round(cost + step, 9), (*way, there)))
    return tuple(best[index][1] if index in best else () for index in range(count))


def _average(
    edges: Edges, ways: Sequence[tuple[int, ...]], reference: int, pivot: complex
) -> dict[int, NDArray[np.float64]]:
    """Poses of all photos that can be reached: first logarithms of a by least squares, then where the pivot goes."""
    first: dict[int, tuple[complex, complex]] = {}
    for index, way in enumerate(ways):
        a, b = 1.0 + 0.0j, 0.0j
        for start, end in itertools.pairwise(way):
            slope_step, offset = _relative(edges, start, end)
            a, b = slope_step * a, slope_step * b + offset
        if way:
            first[index] = (a, b)
    free = [index for index in sorted(first) if index != reference]
    if not free:
        return {index: from_complex(*pose) for index, pose in first.items()}
    column = {index: position for position, index in enumerate(free)}
    rows_a, right_a, weights = [], [], []
    used = [key for key in sorted(edges) if key[0] in first and key[1] in first]
    for i, j in used:
        step = _relative(edges, i, j)
        row = np.zeros(len(free), complex)
        for index, sign in ((j, 1.0), (i, -1.0)):
            if index in column:
                row[column[index]] = sign
        rows_a.append(row)
        right_a.append(cmath.log(step[0] * first[i][0] / first[j][0]))
        weights.append(edges[i, j].confidence)
    weight = np.sqrt(np.array(weights))[:, None]
    shift = np.linalg.lstsq(weight * np.array(rows_a), weight[:, 0] * np.array(right_a), rcond=None)[0]
    slope = {reference: 1.0 + 0.0j} | {index: first[index][0] * cmath.exp(shift[column[index]]) for index in free}
    rows_q, right_q = [], []
    for i, j in used:
        step = _relative(edges, i, j)
        # In units of photo j's scale: a zoomed photo's pixels count no more than another's.
        size = abs(slope[j])
        row, value = np.zeros(len(free), complex), step[1] / size
        for index, factor in ((i, -step[0] / size), (j, 1.0 / size)):
            if index in column:
                row[column[index]] += factor
            else:
                value -= factor * pivot
        rows_q.append(row)
        right_q.append(value)
    places = np.linalg.lstsq(weight * np.array(rows_q), weight[:, 0] * np.array(right_q), rcond=None)[0]
    poses = {reference: np.eye(3)}
    for index in free:
        a = complex(slope[index])
        poses[index] = from_complex(a, complex(places[column[index]]) - a * pivot)
    return poses


def _contradiction(
    poses: Mapping[int, Matrix], key: tuple[int, int], found: Alignment, pivot: complex, radius: float
) -> float | None:
    """How far an alignment is from what the poses say, over the lesion's diameter; None outside of the graph."""
    if key[0] not in poses or key[1] not in poses:
        return None
    along = _matrix(found) @ poses[key[0]]
    there = poses[key[1]]
    return distance(along, there, pivot, radius) / (2.0 * radius * abs(to_complex(there)[0]))
