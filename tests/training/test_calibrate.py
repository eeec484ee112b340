"""What a release states of its outlines follows from photos that were held out of its training."""

import json

import numpy as np
import pytest
import torch

from longderm.errors import SourceNotFoundError, StageError
from longderm.imaging.network_outline import AreaError
from longderm.imaging.sight import Sight
from longderm.models.lesion_network import Architecture, LesionNetwork
from longderm.models.weights import write_networks
from longderm.training.calibrate import Seen, _drawn, _fit_area_error, least_presence, refit_area_error

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


def test_the_error_of_areas_is_fitted_and_all_else_stays(release, isic_folder):
    before = json.loads((release / "config.json").read_text())
    fitted = refit_area_error(release, isic_folder)
    written = json.loads((release / "config.json").read_text())
    assert written["drawing"].pop("area_error") == fitted and fitted["scale"] > 0 <= fitted["power"]
    assert written == before
    assert refit_area_error(release, isic_folder) == fitted, "the same photos give the same numbers"


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


def test_of_few_photos_held_out_none_is_passed_over():
    assert least_presence([3.0, 0.5, 2.0]) == 0.5
    assert least_presence(np.arange(99)) == 0.0


def test_one_in_a_hundred_faint_lesions_may_be_passed_over_and_no_more():
    rng = np.random.default_rng(3)
    for count in (100, 199, 200, 450):
        lesions = rng.normal(4, 1.5, count)
        least = least_presence(lesions)
        assert (lesions < least).sum() == count // 100
        below, above = lesions[lesions < least].max(), lesions[lesions >= least].min()
        assert least == pytest.approx((below + above) / 2), "as far from what is kept as from what is not"


def test_networks_that_draw_nothing_are_told(release, isic_folder):
    config = json.loads((release / "config.json").read_text())
    config["drawing"]["level"] = 1.1
    (release / "config.json").write_text(json.dumps(config))
    with pytest.raises(StageError, match="draw nothing"):
        refit_area_error(release, isic_folder)


def test_a_folder_of_another_layout_is_told(release):
    with pytest.raises(SourceNotFoundError):
        refit_area_error(release, release)
