"""Words of a source: dates, path patterns, sites, diagnoses, ages, and which claim wins."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longderm.archive.claims import Claims, parse_date, patient_text, round_age
from longderm.archive.diagnoses import diagnosis_text
from longderm.archive.pattern import DEFAULT_PATTERN, claims_from_path, compile_pattern
from longderm.archive.site_codes import SITE_MEANINGS
from longderm.archive.sites import general_site, site_text, special_site
from longderm.errors import UsageError


@given(day=st.dates(date(1950, 1, 1), date(2100, 1, 1)))
def test_dates_are_read_in_every_unambiguous_form(day: date) -> None:
    iso = day.isoformat()
    forms = [iso, iso.replace("-", ""), iso.replace("-", "/"), iso.replace("-", "."), iso + "T23:59:59", iso + " 08:00"]
    for form in [*forms, f"{day.day}.{day.month}.{day.year}"]:
        assert parse_date(form) == (iso, None)


@pytest.mark.parametrize(
    "text", ["05/01/2024", "1.5.24", "May 2024", "2024-13-01", "2024-02-30", "19000101", "20240", ""]
)
def test_dates_that_are_ambiguous_or_none_are_not_taken(text: str) -> None:
    found, problem = parse_date(text)
    assert found is None and problem and (not text or text not in problem)


def test_the_default_layout() -> None:
    said = claims_from_path("Anna K/left arm/2024-05-01_x.JPG", DEFAULT_PATTERN)
    assert said == Claims(patient="Anna K", lesion="left arm", date="2024-05-01")
    for path in ("2024-05-01.jpg", "a/b/c/2024-05-01.jpg", "a/b/x 2024-05-01.jpg"):
        assert claims_from_path(path, DEFAULT_PATTERN) is None
    body = claims_from_path("Anna K/TBP/20240501.jpg", DEFAULT_PATTERN)
    assert body == Claims(patient="Anna K", modality="total_body", date="2024-05-01")


@pytest.mark.parametrize("pattern", ["{lesion}/{date}", "{patient}/{patient}", "{patient}/{day}", "*"])
def test_a_bad_pattern_is_told(pattern: str) -> None:
    with pytest.raises(UsageError):
        compile_pattern(pattern)


@given(st.text(max_size=40))
def test_any_path_is_met_without_an_error(path: str) -> None:
    said = claims_from_path(path, "**/{patient}_{lesion}*{date}*")
    assert said is None or said.lesion is None or said.lesion in path


@given(
    first=st.builds(Claims, patient=st.none() | st.just("A"), date=st.none() | st.just("2024-01-01")),
    second=st.builds(
        Claims, patient=st.none() | st.just("B"), day=st.none() | st.just(3), sex=st.none() | st.just("male")
    ),
)
def test_stronger_claims_win_and_dates_are_not_mixed(first: Claims, second: Claims) -> None:
    merged = first.over(second)
    assert merged.patient == (first.patient or second.patient) and merged.sex == second.sex
    assert (merged.date, merged.day) == ((first.date, None) if first.date else (None, second.day))
    assert Claims.from_json(merged.to_json()) == merged


def test_special_sites_are_found_by_code_and_by_word() -> None:
    found = {meaning: special_site(meaning) for meaning in SITE_MEANINGS.values()}
    expected = {
        "face": ("Skin of cheek", "Skin of tip of nose", "Skin of upper lip", "Skin of upper eyelid", "Face"),
        "acral": ("Skin of palm of hand", "Skin of heel", "Skin of toe", "Skin of palmar part of thumb"),
        "nail": ("Nail unit of thumb", "Nail unit of great toe"),
        "mucosal": ("Oral mucosa", "Mucosa of upper lip", "Skin of glans penis", "Vulval vestibule", "Conjunctiva"),
        None: ("Skin of back", "Skin of ear", "Skin of scalp", "Skin of palmar area of wrist", "Hand", "Foot"),
    }
    for site, meanings in expected.items():
        assert {found[meaning] for meaning in meanings} == {site}
    assert special_site("head/neck") is None and special_site("palms/soles") == "acral"
    assert special_site("oral/genital") == "mucosal" and special_site("FACE") == "face"


def test_general_sites_are_isics() -> None:
    places = {"Skin of back": "posterior torso", "Skin of abdomen": "anterior torso", "Flank": "lateral torso",
              "Forearm": "upper extremity", "Skin of popliteal fossa": "lower extremity", "Skin of scalp": "head/neck",
              "Skin of heel": "palms/soles", "Oral mucosa": "oral/genital", "Skin": None}  # fmt: skip
    assert {meaning: general_site(meaning) for meaning in places} == places


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz ", max_size=30))
def test_only_words_for_sites_pass(text: str) -> None:
    passed = site_text(text)
    assert passed is None or passed == text
    assert site_text(f"{text} quillottoline") is None
    assert site_text(f"left arm {len(text)}") is None


def test_the_words_of_public_sources_pass() -> None:
    for text in (
        "posterior torso",
        "head/neck",
        "lower extremity",
        "trunk",
        "FOREARM",
        "NOSE",
        "Upper arm",
        "palms/soles",
    ):
        assert site_text(text) == text


@pytest.mark.parametrize("text", ["melanoma in situ", "Nevus, dysplastic", "basal cell carcinoma", "Bowen's disease"])
def test_diagnoses_pass_in_lower_case(text: str) -> None:
    assert diagnosis_text(text) == text.lower()


@pytest.mark.parametrize("text", ["melanoma, seen by quill", "nevus 2024", "quill", "", "melanoma " * 20])
def test_what_is_more_than_a_diagnosis_is_left_out(text: str) -> None:
    assert diagnosis_text(text) is None


def test_placeholders_are_no_patients() -> None:
    for text in ("", " ", "Anonymous", "UNKNOWN", "0", "n/a", "nan"):
        assert patient_text(text) is None
    assert patient_text(" 007 ") == "007"


def test_ages_are_rounded_to_five() -> None:
    assert [round_age(years) for years in (0, 2.4, 2.5, 47, 48, 121, -1, None)] == [0, 0, 5, 45, 50, None, None, None]
