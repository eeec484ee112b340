"""Whatever uint8 array comes in: every function of one photo gives a finite answer or a named error, and no warning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longderm.archive import read_photo
from longderm.errors import LongdermError
from longderm.imaging import (
    Segmentation,
    assess_coverage,
    assess_quality,
    describe,
    field_of_view,
    glare_mask,
    hair_mask,
    measure,
    preview,
    read_ruler,
    segment,
    srgb_to_linear,
)
from longderm.imaging.artefacts import find_artefacts
from longderm.imaging.colour_chart import METHODS, fit_chart
from longderm.imaging.coverage import crop_dark_corners, paint_over_hair
from longderm.imaging.skin_tone import illumination, skin_tone
from longderm.photo import MODALITIES, Photo

pytestmark = pytest.mark.filterwarnings("error")


def segmentation(mask):
    return Segmentation(mask, 1.0, bool(mask.any()), None, False, "drawn by the test")


def masks(shape):
    """Lesions that a segmentation might hand on: everything, one pixel, one row, half."""
    everything = np.ones(shape, np.bool_)
    pixel, row, half = (np.zeros(shape, np.bool_) for _ in range(3))
    pixel[shape[0] // 2, shape[1] // 2] = True
    row[shape[0] // 2] = True
    half[:, : (shape[1] + 1) // 2] = True
    return everything, pixel, row, half


#: Every function of one photo; those of a lesion with masks that need not come from `segment`.
FUNCTIONS = {
    "assess_quality": assess_quality,
    "segment": segment,
    "measure": lambda photo: [measure(photo, segmentation(mask)) for mask in masks(photo.shape)],
    "describe": lambda photo: [describe(photo, segmentation(mask)) for mask in masks(photo.shape)],
    "assess_coverage": assess_coverage,
    "read_ruler": read_ruler,
    "find_artefacts": lambda photo: find_artefacts(photo.pixels),
    "hair_mask": hair_mask,
    "glare_mask": glare_mask,
    "field_of_view": field_of_view,
    "crop_dark_corners": lambda photo: photo.pixels[crop_dark_corners(photo)],
    "paint_over_hair": paint_over_hair,
    "preview": preview,
    "skin_tone": lambda photo: [
        skin_tone(srgb_to_linear(preview(photo)[0]), mask) for mask in masks(preview(photo)[0].shape[:2])
    ],
    "illumination": lambda photo: [
        illumination(srgb_to_linear(preview(photo)[0]), mask) for mask in masks(preview(photo)[0].shape[:2])
    ],
}


def not_finite(value, where=""):
    """Places in an answer that hold NaN or an infinity."""
    if is_dataclass(value):
        return [bad for part in fields(value) for bad in not_finite(getattr(value, part.name), f"{where}.{part.name}")]
    if isinstance(value, Mapping):
        return [bad for key in value for bad in not_finite(value[key], f"{where}[{key}]")]
    if isinstance(value, (tuple, list)):
        return [bad for number, part in enumerate(value) for bad in not_finite(part, f"{where}[{number}]")]
    if isinstance(value, (float, np.floating, np.ndarray)):
        return [] if np.isfinite(value).all() else [where]
    return []


def answer(name, photo):
    """What a function answers, which is finite; None where it raises a named error with one line."""
    try:
        answered = FUNCTIONS[name](photo)
    except (LongdermError, ValueError) as error:
        assert str(error), name
        assert "\n" not in str(error), name
        return None
    assert not_finite(answered) == [], name
    return answered


def picture(kind, height, width, seed=0):
    generator = np.random.default_rng(seed)
    if kind == "noise":
        return generator.integers(0, 256, (height, width, 3)).astype(np.uint8)
    if kind == "coarse noise":
        small = generator.integers(0, 256, (-(-height // 8), -(-width // 8), 3)).astype(np.uint8)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    if kind == "stripes":
        return (
            np.where((np.arange(width) // 4 % 2 == 0)[None, :, None], 230, 40)
            .repeat(height, 0)
            .repeat(3, 2)
            .astype(np.uint8)
        )
    if kind == "disc":
        pixels = np.full((height, width, 3), (200, 150, 130), np.uint8)
        cv2.circle(pixels, (width // 2, height // 2), max(1, min(height, width) // 4), (80, 50, 40), -1)
        return pixels
    colours = {"black": (0, 0, 0), "white": (255, 255, 255), "red": (255, 0, 0), "skin": (205, 150, 130)}
    return np.full((height, width, 3), colours[kind], np.uint8)


KINDS = ("black", "white", "red", "skin", "noise", "coarse noise", "stripes", "disc")
SHAPES = ((1, 1), (1, 2), (2, 1), (1, 700), (700, 1), (3, 3), (7, 900), (24, 24), (64, 64), (65, 3000), (300, 200))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape[0]}x{shape[1]}")
def test_photos_of_any_shape_and_colour_have_a_finite_answer(kind, shape):
    photo = Photo.from_array(picture(kind, *shape), px_per_mm=20.0)
    for name in FUNCTIONS:
        assert answer(name, photo) is not None, f"{name} refuses {kind}"


@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(KINDS),
    height=st.integers(1, 240),
    width=st.integers(1, 240),
    seed=st.integers(0, 9),
    modality=st.sampled_from(MODALITIES),
    px_per_mm=st.one_of(st.none(), st.floats(1e-3, 1e6)),
)
def test_any_size_modality_and_scale_has_a_finite_answer(kind, height, width, seed, modality, px_per_mm):
    photo = Photo.from_array(picture(kind, height, width, seed), modality=modality, px_per_mm=px_per_mm)
    for name in FUNCTIONS:
        answer(name, photo)


@settings(deadline=None, max_examples=40)
@given(height=st.integers(1, 6), width=st.integers(1, 6), data=st.data())
def test_any_pixels_at_all_have_a_finite_answer(height, width, data):
    levels = data.draw(st.lists(st.integers(0, 255), min_size=height * width * 3, max_size=height * width * 3))
    tile = np.array(levels, np.uint8).reshape(height, width, 3)
    for pixels in (tile, np.tile(tile, (20, 24, 1))):
        photo = Photo.from_array(pixels)
        for name in FUNCTIONS:
            answer(name, photo)


def test_masks_and_pictures_are_of_the_photos_size():
    for shape in SHAPES:
        photo = Photo.from_array(picture("noise", *shape))
        for function in (hair_mask, glare_mask, field_of_view):
            assert function(photo).shape == shape
            assert function(photo).dtype == np.bool_
        assert segment(photo).mask.shape == shape
        assert paint_over_hair(photo).shape == (*shape, 3)
        assert photo.pixels[crop_dark_corners(photo)].size > 0


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((40, 50), np.uint8),
        np.zeros((40, 50, 1), np.uint8),
        np.zeros((40, 50, 2), np.uint8),
        np.zeros((40, 50, 4), np.uint8),
        np.zeros((0, 50, 3), np.uint8),
        np.zeros((40, 0, 3), np.uint8),
        np.zeros((2, 40, 50, 3), np.uint8),
        np.zeros((40, 50, 3), np.float32),
        np.zeros((40, 50, 3), np.uint16),
        np.zeros((40, 50, 3), np.bool_),
        np.zeros((), np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_that_are_no_colour_photo_are_refused_in_one_line(array):
    with pytest.raises(ValueError, match=r"^pixels must be uint8 \(H, W, 3\), not [^\n]*$"):
        Photo.from_array(array)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_no_scale_is_refused(scale):
    with pytest.raises(ValueError, match="px_per_mm must be"):
        Photo.from_array(np.zeros((4, 4, 3), np.uint8), px_per_mm=scale)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (90, 1), (60, 80)], ids=lambda shape: f"{shape[0]}x{shape[1]}")
def test_files_of_one_channel_or_with_alpha_become_colour_photos(tmp_path, channels, shape):
    generator = np.random.default_rng(channels)
    pixels = generator.integers(0, 256, (*shape, channels)).astype(np.uint8)
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), pixels)
    photo = read_photo(path)
    assert photo.pixels.shape == (*shape, 3)
    for name in FUNCTIONS:
        assert answer(name, photo) is not None, name


@settings(deadline=None, max_examples=60)
@given(
    patches=st.integers(0, 9),
    level=st.sampled_from((0.0, 1e-12, 0.5, 1.0, 1e9, float("nan"), float("inf"), -1.0)),
    alike=st.booleans(),
    method=st.sampled_from(METHODS),
    seed=st.integers(0, 20),
)
def test_any_patches_give_a_finite_correction_or_a_named_error(patches, level, alike, method, seed):
    generator = np.random.default_rng(seed)
    measured = np.full((patches, 3), level) if alike else generator.uniform(0, 1, (patches, 3)) * level
    try:
        fitted = fit_chart(measured, generator.uniform(0, 1, (patches, 3)), method)
    except LongdermError as error:
        assert str(error)
        return
    assert not_finite(fitted) == []
    assert np.isfinite(fitted.apply(generator.uniform(0, 1, (5, 3)))).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_largest_photo_is_answered_too(name):
    photo = Photo.from_array(picture("disc", 6000, 8000), px_per_mm=200.0)
    assert answer(name, photo) is not None
