"""`longderm train segmentation`: from a folder of outlined photos to a release of lesion networks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longderm.training.segmentation import TrainingSettings

if TYPE_CHECKING:
    from longderm.models.lesion_network import LesionNetwork
    from longderm.training.examples import Example

#: Passes between two looks at the held-out photos.
_CHECK_EVERY = 5


def train_segmentation(
    folder: Path,
    out: Path,
    settings: TrainingSettings,
    device: str = "auto",
    threads: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Train the lesion networks on the "train" split of an ISIC-layout folder; go on where an earlier call stopped.

    folder: images/, masks/, index.csv (isic_id, split, a column per structure), and structures/ where there are marks;
    out: gets a folder per network, with checkpoint and log, and at the end the release; device: "auto", "cpu" or
    "cuda"; threads: of the CPU, 0 for as many as there are. Raises SourceNotFoundError for a folder of another layout,
    UsageError where `out` holds a run of other settings.
    """
    from longderm.training.batches import Source
    from longderm.training.examples import hold_out, read_examples, simulate_examples
    from longderm.training.held_out import check_outlines
    from longderm.training.run import describe_run, read_run
    from longderm.training.segmentation import train
    from longderm.training.start import prepare_run, progress_bar

    chosen, rows = prepare_run(folder, out, device, threads)
    runs = [
        (member, replace(settings, seed=settings.seed + number), out / f"member-{number + 1}")
        for number, member in enumerate(settings.members)
    ]
    # Before minutes are spent on reading photos.
    for member, own, folder_of_run in runs:
        read_run(folder_of_run, describe_run(own, member), chosen)
    names, held_names = hold_out(rows, settings.held_share, settings.seed)
    with progress_bar(progress) as (say, advance):
        say("reading photos", len(names) + len(held_names))
        photos = read_examples(folder, names, lambda: advance(1))
        held = read_examples(folder, held_names, lambda: advance(1))

        def check(network: LesionNetwork, passes: int) -> dict[str, float]:
            last = passes == settings.passes
            due = held and (last or passes % _CHECK_EVERY == 0)
            return check_outlines(network, held, settings.sides_px[-1]) if due else {}

        networks = []
        for number, (member, own, folder_of_run) in enumerate(runs, start=1):
            simulated = []
            if own.simulated_patients:
                say("simulating photos", 0)
                simulated = simulate_examples(folder_of_run / "simulated", own.simulated_patients, own.seed + 9202)
            say(f"training network {number} of {len(runs)}", 0)
            source = Source(photos, simulated, member.bare_share)
            networks.append(train(source, own, folder_of_run, chosen, member, check, advance))
        say("calibrating", 0)
        write_release(networks, photos, held, settings, out / "segmentation")
    return {"out": str(out), "release": str(out / "segmentation")}


def write_release(
    networks: Sequence[LesionNetwork],
    photos: list[Example],
    held: list[Example],
    settings: TrainingSettings,
    folder: Path,
) -> None:
    """Write weights and config of a release, calibrated on the photos `held` out of the training.

    A card, figures and hashes make it complete (`longderm.models.releases.write_hashes`).
    """
    from longderm.models.weights import read_networks, write_networks
    from longderm.training.calibrate import calibrate

    folder.mkdir(parents=True, exist_ok=True)
    side_px = settings.sides_px[-1]
    config: dict[str, Any] = {
        "network": {
            "side_px": side_px,
            "architectures": write_networks([network.cpu() for network in networks], folder),
        },
        "training": asdict(settings),
    }
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    # What is written in half precision is what is calibrated.
    config |= calibrate(read_networks(folder), photos, held, side_px, settings.seed)
    path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
