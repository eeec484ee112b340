"""The border is drawn anew on a crop: what the network sees of it, and how its answer comes back to the photo."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_lesions import paint

from longderm.imaging.border import BORDER_SIDE_PX, Crop, border_planes, crop_around, cut, cut_mask, redraw
from longderm.imaging.fit import dice
from longderm.models.border_network import BorderNetwork


def coarse(mask: np.ndarray, side: int = 96) -> np.ndarray:
    """A soft map of the mask on a small square grid."""
    small = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    return np.clip(cv2.GaussianBlur(small, (0, 0), 0.8), 0.01, 0.99)


EVERYWHERE = np.ones((96, 96), bool)


class Says(torch.nn.Module):
    """Answers with log-odds of its own."""

    def __init__(self, log_odds: np.ndarray) -> None:
        super().__init__()
        self.log_odds = torch.from_numpy(log_odds.astype(np.float32))[None, None]

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        assert planes.shape == (1, 8, BORDER_SIDE_PX, BORDER_SIDE_PX)
        return self.log_odds


@pytest.mark.parametrize(
    ("shape", "centre", "radius"),
    [
        ((480, 640), (300, 220), 80),
        ((480, 640), (20, 30), 60),
        ((1500, 2000), (1000, 700), 600),
        ((60, 80), (40, 30), 9),
    ],
)
def test_an_untaught_network_leaves_the_outline_as_it_was(shape, centre, radius):
    pixels, mask = paint(shape, centre, radius, 40.0, seed=3)
    outline = coarse(mask)
    assert dice(redraw(pixels, mask, outline, EVERYWHERE, BorderNetwork().eval()), mask) > 0.95


def test_the_answer_comes_back_where_the_crop_was_cut():
    pixels, mask = paint((400, 500), (330, 90), 50, 40.0, seed=3)
    crop = crop_around(mask)
    rows, columns = np.mgrid[:400, :500]
    true = np.hypot(rows - 96, columns - 338) < 44
    answer = 16 * cut_mask(true, crop) - 8
    drawn = redraw(pixels, mask, coarse(mask), EVERYWHERE, Says(answer))
    assert dice(drawn, true) > 0.985


def test_of_several_pieces_that_of_the_outline_is_drawn_without_holes():
    pixels, mask = paint((256, 256), (128, 128), 60, 40.0, seed=3)
    answer = np.full((BORDER_SIDE_PX, BORDER_SIDE_PX), -5.0)
    cv2.circle(answer, (64, 64), 30, 5.0, -1)
    cv2.circle(answer, (64, 64), 8, -5.0, -1)
    cv2.circle(answer, (0, 0), 40, 5.0, -1)
    drawn = redraw(pixels, mask, coarse(mask), EVERYWHERE, Says(answer))
    count, _ = cv2.connectedComponents(drawn.astype(np.uint8))
    assert count == 2 and drawn[128, 128]


def test_where_the_network_sees_nothing_the_outline_stays():
    pixels, mask = paint((256, 256), (128, 128), 60, 40.0, seed=3)
    nothing = np.full((BORDER_SIDE_PX, BORDER_SIDE_PX), -5.0)
    assert np.array_equal(redraw(pixels, mask, coarse(mask), EVERYWHERE, Says(nothing)), mask)


@pytest.mark.parametrize(("centre", "radius"), [((8, 8), 30), ((64, 64), 2), ((64, 64), 22), ((64, 64), 55)])
def test_another_lesion_than_that_of_the_outline_is_never_drawn(centre, radius):
    pixels, mask = paint((256, 256), (128, 128), 60, 40.0, seed=3)
    answer = np.full((BORDER_SIDE_PX, BORDER_SIDE_PX), -5.0)
    cv2.circle(answer, centre, radius, 5.0, -1)
    assert np.array_equal(redraw(pixels, mask, coarse(mask), EVERYWHERE, Says(answer)), mask)


@pytest.mark.parametrize("shape", [(300, 400), (1500, 2000)])
def test_a_lesion_that_the_photo_cuts_reaches_its_edge(shape):
    height = shape[0]
    pixels, mask = paint(shape, (0, height / 2), height / 4, 40.0, seed=3)
    crop = crop_around(mask)
    answer = 4 * cut_mask(mask, crop) - 2
    # What the network says beyond the photo says nothing.
    drawn = redraw(pixels, mask, coarse(mask), EVERYWHERE, Says(answer))
    assert drawn[height // 2, 0] and dice(drawn, mask) > 0.98
    assert drawn[:, 0].sum() == pytest.approx(mask[:, 0].sum(), rel=0.03)


def test_a_dark_rim_is_no_skin_and_never_lesion():
    pixels, mask = paint((300, 300), (150, 150), 80, 40.0, seed=3)
    rows, columns = np.mgrid[:300, :300]
    seen = np.hypot(rows - 150, columns - 150) < 100
    pixels[~seen] = 3
    field = cv2.resize(seen.astype(np.uint8), (96, 96), interpolation=cv2.INTER_AREA) > 0
    planes = border_planes(cut(pixels, coarse(mask), field, crop_around(mask)))
    skin = planes[:3, (planes[-1] > 0.99) & (planes[6] < -3)]
    assert np.abs(np.median(skin, axis=1)).max() < 0.1, "the skin is told from itself"
    everything = np.full((BORDER_SIDE_PX, BORDER_SIDE_PX), 5.0)
    drawn = redraw(pixels, mask, coarse(mask), field, Says(everything))
    assert (drawn & (np.hypot(rows - 150, columns - 150) > 106)).sum() == 0 < (drawn & ~mask).sum()


def test_a_lesion_of_a_large_photo_is_cut_as_one_of_a_small_photo():
    small, mask = paint((375, 500), (250, 187), 170, 40.0, seed=3)
    large = cv2.resize(small, (4000, 3000), interpolation=cv2.INTER_CUBIC)
    large_mask = cv2.resize(mask.astype(np.uint8), (4000, 3000), interpolation=cv2.INTER_NEAREST) > 0
    crop = crop_around(large_mask)
    assert crop.side > 5000 and crop.side % BORDER_SIDE_PX == 0
    whole = redraw(large, large_mask, coarse(large_mask), EVERYWHERE, BorderNetwork().eval())
    assert dice(whole, large_mask) > 0.97
    pixels = cut(large, coarse(large_mask), EVERYWHERE, crop).pixels
    step = crop.side // BORDER_SIDE_PX
    y, x = 64 * step + crop.top, 64 * step + crop.left
    assert pixels[64, 64] == pytest.approx(large[y : y + step, x : x + step].mean(axis=(0, 1)), abs=1.5)


def test_what_lies_beyond_the_photo_is_never_lesion():
    pixels, mask = paint((200, 200), (4, 100), 50, 40.0, seed=3)
    everything = np.full((BORDER_SIDE_PX, BORDER_SIDE_PX), 5.0)
    crop = crop_around(mask)
    assert crop.left < 0
    drawn = redraw(pixels, mask, coarse(mask), EVERYWHERE, Says(everything))
    assert drawn.shape == mask.shape and drawn.sum() <= crop.side * (crop.left + crop.side)


def test_colours_are_told_as_they_differ_from_the_skin_of_the_photo():
    light, mask = paint((300, 300), (150, 150), 60, 40.0, seed=3)
    crop = crop_around(mask)
    planes = border_planes(cut(light, coarse(mask), EVERYWHERE, crop))
    inside, skin = planes[:, 60:68, 60:68], planes[:, :10, :10]
    assert np.abs(np.median(skin[:6], axis=(1, 2))).max() < 0.2
    assert np.linalg.norm(np.median(inside[:3], axis=(1, 2))) == pytest.approx(1.0, abs=0.15)
    # A sloping light shifts lesion and skin alike.
    slope = np.linspace(0.85, 1.1, 300)[None, :, None]
    sloped = np.clip(light * slope, 0, 255).astype(np.uint8)
    again = border_planes(cut(sloped, coarse(mask), EVERYWHERE, crop))
    assert np.abs(again[:3] - planes[:3]).mean() < 0.12
    assert np.array_equal(again[6:], planes[6:])


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    data=st.data(),
)
def test_any_mask_of_any_photo_is_redrawn_within_it(height, width, data):
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    mask = np.zeros((height, width), bool)
    mask[top : data.draw(st.integers(top + 1, height)), left : data.draw(st.integers(left + 1, width))] = True
    level = data.draw(st.sampled_from([0, 128, 255]))
    pixels = np.full((height, width, 3), level, np.uint8)
    outline = data.draw(st.sampled_from([np.zeros((96, 96)), np.ones((96, 96)), coarse(mask)])).astype(np.float32)
    drawn = redraw(pixels, mask, outline, EVERYWHERE, BorderNetwork().eval())
    assert drawn.shape == mask.shape and drawn.dtype == bool and drawn.any()


def test_a_mask_is_cut_by_shares():
    mask = np.zeros((300, 300), bool)
    mask[100:200, 100:200] = True
    share = cut_mask(mask, Crop(20, 20, 256))
    assert share.sum() * 4 == pytest.approx(mask.sum(), rel=5e-3)
    for side in (64, 200, 256):
        assert cut_mask(mask, Crop(400, 400, side)).sum() == 0
        assert cut_mask(mask, Crop(-400, 0, side)).sum() == 0
