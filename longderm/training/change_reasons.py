"""What a training pair changed of, and the layer that names it, fitted to what the network sees already."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from longderm.imaging.colour import srgb_to_lab
from longderm.imaging.features import masked_blur
from longderm.imaging.shape import asymmetry
from longderm.models.change_network import (
    CHANGE_REASONS,
    SYMMETRY,
    SYMMETRY_MOVED,
    ChangeLogits,
    ChangeNetwork,
)
from longderm.simulate.photo_changes import REASONS
from longderm.simulate.photo_pairs import PhotoPair
from longderm.training.logistic import fit_ridge

if TYPE_CHECKING:
    from longderm.training.change_batches import ChangeBatch

#: Colours are blurred by this share of the lesion's box before halves are compared, as `longderm.imaging.measure` does.
_BLUR = 0.02
#: Penalty of the layer's weights on standardised features. Of 1 to 3000, 10 to 100 told the reasons of held-out photos
#: alike (AUROC 0.97 to 0.99, symmetry 0.79 to 0.82), others less well.
_PENALTY = 30.0
#: A feature that varies by less than this share of the usual one is dead.
_DEAD = 1e-3


def reasons_of(pair: PhotoPair) -> tuple[float, ...]:
    """1 for each of CHANGE_REASONS that a pair changed of, else 0: the kind's own, and symmetry by what is painted."""
    if not pair.changed:
        return (0.0,) * len(CHANGE_REASONS)
    own = REASONS[pair.kind]
    return tuple(float(symmetry_moved(pair) if name == SYMMETRY else name == own) for name in CHANGE_REASONS)


def symmetry_moved(pair: PhotoPair) -> bool:
    """Whether the asymmetry of the lesion itself, before any camera, moved by more than SYMMETRY_MOVED."""
    before, after = (_asymmetry(*scene) for scene in pair.scenes)
    return any(abs(b - a) > least for a, b, least in zip(before, after, SYMMETRY_MOVED, strict=True))


def _asymmetry(pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> tuple[float, float]:
    y, x = np.nonzero(mask)
    box = slice(int(y.min()), int(y.max()) + 1), slice(int(x.min()), int(x.max()) + 1)
    lesion = np.ascontiguousarray(mask[box])
    smooth, _ = masked_blur(srgb_to_lab(np.ascontiguousarray(pixels[box])), lesion, _BLUR * max(lesion.shape))
    return asymmetry(lesion, smooth)


@torch.no_grad()
def fit_reasons(
    network: ChangeNetwork,
    batches: Iterable[ChangeBatch],
    look: Callable[[ChangeNetwork, ChangeBatch], ChangeLogits],
) -> None:
    """Fit the layer of the reasons to changed pairs, nothing else of the network: its scores and maps stay.

    Of symmetry, pairs count so that with each of the other reasons it changed as often as not: else growth alone would
    speak for it. look: what a network says of a batch. A reason of which there are no pairs, or no others, is left as
    it is.
    """
    network.eval()
    device = next(network.parameters()).device
    seen, told = [], []
    for batch in batches:
        changed = batch.changed > 0
        if changed.any():
            seen.append(look(network, batch.to(device)).summary.float().cpu()[changed].numpy())
            told.append(batch.reasons[changed].numpy() > 0)
    if not seen:
        return
    features, labels = np.concatenate(seen).astype(np.float64), np.concatenate(told)
    mean, spread = features.mean(axis=0), features.std(axis=0)
    # What hardly varies would get a weight that half precision cannot hold: it gets none.
    spread[spread < _DEAD * np.median(spread)] = np.inf
    for number, name in enumerate(network.architecture.reasons):
        positive = labels[:, CHANGE_REASONS.index(name)]
        if positive.any() and not positive.all():
            counts = _evened(labels) if name == SYMMETRY else None
            fitted = fit_ridge((features - mean) / spread, positive, _PENALTY, counts)
            network.reasons.weight[number] = torch.from_numpy(fitted[:-1] / spread)
            network.reasons.bias[number] = float(fitted[-1] - (fitted[:-1] * mean / spread).sum())


def _evened(labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """For how many each pair (N, R) counts, (N,), so that beside each other reason symmetry changed as often as not;
    one in the mean. What is only ever with, or only ever without it counts as it is."""
    symmetry = CHANGE_REASONS.index(SYMMETRY)
    _, group = np.unique(np.delete(labels, symmetry, axis=1), axis=0, return_inverse=True)
    counts = np.ones(len(labels))
    for one in np.unique(group):
        within = group == one
        moved, kept = within & labels[:, symmetry], within & ~labels[:, symmetry]
        if moved.any() and kept.any():
            counts[moved], counts[kept] = (within.sum() / (2.0 * part.sum()) for part in (moved, kept))
    return counts
