"""Alignment finds the transform of a pair, or refuses and says why."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longderm.photo import Photo
from longderm.registration import align, keypoints, prepare
from longderm.registration.similarity import apply, distance, inverse, rotation_deg_of, scale_of

from .scenes import SHAPE, photograph, pose_of, prepared, scene

CENTRE = complex((SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2)


def off_by(found, true) -> float:
    """Distance between two transforms over the lesion (75 px radius), follow-up pixels."""
    return distance(found, true, CENTRE, 75.0)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    scale=st.floats(0.7, 1.4),
    rotation=st.floats(-180.0, 180.0),
    dx=st.floats(-40.0, 40.0),
    dy=st.floats(-30.0, 30.0),
)
def test_a_known_similarity_is_recovered_to_a_quarter_of_a_pixel(scale, rotation, dx, dy):
    first, second = pose_of(), pose_of(scale, rotation, dx, dy)
    result = align(prepared(1, first, 11), prepared(1, second, 12))
    true = second @ inverse(first)
    assert result.accepted, result.reason
    assert off_by(result.matrix, true) < 0.25 * max(1.0, scale)
    assert result.scale == pytest.approx(scale, rel=0.003)
    assert result.reason is None
    assert result.confidence > 0.5


def test_a_half_turn_of_the_pixels_maps_centre_to_centre_exactly():
    """Pixel (x, y) of a photo turned by 180 degrees lies at (W - 1 - x, H - 1 - y): any half-pixel shift shows."""
    plane, mask = scene(2)
    photo, segmentation = photograph(plane, mask, pose_of(), 21)
    turned = Photo.from_array(photo.pixels[::-1, ::-1])
    mask_turned = type(segmentation)(**{**vars(segmentation), "mask": segmentation.mask[::-1, ::-1]})
    result = align(prepare(photo, segmentation), prepare(turned, mask_turned))
    corners = np.array([[0.0, 0.0], [SHAPE[1] - 1.0, 0.0], [100.0, 200.0]])
    expected = np.array([SHAPE[1] - 1.0, SHAPE[0] - 1.0]) - corners
    assert result.accepted
    assert np.abs(apply(result.matrix, corners) - expected).max() < 0.02


def test_a_half_turn_of_a_photo_that_is_reduced_unevenly_keeps_pixel_centres():
    """613 x 457 pixels do not divide into any pyramid: the reduced grids must still keep centres."""
    import cv2

    plane, mask = scene(3)
    window = cv2.warpAffine(plane, np.array([[1.0, 0, -90.0], [0, 1.0, -70.0]]), (613, 457))
    seen = cv2.warpAffine(mask.astype(np.uint8), np.array([[1.0, 0, -90.0], [0, 1.0, -70.0]]), (613, 457)) > 0
    _, segmentation = photograph(plane, mask, pose_of(), 31)
    upright = type(segmentation)(**{**vars(segmentation), "mask": seen})
    turned = type(segmentation)(**{**vars(segmentation), "mask": seen[::-1, ::-1]})
    result = align(prepare(Photo.from_array(window), upright), prepare(Photo.from_array(window[::-1, ::-1]), turned))
    assert result.accepted
    point = np.array([[300.0, 200.0], [10.0, 450.0]])
    assert np.abs(apply(result.matrix, point) - (np.array([612.0, 456.0]) - point)).max() < 0.03


def test_the_matrix_is_a_similarity_with_positive_determinant():
    matrix = align(prepared(1, pose_of(), 11), prepared(1, pose_of(1.2, 33.0, 5.0, 9.0), 12)).matrix
    assert matrix.shape == (3, 3)
    assert matrix.dtype == np.float64
    assert np.linalg.det(matrix) > 0
    assert matrix[0, 0] == matrix[1, 1]
    assert matrix[0, 1] == -matrix[1, 0]
    assert matrix[2].tolist() == [0.0, 0.0, 1.0]


def test_a_photo_and_its_prepared_form_give_the_same_answer():
    plane, mask = scene(4)
    first, _ = photograph(plane, mask, pose_of(), 41)
    second, _ = photograph(plane, mask, pose_of(1.1, 20.0, 4.0, -7.0), 42)
    from_photos = align(first, second)
    from_prepared = align(prepare(first), prepare(second))
    mixed = align(first, prepare(second))
    assert np.array_equal(from_photos.matrix, from_prepared.matrix)
    assert np.array_equal(from_photos.matrix, mixed.matrix)
    assert from_photos.confidence == from_prepared.confidence == mixed.confidence


def test_the_same_pair_gives_the_same_bits_whatever_is_aligned_before():
    first, second = prepared(1, pose_of(), 11), prepared(1, pose_of(0.9, 150.0), 12)
    alone = align(first, second)
    align(prepared(5, pose_of(), 51), second)
    again = align(first, second)
    assert alone.matrix.tobytes() == again.matrix.tobytes()
    assert alone.confidence == again.confidence


def test_swapping_the_photos_inverts_the_transform():
    first, second = prepared(1, pose_of(), 11), prepared(1, pose_of(1.15, -70.0, 12.0, 8.0), 12)
    forward, backward = align(first, second), align(second, first)
    assert off_by(forward.matrix, inverse(backward.matrix)) < 0.1
    assert rotation_deg_of(forward.matrix) == pytest.approx(-rotation_deg_of(backward.matrix), abs=0.05)


def test_a_mirrored_photo_is_refused_and_said_to_be_mirrored():
    plane, mask = scene(1)
    mirrored = prepare(*photograph(plane[:, ::-1], mask[:, ::-1], pose_of(1.0, 25.0), 13))
    result = align(prepared(1, pose_of(), 11), mirrored)
    assert not result.accepted
    assert "mirrored" in result.reason


@pytest.mark.parametrize("other", [6, 7])
def test_another_lesion_is_refused(other):
    result = align(prepared(1, pose_of(), 11), prepared(other, pose_of(), 14))
    assert not result.accepted
    assert "lesion" in result.reason
    assert result.confidence < 0.5


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_blank_photo_is_refused_with_its_role_named(grey):
    blank = Photo.from_array(np.full((100, 100, 3), grey, np.uint8))
    result = align(prepared(1, pose_of(), 11), blank)
    assert not result.accepted
    assert result.matrix is None
    assert result.confidence == 0.0
    assert result.reason.startswith("the follow-up photo")
    assert align(blank, blank).reason.startswith("the baseline photo")


def test_a_follow_up_that_is_blurred_beyond_texture_is_refused():
    import cv2

    plane, mask = scene(1)
    second, segmentation = photograph(plane, mask, pose_of(1.0, 100.0, 20.0), 12)
    blurred = Photo.from_array(cv2.GaussianBlur(second.pixels, (0, 0), 40.0))
    result = align(prepared(1, pose_of(), 11), prepare(blurred, segmentation))
    assert not result.accepted
    assert result.reason


@pytest.mark.parametrize("shape", [(8, 8), (1, 1), (3, 200)])
def test_photos_of_a_few_pixels_are_refused_without_an_error(shape):
    tiny = Photo.from_array(np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8))
    result = align(tiny, tiny)
    assert not result.accepted
    assert result.reason


def test_a_known_scale_binds_the_transform():
    """A lesion that grew evenly looks like a larger scale; with the scale known it must not be absorbed."""
    first, second = prepared(1, pose_of(), 11), prepared(1, pose_of(1.02, 15.0), 12)
    free, bound = align(first, second), align(first, second, scale_hint=1.0)
    assert free.scale == pytest.approx(1.02, rel=0.002)
    assert abs(np.log(bound.scale)) <= 0.0283
    far = align(first, second, scale_hint=1.4)
    assert not far.accepted or abs(np.log(far.scale / 1.4)) <= 0.0283


def test_scales_of_both_photos_are_used_and_a_tight_error_binds_tightly():
    plane, mask = scene(1)
    first = prepare(*photograph(plane, mask, pose_of(), 11, px_per_mm=20.0))
    photo, segmentation = photograph(plane, mask, pose_of(1.02, 15.0), 12)
    exact = Photo.from_array(photo.pixels, px_per_mm=20.0, px_per_mm_error=0.0)
    exact_first = prepare(
        Photo.from_array(photograph(plane, mask, pose_of(), 11)[0].pixels, px_per_mm=20.0, px_per_mm_error=0.0),
        photograph(plane, mask, pose_of(), 11)[1],
    )
    result = align(exact_first, prepare(exact, segmentation))
    assert result.scale == pytest.approx(1.0, abs=1e-9)
    loose = align(first, prepare(photo, segmentation))
    assert loose.scale == pytest.approx(1.02, rel=0.002)


@pytest.mark.parametrize("hint", [0.0, -1.0, float("nan"), float("inf")])
def test_a_hint_that_is_no_scale_is_an_error(hint):
    blank = Photo.from_array(np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(ValueError, match="scale_hint"):
        align(blank, blank, scale_hint=hint)


def test_hair_that_differs_does_not_move_the_transform():
    import cv2

    plane, mask = scene(1)
    pose = pose_of(1.05, 40.0, 6.0, 3.0)
    photo, segmentation = photograph(plane, mask, pose, 12)
    pixels = photo.pixels.copy()
    for offset in range(-120, 160, 40):
        cv2.line(pixels, (offset, 0), (offset + 260, SHAPE[0] - 1), (40, 30, 25), 2, cv2.LINE_AA)
    result = align(prepared(1, pose_of(), 11), prepare(Photo.from_array(pixels), segmentation))
    assert result.accepted, result.reason
    assert off_by(result.matrix, pose @ inverse(pose_of())) < 0.3


def test_overlap_is_the_share_of_the_baseline_that_is_seen():
    whole = align(prepared(1, pose_of(), 11), prepared(1, pose_of(), 12))
    near = align(prepared(1, pose_of(), 11), prepared(1, pose_of(1.4), 12))
    assert whole.overlap == pytest.approx(1.0, abs=0.05)
    assert near.overlap == pytest.approx(1 / 1.4**2, abs=0.06)
    assert scale_of(near.matrix) == near.scale


def test_threads_do_not_change_the_bits():
    import cv2
    import torch

    threads = torch.get_num_threads(), cv2.getNumThreads()
    results = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            cv2.setNumThreads(count)
            results.append(align(prepared(1, pose_of(), 11), prepared(6, pose_of(1.1, 20.0), 12)))
    finally:
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])
    assert results[0].matrix.tobytes() == results[1].matrix.tobytes()
    assert results[0].confidence == results[1].confidence


def test_a_stated_scale_that_the_photos_contradict_is_named():
    first, second = prepared(1, pose_of(), 11), prepared(1, pose_of(1.3, 15.0), 12)
    result = align(first, second, scale_hint=1.0)
    assert not result.accepted
    assert "1.30" in result.reason
    assert "stated 1.00" in result.reason


def test_two_lesions_in_one_view_are_not_laid_over_each_other():
    """The skin matches, but each photo's mask names another lesion of it: that is no pair."""
    plane, mask = scene(1)
    elsewhere = np.roll(mask, (90, 140), (0, 1))
    first = prepare(*photograph(plane, mask, pose_of(0.8), 11))
    second = prepare(*photograph(plane, elsewhere, pose_of(0.8, 30.0), 12))
    result = align(first, second)
    assert not result.accepted
    assert "same lesion" in result.reason


def test_a_mask_that_nobody_trusts_does_not_speak_against_a_match():
    plane, mask = scene(1)
    photo, segmentation = photograph(plane, mask, pose_of(0.8, 30.0), 12)
    doubtful = {**vars(segmentation), "confidence": 0.2, "mask": np.roll(segmentation.mask, (80, 120), (0, 1))}
    result = align(prepared(1, pose_of(0.8), 11), prepare(photo, type(segmentation)(**doubtful)))
    assert result.accepted, result.reason


def test_a_camera_with_four_times_the_pixels_is_no_obstacle():
    import cv2

    plane, mask = scene(1)
    photo, segmentation = photograph(plane, mask, pose_of(1.0, 15.0), 12)
    size = (4 * SHAPE[1], 4 * SHAPE[0])
    large = Photo.from_array(cv2.resize(photo.pixels, size, interpolation=cv2.INTER_CUBIC))
    enlarged = cv2.resize(segmentation.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    result = align(
        prepared(1, pose_of(), 11), prepare(large, type(segmentation)(**{**vars(segmentation), "mask": enlarged}))
    )
    assert result.accepted, result.reason
    assert result.scale == pytest.approx(4.0, rel=0.002)


def test_alignment_leaves_the_thread_counts_as_they_were():
    import cv2
    import torch

    before = torch.get_num_threads(), cv2.getNumThreads()
    align(prepared(1, pose_of(), 11), prepared(1, pose_of(1.1), 12))
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before


def test_a_mirrored_photo_has_the_keypoints_of_the_photo_that_it_would_be():
    """Flipped, a prepared photo meets the prepared flipped photo: by keypoints alone, since those settle the match."""
    plane, mask = scene(5)
    photo, segmentation = photograph(plane, mask, pose_of(), 51)
    turned = type(segmentation)(**{**vars(segmentation), "mask": np.ascontiguousarray(segmentation.mask[:, ::-1])})
    flipped = prepare(Photo.from_array(np.ascontiguousarray(photo.pixels[:, ::-1])), turned)
    mirrored = prepare(photo, segmentation).mirrored()
    assert len(mirrored.keypoints.points) == pytest.approx(len(flipped.keypoints.points), rel=0.1)
    fitted = keypoints.fit(keypoints.match(mirrored.keypoints, flipped.keypoints, 384), (-1.0, 1.0))
    assert fitted is not None and off_by(fitted, np.eye(3)) < 1.0
