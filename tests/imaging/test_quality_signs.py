"""Signs of quality: each tells how much of what it is named after there is, and is blind to the rest."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from painted_lesions import draw_hairs, paint, paint_skin

from longderm.imaging import Segmentation
from longderm.imaging.artefacts import find_artefacts
from longderm.imaging.quality_signs import (
    busy_fraction,
    lesion_signs,
    lost_fraction,
    noise_level,
    photo_signs,
    seams,
    skin_coloured,
)
from longderm.photo import Photo


def signs(pixels):
    return photo_signs(Photo.from_array(pixels), find_artefacts(pixels))


def with_outline(pixels, mask):
    segmentation = Segmentation(mask, 0.9, bool(mask.any()), None, False, "given")
    return lesion_signs(Photo.from_array(pixels), segmentation, find_artefacts(pixels))


def test_blur_is_told_in_parts_of_the_photo_at_any_size():
    pixels = cv2.resize(paint()[0], (1024, 768), interpolation=cv2.INTER_CUBIC)
    large = cv2.GaussianBlur(pixels, (0, 0), 16)
    small = cv2.resize(large, (512, 384), interpolation=cv2.INTER_AREA)
    assert signs(large)["edge_blur"] == pytest.approx(signs(small)["edge_blur"], rel=0.15)
    assert signs(small)["edge_blur"] == pytest.approx(8, rel=0.4)


def test_blur_rises_with_every_step():
    blurs = [signs(cv2.GaussianBlur(paint()[0], (0, 0), sigma))["edge_blur"] for sigma in (1, 2, 4, 8, 16, 32)]
    assert all(more > less for less, more in pairwise(blurs))


@pytest.mark.parametrize("sigma", [3, 12, 40])
def test_noise_is_measured(sigma):
    skin = np.full((300, 400, 3), (150, 120, 100), float)
    noisy = np.clip(skin + np.random.default_rng(1).normal(0, sigma, skin.shape), 0, 255).astype(np.uint8)
    assert noise_level(noisy) == pytest.approx(sigma, rel=0.1)


def test_edges_and_hair_are_no_noise():
    assert noise_level(draw_hairs(np.full((300, 400, 3), 150, np.uint8), 20)[0]) < 1


def test_seams_of_squares_are_seen_wherever_they_begin():
    pixels = paint(seed=2, noise=12.0)[0]
    code = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 8])[1]
    packed = cv2.imdecode(code, cv2.IMREAD_COLOR)
    assert seams(packed) > 0.8 > 0.4 > seams(pixels)
    assert seams(np.ascontiguousarray(packed[3:, 5:])) == pytest.approx(seams(packed), rel=0.2)


def test_a_channel_at_its_end_counts_before_the_pixel_is_white():
    pixels = paint()[0]
    assert signs(pixels)["clipped_fraction"] == 0
    pixels[:96, :, 0] = 255  # red skin in too much light: the other channels still tell something
    told = signs(pixels)
    assert told["clipped_fraction"] == pytest.approx(96 / pixels.shape[0], abs=0.02)
    assert told["bright_fraction"] == 0


def test_pixels_unlike_their_neighbour_are_counted():
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    assert busy_fraction(np.full((64, 64, 3), 9, np.uint8)) == 0
    assert busy_fraction(noise) > 0.95


@pytest.mark.parametrize("centre", [60, 20, 0, -25])
def test_what_lies_beyond_the_edge_is_completed_to_a_disc(centre):
    y, x = np.mgrid[:200, :200]
    disc = (y - centre) ** 2 + (x - 100) ** 2 < 50**2
    truth = 1 - disc.sum() / (np.pi * 50**2)
    for turned in (disc, disc[::-1], disc.T, disc.T[:, ::-1]):
        assert lost_fraction(turned) == pytest.approx(max(0, truth), abs=0.03)


def test_a_lesion_is_told_by_size_contrast_and_what_hides_it():
    pixels, mask = paint()
    plain = with_outline(pixels, mask)
    hairy = with_outline(draw_hairs(pixels, 40)[0], mask)
    faint = with_outline((0.25 * pixels + 0.75 * paint_skin()).astype(np.uint8), mask)
    assert plain["lesion_fraction"] == pytest.approx(mask.mean(), rel=0.05)
    assert plain["cut_share"] == plain["lost_fraction"] == 0
    assert hairy["hidden_fraction"] > plain["hidden_fraction"] + 0.05
    assert 0 < faint["contrast"] < 0.5 * plain["contrast"]


def test_without_an_outline_nothing_is_told_of_the_lesion():
    pixels, mask = paint()
    assert set(with_outline(pixels, np.zeros_like(mask)).values()) == {0.0}


def test_skin_of_every_tone_has_the_colour_of_skin():
    from longderm.imaging.colour import srgb_to_lab

    tones = np.array([[[245, 215, 200], [214, 170, 148], [150, 100, 72], [84, 54, 40]]], np.uint8)
    assert skin_coloured(srgb_to_lab(tones)[0]).all()
    assert not skin_coloured(
        srgb_to_lab(np.array([[[128, 128, 128], [20, 200, 20], [30, 30, 250]]], np.uint8))[0]
    ).any()
