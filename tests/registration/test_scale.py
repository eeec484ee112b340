"""What the skin says of the scale, and what the lesion says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from longderm.imaging import Segmentation
from longderm.registration import align, prepare
from longderm.registration.similarity import inverse, scale_of

from .scenes import photograph, pose_of, prepared, scene


def nothing() -> Segmentation:
    """What segmentation says of a photo without a lesion."""
    return Segmentation(np.zeros((288, 384), np.bool_), 0.0, False, "nothing differs", False, "truth")


def grown(seed: int, area_factor: float, evenly: bool):
    """The scene's plane with its lesion grown: the texture expands with it, or new tissue is added around it."""
    plane, mask = scene(seed)
    zoom = area_factor**0.5
    step = np.array([[zoom, 0.0, 400 - zoom * 400], [0.0, zoom, 300 - zoom * 300]])
    larger = cv2.warpAffine(plane, step, (800, 600), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    larger_mask = cv2.warpAffine(mask.astype(np.uint8), step, (800, 600)) > 0
    result = np.where(larger_mask[..., None], larger, plane)
    if not evenly:
        inner = cv2.erode(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        result = np.where(inner[..., None], plane, result)
    return result, larger_mask


@pytest.mark.parametrize("zoom", [0.85, 1.0, 1.2])
@pytest.mark.parametrize("evenly", [True, False])
def test_the_skin_decides_the_scale_of_a_lesion_that_has_grown(zoom, evenly):
    first, second = pose_of(), pose_of(zoom, 25.0, 4.0, -3.0)
    later = prepare(*photograph(*grown(8, 1.4, evenly), second, 82))
    result = align(prepared(8, first, 81), later)
    assert result.accepted, result.reason
    assert scale_of(result.matrix) == pytest.approx(scale_of(second @ inverse(first)), rel=0.005)
    if evenly:
        assert result.lesion_scale / result.skin_scale == pytest.approx(1.4**0.5, rel=0.01)
        assert "growth" in result.cautions[0]
    else:
        assert result.cautions == ()


def test_a_stable_pair_has_one_scale_and_no_caution():
    result = align(prepared(8, pose_of(), 81), prepared(8, pose_of(1.1, -40.0), 83))
    assert result.skin_scale == pytest.approx(1.1, rel=0.003)
    assert result.lesion_scale == pytest.approx(1.1, rel=0.003)
    assert result.cautions == () and result.residual < 0.01


def test_skin_that_shows_nothing_is_said_to_tell_no_scale():
    plane, mask = scene(8)
    bare = np.where(mask[..., None], plane, np.uint8([205, 172, 155]))
    pair = [
        prepare(*photograph(bare, mask, pose_of(1.0, angle), 84 + index)) for index, angle in enumerate((0.0, 30.0))
    ]
    result = align(*pair)
    assert result.accepted and result.skin_scale is None
    assert "even growth would not be seen" in result.cautions[0]


def test_a_known_scale_is_kept_and_the_growth_still_named():
    baseline = prepared(8, pose_of(), 81, px_per_mm=20.0)
    photo, mask = photograph(*grown(8, 1.4, True), pose_of(1.0, 10.0), 86, px_per_mm=20.0)
    result = align(baseline, prepare(photo, mask))
    assert result.scale == pytest.approx(1.0, rel=0.03)
    assert any("growth" in caution for caution in result.cautions)


def test_without_an_outlined_lesion_the_scale_is_said_to_be_uncertain():
    plane, mask = scene(8)
    pair = [prepare(photograph(plane, mask, pose_of(1.0, angle), 86)[0], nothing()) for angle in (0.0, 30.0)]
    result = align(*pair)
    assert result.accepted and result.skin_scale is None
    assert "even growth would not be seen" in result.cautions[0]
