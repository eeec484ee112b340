"""All visits of one lesion: how fast it grows, and how its colour and structure go, with 95% intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from longderm.change.evidence import DECIMALS, DEFAULT_VERSION, Z95, Noise, NoiseModel
from longderm.models.releases import Release, load_release

#: Days of a month, as everywhere in longderm (365.25 / 12).
DAYS_PER_MONTH = 30.4375
#: With fewer visits the exact distribution of Kendall's S cannot give a 95% interval: for 5, all pairwise slopes cover
#: 1 - 2/5! = 98.3%; for 4 only 91.7%.
_SEN_MIN_VISITS = 5
#: Relative error of a scale that is stated without its error: a lesion off the plane that was calibrated is a few
#: percent nearer or farther, at each visit anew. As wide as where a stated scale meets a ruler (`longderm.imaging`).
UNSTATED_SCALE_ERROR = 0.03
#: Measured differences from the first visit whose trend is told: two of colour, one of structure.
TREND_MEASURES = ("colour_variegation", "delta_lightness", "structure_energy")


@dataclass(frozen=True)
class VisitMeasure:
    """What the trajectory needs of one visit.

    day: acquisition day; area_mm2: None without a scale; relative_area: area in the frame of the lesion's first visit,
    as a multiple of the area there (1.0 at that visit itself), None where no chain of accepted alignments leads there;
    flagged: a pair that ends with this visit was flagged; px_per_mm_error: relative standard error of the scale that
    the area rests on, None where it is not stated; differences: from the first visit, by measure (0 at that visit
    itself), as far as the two were compared.
    """

    day: int
    area_mm2: float | None = None
    relative_area: float | None = None
    flagged: bool = False
    px_per_mm_error: float | None = None
    differences: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Slope:
    """A robust slope per month with its 95% interval (None without a known noise where the visits are too few)."""

    per_month: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Trajectory:
    """Growth of one lesion (the fields of table `trajectories`); None where it cannot be told.

    A month has 30.4375 days; percent are of the area at the first visit; low and high are the ends of 95% intervals;
    reasons: why something is missing; trends: per month, by TREND_MEASURES, those that are known (variety of colour and
    lightness against the skin in Lab units; amount of structure as a log ratio).
    """

    visits: int
    first_day: int | None
    last_day: int | None
    growth_mm2_per_month: float | None
    growth_mm2_per_month_low: float | None
    growth_mm2_per_month_high: float | None
    growth_percent_per_month: float | None
    growth_percent_per_month_low: float | None
    growth_percent_per_month_high: float | None
    first_flagged_day: int | None
    reasons: tuple[str, ...] = ()
    trends: Mapping[str, Slope] = field(default_factory=dict)


def fit_trajectory(visits: Sequence[VisitMeasure], *, release: Release | None = None) -> Trajectory:
    """Fit the growth of one lesion over its visits, in any order; slopes are Theil-Sen's.

    release: of kind "change"; its minimal detectable changes make the intervals where the visits are too few to show
    their own scatter; that of a growth in mm2 is widened by the errors of the scales. Raises ValueError for two visits
    on one day or an area that is not positive.
    """
    used = release if release is not None else load_release("change", DEFAULT_VERSION)
    known = NoiseModel.from_config(used.config).noise
    ordered = sorted(visits, key=lambda visit: visit.day)
    days = [visit.day for visit in ordered]
    if len(set(days)) != len(days):
        raise ValueError("two visits on one day: a visit is one patient on one day")
    if any(a is not None and not a > 0 for visit in ordered for a in (visit.area_mm2, visit.relative_area)):
        raise ValueError("an area must be positive; leave it None where it is not known")
    sd = _sd_of_one(known.get("area"))
    in_mm2 = [(v.day, v.area_mm2, v.px_per_mm_error) for v in ordered if v.area_mm2 is not None]
    absolute = robust_slope(
        [(day, area) for day, area, _ in in_mm2],
        None if sd is None else [area * _with_scale_error(sd, error) for _, area, error in in_mm2],
    )
    in_percent = [(v.day, 100.0 * v.relative_area) for v in ordered if v.relative_area is not None]
    relative = robust_slope(in_percent, None if sd is None else [share * sd for _, share in in_percent])
    reasons = []
    if len(ordered) < 2:
        reasons.append("one visit: growth needs two" if ordered else "no visit with a usable photo")
    else:
        if absolute is None:
            reasons.append("no growth in mm2: fewer than two visits have a scale")
        if relative is None:
            reasons.append("no relative growth: fewer than two visits are aligned with the first one")
        if any(slope is not None and slope.low is None for slope in (absolute, relative)):
            reasons.append(f"no interval: fewer than {_SEN_MIN_VISITS} visits, and the noise of the area is not known")
    flagged = [visit.day for visit in ordered if visit.flagged]
    return Trajectory(
        visits=len(ordered),
        first_day=days[0] if days else None,
        last_day=days[-1] if days else None,
        growth_mm2_per_month=None if absolute is None else absolute.per_month,
        growth_mm2_per_month_low=None if absolute is None else absolute.low,
        growth_mm2_per_month_high=None if absolute is None else absolute.high,
        growth_percent_per_month=None if relative is None else relative.per_month,
        growth_percent_per_month_low=None if relative is None else relative.low,
        growth_percent_per_month_high=None if relative is None else relative.high,
        first_flagged_day=flagged[0] if flagged else None,
        reasons=tuple(reasons),
        trends=_trends(ordered, known),
    )


def robust_slope(points: Sequence[tuple[int, float]], sds: Sequence[float] | None) -> Slope | None:
    """Theil-Sen slope per month of (day, value) points, and its 95% interval; None for fewer than two points.

    sds: standard deviation of each value, None where it is not known. From five visits on, the interval is Sen's, by
    the exact distribution of Kendall's S (Sen 1968, doi 10.1080/01621459.1968.10480934); with fewer it rests on the
    known noise, as in least squares. The wider end of both is taken where both exist: visits that happen to lie on a
    line do not make the measurement better. Three or four visits without a known noise span all pairwise slopes, which
    covers 67% and 92% only and is therefore not given as a 95% interval.
    """
    if len(points) < 2:
        return None
    months = [day / DAYS_PER_MONTH for day, _ in points]
    values = [value for _, value in points]
    slopes = sorted((values[j] - values[i]) / (months[j] - months[i]) for i, j in combinations(range(len(points)), 2))
    middle = len(slopes) // 2
    slope = slopes[middle] if len(slopes) % 2 else 0.5 * (slopes[middle - 1] + slopes[middle])
    lows, highs = [], []
    if sds is not None:
        half = Z95 * _slope_sd(months, sds)
        lows.append(slope - half)
        highs.append(slope + half)
    if len(points) >= _SEN_MIN_VISITS:
        rank = _sen_rank(len(points))
        lows.append(slopes[rank])
        highs.append(slopes[-1 - rank])
    low = round(min(lows), DECIMALS) if lows else None
    high = round(max(highs), DECIMALS) if highs else None
    return Slope(round(slope, DECIMALS), low, high)


def relative_areas(
    areas_px: Sequence[float | None], scales: Mapping[tuple[int, int], float]
) -> tuple[float | None, ...]:
    """Areas in the frame of the first visit whose area is known, as multiples of the area there.

    areas_px: native areas by visit, the earliest first; scales: follow-up pixels per baseline pixel of accepted
    alignments, by (baseline visit, follow-up visit) index. The chain with the fewest links is used, since each adds an
    error (ties: the earliest visits). None where the area is unknown or no chain leads to the first visit.
    """
    origin, first = next(((i, area) for i, area in enumerate(areas_px) if area is not None), (0, 1.0))
    links: dict[int, dict[int, float]] = {}
    for (start, end), scale in sorted(scales.items()):
        links.setdefault(start, {})[end] = scale
        links.setdefault(end, {})[start] = 1.0 / scale
    to_first = {origin: 1.0}  # pixels there per pixel at the first visit
    frontier = [origin]
    while frontier:
        reached: list[int] = []
        for visit in frontier:
            for other, scale in sorted(links.get(visit, {}).items()):
                if other not in to_first:
                    to_first[other] = to_first[visit] * scale
                    reached.append(other)
        frontier = sorted(reached)
    return tuple(
        None if area is None or visit not in to_first else area / to_first[visit] ** 2 / first
        for visit, area in enumerate(areas_px)
    )


def _sd_of_one(noise: Noise | None) -> float | None:
    """Standard deviation of one measurement: the MDC is 1.96 sqrt(2) of it."""
    return None if noise is None else noise.mdc / (Z95 * math.sqrt(2.0))


def _with_scale_error(sd: float, scale_error: float | None) -> float:
    """An area goes with the square of the scale, so its relative error is twice the scale's."""
    return math.hypot(sd, 2.0 * (UNSTATED_SCALE_ERROR if scale_error is None else scale_error))


def _trends(ordered: Sequence[VisitMeasure], known: Mapping[str, Noise]) -> dict[str, Slope]:
    trends = {}
    for measure in TREND_MEASURES:
        points = [(visit.day, visit.differences[measure]) for visit in ordered if measure in visit.differences]
        sd = _sd_of_one(known.get(measure))
        slope = robust_slope(points, None if sd is None else [sd] * len(points))
        if slope is not None:
            trends[measure] = slope
    return trends


def _slope_sd(months: Sequence[float], errors: Sequence[float]) -> float:
    """Standard deviation of a least-squares slope of points with these standard deviations."""
    mean = math.fsum(months) / len(months)
    spread = math.fsum((month - mean) ** 2 for month in months)
    variance = math.fsum(((month - mean) * error) ** 2 for month, error in zip(months, errors, strict=True))
    return math.sqrt(variance) / spread


def _sen_rank(visits: int) -> int:
    """How many of the sorted pairwise slopes lie outside of Sen's 95% interval, on each side.

    The number of discordant pairs among n is distributed as the inversions of a random permutation (Mahonian numbers).
    """
    counts = [1]
    for size in range(2, visits + 1):
        grown = [0] * (len(counts) + size - 1)
        for inversions, count in enumerate(counts):
            for extra in range(size):
                grown[inversions + extra] += count
        counts = grown
    total, below, rank = math.factorial(visits), 0, 0
    while rank < len(counts) and 2 * (below + counts[rank]) <= 0.05 * total:
        below += counts[rank]
        rank += 1
    return max(0, rank - 1)
