"""Under which heading a lesion is listed, and what its page may say of it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longderm.report.model import patient_view
from longderm.report.rows import read_rows
from longderm.report.views import LesionView, PatientView
from tests.report.builder import Archive, clinic, context, delta, identifier, steady

MONTH = 30.4375


def view(made: Archive, patient: str, **given_context: Any) -> PatientView:
    return patient_view(read_rows(made.tables()), identifier(patient), context(**given_context))


def lesion(made: Archive, patient: str, name: str, **given_context: Any) -> LesionView:
    wanted = identifier(identifier(patient) + name)
    return next(one for one in view(made, patient, **given_context).lesions if one.lesion_id == wanted)


def followed(days: list[int], **pair: Any) -> Archive:
    """One lesion "a" of patient "p", photographed on `days`, each later visit compared with the first."""
    made = Archive()
    patient = made.patient("p")
    one = made.lesion(patient, "a")
    photos = [made.photo(patient, one, day, radius_px=80) for day in days]
    for photo in photos[1:]:
        made.pair(one, photos[0], photo, **pair)
    return made


# -- status ------------------------------------------------------------------------------------------------------


@steady
@given(st.lists(st.sampled_from(["issued", "issued_with_caveat", "abstained"]), min_size=1, max_size=5), st.booleans())
def test_only_an_issued_comparison_of_the_latest_visit_makes_a_lesion_unchanged(
    verdicts: list[str], flag: bool
) -> None:
    made = followed([90 * index for index in range(len(verdicts) + 1)], radius_px=None)
    for row, verdict in zip(made.rows["decisions"], verdicts, strict=True):
        row |= {"verdict": verdict, "reasons": ["because of this" if verdict == "abstained" else "fine"]}
    made.rows["decisions"][0]["flagged"] = flag
    one = lesion(made, "p", "a")
    if flag and verdicts[0] != "abstained":
        assert one.status == "flagged"
    else:
        assert one.status == ("not_judged" if verdicts[-1] == "abstained" else "no_change")
    told = [line for line in (*one.status_reasons, *one.notes) if line.endswith(": because of this")]
    for pair in one.pairs:
        assert any(pair.label in line for line in told) == (pair.verdict == "abstained"), "every abstention is told"


def test_a_flag_on_a_comparison_that_was_not_issued_counts_for_nothing() -> None:
    one = lesion(followed([0, 90], verdict="abstained", flagged=True, reasons=("blurred",)), "p", "a")
    assert one.status == "not_judged" and one.strongest is None


def test_an_abstained_comparison_keeps_its_score_differences_and_heat_map_to_itself() -> None:
    made = followed([0, 90], verdict="abstained", score=0.9, radius_px=80, deltas=(delta("area", "%", 100, 150, 17),))
    (pair,) = lesion(made, "p", "a").pairs
    assert (pair.score, pair.p_value, pair.deltas, pair.heatmap_object) == (None, None, (), None)
    assert pair.aligned_object is not None, "the picture itself claims nothing"


@pytest.mark.parametrize(
    ("verdict", "low", "status"),
    [("issued", 0.05, "growing"), ("issued", -0.05, "no_change"), ("abstained", 0.05, "no_change")],
)
def test_growth_above_zero_over_all_visits_is_told_where_no_comparison_is_above_the_noise(
    verdict: str, low: float, status: str
) -> None:
    made = followed([0, 90, 180], radius_px=None)
    made.rows["trajectories"].clear()
    made.add(
        "trajectories",
        lesion_id=identifier(identifier("p") + "a"),
        visits=3,
        growth_mm2_per_month=0.2,
        growth_mm2_per_month_low=low,
        growth_mm2_per_month_high=0.4,
        verdict=verdict,
        rule="issued",
        reasons=[],
    )
    assert lesion(made, "p", "a").status == status


def test_a_special_site_is_out_of_scope_however_its_comparison_ended() -> None:
    made = followed([0, 90])
    made.rows["lesions"][0]["special_site"] = "acral"
    one = lesion(made, "p", "a")
    assert one.status == "out_of_scope" and "acral" in one.status_reasons[0]


def test_visits_of_different_modalities_cannot_be_compared_and_that_is_the_reason() -> None:
    made = Archive()
    patient = made.patient("p")
    one = made.lesion(patient, "a")
    made.photo(patient, one, 0)
    made.photo(patient, one, 90, modality="clinical")
    found = lesion(made, "p", "a")
    assert found.status == "not_judged"
    assert found.status_reasons == ("no two visits have photos of the same modality",)


@pytest.mark.parametrize(("dermoscopy", "status"), [("issued", "no_change"), ("abstained", "not_judged")])
def test_dermoscopy_decides_where_overviews_were_taken_at_the_same_visits(dermoscopy: str, status: str) -> None:
    made = followed([0, 90], verdict=dermoscopy, reasons=("dermoscopy",))
    patient, one = identifier("p"), identifier(identifier("p") + "a")
    overviews = [made.photo(patient, one, day, modality="clinical") for day in (0, 90)]
    made.pair(one, *overviews, verdict="abstained", rule="modality_not_judged", reasons=("overview",))
    found = lesion(made, "p", "a")
    assert found.status == status
    assert [part.modality for part in found.series] == ["dermoscopic", "clinical"]
    assert found.notes == ("day 0 → month 3.0: overview",), "the other modality is told beside"


def test_a_comparison_without_a_decision_is_not_judged_and_names_the_stage_that_failed() -> None:
    made = followed([0, 90])
    made.rows["decisions"].clear()
    made.rows["changes"][0]["failure"] = "failed:MemoryError"
    one = lesion(made, "p", "a")
    assert one.status == "not_judged"
    assert "the change stage failed (MemoryError)" in one.status_reasons[0]


def test_a_lesion_whose_photos_are_all_gone_is_still_listed() -> None:
    made = Archive()
    made.lesion(made.patient("p"), "a")
    assert lesion(made, "p", "a").status_reasons == ("no usable photo: there is nothing to judge",)


def test_several_photos_of_a_day_are_one_visit_that_shows_the_compared_one() -> None:
    made = followed([0, 90], radius_px=80)
    patient, one = identifier("p"), identifier(identifier("p") + "a")
    better = made.photo(patient, one, 90)
    made.rows["quality"][-1]["score"] = 1.0
    found = lesion(made, "p", "a")
    visit = found.series[0].visits[1]
    assert found.visit_count == 2 and visit.others == 1
    assert visit.photo.photo_id != better, "the compared photo is shown, not the better one that was not compared"


def test_undated_repeats_are_compared_without_a_trajectory_or_an_area_over_time() -> None:
    one = lesion(clinic(), "two", "undated")
    assert [visit.photo.when for visit in one.series[0].visits] == ["repeat 1", "repeat 2"]
    assert one.trajectory is None and one.area is None and "no dates" in (one.area_missing or "")
    assert one.overdue == "undated" and not one.missing


# -- order -------------------------------------------------------------------------------------------------------


@steady
@given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_the_strongest_change_comes_first(scores: list[float]) -> None:
    made = Archive()
    patient = made.patient("p")
    for index, score in enumerate(scores):
        one = made.lesion(patient, str(index))
        photos = [made.photo(patient, one, day) for day in (0, 90)]
        made.pair(one, *photos, score=score, flagged=True)
    found = [pair.score for one in view(made, "p").lesions if (pair := one.strongest) is not None]
    assert [round(score or 0, 4) for score in found] == sorted((round(score, 4) for score in scores), reverse=True)


def test_what_came_after_the_strongest_change_is_told() -> None:
    made = followed([0, 90, 180])
    made.rows["decisions"][0]["flagged"] = True
    assert lesion(made, "p", "a").since_then == "Latest visit, month 5.9: no change above noise."
    made.rows["decisions"][1]["verdict"] = "abstained"
    assert lesion(made, "p", "a").since_then == "Latest visit, month 5.9: not judged."
    made.rows["decisions"][1] |= {"verdict": "issued", "flagged": True}
    made.rows["changes"][1]["score"] = 0.9
    assert lesion(made, "p", "a").since_then is None, "the latest change is the strongest"


# -- overdue, missing, excised ---------------------------------------------------------------------------------------


@steady
@given(st.integers(0, 3000), st.integers(0, 3000), st.floats(1, 36))
def test_a_lesion_is_overdue_when_its_last_visit_lies_longer_back_than_the_follow_up_time(
    last: int, wait: int, months: float
) -> None:
    made = followed([0, last] if last else [0])
    one = lesion(made, "p", "a", as_of_days={identifier("p"): last + wait}, followup_months=months)
    assert one.overdue == ("overdue" if wait > months * MONTH else "in_time")
    assert one.overdue_periods == (math.floor(wait / (months * MONTH)) if one.overdue == "overdue" else 0)


@pytest.mark.parametrize("days", [None, {}])
def test_without_the_link_table_nothing_is_said_to_be_overdue_or_in_time(days: dict[str, int] | None) -> None:
    assert lesion(followed([0, 90]), "p", "a", as_of_days=days).overdue == "unknown"


@steady
@given(st.integers(0, 400), st.integers(0, 400), st.none() | st.integers(0, 900))
def test_a_lesion_is_missing_when_a_later_visit_photographed_another_and_it_was_not_excised(
    own: int, other: int, excision: int | None
) -> None:
    made = followed([own])
    patient = identifier("p")
    made.photo(patient, made.lesion(patient, "b"), other)
    if excision is not None:
        made.add(
            "events", event_id="e", patient_id=patient, lesion_id=identifier(patient + "a"), event_day=excision,
            event_kind="excision",
        )  # fmt: skip
    one = lesion(made, "p", "a")
    excised = excision is not None and excision >= own
    assert (one.excised is not None) == excised, "a lesion photographed after its excision is still being watched"
    assert one.missing == (own < other and not excised)


def test_a_visit_with_total_body_photos_only_makes_no_lesion_missing() -> None:
    made = followed([0, 90])
    made.photo(identifier("p"), None, 200)
    assert not lesion(made, "p", "a").missing


def test_a_lesion_of_another_patient_makes_none_missing() -> None:
    made = followed([0])
    stranger = made.patient("q")
    made.photo(stranger, made.lesion(stranger, "x"), 500)
    assert not lesion(made, "p", "a").missing


# -- area over time ------------------------------------------------------------------------------------------------


def test_the_area_is_in_mm2_where_every_judged_visit_has_a_scale() -> None:
    made = followed([0, 90], deltas=(delta("area_mm2", "mm2", 20.0, 24.0, 3.4),))
    area = lesion(made, "p", "a").area
    assert area is not None and area.unit == "mm2"
    whisker = math.log(1.17) / math.sqrt(2)
    for point in area.judged:
        assert point.low == pytest.approx(point.value * math.exp(-whisker))
        assert point.high == pytest.approx(point.value * math.exp(whisker))


def test_without_a_scale_the_area_is_relative_to_the_first_visit() -> None:
    made = followed([0, 90], deltas=(delta("area", "%", 100.0, 138.0, 17.0),), area_change_percent=38.0)
    made.rows["measures"][1]["area_mm2"] = None
    area = lesion(made, "p", "a").area
    assert area is not None and area.unit == "percent"
    assert [point.value for point in area.points] == [100.0, 138.0]
    assert area.points[1].high == pytest.approx(138.0 * 1.17) and area.points[0].high is None


def test_a_visit_that_was_not_judged_has_no_area() -> None:
    made = followed([0, 90, 180])
    made.rows["decisions"][1] |= {"verdict": "abstained", "reasons": ["blurred"]}
    area = lesion(made, "p", "a").area
    assert area is not None and [point.value is None for point in area.points] == [False, False, True]


@pytest.mark.parametrize("verdict", ["abstained", "out_of_scope"])
def test_where_nothing_was_issued_no_area_is_drawn_and_the_page_says_so(verdict: str) -> None:
    one = lesion(followed([0, 90], verdict=verdict, reasons=("because",)), "p", "a")
    assert one.area is None and one.area_missing


@pytest.mark.parametrize(("verdict", "told"), [("issued", True), ("abstained", False)])
def test_trends_of_colour_and_structure_are_told_with_their_intervals_where_growth_was_issued(
    verdict: str, told: bool
) -> None:
    made = followed([0, 90])
    slope = {"delta_lightness_per_month": -0.42, "delta_lightness_per_month_low": -0.8}
    made.add(
        "trajectories",
        lesion_id=identifier(identifier("p") + "a"),
        verdict=verdict,
        rule=verdict,
        reasons=[],
        delta_lightness_per_month_high=-0.04,
        **slope,
    )
    one = lesion(made, "p", "a")
    assert one.trajectory is not None
    sentence = "lightness against the skin \u22120.42 Lab units per month (95% interval \u22120.80 to \u22120.04)"
    assert one.trajectory.trends == ((sentence,) if told else ())


def test_growth_is_told_with_its_interval_only_where_it_was_issued() -> None:
    made = followed([0, 90])
    growth = {"growth_mm2_per_month": 0.434, "growth_mm2_per_month_low": -0.1, "growth_mm2_per_month_high": 0.97}
    made.add(
        "trajectories",
        lesion_id=identifier(identifier("p") + "a"),
        verdict="issued",
        rule="issued",
        reasons=[],
        **growth,
    )
    told = lesion(made, "p", "a")
    assert told.trajectory is not None and told.area is not None
    assert told.trajectory.growth == "+0.43 mm² per month (95% interval −0.10 to +0.97)"
    assert told.area.slope == 0.434
    made.rows["trajectories"][0] |= {"verdict": "abstained", "rule": "no_interval", "reasons": ["no interval"]}
    withheld = lesion(made, "p", "a")
    assert withheld.trajectory is not None and withheld.area is not None
    assert withheld.trajectory.growth is None and withheld.area.slope is None
