"""Encoder: how quick `embed` is, and what its vectors are worth on photos.

Speed: `Encoder.embed` against the bare network at the batch size that suits it best, on one thread. The crops are
prepared; what `embed` adds is its checks, the normalisation and its fixed batches, which keep a photo's vector
independent of its neighbours. Preparing a photo is timed apart. Reported beside it: what bfloat16 would bring, and by
how much it turns the vectors. Worth: see `longderm.bench.encoder_photos`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longderm.bench.encoder_photos import measure_photos, plain_crops, print_photos
from longderm.errors import UsageError
from longderm.models.encoder import PRE_PROJECTION, Encoder, load_encoder
from longderm.models.precision import helps_bf16
from longderm.photo import Photo
from longderm.threads import one_thread

#: Batch sizes that the bare network may choose from.
BATCHES = (1, 2, 4, 8, 16)
#: `embed` is at least this share of the bare network's throughput.
LEAST_RATIO = 0.9
#: A size that dermatoscopes take, for timing the preparation.
_PHOTO_SHAPE = (1200, 1600, 3)


def run(
    out: Path,
    weights: str = "",
    layout: str = "",
    photos: str = "",
    split: str = "val",
    limit: int = 0,
    crops: int = 16,
    rounds: int = 5,
    seed: int = 1,
) -> dict[str, Any]:
    """Time `rounds` rounds of `crops` crops and keep the best of each; on the CPU, CPU time of one thread.

    weights: a file or release for `load_encoder` (layout: its layout); without it the encoder in use. photos: an
    ISIC-layout folder to measure the vectors on, its split and at most `limit` photos of that (0: all); without it
    speed is measured on noise, whose content does not matter.
    """
    if crops < max(BATCHES) or rounds < 1 or limit < 0:
        raise UsageError(f"bench encoder: take at least {max(BATCHES)} crops and one round")
    encoder = load_encoder(weights or None, layout or None)
    shown, worth = torch.rand(crops, 3, 224, 224, generator=torch.Generator().manual_seed(seed)), None
    if photos:
        with one_thread():
            shown = plain_crops(encoder, Path(photos), split, crops)
            worth = measure_photos(encoder, Path(photos), split, limit, seed)
    pixels = np.random.default_rng(seed).integers(0, 256, _PHOTO_SHAPE, dtype=np.uint8)
    coarse = replace(encoder, bf16=True) if helps_bf16(encoder.device) else None
    with one_thread():
        bare = {f"bare network, batches of {size}": _bare(encoder, shown, size) for size in BATCHES}
        ways: dict[str, Callable[[], Any]] = bare | {"embed": lambda: encoder.embed(shown)}
        if coarse is not None:
            ways["embed in bfloat16"] = lambda: coarse.embed(shown)
        seconds = _least(ways, rounds, encoder.device)
        prepared = _least({"prepare": lambda: encoder.preprocess(Photo(pixels))}, rounds, torch.device("cpu"))
        cosine = None if coarse is None else _least_cosine(encoder, coarse, shown)
    per_second = {name: round(len(shown) / spent, 2) for name, spent in seconds.items()}
    ratio = min(seconds[name] for name in bare) / seconds["embed"]
    figures = {
        "encoder": encoder.name,
        "layout": encoder.layout,
        "device": encoder.device.type,
        "parameters": sum(value.numel() for value in encoder.network.parameters()),
        "crops": len(shown),
        "crops_of": "photos" if photos else "noise",
        "photos_per_second": per_second,
        "prepare_ms": round(1000 * prepared["prepare"], 2),
        "embed_to_bare_ratio": round(ratio, 4),
        "least_ratio": LEAST_RATIO,
        "bfloat16_least_cosine": cosine,
        "on_photos": worth,
    }
    _print(figures)
    if worth is not None:
        print_photos(worth)
    return figures


def _bare(encoder: Encoder, crops: Tensor, size: int) -> Callable[[], None]:
    """The network alone on crops that lie on its device, normalised, so many at once."""
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in (encoder.preprocessing.mean, encoder.preprocessing.std))
    batches = torch.split(((crops - mean) / std).to(encoder.device), size)

    def see() -> None:
        with torch.inference_mode():
            for batch in batches:
                encoder.network(batch)

    return see


def _least(ways: dict[str, Callable[[], Any]], rounds: int, device: torch.device) -> dict[str, float]:
    """Seconds of each way, the least of `rounds` that take turns: what else the machine does only adds."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):  # the first round warms up and is not kept
        for name, way in ways.items():
            started = clock()
            way()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            spent[name].append(max(clock() - started, 1e-9))
    return {name: min(runs[1:]) for name, runs in spent.items()}


def _least_cosine(encoder: Encoder, coarse: Encoder, crops: Tensor) -> float:
    vectors = [each.embed(crops, PRE_PROJECTION) for each in (encoder, coarse)]
    return round(float(torch.cosine_similarity(vectors[0], vectors[1]).min()), 5)


def _print(figures: dict[str, Any]) -> None:
    print(f"{figures['encoder']} ({figures['parameters'] / 1e6:.1f} M parameters, {figures['device']})")
    for name, value in figures["photos_per_second"].items():
        print(f"{name + ', photos a second':<48} {value:>8.2f}")
    print(f"{'preparing a photo of 1600 x 1200, ms':<48} {figures['prepare_ms']:>8.2f}")
    ratio = figures["embed_to_bare_ratio"]
    print(f"{'embed / bare network at its best':<48} {ratio:>8.3f}  (at least {LEAST_RATIO})")
    if figures["bfloat16_least_cosine"] is not None:
        print(f"{'bfloat16: least cosine to float32':<48} {figures['bfloat16_least_cosine']:>8.5f}")
