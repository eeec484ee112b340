"""The encoder benchmark on photos: a lesion is found again where vectors tell it, and by chance elsewhere."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

from longderm.bench import run_benchmark
from longderm.bench.encoder_photos import Material, figures_of, probe
from longderm.errors import UsageError
from longderm.models.convolutional_encoder import ConvolutionalArchitecture, ConvolutionalEncoder, fold_encoder
from longderm.models.encoder_weights import write_encoder
from longderm.models.preprocessing import Preprocessing
from longderm.training.examples import STRUCTURES


@pytest.fixture
def encoder(tmp_path):
    torch.manual_seed(1)
    network = ConvolutionalEncoder(ConvolutionalArchitecture(widths=(4, 6, 8, 10, 12), blocks=(0, 0, 0, 0)))
    network(torch.randn(4, 3, 64, 64))
    folder = tmp_path / "tiny"
    folder.mkdir()
    written = write_encoder(fold_encoder(network.eval()), Preprocessing(), folder)
    (folder / "config.json").write_text(json.dumps({"encoder": written}))
    return folder


@pytest.fixture
def photos(tmp_path):
    """An ISIC-layout folder of squashed photos with blotches; structures are told by the photo's shade."""
    folder = tmp_path / "photos"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    rng, rows = np.random.default_rng(1), ["isic_id,split," + ",".join(STRUCTURES)]
    for number in range(14):
        dark = number % 2
        coarse = rng.integers(60, 120, (5, 5, 3), dtype=np.uint8) + np.uint8(90 * (1 - dark))
        cv2.imwrite(str(folder / "images" / f"P{number:02}.png"), cv2.resize(coarse, (64, 64)))
        mask = np.zeros((64, 64), np.uint8)
        cv2.circle(mask, (32, 32), 12, 255, -1)
        cv2.imwrite(str(folder / "masks" / f"P{number:02}.png"), mask)
        rows.append(f"P{number:02},{'val' if number < 6 else 'train'}" + f",{dark}" * len(STRUCTURES))
    (folder / "index.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_the_benchmark_tells_what_the_vectors_are_worth_beside_simpler_ones(encoder, photos, tmp_path):
    options = {"weights": str(encoder), "photos": str(photos), "rounds": "1"}
    figures = run_benchmark("encoder", tmp_path / "out", options)["on_photos"]
    again = run_benchmark("encoder", tmp_path / "out", options)["on_photos"]
    assert figures == again
    assert list(figures["re_identified"]) == ["tiny", "random weights", "colour histogram", "16 x 16 pixels"]
    assert figures["photos"] == sum(tone["photos"] for tone in figures["re_identified_by_skin_tone"].values()) == 6
    assert figures["structures"]["learned_from"] == 8
    low, value, high = (figures["re_identified"]["16 x 16 pixels"][i] for i in (1, 0, 2))
    assert 0.5 <= low <= value <= high <= 1, "blotches that are turned by less than a quarter stay nearest themselves"
    with pytest.raises(UsageError, match="fewer than two"):
        run_benchmark("encoder", tmp_path / "out", options | {"split": "test"})


def test_vectors_that_tell_everything_and_nothing():
    rng = np.random.default_rng(2)
    truth, noise = rng.normal(size=(60, 8)), rng.normal(size=(60, 8))
    labels = truth[:, :5] > 0
    empty = torch.zeros(60, 3, 1, 1)
    material = Material((empty, empty), empty, labels, empty, labels, ("light",) * 60)
    told = {
        "all": (truth, truth + 0.01 * noise, truth, truth),
        "nothing": (truth, rng.normal(size=(60, 8)), rng.normal(size=(60, 8)), noise),
    }
    figures = figures_of("all", told, material)
    assert figures["re_identified"]["all"][0] == 1
    assert figures["re_identified"]["nothing"][0] < 0.2
    assert figures["structures"]["auroc_mean"]["all"][0] > 0.95
    assert 0.3 < figures["structures"]["auroc_mean"]["nothing"][0] < 0.7
    assert figures["structures"]["gain"]["over"] == "nothing" and figures["structures"]["gain"]["gain"][1] > 0.2


def test_a_probe_learns_a_direction_among_more_values_than_photos():
    rng = np.random.default_rng(3)
    learned, asked = rng.normal(size=(80, 200)), rng.normal(size=(50, 200))
    learned[:, 7] *= 6
    asked[:, 7] *= 6
    told = probe(learned, learned[:, [7]] > 0, asked)
    assert told.shape == (50, 1)
    assert np.corrcoef(told[:, 0], asked[:, 7])[0, 1] > 0.4
