"""The change network: both aligned crops of a pair through one encoder, compared place by place.

Siamese (Bromley et al. 1993) with a residual encoder (He et al. 2016, arXiv 1512.03385). Features of both photos meet
only as |a - b| and a + b, which do not know which photo came first: the score of a pair is that of the pair turned
round. It sees crops as `longderm.change.crops.in_one_light` gives them.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from longderm.errors import RefusedError

#: The input's sides are multiples of this: four halvings.
CHANGE_STRIDE_PX = 16
#: The where-map has one value for so many pixels of the crop, each way.
WHERE_STRIDE_PX = 8
#: What a change may be of, in the order of the reasons' logits; groups of the measured differences. A change may be of
#: several: one that grows to one side is of size and of symmetry.
CHANGE_REASONS = ("size", "colour", "structure", "symmetry")
#: The reason that may stand beside any of the others: the lesion's own asymmetry of shape (share of the lesion) or of
#: colour (CIE 1976) moved by more than this, up or down. One standard deviation of what is measured between photos of
#: an unchanged lesion (change/0.4.0).
SYMMETRY, SYMMETRY_MOVED = "symmetry", (0.012, 1.24)
#: What a network names whose config.json does not say it.
_FORMER_REASONS = CHANGE_REASONS[:3]
#: Weights of a change network, beside the config.json that holds its architecture.
CHANGE_WEIGHTS_FILE = "network.safetensors"
#: Days between visits enter as their logarithm over that of two years.
_LONG_INTERVAL_DAYS = 730.0


@dataclass(frozen=True)
class ChangeArchitecture:
    """Channels and blocks of a change network.

    widths: channels of the encoder at 1/2, 1/4, 1/8 and 1/16 of the input; blocks: residual blocks at the last three;
    compared: channels after the comparison at 1/4, 1/8 and 1/16; reasons: what it names, of CHANGE_REASONS.
    """

    widths: tuple[int, int, int, int] = (24, 48, 96, 160)
    blocks: tuple[int, int, int] = (1, 2, 2)
    compared: tuple[int, int, int] = (32, 64, 96)
    reasons: tuple[str, ...] = CHANGE_REASONS


class ChangeLogits(NamedTuple):
    """What the network says of a batch, as logits.

    change: (B,); where: (B, 1, S / 8, S / 8); reasons: (B, R), what changed if anything did, as the architecture names
    them; summary: (B, F), what the reasons are told from.
    """

    change: Tensor
    where: Tensor
    reasons: Tensor
    summary: Tensor


class ChangeNetwork(nn.Module):
    """About 1.8 million parameters as it is by default."""

    def __init__(self, architecture: ChangeArchitecture | None = None) -> None:
        super().__init__()
        self.architecture = shape = architecture if architecture is not None else ChangeArchitecture()
        widths, compared = shape.widths, shape.compared
        self.stem = _convolved(3, widths[0], stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(_convolved(before, after, stride=2), *(_Block(after) for _ in range(count)))
            for before, after, count in zip(widths, widths[1:], shape.blocks, strict=False)
        )
        self.compare = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2 * width, here, 1, bias=False), nn.BatchNorm2d(here), nn.ReLU())
            for width, here in zip(widths[1:], compared, strict=True)
        )
        self.descend = _convolved(compared[0], compared[1], stride=2)
        self.rise = nn.Conv2d(compared[2], compared[1], 1)
        self.refine = nn.Sequential(_convolved(compared[1], compared[1]), _Block(compared[1]))
        self.where = nn.Conv2d(compared[1], 1, 1)
        summary = 2 * compared[1] + compared[2] + 1
        self.drop = nn.Dropout(0.2)
        self.change = nn.Sequential(nn.Linear(summary + 2, 64), nn.ReLU(), nn.Linear(64, 1))
        self.reasons = nn.Linear(summary, len(shape.reasons))

    def forward(self, baseline: Tensor, followup: Tensor, interval: Tensor) -> ChangeLogits:
        """Crops float (B, 3, S, S), normalised (see `normalise` of the lesion network), S a multiple of
        CHANGE_STRIDE_PX; interval: (B, 2) of `encode_interval`."""
        count = baseline.shape[0]
        features = self.stem(torch.cat([baseline, followup]))
        levels = []
        for stage, compare in zip(self.stages, self.compare, strict=True):
            features = stage(features)
            first, second = features[:count], features[count:]
            levels.append(compare(torch.cat([(first - second).abs(), first + second], dim=1)))
        quarter, eighth, sixteenth = levels
        risen = functional.interpolate(self.rise(sixteenth), size=eighth.shape[2:], mode="bilinear")
        joined = self.refine(functional.relu(eighth + self.descend(quarter) + risen))
        where = self.where(joined)
        flat = where.flatten(2).to(torch.float32)
        # A maximum to which every place adds.
        peak = torch.logsumexp(flat, dim=2) - torch.log(torch.tensor(float(flat.shape[2])))
        parts = [joined.mean(dim=(2, 3)), joined.amax(dim=(2, 3)), sixteenth.mean(dim=(2, 3)), peak]
        summary = self.drop(torch.cat(parts, dim=1))
        change = self.change(torch.cat([summary, interval], dim=1))[:, 0]
        return ChangeLogits(change, where, self.reasons(summary), summary)


def encode_interval(days: float | None) -> tuple[float, float]:
    """Days between two visits as the network takes them, the sign aside: log scale, and whether they are known."""
    if days is None:
        return 0.0, 0.0
    return math.log1p(abs(days)) / math.log1p(_LONG_INTERVAL_DAYS), 1.0


def write_change_network(network: ChangeNetwork, folder: Path) -> dict[str, Any]:
    """Write the weights in half precision and return the architecture for the config."""
    from safetensors.torch import save_file

    state = {
        name: (value.to(torch.float16) if value.is_floating_point() else value).contiguous()
        for name, value in network.state_dict().items()
    }
    save_file(state, folder / CHANGE_WEIGHTS_FILE)
    (folder / CHANGE_WEIGHTS_FILE).chmod((folder / CHANGE_WEIGHTS_FILE).stat().st_mode | 0o044)
    return asdict(network.architecture)


def read_change_network(folder: Path) -> ChangeNetwork:
    """The network of a folder, for inference in single precision on the CPU.

    Raises RefusedError where weights are missing, damaged or of another architecture than config.json says.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        shape = json.loads((folder / "config.json").read_text())["network"]["architecture"]
        shape = {"reasons": _FORMER_REASONS} | shape
        network = ChangeNetwork(ChangeArchitecture(**{key: tuple(value) for key, value in shape.items()}))
        loaded = load_file(folder / CHANGE_WEIGHTS_FILE)
        state = {
            name: value.to(torch.float32) if value.is_floating_point() else value for name, value in loaded.items()
        }
        network.load_state_dict(state)
    # RuntimeError: keys or shapes differ; the others: a config that describes no such network.
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise RefusedError(f"{CHANGE_WEIGHTS_FILE} does not fit its config.json; restore the release") from error
    return network.eval()


def with_every_reason(network: ChangeNetwork) -> ChangeNetwork:
    """The network with a logit for each of CHANGE_REASONS: those that it lacks are even (0) until they are trained."""
    if network.architecture.reasons == CHANGE_REASONS:
        return network
    whole = ChangeNetwork(replace(network.architecture, reasons=CHANGE_REASONS))
    state = network.state_dict()
    for name in ("reasons.weight", "reasons.bias"):
        known = dict(zip(network.architecture.reasons, state[name], strict=True))
        even = torch.zeros_like(state[name][0])
        state[name] = torch.stack([known.get(reason, even) for reason in CHANGE_REASONS])
    whole.load_state_dict(state)
    return whole.train(network.training)


def _convolved(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _convolved(width, width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(features + self.norm(self.second(self.first(features))))
