"""A clinic's table of outcomes: what is read, and that every mistake in it is listed at once with what to mend."""

from __future__ import annotations

import io
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from longderm.archive.clinical_file import read_clinical_file
from longderm.archive.mapping import SourceMapping, read_mapping
from longderm.errors import LongdermError, UsageError
from longderm.prognosis.outcomes import OUTCOMES_SCHEMA, read_outcomes
from longderm.prognosis.problems import OutcomesError

WIDE = """patient_id,sex,age_approx,mel_thick_mm,mel_ulcer,mel_mitotic_index,diagnosis_date,\
recurrence_date,recurrence_kind,death_date,death_cause,last_follow_up_date
P1,f,55,0.75,false,<1/mm^2,2010-01-01,,,,,2015-01-01
P2,male,70,4.1,true,>4/mm^2,2010-01-01,2011-01-01,distant,2012-01-01,melanoma,2011-06-01
P3,m,80,1.5,,,2010-01-01,,,2010-12-31,other,
P4,w,40,,no,2/mm^2,2010-01-01,2010-06-30,local,,,2016-01-01
P5,f,62,2.2,ja,0/mm^2,2010-01-01,,,2013-01-01,,
"""


def problems_of(text: str | bytes, **options) -> list[tuple[str, int | None, str | None]]:
    with pytest.raises(OutcomesError) as caught:
        read_outcomes(text if isinstance(text, bytes) else text.encode(), **options)
    assert caught.value.exit_status == 2
    return [(p.rule, p.row, p.column) for p in caught.value.problems]


def rules_of(text: str | bytes, **options) -> list[str]:
    return [rule for rule, _, _ in problems_of(text, **options)]


def column(text: str | bytes, name: str, **options) -> list:
    return read_outcomes(text if isinstance(text, bytes) else text.encode(), **options).table.column(name).to_pylist()


def test_a_row_for_each_patient_becomes_times_and_codes_of_three_endpoints():
    table = read_outcomes(WIDE.encode()).table
    assert table.column("overall_days").to_pylist() == [1826, 730, 364, 2191, 1096]
    assert table.column("overall_event").to_pylist() == [0, 1, 1, 0, 1]
    assert table.column("melanoma_specific_event").to_pylist() == [0, 1, 2, 0, None]  # P5: the cause is not stated
    assert table.column("recurrence_free_days").to_pylist() == [1826, 365, 364, 180, 1096]
    assert table.column("recurrence_free_event").to_pylist() == [0, 1, 2, 1, None]
    assert table.column("recurrence_distant_days").to_pylist() == [None, 365, None, None, None]
    assert table.column("stated_event").null_count == 5


def test_what_is_missing_stays_missing():
    table = read_outcomes(WIDE.encode()).table
    assert table.column("mel_thick_mm").to_pylist() == [0.75, 4.1, 1.5, None, 2.2]
    assert table.column("mel_ulcer").to_pylist() == [False, True, None, False, True]
    assert table.column("mel_mitotic_index").to_pylist() == [1.0, 4.0, None, 2.0, 0.0]
    assert table.column("mel_mitotic_index_qualifier").to_pylist() == ["<", ">", None, "=", "="]
    assert table.column("t_category").to_pylist() == ["T1b", "T4b", "T2", None, "T3b"]
    assert table.column("nodes_positive").null_count == 5


def test_a_row_for_each_event_tells_the_same_as_a_row_for_each_patient():
    text = """patient_id,event,time_days,mel_thick_mm
P1,last_follow_up,1826,0.75
P2,recurrence_distant,365,
P2,death_of_melanoma,730,4.1
P3,death_of_other_cause,364,1.5
P4,local,180,
P4,last_follow_up,2191,
P5,death,1096,2.2
"""
    long, wide = read_outcomes(text.encode()).table, read_outcomes(WIDE.encode()).table
    names = [name for name in OUTCOMES_SCHEMA.names if name.endswith(("_days", "_event", "thick_mm"))]
    assert long.select(names).equals(wide.select(names))


def test_recurrence_is_not_claimed_free_where_the_table_tells_deaths_only():
    text = "time_days,event\n100,death_of_melanoma\n200,last_follow_up\n"
    assert column(text, "recurrence_free_event") == [None, None]
    assert column(text, "melanoma_specific_event") == [1, 0]


def test_an_event_that_says_only_yes_or_no_is_no_death():
    text = "time_months,event\n12,1\n24.5,0\n"
    assert column(text, "stated_days") == [12 * 30.4375, 24.5 * 30.4375]
    assert column(text, "stated_event") == [1, 0]
    assert column(text, "overall_event") == [None, None]


def test_a_mapping_says_what_a_source_calls_its_columns_and_codes(tmp_path):
    (tmp_path / "m.toml").write_text(
        '[outcomes]\ntime_days = "time"\nevent = "status"\nthickness_mm = "thickness"\nulceration = "ulcer"\n'
        '[values.event]\n1 = "death_of_melanoma"\n2 = "last_follow_up"\n3 = "death_of_other_cause"\n'
        '[values.sex]\n1 = "male"\n0 = "female"\n[values.thickness_mm]\n"99.9" = ""\n'
    )
    text = "time,status,sex,thickness,ulcer,year\n10,3,1,6.76,1,1972\n99,1,0,99.9,0,1968\n35,2,1,1.34,NA,1977\n"
    table = read_outcomes(text.encode(), read_mapping(tmp_path / "m.toml"), covariates=["year"]).table
    assert table.column("melanoma_specific_event").to_pylist() == [2, 1, 0]
    assert table.column("sex").to_pylist() == ["male", "female", "male"]
    assert table.column("mel_thick_mm").to_pylist() == [6.76, None, 1.34]
    assert table.column("year").to_pylist() == [1972.0, 1968.0, 1977.0]


def test_the_odense_cohort_is_read_whole(shared_data):
    names = {"time_days": "time", "event": "status", "thickness_mm": "thickness", "ulceration": "ulcer"}
    codes = {"1": "death_of_melanoma", "2": "last_follow_up", "3": "death_of_other_cause"}
    mapping = SourceMapping(outcomes=names, values={"event": codes, "sex": {"1": "male", "0": "female"}})
    data = read_clinical_file(shared_data / "survival" / "odense_melanoma.csv")
    codes_read = read_outcomes(data, mapping).table.column("melanoma_specific_event").to_pylist()
    assert [codes_read.count(code) for code in (0, 1, 2)] == [134, 57, 14]  # as others print the cohort


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", [("empty_file", None, None)]),
        (b"\xef\xbb\xbf\r\n \r\n", [("empty_file", None, None)]),
        ("time_days,event\n", [("no_rows", None, None)]),
        ("Smith,55,male\nJones,60,female\n", [("no_column", None, None)]),
        (b"PK\x03\x04 a workbook", [("not_a_table", None, None)]),
        (b"PAR1 broken", [("not_a_table", None, None)]),
        (b"a\0b", [("not_a_table", None, None)]),
        ("time_days,Time_days,event\n1,1,1\n", [("column_twice", 1, "time_days")]),
        ("time_days,event\n1,1,7\n5\n", [("row_length", 2, None), ("row_length", 3, None)]),
        ("time_days,event\n-3,1\n5,0\n", [("negative_time", 2, "time_days")]),
        ("time_days,event\n999999,1\n5,0\n", [("impossible_time", 2, "time_days")]),
        ("time_days,event\n5,1\nlong,0\n", [("not_a_number", 3, "time_days")]),
        ("time_days,event\n,death\n5,last_follow_up\n", [("event_without_time", 2, "event")]),
        ("event\n1\n", [("event_without_time", None, "event")]),
        ("time_days,time_months,event\n30,1,1\n", [("two_times", None, None)]),
        ("time_days,event\n5,2\n7,2\n", [("unknown_word", 2, "event"), ("unknown_word", 3, "event")]),
        ("mel_thick_mm\n0.8\n1.1\n2.5\n800\n", [("units_mixed", 5, "mel_thick_mm")]),
        ("mel_thick_mm\n800\n1100\n550\n", [("unit", None, "mel_thick_mm")]),
        ("mel_thick_mm\n800\n0.8\n", [("units_mixed", 2, "mel_thick_mm")]),
        ("mel_thick_mm\n1.5\n800 um\n", [("unit", 3, "mel_thick_mm")]),
        ("mel_thick_mm\n0\n-1\n99.9\n1.2\n", [("impossible_thickness", row, "mel_thick_mm") for row in (2, 3, 4)]),
        ("mel_thick_mm\n<1\n1.2\n", [("not_a_number", 2, "mel_thick_mm")]),
        ("mel_ulcer\n1\n2\nnone\n", [("not_yes_or_no", 3, "mel_ulcer"), ("not_yes_or_no", 4, "mel_ulcer")]),
        ("sex\nm\n1\n", [("unknown_word", 3, "sex")]),
        ("age\n150\n55\n", [("out_of_range", 2, "age")]),
        (
            "nodes_positive,nodes_examined\n3,2\n1.5,2\n",
            [("nodes", 2, "nodes_positive"), ("out_of_range", 3, "nodes_positive")],
        ),
        ("t_category,mel_thick_mm\nTis,0.5\n", [("contradiction", 2, "t_category")]),
        ("patient_id,mel_thick_mm\n,1\nP,1\n", [("no_patient", 2, "patient_id")]),
        (
            "origin_date,death_date,last_follow_up_date\n2015-01-01,2014-12-31,\n2015-01-01,2016-01-01,2016-01-02\n,2016-01-01,\n",
            [
                ("before_origin", 2, "death_date"),
                ("after_death", 3, "last_follow_up_date"),
                ("no_origin", 4, "death_date"),
            ],
        ),
        (
            "origin_date,recurrence_date,death_date,last_follow_up_date\n2015-01-01,2017-01-01,2016-01-01,\n"
            "2015-01-01,2017-01-01,,2016-01-01\n",
            [("after_death", 2, "recurrence_date"), ("after_last_follow_up", 3, "recurrence_date")],
        ),
        (
            "patient_id,event,time_days\nP,death_of_melanoma,9\nP,death_of_other_cause,9\n"
            "Q,local,5\nQ,local,8\nQ,last_follow_up,9\n",
            [("two_deaths", 3, "time_days"), ("two_events_of_one_kind", 5, "time_days")],
        ),
        (
            "patient_id,time_days,event,mel_thick_mm\nP,5,1,0.8\nP,6,1,0.9\nQ,7,0,1\n",
            [("conflicting_rows", 3, "event"), ("conflicting_rows", 3, "mel_thick_mm")],
        ),
        (
            "vital_status,death_days\ndead,\nalive,5\n",
            [("event_without_time", 2, "vital_status"), ("contradiction", 3, "vital_status")],
        ),
        (
            "origin_date,death_date,death_days\n2015-01-01,2015-02-01,400\n",
            [("dates_and_days_differ", 2, "death_days")],
        ),
    ],
)
def test_each_mistake_is_named_with_its_row_and_column(text, expected):
    assert problems_of(text) == expected


@pytest.mark.parametrize(
    ("cell", "rule"),
    [
        ("03/04/2015", "ambiguous_date"),
        ("3-4-2015", "ambiguous_date"),
        ("03/04/15", "ambiguous_date"),
        ("42000", "excel_serial_date"),
        ("2015-02-30", "impossible_date"),
        ("1900-01-01", "impossible_date"),
        ("2015-03", "imprecise_date"),
        ("2015", "imprecise_date"),
        ("12 March 2015", "not_a_date"),
        ("spring 2015", "not_a_date"),
        ("2031-01-01", "future_date"),
    ],
)
def test_dates_that_are_not_beyond_doubt_are_not_guessed(cell, rule):
    assert rules_of(f"origin_date\n{cell}\n", as_of=date(2026, 1, 1)) == [rule]


@pytest.mark.parametrize(
    ("cell", "order", "day"),
    [
        ("2015-01-31", None, 30),
        ("2015-01-31T12:30:00", None, 30),
        ("20150131", None, 30),
        ("31.1.2015", None, 30),
        ("31/01/2015", None, 30),
        ("01/31/2015", None, 30),
        ("03/04/2015", "day_first", 92),
        ("03/04/2015", "month_first", 62),
    ],
)
def test_dates_beyond_doubt_are_read(cell, order, day):
    text = f"origin_date,last_follow_up_date\n2015-01-01,{cell}\n"
    assert column(text, "overall_days", date_order=order) == [day]


@pytest.mark.parametrize("cell", ["1,234", "1.234,5", "1,234.5", "1 234", "1'234", "1.234.567"])
def test_thousands_separators_are_to_be_taken_out(cell):
    assert rules_of(f"time_days;event\n{cell};1\n300;0\n") == ["thousands_separator"]


def test_a_point_that_may_set_thousands_apart_is_asked_about_in_days():
    assert rules_of("last_follow_up_days;sex\n1.825;m\n365;f\n") == ["thousands_separator"]
    assert column("last_follow_up_days;sex\n60.875;m\n30.4375;f\n", "overall_days") == [60.875, 30.4375]


def test_a_decimal_comma_is_read_where_it_cannot_be_anything_else():
    assert column("mel_thick_mm;sex\n0,8;m\n1,25;f\n", "mel_thick_mm") == [0.8, 1.25]
    assert column('mel_thick_mm,sex\n"0,8",m\n"1,234",f\n', "mel_thick_mm") == [0.8, 1.234]
    assert rules_of("mel_thick_mm,sex\n0,8,m\n") == ["row_length"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_encoding_delimiter_and_line_ends_of_a_spreadsheet_program_do_not_matter(encoding, delimiter, end):
    lines = ["patient_id|sex|age|mel_ulcer", "1|männlich|50|ja", "2|weiblich||nein", ""]
    data = end.join(lines).replace("|", delimiter).encode(encoding)
    assert column(data, "sex") == ["male", "female"]
    assert column(data, "mel_ulcer") == [True, False]


def test_rows_are_counted_as_a_spreadsheet_shows_them():
    assert problems_of("sep=;\ntime_days;event\n\n5;1\n;;\n-1;0\n") == [("negative_time", 6, "time_days")]


def test_parquet_tells_the_same_as_csv():
    table = pa.table(
        {
            "patient_id": [1.0, 2.0],
            "diagnosis_date": pa.array([date(2010, 1, 1)] * 2).cast(pa.timestamp("us")),
            "death_date": [date(2011, 1, 1), None],
            "death_cause": ["melanoma", None],
            "last_follow_up_date": [None, date(2012, 1, 1)],
            "mel_thick_mm": [2.5, float("nan")],
            "mel_ulcer": [True, None],
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    read = read_outcomes(buffer.getvalue()).table
    assert read.column("melanoma_specific_days").to_pylist() == [365, 730]
    assert read.column("mel_thick_mm").to_pylist() == [2.5, None]
    assert read.column("t_category").to_pylist() == ["T3b", None]
    assert read.column("patient_id").to_pylist() == ["1", "2"]


def test_all_mistakes_of_a_table_are_listed_at_once_a_line_each():
    text = 'patient_id,mel_thick_mm,mel_ulcer,time_days,event\nA,0.8,maybe,-1,1\nB,1.1,no,x,0\nC,900,yes,"2,500",1\n'
    with pytest.raises(OutcomesError) as caught:
        read_outcomes(text.encode())
    lines = str(caught.value).splitlines()
    assert lines[0] == "the outcomes table has 5 problems to mend:"
    units = '- row 4, column mel_thick_mm, "900": micrometres among mm? then write 0.9; '
    assert any(line.startswith(units) for line in lines)
    assert len(lines) == 6 == len(caught.value.problems) + 1


def test_many_mistakes_of_one_kind_are_counted_not_printed_without_end():
    with pytest.raises(OutcomesError) as caught:
        read_outcomes(("time_days,event\n" + "-1,1\n" * 500).encode())
    assert len(caught.value.problems) == 500
    assert len(str(caught.value).splitlines()) < 30
    assert "480 more of the same" in str(caught.value)


def test_no_message_and_no_repr_holds_an_identifier_or_a_remark():
    name = "Erika Mustermann MRN 0815"
    text = (
        f"patient_id,name,mel_thick_mm,event,time_days\n{name},{name},0.8,died; letter to {name},5\n"
        f"{name},{name},0.9,{name} moved away to the coast,x\n"
    )
    with pytest.raises(OutcomesError) as caught:
        read_outcomes(text.encode())
    assert "Muster" not in str(caught.value) and "0815" not in str(caught.value)
    fine = read_outcomes(f"patient_id,name,time_days,event\n{name},{name},5,1\n".encode())
    assert "Muster" not in repr(fine)


def test_a_cohort_that_cannot_be_fitted_is_read_with_a_notice_and_named_at_the_fit():
    nobody = read_outcomes(b"time_days,event\n5,0\n6,0\n")
    everybody = read_outcomes(b"time_days,event\n5,1\n6,1\n")
    single = read_outcomes(b"time_days,event\n5,1\n")
    assert "stated: no events" in nobody.notices and "stated: all 2 had the event" in everybody.notices
    found = [[p.rule for p in o.fit_problems("stated")] for o in (nobody, everybody, single)]
    assert found == [["no_events"], ["all_events"], ["one_row"]]
    assert everybody.fit_problems("stated", all_events_are_real=True) == ()
    assert [p.rule for p in nobody.fit_problems("overall")] == ["no_outcomes"]
    with pytest.raises(OutcomesError, match="nobody had the event"):
        nobody.require_fit("stated")
    with pytest.raises(UsageError, match="no endpoint"):
        nobody.fit_problems("happiness")


def test_survival_is_not_fitted_without_just_those_who_had_a_recurrence():
    text = b"time_days,event\n5,distant\n6,last_follow_up\n9,death_of_melanoma\n"
    outcomes = read_outcomes(text)
    assert [p.rule for p in outcomes.fit_problems("overall")] == ["follow_up_lost"]
    assert outcomes.fit_problems("recurrence_free") == ()


def test_two_tumours_of_one_patient_are_two_rows_of_one_patient():
    text = "patient_id,lesion_id,mel_thick_mm,time_days,event\nP,a,0.8,900,1\nP,b,2.1,700,1\n"
    assert column(text, "t_category") == ["T1b", "T3"]
    assert column(text, "patient_id") == ["P", "P"]
    differ = (
        "patient_id,lesion_id,origin_date,death_date,sex\nP,a,2010-01-01,2012-01-01,m\nP,b,2011-01-01,2013-01-01,f\n"
    )
    assert rules_of(differ) == ["two_deaths", "conflicting_rows"]


def test_a_covariate_is_numbers_when_most_of_it_is():
    text = "time_days,event,ldh,site\n5,1,220,arm\n6,0,n/a,leg\n7,0,310,\n"
    table = read_outcomes(text.encode(), covariates=["ldh", "site"]).table
    assert table.column("ldh").to_pylist() == [220.0, None, 310.0]
    assert table.column("site").to_pylist() == ["arm", "leg", None]
    assert rules_of(text.replace("310", "high").replace("n/a", "4"), covariates=["ldh"]) == ["not_a_number"]
    assert rules_of(text, covariates=["mitf"]) == ["no_column"]


def test_a_file_that_is_not_there_is_said_without_its_path(tmp_path):
    with pytest.raises(LongdermError) as caught:
        read_clinical_file(tmp_path / "Mustermann.csv")
    assert "Mustermann" not in str(caught.value) and caught.value.exit_status == 2


CELLS = st.one_of(
    st.sampled_from(["", "1", "0", "-5", "0.8", "800", "1,5", "1.234,5", "2015-01-01", "31/12/2015", "42000", "ja"]),
    st.sampled_from(["death", "local", "last_follow_up", "P1", "nan", "inf", "1e400", "٣", "²", "9" * 400]),
    st.text(max_size=8),
)
NAMES = ["patient_id", "lesion_id", "mel_thick_mm", "mel_ulcer", "mel_mitotic_index", "event", "time_days", "sex"]
NAMES += ["origin_date", "death_date", "death_cause", "recurrence_date", "last_follow_up_date", "nodes_positive", "age"]


@settings(max_examples=120, deadline=None)
@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=8, unique=True), st.data())
def test_any_table_is_read_or_refused_with_a_list(names, data):
    rows = data.draw(st.lists(st.lists(CELLS, min_size=len(names), max_size=len(names)), max_size=5))
    text = "\n".join(";".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [names, *rows])
    try:
        outcomes = read_outcomes(text.encode("utf-8", errors="replace"))
    except OutcomesError as error:
        assert error.problems
    else:
        for name in ("recurrence_free", "melanoma_specific", "overall", "stated"):
            assert all(d is None or d >= 0 for d in outcomes.table.column(f"{name}_days").to_pylist())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
@example(b"\x0b")
@example(b"sep=")
@example(b'"')
@example(b"\xff\xfe\x00")
def test_any_bytes_are_read_or_refused_with_a_list(data):
    try:
        read_outcomes(data)
    except OutcomesError as error:
        assert error.problems
