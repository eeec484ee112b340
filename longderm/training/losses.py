"""What the lesion network is taught by: overlap and log-loss of the outline, the structures' marks, and presence."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from longderm.models.lesion_network import Logits
from longderm.training.batches import Batch, split_marks

#: Weights of the parts beside the outline (1). Structures share the features and must not outweigh the outline.
COARSE_WEIGHT, MAP_WEIGHT, STRUCTURES_WEIGHT = 0.3, 0.5, 0.3
#: Cells added to both sides of an overlap, so that an empty prediction has a slope.
_SMOOTH = 1.0


def total_loss(logits: Logits, batch: Batch, presence_weight: float) -> Tensor:
    """The weighted sum of all parts, averaged over the batch."""
    target = batch.mask.to(torch.float32)[:, None] / 255
    outline = functional.interpolate(logits.outline.float(), size=target.shape[2:], mode="bilinear")
    coarse_target = functional.avg_pool2d(target, target.shape[2] // logits.coarse.shape[2])
    loss = outline_loss(outline, target) + COARSE_WEIGHT * outline_loss(logits.coarse.float(), coarse_target)
    marks = split_marks(batch.marks, batch.marks.shape[1] // logits.structure_map.shape[2])
    loss = loss + MAP_WEIGHT * marks_loss(logits.structure_map.float(), marks, batch.marked)
    loss = loss + STRUCTURES_WEIGHT * known_loss(logits.structures.float(), batch.shown)
    return loss + presence_weight * known_loss(logits.presence.float(), batch.presence)


def outline_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Log-loss plus 1 - soft Dice (Milletari et al. 2016, arXiv 1606.04797), the latter where there is a lesion.

    Dice is taken photo by photo, so that small lesions count as much as large ones. Both float (B, 1, h, w).
    """
    pixelwise = functional.binary_cross_entropy_with_logits(logits, target)
    share = torch.sigmoid(logits)
    both = (share * target).sum(dim=(1, 2, 3))
    # Squares in the denominator let a soft target be matched exactly.
    size = (share.square() + target.square()).sum(dim=(1, 2, 3))
    overlap = (2 * both + _SMOOTH) / (size + _SMOOTH)
    lesion = (target.sum(dim=(1, 2, 3)) > 0).to(torch.float32)
    return pixelwise + ((1 - overlap) * lesion).sum() / lesion.sum().clamp(min=1)


def marks_loss(logits: Tensor, marks: Tensor, marked: Tensor) -> Tensor:
    """Log-loss of each cell plus 1 - soft Dice per structure over the whole batch: most photos have no mark of most.

    logits, marks: float (B, K, h, w); marked: bool (B,), photos that experts have marked.
    """
    weight = marked.to(torch.float32)[:, None, None, None]
    cellwise = functional.binary_cross_entropy_with_logits(logits, marks, reduction="none")
    mean = (cellwise * weight).mean()
    share, marks = torch.sigmoid(logits) * weight, marks * weight
    both = (share * marks).sum(dim=(0, 2, 3))
    size = share.sum(dim=(0, 2, 3)) + marks.sum(dim=(0, 2, 3))
    there = (marks.sum(dim=(0, 2, 3)) > 0).to(torch.float32)
    overlap = (2 * both + _SMOOTH) / (size + _SMOOTH)
    return 2 * mean + 0.5 * ((1 - overlap) * there).sum() / there.sum().clamp(min=1)


def known_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Log-loss where the target is known (not NaN); 0 where nothing is."""
    known = ~torch.isnan(target)
    terms = functional.binary_cross_entropy_with_logits(logits, torch.nan_to_num(target), reduction="none")
    return (terms * known).sum() / known.sum().clamp(min=1)
