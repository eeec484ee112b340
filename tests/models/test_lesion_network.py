"""The lesion network: its outputs fit its input, folding changes nothing, and weights come back from disk."""

import json
from dataclasses import replace

import pytest
import torch

from longderm.errors import RefusedError
from longderm.models.lesion_network import Architecture, LesionNetwork, fold, normalise
from longderm.models.weights import WEIGHTS_FILE, read_networks, write_networks
from longderm.training.segmentation import MEMBERS

SMALL = Architecture(widths=(8, 8, 16, 16, 24), blocks=(1, 1, 1, 1), decoder=(8, 8, 8, 8))


def trained_a_little():
    """A small network whose normalisation has seen something, so that folding it away is no matter of course."""
    torch.manual_seed(0)
    network = LesionNetwork(SMALL)
    network.train()
    for _ in range(3):
        network(torch.randn(4, 3, 64, 64) * 2 + 1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
    return network.eval()


@pytest.mark.parametrize("side", [64, 96])
def test_outline_and_maps_lie_on_halves_and_eighths_of_the_input(side):
    sight = LesionNetwork(SMALL).eval()(torch.zeros(2, 3, side, side))
    assert sight.outline.shape == (2, 1, side // 2, side // 2)
    assert sight.coarse.shape == (2, 1, side // 8, side // 8)
    assert sight.structure_map.shape == (2, 5, side // 8, side // 8)
    assert sight.structures.shape == (2, 5)
    assert sight.presence.shape == (2,)


def test_the_networks_of_a_release_have_at_most_eight_million_parameters():
    networks = [LesionNetwork(member.architecture) for member in MEMBERS]
    assert sum(value.numel() for network in networks for value in network.parameters()) < 8e6


def test_folding_changes_nothing_but_the_speed():
    network = trained_a_little()
    photos = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        for before, after in zip(network(photos), fold(network)(photos), strict=True):
            torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


def test_black_and_white_are_far_apart_and_grey_lies_between():
    pixels = torch.tensor([[[[0, 0, 0], [255, 255, 255]]]], dtype=torch.uint8)
    scaled = normalise(pixels)
    assert scaled.shape == (1, 3, 1, 2)
    assert scaled[0, 0, 0].tolist() == [-2.0, 2.0]


def test_weights_come_back_from_disk_in_half_precision(tmp_path):
    network = trained_a_little()
    other = LesionNetwork(replace(SMALL, widths=(8, 8, 8, 8, 8))).eval()
    shapes = write_networks([network, other], tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"network": {"architectures": shapes}}))
    photos = torch.randn(1, 3, 64, 64)
    for back, written in zip(read_networks(tmp_path), (network, other), strict=True):
        with torch.inference_mode():
            torch.testing.assert_close(back(photos).outline, written(photos).outline, atol=2e-2, rtol=2e-2)


def test_damaged_missing_or_foreign_weights_are_refused(tmp_path):
    shape = write_networks([trained_a_little()], tmp_path)[0]
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"network": {"architectures": [shape | {"blocks": [1, 1, 1, 2]}]}}))
    with pytest.raises(RefusedError, match="does not fit"):
        read_networks(tmp_path)
    config.write_text(json.dumps({"network": {"architectures": [shape]}}))
    whole = (tmp_path / WEIGHTS_FILE).read_bytes()
    (tmp_path / WEIGHTS_FILE).write_bytes(whole[:100])
    with pytest.raises(RefusedError, match="does not fit"):
        read_networks(tmp_path)
    (tmp_path / WEIGHTS_FILE).unlink()
    with pytest.raises(RefusedError, match="does not fit"):
        read_networks(tmp_path)
