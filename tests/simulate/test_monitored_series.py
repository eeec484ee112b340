"""Monitored lesions in memory: their courses, their photos, and the hash of what they are drawn from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from longderm.simulate.frozen import distributions, frozen_text
from longderm.simulate.history import MELANOMA_KINDS, USUAL, changed_ways
from longderm.simulate.monitored import MONITORED
from longderm.simulate.series import BENIGN, MELANOMA, draw_monitored, photograph

COUNT = 400


def states(kind, courses=MONITORED, visits=2):
    for index in range(COUNT):
        plan = draw_monitored(9, index, kind, visits, courses=courses)
        lesion = plan.lesions[0]
        yield lesion.history, [lesion.history.state_at(plan.month(lesion, visit)) for visit in lesion.visits]


def share_with(way, kind, courses=MONITORED):
    return np.mean([way in changed_ways(first, second) for _, (first, second) in states(kind, courses)])


def test_within_three_months_some_melanomas_show_nothing_and_some_growing_naevi_do():
    silent = np.mean([not changed_ways(first, second) for _, (first, second) in states(MELANOMA)])
    assert 0.01 < silent < 0.3
    assert share_with("colour", MELANOMA) > share_with("colour", "growing_nevus") > 0.02
    # In the courses of archives they are apart: every melanoma shows, no growing naevus changes its colour.
    assert all(changed_ways(first, second) for _, (first, second) in states(MELANOMA, USUAL))
    assert share_with("colour", "growing_nevus", USUAL) == 0.0


def test_growth_keeps_its_published_mean_under_either_course():
    growth = [history.growth_mm2_per_month for history, _ in states("growing_nevus")]
    assert np.mean(growth) == pytest.approx(0.25, abs=0.01)


def test_benign_lesions_as_monitored_are_never_melanomas_and_mostly_at_rest():
    kinds = [history.kind for history, _ in states(BENIGN)]
    assert not set(kinds) & set(MELANOMA_KINDS)
    assert 0.08 < np.mean([history.evolving for history, _ in states(BENIGN)]) < 0.2


def test_the_first_follow_up_comes_after_three_months_as_in_short_term_monitoring():
    gaps = [
        (plan.visit_days[1] - plan.visit_days[0]).days for plan in (draw_monitored(9, i, BENIGN, 3) for i in range(50))
    ]
    assert all(80 <= gap < 110 for gap in gaps)


def test_a_melanoma_at_rest_looks_the_same_at_every_visit_but_for_the_photo():
    plan = draw_monitored(9, 3, MELANOMA, 2, at_rest=True)
    first, second = (plan.lesions[0].history.state_at(month) for month in (0.0, 9.0))
    assert first == second
    evolving = draw_monitored(9, 3, MELANOMA, 2)
    assert evolving.lesions[0].history.area_mm2 == plan.lesions[0].history.area_mm2


def test_photos_of_a_series_are_the_same_again_and_show_the_lesion_at_its_scale():
    plan = draw_monitored(9, 1, "growing_nevus", 2)
    photos, again = photograph(plan), photograph(plan)
    for one, other in zip(photos, again, strict=True):
        assert (one.pixels == other.pixels).all() and (one.mask == other.mask).all()
        assert one.mask.sum() / one.px_per_mm**2 == pytest.approx(one.state.area_mm2, rel=0.05)
        assert one.px_per_mm_stated is None or one.px_per_mm_stated == pytest.approx(one.px_per_mm, rel=0.05)
    assert (photos[1].day - photos[0].day).days >= 80
    assert photos[1].state.area_mm2 > photos[0].state.area_mm2


def test_the_hash_of_the_distributions_stands_until_one_of_them_moves():
    text, digest = frozen_text(distributions(MONITORED))
    assert frozen_text(distributions(MONITORED)) == (text, digest)
    moved = replace(MONITORED, melanoma_pace_months=(10.0, 0.5, 2.0, 18.0))
    assert frozen_text(distributions(moved))[1] != digest
    for stated in ("truncated_at", "sign", "measuring_noise", "scale_error_relative_sd", "code_sha256"):
        assert f'"{stated}"' in text
