"""The lesion's outline lies where the mask is, in the photo's own frame and in the baseline's."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from longderm.report.outline import outlines, path, to_baseline
from tests.report.builder import HEIGHT, WIDTH, draw_mask, png, steady


@steady
@given(st.integers(20, 230))
def test_the_outline_of_a_disc_is_a_circle_around_its_middle(radius_px: int) -> None:
    (border,) = outlines(draw_mask(radius_px), WIDTH, HEIGHT)
    away = np.hypot(border[:, 0] - WIDTH / 2, border[:, 1] - HEIGHT / 2)
    assert np.abs(away - radius_px).max() < 2.5, "a traced pixel is 1.25 native ones"


def test_an_outline_is_told_on_the_native_grid_whatever_the_size_of_the_mask() -> None:
    (small,) = outlines(draw_mask(100), WIDTH, HEIGHT)
    (large,) = outlines(draw_mask(100), WIDTH * 4, HEIGHT * 4)
    assert (large + 0.5) == pytest.approx((small + 0.5) * 4)


def test_two_spots_give_two_outlines_the_larger_first_and_an_empty_mask_none() -> None:
    image = Image.new("1", (WIDTH, HEIGHT), 0)
    assert outlines(png(image), WIDTH, HEIGHT) == []
    pen = ImageDraw.Draw(image)
    pen.ellipse((50, 50, 90, 90), fill=1)
    pen.ellipse((300, 200, 500, 400), fill=1)
    larger, smaller = outlines(png(image), WIDTH, HEIGHT)
    assert (larger.min(axis=0) + larger.max(axis=0)) / 2 == pytest.approx([400, 300], abs=1.5)
    assert (smaller.min(axis=0) + smaller.max(axis=0)) / 2 == pytest.approx([70, 70], abs=1.5)


def test_what_is_no_picture_has_no_outline() -> None:
    assert outlines(b"no picture", WIDTH, HEIGHT) == []


@steady
@given(st.floats(-180, 180), st.floats(0.3, 3.0), st.floats(-500, 500), st.floats(-500, 500))
def test_what_the_alignment_carries_to_the_follow_up_comes_back_to_the_baseline(
    degrees: float, scale: float, right: float, down: float
) -> None:
    a, b = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    matrix = np.array([[a, -b, right], [b, a, down], [0, 0, 1]])
    points = np.array([[0.0, 0.0], [639.0, 0.0], [120.5, 400.25]])
    moved = np.column_stack([points, np.ones(3)]) @ matrix.T
    assert to_baseline(moved[:, :2], matrix.ravel().tolist()) == pytest.approx(points, abs=1e-6)


def test_a_path_counts_from_the_pictures_corner_and_closes_every_border() -> None:
    drawn = path([np.array([[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]]), np.array([[1.0, 1.0], [2.0, 1.0], [2.0, 2.0]])])
    assert re.findall("[MZ]", drawn) == ["M", "Z", "M", "Z"]
    assert drawn.startswith("M0.5,0.5 9.5,0.5 9.5,9.5Z")
