"""A change release that differs from another one in what its network names as reasons, and in nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from longderm.change.card import BY_SKIN_TONE, RELIABILITY, SEMI_SYNTHETIC, network_of_run, write_change_card
from longderm.errors import UsageError
from longderm.models.change_network import CHANGE_WEIGHTS_FILE, read_change_network
from longderm.models.kinds import card_title, check_release
from longderm.models.release_folder import new_release, require_new
from longderm.models.releases import split_name


def require_base(start: Path | None, out: Path, version: str) -> str:
    """The name of the change release in folder `start`, if one with its numbers can be written to `out` as `version`.

    Raises UsageError where `start` is no release, or one fitted to a site, where no release can be called so or the
    folder is taken; RefusedError for a release that is not what its hashes say.
    """
    if start is None or card_title(start) is None:
        raise UsageError("--release takes the numbers of the release that --start names; its folder must hold one")
    name = check_release(start)
    source = json.loads((start / "config.json").read_text()).get("source", {})
    if split_name(name)[0] != "change" or source.get("kind") == "site":
        raise UsageError(f"--release takes the numbers of a change release that longderm brought; {name} is none")
    split_name(f"change/{version}")
    require_new(out / "change" / version)
    return name


def release_with_reasons(start: Path, network: Path, out: Path, version: str) -> Path:
    """Write the release of folder `start` with the reasons of the network in `network` to `out`/change/`version`.

    Noise, weights and calibration are those of `start`, since score and map are. Raises as `require_base`, and
    UsageError where the network differs in more than its reasons.
    """
    base = require_base(start, out, version)
    before, after = (read_change_network(folder).state_dict() for folder in (start, network))
    others = [name for name in before if not name.startswith("reasons.")]
    if any(not torch.equal(before[name], after[name]) for name in others):
        raise UsageError("the network was trained on: its score is another; fit its noise with longderm bench noise")
    config = json.loads((start / "config.json").read_text())
    config["network"] = network_of_run(json.loads((network / "config.json").read_text()))
    # The numbers of a release whose reasons alone were new are those of its base.
    config["source"] = {"base": base} | config["source"]
    figures = json.loads((start / "figures.json").read_text())
    # Those are of what benchmarks found of the other release.
    figures = {key: told for key, told in figures.items() if key not in (BY_SKIN_TONE, RELIABILITY, SEMI_SYNTHETIC)}
    folder = out / "change" / version
    folder.parent.mkdir(parents=True, exist_ok=True)
    with new_release(folder) as part:
        shutil.copyfile(network / CHANGE_WEIGHTS_FILE, part / CHANGE_WEIGHTS_FILE)
        (part / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        (part / "figures.json").write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
        write_change_card(part, version, config, figures)
    return folder
