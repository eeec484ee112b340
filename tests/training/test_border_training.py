"""The border network is taught, goes on where it was stopped, and ends as a release that draws by it."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from longderm.errors import UsageError
from longderm.imaging.border import border_planes
from longderm.imaging.segmentation import segment
from longderm.models import load_release
from longderm.models.border_network import COARSE_PLANE, BorderNetwork
from longderm.models.releases import Release, problems_of
from longderm.photo import Photo
from longderm.training.border import (
    BorderSettings,
    border_loss,
    check_borders,
    draw_batches,
    draw_border_view,
    train_border,
    train_network,
)
from longderm.training.border_examples import (
    _HARD_KINDS,
    gather,
    read_border_examples,
    real_border,
    save_examples,
    simulated_border,
    with_hard_kinds,
)

SETTINGS = BorderSettings(passes=2, batch_size=4, simulated=3)


@pytest.fixture(scope="module")
def base():
    """The last release whose borders are not drawn anew: one that has such a network is not taught another."""
    return load_release("segmentation", "0.4.0")


@pytest.fixture(scope="module")
def examples(painted, base):
    found = [real_border(example, base) for example in painted]
    return [example for example in found if example is not None]


def test_an_experts_border_is_cut_as_the_photo_is(painted, examples, base):
    assert len(examples) > 8
    for example in examples:
        inside = example.truth > 127
        share = (example.seen.probability > 0.45) & inside
        assert 2 * share.sum() / (inside.sum() + (example.seen.probability > 0.45).sum()) > 0.8
    assert real_border(replace(painted[0], mask=np.zeros_like(painted[0].mask)), base) is None


def test_simulated_examples_are_the_same_again(base):
    first, second = (simulated_border(5, 1, base) for _ in range(2))
    assert first is not None and second is not None
    assert np.array_equal(first.truth, second.truth) and np.array_equal(first.seen.pixels, second.seen.pixels)


def test_beside_lesions_of_all_kinds_more_of_the_hard_kinds_are_simulated(base):
    assert with_hard_kinds(2) == 3
    first, second, hard = gather([], [], 2, 5, base)
    drawn = [simulated_border(5, 0, base), simulated_border(5, 1, base), simulated_border(6, 0, base, _HARD_KINDS)]
    for example, same in zip((first, second, hard), drawn, strict=True):
        assert example.simulated and np.array_equal(example.truth, same.truth)


def test_examples_are_kept_whole(examples, tmp_path):
    path = tmp_path / "examples.npz"
    save_examples([replace(examples[0], held=True), *examples[1:]], "these", path)
    again = read_border_examples("these", path)
    assert [example.held for example in again] == [True] + [False] * (len(examples) - 1)
    assert [path.name for path in tmp_path.iterdir()] == ["examples.npz"]
    for one, other in zip(examples, again, strict=True):
        assert np.array_equal(one.truth, other.truth) and np.array_equal(one.seen.pixels, other.seen.pixels)
        assert np.abs(one.seen.probability - other.seen.probability).max() < 1e-3
    with pytest.raises(UsageError, match="other settings"):
        read_border_examples("others", path)
    path.write_bytes(b"PK")
    with pytest.raises(UsageError, match="damaged"):
        read_border_examples("these", path)


def test_a_view_turns_photo_outline_and_truth_alike(examples):
    example = examples[0]
    for seed in range(8):
        planes, truth = draw_border_view(example, np.random.default_rng(seed))
        coarse = planes[COARSE_PLANE] > 0
        assert 2 * (coarse & (truth[0] > 0.5)).sum() / (coarse.sum() + (truth[0] > 0.5).sum()) > 0.7


def test_a_pass_draws_each_example_once_and_the_same_again(examples):
    first, second = ([batch.truth for batch in draw_batches(examples, 2, 1, 0, ahead)] for ahead in (False, True))
    assert len(first) == len(examples) // 2
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_the_loss_is_least_for_the_truth_and_blind_beyond_the_photo():
    truth = torch.zeros(1, 1, 16, 16)
    truth[:, :, 4:12, 4:12] = 1
    inside = torch.ones_like(truth)
    inside[..., 14:] = 0
    right = 20 * truth - 10
    beyond = right.clone()
    beyond[..., 14:] = 10

    def loss(log_odds):
        return float(border_loss(log_odds, truth, inside, torch.ones(1)))

    assert loss(right) < 0.01
    assert loss(beyond) == pytest.approx(loss(right), abs=1e-6)
    assert loss(right.roll(2, 3)) > 0.1


def test_a_lesion_counts_by_its_weight():
    truth = torch.zeros(2, 1, 16, 16)
    truth[:, :, 4:12, 4:12] = 1
    said = torch.cat([20 * truth[:1] - 10, 10 - 20 * truth[1:]])

    def loss(first, second):
        return float(border_loss(said, truth, torch.ones_like(truth), torch.tensor([first, second])))

    assert loss(1.0, 0.0) < 0.01 < loss(1.0, 0.3) < loss(1.0, 1.0) < loss(0.0, 1.0)


def test_a_few_passes_move_borders_towards_the_truth(examples, tmp_path):
    wide = [replace(example, seen=replace(example.seen, probability=_wider(example))) for example in examples]
    settings = replace(SETTINGS, passes=12)
    network = train_network(wide, settings, tmp_path, torch.device("cpu"))
    before, after = (check_borders(one, wide)["held_real_area_error_median"] for one in (BorderNetwork(), network))
    assert after < 0.9 * before


def _wider(example):
    log_odds = border_planes(example.seen)[COARSE_PLANE]
    import cv2

    return (1 / (1 + np.exp(-cv2.dilate(log_odds, np.ones((9, 9)))))).astype(np.float32)


def test_a_run_ends_as_a_release_that_draws_by_the_network(isic_folder, base, tmp_path):
    settings = replace(SETTINGS, release=base.name, digest=base.digest)
    made = train_border(isic_folder, tmp_path / "out", base, settings, "cpu", 1, progress=False)
    folder = tmp_path / "out" / "segmentation"
    assert made["release"] == str(folder) and problems_of(folder) == []
    config = json.loads((folder / "config.json").read_text())
    assert config["border"]["training"]["release"] == base.name
    assert config["drawing"].pop("area_error") != base.config["drawing"]["area_error"], "fitted to other borders"
    drawing = {name: value for name, value in base.config["drawing"].items() if name != "area_error"}
    assert {key: value for key, value in config.items() if key != "border"} == base.config | {"drawing": drawing}
    config = json.loads((folder / "config.json").read_text())
    release = Release("segmentation", "new", config, "x", folder)
    drawn = segment(examples_photo(isic_folder), release)
    assert drawn.found and drawn.area_error is not None
    (folder / "card.md").write_text("# a card")
    train_border(isic_folder, tmp_path / "out", base, settings, "cpu", 1, progress=False)
    assert (folder / "card.md").is_file(), "a run that has ended is not run again"
    with pytest.raises(UsageError, match="not empty"):
        train_border(isic_folder, tmp_path / "out", base, replace(settings, seed=9), "cpu", 1, progress=False)
    shutil.rmtree(folder)
    with pytest.raises(UsageError, match="other settings"):
        train_border(isic_folder, tmp_path / "out", base, replace(settings, seed=9), "cpu", 1, progress=False)
    with pytest.raises(UsageError, match="made from"):
        train_border(isic_folder, tmp_path / "new", release, settings, progress=False)
    assert not (tmp_path / "new").exists()


def test_a_run_that_is_cut_off_ends_with_the_same_weights(isic_folder, base, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_border(isic_folder, whole, base, SETTINGS, "cpu", 1, progress=False)

    def stop(done, total, text):
        if done * 2 > total:
            raise KeyboardInterrupt

    parts.mkdir()
    shutil.copy(whole / "examples.npz", parts)
    examples = read_border_examples(SETTINGS.examples, parts / "examples.npz")
    with pytest.raises(KeyboardInterrupt):
        train_network(examples, SETTINGS, parts, torch.device("cpu"), progress=stop)
    train_border(isic_folder, parts, base, SETTINGS, "cpu", 1, progress=False)
    one, other = ((folder / "segmentation" / "border.safetensors").read_bytes() for folder in (whole, parts))
    assert one == other


@pytest.mark.parametrize("wrong", [{"passes": 0}, {"simulated": -1}])
def test_settings_that_make_no_sense_are_told_at_once(base, tmp_path, wrong):
    with pytest.raises(UsageError, match="at least 1"):
        train_border(tmp_path, tmp_path / "out", base, replace(SETTINGS, **wrong), progress=False)


def examples_photo(folder):
    import cv2

    return Photo.from_array(cv2.imread(str(folder / "images" / "P05.jpg"))[..., ::-1].copy())


def test_a_release_of_colour_scores_has_no_border_to_correct(isic_folder, tmp_path):
    with pytest.raises(UsageError, match="no network"):
        train_border(isic_folder, tmp_path / "out", load_release("segmentation", "0.1.0"), SETTINGS, progress=False)


def test_too_few_lesions_are_told(examples, tmp_path):
    with pytest.raises(UsageError, match="at least 4"):
        train_network(examples[:2], SETTINGS, tmp_path, torch.device("cpu"))
