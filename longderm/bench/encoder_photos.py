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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longderm.bench.change_camera import draw_camera, draw_conditions, photograph
from longderm.bench.photo_tones import tone_class
from longderm.bench.photos import load_example, names_of, pick
from longderm.bench.rephotography import widen
from longderm.bench.statistics import auroc, bootstrap_interval
from longderm.errors import SourceNotFoundError, UsageError
from longderm.models.convolutional_encoder import ConvolutionalEncoder, fold_encoder
from longderm.models.encoder import Encoder
from longderm.models.vision_transformer import VisionTransformer
from longderm.photo import Photo
from longderm.registration.similarity import from_parts
from longderm.training.examples import STRUCTURES

F64 = NDArray[np.float64]
Describe = Callable[[Tensor], F64]

#: Height and width of the photos that are taken; twice what the encoder is shown, or little less, says nothing more.
_SIZE = (360, 480)
#: The second photo's pose against the first: turn (degrees), zoom (factor up or down), shift (share of each side); as
#: in the change benchmark. The first is nearly upright, with this share of them.
_TURN_DEG, _ZOOM, _SHIFT, _FIRST = 45.0, 1.2, 0.08, 0.15
#: Bins of each colour channel, and the side of the copy that is compared pixel by pixel.
_COLOUR_BINS, _COPY_PX = 8, 16
#: What the mean of each channel becomes before colours are counted.
_GREY = 0.6
#: Penalties that a probe may choose from, relative to the mean of its squared singular values; by leave-one-out error.
_PENALTIES = tuple(float(value) for value in np.logspace(-4, 2, 13))
#: Photos over which the random network's normalisation is settled.
_SETTLED_ON = 256


@dataclass(frozen=True, eq=False)
class Material:
    """What methods are asked about, as crops float32 (N, 3, 224, 224).

    taken: the first and second photos; learned, probed: photos as they are, whose structures (N, K) `learned_labels`
    and `probed_labels` tell; both empty where the folder's index does not tell; tones: class of the skin beside the
    lesion on the photo that was taken twice (`photo_tones`).
    """

    taken: tuple[Tensor, Tensor]
    learned: Tensor
    learned_labels: NDArray[np.bool_]
    probed: Tensor
    probed_labels: NDArray[np.bool_]
    tones: tuple[str, ...]


def measure_photos(encoder: Encoder, folder: Path, split: str, limit: int, seed: int) -> dict[str, Any]:
    """Figures of the encoder and of what it is held against; limit: photos of the split, evenly picked, 0 for all.

    Raises SourceNotFoundError for a folder of another layout, UsageError where the split has fewer than two photos.
    """
    material = gather(encoder, folder, split, limit, seed)
    methods = methods_beside(encoder, material, seed)
    told = {name: describe_all(describe, material) for name, describe in methods.items()}
    return {"split": split, "seed": seed} | figures_of(encoder.name, told, material)


def gather(encoder: Encoder, folder: Path, split: str, limit: int, seed: int) -> Material:
    """Take the photos of `split` twice, and read those of "train" that a probe learns from. Raises as above."""
    names, learned_from = pick(_at_least_two(folder, split), limit), pick(names_of(folder, "train"), 4 * limit)
    pairs = [_taken_twice(folder, name, seed, number) for number, name in enumerate(names)]
    known = _structures(folder)
    probed = [name for name in names if name in known]
    learned = [name for name in learned_from if name in known and name not in names]

    def plain(chosen: list[str]) -> tuple[Tensor, NDArray[np.bool_]]:
        labels = np.array([known[name] for name in chosen], bool).reshape(len(chosen), len(STRUCTURES))
        return _crops(encoder, [_read(folder, name) for name in chosen]), labels

    return Material(
        (_crops(encoder, [pair[0] for pair in pairs]), _crops(encoder, [pair[1] for pair in pairs])),
        *plain(learned if probed else []),
        *plain(probed if learned else []),
        tuple(tone_class(load_example(folder, name)) for name in names),
    )


def methods_beside(encoder: Encoder, material: Material, seed: int) -> dict[str, Describe]:
    """The encoder by its name, and what it is held against."""
    settling = material.learned if len(material.learned) else material.taken[0]
    return {
        encoder.name: _embedding(encoder),
        "random weights": _embedding(_random(encoder, settling[:_SETTLED_ON], seed)),
        "colour histogram": _colour_histogram,
        f"{_COPY_PX} x {_COPY_PX} pixels": _small_copy,
    }


def describe_all(describe: Describe, material: Material) -> tuple[F64, F64, F64, F64]:
    """Vectors (N, D) of first and second photos, of those learned from and of those probed."""
    first, second, learned, probed = (
        describe(crops) if len(crops) else np.zeros((0, 1))
        for crops in (*material.taken, material.learned, material.probed)
    )
    return first, second, learned, probed


def figures_of(ours: str, told: dict[str, tuple[F64, F64, F64, F64]], material: Material) -> dict[str, Any]:
    """All figures from what each method told (`describe_all`)."""
    hits, chances = {}, {}
    for name, (first, second, learned, probed) in told.items():
        nearest = (_unit(second) @ _unit(first).T).argmax(axis=1)
        hits[name] = np.asarray(nearest == np.arange(len(first)))
        if len(learned):
            chances[name] = probe(learned, material.learned_labels, probed)
    count = len(material.taken[0])
    figures: dict[str, Any] = {"photos": count}
    figures["re_identified"] = {name: _figure(_mean(hit), count) for name, hit in hits.items()}
    figures["re_identified_gain"] = _gain(ours, {name: _mean(hit) for name, hit in hits.items()}, count)
    tones = np.array(material.tones)
    figures["re_identified_by_skin_tone"] = {}
    for tone in sorted(set(material.tones)):
        hit = hits[ours][tones == tone]
        figures["re_identified_by_skin_tone"][tone] = {"photos": len(hit), ours: _figure(_mean(hit), len(hit))}
    if chances:
        figures["structures"] = _structure_figures(ours, chances, material.probed_labels)
        figures["structures"]["learned_from"] = len(material.learned)
    return figures


def plain_crops(encoder: Encoder, folder: Path, split: str, count: int) -> Tensor:
    """Photos of a split as they are, evenly picked, prepared for the encoder: float32 (count at most, 3, H, W)."""
    return _crops(encoder, [_read(folder, name) for name in pick(_at_least_two(folder, split), count)])


def _at_least_two(folder: Path, split: str) -> list[str]:
    names = names_of(folder, split)
    if len(names) < 2:
        raise UsageError(f"bench encoder: split {split!r} of --photos has fewer than two photos")
    return names


def print_photos(figures: dict[str, Any]) -> None:
    """The table of `measure_photos`: methods in rows."""

    def text(figure: Sequence[float] | None) -> str:
        return "-" if figure is None else f"{figure[0]:.3f} [{figure[1]:.3f}, {figure[2]:.3f}]"

    structures = figures.get("structures", {})
    print(f"{figures['photos']} photos, split {figures['split']!r}")
    print(f"{'':<24}{'found again, rank 1':>24}{'structures, mean AUROC':>26}")
    for name, figure in figures["re_identified"].items():
        print(f"{name:<24}{text(figure):>24}{text(structures.get('auroc_mean', {}).get(name)):>26}")
    for label, gain in (("found again", figures["re_identified_gain"]), ("structures", structures.get("gain"))):
        if gain is not None:
            print(f"{label}: gain over {gain['over']} {text(gain['gain'])}")


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
    height, width = _SIZE
    pixels = _read(folder, name)
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
        photos.append(photograph(plane, pose, _SIZE, conditions, None, rng.spawn(1)[0]))
    return photos


def _read(folder: Path, name: str) -> NDArray[np.uint8]:
    """A photo of an ISIC-layout folder at the size in which photos are taken, 4:3."""
    import cv2

    path = sorted((folder / "images").glob(f"{name}.*"))[0]
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise SourceNotFoundError(f"{path.name} cannot be read as an image")
    size = _SIZE[::-1] if image.shape[0] == image.shape[1] else image.shape[1::-1]
    return np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)[..., ::-1])


def _crops(encoder: Encoder, photos: Sequence[NDArray[np.uint8]]) -> Tensor:
    crops = [encoder.preprocess(Photo(pixels)) for pixels in photos]
    return torch.stack(crops) if crops else torch.zeros(0, 3, 1, 1)


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
        mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in (encoder.preprocessing.mean, encoder.preprocessing.std))
        with torch.no_grad():
            for batch in torch.split(crops, 32):
                if len(batch) > 1:
                    network((batch - mean) / std)
        fresh = fold_encoder(network.eval())
    else:
        fresh = VisionTransformer(encoder.network.architecture).eval()
    return replace(encoder, network=fresh.to(encoder.device).requires_grad_(False), name="random weights")


def _colour_histogram(crops: Tensor) -> F64:
    """Root of the share of pixels in each cell of RGB, colours divided by their means (grey world): cosines are
    Bhattacharyya coefficients."""
    described = []
    for crop in crops.numpy().astype(np.float64):
        pixels = crop.reshape(3, -1)
        balanced = pixels / np.maximum(pixels.mean(axis=1, keepdims=True), 1e-3) * _GREY
        cells = np.minimum((balanced * _COLOUR_BINS).astype(np.int64), _COLOUR_BINS - 1)
        number = np.ravel_multi_index(tuple(cells), (_COLOUR_BINS,) * 3)
        described.append(np.sqrt(np.bincount(number, minlength=_COLOUR_BINS**3) / pixels.shape[1]))
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
