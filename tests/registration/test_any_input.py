"""Whatever is given, the answer is a transform or a refusal with its reason."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from longderm.photo import Photo
from longderm.registration import align
from longderm.registration.similarity import from_parts

from .scenes import scene


def view(seed: int, size: tuple[int, int], zoom: float = 1.0, aim: tuple[float, float] = (0.5, 0.5)) -> Photo:
    """The scene's lesion at a place of a frame of `size` (height, width), given as shares of it."""
    height, width = size
    pose = from_parts(zoom, 10.0, complex(400, 300), complex(aim[0] * width, aim[1] * height))
    plane, _ = scene(seed)
    frame = cv2.warpAffine(plane, pose[:2], (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return Photo.from_array(frame)


def skin_alone(size: tuple[int, int]) -> Photo:
    plane, _ = scene(12)
    return Photo.from_array(np.ascontiguousarray(plane[: size[0], : size[1]]))


INPUTS = {
    "black": Photo.from_array(np.zeros((288, 384, 3), np.uint8)),
    "white": Photo.from_array(np.full((288, 384, 3), 255, np.uint8)),
    "noise": Photo.from_array(np.random.default_rng(1).integers(0, 256, (288, 384, 3), dtype=np.uint8)),
    "no lesion": skin_alone((200, 300)),
    "cut by the frame": view(1, (288, 384), 0.9, (0.02, 0.5)),
    "100 x 100": view(1, (100, 100), 0.4),
    "upright": view(1, (400, 220), 0.8),
    "panorama": view(1, (150, 900), 0.8),
    "one row": Photo.from_array(np.full((1, 300, 3), 120, np.uint8)),
}


@pytest.mark.parametrize("name", sorted(INPUTS))
@pytest.mark.parametrize("swapped", [False, True])
def test_any_input_gets_a_transform_or_a_reason(name, swapped):
    usual = view(1, (288, 384))
    result = align(*((INPUTS[name], usual) if swapped else (usual, INPUTS[name])))
    assert 0.0 <= result.confidence <= 1.0 and 0.0 <= result.overlap <= 1.0
    if result.accepted:
        assert result.reason is None and np.linalg.det(result.matrix[:2, :2]) > 0
    else:
        assert result.reason and "\n" not in result.reason


@pytest.mark.parametrize("name", ["black", "white", "one row", "no lesion", "noise"])
def test_what_shows_no_lesion_of_the_pair_is_refused(name):
    assert not align(view(1, (288, 384)), INPUTS[name]).accepted


def test_twelve_megapixels_align_with_a_small_photo():
    large = view(1, (3000, 4000), 7.0)
    result = align(view(1, (288, 384), 0.8), large)
    assert result.accepted, result.reason
    assert result.scale == pytest.approx(7.0 / 0.8, rel=0.01)


def test_upright_and_lying_photos_of_one_lesion_align():
    result = align(view(1, (288, 384)), view(1, (400, 220), 0.8))
    assert result.accepted, result.reason
    assert result.scale == pytest.approx(0.8, rel=0.01)
