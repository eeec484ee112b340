"""The benchmark's own truth of symmetry: what is folded onto itself has none to lose."""

from __future__ import annotations

import numpy as np
import pytest

from longderm.bench.change_symmetry import asymmetry_moved, folded_asymmetry
from longderm.bench.change_tissue import Lesion

SIDE = 160


def lesion(dark=0.0, bulge=0.0, turn_deg=0.0, zoom=1.0):
    """An ellipse with a darker right end and a bulge there, turned about its middle."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2.0
    angle = np.deg2rad(turn_deg)
    along, across = (np.cos(angle) * x + np.sin(angle) * y) / zoom, (np.cos(angle) * y - np.sin(angle) * x) / zoom
    mask = (np.hypot(along / 40, across / 30) < 1) | (np.hypot(along - bulge, across - bulge / 2) < 20)
    pixels = np.full((SIDE, SIDE, 3), (205, 170, 150), np.uint8)
    pixels[mask] = (140, 95, 80)
    pixels[mask & (along > 10)] = np.array([140, 95, 80]) - np.uint8(dark)
    return Lesion(pixels, mask)


def test_an_even_ellipse_is_symmetric():
    of_shape, of_colour = folded_asymmetry(lesion())
    assert of_shape < 0.02 and of_colour < 0.3


def test_more_on_one_side_is_less_symmetric_in_shape_or_in_colour():
    shape = [folded_asymmetry(lesion(bulge=bulge))[0] for bulge in (0, 28, 40)]
    colour = [folded_asymmetry(lesion(dark=dark))[1] for dark in (0, 20, 50)]
    assert shape[0] < shape[1] < shape[2] and colour[0] < colour[1] < colour[2]
    moved = asymmetry_moved(lesion(), lesion(dark=50))
    assert abs(moved[0]) < 0.01 and moved[1] > 3
    assert asymmetry_moved(lesion(dark=50), lesion()) == pytest.approx((-moved[0], -moved[1]))


@pytest.mark.parametrize(("turn_deg", "zoom"), [(37, 1.0), (90, 1.0), (12, 0.6), (0, 1.3)])
def test_pose_and_size_leave_it_as_it_is(turn_deg, zoom):
    as_is, moved = folded_asymmetry(lesion(40, 30)), folded_asymmetry(lesion(40, 30, turn_deg, zoom))
    assert moved[0] == pytest.approx(as_is[0], abs=0.015) and moved[1] == pytest.approx(as_is[1], rel=0.12)


def test_nothing_cannot_be_folded():
    with pytest.raises(ValueError, match="nothing"):
        folded_asymmetry(Lesion(np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), bool)))
