"""The interval of a nested model's gain: nothing where the test says nothing, wider where gains stray."""

import numpy as np
import pytest

from longderm.prognosis.cox import chi_square
from longderm.prognosis.nested_gain import nested_gain


def interval(statistic, df=1, worth=1e-3, stray=0.0):
    rng = np.random.default_rng(4)
    ratios = np.clip(statistic + 1 + 2 * np.sqrt(statistic + 1) * rng.normal(size=400), 0.1, None)
    gains = worth * ratios + stray * np.sqrt(ratios) * rng.normal(size=400)
    return nested_gain(chi_square(statistic, df), gains, ratios)


@pytest.mark.parametrize("df", [1, 3])
def test_zero_is_excluded_exactly_where_the_test_is_significant(df):
    for statistic in (0.0, 0.5, 3.8, 3.9, 7.7, 7.9, 40.0):
        for stray in (0.0, 0.002):
            for worth in (1e-3, -1e-3):
                found = interval(statistic, df, worth, stray)
                assert (found.lower * found.upper > 0) == (chi_square(statistic, df).p_value < 0.05)
                assert found.lower <= found.value <= found.upper


def test_gains_that_stray_from_their_worth_widen_both_ends():
    sure, unsure = interval(60.0), interval(60.0, stray=0.002)
    assert unsure.lower < sure.lower and unsure.upper > sure.upper
    assert unsure.value == pytest.approx(sure.value, rel=0.05)
    # far from zero the two spreads add up as variances: 2 w sqrt(statistic) and stray sqrt(statistic)
    half = 1.96 * np.sqrt(60.0) * np.hypot(2e-3, 0.002)
    assert (unsure.upper - unsure.lower) / 2 == pytest.approx(half, rel=0.1)


def test_less_error_is_a_gain_with_both_ends_below_zero():
    more, less = interval(30.0, worth=1e-3, stray=0.001), interval(30.0, worth=-1e-3, stray=-0.001)
    assert (less.lower, less.upper) == pytest.approx((-more.upper, -more.lower))
