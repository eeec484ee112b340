"""The network takes any size, knows where its patches lie, and learns."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longderm.models.vision_transformer import VisionArchitecture, VisionTransformer, cut_patches

SMALL = VisionArchitecture(width=32, depth=2, heads=2, mlp_width=64, patch_px=8, grid=4)


@pytest.fixture
def network():
    torch.manual_seed(3)
    return VisionTransformer(SMALL).eval()


def test_the_default_is_small_enough_for_a_clinic():
    assert sum(value.numel() for value in VisionTransformer().parameters()) < 6e6


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70))
def test_any_size_is_covered_by_patches(height, width):
    torch.manual_seed(3)
    seen = VisionTransformer(SMALL).eval()(torch.rand(2, 3, height, width))
    assert seen.grid == (-(-height // 8), -(-width // 8))
    assert seen.patches.shape == (2, seen.grid[0] * seen.grid[1], 32)
    assert seen.vector.shape == (2, 32)
    assert torch.isfinite(seen.vector).all()


def test_patches_are_cut_row_by_row_and_the_edge_is_continued():
    image = torch.arange(3 * 5 * 6, dtype=torch.float32).reshape(1, 3, 5, 6)
    cut, grid = cut_patches(image, 4)
    assert grid == (2, 2)
    torch.testing.assert_close(cut[0, 0], image[0, :, :4, :4].reshape(-1))
    lower_right = image[0, :, [4, 4, 4, 4]][:, :, [4, 5, 5, 5]]
    torch.testing.assert_close(cut[0, 3], lower_right.reshape(-1))


def test_positions_on_the_stored_grid_are_the_stored_ones(network):
    assert network.positions_at((4, 4)) is network.positions


@pytest.mark.parametrize("grid", [(8, 8), (2, 2), (6, 3)])
def test_positions_on_another_grid_keep_constants_and_their_order(network, grid):
    with torch.no_grad():
        rows = torch.arange(4.0).repeat_interleave(4)
        network.positions.copy_(torch.stack([rows, torch.ones(16)], 1).repeat(1, 16))
    at = network.positions_at(grid).detach().reshape(*grid, 32)
    torch.testing.assert_close(at[..., 1], torch.ones(grid))
    assert (at[1:, :, 0] > at[:-1, :, 0]).all()
    torch.testing.assert_close(at[:, 0, 0], at[:, -1, 0], atol=1e-4, rtol=1e-4)
    assert at[..., 0].mean().item() == pytest.approx(1.5, abs=1e-4)


def test_tokens_stay_with_what_they_show(network):
    """What is drawn into one patch moves that patch's token most."""
    images = torch.zeros(2, 3, 32, 32)
    images[1, :, 8:16, 24:32] = 3
    with torch.no_grad():
        before, after = network(images).patches
    assert (after - before).norm(dim=1).argmax().item() == 1 * 4 + 3


def test_every_weight_takes_part():
    architecture = replace(SMALL, registers=2, layer_scale=True, norm_before=True, projection=8, projection_bias=True)
    network = VisionTransformer(architecture)
    network(torch.rand(2, 3, 32, 32)).projected.square().sum().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in network.parameters())


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="3 heads"):
        VisionTransformer(replace(SMALL, heads=3))
