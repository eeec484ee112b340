"""Reduced decodes: the same photo on a smaller grid, in its place, colours and upright, and met with the same care."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from dicom_writer import swapped_profile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from longderm.archive.images import decode_image
from longderm.archive.reduced import decode_reduced, divisor_for
from longderm.errors import UnusablePhotoError


def scene(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """Blotches some forty pixels wide in every channel."""
    coarse = np.random.default_rng(seed).integers(30, 226, (height // 40 + 2, width // 40 + 2, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def jpeg(pixels: NDArray[np.uint8], **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


@given(st.integers(1, 20_000), st.integers(1, 3_000))
def test_a_photo_is_reduced_as_far_as_the_least_side_allows(longer: int, least: int) -> None:
    divisor = divisor_for(longer, least)
    assert divisor in (1, 2, 4, 8)
    assert divisor == 1 or longer / divisor >= least
    assert divisor == 8 or longer / (2 * divisor) < least


@pytest.mark.parametrize(
    ("size", "least", "divisor"), [((800, 600), 400, 2), ((801, 603), 200, 4), ((805, 607), 100, 8)]
)
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_it_shows_what_an_average_of_the_full_decode_shows(
    size: tuple[int, int], least: int, divisor: int, orientation: int
) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    data = jpeg(scene(*size), exif=exif)
    full, reduced = decode_image(data).pixels, decode_reduced(data, least)
    assert reduced is not None and reduced.native_shape == full.shape[:2]
    height, width = reduced.pixels.shape[:2]
    assert (height, width) == (round(full.shape[0] / divisor), round(full.shape[1] / divisor))
    mean = cv2.resize(full, (width, height), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(reduced.pixels - mean).mean() < 1.0
    # A shift by a native pixel shows: it is measured by the photo's own slopes.
    slopes = np.stack(np.gradient(mean[..., 1]), axis=-1).reshape(-1, 2)
    shift, *_ = np.linalg.lstsq(slopes, (mean - reduced.pixels)[..., 1].ravel(), rcond=None)
    assert np.abs(shift).max() * divisor < 0.1, "native pixels"


def test_a_square_photo_that_is_a_pixel_off_keeps_its_sides_apart() -> None:
    exif = Image.Exif()
    exif[274] = 6
    reduced = decode_reduced(jpeg(scene(801, 800), exif=exif), 400)
    assert reduced is not None and reduced.native_shape == (801, 800)


def test_its_colour_profile_is_honoured() -> None:
    data = jpeg(scene(800, 600), icc_profile=swapped_profile())
    full, reduced = decode_image(data).pixels, decode_reduced(data, 400)
    assert reduced is not None
    mean = cv2.resize(full, (400, 300), interpolation=cv2.INTER_AREA).astype(float)
    plain = decode_reduced(jpeg(scene(800, 600)), 400)
    assert plain is not None
    assert np.abs(reduced.pixels - mean).mean() < 1.5 < 10 < np.abs(plain.pixels - mean).mean()


def test_grey_becomes_rgb_and_progressive_is_read() -> None:
    grey = decode_reduced(jpeg(scene(800, 600)[..., 0]), 400)
    assert grey is not None and grey.pixels.shape == (300, 400, 3) and (grey.pixels == grey.pixels[..., :1]).all()
    progressive = decode_reduced(jpeg(scene(800, 600), progressive=True), 400)
    assert progressive is not None and progressive.pixels.shape == (300, 400, 3)


def test_what_cannot_be_reduced_in_its_place_is_left_to_the_full_decode() -> None:
    assert decode_reduced(jpeg(scene(800, 600)), 401) is None, "too small"
    inks = io.BytesIO()
    Image.fromarray(scene(800, 600)).convert("CMYK").save(inks, "JPEG")
    assert decode_reduced(inks.getvalue(), 400) is None
    for kind in ("PNG", "WEBP", "TIFF"):
        buffer = io.BytesIO()
        Image.fromarray(scene(800, 600)).save(buffer, kind)
        assert decode_reduced(buffer.getvalue(), 400) is None


def test_hostile_files_are_refused_as_by_the_full_decode() -> None:
    data = jpeg(scene(800, 600))
    scans = data[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 40_000 + data[-2:]
    for broken, limit in ((data[: len(data) // 2], 80.0), (data, 0.4), (scans, 80.0), (b"no image", 80.0)):
        reasons = []
        for decode in (lambda: decode_image(broken, limit), lambda: decode_reduced(broken, 400, limit)):  # noqa: B023
            with pytest.raises(UnusablePhotoError) as caught:
                decode()
            reasons.append(caught.value.reason)
        assert reasons[0] == reasons[1]
