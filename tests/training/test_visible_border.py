"""Where a reader sees a simulated lesion end, and that the rule finds the level at which outlines were drawn."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from longderm.imaging.fit import dice
from longderm.training.examples import make_example
from longderm.training.visible_border import above_level, draw_scene, fit_reader_level, visible_border


def number_of(kind):
    """The first scene of a kind: they come in turn."""
    return next(number for number in range(20) if draw_scene(4, number).history.kind == kind)


def with_course(drawn, **course):
    return replace(drawn, state=replace(drawn.state, course={**drawn.state.course, **course}))


def test_a_dark_even_lesion_is_seen_where_it_was_drawn():
    drawn = draw_scene(4, number_of("common_nevus"))
    assert dice(visible_border(drawn), drawn.mask) > 0.93


def test_inflamed_skin_around_a_lesion_is_not_the_lesion():
    drawn = draw_scene(4, number_of("irritated_nevus"))
    calm, inflamed = (visible_border(with_course(drawn, redness=red)) for red in (0.0, 1.0))
    assert np.array_equal(calm, inflamed)


def test_scar_like_skin_in_a_lesion_is_part_of_it():
    drawn = draw_scene(4, number_of("melanoma_invasive"))
    whole, regressed = (visible_border(with_course(drawn, regression=share)) for share in (0.0, 1.0))
    assert np.array_equal(whole, regressed)


def test_the_line_holds_the_largest_piece_without_holes():
    contrast, mask = np.zeros((60, 60), np.float32), np.zeros((60, 60), bool)
    cv2.circle(contrast, (25, 25), 15, 20.0, -1)
    cv2.circle(contrast, (25, 25), 4, 1.0, -1)
    cv2.circle(contrast, (52, 52), 4, 20.0, -1)
    mask[12:38, 12:38] = True
    seen = above_level(contrast, mask, 0.5)
    assert seen[25, 25] and not seen[52, 52] and seen[25, 12]
    assert not above_level(np.zeros((60, 60), np.float32), mask, 0.5).any()


@pytest.mark.parametrize("level", [0.3, 0.5, 0.7])
def test_the_level_at_which_outlines_were_drawn_is_found(level):
    rows, columns = np.mgrid[:300, :300]
    examples = []
    for number in range(12):
        radius = 70 + 2 * number
        share = 1 / (1 + np.exp((np.hypot(rows - 150, columns - 150) - radius) / 2.5))
        pixels = np.round(np.array([210, 170, 150]) - share[..., None] * np.array([90, 80, 70])).astype(np.uint8)
        examples.append(make_example(str(number), pixels, share > level, None, 1.0))
    found, left = fit_reader_level(examples)
    assert found == pytest.approx(level, abs=0.1)
    assert left < 0.02
