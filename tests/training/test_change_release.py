"""A release whose reasons alone are new has the score of the one it comes from, and says so."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from longderm.cli import main
from longderm.errors import RefusedError, UsageError
from longderm.models.change_network import (
    CHANGE_REASONS,
    ChangeArchitecture,
    ChangeNetwork,
    read_change_network,
    with_every_reason,
    write_change_network,
)
from longderm.models.kinds import check_release
from longderm.models.releases import packaged_registry, write_hashes
from longderm.training.change import ChangeSettings, train_change
from longderm.training.change_release import release_with_reasons, require_base

SMALL = ChangeArchitecture((8, 12, 16, 24), (1, 1, 1), (8, 12, 16), CHANGE_REASONS[:3])
NO_PASS = ChangeSettings(seed=2, passes=0, rounds=2, batch_size=4, simulated_patients=0, held_share=0.3)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The packaged release of before there was symmetry, with a network small enough for a test."""
    folder = tmp_path_factory.mktemp("registry") / "0.4.0"
    shutil.copytree(packaged_registry() / "change" / "0.4.0", folder)
    torch.manual_seed(1)
    config = json.loads((folder / "config.json").read_text())
    config["network"]["architecture"] = write_change_network(ChangeNetwork(SMALL), folder)
    (folder / "config.json").write_text(json.dumps(config))
    write_hashes(folder)
    return folder


@pytest.fixture(scope="module")
def run(base, isic_folder, tmp_path_factory):
    """A run that fits the reasons of the base alone, on painted lesions."""
    out = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("longderm.training.change._CONTINUED_SIDES_PX", (48,))
        train_change(isic_folder, out, NO_PASS, "cpu", threads=1, progress=False, start=base)
    return out


def test_without_a_pass_only_the_reasons_are_new(base, run):
    before, after = read_change_network(base), read_change_network(run / "change")
    assert after.architecture.reasons == CHANGE_REASONS and before.architecture.reasons == CHANGE_REASONS[:3]
    for name, value in before.state_dict().items():
        if not name.startswith("reasons."):
            assert torch.equal(value, after.state_dict()[name]), name
    assert after.reasons.weight[3].abs().sum() > 0
    told = json.loads((run / "change" / "config.json").read_text())
    assert told["earlier"][-1]["passes"] == 8 and told["earlier"][-1]["photos"] == 1100
    assert told["training"]["passes"] == 0 and told["photos"] < 12


def test_the_release_has_the_numbers_of_its_base_and_names_it(base, run, tmp_path):
    folder = release_with_reasons(base, run / "change", tmp_path, "9.0.0")
    assert check_release(folder) == "change/9.0.0" and folder == tmp_path / "change" / "9.0.0"
    before, made = (json.loads((where / "config.json").read_text()) for where in (base, folder))
    for name in ("alpha", "bias", "calibration_scores", "noise", "weights", "evolution", "in_distribution"):
        assert made[name] == before[name]
    assert made["source"]["base"] == "change/0.4.0"
    card = (folder / "card.md").read_text()
    assert "those of change/0.4.0, bit for bit" in card and "the reasons alone" in card
    with pytest.raises(UsageError, match="not empty"):
        release_with_reasons(base, run / "change", tmp_path, "9.0.0")


def test_a_network_that_was_trained_on_is_no_such_release(base, run, tmp_path):
    folder = tmp_path / "other"
    shutil.copytree(run / "change", folder)
    network = with_every_reason(read_change_network(folder))
    with torch.no_grad():
        network.where.weight[0, 0, 0, 0] += 1
    write_change_network(network, folder)
    with pytest.raises(UsageError, match="longderm bench noise"):
        release_with_reasons(base, folder, tmp_path, "9.0.0")


def test_only_a_release_that_longderm_brought_has_numbers_to_take(base, run, tmp_path):
    assert require_base(base, tmp_path, "9.0.0") == "change/0.4.0"
    for start in (None, run / "change", tmp_path):
        with pytest.raises(UsageError, match="--start"):
            require_base(start, tmp_path, "9.0.0")
    with pytest.raises(UsageError, match="is no release"):
        require_base(base, tmp_path, "../x")
    (tmp_path / "change" / "1").mkdir(parents=True)
    (tmp_path / "change" / "1" / "note").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        require_base(base, tmp_path, "1")


@pytest.mark.parametrize("fault", ["site", "damaged"])
def test_a_base_that_is_fitted_to_a_site_or_damaged_is_refused(base, tmp_path, fault):
    folder = tmp_path / "0.4.0"
    shutil.copytree(base, folder)
    config = json.loads((folder / "config.json").read_text())
    config["source"] = {"kind": "site"}
    (folder / "config.json").write_text(json.dumps(config))
    if fault == "site":
        write_hashes(folder)
    kind = UsageError if fault == "site" else RefusedError
    with pytest.raises(kind, match="is none" if fault == "site" else "differs"):
        require_base(folder, tmp_path, "9.0.0")


def test_the_command_refuses_before_it_reads_a_photo(base, isic_folder, tmp_path, capsys):
    def ends(*options):
        with pytest.raises(SystemExit) as ended:
            main(["train", "change", str(isic_folder), "--out", str(tmp_path / "out"), *options])
        told = capsys.readouterr().err.strip()
        assert "\n" not in told and not (tmp_path / "out").exists()
        return ended.value.code, told

    code, told = ends("--passes", "0")
    assert code == 2 and told == "longderm: --passes 0 fits the reasons of a trained network: give its --start"
    code, told = ends("--release", "9.0.0", "--start", str(base), "--passes", "3")
    assert code == 2 and "--passes 0" in told
    code, told = ends("--release", "9.0.0", "--passes", "0")
    assert code == 2 and "--start" in told
    code, told = ends("--passes", "-1")
    assert code == 2 and "--passes must be 0 or more" in told
