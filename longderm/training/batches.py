"""Batches of views in an order that seed and pass decide alone, so that a run can go on where it was cut off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from longderm.training.ahead import in_order
from longderm.training.examples import STRUCTURES, Example
from longderm.training.views import View, draw_bare_view, draw_plain_view, draw_view

#: Views beside those of the real photos, each as a share of their number: simulated lesions, plain skin. Enough to
#: learn them, few enough to leave real lesions the say.
_SIMULATED_SHARE, _PLAIN_SHARE = 0.09, 0.015


@dataclass(frozen=True, eq=False)
class Batch:
    """Views as tensors: pixels uint8 (B, S, S, 3), mask uint8 (B, S, S), marks uint8 (B, S / 4, S / 4), shown float32
    (B, K) with NaN where not known, marked bool (B,), presence float32 (B,) with NaN likewise.
    """

    pixels: Tensor
    mask: Tensor
    marks: Tensor
    shown: Tensor
    marked: Tensor
    presence: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return Batch(**{name: value.to(device) for name, value in vars(self).items()})


@dataclass(frozen=True, eq=False)
class Source:
    """What views are drawn from. bare_share: views of the photos' bare skin, as a share of the photos' number."""

    photos: list[Example]
    simulated: list[Example]
    bare_share: float = 0.11

    def views_per_pass(self) -> int:
        """Real photos once each, and their share of the others."""
        count = len(self.photos)
        simulated = round(count * _SIMULATED_SHARE) if self.simulated else 0
        return count + simulated + round(count * self.bare_share) + round(count * _PLAIN_SHARE)


def batches_per_pass(source: Source, batch_size: int) -> int:
    """Full batches in one pass; what is left over waits for the next."""
    return source.views_per_pass() // batch_size


def draw_pass(source: Source, side_px: int, batch_size: int, seed: int, index: int) -> Iterator[Batch]:
    """The batches of pass `index`, prepared by a thread of their own."""
    plan = _plan(source, np.random.default_rng([seed, index]))
    groups = [
        plan[start : start + batch_size]
        for start in range(0, batches_per_pass(source, batch_size) * batch_size, batch_size)
    ]

    def make(number: int) -> Batch:
        views = []
        for place, (kind, item) in enumerate(groups[number]):
            rng = np.random.default_rng([seed, index, number, place])
            views.append(_draw(source, kind, item, side_px, rng))
        return _stack(views)

    return in_order(make, len(groups))


def split_marks(marks: Tensor, reduction: int) -> Tensor:
    """Marks uint8 (B, h, w) as shares of cells, float32 (B, K, h / reduction, w / reduction)."""
    planes = torch.stack([(marks >> bit) & 1 for bit in range(len(STRUCTURES))], dim=1).to(torch.float32)
    return functional.avg_pool2d(planes, reduction)


def _plan(source: Source, rng: np.random.Generator) -> list[tuple[str, int]]:
    count = len(source.photos)
    plan = [("photo", index) for index in range(count)]
    if source.simulated:
        plan += [("simulated", int(i)) for i in rng.integers(0, len(source.simulated), round(count * _SIMULATED_SHARE))]
    plan += [("bare", int(i)) for i in rng.integers(0, count, round(count * source.bare_share))]
    plan += [("plain", 0)] * round(count * _PLAIN_SHARE)
    return [plan[int(i)] for i in rng.permutation(len(plan))]


def _draw(source: Source, kind: str, index: int, side_px: int, rng: np.random.Generator) -> View:
    if kind == "plain":
        return draw_plain_view(side_px, rng)
    if kind == "simulated":
        # Some of the bare skin is simulated as well, in the simulator's own share.
        bare = draw_bare_view(source.simulated[index], side_px, rng) if rng.random() < source.bare_share else None
        return bare if bare is not None else draw_view(source.simulated[index], side_px, rng)
    example = source.photos[index]
    for _ in range(4):
        view = draw_bare_view(example, side_px, rng) if kind == "bare" else None
        if view is not None:
            return view
        if kind != "bare":
            break
        example = source.photos[int(rng.integers(len(source.photos)))]
    return draw_view(example, side_px, rng)


def _stack(views: list[View]) -> Batch:
    def join(arrays: list[NDArray[np.uint8]]) -> Tensor:
        return torch.from_numpy(np.stack(arrays))

    return Batch(
        join([view.pixels for view in views]),
        join([view.mask for view in views]),
        join([view.marks for view in views]),
        torch.from_numpy(np.stack([view.shown for view in views])),
        torch.tensor([view.marked for view in views]),
        torch.tensor([view.presence for view in views], dtype=torch.float32),
    )
