"""Training of the change network: it learns, goes on where it was cut off, and what it is shown is what it is told."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from longderm.errors import SourceNotFoundError, UsageError
from longderm.models.change_network import CHANGE_WEIGHTS_FILE, ChangeArchitecture, ChangeLogits, read_change_network
from longderm.training.change import ChangeSettings, change_loss, train_change, train_network
from longderm.training.change_batches import ChangeBatch, draw_change_batches, draw_shown, usable_examples

SMALL = ChangeArchitecture(widths=(8, 12, 16, 24), blocks=(1, 1, 1), compared=(8, 12, 16))
BRIEF = ChangeSettings(
    seed=2, passes=2, rounds=1, batch_size=4, sides_px=(48, 64), peak_rate=4e-3, simulated_patients=0
)
CPU = torch.device("cpu")


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(painted, tmp_path):
    whole = train_network(painted, BRIEF, made(tmp_path / "whole"), CPU, SMALL)

    def stop(done, total, text):
        if done == 4:  # in the second pass
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_network(painted, BRIEF, made(tmp_path / "cut"), CPU, SMALL, progress=stop)
    again = train_network(painted, BRIEF, tmp_path / "cut", CPU, SMALL, ahead=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    lines = [json.loads(line) for line in (tmp_path / "cut" / "log.jsonl").read_text().splitlines()]
    assert [(line["pass"], line["side_px"]) for line in lines] == [(1, 48), (2, 64)]


def test_the_loss_falls(painted, tmp_path):
    settings = replace(BRIEF, passes=4, rounds=3, batch_size=6, sides_px=(64,), peak_rate=8e-3)
    train_network(painted, settings, tmp_path, CPU, SMALL)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.85 * losses[0]


def test_the_command_writes_a_network_that_can_be_read_and_refuses_other_settings(isic_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("longderm.training.change.ChangeArchitecture", lambda: SMALL)
    settings = replace(BRIEF, passes=1, held_share=0.3)
    summary = train_change(isic_folder, tmp_path, settings, "cpu", threads=1, progress=False)
    assert 0 <= summary["held_auroc"] <= 1
    network = read_change_network(tmp_path / "change")
    assert network.architecture == SMALL
    with pytest.raises(UsageError, match="other settings"):
        train_change(isic_folder, tmp_path, replace(settings, seed=9), "cpu", threads=1, progress=False)


def test_a_run_that_starts_from_a_trained_network_begins_where_that_ended(isic_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("longderm.training.change.ChangeArchitecture", lambda: SMALL)
    monkeypatch.setattr("longderm.training.change._CONTINUED_SIDES_PX", (48,))
    monkeypatch.setattr("longderm.training.change._CONTINUED_RATE", 1e-12)
    settings = replace(BRIEF, passes=1, held_share=0.3)
    train_change(isic_folder, tmp_path / "first", settings, "cpu", threads=1, progress=False)
    start = tmp_path / "first" / "change"
    train_change(isic_folder, tmp_path / "on", replace(settings, seed=3), "cpu", threads=1, progress=False, start=start)
    before, after = (
        dict(read_change_network(tmp_path / name / "change").named_parameters()) for name in ("first", "on")
    )
    for name, value in before.items():
        assert torch.allclose(value, after[name], atol=1e-3), f"steps of no size leave {name} as it was"
    told = json.loads((tmp_path / "on" / "change" / "config.json").read_text())["training"]
    assert told["start"] == hashlib.sha256((start / CHANGE_WEIGHTS_FILE).read_bytes()).hexdigest()
    with pytest.raises(UsageError, match="other settings"):
        train_change(isic_folder, tmp_path / "first", settings, "cpu", threads=1, progress=False, start=start)
    with pytest.raises(SourceNotFoundError, match="--start"):
        train_change(isic_folder, tmp_path / "x", settings, "cpu", threads=1, progress=False, start=tmp_path / "none")


def test_simulated_lesions_are_mixed_in_and_counted(isic_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("longderm.training.change.ChangeArchitecture", lambda: SMALL)
    settings = replace(BRIEF, passes=1, sides_px=(48,), held_share=0.3, simulated_patients=1)
    train_change(isic_folder, tmp_path, settings, "cpu", threads=1, progress=False)
    told = json.loads((tmp_path / "change" / "config.json").read_text())
    assert told["simulated_photos"] > 0 < told["photos"] <= 12


def test_folders_and_settings_that_cannot_be_are_told(painted, tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"index\.csv"):
        train_change(tmp_path, tmp_path / "out", BRIEF, "cpu", progress=False)
    with pytest.raises(UsageError, match="multiples"):
        train_network(painted, replace(BRIEF, sides_px=(50,)), tmp_path, CPU, SMALL)
    with pytest.raises(UsageError, match="whole lesions"):
        train_network(painted, replace(BRIEF, batch_size=64), tmp_path, CPU, SMALL)


def test_a_pair_is_shown_aligned_with_the_change_where_the_map_says(painted):
    changed = stable = 0
    apart = []
    for number in range(30):
        shown = draw_shown(painted[number % 12], 64, np.random.default_rng([4, number]))
        assert shown.baseline.shape == shown.followup.shape == (64, 64, 3) and shown.where.shape == (8, 8)
        assert shown.where.min() >= 0 and shown.where.max() <= 1
        assert (shown.where.max() > 0) == shown.pair.changed
        changed, stable = changed + shown.pair.changed, stable + (not shown.pair.changed)
        if not shown.pair.changed:
            apart.append(np.median(np.abs(shown.baseline.astype(int) - shown.followup)))
    assert changed > 5 < stable
    assert np.median(apart) < 15, "stable pairs look alike once aligned and in one light"


def test_lesions_cut_by_the_edge_are_left_out(painted):
    cut = replace(painted[0], mask=np.full_like(painted[0].mask, 255))
    empty = replace(painted[0], mask=np.zeros_like(painted[0].mask))
    assert usable_examples([painted[0], cut, empty]) == [painted[0]]


def test_one_seed_and_pass_draw_one_batch(painted):
    first, again, other = (next(draw_change_batches(painted, 48, 4, 1, index)) for index in (0, 0, 1))
    assert torch.equal(first.baseline, again.baseline) and torch.equal(first.where, again.where)
    assert not torch.equal(first.baseline, other.baseline)


def test_being_right_costs_little_and_being_wrong_much():
    where = torch.zeros(2, 1, 8, 8)
    where[0, :, 2:5, 3:6] = 1
    reasons = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    picture = torch.zeros(2, 8, 8, 3, dtype=torch.uint8)
    batch = ChangeBatch(picture, picture, where, torch.tensor([1.0, 0.0]), reasons, torch.zeros(2, 2))
    sure = ChangeLogits(torch.tensor([20.0, -20.0]), 40 * where - 20, 40 * reasons - 20, torch.zeros(2, 3))
    wrong = ChangeLogits(-sure.change, -sure.where, -sure.reasons, sure.summary)
    assert change_loss(sure, batch) < 0.02
    assert change_loss(wrong, batch) > 20
    # What the reason of a stable pair would be is nobody's business.
    asked = sure.reasons.clone()
    asked[1] = 20
    assert change_loss(sure._replace(reasons=asked), batch) == change_loss(sure, batch)


def made(folder):
    folder.mkdir(exist_ok=True)
    return folder
