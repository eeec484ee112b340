"""Pairs are planned as the policy says."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from longderm.stages.work import best_series, plan_pairs


def visit(day: int | None, i: int = 0) -> dict:
    return {
        "photo_id": f"p{day if day is not None else i}",
        "lesion_id": "l",
        "modality": "dermoscopic",
        "acquisition_day": day,
        "undated_repeat": day is None,
    }


@given(st.lists(st.integers(-500, 5000), unique=True, max_size=8).map(sorted))
def test_every_visit_is_compared_with_the_previous_and_with_the_first(days):
    pairs = plan_pairs([visit(day) for day in days])
    planned = {(p.baseline["acquisition_day"], p.followup["acquisition_day"]) for p in pairs}
    expected = set(pairwise(days)) | {(days[0], day) for day in days[1:]}
    assert planned == expected
    assert len(pairs) == len(expected), "no pair twice"
    assert all(p.interval_days == p.followup["acquisition_day"] - p.baseline["acquisition_day"] > 0 for p in pairs)


def test_the_second_visit_is_both_previous_and_first():
    assert [p.policy for p in plan_pairs([visit(0), visit(90), visit(180)])] == [
        "previous_and_first",
        "previous",
        "first",
    ]


def test_undated_repeats_are_compared_with_the_first_and_have_no_interval():
    pairs = plan_pairs([visit(None, i) for i in range(3)])
    assert [(p.policy, p.interval_days) for p in pairs] == [("repeat", None)] * 2


def test_one_visit_makes_no_pair():
    assert plan_pairs([visit(3)]) == []


def of_one_visit(*photos: tuple[str, str, float, float]) -> str:
    """The content hash of the photo that stands for a visit, of (id, content hash, score, expected error) each."""
    rows = [visit(7) | {"photo_id": name, "content_hash": pixels} for name, pixels, _, _ in photos]
    quality = {name: {"score": score, "expected_error": error} for name, _, score, error in photos}
    ((chosen,),) = best_series(rows, quality).values()
    return chosen["content_hash"]


def test_the_best_photo_of_a_day_stands_for_its_visit():
    assert of_one_visit(("a", "x", 0.8, 0.1), ("b", "y", 0.9, 0.1)) == "y"
    assert of_one_visit(("a", "x", 0.9, 0.052), ("b", "y", 0.9, 0.051)) == "y", "the score is rounded, the error less"


def test_equally_good_photos_are_told_apart_by_what_they_show_and_not_by_their_ids():
    assert of_one_visit(("a", "x", 0.9, 0.1), ("b", "y", 0.9, 0.1)) == "x"
    assert of_one_visit(("b", "x", 0.9, 0.1), ("a", "y", 0.9, 0.1)) == "x", "another key gives other ids"
