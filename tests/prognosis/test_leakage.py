"""The guard against features from after the prediction: planted leaks are found, what was known passes."""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longderm.errors import UsageError
from longderm.prognosis.leakage import LeakageError, guard_origin

TABLE = pa.table(
    {
        "patient_id": ["a", "b", "c"],
        "origin_day": [0, 100, 365],
        "sex": ["male", "female", None],
        "area_mm2": [25.0, None, 31.0],
        "area_day": [0, 400, 365],
        "score": [0.2, 0.8, 0.4],
        "score_day": [-30, 100, 200],
    }
)
DATED = {"area_mm2": "area_day", "score": "score_day"}


def test_what_was_known_up_to_the_day_itself_passes_and_only_features_come_out():
    features = guard_origin(TABLE, "origin_day", DATED, {"sex"})
    assert features.column_names == ["sex", "area_mm2", "score"]
    assert features.column("area_mm2").equals(TABLE.column("area_mm2"))


def test_a_planted_leak_is_named_with_its_row_and_how_late_it_came():
    planted = TABLE.set_column(6, "score_day", pa.array([-30, 101, 200]))
    with pytest.raises(LeakageError) as caught:
        guard_origin(planted, "origin_day", DATED, {"sex"})
    assert [(leak.feature, leak.row, leak.days_after) for leak in caught.value.leaks] == [("score", 1, 1.0)]
    assert "- score, row 1: known only 1 days after the origin" in str(caught.value)
    assert caught.value.exit_status == 3


def test_an_undated_feature_is_refused_unless_it_is_declared():
    with pytest.raises(LeakageError, match="sex: has no date"):
        guard_origin(TABLE, "origin_day", DATED)


def test_a_value_without_its_date_is_a_leak_and_a_missing_value_is_none():
    undated = TABLE.set_column(4, "area_day", pa.array([None, None, 365], pa.int64()))
    with pytest.raises(LeakageError) as caught:
        guard_origin(undated, "origin_day", DATED, {"sex"})
    assert [(leak.feature, leak.row) for leak in caught.value.leaks] == [("area_mm2", 0)]


def test_an_outcome_is_no_feature_whatever_is_declared():
    outcome = TABLE.append_column("overall_event", pa.array([0, 1, 0]))
    with pytest.raises(LeakageError, match="overall_event: tells the outcome"):
        guard_origin(outcome, "origin_day", DATED, {"sex", "overall_event"})


def test_all_leaks_are_listed_at_once():
    with pytest.raises(LeakageError) as caught:
        guard_origin(TABLE.drop_columns("origin_day"), -31, DATED)
    named = {(leak.feature, leak.row) for leak in caught.value.leaks}
    assert named == {("sex", None), ("area_mm2", 0), ("area_mm2", 2), ("score", 0), ("score", 1), ("score", 2)}


@pytest.mark.parametrize(
    ("origin", "dated_by", "time_invariant"),
    [
        ("visit_day", DATED, {"sex"}),
        ("origin_day", {**DATED, "depth": "area_day"}, {"sex"}),
        ("origin_day", DATED, {"sex", "score"}),
        (date(2020, 1, 1), DATED, {"sex"}),
    ],
)
def test_names_and_days_that_do_not_fit_are_said(origin, dated_by, time_invariant):
    with pytest.raises(UsageError):
        guard_origin(TABLE, origin, dated_by, time_invariant)


def test_a_row_without_an_origin_is_not_predicted():
    with pytest.raises(UsageError, match="row 2"):
        guard_origin(TABLE.set_column(1, "origin_day", pa.array([0, 100, None])), "origin_day", DATED, {"sex"})


@given(st.lists(st.tuples(st.integers(-900, 900), st.integers(-900, 900), st.booleans()), min_size=1, max_size=20))
def test_exactly_the_values_of_later_days_are_leaks_by_dates_as_by_numbers(rows):
    start = date(2015, 1, 1)
    values = [1.0 if known else None for _, _, known in rows]
    late = [(at, day - origin) for at, (origin, day, known) in enumerate(rows) if known and day > origin]
    for make in (int, lambda day: start + timedelta(days=day)):
        table = pa.table({"x": values, "o": [make(o) for o, _, _ in rows], "d": [make(d) for _, d, _ in rows]})
        try:
            guard_origin(table, "o", {"x": "d"})
            found = []
        except LeakageError as error:
            found = [(leak.row, leak.days_after) for leak in error.leaks]
        assert found == late
