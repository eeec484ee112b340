"""The area of a lesion over its visits, as far as rules issued it: in mm², or relative where there is no scale."""

from __future__ import annotations

import math
from collections.abc import Iterable

from longderm.report.chart import AreaPoint, AreaSeries
from longderm.report.pairs import ISSUED
from longderm.report.rows import Row
from longderm.report.views import PairView, SeriesView, Status

#: From the MDC of a difference to the 95% half-width of one measurement, both as logarithms: the difference of two
#: equally noisy measurements is noisier by sqrt(2), MDC95 = 1.96 * sqrt(2) * SEM (Weir 2005, J Strength Cond Res
#: 19:231).
_MDC_TO_HALF_WIDTH = 1.0 / math.sqrt(2.0)


def area_series(
    series: tuple[SeriesView, ...], trajectory: Row | None, status: Status, events: Iterable[Row]
) -> tuple[AreaSeries | None, str | None]:
    """The series to draw, or None and the sentence that says why there is none (no sentence: nothing to expect)."""
    if status == "single_visit":
        return None, None
    if status == "out_of_scope":
        return None, "Not measured: out of scope."
    dated = [part for part in series if sum(visit.photo.day is not None for visit in part.visits) > 1]
    if not dated:
        return None, "No area over time: the photos have no dates."
    for part in dated:
        unit, points = _in_mm2(part) or _in_percent(part) or (None, ())
        if unit is not None:
            column = "growth_mm2_per_month" if unit == "mm2" else "growth_percent_per_month"
            issued = trajectory is not None and trajectory["verdict"] in ISSUED
            slopes = [trajectory[column + end] if trajectory and issued else None for end in ("", "_low", "_high")]
            marks = tuple(
                (row["event_day"], row["event_kind"] or "event") for row in events if row["event_day"] is not None
            )
            return AreaSeries(unit, points, slopes[0], slopes[1], slopes[2], tuple(sorted(marks))), None
    return None, "No area over time: fewer than two visits have an area that may be issued."


def _in_mm2(part: SeriesView) -> tuple[str, tuple[AreaPoint, ...]] | None:
    """Areas in mm² if every judged visit has one, and there are two at least."""
    judged = [visit for visit in part.visits if visit.judged and visit.photo.day is not None]
    if len(judged) < 2 or any(visit.photo.area_mm2 is None for visit in judged):
        return None
    points = []
    for visit in part.visits:
        photo = visit.photo
        if photo.day is None:
            continue
        if not visit.judged or photo.area_mm2 is None:
            points.append(AreaPoint(photo.day, None, None, None))
            continue
        noise = [known for pair in _of(part.pairs, photo.photo_id) if (known := pair.area_noise) is not None]
        half = max(noise) * _MDC_TO_HALF_WIDTH if noise else None
        points.append(_point(photo.day, photo.area_mm2, half, _flagged(part.pairs, photo.photo_id)))
    return "mm2", tuple(points)


def _in_percent(part: SeriesView) -> tuple[str, tuple[AreaPoint, ...]] | None:
    """Areas in percent of the first visit, from the comparisons with it; its whisker is the comparison's own MDC."""
    first = part.visits[0].photo
    if first.day is None:
        return None
    against = {
        pair.followup.photo_id: pair
        for pair in part.pairs
        if pair.issued and pair.baseline.photo_id == first.photo_id and pair.area_change_percent is not None
    }
    if not against:
        return None
    points = [AreaPoint(first.day, 100.0, None, None)]
    for visit in part.visits[1:]:
        photo = visit.photo
        if photo.day is None:
            continue
        pair = against.get(photo.photo_id)
        if pair is None or pair.area_change_percent is None:
            points.append(AreaPoint(photo.day, None, None, None))
            continue
        value = 100.0 + pair.area_change_percent
        points.append(_point(photo.day, value, pair.area_noise, _flagged(part.pairs, photo.photo_id)))
    return "percent", tuple(points)


def _point(day: int, value: float, half: float | None, flagged: bool) -> AreaPoint:
    """A point with its whisker; `half` is the half-width of its 95% interval as a logarithm, None where not known."""
    if half is None:
        return AreaPoint(day, value, None, None, flagged)
    return AreaPoint(day, value, value * math.exp(-half), value * math.exp(half), flagged)


def _of(pairs: Iterable[PairView], photo_id: str) -> list[PairView]:
    return [pair for pair in pairs if pair.issued and photo_id in (pair.baseline.photo_id, pair.followup.photo_id)]


def _flagged(pairs: Iterable[PairView], photo_id: str) -> bool:
    return any(pair.flagged and pair.followup.photo_id == photo_id for pair in pairs)
