"""`longderm train encoder`: from a folder of photos to the default encoder, without any label.

Contrastive (Chen et al. 2020, arXiv 2002.05709, SimCLR): two views of a photo shall be more alike than views of two
photos. The views differ in pose, light, device and what lies on the skin, so that the vector keeps what tells lesions
apart besides. The last linear map is solved instead of descended to: see `discriminants`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from longderm.errors import UsageError
from longderm.models.convolutional_encoder import (
    ConvolutionalArchitecture,
    ConvolutionalEncoder,
    fold_encoder,
    with_projection,
)
from longderm.models.encoder_weights import write_encoder
from longderm.models.precision import helps_bf16
from longderm.models.preprocessing import Preprocessing
from longderm.training.encoder_views import draw_encoder_batches
from longderm.training.examples import Example
from longderm.training.run import describe_run, read_run, run_passes, start_run

F64 = NDArray[np.float64]

#: How the encoder is fed: the whole shorter side, averaged down, and values about 0.
ENCODER_PREPROCESSING = Preprocessing((0.5,) * 3, (0.25,) * 3, resize_px=224, crop_px=224, interpolation="area")
#: Cosines are divided by this in the loss (Chen et al. found 0.1 to 0.5 to do).
_TEMPERATURE = 0.1
#: Hidden and last layer of the head that the loss is computed behind, and that is thrown away afterwards: in it what
#: the views differ by is lost.
_HEAD_WIDTH, _HEAD_OUT = 512, 128
#: Length of the projected vector, and how far the covariance within photos is drawn towards an even one: it is
#: estimated from fewer views than would settle all of it.
_PROJECTED, _SHRINKAGE = 192, 0.15
#: Photos whose views it is solved from, at most, side of the views, and their seed.
_SOLVED_PHOTOS, _SOLVED_SIDE_PX, _SOLVED_SEED = 1152, 128, 11_000_003
#: Passes between two looks at the held-out photos.
_CHECK_EVERY = 3
#: Seed of held-out views, apart from those of training.
_HELD_SEED = 7_000_003


@dataclass(frozen=True)
class EncoderSettings:
    """How a run goes. Two runs of the same settings on the same kind of machine give the same weights.

    passes: over the photos; batch_size: photos in a batch, two views of each; sides_px: sides of the views, each for an
    equal share of the passes; held_share: share of the train photos left out, to look at by the way.
    """

    seed: int = 0
    passes: int = 60
    batch_size: int = 48
    sides_px: tuple[int, ...] = (96,)
    peak_rate: float = 2e-3
    weight_decay: float = 0.05
    held_share: float = 0.1


class _Contrasted(nn.Module):
    """The encoder with the head that the loss is computed behind."""

    def __init__(self, architecture: ConvolutionalArchitecture) -> None:
        super().__init__()
        self.encoder = ConvolutionalEncoder(architecture)
        self.head = nn.Sequential(
            nn.Linear(architecture.width, _HEAD_WIDTH, bias=False),
            nn.BatchNorm1d(_HEAD_WIDTH),
            nn.ReLU(),
            nn.Linear(_HEAD_WIDTH, _HEAD_OUT, bias=False),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, S, S) -> (B, _HEAD_OUT)."""
        out: Tensor = self.head(self.encoder(images).vector)
        return out


def train_encoder(
    folder: Path,
    out: Path,
    settings: EncoderSettings,
    device: str = "auto",
    threads: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Train the encoder on the "train" split of an ISIC-layout folder; go on where an earlier call stopped.

    Masks and marks of the folder are not used. out: gets the checkpoint, the log and, at the end, `encoder` with
    weights and config, which `load_encoder` takes. Raises SourceNotFoundError for a folder of another layout,
    UsageError where `out` holds a run of other settings.
    """
    from longderm.training.examples import hold_out, read_examples
    from longderm.training.start import prepare_run, progress_bar

    chosen, rows = prepare_run(folder, out, device, threads)
    # Before minutes are spent on reading photos.
    read_run(out, describe_run(settings, ConvolutionalArchitecture()), chosen)
    names, held_names = hold_out(rows, settings.held_share, settings.seed)
    with progress_bar(progress) as (say, advance):
        say("reading photos", len(names) + len(held_names))
        photos = read_examples(folder, names, lambda: advance(1))
        held = read_examples(folder, held_names, lambda: advance(1))
        say("training", 0)
        network = train_network(photos, settings, out, chosen, held=held, ahead=threads != 1, progress=advance)
        say("solving the projection", 0)
        network = with_projection(network, *solve_projection(network, photos, settings)).to(chosen)
    target = out / "encoder"
    target.mkdir(exist_ok=True)
    figures = check_encoder(network, held, settings) if len(held) > 1 else {}
    config = {
        "encoder": write_encoder(fold_encoder(network.cpu()), ENCODER_PREPROCESSING, target),
        "training": asdict(settings),
        "held_out": figures,
    }
    (target / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    return {"out": str(out), "encoder": str(target), "photos": len(photos)} | figures


def train_network(
    photos: list[Example],
    settings: EncoderSettings,
    out: Path,
    device: torch.device,
    architecture: ConvolutionalArchitecture | None = None,
    held: list[Example] | None = None,
    ahead: bool = False,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> ConvolutionalEncoder:
    """Train until `settings.passes` are done and return the averaged encoder (see `longderm.training.run`).

    ahead: views are drawn by a thread of their own. Raises UsageError where `out` holds a run of other settings or
    there are fewer photos than a batch.
    """
    if not 2 <= settings.batch_size <= len(photos):
        raise UsageError(f"a batch of {settings.batch_size} needs so many photos, at least 2; there are {len(photos)}")
    shape = architecture or ConvolutionalArchitecture()
    run = start_run(lambda: _Contrasted(shape), settings, describe_run(settings, shape), device, out)

    def draw(side_px: int, index: int) -> Iterable[Tensor]:
        return draw_encoder_batches(photos, side_px, settings.batch_size, settings.seed, index, ahead=ahead)

    def loss_of(network: _Contrasted, views: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=helps_bf16(device)):
            told = network(_normalised(views.to(device)))
        return contrastive_loss(told.float())

    def check(network: _Contrasted, passes: int) -> dict[str, float]:
        due = passes % _CHECK_EVERY == 0 or passes == settings.passes
        return check_encoder(network.encoder, held, settings) if held and len(held) > 1 and due else {}

    steps = len(photos) // settings.batch_size
    return run_passes(run, settings, steps, draw, loss_of, out, check, progress).encoder


def solve_projection(
    network: ConvolutionalEncoder, photos: list[Example], settings: EncoderSettings
) -> tuple[Tensor, Tensor]:
    """Weight (P, D) and bias (P,) of `discriminants` from two views each of the first _SOLVED_PHOTOS photos."""
    views = _vectors(network, photos[:_SOLVED_PHOTOS], settings, _SOLVED_SIDE_PX, _SOLVED_SEED)
    weight, bias = discriminants(*views, most=_PROJECTED)
    return torch.from_numpy(weight).float(), torch.from_numpy(bias).float()


def discriminants(first: F64, second: F64, most: int) -> tuple[F64, F64]:
    """The linear map, weight (P, D) and bias (P,), to the directions in which photos differ most from each other for
    what views of one photo differ (Fisher's linear discriminant analysis, each photo a class), P at most `most`.

    first, second: (N, D), vectors of two views of N photos in the same order. Along each direction two views of a photo
    vary by 1; photos average to 0.
    """
    both = np.concatenate([first, second])
    mean = both.mean(axis=0)
    apart = first - second
    within = apart.T @ apart / (2 * len(first))
    even = np.trace(within) / len(within)
    within = (1 - _SHRINKAGE) * within + _SHRINKAGE * even * np.eye(len(within))
    values, axes = np.linalg.eigh(within)
    whiten = axes / np.sqrt(np.maximum(values, 1e-9))
    # What both views of a photo share: what either has by itself averages out.
    one, other = ((view - mean) @ whiten for view in (first, second))
    between = one.T @ other / len(first)
    _, turned = np.linalg.eigh((between + between.T) / 2)
    weight = (whiten @ turned[:, ::-1][:, :most]).T
    return np.ascontiguousarray(weight), -weight @ mean


def contrastive_loss(vectors: Tensor) -> Tensor:
    """NT-Xent of vectors (2 B, D) whose halves are two views of the same B photos in the same order: the cross entropy
    of finding a view's partner among all the others by its cosine."""
    unit = functional.normalize(vectors, dim=1)
    alike = unit @ unit.T / _TEMPERATURE
    alike.fill_diagonal_(float("-inf"))
    count = len(vectors)
    partner = (torch.arange(count, device=vectors.device) + count // 2) % count
    return functional.cross_entropy(alike, partner)


def check_encoder(network: ConvolutionalEncoder, held: list[Example], settings: EncoderSettings) -> dict[str, float]:
    """In how many of the held-out photos a view's nearest neighbour by cosine, among one other view of each, is of the
    same photo. The same views at every call."""
    first, second = (
        vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        for vectors in _vectors(network, held, settings, settings.sides_px[-1], _HELD_SEED)
    )
    alike = first @ second.T
    return {"held_rank_1": round(float((alike.argmax(axis=1) == np.arange(len(alike))).mean()), 4)}


@torch.no_grad()
def _vectors(
    network: ConvolutionalEncoder, photos: list[Example], settings: EncoderSettings, side_px: int, seed: int
) -> tuple[F64, F64]:
    """Vectors of two views of each photo, in one order: the projected ones, where there is a projection."""
    network.eval()
    device = next(network.parameters()).device
    size = min(settings.batch_size, len(photos))
    first, second = [], []
    for views in draw_encoder_batches(photos, side_px, size, seed, settings.seed):
        seen = network(_normalised(views.to(device)))
        vectors = (seen.vector if seen.projected is None else seen.projected).double().cpu().numpy()
        first.append(vectors[:size])
        second.append(vectors[size:])
    return np.concatenate(first), np.concatenate(second)


def _normalised(views: Tensor) -> Tensor:
    """uint8 (B, S, S, 3) as the encoder takes them, float32 (B, 3, S, S), channels last in memory."""
    mean, std = (
        torch.tensor(values, device=views.device) for values in (ENCODER_PREPROCESSING.mean, ENCODER_PREPROCESSING.std)
    )
    return ((views.to(torch.float32) / 255 - mean) / std).permute(0, 3, 1, 2)
