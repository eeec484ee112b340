"""A table of visits is checked as a whole, and at each visit stands what was known by then and nothing later."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longderm.prognosis.covariates import covariate
from longderm.prognosis.leakage import LeakageError
from longderm.prognosis.patients import read_patients
from longderm.prognosis.problems import OutcomesError
from longderm.prognosis.visits import VISIT_DAY, VISIT_ROW, at_visits, last_of, read_visits

AREA = covariate("area_mm2")
PATIENTS = pd.DataFrame(
    {
        "patient_id": ["a", "b", "c"],
        "origin_date": "2015-01-01",
        "age": [50, 60, 70],
        "time_days": [400, 900, 700],
        "event": [1, 0, 0],
    }
)
VISITS = pd.DataFrame(
    {
        "patient_id": ["b", "a", "a", "b"],
        "visit_date": ["2015-01-01", "2015-01-01", "2015-06-30", "2016-01-01"],
        "area_mm2": [7.0, 20.0, None, 9.0],
    }
)


def csv(table):
    return table.to_csv(index=False).encode()


def joined(visits, patients=PATIENTS, follow_up="stated_days", measured=(AREA,)):
    found = read_patients(csv(patients), [covariate("age")])
    return at_visits(found, read_visits(csv(visits), measured), measured, follow_up=follow_up)


def problems_of(visits, **options):
    with pytest.raises(OutcomesError) as caught:
        joined(visits, **options)
    return {(one.rule, one.row, one.column) for one in caught.value.problems}


def test_each_visit_holds_the_last_known_value_its_age_and_its_day():
    found = joined(VISITS)
    columns = [found.table.column(name).to_pylist() for name in ("patient_id", VISIT_ROW, VISIT_DAY, "area_mm2")]
    assert list(zip(*columns, strict=True)) == [
        ("a", 3, 0.0, 20.0),
        ("a", 4, 180.0, 20.0),
        ("b", 2, 0.0, 7.0),
        ("b", 5, 365.0, 9.0),
        ("c", None, None, None),
    ]
    assert found.table.column("area_mm2_age_days").to_pylist() == [0.0, 180.0, 0.0, 0.0, None]
    assert found.table.column("years_since_origin").to_pylist()[1] == 180 / 365.25
    assert "1 of 3 patients have no visit" in found.notices
    assert last_of(found).table.column(VISIT_ROW).to_pylist() == [4, 5, None]
    assert len(last_of(found).origin_known) == 3


def test_days_since_the_origin_say_the_same_as_dates():
    days = VISITS.assign(visit_day=[0, 0, 180, 365]).drop(columns="visit_date")
    assert joined(days).table.equals(joined(VISITS).table)


def test_visits_are_of_a_lesion_where_both_tables_name_lesions():
    patients = pd.concat([PATIENTS[:1], PATIENTS[:1]]).assign(lesion_id=["L1", "L2"])
    visits = VISITS[1:3].assign(lesion_id=["L2", "L1"], area_mm2=[3.0, 4.0])
    found = joined(visits, patients).table
    cells = zip(*(found.column(n).to_pylist() for n in ("lesion_id", VISIT_DAY, "area_mm2")), strict=True)
    assert list(cells) == [("L1", 180.0, 4.0), ("L2", 0.0, 3.0)]
    assert problems_of(visits.drop(columns="lesion_id"), patients=patients) == {("several_lesions", 3, "patient_id")}


def test_a_value_that_became_known_after_its_visit_is_a_leak_named_by_its_row():
    later = VISITS.assign(area_mm2_date=["2015-01-01", "2015-01-09", "2020-01-01", "2015-12-24"])
    with pytest.raises(LeakageError) as caught:
        joined(later)
    assert [(leak.feature, leak.row, leak.days_after) for leak in caught.value.leaks] == [("area_mm2", 3, 8.0)]
    days = VISITS.assign(area_mm2_days=[0, 0, 0, 366])
    with pytest.raises(LeakageError, match="area_mm2, row 5: known only 1 days after the origin"):
        joined(days)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"visit_date": ["2014-12-31", "2015-01-01", "soon", None]},
            {("not_a_date", 4, "visit_date"), ("no_day", 5, "visit_date")},
        ),
        ({"patient_id": ["b", None, "a", "b"]}, {("no_patient", 3, "patient_id")}),
        (
            {"area_mm2": ["7", "1,234", "x", "9 cm"]},
            {("thousands_separator", 3, "area_mm2"), ("not_a_number", 4, "area_mm2"), ("unit", 5, "area_mm2")},
        ),
        ({"patient_id": ["x", "y", "y", "x"]}, {("no_match", None, None)}),
        (
            {"visit_date": ["2014-12-31", "2015-01-01", "2016-06-30", "2016-01-01"]},
            {("before_origin", 2, "visit_date"), ("after_follow_up", 4, "visit_date")},
        ),
        (
            {"visit_date": "2015-01-01", "area_mm2": [7.0, 20.0, 21.0, 7.0]},
            {("two_values_on_one_day", 4, "area_mm2")},
        ),
    ],
)
def test_every_visit_that_cannot_be_is_listed(change, expected):
    assert problems_of(VISITS.assign(**change)) == expected


def test_everything_that_a_table_of_visits_lacks_is_listed_at_once():
    with pytest.raises(OutcomesError, match="the table of visits has 3 problems to mend") as caught:
        read_visits(b"who,when\nb,2015\n", [AREA])
    assert {one.column for one in caught.value.problems} == {"patient_id", "visit_date", "area_mm2"}


def test_dated_visits_need_an_origin_in_a_fit_and_are_withheld_in_a_prediction():
    without = PATIENTS.drop(columns="origin_date")
    assert problems_of(VISITS, patients=without) == {("no_origin", None, "visit_date")}
    found = joined(VISITS, without, follow_up=None)
    assert found.table.column(VISIT_DAY).to_pylist() == [None] * 3 and not any(found.origin_known)
    some = PATIENTS.assign(origin_date=["2015-01-01", None, "2015-01-01"])
    assert problems_of(VISITS, patients=some) == {("no_origin", 2, "visit_date"), ("no_origin", 5, "visit_date")}


def test_the_binary_logarithm_of_a_measurement_needs_values_above_zero():
    log2 = covariate("log2(area_mm2)")
    assert joined(VISITS, measured=(log2,)).table.column("log2(area_mm2)").to_pylist()[2] == np.log2(7.0)
    with pytest.raises(OutcomesError, match="has no logarithm"):
        read_visits(csv(VISITS.assign(area_mm2=[0, 1, 2, 3])), (log2,))


_rows = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 390), st.one_of(st.none(), st.integers(1, 9))),
    min_size=1, max_size=12, unique_by=lambda row: row[:2],
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(_rows, st.integers(0, 390), st.randoms(use_true_random=False))
def test_what_happens_later_or_how_rows_lie_changes_no_earlier_visit(rows, day, random):
    def told(some):
        table = pd.DataFrame(some, columns=["patient_id", "visit_day", "area_mm2"]).astype({"area_mm2": float})
        found = joined(table, PATIENTS.assign(time_days=400)).table
        names = ("patient_id", VISIT_DAY, "area_mm2", "area_mm2_age_days")
        every = zip(*(found.column(name).to_pylist() for name in names), strict=True)
        return [row for row in every if row[1] is not None and row[1] <= day]

    early = [row for row in rows if row[1] <= day]
    shuffled = [*rows]
    random.shuffle(shuffled)
    assert told(rows) == told(shuffled)
    if early:
        assert told(rows) == told(early)
    for patient, on, value, age in told(rows):
        seen = [(d, v) for p, d, v in rows if p == patient and d <= on and v is not None]
        assert (value, age) == ((max(seen)[1], on - max(seen)[0]) if seen else (None, None))


def test_a_future_visit_is_a_problem():
    with pytest.raises(OutcomesError, match="after the day of the analysis"):
        read_visits(csv(VISITS), [AREA], as_of=date(2015, 12, 31))
