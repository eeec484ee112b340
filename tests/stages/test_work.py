"""Pairs are planned as the policy says."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from longderm.stages.work import plan_pairs


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
