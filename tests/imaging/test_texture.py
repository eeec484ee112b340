"""Texture signs tell a mesh from a smooth lesion, whichever way it lies, and have an answer for any photo."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_lesions import paint

from longderm.imaging.structures import texture_log_odds
from longderm.imaging.texture import TEXTURE_SIDE_PX, texture_signs

SIDE = TEXTURE_SIDE_PX
#: The first ten numbers are colours and size, four percentiles follow; then the finest scale of L*: its spread.
FINEST_SPREAD = 14


def lesion(mesh_px=0.0, seed=0):
    pixels, mask = paint((SIDE, SIDE), (SIDE / 2, SIDE / 2), 130, seed=seed)
    if mesh_px:
        y, x = np.mgrid[:SIDE, :SIDE] * 2 * np.pi / mesh_px
        lines = np.clip(np.maximum(np.cos(x), np.cos(y)), 0, 1)[..., None]
        pixels = np.where(mask[..., None], pixels * (1 - 0.35 * lines), pixels).astype(np.uint8)
    return pixels, mask


def test_a_mesh_stands_out_at_its_scale():
    smooth, mesh = texture_signs(*lesion()), texture_signs(*lesion(mesh_px=8))
    assert mesh[FINEST_SPREAD] > smooth[FINEST_SPREAD] + 0.5


def test_turned_and_mirrored_lesions_have_the_same_texture():
    pixels, mask = lesion(mesh_px=10)
    first = texture_signs(pixels, mask)
    for turned in (np.rot90, np.fliplr, np.flipud):
        other = texture_signs(np.ascontiguousarray(turned(pixels)), np.ascontiguousarray(turned(mask)))
        # Pixels are thinned out in another order; hardly any number may notice.
        moved = np.abs(other - first)
        assert np.median(moved) < 0.01 and moved.max() < 0.5


def test_the_same_photo_gives_the_same_numbers():
    np.testing.assert_array_equal(texture_signs(*lesion(9)), texture_signs(*lesion(9)))


@settings(deadline=None, max_examples=8)
@given(st.sampled_from(["black", "white", "noise"]), st.sampled_from(["none", "dot", "all"]))
def test_any_photo_and_mask_have_finite_numbers(kind, where):
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    pixels = {"black": noise * 0, "white": noise * 0 + 255, "noise": noise}[kind]
    mask = np.full((SIDE, SIDE), where == "all")
    if where == "dot":
        mask[100:103, 100:103] = True
    signs = texture_signs(pixels, mask)
    assert signs.shape == texture_signs(*lesion()).shape and np.isfinite(signs).all()


def test_log_odds_are_linear_in_what_is_unusual_and_bounded():
    fitted = {"middle": [1.0, 0.0], "spread": [2.0, 1.0], "weights": [[1.0, 0.0], [0.5, -1.0]], "offset": [0.25, 0.0]}
    np.testing.assert_allclose(texture_log_odds(np.array([3.0, 1.0], np.float32), fitted), [1.25, -0.5])
    far = texture_log_odds(np.array([[1e6, 0.0], [9.0, 0.0]], np.float32), fitted)
    np.testing.assert_allclose(far[0], far[1], err_msg="beyond four standard deviations nothing is added")
    assert far[0, 0] == pytest.approx(4.25)
