"""`longderm train change`: from a folder of outlined photos to a change network, its losses and its run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from longderm.change.crops import CROP_SIDE_PX
from longderm.errors import SourceNotFoundError, UsageError
from longderm.models.change_network import (
    CHANGE_REASONS,
    CHANGE_STRIDE_PX,
    CHANGE_WEIGHTS_FILE,
    ChangeArchitecture,
    ChangeLogits,
    ChangeNetwork,
    read_change_network,
    with_every_reason,
    write_change_network,
)
from longderm.models.lesion_network import normalise
from longderm.models.precision import helps_bf16
from longderm.models.releases import hash_file
from longderm.training.change_batches import ChangeBatch, draw_change_batches, usable_examples
from longderm.training.change_reasons import fit_reasons
from longderm.training.examples import Example
from longderm.training.run import describe_run, read_run, run_passes, start_run

#: Weights of the losses beside that of the change: where it is teaches the encoder what to look at.
_WHERE_WEIGHT, _REASON_WEIGHT = 1.0, 0.2
#: Passes between two looks at the held-out photos, and how many pairs each gives.
_CHECK_EVERY, _CHECK_ROUNDS = 2, 3
#: Seeds of held-out pairs lie apart from those of training; the photos are the same for every seed, so that a network
#: that starts from another's weights is held against photos that neither has seen.
_HELD_SEED, _HELD_PHOTOS_SEED = 7_000_003, 0
#: ... and so do those of the pairs that the reasons are fitted to at the end.
_REASONS_SEED = 5_000_011
#: Simulated patients are others than those of benchmarks, which take seeds of a few digits.
_SIMULATED_SEED = 9_203_000
#: A run that starts from a trained network goes on at full size, with smaller steps.
_CONTINUED_SIDES_PX, _CONTINUED_RATE = (CROP_SIDE_PX,), 1e-3


@dataclass(frozen=True)
class ChangeSettings:
    """How a run goes. Two runs of the same settings on the same kind of machine give the same weights.

    passes: over the photos, 0 to fit the reasons alone; rounds: pairs of each photo in a pass; sides_px: sides of the
    crops, each for an equal share of the passes; held_share: share of the train photos left out, to look at by the way;
    simulated_patients: whose close-up photos are further lesions, 0 for none; start: SHA-256 of the weights it starts
    from, "" for drawn ones.
    """

    seed: int = 0
    passes: int = 40
    rounds: int = 4
    batch_size: int = 24
    sides_px: tuple[int, ...] = (128, 128, 160)
    peak_rate: float = 2e-3
    weight_decay: float = 0.03
    held_share: float = 0.1
    simulated_patients: int = 40
    start: str = ""


def train_change(
    folder: Path,
    out: Path,
    settings: ChangeSettings,
    device: str = "auto",
    threads: int = 0,
    progress: bool = True,
    start: Path | None = None,
) -> dict[str, Any]:
    """Train the change network on pairs made over the "train" split of an ISIC-layout folder; go on where an earlier
    call stopped. At the end the layer that names the reasons is fitted anew to what the network then sees.

    out: gets the checkpoint, the log and, at the end, `change` with weights and config; start: such a folder of an
    earlier run, whose network is trained on at full size. Raises SourceNotFoundError for a folder of another layout or
    a `start` without weights, RefusedError for damaged ones, UsageError where `out` holds a run of other settings.
    """
    from longderm.training.examples import hold_out, read_examples, simulate_examples
    from longderm.training.start import prepare_run, progress_bar

    trained, shape = None, ChangeArchitecture()
    earlier: list[dict[str, Any]] = []
    if settings.passes < 0 or settings.rounds < 1:
        raise UsageError("--passes must be 0 or more and --rounds 1 or more")
    if start is None and not settings.passes:
        raise UsageError("--passes 0 fits the reasons of a trained network: give its --start")
    if start is not None:
        trained, digest, earlier = _read_start(start)
        shape = trained.architecture
        settings = replace(settings, start=digest, sides_px=_CONTINUED_SIDES_PX, peak_rate=_CONTINUED_RATE)
    chosen, rows = prepare_run(folder, out, device, threads)
    # Before minutes are spent on reading photos.
    read_run(out, describe_run(settings, shape), chosen)
    names, held_names = hold_out(rows, settings.held_share, _HELD_PHOTOS_SEED)
    with progress_bar(progress) as (say, advance):
        say("reading photos", len(names) + len(held_names))
        photos = usable_examples(read_examples(folder, names, lambda: advance(1)))
        held = usable_examples(read_examples(folder, held_names, lambda: advance(1)))
        lesions = photos
        if settings.simulated_patients:
            say("simulating patients", 0)
            simulated = simulate_examples(
                out / "simulated", settings.simulated_patients, settings.seed + _SIMULATED_SEED
            )
            lesions = photos + usable_examples(simulated)
        say("training", 0)
        network = train_network(
            lesions, settings, out, chosen, shape, held=held, ahead=threads != 1, progress=advance, start=trained
        )
        say("fitting the reasons", 0)
        pairs = lesions * settings.rounds
        side_px, size = settings.sides_px[-1], settings.batch_size
        drawn = draw_change_batches(pairs, side_px, size, _REASONS_SEED, settings.seed, ahead=threads != 1)
        fit_reasons(network, drawn, look)
    target = out / "change"
    target.mkdir(exist_ok=True)
    figures = check_change(network, held, settings) if held else {}
    config = {
        "network": {"side_px": settings.sides_px[-1], "architecture": write_change_network(network.cpu(), target)},
        "training": asdict(settings),
        "earlier": earlier,
        "held_out": figures,
        "photos": len(photos),
        "simulated_photos": len(lesions) - len(photos),
        "parameters": sum(part.numel() for part in network.parameters()),
    }
    (target / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    return {"out": str(out), "network": str(target), "photos": len(photos)} | figures


def _read_start(start: Path) -> tuple[ChangeNetwork, str, list[dict[str, Any]]]:
    """The network of an earlier run or of a release, with a logit for every reason, the SHA-256 of its weights, and the
    runs that led to it. Raises as `train_change` says."""
    weights = start / CHANGE_WEIGHTS_FILE
    if not weights.is_file():
        raise SourceNotFoundError(
            f'--start: no {CHANGE_WEIGHTS_FILE} there; give the folder "change" of an earlier run'
        )
    network = with_every_reason(read_change_network(start))
    config = json.loads((start / "config.json").read_text())
    # A release keeps what is told of its network beside the architecture.
    told = config if "training" in config else config["network"]
    return network, hash_file(weights), runs_of(told)


def runs_of(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Settings and counts of photos of each run that led to a network, the first one first; `told` as in its config."""
    if "training" not in told:
        return []
    counts = {name: told[name] for name in ("photos", "simulated_photos") if name in told}
    return [*told.get("earlier", []), told["training"] | counts]


def train_network(
    photos: list[Example],
    settings: ChangeSettings,
    out: Path,
    device: torch.device,
    architecture: ChangeArchitecture | None = None,
    held: list[Example] | None = None,
    ahead: bool = False,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
    start: ChangeNetwork | None = None,
) -> ChangeNetwork:
    """Train until `settings.passes` are done and return the averaged network (see `longderm.training.run`).

    ahead: pairs are made by a thread of their own; start: a network whose weights a new run begins with. Raises
    UsageError where `out` holds a run of other settings, sides are no multiple of CHANGE_STRIDE_PX, or there are fewer
    photos than a batch.
    """
    if any(side % CHANGE_STRIDE_PX for side in settings.sides_px):
        raise UsageError(f"sides of crops must be multiples of {CHANGE_STRIDE_PX}, not {settings.sides_px}")
    steps = settings.rounds * len(photos) // settings.batch_size
    if len(photos) < settings.batch_size:
        raise UsageError(f"a pass needs at least {settings.batch_size} whole lesions; there are {len(photos)}")
    shape = architecture or ChangeArchitecture()
    run = start_run(lambda: ChangeNetwork(shape), settings, describe_run(settings, shape), device, out)
    if start is not None and not run.done_passes:
        run.network.load_state_dict(start.state_dict())
        run.average.load_state_dict(start.state_dict())

    def draw(side_px: int, index: int) -> Iterable[ChangeBatch]:
        pairs = photos * settings.rounds
        return draw_change_batches(pairs, side_px, settings.batch_size, settings.seed, index, ahead=ahead)

    def loss_of(network: ChangeNetwork, batch: ChangeBatch) -> Tensor:
        batch = batch.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=helps_bf16(device)):
            logits = look(network, batch)
        return change_loss(logits, batch)

    def check(network: ChangeNetwork, passes: int) -> dict[str, float | None]:
        due = passes % _CHECK_EVERY == 0 or passes == settings.passes
        return check_change(network, held, settings) if held and due else {}

    return run_passes(run, settings, steps, draw, loss_of, out, check, progress)


def look(network: ChangeNetwork, batch: ChangeBatch) -> ChangeLogits:
    """What the network says of a batch."""
    logits: ChangeLogits = network(normalise(batch.baseline), normalise(batch.followup), batch.interval)
    return logits


def change_loss(logits: ChangeLogits, batch: ChangeBatch) -> Tensor:
    """Cross entropy of the change, of each place (changed cells and others alike in sum where there are both) with the
    overlap lost (1 - Dice) of changed pairs, and of the reasons of changed pairs."""
    change = functional.binary_cross_entropy_with_logits(logits.change.float(), batch.changed)
    where = logits.where.float()
    each = functional.binary_cross_entropy_with_logits(where, batch.where, reduction="none").mean(dim=(1, 2, 3))
    drawn = torch.sigmoid(where)
    both = (drawn * batch.where).sum(dim=(1, 2, 3))
    overlap = (2 * both + 1) / (drawn.sum(dim=(1, 2, 3)) + batch.where.sum(dim=(1, 2, 3)) + 1)
    # A change that lies outside of what both photos show cannot be drawn.
    shown = (batch.where.sum(dim=(1, 2, 3)) > 0).float() * batch.changed
    place = each.mean() + ((1 - overlap) * shown).sum() / shown.sum().clamp(min=1)
    told = functional.binary_cross_entropy_with_logits(logits.reasons.float(), batch.reasons, reduction="none")
    reason = (told.mean(dim=1) * batch.changed).sum() / batch.changed.sum().clamp(min=1)
    return change + _WHERE_WEIGHT * place + _REASON_WEIGHT * reason


@torch.no_grad()
def check_change(network: ChangeNetwork, held: list[Example], settings: ChangeSettings) -> dict[str, float | None]:
    """AUROC of changed against stable pairs of the training's own generator over held-out photos, in how many of the
    changed ones the where-map's hottest cell is one that changed, and AUROC of each reason among the changed ones. The
    same pairs at every call."""
    network.eval()
    device = next(network.parameters()).device
    scores, labels, hits, reasons, truly = [], [], [], [], []
    size = min(settings.batch_size, len(held))
    for batch in draw_change_batches(held * _CHECK_ROUNDS, settings.sides_px[-1], size, _HELD_SEED, settings.seed):
        batch = batch.to(device)
        logits = look(network, batch)
        scores.append(logits.change.float().cpu().numpy())
        labels.append(batch.changed.cpu().numpy() > 0)
        hottest = logits.where.flatten(1).argmax(dim=1, keepdim=True)
        hits.append((batch.where.flatten(1).gather(1, hottest)[:, 0] > 0)[batch.changed > 0].cpu().numpy())
        reasons.append(logits.reasons.float().cpu().numpy()[labels[-1]])
        truly.append(batch.reasons.cpu().numpy()[labels[-1]] > 0)
    hot = np.concatenate(hits)
    told, true = np.concatenate(reasons), np.concatenate(truly)
    return {
        "held_auroc": _auroc(np.concatenate(scores), np.concatenate(labels)),
        "held_hottest_inside": round(float(hot.mean()), 4) if hot.size else None,
    } | {
        f"held_auroc_{name}": _auroc(told[:, number], true[:, CHANGE_REASONS.index(name)])
        for number, name in enumerate(network.architecture.reasons)
    }


def _auroc(score: NDArray[np.floating], positive: NDArray[np.bool_]) -> float | None:
    """Mann and Whitney's count of positive above other scores, as a share; None where there is only one kind."""
    from scipy.stats import mannwhitneyu

    both = int(positive.sum()) * int((~positive).sum())
    high, low = score[positive].astype(np.float64), score[~positive].astype(np.float64)
    return round(float(mannwhitneyu(high, low).statistic) / both, 4) if both else None
