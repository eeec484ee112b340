"""What an encoder's vectors are worth on photos it was not trained on, beside simpler descriptions of a photo.

Two questions, neither of which the training asks. *Re-identification*: each photo of a split is taken twice in software
by the change benchmark's camera (`longderm.bench.change_camera`; the training's views share no code with it), and for
each second photo the first one with the largest cosine is looked up among all. *Structures*: from the vectors of split
"train" with experts' word on which dermoscopic structures each photo shows, ridge regression tells those of the photos
of the split.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longderm.bench.change_camera import draw_camera, draw_conditions, photograph
from longderm.bench.photos import names_of, pick
from longderm.bench.registration_pairs import PHOTO_SIZE, load
from longderm.bench.rephotography import widen
from longderm.bench.statistics import auroc, bootstrap_interval
from longderm.errors import UsageError
from longderm.models.convolutional_encoder import ConvolutionalEncoder, fold_encoder
from longderm.models.encoder import Encoder
from longderm.models.vision_transformer import VisionTransformer
from longderm.photo import Photo
from longderm.registration.similarity import from_parts
from longderm.training.examples import STRUCTURES

F64 = NDArray[np.float64]
Describe = Callable[[Tensor], F64]

#: The second photo's pose against the first: turn (degrees), zoom (factor up or down), shift (share of each side); as
#: in the change benchmark. The first is nearly upright, with this share of them.
_TURN_DEG, _ZOOM, _SHIFT, _FIRST = 45.0, 1.2, 0.08, 0.15
#: Bins of each colour channel, and the side of the copy that is compared pixel by pixel.
_COLOUR_BINS, _COPY_PX = 8, 16
#: Penalties that a probe may choose from, relative to the mean of its squared singular values; by leave-one-out error.
_PENALTIES = tuple(float(value) for value in np.logspace(-4, 2, 13))
#: Photos over which the random network's normalisation is settled.
_SETTLED_ON = 256


def measure_photos(encoder: Encoder, folder: Path, split: str, limit: int, seed: int) -> dict[str, Any]:
    """Figures of the encoder and of what it is held against; limit: photos of the split, evenly picked, 0 for all.

    Raises SourceNotFoundError for a folder of another layout, UsageError where the split has fewer than two photos.
    """
    names, learned_from = pick(names_of(folder, split), limit), pick(names_of(folder, "train"), 4 * limit)
    if len(names) < 2:
        raise UsageError(f"bench encoder: split {split!r} of --photos has fewer than two photos")
    pairs = [_taken_twice(folder, name, seed, number) for number, name in enumerate(names)]
    taken = [_crops(encoder, [pair[part] for pair in pairs]) for part in range(2)]
    known = _structures(folder)
    probed = [name for name in names if name in known]
    learned = [name for name in learned_from if name in known and name not in names]
    probes = len(learned) > 1 and bool(probed)
    plain = {
        name: _crops(encoder, [load(folder, item)[0] for item in part])
        for name, part in (("learned", learned), ("probed", probed))
        if probes
    }
    settling = plain["learned"] if probes else taken[0]
    methods: dict[str, Describe] = {
        encoder.name: _embedding(encoder),
        "random weights": _embedding(_random(encoder, settling[:_SETTLED_ON], seed)),
        "colour histogram": _colour_histogram,
        f"{_COPY_PX} x {_COPY_PX} pixels": _small_copy,
    }
    hits, chances = {}, {}
    labels = {part: np.array([known[name] for name in chosen]) for part, chosen in (("l", learned), ("p", probed))}
    for name, describe in methods.items():
        first, second = (_unit(describe(crops)) for crops in taken)
        hits[name] = np.asarray((second @ first.T).argmax(axis=1) == np.arange(len(first)))
        if probes:
            chances[name] = probe(describe(plain["learned"]), labels["l"], describe(plain["probed"]))
    figures: dict[str, Any] = {"photos": len(names), "split": split, "seed": seed}
    figures["re_identified"] = {name: _share(hit) for name, hit in hits.items()}
    figures["re_identified_gain"] = _gain(encoder.name, {name: _mean(hit) for name, hit in hits.items()}, len(names))
    if probes:
        figures["structures"] = _structure_figures(encoder.name, chances, labels["p"])
        figures["structures"]["learned_from"] = len(learned)
    return figures


def probe(learned: F64, labels: NDArray[np.bool_], asked: F64) -> F64:
    """What ridge regression of labels (N, K) on vectors (N, D) says of others (M, D), as (M, K); larger is likelier.

    Every value is standardised over `learned`; each label takes the penalty of the least leave-one-out error (Allen
    1974, doi 10.1080/00401706.1974.10489157).
    """
    mean, spread = learned.mean(axis=0), learned.std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    x, new = (learned - mean) / spread, (asked - mean) / spread
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    told = np.empty((len(asked), labels.shape[1]))
    for k in range(labels.shape[1]):
        y = labels[:, k] - labels[:, k].mean()
        along = u.T @ y
        best = (np.inf, np.zeros(len(s)))
        for penalty in _PENALTIES:
            kept = s**2 / (s**2 + penalty * float((s**2).mean()))
            leverage = (u**2 * kept).sum(axis=1) + 1.0 / len(y)
            error = float((((y - u @ (kept * along)) / np.maximum(1.0 - leverage, 1e-6)) ** 2).mean())
            if error < best[0]:
                best = error, kept
        told[:, k] = new @ (vt.T @ (best[1] * along / np.maximum(s, 1e-12)))
    return told


def _taken_twice(folder: Path, name: str, seed: int, number: int) -> list[NDArray[np.uint8]]:
    """Two photos of one lesion, each with camera, light and what lies on the skin of its own."""
    height, width = PHOTO_SIZE
    pixels, _ = load(folder, name)
    rng = np.random.default_rng([seed, number])
    plane = widen(pixels, rng)
    fit = max(height / pixels.shape[0], width / pixels.shape[1])
    middle = complex(pixels.shape[1] * 1.5, pixels.shape[0] * 1.5)
    photos = []
    for part in range(2):
        share = 1.0 if part else _FIRST
        turn = float(rng.uniform(-1, 1)) * _TURN_DEG * share
        zoom = float(np.exp(rng.uniform(-1, 1) * np.log(_ZOOM) * share))
        dx, dy = rng.uniform(-_SHIFT, _SHIFT, 2) * share
        aim = complex((width - 1) / 2 + dx * width, (height - 1) / 2 + dy * height)
        pose = from_parts(fit * zoom, turn, middle, aim)
        conditions = draw_conditions(draw_camera(rng), rng)
        photos.append(photograph(plane, pose, PHOTO_SIZE, conditions, None, rng.spawn(1)[0]))
    return photos


def _crops(encoder: Encoder, photos: Sequence[NDArray[np.uint8]]) -> Tensor:
    return torch.stack([encoder.preprocess(Photo(pixels)) for pixels in photos])


def _embedding(encoder: Encoder) -> Describe:
    return lambda crops: encoder.embed(crops).cpu().numpy().astype(np.float64)


def _random(encoder: Encoder, crops: Tensor, seed: int) -> Encoder:
    """The same network with fresh weights; its normalisation settled on `crops`, as a trained one's is."""
    from dataclasses import replace

    torch.manual_seed(seed)
    fresh: VisionTransformer | ConvolutionalEncoder
    if isinstance(encoder.network, ConvolutionalEncoder):
        network = ConvolutionalEncoder(encoder.network.architecture)
        for module in network.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.momentum = None  # the plain mean over batches
        mean, std = (
            torch.tensor(v).reshape(3, 1, 1) for v in (encoder.preprocessing.mean, encoder.preprocessing.std)
        )
        with torch.no_grad():
            for batch in torch.split(crops, 32):
                network(((batch - mean) / std)) if len(batch) > 1 else None
        fresh = fold_encoder(network.eval())
    else:
        fresh = VisionTransformer(encoder.network.architecture).eval()
    return replace(encoder, network=fresh.to(encoder.device).requires_grad_(False), name="random weights")


def _colour_histogram(crops: Tensor) -> F64:
    """Root of the share of pixels in each cell of RGB, colours divided by their means (grey world): cosines are
    Bhattacharyya coefficients."""
    described = []
    for crop in crops.numpy().astype(np.float64):
        pixels = crop.reshape(3, -1).T
        balanced = np.clip(pixels / np.maximum(pixels.mean(axis=0), 1e-3) * 0.6, 0, 1)
        counts = np.histogramdd(balanced, bins=(_COLOUR_BINS,) * 3, range=((0, 1),) * 3)[0]
        described.append(np.sqrt(counts.ravel() / len(pixels)))
    return np.array(described)


def _small_copy(crops: Tensor) -> F64:
    """A small copy, each channel about its mean and in units of its spread."""
    small = torch.nn.functional.adaptive_avg_pool2d(crops, _COPY_PX).flatten(2).to(torch.float64)
    away = small - small.mean(dim=2, keepdim=True)
    return np.asarray((away / away.std(dim=2, keepdim=True).clamp(min=1e-6)).flatten(1).numpy(), np.float64)


def _unit(vectors: F64) -> F64:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def _structures(folder: Path) -> dict[str, list[bool]]:
    """Name -> which structures experts saw; empty for a folder whose index does not tell."""
    index = folder / "index.csv"
    if not index.is_file():
        return {}
    with index.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not set(STRUCTURES) <= set(rows[0]):
        return {}
    return {row["isic_id"]: [row[name] == "1" for name in STRUCTURES] for row in rows}


def _structure_figures(ours: str, told: dict[str, F64], labels: NDArray[np.bool_]) -> dict[str, Any]:
    """AUROC of each structure and their mean, [value, low, high], and the gain over the best other method."""

    def each(values: F64, index: NDArray[np.intp], k: int) -> float:
        return auroc(values[index, k], labels[index, k])

    def mean_of(values: F64) -> Callable[[NDArray[np.intp]], float]:
        return lambda index: float(np.mean([each(values, index, k) for k in range(labels.shape[1])]))

    count = len(labels)
    figures: dict[str, Any] = {"auroc_mean": {name: _figure(mean_of(v), count) for name, v in told.items()}}
    figures["auroc"] = {
        structure: {
            name: _figure(lambda index, v=v, k=k: each(v, index, k), count)  # type: ignore[misc]
            for name, v in told.items()
        }
        for k, structure in enumerate(STRUCTURES)
    }
    figures["gain"] = _gain(ours, {name: mean_of(v) for name, v in told.items()}, count)
    return figures


def _mean(hit: NDArray[np.bool_]) -> Callable[[NDArray[np.intp]], float]:
    return lambda index: float(hit[index].mean())


def _share(hit: NDArray[np.bool_]) -> list[float]:
    return _figure(_mean(hit), len(hit)) or []


def _gain(ours: str, statistics: dict[str, Callable[[NDArray[np.intp]], float]], count: int) -> dict[str, Any] | None:
    """The statistic of `ours` minus that of the best other, on the same photos redrawn."""
    everything = np.arange(count)
    others = {name: statistic(everything) for name, statistic in statistics.items() if name != ours}
    best = max((name for name in sorted(others) if np.isfinite(others[name])), key=others.__getitem__, default=None)
    if best is None:
        return None
    figure = _figure(lambda index: statistics[ours](index) - statistics[best](index), count)
    return None if figure is None else {"over": best, "gain": figure}


def _figure(statistic: Callable[[NDArray[np.intp]], float], count: int) -> list[float] | None:
    """[value, low, high], 95% over photos redrawn; None where undefined."""
    value = statistic(np.arange(count))
    ends = bootstrap_interval(statistic, count)
    return None if not np.isfinite(value) or ends is None else [round(value, 4), *ends]
