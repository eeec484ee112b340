"""Segmentation: a lesion is outlined where it is, at full size, and where there is none the reason is given."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_lesions import draw_dark_corners, draw_hairs, paint, paint_skin

from longderm.errors import SourceNotFoundError
from longderm.imaging import segment
from longderm.imaging.fit import dice
from longderm.imaging.segmentation import DEFAULT_VERSION
from longderm.models import load_release
from longderm.photo import Photo


def outlined(pixels, **photo):
    return segment(Photo.from_array(pixels, **photo))


def test_a_lesion_is_outlined_at_full_size():
    pixels, truth = paint()
    result = outlined(pixels)
    assert result.found
    assert result.mask.shape == truth.shape
    assert result.mask.dtype == bool
    assert dice(result.mask, truth) > 0.9
    assert not result.touches_border
    assert result.reason is None
    assert result.model == f"segmentation/{DEFAULT_VERSION}"


@settings(deadline=None, max_examples=12)
@given(
    radius=st.floats(45, 150),
    turn_deg=st.floats(0, 360),
    x=st.floats(-60, 60),
    y=st.floats(-40, 40),
    gain=st.tuples(*[st.floats(0.9, 1.1)] * 3),
)
def test_wherever_it_lies_and_whatever_the_light(radius, turn_deg, x, y, gain):
    pixels, truth = paint(radius=radius, turn_deg=turn_deg, centre=(320 + x, 240 + y))
    lit = np.clip(pixels * np.array(gain), 0, 255).astype(np.uint8)
    assert dice(outlined(lit).mask, truth) > 0.85


@pytest.mark.parametrize("skin", [[245, 215, 200], [214, 170, 148], [150, 100, 72]])
def test_on_skin_of_several_tones(skin):
    pixels, truth = paint(skin=np.array(skin, float))
    assert dice(outlined(pixels).mask, truth) > 0.85


def test_through_hair_and_a_round_eyepiece():
    pixels, truth = paint()
    spoilt = draw_dark_corners(draw_hairs(pixels, 8)[0])[0]
    assert dice(outlined(spoilt).mask, truth) > 0.85


def test_the_mask_is_one_smooth_area_without_holes():
    mask = outlined(paint((1200, 1600), (800, 600), 220)[0]).mask
    parts, _ = cv2.connectedComponents(mask.astype(np.uint8))
    holes, _ = cv2.connectedComponents((~mask).astype(np.uint8), connectivity=4)
    contour = max(cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=len)
    longest_step = max(len(cv2.approxPolyDP(contour, tolerance, True)) for tolerance in (3.0,))
    assert parts == 2
    assert holes == 2
    assert longest_step < 60


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("skin", [[245, 215, 200], [214, 170, 148], [150, 100, 72]])
def test_there_is_no_lesion_on_plain_skin(skin, seed):
    result = outlined(paint_skin(skin=np.array(skin, float), seed=seed))
    assert not result.found
    assert not result.mask.any()
    assert result.reason
    assert result.confidence < 0.5


def test_a_difference_below_the_noise_is_no_lesion():
    shape = (480, 640)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    spot = np.hypot(columns - 320, rows - 240) < 80
    grain = np.random.default_rng(0).normal(0, 12, (*shape, 1))
    pixels = np.clip(np.array([214, 170, 148]) - 1.0 * spot[..., None] + grain, 0, 255).astype(np.uint8)
    assert not outlined(pixels).found


def test_a_lesion_cut_by_the_edge_says_so():
    pixels, truth = paint(centre=(560.0, 240.0), radius=130.0)
    result = outlined(pixels)
    assert result.touches_border
    assert dice(result.mask, truth) > 0.8
    assert "edge" in result.reason


def test_in_a_clinical_photo_what_runs_out_of_it_is_no_lesion():
    pixels, truth = paint(centre=(600.0, 240.0), radius=150.0)
    assert outlined(pixels).found
    assert not (outlined(pixels, modality="clinical").mask & truth).any()
    assert outlined(paint()[0], modality="clinical").found


def test_confidence_falls_with_contrast():
    pixels, _ = paint()
    plain = np.array([214.0, 170.0, 148.0])
    faded = [plain + (pixels - plain) * share for share in (1.0, 0.25, 0.08)]
    confidences = [outlined(np.clip(part, 0, 255).astype(np.uint8)).confidence for part in faded]
    assert all(better >= worse for better, worse in pairwise(confidences))
    assert confidences[0] > confidences[-1] + 0.1


def test_a_total_body_photo_is_not_outlined():
    result = outlined(paint()[0], modality="total_body")
    assert not result.found
    assert "total-body" in result.reason


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (23, 23), (24, 24), (900, 40), (40, 900)])
@pytest.mark.parametrize("kind", ["black", "white", "noise"])
def test_any_frame_has_an_answer_on_its_own_grid(shape, kind):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    pixels = {"black": noise * 0, "white": noise * 0 + 255, "noise": noise}[kind]
    result = outlined(pixels)
    assert result.mask.shape == shape
    assert result.found == bool(result.mask.any())
    assert result.found or result.reason


def test_the_mask_does_not_depend_on_threads_of_opencv():
    pixels = draw_hairs(paint()[0])[0]
    threads = cv2.getNumThreads()
    try:
        masks = []
        for count in (1, 4):
            cv2.setNumThreads(count)
            masks.append(outlined(pixels).mask)
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(*masks)


def test_the_release_that_drew_it_is_named_and_must_exist():
    release = load_release("segmentation", "0.1.0")
    assert segment(Photo.from_array(paint()[0]), release).model == release.name
    with pytest.raises(SourceNotFoundError):
        load_release("segmentation", "0.0.0")
