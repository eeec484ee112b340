"""A release's threshold of presence follows from photos that were held out of its training, seen as they will be."""

import json

import numpy as np
import pytest
import torch

from longderm.errors import SourceNotFoundError
from longderm.imaging.network_outline import AreaError
from longderm.imaging.sight import Sight, look, squash
from longderm.models.lesion_network import Architecture, LesionNetwork
from longderm.models.weights import read_networks, write_networks
from longderm.training.calibrate import DOUBT, Seen, _drawn, _fit_area_error, refit_drawing
from longderm.training.examples import hold_out, read_examples, read_train_rows

SHAPE = Architecture(widths=(8, 16, 16, 24, 24), blocks=(1, 1, 1, 1), decoder=(8, 8, 16, 16))


@pytest.fixture
def release(tmp_path):
    torch.manual_seed(0)
    config = {
        "drawing": {"level": 0.45, "presence_slope": 1.2, "presence_offset": -0.3, "min_presence": 0.9},
        "network": {"side_px": 64, "architectures": write_networks([LesionNetwork(SHAPE)], tmp_path)},
        "training": {"held_share": 0.4, "seed": 0},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_the_photo_held_out_that_looks_least_like_a_lesion_is_still_found(release, isic_folder):
    before = json.loads((release / "config.json").read_text())
    drawing = refit_drawing(release, isic_folder)
    written = json.loads((release / "config.json").read_text())
    assert written["network"] == before["network"] | {"doubt": list(DOUBT)} and written["drawing"] == drawing
    assert set(drawing.pop("area_error")) == {"power", "scale"}
    assert drawing | {"min_presence": 0.9} == before["drawing"], "nothing else of the drawing moves"

    networks = read_networks(release)
    _, held = hold_out(read_train_rows(isic_folder), 0.4, 0)
    said = [
        look(networks, squash(example.fine, 64), (512, 512), "x", DOUBT).presence
        for example in read_examples(isic_folder, held)
    ]
    lowest = 1 / (1 + np.exp(-(1.2 * min(said) - 0.3)))
    assert lowest - 1e-4 <= drawing["min_presence"] <= lowest
    assert refit_drawing(release, isic_folder) == written["drawing"], "the same photos give the same numbers"


def test_nine_of_ten_areas_lie_within_the_error_that_is_fitted():
    rng = np.random.default_rng(0)
    rows, columns = (np.mgrid[:96, :96] + 0.5) / 96
    drawn, nothing = [], np.zeros((5, 12, 12), np.float32)
    for _ in range(300):
        steep, radius = np.exp(rng.uniform(np.log(10), np.log(200))), rng.uniform(0.15, 0.3)
        depth = radius - np.hypot(rows - 0.5, columns - 0.5)
        outline = (1 / (1 + np.exp(-depth * steep))).astype(np.float32)
        views = np.stack([outline, outline])
        sight = Sight(views, outline, nothing, nothing[:, 0, 0], 4.0, np.zeros((192, 192, 3), np.uint8), (96, 96), "x")
        # The softer the border, the further off an expert draws it.
        drawn.append(Seen(sight, depth > rng.laplace(scale=0.6 / steep)))
    found = _drawn(drawn, 0.5)
    error = AreaError(**_fit_area_error(found))
    assert 0.5 < error.power < 1.2
    off = [abs(np.log(area.mask.sum() / mask.sum())) <= np.log1p(error(area.softness)) for area, mask in found]
    assert np.mean(off) == pytest.approx(0.9, abs=0.02)


def test_a_folder_of_another_layout_is_told(release):
    with pytest.raises(SourceNotFoundError):
        refit_drawing(release, release)
