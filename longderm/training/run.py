"""A run that trains one network: seeded, saved after each pass, continued from where it was cut off."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from longderm.errors import UsageError

#: The learning rate rises over this share of the steps and then falls along a cosine to this share of its peak.
_RISE_SHARE, _FINAL_RATE = 0.05, 0.005
#: Weights are averaged over about 1 / (1 - decay) steps (Tarvainen and Valpola 2017, arXiv 1703.01780).
_AVERAGE_DECAY = 0.998
#: Longer gradients are shortened to this.
_MAX_GRADIENT = 3.0
#: The file in a run's folder that it goes on from.
CHECKPOINT_FILE = "checkpoint.pt"

N = TypeVar("N", bound=nn.Module)
B = TypeVar("B")


class RunSettings(Protocol):
    """What every run's settings say. sides_px: sides of the input, each for an equal share of the passes."""

    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def passes(self) -> int: ...  # noqa: D102
    @property
    def sides_px(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def peak_rate(self) -> float: ...  # noqa: D102
    @property
    def weight_decay(self) -> float: ...  # noqa: D102


@dataclass(eq=False)
class Run(Generic[N]):
    """What changes while a run goes on, and is saved after each pass. described: the settings it is of."""

    network: N
    average: N
    optimiser: torch.optim.AdamW
    described: str
    done_passes: int = 0


def start_run(make: Callable[[], N], settings: RunSettings, described: str, device: torch.device, out: Path) -> Run[N]:
    """A new run of the network that `make` makes, or the one that `out` holds.

    Raises UsageError where `out` holds a run of other settings.
    """
    torch.manual_seed(settings.seed)
    network, average = make(), make()
    average.load_state_dict(network.state_dict())
    for part in (network, average):
        part.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch types less
    run = Run(network, average, _optimiser(network, settings.peak_rate, settings.weight_decay), described)
    held = read_run(out, described, device)
    if held is not None:
        network.load_state_dict(held["network"])
        average.load_state_dict(held["average"])
        run.optimiser.load_state_dict(held["optimiser"])
        run.done_passes = held["done_passes"]
    return run


def run_passes(
    run: Run[N],
    settings: RunSettings,
    steps: int,
    draw: Callable[[int, int], Iterable[B]],
    loss_of: Callable[[N, B], Tensor],
    out: Path,
    check: Callable[[N, int], Mapping[str, float | None]],
    progress: Callable[[int, int, str], None],
) -> N:
    """Train until `settings.passes` are done and return the averaged network, for inference.

    steps: batches in a pass; draw(side_px, pass index): its batches; loss_of(network, batch): a scalar. `out` gets the
    checkpoint after each pass, and a line in log.jsonl with what check(averaged network, passes) says.
    """
    total = steps * settings.passes
    for index in range(run.done_passes, settings.passes):
        # Dropout draws anew in each pass, so that a continued run draws the same.
        torch.manual_seed(settings.seed * 100_003 + index)
        side = settings.sides_px[index * len(settings.sides_px) // settings.passes]
        losses, started = [], time.monotonic()
        run.network.train()
        for number, batch in enumerate(draw(side, index)):
            step = index * steps + number
            for group in run.optimiser.param_groups:
                group["lr"] = rate_at(step, total, settings.peak_rate)
            loss = loss_of(run.network, batch)
            run.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            nn.utils.clip_grad_norm_(run.network.parameters(), _MAX_GRADIENT)
            run.optimiser.step()
            _move_average(run.average, run.network, step)
            losses.append(loss.item())
            progress(step + 1, total, f"pass {index + 1}, {side} px, loss {sum(losses) / len(losses):.3f}")
        run.done_passes = index + 1
        _save(run, out)
        line: dict[str, Any] = {"pass": index + 1, "side_px": side, "loss": round(sum(losses) / len(losses), 4)}
        line["seconds"] = round(time.monotonic() - started, 1)
        line |= check(run.average, index + 1)
        with (out / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
    return run.average.eval()


def read_run(out: Path, described: str, device: torch.device) -> dict[str, Any] | None:
    """What `out` holds of a run, or None where there is nothing. Raises UsageError where it is of other settings."""
    path = out / CHECKPOINT_FILE
    if not path.is_file():
        return None
    held: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    if held["settings"] != described:
        raise UsageError(f"{path} is of a run with other settings; give them, or another --out")
    return held


def describe_run(*settings: Any) -> str:
    """Dataclasses of settings as one text, to compare runs by."""
    return json.dumps([asdict(part) for part in settings], sort_keys=True)


def rate_at(step: int, total: int, peak: float) -> float:
    """The learning rate of a step: a linear rise, then a cosine down."""
    rise = max(1, round(total * _RISE_SHARE))
    if step < rise:
        return peak * (step + 1) / rise
    fallen = (step - rise) / max(1, total - rise)
    return peak * (_FINAL_RATE + (1 - _FINAL_RATE) * (1 + math.cos(math.pi * fallen)) / 2)


def _optimiser(network: nn.Module, peak_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW over the network; biases and normalisation are few and are not drawn towards zero."""
    decayed = [value for value in network.parameters() if value.ndim > 1]
    others = [value for value in network.parameters() if value.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=peak_rate)


def _save(run: Run[N], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    path = out / CHECKPOINT_FILE
    part = path.with_suffix(".part")
    state = {name: getattr(run, name).state_dict() for name in ("network", "average", "optimiser")}
    torch.save(state | {"settings": run.described, "done_passes": run.done_passes}, part)
    # A run that is killed here leaves the earlier checkpoint whole.
    part.replace(path)


@torch.no_grad()
def _move_average(average: nn.Module, network: nn.Module, step: int) -> None:
    """Move the averaged weights (and statistics of the normalisation) towards the present ones."""
    decay = min(_AVERAGE_DECAY, (1 + step) / (10 + step))
    for old, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)
