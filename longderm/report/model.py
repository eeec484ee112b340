"""From table rows to what a patient's page says: pure functions, no picture is read here."""

from __future__ import annotations

from collections import Counter, defaultdict

from longderm.change.evidence import SPECS
from longderm.change.trajectory import TREND_MEASURES
from longderm.report.area import area_series
from longderm.report.pairs import ISSUED, pair_view, photo_view
from longderm.report.rows import Row, Rows
from longderm.report.views import (
    STATUSES,
    EventView,
    LesionView,
    Overdue,
    PairView,
    PatientView,
    PhotoView,
    ReportContext,
    SeriesView,
    Status,
    TrajectoryView,
    VisitView,
)
from longderm.report.words import (
    MODALITY_WORDS,
    MONTH_DAYS,
    count_label,
    day_label,
    failure_text,
    measure_label,
    number,
    plain,
    site_label,
    with_unit,
)

#: Dermoscopy first: it is what the comparison is made for.
_MODALITY_ORDER = {name: rank for rank, name in enumerate(MODALITY_WORDS)}


def patient_view(rows: Rows, patient_id: str, context: ReportContext) -> PatientView:
    """Everything that one patient's page says; lesions in the order of their status, the strongest change first."""
    latest = max(
        (photo["acquisition_day"] for lesion in rows.lesions_of.get(patient_id, []) for photo in _dated(rows, lesion)),
        default=None,
    )
    today = None if context.as_of_days is None else context.as_of_days.get(patient_id)
    lesions = [
        lesion_view(rows, lesion_id, patient_id, latest, today, context)
        for lesion_id in rows.lesions_of.get(patient_id, [])
    ]
    total_body = sorted(
        (photo_view(rows, row, day_label(row["acquisition_day"])) for row in rows.total_body_of.get(patient_id, [])),
        key=lambda photo: (photo.day is None, photo.day or 0, photo.photo_id),
    )
    return PatientView(
        patient_id=patient_id,
        about=_about(rows, patient_id),
        lesions=tuple(sorted(lesions, key=lesion_order)),
        total_body=tuple(total_body),
        events=_events(rows.events_of_patient.get(patient_id, [])),
    )


def lesion_order(lesion: LesionView) -> tuple[int, bool, tuple[float, ...], str]:
    """Sort key: status, lesions already excised last, strongest change first, then the id."""
    pair = lesion.strongest
    strength = tuple(-part for part in pair.strength) if pair is not None else (0.0, 0.0)
    return STATUSES.index(lesion.status), lesion.excised is not None, strength, lesion.lesion_id


def lesion_view(
    rows: Rows, lesion_id: str, patient_id: str, latest_visit: int | None, today: int | None, context: ReportContext
) -> LesionView:
    """One lesion. `latest_visit`: the patient's last day with a close-up; `today`: as_of on the patient's scale."""
    photos = rows.photos_of_lesion.get(lesion_id, [])
    labels = _when(photos, rows.alignments_of.get(lesion_id, []))
    views = {row["photo_id"]: photo_view(rows, row, labels[row["photo_id"]]) for row in photos}
    pairs = [
        pair_view(rows, row, views)
        for row in rows.alignments_of.get(lesion_id, [])
        if row["baseline_photo_id"] in views and row["followup_photo_id"] in views
    ]
    pairs.sort(key=lambda pair: (_time_rank(pair.followup), pair.policy == "previous", pair.pair_id))
    series = _series(list(views.values()), pairs)
    lesion = rows.lesions.get(lesion_id)
    special = lesion["special_site"] if lesion else None
    days = [photo.day for photo in views.values() if photo.day is not None]
    last_day = max(days, default=None)
    undated = len(days) < len(views)
    visit_count = len(set(days)) + sum(photo.day is None for photo in views.values())
    growth = rows.trajectories.get(lesion_id)
    status, reasons, notes = _status(special, pairs, views, visit_count, series)
    if status in ("no_change", "not_judged") and _is_growing(growth):
        notes = (*reasons, *notes)
        status, reasons = "growing", ("No single comparison is above the noise, but the growth over all visits is.",)
    event_rows = rows.events_of_lesion.get(lesion_id, [])
    events = _events(event_rows)
    excised = _excised(event_rows, last_day)
    overdue, periods = _overdue(last_day, today, excised, undated, context.followup_months)
    area, area_missing = area_series(series, growth, status, event_rows)
    trajectory = _trajectory(growth, status, "mm2" if area is None else area.unit)
    return LesionView(
        lesion_id=lesion_id,
        patient_id=patient_id,
        site=site_label(lesion),
        special_site=special,
        status=status,
        status_reasons=reasons,
        notes=notes,
        visit_count=visit_count,
        last_day=last_day,
        series=series,
        trajectory=trajectory,
        events=events,
        area=area,
        area_missing=area_missing,
        excised=excised,
        overdue=overdue,
        overdue_periods=periods,
        missing=last_day is not None and latest_visit is not None and last_day < latest_visit and excised is None,
    )


def _series(photos: list[PhotoView], pairs: list[PairView]) -> tuple[SeriesView, ...]:
    """Visits by modality; `pairs` come in the order of time.

    Of several photos of a visit the compared one is shown, else the best, else the one with the first id.
    """
    compared = Counter(photo.photo_id for pair in pairs for photo in (pair.baseline, pair.followup))
    judged = {photo.photo_id for pair in pairs if pair.issued for photo in (pair.baseline, pair.followup)}
    grouped: dict[str, dict[str, list[PhotoView]]] = defaultdict(lambda: defaultdict(list))
    for photo in photos:
        grouped[photo.modality][photo.photo_id if photo.day is None else str(photo.day)].append(photo)
    result = []
    for modality in sorted(grouped, key=_modality_rank):
        visits = []
        for group in grouped[modality].values():
            shown = min(group, key=lambda photo: (-compared[photo.photo_id], -(photo.quality or 0.0), photo.photo_id))
            visits.append(VisitView(shown, len(group) - 1, shown.photo_id in judged))
        visits.sort(key=lambda visit: (visit.photo.day is None, visit.photo.day or 0, _undated_rank(visit.photo)))
        own = tuple(pair for pair in pairs if pair.followup.modality == modality)
        result.append(SeriesView(modality, tuple(visits), own))
    return tuple(result)


def _when(photos: list[Row], alignments: list[Row]) -> dict[str, str]:
    """Photo -> "day 12", or "repeat 2" where a source has no dates (baselines of pairs first)."""
    baselines = Counter(row["baseline_photo_id"] for row in alignments)
    labels = {row["photo_id"]: day_label(row["acquisition_day"]) for row in photos}
    undated = [row["photo_id"] for row in photos if row["acquisition_day"] is None]
    for rank, photo_id in enumerate(sorted(undated, key=lambda name: (-baselines[name], name)), start=1):
        labels[photo_id] = f"repeat {rank}"
    return labels


def _modality_rank(name: str) -> tuple[int, str]:
    return _MODALITY_ORDER.get(name, len(_MODALITY_ORDER)), name


def _undated_rank(photo: PhotoView) -> int:
    return int(photo.when.split()[-1]) if photo.day is None and photo.when.startswith("repeat ") else 0


def _time_rank(photo: PhotoView) -> tuple[bool, int, int]:
    return photo.day is None, photo.day or 0, _undated_rank(photo)


def _status(
    special_site: str | None,
    pairs: list[PairView],
    photos: dict[str, PhotoView],
    visit_count: int,
    series: tuple[SeriesView, ...],
) -> tuple[Status, tuple[str, ...], tuple[str, ...]]:
    """The state a lesion is listed under, the reasons for it, and what else of it was not judged.

    A flagged comparison wins; else the comparisons of the latest visit decide (in dermoscopy where there is one), and
    one of them that was not issued makes the lesion "not judged": no output is not "no change".
    """
    if any(pair.flagged for pair in pairs):
        return "flagged", (), _unjudged_lines([pair for pair in pairs if not pair.issued], most=1)
    if special_site or (pairs and all(pair.verdict == "out_of_scope" for pair in pairs)):
        site = f"{plain(special_site)} site" if special_site else "site"
        reasons = tuple(dict.fromkeys(reason for pair in pairs for reason in pair.reasons))
        return "out_of_scope", reasons or (f"{site}: longderm does not judge lesions there",), ()
    if visit_count < 2:
        if not photos:
            return "single_visit", ("no usable photo: there is nothing to judge",), ()
        return "single_visit", ("one visit only: there is nothing to compare it with yet",), ()
    newest = max((_time_rank(photo) for photo in photos.values() if photo.day is not None), default=None)
    latest = [pair for pair in pairs if newest is None or _time_rank(pair.followup) == newest]
    if not latest:
        return (
            "not_judged",
            _never_compared(photos, series),
            _unjudged_lines([p for p in pairs if not p.issued], most=1),
        )
    # Photos in a second modality (an overview beside the dermoscopy) do not unmake what the first one shows.
    leading = min((pair.followup.modality for pair in latest), key=_modality_rank)
    unjudged = [pair for pair in latest if not pair.issued and pair.followup.modality == leading]
    others = [pair for pair in pairs if not pair.issued and pair not in unjudged]
    return "not_judged" if unjudged else "no_change", _unjudged_lines(unjudged), _unjudged_lines(others, most=1)


def _unjudged_lines(pairs: list[PairView], *, most: int | None = None) -> tuple[str, ...]:
    """One line per reason, which names the comparisons it holds for; of each at `most` so many reasons, or all."""
    grouped: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for pair in pairs:
        grouped[pair.reasons[:most]].append(pair.label)
    return tuple(f"{', '.join(labels)}: {'; '.join(reasons)}" for reasons, labels in grouped.items())


def _never_compared(photos: dict[str, PhotoView], series: tuple[SeriesView, ...]) -> tuple[str, ...]:
    """Why the latest visit has no comparison at all, as far as the photos tell."""
    newest = max((photo.day for photo in photos.values() if photo.day is not None), default=None)
    reasons = [
        f"{photo.when}: {'; '.join((*photo.failures, *photo.quality_reasons))}"
        for photo in photos.values()
        if photo.day == newest and (photo.failures or photo.quality_reasons)
    ]
    if all(len(part.visits) < 2 for part in series):
        reasons.append("no two visits have photos of the same modality")
    return tuple(reasons) or ("the latest visit was not compared: it has no result yet",)


def _trajectory(row: Row | None, status: Status, unit: str) -> TrajectoryView | None:
    """The growth over all visits, in the `unit` of the chart beside it where it is known in that."""
    if row is None or status in ("single_visit", "out_of_scope"):
        return None
    growth = None
    issued = row["verdict"] in ISSUED
    if issued:
        absolute, relative = _growth(row, "growth_mm2_per_month", "mm2"), _growth(row, "growth_percent_per_month", "%")
        growth = (absolute or relative) if unit == "mm2" else (relative or absolute)
    reasons = [*(row["reasons"] or ()), *([failure_text("trajectory", row["failure"])] if row["failure"] else [])]
    first = row["first_flagged_day"]
    return TrajectoryView(
        verdict=row["verdict"] or "abstained",
        rule=row["rule"] or "no_decision",
        reasons=_each_once(reasons),
        growth=growth,
        first_flagged=None if first is None else day_label(first),
        trends=tuple(text for measure in TREND_MEASURES if issued and (text := _trend(row, measure)) is not None),
    )


def _trend(row: Row, measure: str) -> str | None:
    """ "lightness against the skin −0.42 Lab units per month (95% interval −0.80 to −0.04)", or None: not known."""
    column = f"{measure}_per_month"
    value, low, high = (row.get(column + end) for end in ("", "_low", "_high"))
    if value is None or low is None or high is None:
        return None
    text = with_unit(number(value, 2, signed=True), SPECS[measure].unit)
    ends = f"{number(low, 2, signed=True)} to {number(high, 2, signed=True)}"
    return f"{measure_label(measure)} {text} per month (95% interval {ends})"


def _is_growing(row: Row | None) -> bool:
    """An issued trajectory whose 95% interval lies above zero: slow growth hides between one visit and the next."""
    if row is None or row["verdict"] not in ISSUED:
        return False
    absolute, relative = row["growth_mm2_per_month_low"], row["growth_percent_per_month_low"]
    low = absolute if absolute is not None else relative
    return low is not None and low > 0


def _each_once(reasons: list[str]) -> tuple[str, ...]:
    """Reasons without those that another one already says."""
    return tuple(one for one in dict.fromkeys(reasons) if not any(one != other and one in other for other in reasons))


def _growth(row: Row, column: str, unit: str) -> str | None:
    """ "+0.43 mm² per month (95% interval +0.10 to +0.80)", or None where it is not known."""
    value, low, high = row[column], row[f"{column}_low"], row[f"{column}_high"]
    if value is None:
        return None
    places = 1 if unit == "%" else 2
    text = f"{with_unit(number(value, places, signed=True), unit)} per month"
    if low is None or high is None:
        return f"{text} (interval not known)"
    return f"{text} (95% interval {number(low, places, signed=True)} to {number(high, places, signed=True)})"


def _excised(events: list[Row], last_day: int | None) -> str | None:
    """When the lesion was excised, or None; one photographed after its excision is still being watched."""
    days = [row["event_day"] for row in events if row["event_kind"] == "excision" and row["event_day"] is not None]
    day = max(days, default=None)
    if day is None or (last_day is not None and day < last_day):
        return None
    return day_label(day)


def _overdue(
    last_day: int | None, today: int | None, excised: str | None, undated: bool, followup_months: float
) -> tuple[Overdue, int]:
    """Whether the next visit is overdue, and by how many whole follow-up periods the last one lies back."""
    if excised is not None:
        return "excised", 0
    if last_day is None or undated:
        return "undated", 0
    if today is None:
        return "unknown", 0
    periods = (today - last_day) / (followup_months * MONTH_DAYS)
    return ("overdue", int(periods)) if periods > 1 else ("in_time", 0)


def _events(rows: list[Row]) -> tuple[EventView, ...]:
    ordered = sorted(rows, key=lambda row: (row["event_day"] is None, row["event_day"] or 0, row["event_id"]))
    return tuple(
        EventView(
            when=day_label(row["event_day"]),
            day=row["event_day"],
            kind=row["event_kind"] or "other event",
            diagnosis=row["diagnosis"],
        )
        for row in ordered
    )


def _about(rows: Rows, patient_id: str) -> tuple[str, ...]:
    """What is known of the patient, without identity: sex, age at the photos, skin type."""
    patient = rows.patients.get(patient_id)
    photos = [row for lesion in rows.lesions_of.get(patient_id, []) for row in rows.photos_of_lesion.get(lesion, [])]
    ages = sorted({row["age_approx"] for row in photos if row["age_approx"] is not None})
    parts = [patient["sex"] or ""] if patient else []
    if ages:
        parts.append(f"about {ages[0]} years" if ages[0] == ages[-1] else f"about {ages[0]} to {ages[-1]} years")
    if patient and patient["fitzpatrick_skin_type"]:
        parts.append(f"skin type {patient['fitzpatrick_skin_type']}")
    days = {row["acquisition_day"] for row in photos if row["acquisition_day"] is not None}
    parts.append(count_label(len(days), "visit") if days else "visits without dates")
    return tuple(part for part in parts if part)


def _dated(rows: Rows, lesion_id: str) -> list[Row]:
    return [row for row in rows.photos_of_lesion.get(lesion_id, []) if row["acquisition_day"] is not None]
