"""The border network starts from the coarse outline, and is read as it was written."""

import json

import pytest
import torch

from longderm.errors import RefusedError
from longderm.imaging.segmentation import DEFAULT_VERSION
from longderm.models import load_release
from longderm.models.border_network import COARSE_PLANE, PLANES, BorderArchitecture, BorderNetwork, fold_border
from longderm.models.weights import BORDER_FILE, read_border, read_networks, write_border

SMALL = BorderArchitecture(widths=(4, 6, 8, 8), last=4)


@pytest.fixture
def trained():
    """A network whose every part says something."""
    torch.manual_seed(1)
    network = BorderNetwork(SMALL)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(torch.randn_like(value) * 0.2)
        network(torch.randn(4, PLANES, 32, 32))
    return network.eval()


def test_untaught_it_gives_the_coarse_outline_back():
    planes = torch.randn(2, PLANES, 32, 48)
    with torch.inference_mode():
        said = BorderNetwork()(planes)
    assert torch.equal(said, planes[:, COARSE_PLANE : COARSE_PLANE + 1])


def test_with_the_networks_of_the_release_it_stays_below_eight_million_parameters():
    release = load_release("segmentation", DEFAULT_VERSION)
    networks = [*read_networks(release.folder), BorderNetwork()]
    assert sum(value.numel() for network in networks for value in network.parameters()) < 8_000_000


def test_folded_it_says_the_same(trained):
    planes = torch.randn(2, PLANES, 32, 32)
    with torch.inference_mode():
        assert torch.allclose(trained(planes), fold_border(trained)(planes), atol=1e-4)


def test_what_is_written_is_read(trained, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"border": {"architecture": write_border(trained, tmp_path)}}))
    planes = torch.randn(1, PLANES, 32, 32)
    with torch.inference_mode():
        assert torch.allclose(trained(planes), read_border(tmp_path)(planes), atol=0.02)


@pytest.mark.parametrize(
    "config", [{}, {"border": {"architecture": {"widths": [4, 6, 8, 9]}}}, {"border": {"architecture": {"depth": 3}}}]
)
def test_weights_of_another_shape_are_refused(trained, tmp_path, config):
    write_border(trained, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RefusedError, match=BORDER_FILE):
        read_border(tmp_path)


def test_damaged_weights_are_refused(trained, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"border": {"architecture": write_border(trained, tmp_path)}}))
    (tmp_path / BORDER_FILE).write_bytes(b"\x00" * 40)
    with pytest.raises(RefusedError, match="restore"):
        read_border(tmp_path)
