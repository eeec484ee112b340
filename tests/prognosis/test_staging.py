"""T categories of AJCC 8, as the manual's table prints them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longderm.errors import UsageError
from longderm.prognosis.staging import T_CATEGORIES, recorded_thickness_mm, t_category


@pytest.mark.parametrize(
    ("thickness_mm", "without", "with_ulceration", "unknown"),
    [
        (0.3, "T1a", "T1b", "T1"),
        (0.74, "T1a", "T1b", "T1"),
        (0.75, "T1b", "T1b", "T1b"),  # recorded as 0.8
        (1.0, "T1b", "T1b", "T1b"),
        (1.04, "T1b", "T1b", "T1b"),  # recorded as 1.0
        (1.05, "T2a", "T2b", "T2"),
        (2.0, "T2a", "T2b", "T2"),
        (2.1, "T3a", "T3b", "T3"),
        (4.0, "T3a", "T3b", "T3"),
        (4.04, "T3a", "T3b", "T3"),
        (4.05, "T4a", "T4b", "T4"),
        (12.0, "T4a", "T4b", "T4"),
    ],
)
def test_categories_follow_thickness_to_a_tenth_and_ulceration(thickness_mm, without, with_ulceration, unknown):
    assert t_category(thickness_mm, False) == without
    assert t_category(thickness_mm, True) == with_ulceration
    assert t_category(thickness_mm, None) == unknown


def test_what_is_not_measured_is_no_thin_melanoma():
    assert t_category(None, True) == "TX"
    assert t_category(None, None, in_situ=True) == "Tis"
    assert t_category(None, None, no_primary=True) == "T0"


@pytest.mark.parametrize(
    ("thickness_mm", "options"),
    [
        (0.0, {}),
        (-1.0, {}),
        (float("nan"), {}),
        (0.5, {"in_situ": True}),
        (None, {"in_situ": True, "no_primary": True}),
    ],
)
def test_contradictions_are_refused(thickness_mm, options):
    with pytest.raises(UsageError):
        t_category(thickness_mm, None, **options)


@given(st.floats(0.01, 60), st.floats(0.01, 60), st.sampled_from([None, True, False]))
def test_a_thicker_tumour_is_never_in_a_lower_category(one, other, ulcerated):
    thin, thick = sorted((one, other))
    places = [T_CATEGORIES.index(t_category(mm, ulcerated)[:2]) for mm in (thin, thick)]
    assert places[0] <= places[1]
    assert abs(recorded_thickness_mm(one) - one) <= 0.05 + 1e-9
