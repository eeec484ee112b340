"""Days, numbers and sentences as people read them."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from longderm.report.words import (
    area_doubt,
    day_label,
    delta_decimals,
    delta_texts,
    number,
    scale_label,
    site_label,
    skin_label,
    span_label,
    structure_labels,
)
from tests.report.builder import delta, steady


def test_days_are_told_in_days_up_to_two_months_and_in_months_beyond() -> None:
    assert [day_label(day) for day in (0, 60, 61, 97, -12, None)] == [
        "day 0", "day 60", "month 2.0", "month 3.2", "day −12", "undated",
    ]  # fmt: skip
    assert [span_label(days) for days in (1, 45, 365, None)] == ["1 day", "45 days", "12.0 months", "an unknown time"]


def test_an_area_is_told_with_the_range_of_its_border_or_as_one_that_is_hardly_seen() -> None:
    assert area_doubt(12.0, 0.25) == "as the border may lie: 9.6 to 15.0"
    assert area_doubt(12.0, 0.9999) == "as the border may lie: 6.0 to 24.0"
    assert area_doubt(12.0, 1.0) == "its border can hardly be told"
    assert area_doubt(None, 0.25) is None and area_doubt(12.0, None) is None


def test_the_sentence_of_a_change_names_measure_difference_unit_and_mdc() -> None:
    assert delta_texts(delta("area_mm2", "mm2", 15.2, 26.4, 2.6))["sentence"] == (
        "Area grew by 11.2 mm² (from 15.2 to 26.4 mm²): above the minimal detectable change (MDC) of 2.6 mm²."
    )
    assert delta_texts(delta("area", "%", 100.0, 91.0, 17.0))["sentence"] == (
        "Area shrank by 9.0%: within the minimal detectable change (MDC) of 17.0%."
    )
    assert delta_texts(delta("colour_count", "count", 2, 4, 1.6))["sentence"] == (
        "Number of colours rose by 2 (from 2 to 4): above the minimal detectable change (MDC) of 1.6."
    )


def test_a_distance_has_no_direction() -> None:
    told = delta_texts(delta("colour_local", "Lab", None, None, 3.1, value=5.25))
    assert told["short"] == "local colour difference 5.2 Lab units (MDC 3.1 Lab units)"
    assert "rose" not in told["sentence"] and "+" not in told["short"]


def test_an_unknown_noise_is_said_and_not_taken_for_none() -> None:
    told = delta_texts(delta("eccentricity", "1", 0.4, 0.5, None))
    assert told["mdc"] == "not known"
    assert told["sentence"].endswith("its minimal detectable change (MDC) is not known.")


def test_a_measure_that_the_page_does_not_know_keeps_its_name() -> None:
    assert (
        "vessel density grew by 2.0 per mm"
        in delta_texts(delta("vessel_density", "per mm", 1, 3, 1.1))["sentence"].lower()
    )


@steady
@given(
    st.floats(0.01, 90),
    st.floats(1.3, 3.0),
    st.sampled_from(["%", "mm2", "Lab", "1", "count"]),
)
def test_a_difference_above_its_mdc_never_reads_as_equal_to_it(mdc: float, times: float, unit: str) -> None:
    places = delta_decimals(mdc * times, mdc, unit)
    assert number(mdc * times, places) != number(mdc, places)


@steady
@given(st.floats(-1e6, 1e6), st.integers(0, 4))
def test_a_number_reads_back_as_its_rounded_self_and_nothing_has_no_sign(value: float, places: int) -> None:
    text = number(value, places, signed=True)
    assert float(text.replace("−", "-")) == round(value, places) + 0.0
    assert not re.fullmatch(r"[+−]0(\.0*)?", text)
    assert "-" not in text


def test_a_site_is_told_with_its_side_once() -> None:
    blank = {
        "anatom_site_general": None,
        "anatom_site_1": None,
        "anatom_site_2": None,
        "site_code": None,
        "laterality": None,
    }
    assert site_label(blank) == "Site not recorded"
    assert site_label(blank | {"anatom_site_general": "posterior torso", "laterality": "L"}) == "Posterior torso, left"
    assert site_label(blank | {"anatom_site_1": "left arm", "laterality": "L"}) == "Left arm"
    assert site_label(blank | {"site_code": "123"}) == "Site code 123"


def test_no_scale_no_tone_and_no_look_are_told_as_nothing() -> None:
    nothing = dict.fromkeys(("px_per_mm", "px_per_mm_source", "px_per_mm_error"))
    assert scale_label(nothing) is None
    assert scale_label(nothing | {"px_per_mm": 30.0, "px_per_mm_source": "dicom_pixel_spacing"}) == "of the device"
    assert skin_label(None, None) is None
    names = ("pigment_network", "globules", "streaks", "negative_network", "milia_like_cyst")
    assert structure_labels(None) == structure_labels(dict.fromkeys(names)) == ()
    assert structure_labels(dict.fromkeys(names, 0.01)) == ("each <50%",)


def test_no_structure_is_told_as_certain() -> None:
    row = dict.fromkeys(("globules", "streaks", "negative_network", "milia_like_cyst"), 0.6) | {"pigment_network": 1.0}
    assert structure_labels(row)[0] == "pigment network >99%"
    assert len(structure_labels(row)) == 5
