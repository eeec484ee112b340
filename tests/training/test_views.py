"""Views: mask and marks move with the pixels, the seed alone decides, and bare skin shows no lesion."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longderm.imaging.fit import dice
from longderm.training.batches import Source, draw_pass, split_marks
from longderm.training.examples import hold_out, make_example, read_examples, read_index
from longderm.training.views import draw_bare_view, draw_plain_view, draw_view

SIDE = 96


@pytest.fixture(scope="module")
def coded():
    """A photo that is white inside its mask and black outside, so that any view shows where the mask is."""
    rows, columns = np.mgrid[:192, :256]
    mask = np.hypot(rows - 100, (columns - 150) / 1.5) < 45
    pixels = np.repeat((mask * 255).astype(np.uint8)[..., None], 3, axis=2)
    return make_example("coded", pixels, mask, mask.astype(np.uint8) * 0b10100, 4 / 3)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6))
def test_mask_and_marks_move_with_the_pixels(coded, seed):
    view = draw_view(coded, SIDE, np.random.default_rng(seed))
    lightness = view.pixels.mean(axis=2)
    shown = view.mask > 127
    if 0.02 < shown.mean() < 0.98:
        middle = (np.percentile(lightness[shown], 30) + np.percentile(lightness[~shown], 60)) / 2
        assert dice(lightness > middle, shown) > 0.8
        small = split_marks_of(view.marks)
        assert (small[2] == small[4]).all()
        assert dice(small[2] > 0, shown[2::4, 2::4]) > 0.85
        assert not small[[0, 1, 3]].any()
        assert view.shown.tolist() == [0, 0, 1, 0, 1]
        assert view.presence == 1


def split_marks_of(marks):
    import torch

    return split_marks(torch.from_numpy(marks[None]), 1)[0].numpy()


def test_the_same_seed_gives_the_same_view_and_another_another(coded):
    first, again, other = (draw_view(coded, SIDE, np.random.default_rng(seed)).pixels for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_round_lesion_of_a_photo_is_round_in_an_unsquashed_view_of_any_turn():
    """The photo is held squashed; turning it must turn its true geometry."""
    rows, columns = np.mgrid[:180, :320]
    mask = np.hypot(rows - 90, columns - 160) < 40
    example = make_example("round", np.repeat((mask * 255).astype(np.uint8)[..., None], 3, axis=2), mask, None, 16 / 9)
    ratios = []
    for seed in range(60):
        shown = draw_view(example, SIDE, np.random.default_rng(seed)).mask > 127
        if not (shown[0].any() or shown[-1].any() or shown[:, 0].any() or shown[:, -1].any()) and shown.any():
            y, x = np.nonzero(shown)
            eigenvalues, vectors = np.linalg.eigh(np.cov(np.stack([x, y])))
            # Only the view's own squash to a square is left, and that lies along its sides.
            ratios.append(np.sqrt(eigenvalues[1] / eigenvalues[0]))
            if ratios[-1] > 1.15:
                assert max(abs(vectors[:, 1])) > 0.97
    assert len(ratios) > 20


def test_bare_views_come_from_outside_of_the_lesion(coded):
    views = [draw_bare_view(coded, SIDE, np.random.default_rng(seed)) for seed in range(60)]
    views = [view for view in views if view is not None]
    assert len(views) > 5
    for view in views:
        assert view.presence == 0 and not view.mask.any() and not view.marks.any()
        assert np.isnan(view.shown).all()
    assert np.median([view.pixels.mean() for view in views]) < 40


def test_plain_views_have_no_lesion():
    view = draw_plain_view(SIDE, np.random.default_rng(0))
    assert view.pixels.shape == (SIDE, SIDE, 3) and view.presence == 0 and not view.mask.any()


def test_batches_of_a_pass_come_again_and_differ_between_passes(painted):
    source = Source(painted, painted[:2])
    first, again, later = (list(draw_pass(source, 64, 4, seed=1, index=index)) for index in (0, 0, 1))
    assert len(first) == source.views_per_pass() // 4
    for batch, other in zip(first, again, strict=True):
        assert (batch.pixels == other.pixels).all() and (batch.mask == other.mask).all()
    assert any((batch.pixels != other.pixels).any() for batch, other in zip(first, later, strict=True))


def test_a_folder_is_read_with_the_aspect_that_its_marks_have_kept(isic_folder, painted):
    rows = read_index(isic_folder)
    example = read_examples(isic_folder, [rows[1]["isic_id"]])[0]
    assert example.aspect == pytest.approx(4 / 3)
    assert dice(example.mask > 127, painted[1].mask > 127) > 0.95
    assert dice(example.marks > 0, painted[1].marks > 0) > 0.95


def test_what_is_held_out_is_not_trained_on_and_has_its_share_of_each_structure():
    rows = [{"isic_id": f"I{i:04}", "globules": str(int(i % 10 == 0))} for i in range(1000)]
    kept, held = hold_out(rows, 0.2, seed=5)
    assert not set(kept) & set(held)
    assert sorted(kept + held) == [row["isic_id"] for row in rows]
    with_globules = {row["isic_id"] for row in rows if row["globules"] == "1"}
    assert len(with_globules & set(held)) == 20
    assert hold_out(rows, 0.2, seed=5) == (kept, held) != hold_out(rows, 0.2, seed=6)
