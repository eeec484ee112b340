"""The frozen encoder as a baseline of change, and rows that were measured before it was one."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from longderm.bench import change_baselines
from longderm.bench.change_baselines import BASELINES, FROZEN_ENCODER, crops_distance
from longderm.bench.change_pairs import STABLE, STRONG
from longderm.bench.change_report import print_table, report
from longderm.change.crops import Crops, in_one_light
from longderm.models.convolutional_encoder import ConvolutionalArchitecture, ConvolutionalEncoder, fold_encoder
from longderm.models.encoder import load_encoder
from longderm.models.encoder_weights import write_encoder
from longderm.models.preprocessing import Preprocessing


@pytest.fixture(autouse=True)
def encoder(tmp_path, monkeypatch):
    torch.manual_seed(1)
    network = ConvolutionalEncoder(ConvolutionalArchitecture(widths=(4, 6, 8, 10, 12), blocks=(0, 0, 0, 0)))
    network(torch.randn(4, 3, 64, 64))
    written = write_encoder(fold_encoder(network.eval()), Preprocessing(), tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"encoder": written}))
    loaded = load_encoder(tmp_path, device="cpu")
    monkeypatch.setattr(change_baselines, "frozen_encoder", lambda: loaded)


def drawn(seed, spot=0):
    """Crops of a pair; the follow-up has a dark spot of that many pixels."""
    rng = np.random.default_rng(seed)
    baseline = rng.integers(120, 200, (160, 160, 3), dtype=np.uint8)
    followup = baseline.copy()
    followup[60 : 60 + spot, 60 : 60 + spot] = 10
    lesion = np.zeros((160, 160), bool)
    lesion[50:110, 50:110] = True
    return Crops(baseline, followup, np.ones((160, 160), bool), lesion, lesion, np.eye(3))


def test_the_same_crop_is_no_distance_and_more_change_is_more():
    same, some, much = (crops_distance(*in_one_light(drawn(1, spot))) for spot in (0, 10, 40))
    assert same == pytest.approx(0, abs=1e-6)
    assert 1e-5 < some < much <= 2


def test_rows_measured_before_a_baseline_was_added_are_reported_without_it(capsys):
    rng = np.random.default_rng(3)
    rows = []
    for number in range(24):
        changed = number % 2
        row = {
            "name": f"{number}", "stratum": STRONG[0] if changed else STABLE, "number": number, "photo": f"{number}",
            "refused": None, "withheld": None, "score": 0.5 * changed + 0.4 * rng.random(), "p_value": 0.5,
            "misalignment": 0.001,
            "baselines": {name: float(rng.random()) for name in BASELINES if name != FROZEN_ENCODER},
        }  # fmt: skip
        rows.append(row)
    figures = report(rows)
    assert figures["methods"][FROZEN_ENCODER]["mix"]["auroc"] is None
    assert figures["over_best_baseline"]["baseline"] != FROZEN_ENCODER
    print_table(figures)
    assert FROZEN_ENCODER in capsys.readouterr().out
