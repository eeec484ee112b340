"""Training of the encoder: views are of one photo and differ, the run goes on where it was cut off, and it learns."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from longderm.errors import UsageError
from longderm.models.convolutional_encoder import ConvolutionalArchitecture
from longderm.models.encoder import load_encoder
from longderm.training.encoder import (
    EncoderSettings,
    check_encoder,
    contrastive_loss,
    discriminants,
    train_encoder,
    train_network,
)
from longderm.training.encoder_views import draw_encoder_batches, draw_encoder_view
from longderm.training.examples import make_example

SMALL = ConvolutionalArchitecture(widths=(4, 8, 12, 16, 24), blocks=(0, 0, 1, 0))
BRIEF = EncoderSettings(seed=2, passes=2, batch_size=4, sides_px=(32, 48), peak_rate=4e-3)
CPU = torch.device("cpu")


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(painted, tmp_path):
    whole = train_network(painted, BRIEF, tmp_path / "whole", CPU, SMALL)

    def stop(done, total, text):
        if done == 4:  # in the second pass
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_network(painted, BRIEF, tmp_path / "cut", CPU, SMALL, progress=stop)
    again = train_network(painted, BRIEF, tmp_path / "cut", CPU, SMALL, ahead=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    with pytest.raises(UsageError, match="other settings"):
        train_network(painted, replace(BRIEF, seed=3), tmp_path / "cut", CPU, SMALL)
    with pytest.raises(UsageError, match="needs so many photos"):
        train_network(painted, replace(BRIEF, batch_size=64), tmp_path / "large", CPU, SMALL)


def test_on_views_that_it_sees_again_it_learns_to_find_a_photo_again(tmp_path, monkeypatch):
    photos = [patterned(index) for index in range(12)]
    views = list(draw_encoder_batches(photos, 48, 6, 1, 0))
    monkeypatch.setattr("longderm.training.encoder.draw_encoder_batches", lambda *_, **__: iter(views))
    settings = replace(BRIEF, passes=16, batch_size=6, sides_px=(48,))
    network = train_network(photos, settings, tmp_path, CPU, SMALL)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.3 * losses[0]
    assert check_encoder(network, photos, settings)["held_rank_1"] >= 0.4


def test_the_command_leaves_an_encoder_that_loads(isic_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("longderm.training.encoder.ConvolutionalArchitecture", lambda: SMALL)
    settings = replace(BRIEF, passes=1, held_share=0.3)
    summary = train_encoder(isic_folder, tmp_path, settings, "cpu", threads=1, progress=False)
    assert 0 <= summary["held_rank_1"] <= 1
    encoder = load_encoder(summary["encoder"], device="cpu")
    assert encoder.embed(torch.rand(2, 3, 224, 224)).shape == (2, min(192, SMALL.width))


def test_the_projection_drops_what_views_of_a_photo_differ_in_and_keeps_what_photos_differ_in():
    rng = np.random.default_rng(4)
    photos, views = np.zeros((400, 6)), [np.zeros((400, 6)) for _ in range(2)]
    photos[:, :2] = rng.normal(0, 1, (400, 2))
    for view in views:
        view[:, 2:] = rng.normal(0, 2, (400, 4))
        view += photos + rng.normal(0, 0.03, (400, 6)) + 3.0
    weight, bias = discriminants(*views, most=2)
    first, second = (view @ weight.T + bias for view in views)
    assert weight.shape == (2, 6) and np.abs(np.concatenate([first, second]).mean(axis=0)).max() < 1e-9
    nearest = ((first[:, None] - second) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == np.arange(400)).mean() > 0.3
    plain = ((views[0][:, None] - views[1]) ** 2).sum(axis=2).argmin(axis=1)
    assert (plain == np.arange(400)).mean() < 0.05


def test_two_views_of_a_photo_are_more_alike_than_views_of_two(painted):
    views = next(draw_encoder_batches(painted, 32, 12, 1, 0)).float()
    assert views.shape == (24, 32, 32, 3)
    small = views.reshape(24, 32 * 32, 3).mean(dim=1)
    same = (small[:12] - small[12:]).norm(dim=1).median()
    assert same > 1, "no view is another's copy"
    first, again = (draw_encoder_view(painted[3], 32, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, draw_encoder_view(painted[3], 32, np.random.default_rng(6)))


def test_the_loss_is_small_where_partners_are_found_and_log_of_the_others_where_nothing_is_told():
    apart = torch.eye(6).repeat(2, 1)
    assert contrastive_loss(apart) < 0.02
    assert contrastive_loss(torch.ones(12, 4)) == pytest.approx(np.log(11), abs=1e-4)
    assert contrastive_loss(torch.cat([torch.eye(6), torch.eye(6).roll(1, 0)])) > 5


def patterned(index):
    """A photo of blotches like no other's; painted lesions differ in what views differ in."""
    rng = np.random.default_rng(index)
    blotches = rng.integers(40, 230, (3 + index, 4 + index, 3), dtype=np.uint8)
    pixels = cv2.resize(blotches, (256, 192), interpolation=cv2.INTER_CUBIC)
    return make_example(f"B{index:02}", pixels, np.zeros((192, 256), bool), None, 4 / 3)
