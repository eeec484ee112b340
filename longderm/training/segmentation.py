"""How the lesion networks are trained: settings of a release and of its members, and the run of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from longderm.errors import UsageError
from longderm.models.lesion_network import Architecture, LesionNetwork, normalise
from longderm.models.precision import helps_bf16
from longderm.training.batches import Batch, Source, batches_per_pass, draw_pass
from longderm.training.losses import total_loss
from longderm.training.run import describe_run, run_passes, start_run


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


def train(
    source: Source,
    settings: TrainingSettings,
    out: Path,
    device: torch.device,
    member: Member = MEMBERS[0],
    check: Callable[[LesionNetwork, int], dict[str, float]] = lambda network, passes: {},
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> LesionNetwork:
    """Train until `settings.passes` are done and return the averaged network (see `longderm.training.run`).

    Raises UsageError where `out` holds a run of other settings, or where there are fewer photos than a batch.
    """
    run = start_run(lambda: LesionNetwork(member.architecture), settings, describe_run(settings, member), device, out)
    steps = batches_per_pass(source, settings.batch_size)
    if steps == 0:
        raise UsageError(f"a pass needs at least {settings.batch_size} photos; there are {len(source.photos)}")

    def draw(side_px: int, index: int) -> Iterable[Batch]:
        return draw_pass(source, side_px, settings.batch_size, settings.seed, index)

    def loss_of(network: LesionNetwork, batch: Batch) -> Tensor:
        batch = batch.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=helps_bf16(device)):
            logits = network(normalise(batch.pixels))
        return total_loss(logits, batch, member.presence_weight)

    return run_passes(run, settings, steps, draw, loss_of, out, check, progress)
