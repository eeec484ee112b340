"""The run that trains one lesion network: seeded, saved after each pass, continued from where it was cut off."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from longderm.errors import UsageError
from longderm.models.lesion_network import Architecture, LesionNetwork, normalise
from longderm.models.precision import helps_bf16
from longderm.training.batches import Source, batches_per_pass, draw_pass
from longderm.training.losses import total_loss

#: The learning rate rises over this share of the steps and then falls along a cosine to this share of its peak.
_RISE_SHARE, _FINAL_RATE = 0.05, 0.005
#: Weights are averaged over about 1 / (1 - decay) steps (Tarvainen and Valpola 2017, arXiv 1703.01780).
_AVERAGE_DECAY = 0.998
#: Longer gradients are shortened to this.
_MAX_GRADIENT = 3.0


@dataclass(frozen=True)
class Member:
    """One of a release's networks: its shape, and what it is taught more or less of than the others.

    bare_share: views of bare skin, as a share of the number of photos; presence_weight: of the loss of presence.
    """

    architecture: Architecture = field(default_factory=Architecture)
    bare_share: float = 0.11
    presence_weight: float = 0.2


#: Two networks err in different places. Together they have fewer than 8 million parameters; the second sees more bare
#: skin.
MEMBERS = (
    Member(),
    Member(Architecture(widths=(24, 40, 72, 128, 192), decoder=(24, 40, 56, 80)), bare_share=0.18, presence_weight=0.4),
)


@dataclass(frozen=True)
class TrainingSettings:
    """How a run goes. Two runs of the same settings on the same kind of machine give the same weights.

    seed: of the first member; the next has the next; passes: times that each real photo is seen; sides_px: sides of the
    input, each for an equal share of the passes: small first is quicker and ends as well; held_share: share of the
    train photos left out, to choose and calibrate by.
    """

    seed: int = 0
    passes: int = 110
    batch_size: int = 24
    sides_px: tuple[int, ...] = (160, 160, 192, 192, 192)
    peak_rate: float = 2e-3
    weight_decay: float = 0.03
    held_share: float = 0.125
    simulated_patients: int = 40
    members: tuple[Member, ...] = MEMBERS


@dataclass(eq=False)
class Run:
    """What changes while a run goes on, and is saved after each pass."""

    network: LesionNetwork
    average: LesionNetwork
    optimiser: torch.optim.AdamW
    done_passes: int = 0


def train(
    source: Source,
    settings: TrainingSettings,
    out: Path,
    device: torch.device,
    member: Member = MEMBERS[0],
    check: Callable[[LesionNetwork, int], dict[str, float]] | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> LesionNetwork:
    """Train until `settings.passes` are done and return the averaged network.

    `out`/checkpoint.pt is written after each pass and, where it is there, continued; `out`/log.jsonl gets a line per
    pass, with what `check(network, passes)` says. Raises UsageError where the checkpoint is of other settings.
    """
    run = _start(settings, device, member, out / "checkpoint.pt")
    steps = batches_per_pass(source, settings.batch_size)
    if steps == 0:
        raise UsageError(f"a pass needs at least {settings.batch_size} photos; there are {len(source.photos)}")
    total = steps * settings.passes
    for index in range(run.done_passes, settings.passes):
        # Dropout draws anew in each pass, so that a continued run draws the same.
        torch.manual_seed(settings.seed * 100_003 + index)
        side = settings.sides_px[index * len(settings.sides_px) // settings.passes]
        losses, started = [], time.monotonic()
        run.network.train()
        for number, batch in enumerate(draw_pass(source, side, settings.batch_size, settings.seed, index)):
            step = index * steps + number
            for group in run.optimiser.param_groups:
                group["lr"] = rate_at(step, total, settings.peak_rate)
            batch = batch.to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=helps_bf16(device)):
                logits = run.network(normalise(batch.pixels))
            loss = total_loss(logits, batch, member.presence_weight)
            run.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(run.network.parameters(), _MAX_GRADIENT)
            run.optimiser.step()
            move_average(run.average, run.network, step)
            losses.append(loss.item())
            progress(step + 1, total, f"pass {index + 1}, {side} px, loss {sum(losses) / len(losses):.3f}")
        run.done_passes = index + 1
        _save(run, settings, member, out / "checkpoint.pt")
        line = {"pass": index + 1, "side_px": side, "loss": round(sum(losses) / len(losses), 4)}
        line["seconds"] = round(time.monotonic() - started, 1)
        if check is not None:
            line |= check(run.average, index + 1)
        with (out / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
    return run.average.eval()


def read_checkpoint(
    path: Path, settings: TrainingSettings, member: Member, device: torch.device
) -> dict[str, Any] | None:
    """What a run has saved, or None where there is nothing. Raises UsageError where it is of other settings."""
    if not path.is_file():
        return None
    held: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    if held["settings"] != _described(settings, member):
        raise UsageError(f"{path} is of a run with other settings; give them, or another --out")
    return held


def rate_at(step: int, total: int, peak: float) -> float:
    """The learning rate of a step: a linear rise, then a cosine down."""
    rise = max(1, round(total * _RISE_SHARE))
    if step < rise:
        return peak * (step + 1) / rise
    fallen = (step - rise) / max(1, total - rise)
    return peak * (_FINAL_RATE + (1 - _FINAL_RATE) * (1 + math.cos(math.pi * fallen)) / 2)


def optimiser_of(network: nn.Module, peak_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW over the network; biases and normalisation are few and are not drawn towards zero."""
    decayed = [value for value in network.parameters() if value.ndim > 1]
    others = [value for value in network.parameters() if value.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=peak_rate)


def _start(settings: TrainingSettings, device: torch.device, member: Member, saved: Path) -> Run:
    torch.manual_seed(settings.seed)
    network, average = LesionNetwork(member.architecture), LesionNetwork(member.architecture)
    average.load_state_dict(network.state_dict())
    for part in (network, average):
        part.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = Run(network, average, optimiser_of(network, settings.peak_rate, settings.weight_decay))
    held = read_checkpoint(saved, settings, member, device)
    if held is not None:
        network.load_state_dict(held["network"])
        average.load_state_dict(held["average"])
        run.optimiser.load_state_dict(held["optimiser"])
        run.done_passes = held["done_passes"]
    return run


def _save(run: Run, settings: TrainingSettings, member: Member, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(
        {
            "settings": _described(settings, member),
            "network": run.network.state_dict(),
            "average": run.average.state_dict(),
            "optimiser": run.optimiser.state_dict(),
            "done_passes": run.done_passes,
        },
        part,
    )
    # A run that is killed here leaves the earlier checkpoint whole.
    part.replace(path)


def _described(settings: TrainingSettings, member: Member) -> str:
    return json.dumps([asdict(settings), asdict(member)], sort_keys=True)


@torch.no_grad()
def move_average(average: nn.Module, network: nn.Module, step: int) -> None:
    """Move the averaged weights (and statistics of the normalisation) towards the present ones."""
    decay = min(_AVERAGE_DECAY, (1 + step) / (10 + step))
    for old, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)
