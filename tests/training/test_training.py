"""Training: it learns, a run that was cut off ends as one that was not, and what it releases can be used."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from longderm.errors import SourceNotFoundError, StageError, UsageError
from longderm.imaging import find_structures, segment
from longderm.imaging.fit import dice
from longderm.models import Release
from longderm.models.lesion_network import Architecture, LesionNetwork, Logits
from longderm.photo import Photo
from longderm.training.batches import Source, draw_pass
from longderm.training.examples import read_examples
from longderm.training.lesion import train_segmentation, write_release
from longderm.training.logistic import fit_calibration
from longderm.training.losses import known_loss, marks_loss, outline_loss, total_loss
from longderm.training.run import rate_at
from longderm.training.segmentation import Member, TrainingSettings, train

SHAPE = Architecture(widths=(8, 16, 16, 24, 24), blocks=(1, 1, 1, 1), decoder=(8, 8, 16, 16))
SMALL = Member(SHAPE)
BRIEF = TrainingSettings(seed=3, passes=3, batch_size=4, sides_px=(32, 64), peak_rate=4e-3, simulated_patients=0)
CPU = torch.device("cpu")


#: Trains as below, but its process is killed in the middle of the second pass of three.
KILLED = """
import os, signal, sys
from pathlib import Path
from test_training import BRIEF, CPU, SMALL, Source, read_examples, train

from longderm.threads import one_thread

def kill(done, total, text):
    if done == 3:
        os.kill(os.getpid(), signal.SIGKILL)

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
with one_thread():
    train(Source(read_examples(folder, sys.argv[3:]), []), BRIEF, out, CPU, SMALL, progress=kill)
"""


def test_a_run_that_was_killed_ends_as_one_that_was_not(isic_folder, tmp_path):
    names = [f"P{index:02}" for index in range(8)]
    source = Source(read_examples(isic_folder, names), [])
    whole = train(source, BRIEF, made(tmp_path / "whole"), CPU, SMALL)
    command = [sys.executable, "-c", KILLED, str(isic_folder), str(made(tmp_path / "cut")), *names]
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    killed = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert len((tmp_path / "cut" / "log.jsonl").read_text().splitlines()) == 1
    continued = train(source, BRIEF, tmp_path / "cut", CPU, SMALL)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, continued.state_dict()[name]), name
    lines = [json.loads(line) for line in (tmp_path / "cut" / "log.jsonl").read_text().splitlines()]
    assert [line["pass"] for line in lines] == [1, 2, 3]
    assert [line["side_px"] for line in lines] == [32, 32, 64]


def test_a_checkpoint_of_other_settings_is_refused(painted, tmp_path):
    source = Source(painted[:8], [])
    train(source, replace(BRIEF, passes=1), tmp_path, CPU, SMALL)
    with pytest.raises(UsageError, match="other settings"):
        train(source, BRIEF, tmp_path, CPU, SMALL)


def test_it_learns_where_lesions_are_and_its_release_draws_them(painted, tmp_path):
    settings = replace(BRIEF, passes=16, batch_size=8, sides_px=(64,), peak_rate=1e-2)
    # Each photo several times a pass: saving after each pass takes longer than so short a pass.
    network = train(Source(painted[:9] * 6, []), settings, made(tmp_path), CPU, SMALL)
    held = painted[9:]
    write_release([network], held, held, settings, tmp_path / "segmentation")
    config = json.loads((tmp_path / "segmentation" / "config.json").read_text())
    config["drawing"] |= {"min_presence": 0.0, "min_overlap": 0.0}
    release = Release("segmentation", "fitted", config, "digest", tmp_path / "segmentation")
    overlaps = []
    for example in held:
        drawn = segment(Photo.from_array(example.fine), release)
        overlaps.append(dice(drawn.mask, example.mask > 127))
        assert drawn.mask.shape == (512, 512)
        found = find_structures(Photo.from_array(example.fine), release)
        assert found.maps.shape == (5, 8, 8)
        assert ((found.probability >= 0) & (found.probability <= 1)).all()
    assert np.mean(overlaps) > 0.7


def test_the_whole_command_reports_its_release_and_goes_on_when_called_again(isic_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("longderm.training.calibrate.calibrate", lambda *_: {"drawing": {}, "structures": {}})
    settings = replace(BRIEF, passes=1, sides_px=(32,), held_share=0.3, members=(SMALL, replace(SMALL, bare_share=0.3)))
    summary = train_segmentation(isic_folder, tmp_path, settings, "cpu", progress=False)
    first = (tmp_path / "segmentation" / "weights.safetensors").read_bytes()
    again = train_segmentation(isic_folder, tmp_path, settings, "cpu", progress=False)
    assert summary == again
    assert (tmp_path / "segmentation" / "weights.safetensors").read_bytes() == first
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("member-1", "member-2")]
    assert [len(log) for log in logs] == [1, 1], "the second call had nothing left to train"
    assert logs[0] != logs[1]


def test_a_network_that_draws_nothing_yet_is_not_released(painted, tmp_path):
    network = LesionNetwork(SHAPE).eval()
    torch.nn.init.constant_(network.outline.bias, -50.0)
    with pytest.raises(StageError, match="more passes"):
        write_release([network], painted[:4], painted[9:], replace(BRIEF, sides_px=(64,)), tmp_path)


def test_a_folder_of_another_layout_and_an_unknown_device_are_told(tmp_path, isic_folder):
    with pytest.raises(SourceNotFoundError, match=r"index\.csv"):
        train_segmentation(tmp_path, tmp_path / "out", BRIEF, progress=False)
    with pytest.raises(UsageError, match="--device"):
        train_segmentation(isic_folder, tmp_path / "out", BRIEF, "tpu", progress=False)


def test_the_rate_rises_then_falls_to_next_to_nothing():
    rates = [rate_at(step, 100, 1.0) for step in range(100)]
    peak = int(np.argmax(rates))
    assert 0 < peak < 10
    assert rates[:peak] == sorted(rates[:peak]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[peak] == pytest.approx(1.0, abs=0.01) and rates[-1] < 0.01


def test_a_perfect_outline_costs_nothing_and_an_inverted_one_much():
    target = torch.zeros(2, 1, 16, 16)
    target[:, :, 4:10, 4:12] = 1
    sure = (target * 2 - 1) * 20
    assert outline_loss(sure, target) < 0.01
    assert outline_loss(-sure, target) > 10
    empty = torch.zeros(2, 1, 16, 16)
    assert outline_loss(torch.full_like(empty, -20.0), empty) < 0.01


def test_small_lesions_count_as_much_as_large_ones():
    """A photo's lost lesion costs the same overlap, whatever its size."""
    costs = []
    for side in (2, 12):
        target = torch.zeros(1, 1, 16, 16)
        target[:, :, :side, :side] = 1
        missed = torch.full_like(target, -20.0)
        costs.append(float(outline_loss(missed, target)) - 20 * float(target.mean()))
    assert costs[0] == pytest.approx(costs[1], abs=0.25)


def test_what_nobody_knows_teaches_nothing():
    logits = torch.randn(4, 5, requires_grad=True)
    target = torch.full((4, 5), float("nan"))
    target[0, 2] = 1
    known_loss(logits, target).backward()
    assert torch.count_nonzero(logits.grad) == 1
    maps = torch.randn(2, 5, 4, 4, requires_grad=True)
    marks_loss(maps, torch.zeros(2, 5, 4, 4), torch.tensor([True, False])).backward()
    assert maps.grad[0].abs().sum() > 0 and maps.grad[1].abs().sum() == 0


def test_every_part_of_the_network_is_taught(painted):
    torch.manual_seed(0)
    network = LesionNetwork(SHAPE).train()
    batch = next(iter(draw_pass(Source(painted, []), 64, 8, seed=0, index=0)))
    sight: Logits = network(torch.randn(8, 3, 64, 64))
    total_loss(sight, batch, 0.2).backward()
    assert [name for name, value in network.named_parameters() if value.grad is None] == []


def test_calibration_finds_slope_and_offset_and_stays_put_without_evidence():
    rng = np.random.default_rng(0)
    log_odds = rng.normal(0, 2, 4000)
    labels = rng.random(4000) < 1 / (1 + np.exp(-(0.6 * log_odds - 1)))
    assert fit_calibration(log_odds, labels) == pytest.approx((0.6, -1.0), abs=0.12)
    few = fit_calibration(np.array([0.1, -0.1]), np.array([True, False]))
    assert few == pytest.approx((1.0, 0.0), abs=0.1)


def made(folder):
    folder.mkdir(exist_ok=True)
    return folder
