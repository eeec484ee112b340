"""The encoder benchmark: throughputs and their ratio belong together, and the weights that were named are timed."""

from __future__ import annotations

import json

import pytest
import torch

from longderm.bench import run_benchmark
from longderm.errors import UsageError
from longderm.models.encoder_weights import write_encoder
from longderm.models.preprocessing import Preprocessing
from longderm.models.vision_transformer import VisionArchitecture, VisionTransformer


def test_the_named_weights_are_timed_against_themselves(tmp_path):
    torch.manual_seed(1)
    network = VisionTransformer(VisionArchitecture(width=32, depth=1, heads=2, mlp_width=64))
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"encoder": write_encoder(network, Preprocessing(), folder)}))
    figures = run_benchmark("encoder", tmp_path / "out", {"weights": str(folder), "rounds": "1"})
    assert figures["encoder"] == "tiny"
    assert figures["parameters"] == sum(value.numel() for value in network.parameters())
    speeds = figures["photos_per_second"]
    bare = max(speed for name, speed in speeds.items() if name.startswith("bare"))
    assert figures["embed_to_bare_ratio"] == pytest.approx(speeds["embed"] / bare, rel=0.01)
    assert json.loads((tmp_path / "out" / "encoder.json").read_text())["layout"] == "longderm"


def test_too_few_photos_are_no_measurement(tmp_path):
    with pytest.raises(UsageError, match="at least 16 crops"):
        run_benchmark("encoder", tmp_path, {"crops": "4"})
