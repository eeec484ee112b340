"""Outlines hold the area that is asked of them, however they grow."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from longderm.simulate.outline import area_mm2, draw_lobe, draw_outline, grow

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=40, deadline=None)
@given(seeds, st.floats(0, 1), st.floats(1, 2), st.floats(1, 80), st.floats(1, 3), st.floats(0, 1))
def test_growth_reaches_the_area_asked_for(seed, irregularity, elongation, area, factor, one_sided):
    rng = np.random.default_rng(seed)
    radii = draw_outline(rng, irregularity, elongation) * np.sqrt(area)
    grown = grow(radii, draw_lobe(rng), area * factor, one_sided)
    assert np.isclose(area_mm2(radii), area)
    assert np.isclose(area_mm2(grown), area * factor)
    assert np.all(grown >= radii - 1e-9)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_one_sided_growth_moves_the_centre_and_growth_all_round_does_not(seed):
    rng = np.random.default_rng(seed)
    radii, lobe = draw_outline(rng, 0.3, 1.2), draw_lobe(rng)
    theta = np.arange(len(radii)) * 2 * np.pi / len(radii)

    def centre(r):
        weight = r**3 / 3
        return np.array([np.sum(weight * np.cos(theta)), np.sum(weight * np.sin(theta))]) / np.sum(r**2 / 2)

    before = centre(radii) / np.sqrt(area_mm2(radii))
    around = centre(grow(radii, lobe, 1.5, 0.0)) / np.sqrt(1.5)
    aside = centre(grow(radii, lobe, 1.5, 1.0)) / np.sqrt(1.5)
    assert np.linalg.norm(around - before) < 1e-9
    assert np.linalg.norm(aside - before) > 0.02


def test_irregular_outlines_are_longer_than_smooth_ones():
    def perimeter(irregularity):
        lengths = []
        for seed in range(20):
            r = draw_outline(np.random.default_rng(seed), irregularity, 1.2)
            theta = np.arange(len(r)) * 2 * np.pi / len(r)
            points = np.stack([r * np.cos(theta), r * np.sin(theta)], 1)
            lengths.append(np.linalg.norm(np.diff(points, axis=0, append=points[:1]), axis=1).sum())
        return np.mean(lengths)

    assert perimeter(0.1) < perimeter(0.5) < perimeter(1.0)
