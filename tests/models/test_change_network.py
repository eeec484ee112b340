"""The change network: it does not know which photo came first, and its weights come back from disk as they went."""

import json

import pytest
import torch

from longderm.errors import RefusedError
from longderm.models.change_network import (
    CHANGE_WEIGHTS_FILE,
    ChangeArchitecture,
    ChangeNetwork,
    encode_interval,
    read_change_network,
    write_change_network,
)

TINY = ChangeArchitecture(widths=(4, 8, 8, 12), blocks=(1, 1, 1), compared=(4, 8, 8))


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = ChangeNetwork(TINY)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as after some training
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    return made.eval()


def pair(seed=1, side=64):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(2, 3, side, side, generator=generator) for _ in range(2))


@torch.no_grad()
def test_a_pair_turned_round_gets_the_same_answer(network):
    first, second = pair()
    interval = torch.tensor([encode_interval(90.0)] * 2)
    for one, other in zip(network(first, second, interval), network(second, first, interval), strict=True):
        torch.testing.assert_close(one, other)


@torch.no_grad()
def test_another_photo_or_interval_gets_another_answer(network):
    first, second = pair()
    interval = torch.tensor([encode_interval(90.0)] * 2)
    same = network(first, first, interval).change
    assert not torch.allclose(same, network(first, second, interval).change)
    assert not torch.allclose(same, network(first, first, torch.tensor([encode_interval(None)] * 2)).change)


@torch.no_grad()
def test_the_map_has_a_value_for_every_8_pixels(network):
    for side in (64, 96):
        assert network(*pair(side=side), torch.zeros(2, 2)).where.shape == (2, 1, side // 8, side // 8)


def test_the_network_as_it_is_by_default_is_small():
    assert sum(value.numel() for value in ChangeNetwork().parameters()) < 3_000_000


def test_intervals_grow_and_an_unknown_one_says_so():
    assert encode_interval(None) == (0.0, 0.0)
    values = [encode_interval(days)[0] for days in (0, 90, 365, 730)]
    assert values == sorted(values) and values[0] == 0 and values[-1] == pytest.approx(1.0)
    assert encode_interval(-90) == encode_interval(90)


@torch.no_grad()
def test_weights_come_back_from_disk(network, tmp_path):
    config = {"network": {"architecture": write_change_network(network, tmp_path)}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    again = read_change_network(tmp_path)
    first, second = pair()
    here, there = (n(first, second, torch.zeros(2, 2)).change for n in (network, again))
    torch.testing.assert_close(here, there, atol=0.02, rtol=0.02)


def test_weights_of_another_architecture_are_refused(network, tmp_path):
    shape = write_change_network(network, tmp_path) | {"compared": (4, 8, 16)}
    (tmp_path / "config.json").write_text(json.dumps({"network": {"architecture": shape}}))
    with pytest.raises(RefusedError, match=CHANGE_WEIGHTS_FILE):
        read_change_network(tmp_path)
    (tmp_path / CHANGE_WEIGHTS_FILE).write_bytes(b"not weights")
    with pytest.raises(RefusedError, match=CHANGE_WEIGHTS_FILE):
        read_change_network(tmp_path)
