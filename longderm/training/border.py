"""`longderm train border`: the network that draws a lesion's border anew, for a release that has none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from longderm.errors import UsageError
from longderm.imaging.border import Cut, border_planes
from longderm.models.border_network import COARSE_PLANE, BorderArchitecture, BorderNetwork
from longderm.models.releases import Release, write_hashes
from longderm.models.weights import WEIGHTS_FILE, write_border
from longderm.training.ahead import in_order
from longderm.training.border_examples import BorderExample, gather, read_examples_of, save_examples
from longderm.training.disturbances import disturb
from longderm.training.run import describe_run, read_run, run_passes, start_run

#: Share of the views with other light, focus, grain and what lies on the skin: the others are as they were taken.
_DISTURBED = 0.5
#: The coarse outline of a view is softer or sharper (factor of its log-odds) and wider or narrower (added to them) than
#: the networks drew it, since they have seen these very photos, and draw others less well.
_SHARPER, _WIDER_SD = (0.6, 1.2), 0.5
#: Weights of the loss: of each pixel, of the overlap, and of the logarithm of the area.
_PIXELS, _OVERLAP, _AREA = 2.0, 1.0, 0.3
#: Seeds of the simulated photos, and how many of the last are held out to watch the run by.
_SIMULATED_SEED, _HELD_SHARE = 9303, 0.05


@dataclass(frozen=True)
class BorderSettings:
    """How a run goes. Two runs of the same settings on the same kind of machine give the same weights.

    simulated: simulated photos beside the real ones; release, digest: what draws the coarse outlines.
    """

    seed: int = 0
    passes: int = 14
    batch_size: int = 16
    sides_px: tuple[int, ...] = (128,)
    peak_rate: float = 3e-3
    weight_decay: float = 1e-3
    simulated: int = 3500
    release: str = ""
    digest: str = ""


class BorderBatch(NamedTuple):
    """planes: float32 (B, PLANES, S, S); truth: float32 (B, 1, S, S), shares within the true border."""

    planes: Tensor
    truth: Tensor


def train_border(
    folder: Path,
    out: Path,
    release: Release,
    settings: BorderSettings,
    device: str = "auto",
    threads: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Train on the "train" split of an ISIC-layout folder and simulated photos; go on where an earlier call stopped.

    release: a segmentation release whose networks draw the coarse outlines. `out` gets the examples, the checkpoint,
    the log and, at the end, `segmentation`: that release with the border network in it. Raises SourceNotFoundError for
    a folder of another layout, UsageError where `out` holds a run of other settings or the release is no network.
    """
    from longderm.imaging.sight import uses_network
    from longderm.training.examples import hold_out, read_examples
    from longderm.training.start import prepare_run, progress_bar

    if not uses_network(release):
        raise UsageError(f"{release.name} is no network; name another release")
    chosen, rows = prepare_run(folder, out, device, threads)
    read_run(out, describe_run(settings, BorderArchitecture()), chosen)
    of_networks = release.config["training"]
    names, _ = hold_out(rows, of_networks["held_share"], of_networks["seed"])
    with progress_bar(progress) as (say, advance):
        path = out / "examples.npz"
        if not path.is_file():
            say("reading photos", len(names))
            photos = read_examples(folder, names, lambda: advance(1))
            say("drawing coarse outlines", len(names) + settings.simulated)
            seed = settings.seed + _SIMULATED_SEED
            save_examples(gather(photos, settings.simulated, seed, release, lambda: advance(1)), path)
        examples = read_examples_of(path)
        say("training", 0)
        network = train_network(examples, settings, out, chosen, threads != 1, advance)
    return {"out": str(out), "release": str(_with_border(release, network.cpu(), settings, out / "segmentation"))}


def train_network(
    examples: Sequence[BorderExample],
    settings: BorderSettings,
    out: Path,
    device: torch.device,
    ahead: bool = False,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> BorderNetwork:
    """Train until `settings.passes` are done and return the averaged network (see `longderm.training.run`).

    The last examples are held out to watch the run by. Raises UsageError where `out` holds a run of other settings, or
    there are fewer examples than a batch.
    """
    held = examples[len(examples) - int(_HELD_SHARE * len(examples)) :]
    taught = examples[: len(examples) - len(held)]
    steps = len(taught) // settings.batch_size
    if steps == 0:
        raise UsageError(f"a pass needs at least {settings.batch_size} lesions that are found; there are {len(taught)}")
    described = describe_run(settings, BorderArchitecture())
    run = start_run(BorderNetwork, settings, described, device, out)

    def draw(side_px: int, index: int) -> Iterator[BorderBatch]:
        del side_px  # that of the crops
        return draw_batches(taught, settings.batch_size, settings.seed, index, ahead)

    def loss_of(network: BorderNetwork, batch: BorderBatch) -> Tensor:
        planes, truth = batch.planes.to(device), batch.truth.to(device)
        return border_loss(network(planes), truth, planes[:, -1:])

    def check(network: BorderNetwork, passes: int) -> dict[str, float]:
        return check_borders(network, held) if held else {}

    return run_passes(run, settings, steps, draw, loss_of, out, check, progress)


def draw_batches(
    examples: Sequence[BorderExample], batch_size: int, seed: int, index: int, ahead: bool = False
) -> Iterator[BorderBatch]:
    """The batches of pass `index`: each example once, turned, mirrored and disturbed, in an order of its own."""
    order = np.random.default_rng([seed, index]).permutation(len(examples))

    def make(number: int) -> BorderBatch:
        rng = np.random.default_rng([seed, index, number])
        chosen = order[number * batch_size : (number + 1) * batch_size]
        views = [draw_border_view(examples[int(which)], rng) for which in chosen]
        planes, truths = (np.stack(part) for part in zip(*views, strict=True))
        return BorderBatch(torch.from_numpy(planes), torch.from_numpy(truths))

    return in_order(make, len(examples) // batch_size, ahead)


def draw_border_view(
    example: BorderExample, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Planes (PLANES, S, S) and truth (1, S, S) of a view of an example, float32."""
    seen = example.seen
    if rng.random() < _DISTURBED:
        seen = Cut(disturb(seen.pixels, rng), seen.probability, seen.inside)
    planes = border_planes(seen)
    planes[COARSE_PLANE] = planes[COARSE_PLANE] * rng.uniform(*_SHARPER) + rng.normal(0, _WIDER_SD)
    both = np.concatenate([planes, example.truth[None].astype(np.float32) / 255])
    both = np.rot90(both, int(rng.integers(4)), axes=(1, 2))
    if rng.random() < 0.5:
        both = both[:, :, ::-1]
    both = np.ascontiguousarray(both)
    return both[:-1], both[-1:]


def border_loss(log_odds: Tensor, truth: Tensor, inside: Tensor) -> Tensor:
    """Cross entropy of the pixels inside of the photo, 1 - Dice, and how far the area's logarithm is off, weighed."""
    pixels = functional.binary_cross_entropy_with_logits(log_odds, truth, reduction="none")
    said, true = torch.sigmoid(log_odds) * inside, truth * inside
    area, true_area = said.sum(dim=(1, 2, 3)), true.sum(dim=(1, 2, 3))
    overlap = (2 * (said * true).sum(dim=(1, 2, 3)) + 1) / (area + true_area + 1)
    off = torch.log((area + 1) / (true_area + 1)).abs()
    total: Tensor = _PIXELS * (pixels * inside).mean() + _OVERLAP * (1 - overlap).mean() + _AREA * off.mean()
    return total


@torch.no_grad()
def check_borders(network: BorderNetwork, held: Sequence[BorderExample]) -> dict[str, float]:
    """Median and 95th percentile of the error of the area over held-out examples as they were taken."""
    network.eval()
    device = next(network.parameters()).device
    off = []
    for example in held:
        planes = border_planes(example.seen)
        drawn = (network(torch.from_numpy(planes[None]).to(device))[0, 0].cpu().numpy() > 0) & (planes[-1] > 0.5)
        off.append(abs(float(drawn.sum()) / max(1.0, float(example.truth.sum()) / 255) - 1))
    return {
        "held_area_error_median": round(float(np.median(off)), 4),
        "held_area_error_p95": round(float(np.percentile(off, 95)), 4),
    }


def _with_border(release: Release, network: BorderNetwork, settings: BorderSettings, folder: Path) -> Path:
    """Write `release` with the border network in it; a card and figures make it complete."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    shutil.copy(release.folder / WEIGHTS_FILE, folder)
    config = release.config | {"border": {"architecture": write_border(network, folder), "training": asdict(settings)}}
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    write_hashes(folder)
    return folder
