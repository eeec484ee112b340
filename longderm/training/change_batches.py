"""Batches of training pairs: visits of real lesions in software, aligned as well as our own alignment would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longderm.change.crops import Crops, cut_crops, in_one_light
from longderm.models.change_network import WHERE_STRIDE_PX, encode_interval
from longderm.registration.warp import warp_to_baseline
from longderm.simulate.photo_pairs import PhotoPair, cut_canvas, draw_photo_pair
from longderm.training.ahead import in_order
from longderm.training.change_reasons import reasons_of
from longderm.training.examples import Example

#: What our own alignment leaves on pairs taken twice in software (`longderm bench change`: misalignment, median 0.3%
#: and 95th percentile 1% of the lesion's diameter): standard deviation of the shift in each direction; a tenth of the
#: pairs are off by so many times as much.
_RESIDUAL_SD, _WORSE_SHARE, _WORSE = 0.003, 0.1, 3.0
#: ... and of the scale (natural logarithm) and turn (radians).
_RESIDUAL_LOG_SCALE, _RESIDUAL_TURN = 0.006, 0.006
#: Masks that are drawn differ from true ones: moved in or out by at most this share of the radius.
_MASK_SLACK = 0.12
#: Share of pairs whose interval is not told, as of undated repeats.
_UNDATED_SHARE = 0.2


@dataclass(frozen=True, eq=False)
class ChangeBatch:
    """Pairs as tensors: baseline, followup uint8 (B, S, S, 3); where float32 (B, 1, S / 8, S / 8), share of each cell
    that changed; changed float32 (B,); reasons float32 (B, R), of `CHANGE_REASONS`; interval float32 (B, 2)."""

    baseline: Tensor
    followup: Tensor
    where: Tensor
    changed: Tensor
    reasons: Tensor
    interval: Tensor

    def to(self, device: torch.device) -> ChangeBatch:
        """The same batch on a device."""
        return ChangeBatch(**{name: value.to(device) for name, value in vars(self).items()})


@dataclass(frozen=True, eq=False)
class _Shown:
    pair: PhotoPair
    baseline: NDArray[np.uint8]
    followup: NDArray[np.uint8]
    where: NDArray[np.float32]
    interval: tuple[float, float]


def usable_examples(examples: list[Example]) -> list[Example]:
    """Those with a whole lesion: the rules withhold pairs whose lesion is cut by the edge."""
    return [e for e in examples if (e.mask > 127).any() and not _is_cut(e.mask > 127)]


def draw_change_batches(
    examples: list[Example], side_px: int, batch_size: int, seed: int, index: int, ahead: bool = False
) -> Iterator[ChangeBatch]:
    """The batches of pass `index`: each lesion once, in an order that seed and pass decide alone; what does not fill a
    batch waits for the next pass. ahead: batches are prepared by a thread of their own."""
    order = np.random.default_rng([seed, index]).permutation(len(examples))
    count = len(order) // batch_size

    def make(number: int) -> ChangeBatch:
        shown = []
        for place in range(batch_size):
            example = examples[int(order[number * batch_size + place])]
            shown.append(draw_shown(example, side_px, np.random.default_rng([seed, index, number, place])))
        return _stack(shown)

    return in_order(make, count, ahead)


def draw_shown(example: Example, side_px: int, rng: np.random.Generator) -> _Shown:
    """One pair over a photo as the network is shown it: crops of `side_px` that are aligned, but for a residual."""
    import cv2

    height, width = example.mask.shape
    # As it was before it was squashed; no taller than it is held.
    size = (width, round(width / example.aspect)) if example.aspect >= 1 else (round(height * example.aspect), height)
    pixels = cv2.resize(example.fine, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(example.mask, size, interpolation=cv2.INTER_LINEAR) > 127
    pair = draw_photo_pair(*cut_canvas(np.asarray(pixels, np.uint8), np.asarray(mask), rng), rng)
    drawn = tuple(_redrawn(m, rng) for m in (pair.baseline_mask, pair.followup_mask))
    crops = cut_crops((pair.baseline, pair.followup), (drawn[0], drawn[1]), _nearly(pair, rng), side_px)
    baseline, followup = in_one_light(crops)
    days = None if rng.random() < _UNDATED_SHARE else float(pair.interval_days)
    return _Shown(pair, baseline, followup, _cells(pair, crops), encode_interval(days))


def _nearly(pair: PhotoPair, rng: np.random.Generator) -> NDArray[np.float64]:
    """The true alignment with what ours would leave."""
    worse = _WORSE if rng.random() < _WORSE_SHARE else 1.0
    y, x = np.nonzero(pair.baseline_mask)
    centre = np.array([x.mean(), y.mean()]) if len(x) else np.array(pair.baseline.shape[1::-1]) / 2
    diameter = 2.0 * float(np.sqrt(max(1, len(x)) / np.pi))
    shift = rng.normal(0, _RESIDUAL_SD * worse * diameter, 2)
    scale = float(np.exp(rng.normal(0, _RESIDUAL_LOG_SCALE * worse)))
    turn = rng.normal(0, _RESIDUAL_TURN * worse)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    residual = np.eye(3)
    residual[:2, :2] = linear
    residual[:2, 2] = centre + shift - linear @ centre
    return np.asarray(pair.matrix @ residual, np.float64)


def _redrawn(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """A mask as the pipeline might draw it: a little larger or smaller all around."""
    import cv2

    slack = float(rng.uniform(-1, 1)) * _MASK_SLACK * float(np.sqrt(max(1, int(mask.sum())) / np.pi))
    if abs(slack) < 1:
        return mask
    away = cv2.distanceTransform((~mask if slack > 0 else mask).astype(np.uint8), cv2.DIST_L2, 3)
    redrawn = np.asarray(away <= slack if slack > 0 else away > -slack)
    return redrawn if redrawn.any() else mask


def _cells(pair: PhotoPair, crops: Crops) -> NDArray[np.float32]:
    """Share of each cell of the where-map that changed, float32 (S / 8, S / 8)."""
    import cv2

    side = crops.seen.shape[0] // WHERE_STRIDE_PX
    painted = np.repeat(pair.where[..., None].astype(np.uint8) * 255, 3, axis=2)
    on_crop = warp_to_baseline(painted, crops.matrix, crops.seen.shape)[0][..., 0]
    on_crop = np.where(crops.seen, on_crop, np.uint8(0)).astype(np.float32)
    return np.asarray(cv2.resize(on_crop, (side, side), interpolation=cv2.INTER_AREA) / 255, np.float32)


def _is_cut(mask: NDArray[np.bool_]) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def _stack(shown: list[_Shown]) -> ChangeBatch:
    return ChangeBatch(
        torch.from_numpy(np.stack([one.baseline for one in shown])),
        torch.from_numpy(np.stack([one.followup for one in shown])),
        torch.from_numpy(np.stack([one.where for one in shown]))[:, None],
        torch.tensor([float(one.pair.changed) for one in shown]),
        torch.tensor([reasons_of(one.pair) for one in shown]),
        torch.tensor([one.interval for one in shown]),
    )
