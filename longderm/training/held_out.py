"""How a network in training does on the photos that were left out of it."""

from __future__ import annotations

import numpy as np
import torch

from longderm.imaging.fit import dice
from longderm.models.lesion_network import LesionNetwork, normalise
from longderm.training.examples import Example
from longderm.training.views import view_as_is

_BATCH = 16


@torch.inference_mode()
def check_outlines(network: LesionNetwork, examples: list[Example], side_px: int) -> dict[str, float]:
    """Mean and median Dice of plain outlines (above one half, one view) and the share below 0.5."""
    network.eval()
    device = next(network.parameters()).device
    overlaps = []
    for start in range(0, len(examples), _BATCH):
        group = examples[start : start + _BATCH]
        pixels = torch.from_numpy(np.stack([view_as_is(example, side_px) for example in group])).to(device)
        logits = network(normalise(pixels)).outline
        size = group[0].mask.shape
        drawn = torch.nn.functional.interpolate(logits, size=size, mode="bilinear")[:, 0].cpu().numpy() > 0
        overlaps += [dice(mask, example.mask > 127) for mask, example in zip(drawn, group, strict=True)]
    values = np.array(overlaps)
    return {
        "held_dice_mean": round(float(values.mean()), 4),
        "held_dice_median": round(float(np.median(values)), 4),
        "held_dice_below_half": round(float((values < 0.5).mean()), 4),
    }
