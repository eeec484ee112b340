"""Quality: the score falls with what makes a photo unfit, and the reason is named."""

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from painted_lesions import draw_dark_corners, draw_hairs, paint, paint_skin

from longderm.errors import RefusedError
from longderm.imaging import assess_quality, segment
from longderm.imaging.artefacts import find_artefacts
from longderm.imaging.quality import NO_LESION
from longderm.models import load_release
from longderm.photo import Photo
from longderm.schema import TABLES


def quality(pixels):
    return assess_quality(Photo.from_array(pixels))


def darken(pixels, share):
    return (pixels * share).astype(np.uint8)


def blur(pixels, sigma):
    return cv2.GaussianBlur(pixels, (0, 0), sigma)


def test_a_good_photo_is_good_and_has_no_reasons():
    result = quality(paint()[0])
    assert result.score > 0.8
    assert result.reasons == ()


def test_features_are_the_columns_of_the_quality_table():
    columns = [field.name for field in TABLES["quality"].schema]
    features = quality(paint()[0]).features
    assert list(features) == [name for name in columns if name in features]
    assert len(features) == 17


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda pixels: blur(pixels, 25), "blurred"),
        (lambda pixels: darken(pixels, 0.2), "too dark"),
        (lambda pixels: draw_hairs(pixels, 120)[0], "hair"),
        (lambda pixels: draw_dark_corners(pixels, 0.3)[0], "dark corners or borders"),
        (lambda pixels: pixels[::16, ::16].copy(), "too small"),
        (lambda pixels: pixels[..., ::-1] // 2 + np.array([0, 0, 120], np.uint8), "colours are not those of skin"),
    ],
)
def test_what_is_wrong_is_named_and_costs_score(spoil, reason):
    good, spoilt = quality(paint()[0]), quality(np.ascontiguousarray(spoil(paint()[0])))
    assert reason in spoilt.reasons
    assert spoilt.score < good.score - 0.15


def test_glare_is_named():
    pixels = paint()[0]
    pixels[::12, :, :] = 255
    pixels[1::12, :, :] = 255
    assert "glare" in quality(pixels).reasons


@pytest.mark.parametrize("worsen", [lambda p, k: blur(p, 8 * k), lambda p, k: darken(p, 1 - 0.17 * k)])
def test_the_score_falls_step_by_step(worsen):
    pixels = paint(noise=0.5)[0]
    scores = [quality(worsen(pixels, step)).score for step in range(1, 6)]
    assert all(worse <= better + 0.005 for better, worse in pairwise(scores))
    assert quality(pixels).score > scores[-1] + 0.15


def test_a_photo_without_lesion_says_so():
    result = quality(paint_skin())
    assert NO_LESION in result.reasons
    assert result.score < quality(paint()[0]).score


def test_a_cut_lesion_is_named():
    pixels, mask = paint()
    columns = np.flatnonzero(mask.any(axis=0))
    cut = quality(np.ascontiguousarray(pixels[:, (columns[0] + columns[-1]) // 2 :]))
    assert "the lesion is cut by the edge of the photo" in cut.reasons
    assert cut.score < quality(pixels).score - 0.15


def test_a_total_body_photo_is_judged_without_a_lesion():
    photo = Photo.from_array(paint_skin(), modality="total_body")
    assert NO_LESION not in assess_quality(photo).reasons


def test_an_outline_of_another_photo_is_refused():
    small = segment(Photo.from_array(paint((300, 400), (200, 150), 60)[0]))
    with pytest.raises(ValueError, match="same photo"):
        assess_quality(Photo.from_array(paint()[0]), segmentation=small)


def test_what_is_at_hand_need_not_be_found_again(monkeypatch):
    photo = Photo.from_array(paint()[0])
    artefacts, outline = find_artefacts(photo.pixels), segment(photo)
    alone = assess_quality(photo)
    monkeypatch.setattr("longderm.imaging.quality.segment", None)
    monkeypatch.setattr("longderm.imaging.quality.find_artefacts", None)
    assert assess_quality(photo, artefacts, outline) == alone


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (7, 9), (2000, 31)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_any_frame_has_an_answer(shape, level):
    result = quality(np.full((*shape, 3), level, np.uint8))
    assert 0 <= result.score < 0.5


def test_the_score_does_not_depend_on_threads_of_opencv():
    threads = cv2.getNumThreads()
    pixels = draw_hairs(paint_skin())[0]
    try:
        results = []
        for count in (1, 4):
            cv2.setNumThreads(count)
            results.append(quality(pixels))
    finally:
        cv2.setNumThreads(threads)
    assert results[0] == results[1]


def test_a_release_fitted_to_other_signs_is_refused():
    release = load_release("quality", "0.2.0")
    other = replace(release, config=release.config | {"signs": release.config["signs"][::-1]})
    with pytest.raises(RefusedError, match="other signs"):
        assess_quality(Photo.from_array(paint()[0]), release=other)


def test_the_first_release_judges_as_it_always_did():
    first = load_release("quality", "0.1.0")
    sharp, blurred = paint()[0], cv2.GaussianBlur(paint()[0], (0, 0), 6)
    # As the version that it was released with said.
    for pixels, score, expected in ((sharp, 0.97, 0.0175), (blurred, 0.85, 0.0768)):
        photo = Photo.from_array(pixels)
        drawn = segment(photo, load_release("segmentation", "0.4.0"))
        judged = assess_quality(photo, segmentation=drawn, release=first)
        assert (judged.score, judged.expected_error) == (score, expected)
