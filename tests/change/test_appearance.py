"""The network's answer: one more measured difference, blind to the photos' order and to which way up they are."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn_lesions import SIDE, lesion_pixels

from longderm.change import score_change
from longderm.change.appearance import Appearance, appearance_network, compare_appearance, place_heat
from longderm.change.crops import Crops, cut_crops
from longderm.change.evidence import APPEARANCE, NoiseModel
from longderm.change.result import LAB, PROBABILITY
from longderm.errors import RefusedError
from longderm.models.change_network import (
    CHANGE_REASONS,
    CHANGE_WEIGHTS_FILE,
    ChangeArchitecture,
    ChangeNetwork,
    write_change_network,
)
from longderm.models.releases import load_release, packaged_registry, write_hashes
from longderm.photo import Photo
from longderm.registration import Alignment

STILL = Alignment(np.eye(3), True, 0.9, None, 1.0, 1.0, 0.0)


def small_network(seed=3):
    torch.manual_seed(seed)
    network = ChangeNetwork(ChangeArchitecture(widths=(8, 8, 8, 8), blocks=(1, 1, 1), compared=(8, 8, 8)))
    # Normalisation as after some training, so that nothing is silent.
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.weight, 0.8, 1.6)
            torch.nn.init.uniform_(part.bias, -0.2, 0.4)
    return network.eval()


def crops_of(first, second):
    return cut_crops((first[0], second[0]), (first[1], second[1]), np.eye(3))


@pytest.fixture(scope="module")
def crops():
    return crops_of(lesion_pixels(), lesion_pixels(blotch=1.2))


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """The packaged release with a network of this test's own, whose answer has noise and weight."""
    root = tmp_path_factory.mktemp("registry")
    folder = root / "change" / "0.1.0"
    shutil.copytree(packaged_registry() / "change" / "0.1.0", folder)
    config = json.loads((folder / "config.json").read_text())
    config["network"] = {"side_px": 160, "architecture": write_change_network(small_network(), folder)}
    config["noise"][APPEARANCE] = {"centre": 0.01, "mdc": 0.02, "spread": 0.005, "unit": "1"}
    config["weights"][APPEARANCE] = 2.0
    (folder / "config.json").write_text(json.dumps(config))
    write_hashes(folder)
    return load_release("change", "0.1.0", root)


def test_the_photos_order_does_not_matter(crops):
    turned = replace(
        crops,
        baseline=crops.followup,
        followup=crops.baseline,
        baseline_lesion=crops.followup_lesion,
        followup_lesion=crops.baseline_lesion,
    )
    there, back = (compare_appearance(pair, small_network(), 90) for pair in (crops, turned))
    assert there.difference == pytest.approx(back.difference, rel=1e-4)
    assert there.where == pytest.approx(back.where, abs=1e-4)
    assert set(there.reasons) == set(CHANGE_REASONS) and all(0 <= chance <= 1 for chance in there.reasons.values())


@pytest.mark.parametrize(
    ("chances", "named"),
    [
        ((0.2, 0.7, 0.6, 0.1), ("colour", "structure")),
        ((0.1, 0.2, 0.9, 0.95), ("symmetry", "structure")),
        ((0.5, 0.4, 0.1, 0.3), ()),
    ],
)
def test_reasons_likelier_than_not_are_named_the_likeliest_first(chances, named):
    told = dict(zip(CHANGE_REASONS, chances, strict=True))
    assert Appearance(9.0, np.zeros((20, 20), np.float32), told).named_reasons == named


@pytest.mark.parametrize("axis", [0, 1])
def test_a_mirrored_pair_differs_as_much_at_mirrored_places(crops, axis):
    mirrored = Crops(*(np.flip(getattr(crops, name), axis).copy() for name in crops.__dataclass_fields__))
    seen, reflected = (compare_appearance(pair, small_network()) for pair in (crops, mirrored))
    assert seen.difference == pytest.approx(reflected.difference, rel=1e-3)
    assert np.flip(seen.where, axis) == pytest.approx(reflected.where, abs=1e-3)


def test_the_map_lies_on_the_baseline_and_says_nothing_where_a_photo_shows_nothing():
    first, mask = lesion_pixels()
    shifted = np.array([[1.0, 0.0, 150.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    pair = cut_crops((first, first), (mask, mask), shifted)
    where = np.zeros((20, 20), np.float32)
    where[4, 6] = 1.0
    heat = place_heat(where, pair, SIDE)
    assert heat.shape == SIDE and heat.dtype == np.float32
    y, x = np.unravel_index(np.nanargmax(heat), SIDE)
    crop_x, crop_y = np.linalg.inv(pair.matrix)[:2] @ (x, y, 1.0)
    assert (crop_x, crop_y) == pytest.approx((6.5 * 8, 4.5 * 8), abs=5)
    beyond = np.arange(SIDE[1]) + 150 >= SIDE[1]
    assert np.isnan(heat[:, beyond]).all() and np.isfinite(heat[:, ~beyond]).any()


def test_a_release_with_a_network_tells_it_among_the_deltas_and_maps_a_chance(release):
    photos = Photo.from_array(lesion_pixels()[0]), Photo.from_array(lesion_pixels(blotch=1.2)[0])
    with_network = score_change(*photos, alignment=STILL, release=release)
    without = score_change(*photos, alignment=STILL, release=load_release("change", "0.1.0"))
    assert (with_network.heatmap_unit, without.heatmap_unit) == (PROBABILITY, LAB)
    told = {delta.measure: delta for delta in with_network.deltas}
    assert told[APPEARANCE].mdc == 0.02 and APPEARANCE not in {delta.measure for delta in without.deltas}
    assert told.keys() - {APPEARANCE} == {delta.measure for delta in without.deltas}
    values = with_network.heatmap[np.isfinite(with_network.heatmap)]
    assert values.size and values.min() >= 0 and values.max() <= 1
    assert NoiseModel.from_config(release.config).weights[APPEARANCE] == 2.0


def test_weights_that_do_not_fit_their_config_are_refused(release, tmp_path):
    folder = tmp_path / "change" / "0.1.0"
    shutil.copytree(release.folder, folder)
    (folder / CHANGE_WEIGHTS_FILE).write_bytes((folder / CHANGE_WEIGHTS_FILE).read_bytes()[:-64])
    write_hashes(folder)
    with pytest.raises(RefusedError, match="does not fit"):
        appearance_network(load_release("change", "0.1.0", tmp_path))
