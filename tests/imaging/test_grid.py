"""Large photos are reduced in two steps, which is quick, and what is measured on the copies stays the same."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_lesions import draw_dark_corners, draw_hairs, paint

from longderm.imaging import Segmentation, assess_quality, measure
from longderm.imaging import cut_out as cut_out_module
from longderm.imaging import grid as grid_module
from longderm.imaging.artefacts import find_artefacts
from longderm.imaging.cut_out import window_around
from longderm.imaging.grid import LARGE_SIDE_PX, cut_part, enlarge_part, reduce_mask, reduce_pixels
from longderm.photo import Photo


@pytest.fixture(scope="module")
def large() -> tuple[Photo, np.ndarray]:
    """A large photo with hairs and dark corners, and its lesion."""
    pixels, mask = paint((600, 800), (420.0, 310.0), 150.0, noise=0.0)
    pixels, _ = draw_dark_corners(draw_hairs(pixels, count=5, width=3)[0])
    size = (2400, 1800)
    full = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(3).standard_normal((1800, 2400, 1), dtype=np.float32) * np.float32(4)
    mask = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_LINEAR) > 127
    full = np.clip(np.round(full + noise), 0, 255).astype(np.uint8)
    return Photo.from_array(full, px_per_mm=120.0), np.asarray(mask)


@pytest.fixture
def in_one_step(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No photo counts as large until `.undo()`."""
    for module in (grid_module, cut_out_module):
        monkeypatch.setattr(module, "LARGE_SIDE_PX", 10**6)
    return monkeypatch


def test_a_large_photo_is_averaged_to_the_same_copy(large):
    photo, _ = large
    levels = photo.pixels.astype(np.int16)
    steepest = max(float(np.abs(np.diff(levels, axis=axis)).max()) for axis in (0, 1))
    for shape in ((384, 512), (192, 256), (360, 480), (256, 256)):
        copy = reduce_pixels(photo.pixels, shape)
        exact = cv2.resize(photo.pixels.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
        off = np.abs(copy - exact)
        assert np.percentile(off, 95) <= 1.0, "half a level is rounding; hairs are narrow edges"
        assert off.max() <= 0.25 * steepest + 1
        assert abs(float((copy - exact).mean())) <= 2 * 0.125 + 0.05, "halved twice at most, halves rounded up"


@settings(max_examples=20, deadline=None)
@given(st.integers(20, LARGE_SIDE_PX - 1), st.integers(20, 400), st.integers(2, 20))
def test_photos_that_are_not_large_are_averaged_in_one_step(width, height, divisor):
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    shape = max(1, height // divisor), max(1, width // divisor)
    expected = cv2.resize(pixels, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(reduce_pixels(pixels, shape), expected)


@pytest.mark.parametrize("size", [(2400, 1800), (2401, 1799), (2402, 1798)])
def test_a_large_mask_is_reduced_to_where_it_covers_half(size):
    y, x = np.mgrid[: size[1], : size[0]]
    mask = np.hypot((x - 1100.3) * 0.8, y - 850.6) < 600
    shape = (384, 512)
    share = cv2.resize(mask.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    differs = reduce_mask(mask, shape) != (share >= 0.5)
    assert np.abs(share[differs] - 0.5).max(initial=0.0) < 0.02 and differs.sum() <= 10


def test_a_part_is_cut_as_from_the_enlarged_mask():
    y, x = np.mgrid[:384, :512]
    mask = (np.hypot(x - 260, y - 190) < 130) & ~((x + y) % 97 < 4)
    part = (slice(160, 2880), slice(344, 3804))
    size = (201, 256)
    exact = reduce_mask(enlarge_part(mask, (3000, 4000), part), size)
    assert np.count_nonzero(cut_part(mask, (3000, 4000), part, size) != exact) <= 0.005 * exact.size
    small = (slice(100, 700), slice(90, 1000))
    expected = reduce_mask(enlarge_part(mask, (768, 1024), small), (169, 256))
    np.testing.assert_array_equal(cut_part(mask, (768, 1024), small, (169, 256)), expected)


def test_the_window_of_a_large_photo_holds_that_of_any_and_can_be_halved(large, in_one_step):
    _, mask = large
    plain = window_around(mask)
    in_one_step.undo()
    for cut, before, side in zip(window_around(mask), plain, mask.shape, strict=True):
        assert cut.start % 4 == 0 and (cut.stop % 4 == 0 or cut.stop >= side)
        assert before.start - 4 < cut.start <= before.start and before.stop <= cut.stop < before.stop + 4


def test_what_is_measured_of_a_large_photo_does_not_depend_on_the_steps(large, in_one_step):
    photo, mask = large
    drawn = Segmentation(mask, 1.0, True, None, False, "by hand")

    def all_of_it():
        artefacts = find_artefacts(photo.pixels)
        return measure(photo, drawn, artefacts), assess_quality(photo, artefacts, drawn)

    measured, quality = all_of_it()
    in_one_step.undo()
    quickly, judged = all_of_it()
    assert quickly.area_px == measured.area_px
    for name in ("long_diam_px", "perimeter_mm", "border_irregularity", "eccentricity", "ita_deg", "melanin_index"):
        assert getattr(quickly, name) == pytest.approx(getattr(measured, name), rel=0.003), name
    for name in ("delta_lightness", "delta_a", "delta_b", "colour_variegation", "asymmetry_colour"):
        assert getattr(quickly, name) == pytest.approx(getattr(measured, name), abs=0.15), f"{name}, in Lab units"
    assert quickly.asymmetry_shape == pytest.approx(measured.asymmetry_shape, abs=0.003)
    assert quickly.dark_fraction == pytest.approx(measured.dark_fraction, abs=0.01)
    assert judged.expected_error == pytest.approx(quality.expected_error, abs=0.01)
    assert judged.reasons == quality.reasons
