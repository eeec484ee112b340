"""Where a reader sees a simulated lesion end, and that the rule finds the level at which outlines were drawn."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from longderm.imaging.colour import srgb_to_lab
from longderm.imaging.fit import dice
from longderm.training.examples import make_example
from longderm.training.visible_border import ReaderLine, draw_scene, fit_reader_line, line_around, visible_border


def number_of(kind):
    """The first scene of a kind: they come in turn."""
    return next(number for number in range(20) if draw_scene(4, number).history.kind == kind)


def test_scenes_show_the_kinds_that_are_asked_for_in_turn():
    kinds = ("solar_lentigo", "angioma")
    assert [draw_scene(4, number, kinds=kinds).history.kind for number in range(3)] == [*kinds, kinds[0]]


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


def test_a_rougher_scene_is_the_same_lesion_with_another_border():
    smooth, rough = (draw_scene(4, number_of("melanoma_in_situ"), roughness) for roughness in (1.0, 2.0))
    assert smooth.state == rough.state
    assert rough.mask.sum() == pytest.approx(smooth.mask.sum(), rel=0.05)
    assert length(rough.mask) > 1.1 * length(smooth.mask)


def length(mask):
    return cv2.arcLength(max(cv2.findContours(mask.astype(np.uint8), 0, 1)[0], key=len), True)


def test_darker_lesions_have_a_line_of_more_contrast_but_less_than_in_proportion():
    line = ReaderLine(contrast=6.0, power=0.5)
    assert line.threshold(20.0) == pytest.approx(6.0)
    assert line.threshold(80.0) == pytest.approx(12.0)
    assert line.threshold(-1.0) == 0.0


def test_the_line_holds_the_largest_piece_without_holes():
    contrast = np.zeros((60, 60), np.float32)
    cv2.circle(contrast, (25, 25), 15, 20.0, -1)
    cv2.circle(contrast, (25, 25), 4, 1.0, -1)
    cv2.circle(contrast, (52, 52), 4, 20.0, -1)
    seen = line_around(contrast, 10.0)
    assert seen[25, 25] and not seen[52, 52] and seen[25, 12]
    assert not line_around(np.zeros((60, 60), np.float32), 10.0).any()


@pytest.mark.parametrize("power", [0.4, 1.0])
def test_the_line_by_which_outlines_were_drawn_is_found(power):
    line = ReaderLine(contrast=8.0, power=power)
    rows, columns = np.mgrid[:300, :300]
    examples = []
    for number in range(24):
        depth = 70 + 2 * (number % 12) - np.hypot(rows - 150, columns - 150)
        share = 1 / (1 + np.exp(-depth / 8))
        pixels = np.round(np.array([210, 170, 150]) - share[..., None] * (20.0 + 4 * number)).astype(np.uint8)
        examples.append(make_example(str(number), pixels, outlined(pixels, depth > 0, line), None, 1.0))
    found, left = fit_reader_line(examples)
    assert found.power == pytest.approx(power, abs=0.21)
    assert found.contrast == pytest.approx(line.contrast, rel=0.1)
    assert left < 0.02


def outlined(pixels, within, line):
    lab = srgb_to_lab(pixels)
    contrast = np.linalg.norm(lab - lab[5, 5], axis=2)
    return contrast > line.threshold(float(np.median(contrast[within])))
