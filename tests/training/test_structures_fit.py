"""Structures are learned from marks: where cells that differ are marked, they are told, in photos not fitted to."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from longderm.errors import SourceNotFoundError
from longderm.imaging.sight import read_texture
from longderm.imaging.structures import cell_scores, texture_log_odds
from longderm.imaging.texture import CELLS, Texture
from longderm.models.lesion_network import Architecture, LesionNetwork
from longderm.models.weights import write_networks
from longderm.training.examples import COARSE_PX, STRUCTURES
from longderm.training.structures import calibrate_structures, fit_texture, read_copies, refit_structures

SHAPE = Architecture(widths=(8, 16, 16, 24, 24), blocks=(1, 1, 1, 1), decoder=(8, 8, 16, 16))


def textured(count, seed):
    """Textures whose second sign is high in the upper left where globules (bit 1) are marked, in every second photo."""
    rng = np.random.default_rng(seed)
    textures, marks = [], []
    for index in range(count):
        signs = rng.normal(size=(CELLS, CELLS, 4)).astype(np.float32)
        marked = np.zeros((COARSE_PX, COARSE_PX), np.uint8)
        if index % 2:
            marked[:64, :64] = 2
            signs[:7, :7, 1] += 2.5
        where = np.ones((CELLS, CELLS), np.bool_)
        textures.append(Texture(signs[where], np.ones(CELLS * CELLS, np.float32), where))
        marks.append(marked)
    return textures, marks


def test_marked_cells_score_higher_and_marked_photos_too():
    fitted = fit_texture(list(zip(*textured(60, seed=0), strict=True)))
    textures, marks = textured(20, seed=1)
    globules = STRUCTURES.index("globules")
    said = np.array([texture_log_odds(texture, fitted)[globules] for texture in textures])
    assert said[1::2].min() > said[::2].max()
    scores = cell_scores(textures[1], fitted["cells"])[:, globules].reshape(CELLS, CELLS)
    assert scores[:6, :6].mean() > scores[10:, 10:].mean() + 0.1
    assert marks[1].any() and json.loads(json.dumps(fitted)) == fitted, "it goes into a config"


def test_marks_and_outline_grow_with_the_photo_in_its_copies(painted):
    example = painted[5]
    outline = cv2.resize(example.mask, (96, 96), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    (as_it_is, marks), (nearer, nearer_marks), (further, further_marks), *squashed = read_copies(
        example.fine, outline, example.marks
    )
    np.testing.assert_array_equal(as_it_is.signs, read_texture(example.fine, outline).signs)
    np.testing.assert_array_equal(marks, example.marks)
    assert nearer_marks.astype(bool).sum() == pytest.approx(1.2**2 * marks.astype(bool).sum(), rel=0.05)
    assert further_marks.astype(bool).sum() == pytest.approx(0.82**2 * marks.astype(bool).sum(), rel=0.05)
    assert nearer.where.sum() > as_it_is.where.sum() > further.where.sum()
    wide, high = (of_copy.any(axis=0).sum() / of_copy.any(axis=1).sum() for _, of_copy in squashed)
    assert wide > marks.any(axis=0).sum() / marks.any(axis=1).sum() > high


def test_without_marks_the_network_alone_tells(painted):
    torch.manual_seed(0)
    networks = [LesionNetwork(SHAPE).eval()]
    fitted = calibrate_structures(networks, [replace(example, marks=None) for example in painted[:4]], painted[8:], 64)
    assert "texture" not in fitted and len(fitted["slope"]) == len(STRUCTURES)


def test_a_release_is_refitted_from_its_own_split_and_the_rest_of_it_stays(isic_folder, tmp_path):
    torch.manual_seed(0)
    config = {
        "drawing": {"level": 0.5},
        "network": {"side_px": 64, "architectures": write_networks([LesionNetwork(SHAPE)], tmp_path)},
        "training": {"held_share": 0.4, "seed": 0},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights = (tmp_path / "weights.safetensors").read_bytes()
    fitted = refit_structures(tmp_path, isic_folder)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written.pop("structures") == fitted and len(fitted["texture"]["photo"]["weights"]) == len(STRUCTURES)
    assert written == json.loads(json.dumps(config))
    assert (tmp_path / "weights.safetensors").read_bytes() == weights
    assert refit_structures(tmp_path, isic_folder) == fitted, "the same photos give the same numbers"
    with pytest.raises(SourceNotFoundError):
        refit_structures(tmp_path, tmp_path)
