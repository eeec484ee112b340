"""The field of what a similarity cannot follow."""

from __future__ import annotations

import numpy as np

from longderm.bench.rephotography import bent, draw_bend
from longderm.photo import Photo
from longderm.registration import align, prepare, residual_field

from .scenes import SHAPE, photograph, pose_of, prepared, scene


def test_a_rigid_pair_has_next_to_no_residual():
    first, second = prepared(5, pose_of(), 51), prepared(5, pose_of(1.05, 15.0), 52)
    field = residual_field(first, second, align(first, second).matrix)
    assert field.shape == (*SHAPE, 2) and field.dtype == np.float32
    assert np.abs(field).max() < 0.5


def test_a_bend_is_followed_so_that_less_than_half_of_it_remains_on_the_lesion():
    plane, mask = scene(6)
    photo, segmentation = photograph(plane, mask, pose_of(), 61)
    later, later_mask = photograph(plane, mask, pose_of(), 62)
    bend = draw_bend(SHAPE, 4.0, np.random.default_rng(3))
    first, second = prepare(photo, segmentation), prepare(Photo.from_array(bent(later.pixels, bend)), later_mask)
    matrix = align(first, second).matrix
    field = residual_field(first, second, matrix)
    y, x = np.nonzero(segmentation.mask)
    straight = np.stack([x, y], axis=1) @ matrix[:2, :2].T + matrix[:2, 2]
    at = np.clip(np.round(straight).astype(int), 0, [SHAPE[1] - 1, SHAPE[0] - 1])
    true = np.stack([x, y], axis=1) - bend[:, at[:, 1], at[:, 0]].T
    before = np.linalg.norm(straight - true, axis=1).mean()
    after = np.linalg.norm(straight + field[y, x] - true, axis=1).mean()
    assert after < 0.5 * before


def test_the_field_never_exceeds_what_skin_bends():
    first, other = prepared(5, pose_of(), 51), prepared(7, pose_of(), 53)
    field = residual_field(first, other, np.eye(3))
    assert np.linalg.norm(field, axis=-1).max() <= 0.0601 * first.lesion_diameter_px
