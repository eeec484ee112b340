"""`longderm train border`: the network that draws a lesion's border anew, for a release that has none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from longderm.errors import UsageError
from longderm.imaging.border import BORDER_SIDE_PX, Cut, border_planes
from longderm.imaging.sight import uses_network
from longderm.models.border_network import COARSE_PLANE, BorderArchitecture, BorderNetwork
from longderm.models.release_folder import new_release, require_new
from longderm.models.releases import Release
from longderm.models.weights import WEIGHTS_FILE, write_border
from longderm.training.ahead import in_order
from longderm.training.border_examples import (
    BorderExample,
    gather,
    read_border_examples,
    save_examples,
    with_hard_kinds,
)
from longderm.training.disturbances import disturb
from longderm.training.run import describe_run, read_run, run_passes, start_run

#: Share of the views with other light, focus, grain and what lies on the skin: the others are as they were taken.
_DISTURBED = 0.5
#: The coarse outline of a view is softer or sharper (factor of its log-odds) and wider or narrower (added to them) than
#: the networks drew it, since they have seen these very photos, and draw others less well.
_SHARPER, _WIDER_SD = (0.6, 1.2), 0.5
#: Views are stretched either way by up to this logarithm: the train photos were squashed to squares, from 4:3 mostly,
#: and photos in use are not.
_STRETCH = 0.3
#: Weights of the loss: of each pixel, of the overlap, and of the logarithm of the area.
_PIXELS, _OVERLAP, _AREA = 2.0, 1.0, 0.3
#: What an expert's border counts beside a simulated one: experts differ, and a simulated lesion's border is exact.
_EXPERT_WEIGHT = 0.3
#: Added to the seed, for the simulated photos.
_SIMULATED_SEED = 9303


@dataclass(frozen=True)
class BorderSettings:
    """How a run goes. Two runs of the same settings on the same kind of machine give the same weights.

    simulated: simulated photos of all kinds beside the real ones (`with_hard_kinds` says how many in all); release,
    digest: what draws the coarse outlines.
    """

    seed: int = 0
    passes: int = 10
    batch_size: int = 16
    peak_rate: float = 3e-3
    weight_decay: float = 1e-3
    simulated: int = 2500
    release: str = ""
    digest: str = ""

    @property
    def sides_px(self) -> tuple[int, ...]:
        """The side of every crop."""
        return (BORDER_SIDE_PX,)

    @property
    def examples(self) -> str:
        """What decides the examples, as one text."""
        return json.dumps([self.seed, self.simulated, self.release, self.digest])


class BorderBatch(NamedTuple):
    """planes: float32 (B, PLANES, S, S); truth: float32 (B, 1, S, S), shares within the true border; weight: float32
    (B,), what each counts."""

    planes: Tensor
    truth: Tensor
    weight: Tensor


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

    release: a segmentation release whose networks draw the coarse outlines. `out` gets the examples (once all are
    gathered, which takes about as long as the training), the checkpoint, the log and, at the end, `segmentation`: that
    release with the border network in it, and the error of its areas fitted to these borders. With a card and figures,
    and its hashes written again, it is complete. Raises SourceNotFoundError for a folder of another
    layout, UsageError where `out` holds a run of other settings or another release, or the release cannot be taught.
    """
    from longderm.training.calibrate import refit_area_error
    from longderm.training.examples import hold_out, read_examples
    from longderm.training.start import prepare_run, progress_bar

    _require_teachable(release, settings)
    target = out / "segmentation"
    if _is_made(target, settings):
        return {"out": str(out), "release": str(target)}
    require_new(target)
    chosen, rows = prepare_run(folder, out, device, threads)
    read_run(out, describe_run(settings, BorderArchitecture()), chosen)
    of_networks = release.config["training"]
    names, held_names = hold_out(rows, of_networks["held_share"], of_networks["seed"])
    with progress_bar(progress) as (say, advance):
        path = out / "examples.npz"
        if not path.is_file():
            say("reading photos", len(names) + len(held_names))
            photos, held = (read_examples(folder, some, lambda: advance(1)) for some in (names, held_names))
            say("drawing coarse outlines", len(names) + len(held_names) + with_hard_kinds(settings.simulated))
            seed = settings.seed + _SIMULATED_SEED
            examples = gather(photos, held, settings.simulated, seed, release, lambda: advance(1))
            require_batch(examples, settings)
            save_examples(examples, settings.examples, path)
        examples = read_border_examples(settings.examples, path)
        say("training", 0)
        network = train_network(examples, settings, out, chosen, threads != 1, advance)
        say("fitting the error of areas", 0)
        with new_release(target) as part:
            _write_release(release, network.cpu(), settings, part)
            refit_area_error(part, folder)
    return {"out": str(out), "release": str(target)}


def train_network(
    examples: Sequence[BorderExample],
    settings: BorderSettings,
    out: Path,
    device: torch.device,
    ahead: bool = False,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> BorderNetwork:
    """Train until `settings.passes` are done and return the averaged network (see `longderm.training.run`).

    Raises UsageError where `out` holds a run of other settings, or there are fewer examples than a batch.
    """
    taught = require_batch(examples, settings)
    held = [example for example in examples if example.held]
    steps = len(taught) // settings.batch_size
    described = describe_run(settings, BorderArchitecture())
    run = start_run(BorderNetwork, settings, described, device, out)

    def draw(side_px: int, index: int) -> Iterator[BorderBatch]:
        del side_px  # that of the crops
        return draw_batches(taught, settings.batch_size, settings.seed, index, ahead)

    def loss_of(network: BorderNetwork, batch: BorderBatch) -> Tensor:
        planes, truth, weight = (part.to(device) for part in batch)
        return border_loss(network(planes), truth, planes[:, -1:], weight)

    def check(network: BorderNetwork, passes: int) -> dict[str, float]:
        return check_borders(network, held) if held else {}

    return run_passes(run, settings, steps, draw, loss_of, out, check, progress)


def require_batch(examples: Sequence[BorderExample], settings: BorderSettings) -> list[BorderExample]:
    """The examples that are not held out. Raises UsageError where they are fewer than a batch."""
    taught = [example for example in examples if not example.held]
    if len(taught) < settings.batch_size:
        raise UsageError(f"a pass needs at least {settings.batch_size} lesions that are found; there are {len(taught)}")
    return taught


def draw_batches(
    examples: Sequence[BorderExample], batch_size: int, seed: int, index: int, ahead: bool = False
) -> Iterator[BorderBatch]:
    """The batches of pass `index`: each example once, turned, mirrored and disturbed, in an order of its own."""
    order = np.random.default_rng([seed, index]).permutation(len(examples))

    def make(number: int) -> BorderBatch:
        rng = np.random.default_rng([seed, index, number])
        chosen = [examples[int(which)] for which in order[number * batch_size : (number + 1) * batch_size]]
        planes, truths = (np.stack(part) for part in zip(*(draw_border_view(one, rng) for one in chosen), strict=True))
        weights = torch.tensor([1.0 if one.simulated else _EXPERT_WEIGHT for one in chosen])
        return BorderBatch(torch.from_numpy(planes), torch.from_numpy(truths), weights)

    return in_order(make, len(examples) // batch_size, ahead)


def draw_border_view(
    example: BorderExample, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Planes (PLANES, S, S) and truth (1, S, S) of a view of an example, float32."""
    seen, truth = _stretched(example, rng)
    if rng.random() < _DISTURBED:
        seen = replace(seen, pixels=disturb(seen.pixels, rng))
    planes = border_planes(seen)
    planes[COARSE_PLANE] = planes[COARSE_PLANE] * rng.uniform(*_SHARPER) + rng.normal(0, _WIDER_SD)
    both = np.concatenate([planes, truth[None].astype(np.float32) / 255])
    both = np.rot90(both, int(rng.integers(4)), axes=(1, 2))
    if rng.random() < 0.5:
        both = both[:, :, ::-1]
    both = np.ascontiguousarray(both)
    return both[:-1], both[-1:]


def _stretched(example: BorderExample, rng: np.random.Generator) -> tuple[Cut, NDArray[np.uint8]]:
    """Crop and truth, enlarged about the middle along one side."""
    import cv2

    factor = float(np.exp(rng.uniform(-_STRETCH, _STRETCH)))
    along, across = (factor, 1.0) if rng.random() < 0.5 else (1.0, factor)
    middle = (BORDER_SIDE_PX - 1) / 2
    matrix = np.array([[along, 0, middle * (1 - along)], [0, across, middle * (1 - across)]])

    def warp(image: NDArray[Any], way: int) -> NDArray[Any]:
        size = (BORDER_SIDE_PX, BORDER_SIDE_PX)
        return np.asarray(cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=way))

    seen = example.seen
    edge, none = cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT
    stretched = Cut(warp(seen.pixels, edge), warp(seen.probability, edge), warp(seen.inside, none))
    return stretched, warp(example.truth, none)


def border_loss(log_odds: Tensor, truth: Tensor, inside: Tensor, weight: Tensor) -> Tensor:
    """Cross entropy of the pixels in the field of view, 1 - Dice, and how far the area's logarithm is off, weighed.

    log_odds, truth (shares within the border) and inside: float (B, 1, S, S); weight: float (B,), what each lesion
    counts; a scalar.
    """
    pixels = functional.binary_cross_entropy_with_logits(log_odds, truth, reduction="none")
    missed = (pixels * inside).mean(dim=(1, 2, 3))
    said, true = torch.sigmoid(log_odds) * inside, truth * inside
    area, true_area = said.sum(dim=(1, 2, 3)), true.sum(dim=(1, 2, 3))
    overlap = (2 * (said * true).sum(dim=(1, 2, 3)) + 1) / (area + true_area + 1)
    off = torch.log((area + 1) / (true_area + 1)).abs()
    each = _PIXELS * missed + _OVERLAP * (1 - overlap) + _AREA * off
    total: Tensor = (weight * each).sum() / weight.sum()
    return total


@torch.no_grad()
def check_borders(network: BorderNetwork, held: Sequence[BorderExample]) -> dict[str, float]:
    """Median and 95th percentile of the error of the area over examples as they were taken, real and simulated."""
    network.eval()
    device = next(network.parameters()).device
    off: dict[str, list[float]] = {"real": [], "simulated": []}
    for example in held:
        planes = border_planes(example.seen)
        drawn = (network(torch.from_numpy(planes[None]).to(device))[0, 0].cpu().numpy() > 0) & (planes[-1] > 0.5)
        error = abs(float(drawn.sum()) / max(1.0, float(example.truth.sum()) / 255) - 1)
        off["simulated" if example.simulated else "real"].append(error)
    return {
        f"held_{kind}_area_error_{name}": round(float(np.percentile(errors, percent)), 4)
        for kind, errors in off.items()
        for name, percent in (("median", 50), ("p95", 95))
        if errors
    }


def _require_teachable(release: Release, settings: BorderSettings) -> None:
    if not uses_network(release):
        raise UsageError(f"{release.name} is no network; name another release")
    if "border" in release.config:
        raise UsageError(f"{release.name} has a border network; name the release that it was made from")
    if settings.passes < 1 or settings.simulated < 0:
        raise UsageError("--passes must be at least 1, and --simulated not negative")


def _is_made(folder: Path, settings: BorderSettings) -> bool:
    """Whether a folder holds the release that a run of these settings ends with."""
    try:
        made = json.loads((folder / "config.json").read_text())["border"]["training"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(made == asdict(settings))


def _write_release(release: Release, network: BorderNetwork, settings: BorderSettings, folder: Path) -> None:
    shutil.copy(release.folder / WEIGHTS_FILE, folder)
    border = {"architecture": write_border(network, folder), "training": asdict(settings)}
    config = release.config | {"border": border}
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
