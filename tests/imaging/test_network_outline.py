"""The outline drawn from what a network sees, here from sights made by hand."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from longderm.errors import RefusedError
from longderm.imaging.fit import dice
from longderm.imaging.network_outline import AreaError, Drawing, find_area, judge, outline_by_network, read_drawing
from longderm.imaging.quadratic import QuadraticScore, fit_linear
from longderm.imaging.sight import Sight, lighten, squash
from longderm.models import load_release
from longderm.photo import Photo

GRID = 64
SHAPE = (300, 400)


def disc(x=0.5, y=0.5, radius=0.2):
    """A soft disc of probability, float32 (64, 64); place and radius as shares of the side."""
    rows, columns = (np.mgrid[:GRID, :GRID] + 0.5) / GRID
    return (1 / (1 + np.exp((np.hypot(rows - y, columns - x) - radius) * 60))).astype(np.float32)


def sight_of(first, second=None, presence=4.0, square=None):
    second = first if second is None else second
    return Sight(
        views=np.stack([first, second]),
        outline=((first + second) / 2).astype(np.float32),
        structure_map=np.zeros((5, 16, 16), np.float32),
        structures=np.zeros(5, np.float32),
        presence=presence,
        square=np.full((128, 128, 3), 180, np.uint8) if square is None else square,
        photo_shape=SHAPE,
        model="segmentation/made",
    )


def linear(feature):
    """A score that is one feature of the area."""
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(500, 5)).astype(np.float32)
    return QuadraticScore.from_weights(fit_linear(samples, samples[:, feature].astype(float), penalty=1e-9))


#: Expected overlap is the mirrored views' agreement, presence is the network's own.
DRAWING = Drawing(0.5, linear(0), 1.0, 0.0, 0.5, 0.2, 0.6, 0.1)


def photo(**meta):
    return Photo.from_array(np.full((*SHAPE, 3), 180, np.uint8), **meta)


def true_disc(x=0.5, y=0.5, radius=0.2):
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    return np.hypot(rows / SHAPE[0] - y, columns / SHAPE[1] - x) < radius


def test_the_outline_is_drawn_on_the_photos_own_grid_and_aspect():
    drawn = outline_by_network(photo(), sight_of(disc(0.4, 0.6)), DRAWING)
    assert drawn.mask.shape == SHAPE
    assert dice(drawn.mask, true_disc(0.4, 0.6)) > 0.98
    assert drawn.reason is None and not drawn.touches_border


def test_the_heaviest_of_several_areas_is_drawn_without_its_holes():
    two = np.maximum(disc(0.3, 0.3, 0.15), disc(0.75, 0.75, 0.1))
    hollow = two * (1 - disc(0.3, 0.3, 0.05))
    drawn = outline_by_network(photo(), sight_of(hollow), DRAWING)
    assert dice(drawn.mask, true_disc(0.3, 0.3, 0.15)) > 0.97


def test_the_softer_the_border_the_larger_the_error_that_is_stated_of_the_area():
    rows, columns = (np.mgrid[:GRID, :GRID] + 0.5) / GRID
    depth = 0.25 - np.hypot(rows - 0.5, columns - 0.5)
    softer = [(1 / (1 + np.exp(-depth * steep))).astype(np.float32) for steep in (300, 60, 25, 12)]
    found = [find_area(sight_of(surface), 0.5) for surface in softer]
    assert all(sharp.softness < soft.softness for sharp, soft in pairwise(found))
    stating = replace(DRAWING, area_error=AreaError(scale=1.0, power=1.0))
    errors = [outline_by_network(photo(), sight_of(surface), stating).area_error for surface in softer]
    # The area above 0.25 over the one above 0.65, drawn with a pen: what a scale and power of one state.
    ratios = [(surface > 0.25).sum() / (surface > 0.65).sum() for surface in softer]
    assert errors == pytest.approx([max(ratio, np.exp(0.02)) - 1 for ratio in ratios], abs=1e-3)
    assert outline_by_network(photo(), sight_of(softer[0]), DRAWING).area_error is None, "a release that states none"


def test_a_border_that_is_hardly_there_states_at_most_a_factor_of_four():
    even = np.full((GRID, GRID), 0.55, np.float32)
    stating = replace(DRAWING, area_error=AreaError(scale=1.0, power=1.0), min_overlap=0.0, min_presence=0.0)
    assert outline_by_network(photo(), sight_of(even), stating).area_error == 3.0


def test_a_pale_middle_does_not_soften_the_border():
    pale = disc(radius=0.25) * (1 - 0.4 * disc(radius=0.1))
    assert find_area(sight_of(pale), 0.5).softness == find_area(sight_of(disc(radius=0.25)), 0.5).softness


@pytest.mark.parametrize("stated", [None, 0.25, [1, 2], {"scale": None, "power": 1}, {"scale": -1.0, "power": 1.0}])
def test_an_error_of_areas_that_is_none_is_refused(stated):
    config = load_release("segmentation", "0.4.0").config
    with pytest.raises(RefusedError, match="positive scale"):
        read_drawing({"drawing": config["drawing"] | {"area_error": stated}})


def test_another_spot_does_not_soften_the_border():
    alone, beside = disc(0.3, 0.3, 0.2), np.maximum(disc(0.3, 0.3, 0.2), 0.4 * disc(0.8, 0.8, 0.1) / disc().max())
    assert find_area(sight_of(beside), 0.5).softness == find_area(sight_of(alone), 0.5).softness


def test_views_that_disagree_lower_the_confidence_and_at_last_the_outline_goes():
    pairs = [sight_of(disc(), disc(0.5 + off)) for off in (0, 0.03, 0.07, 0.45)]
    results = [outline_by_network(photo(), pair, DRAWING) for pair in pairs]
    confidences = [result.confidence for result in results]
    assert all(surer >= less for surer, less in pairwise(confidences))
    assert confidences[0] > confidences[1] > confidences[2]
    assert results[0].reason is None
    assert results[2].reason == "the border is doubtful"
    assert results[3].mask is None and results[3].reason


class Wider(torch.nn.Module):
    """A border network that draws the border further out, where the coarse log-odds are still above -`by`."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        return planes[:, 6:7] + self.by


def test_a_border_network_draws_the_border_of_dermoscopic_photos_alone():
    sight = sight_of(disc(0.4, 0.6))
    plain = outline_by_network(photo(), sight, DRAWING)
    drawn = outline_by_network(photo(), sight, DRAWING, Wider(2.0))
    # The disc's log-odds fall by 60 over a side, so that two of them are a thirtieth.
    assert dice(drawn.mask, true_disc(0.4, 0.6, 0.2 + 2 / 60)) > 0.97
    assert drawn.confidence == plain.confidence and drawn.mask.sum() > 1.2 * plain.mask.sum()
    clinical = photo(modality="clinical")
    one, other = (outline_by_network(clinical, sight, DRAWING, border) for border in (None, Wider(2.0)))
    assert np.array_equal(one.mask, other.mask)


def test_a_doubtful_outline_keeps_its_border():
    doubtful = sight_of(disc(), disc(0.57))
    plain, drawn = (outline_by_network(photo(), doubtful, DRAWING, border) for border in (None, Wider(2.0)))
    assert plain.reason == "the border is doubtful"
    assert np.array_equal(plain.mask, drawn.mask)


def test_whether_the_edge_cuts_the_lesion_is_told_of_the_border_that_is_drawn():
    near = sight_of(disc(0.24, 0.5))
    assert not outline_by_network(photo(), near, DRAWING).touches_border
    assert outline_by_network(photo(), near, DRAWING, Wider(4.0)).touches_border


def test_without_a_lesion_nothing_is_drawn_and_the_reason_is_told():
    assert "nothing differs" in outline_by_network(photo(), sight_of(disc() * 0.3), DRAWING).reason
    absent = outline_by_network(photo(), sight_of(disc(), presence=-6.0), DRAWING)
    assert absent.mask is None and "does not look like a lesion" in absent.reason
    assert absent.confidence < 0.5
    speck = np.zeros((GRID, GRID), np.float32)
    speck[5, 5:7] = 1
    assert find_area(sight_of(speck), 0.5) is None


def test_a_lesion_at_the_edge_is_cut_and_in_a_clinical_photo_none():
    at_edge = sight_of(disc(1.0, 0.5))
    drawn = outline_by_network(photo(), at_edge, DRAWING)
    assert drawn.touches_border and "edge" in drawn.reason
    assert outline_by_network(photo(modality="clinical"), at_edge, DRAWING).mask is None
    assert outline_by_network(photo(modality="clinical"), sight_of(disc()), DRAWING).mask is not None


def test_the_rim_of_an_eyepiece_cuts_a_lesion_too():
    rows, columns = np.mgrid[:128, :128]
    round_view = np.full((128, 128, 3), 180, np.uint8)
    round_view[np.hypot(rows - 64, columns - 64) > 55] = 0
    drawn = outline_by_network(photo(), sight_of(disc(0.85, 0.5), square=round_view), DRAWING)
    assert drawn.touches_border


def test_overlap_and_presence_are_shares():
    for scale in (0.5, 1.0):
        sight = sight_of(disc() * scale + 0.01, presence=50.0)
        overlap, presence = judge(sight, find_area(sight, 0.4), DRAWING)
        assert 0 <= overlap <= 1 and 0 <= presence <= 1


@pytest.mark.parametrize("shape", [(1, 1), (40, 900), (900, 40), (256, 256), (100, 300)])
def test_any_photo_is_squashed_to_the_networks_square_and_keeps_its_mean(shape):
    pixels = np.random.default_rng(0).integers(190, 210, (*shape, 3), dtype=np.uint8)
    square = squash(pixels, 128)
    assert square.shape == (128, 128, 3)
    assert abs(float(square.mean()) - float(pixels.mean())) < 3


@pytest.mark.parametrize("light", [0.02, 0.1, 0.3])
def test_an_underexposed_photo_is_lightened_and_others_are_not(light):
    pixels = np.random.default_rng(0).integers(190, 210, (64, 64, 3), dtype=np.uint8)
    dark = np.round(pixels * light).astype(np.uint8)
    assert np.array_equal(lighten(pixels), pixels)
    assert float(lighten(dark).mean()) > 1.5 * float(dark.mean())
    assert lighten(dark).max() <= 155
