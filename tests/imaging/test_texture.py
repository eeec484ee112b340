"""Texture of a lesion's cells tells a mesh from a smooth lesion, however it lies; any photo has finite numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_lesions import paint

from longderm.imaging.bands import GRID, lightness_bands, neighbour_patterns, reduced
from longderm.imaging.structures import cell_scores, summarise, texture_log_odds
from longderm.imaging.texture import CELLS, TEXTURE_SIDE_PX, Texture, read_cells

SIDE = TEXTURE_SIDE_PX
#: The order of a scale's maps; the second scale (0.9 px at half the side) is where a mesh of 8 px is seen best.
DARK_LINE, LIGHT_LINE, DARK_BLOB, LIGHT_BLOB, SLOPE, DIRECTION = range(6)
SECOND = 8


def lesion(mesh_px=0.0, seed=0):
    """A painted lesion with lines this far apart, and its outline's map."""
    pixels, mask = paint((SIDE, SIDE), (SIDE / 2, SIDE / 2), 130, seed=seed)
    if mesh_px:
        y, x = np.mgrid[:SIDE, :SIDE] * 2 * np.pi / mesh_px
        lines = np.clip(np.maximum(np.cos(x), np.cos(y)), 0, 1)[..., None]
        pixels = np.where(mask[..., None], pixels * (1 - 0.35 * lines), pixels).astype(np.uint8)
    return pixels, outline_of(mask)


def outline_of(mask):
    return mask.reshape(128, 4, 128, 4).mean(axis=(1, 3)).astype(np.float32)


def bands_of(picture, scale=SECOND):
    """The maps of one scale, in the middle of a picture of L*."""
    maps = lightness_bands(reduced(picture.astype(np.float32)))
    return [float(np.median(part[8:24, 8:24])) for part in maps[scale : scale + 8]]


def stripes(period_px=12):
    return 50 + 20 * np.cos(np.mgrid[:SIDE, :SIDE][1] * 2 * np.pi / period_px)


def spots(sign, period_px=12):
    y, x = np.mgrid[:SIDE, :SIDE] * 2 * np.pi / period_px
    return 50 + sign * 20 * np.clip(np.cos(x) * np.cos(y), 0, 1) ** 4


def test_lines_are_no_blobs_and_dark_is_not_light():
    of_stripes, dark, light = bands_of(stripes()), bands_of(spots(-1)), bands_of(spots(1))
    assert of_stripes[DARK_LINE] > of_stripes[DARK_BLOB] + 2, "a stripe is curved one way only"
    assert dark[DARK_BLOB] > dark[LIGHT_BLOB] + 0.3
    assert light[LIGHT_BLOB] > light[DARK_BLOB] + 0.3


def test_stripes_keep_to_a_direction_and_spots_do_not():
    assert bands_of(stripes())[DIRECTION] > bands_of(spots(-1))[DIRECTION] + 0.15


def test_a_coarser_pattern_is_seen_at_a_coarser_scale():
    fine, coarse = stripes(6), stripes(40)
    assert bands_of(fine, scale=0)[SLOPE] > bands_of(coarse, scale=0)[SLOPE]
    assert bands_of(fine, scale=40)[SLOPE] < bands_of(coarse, scale=40)[SLOPE]


def test_shares_of_neighbour_patterns_add_up_and_single_light_pixels_show():
    rng = np.random.default_rng(0)
    maps = np.stack(neighbour_patterns(reduced(rng.normal(50, 10, (SIDE, SIDE)).astype(np.float32))))
    assert maps.shape == (20, GRID, GRID)
    np.testing.assert_allclose((maps[:10] ** 2).sum(axis=0), 1, atol=1e-5)
    flat = np.stack(neighbour_patterns(reduced(np.full((SIDE, SIDE), 50, np.float32))))
    np.testing.assert_allclose(flat[0], 1, err_msg="nowhere is a neighbour lighter")


def test_a_mesh_stands_out_from_a_smooth_lesion():
    smooth, mesh = read_cells(*lesion()), read_cells(*lesion(mesh_px=8))
    column = 15 + SECOND + DARK_LINE  # after twelve numbers of colour and three of place
    assert np.median(mesh.signs[:, column]) > np.median(smooth.signs[:, column]) + 0.5


def test_turned_and_mirrored_lesions_have_the_same_texture():
    pixels, outline = lesion(mesh_px=10)
    first = read_cells(pixels, outline)
    for turn in (np.rot90, np.fliplr, np.flipud):
        other = read_cells(np.ascontiguousarray(turn(pixels)), np.ascontiguousarray(turn(outline)))
        np.testing.assert_array_equal(other.where, turn(first.where))
        moved = np.abs(on_grid(other) - turn(on_grid(first)))
        # Halves of a picture meet at other pixels; hardly any number may notice.
        assert np.nanmedian(moved) < 0.01 and np.nanpercentile(moved, 99) < 0.5


def on_grid(texture):
    grid = np.full((CELLS, CELLS, texture.signs.shape[1]), np.nan, np.float32)
    grid[texture.where] = texture.signs
    return grid


def test_cells_are_read_where_the_lesion_is():
    pixels, outline = lesion()
    texture = read_cells(pixels, outline)
    rows, columns = np.nonzero(texture.where)
    assert abs(rows.mean() - 15) < 1 and abs(columns.mean() - 15) < 1
    assert len(texture.signs) == len(texture.weights) == texture.where.sum() < CELLS * CELLS / 2
    assert texture.weights.max() == pytest.approx(1.0)


@settings(deadline=None, max_examples=8)
@given(st.sampled_from(["black", "white", "noise"]), st.sampled_from(["none", "dot", "all"]))
def test_any_photo_and_outline_have_finite_numbers(kind, where):
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    pixels = {"black": noise * 0, "white": noise * 0 + 255, "noise": noise}[kind]
    outline = np.full((96, 96), float(where == "all"), np.float32)
    if where == "dot":
        outline[40:42, 40:42] = 1
    texture = read_cells(pixels, outline)
    assert len(texture.signs) >= 9 and np.isfinite(texture.signs).all() and (texture.weights > 0).all()


def made(signs):
    signs = np.asarray(signs, np.float32)
    return Texture(signs, np.ones(len(signs), np.float32), np.ones((1, len(signs)), np.bool_))


def linear(weights, offset):
    size = len(weights[0])
    return {"middle": [0.0] * size, "spread": [1.0] * size, "weights": weights, "offset": offset}


def test_a_few_cells_that_show_a_structure_count_although_the_mean_hardly_moves():
    cells = linear([[1.0, 0.0]], [0.0])
    smooth, spotted = np.zeros((200, 2)), np.zeros((200, 2))
    spotted[:4, 0] = 3.0
    few, none = (summarise(made(signs), cell_scores(made(signs), cells)) for signs in (spotted, smooth))
    mean, _, score_mean, top, upper, spread = few - none
    assert mean == pytest.approx(score_mean) == pytest.approx(0.06)
    assert top == pytest.approx(3.0) and upper == 0 and spread > 0.3


def test_log_odds_are_linear_in_what_is_unusual_and_bounded():
    fitted = {"cells": linear([[0.0]], [0.0]), "photo": linear([[2.0, 0.0, 0.0, 0.0, 0.0]], [0.25])}
    assert texture_log_odds(made([[1.5]]), fitted)[0] == pytest.approx(3.25)
    assert (
        texture_log_odds(made([[1e6]]), fitted)[0] == texture_log_odds(made([[9.0]]), fitted)[0] == pytest.approx(8.25)
    )
