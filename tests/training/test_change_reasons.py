"""What a pair changed of, and the layer that learns to name it without touching anything else."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from longderm.models.change_network import CHANGE_REASONS, ChangeArchitecture, ChangeNetwork, with_every_reason
from longderm.training.change import look
from longderm.training.change_batches import ChangeBatch
from longderm.training.change_reasons import _evened, fit_reasons, reasons_of, symmetry_moved
from longderm.training.logistic import fit_ridge

SMALL = ChangeArchitecture(widths=(8, 12, 16, 24), blocks=(1, 1, 1), compared=(8, 12, 16))
SIDE = 120


def scene(dark=None, bulge=0.0):
    """A disc on skin; dark: a side of it that is darker; bulge: how far it grows to the right."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    mask = (np.hypot(x, y) < 34) | (np.hypot(x - bulge, y) < 30)
    pixels = np.full((SIDE, SIDE, 3), (205, 170, 150), np.uint8)
    pixels[mask] = (140, 95, 80)
    if dark == "right":
        pixels[mask & (x > 12)] = (80, 50, 45)
    if dark == "middle":
        pixels[mask & (np.hypot(x, y) < 18)] = (80, 50, 45)
    return pixels, mask


def pair(kind, before, after):
    return SimpleNamespace(changed=bool(kind), kind=kind, scenes=(before, after))


@pytest.mark.parametrize(
    ("kind", "after", "told"),
    [
        ("blotch", scene(dark="right"), {"colour", "symmetry"}),
        ("blotch", scene(dark="middle"), {"colour"}),
        ("growth", scene(bulge=24), {"size", "symmetry"}),
        ("structure", scene(), {"structure"}),
        ("", scene(), set()),
    ],
)
def test_a_change_to_one_side_is_of_symmetry_as_well(kind, after, told):
    named = {name for name, so in zip(CHANGE_REASONS, reasons_of(pair(kind, scene(), after)), strict=True) if so}
    assert named == told


def test_symmetry_that_returns_is_a_change_of_symmetry_too():
    assert symmetry_moved(pair("regression", scene(bulge=24), scene()))


def drawn_batches(network, count, seed):
    """Batches whose reasons follow from what the network sees: each from a fixed direction of its summary."""
    torch.manual_seed(seed)
    directions = torch.randn(
        len(CHANGE_REASONS), network.reasons.in_features, generator=torch.Generator().manual_seed(9)
    )
    for _ in range(count):
        photos = torch.randint(0, 255, (2, 16, 32, 32, 3), dtype=torch.uint8)
        photos[:, :, :16] //= torch.randint(1, 6, (2, 16, 1, 1, 1), dtype=torch.uint8)
        blank = torch.zeros(16, 1, 4, 4), torch.ones(16), torch.zeros(16, 4), torch.zeros(16, 2)
        batch = ChangeBatch(photos[0], photos[1], *blank)
        with torch.no_grad():
            seen = look(network, batch).summary
        told = ((seen - seen.mean(dim=0)) @ directions.T > 0).float()
        yield ChangeBatch(photos[0], photos[1], blank[0], blank[1], told, blank[3])


def test_the_layer_learns_the_reasons_and_nothing_else_moves():
    torch.manual_seed(4)
    network = ChangeNetwork(SMALL).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fit_reasons(network, drawn_batches(network, 30, seed=1), look)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]) is not name.startswith("reasons."), name
    right = []
    with torch.no_grad():
        for batch in drawn_batches(network, 6, seed=2):
            right.append(((look(network, batch).reasons > 0).float() == batch.reasons).float().mean())
    assert np.mean(right) > 0.7


def test_a_reason_without_examples_stays_as_it_was():
    network = ChangeNetwork(SMALL).eval()
    before = network.reasons.weight.clone()
    batches = list(drawn_batches(network, 4, seed=3))
    for batch in batches:
        batch.reasons[:, 2] = 1
    fit_reasons(network, batches, look)
    assert torch.equal(network.reasons.weight[2], before[2]) and not torch.equal(network.reasons.weight[0], before[0])
    fit_reasons(network, [], look)


def test_a_network_with_fewer_reasons_keeps_what_it_says_and_is_even_on_the_new_one():
    torch.manual_seed(5)
    former = ChangeNetwork(ChangeArchitecture((8, 12, 16, 24), (1, 1, 1), (8, 12, 16), CHANGE_REASONS[:3])).eval()
    whole = with_every_reason(former)
    assert whole.architecture.reasons == CHANGE_REASONS and with_every_reason(whole) is whole
    photos = torch.randn(2, 3, 3, 32, 32)
    with torch.no_grad():
        said, more = (network(photos[0], photos[1], torch.zeros(3, 2)) for network in (former, whole))
    assert torch.equal(said.change, more.change) and torch.equal(said.where, more.where)
    assert torch.allclose(said.reasons, more.reasons[:, :3]) and (more.reasons[:, 3] == 0).all()


def test_growth_alone_does_not_speak_for_symmetry():
    """Where symmetry goes with growth in nine of ten pairs, a feature of growth says nothing of it."""
    rng = np.random.default_rng(6)
    grown = rng.random(4000) < 0.5
    moved = np.where(grown, rng.random(4000) < 0.9, rng.random(4000) < 0.1)
    labels = np.stack([grown, ~grown, np.zeros(4000, bool), moved], axis=1)
    counts = _evened(labels)
    assert counts.mean() == pytest.approx(1.0)
    for group in (grown, ~grown):
        assert counts[group & moved].sum() == pytest.approx(counts[group & ~moved].sum())
    features = np.stack([grown + 0.3 * rng.normal(size=4000), moved + rng.normal(size=4000)], axis=1)
    fooled, even = (fit_ridge(features, moved, 1.0, times) for times in (None, counts))
    assert fooled[0] > 2 and abs(even[0]) < 0.3 and even[1] > 0.7


def test_a_row_that_counts_thrice_is_three_rows():
    rng = np.random.default_rng(8)
    inputs, labels, times = rng.normal(size=(60, 3)), rng.random(60) < 0.5, rng.integers(1, 4, 60)
    counted = fit_ridge(inputs, labels, 2.0, times.astype(float))
    assert counted == pytest.approx(fit_ridge(np.repeat(inputs, times, axis=0), np.repeat(labels, times), 2.0))
