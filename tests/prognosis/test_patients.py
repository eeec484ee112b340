"""Patients with their covariates: units and names, several lesions, features by date, and no later one."""

from __future__ import annotations

import io
from datetime import date

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longderm.archive.mapping import SourceMapping
from longderm.errors import UsageError
from longderm.prognosis import LeakageError, OutcomesError
from longderm.prognosis.covariates import covariate, log2_values, unit_of
from longderm.prognosis.patients import Intake, read_patients

TABLE = pd.DataFrame(
    {
        "patient_id": ["a", "a", "b", "c"],
        "lesion_id": ["1", "2", "1", "1"],
        "diagnosis_date": ["2015-01-10", "2015-01-10", "2016-02-01", "2017-03-05"],
        "mel_thick_mm": [0.5, 2.0, 4.0, 1.0],
        "death_days": [None, None, 900, None],
        "last_follow_up_days": [1000, 1000, 900, 1500],
        "network": [1.0, 2.0, 3.0, 4.0],
    }
)


def csv(table):
    return table.to_csv(index=False).encode()


def read(table=TABLE, names=("mel_thick_mm",), features=None, **intake):
    return read_patients(csv(table), [covariate(n) for n in names], Intake(**intake), features)


@pytest.mark.parametrize(
    ("asked", "name", "unit", "log2"),
    [
        ("mel_thick_mm", "mel_thick_mm", "mm", False),
        ("log2(mel_thick_mm)", "log2(mel_thick_mm)", "mm", True),
        ("age", "age_approx", "years", False),
        ("mel_ulcer", "mel_ulcer", "yes or no", False),
        ("growth_mm2_per_month", "growth_mm2_per_month", "mm2 per month", False),
        ("thickness", "thickness", "", False),
        ("depth_um", "depth_um", "um", False),
    ],
)
def test_a_covariate_has_a_name_and_the_unit_that_its_name_says(asked, name, unit, log2):
    found = covariate(asked)
    assert (found.name, found.unit, found.log2) == (name, unit, log2)


def test_a_column_that_a_mapping_names_becomes_isics():
    mapping = SourceMapping(outcomes={"thickness_mm": "Breslow", "time_days": "Tage"})
    assert covariate("Breslow", mapping).name == "mel_thick_mm"
    assert covariate("Breslow").is_thickness and not covariate("Breslow").unit
    with pytest.raises(UsageError, match="Tage"):
        covariate("Tage", mapping)


@given(st.floats(0.01, 60))
def test_a_logarithm_goes_back_to_its_source(value):
    one = covariate("log2(mel_thick_mm)")
    logarithm = log2_values(np.array([value, None, -1.0], dtype=object))
    assert one.to_source(logarithm[0]) == pytest.approx(value, rel=1e-12)
    assert np.isnan(logarithm[1:]).all()


def test_a_value_without_a_logarithm_is_a_problem_with_its_row():
    with pytest.raises(OutcomesError, match=r"row 4, column network, .-3.: has no logarithm"):
        read(TABLE.assign(network=[1, 2, -3, 4]), ("log2(network)",))


def test_lesions_of_one_patient_stay_two_rows_of_one_person():
    patients = read()
    assert patients.table.column("patient").to_pylist() == ["a", "a", "b", "c"]
    assert patients.origin_known == (True,) * 4
    nobody = read(TABLE.drop(columns=["patient_id", "lesion_id"]))
    assert nobody.table.column("patient").to_pylist() == ["row 2", "row 3", "row 4", "row 5"]


def test_a_parquet_table_reads_like_the_csv():
    buffer = io.BytesIO()
    TABLE.assign(diagnosis_date=[date.fromisoformat(d) for d in TABLE.diagnosis_date]).to_parquet(buffer)
    assert pq.read_table(io.BytesIO(buffer.getvalue())).num_rows == 4
    patients = read_patients(buffer.getvalue(), [covariate("network")], Intake())
    assert patients.table.equals(read(names=("network",)).table)


def test_an_undated_covariate_is_taken_as_known_and_said():
    assert any("network: without a date" in notice for notice in read(names=("network",)).notices)
    declared = read(names=("network",), time_invariant=("network",))
    assert not any("network" in notice for notice in declared.notices)


@pytest.mark.parametrize(
    ("days", "leaks"), [(["2015-01-10"] * 4, 0), (["2015-01-10", "2015-01-11", "2016-02-01", "2017-03-06"], 2)]
)
def test_a_covariate_dated_beside_it_or_by_name_must_not_be_later_than_the_origin(days, leaks):
    for name, stated in (("network_date", {}), ("seen", {"network": "seen"})):
        table = TABLE.assign(**{name: days})
        if not leaks:
            assert read(table, ("network",), dated_by=stated).table.num_rows == 4
            continue
        with pytest.raises(LeakageError) as error:
            read(table, ("network",), dated_by=stated)
        assert [leak.row for leak in error.value.leaks] == [3, 5]
        assert [leak.days_after for leak in error.value.leaks] == [1, 1]


def test_a_later_origin_lets_through_what_was_known_by_then():
    table = TABLE.assign(network_days=[0, 30, 31, 10])
    with pytest.raises(LeakageError, match="row 4: known only 1 days after"):
        read(table, ("network",), origin_days=30.0)
    assert read(table, ("network",), origin_days=31.0).table.num_rows == 4


FEATURES = pd.DataFrame(
    {
        "patient_id": ["a", "a", "a", "b", "z"],
        "lesion_id": ["1", "1", "2", "1", "1"],
        "acquisition_date": ["2015-01-09", "2014-06-01", "2015-01-01", "2016-01-31", "2016-01-31"],
        "colours": [3.0, 2.0, 5.0, None, 1.0],
    }
)


def test_the_last_value_known_of_each_lesion_is_joined():
    patients = read(names=("mel_thick_mm", "colours"), features=csv(FEATURES))
    assert patients.table.column("colours").to_pylist() == [3.0, 5.0, None, None]
    assert "1 of 4 rows have no features" in patients.notices
    assert "1 rows of features are of nobody in the table" in patients.notices


def test_days_from_the_diagnosis_serve_as_well_as_dates():
    numbered = FEATURES.drop(columns="acquisition_date").assign(days_from_origin=[-1, -200, -9, -1, 0])
    by_date, by_day = (read(names=("colours",), features=csv(one)) for one in (FEATURES, numbered))
    assert by_date.table.equals(by_day.table)
    with pytest.raises(LeakageError, match="row 2: known only 4 days after"):
        read(names=("colours",), features=csv(numbered.assign(days_from_origin=[4, 0, 0, 0, 99])))


def test_the_stores_own_day_is_no_day_from_the_diagnosis():
    stored = FEATURES.drop(columns="acquisition_date").assign(acquisition_day=0)
    with pytest.raises(LeakageError, match="colours: has no date"):
        read(names=("colours",), features=csv(stored))


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (FEATURES.drop(columns="patient_id"), "name no patients"),
        (FEATURES.assign(acquisition_date="soon"), "year-month-day"),
        (FEATURES.assign(colours=["1", "2", "many", "4", "5"]), "row 4, column colours"),
        (FEATURES.head(0), "no row"),
    ],
)
def test_what_is_wrong_with_the_features_is_listed_under_their_name(features, words):
    with pytest.raises(OutcomesError, match=words) as error:
        read(names=("colours",), features=csv(features))
    assert str(error.value).startswith("the table of features has")


def test_names_that_nothing_was_asked_for_are_refused():
    with pytest.raises(UsageError, match="colour: dated or declared"):
        read(names=("network",), dated_by={"colour": "seen"})
    with pytest.raises(UsageError, match="of the table and of the features"):
        read(TABLE.assign(colours=1.0), ("colours",), csv(FEATURES))
    with pytest.raises(UsageError, match="no column taken"):
        read(names=("colours",), features=csv(FEATURES), feature_day="taken")


def test_units_of_names_that_say_none_are_not_guessed():
    assert unit_of("score") == "" and unit_of("summmary") == ""
