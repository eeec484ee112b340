"""Dermoscopic structures: which are in a photo, how probably, and where, from the look that draws the outline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.sight import MIN_SIDE_PX, Sight, see, uses_network
from longderm.imaging.texture import Texture
from longderm.models import Release, load_release
from longderm.photo import Photo

#: The release that is used when none is given.
DEFAULT_VERSION = "0.4.0"

#: A sign further from the middle than this many standard deviations says no more.
_MOST_UNUSUAL = 4.0
#: A structure may fill a few cells only: the highest scores are this share of the cells, and at least so many.
_TOP_SHARE, _LEAST_TOP = 0.02, 3
#: ... and the upper fifth starts here.
_UPPER = 0.8


@dataclass(frozen=True, eq=False)
class Structures:
    """Dermoscopic structures of one photo, as experts of ISIC 2018 task 2 marked them (arXiv 1902.03368).

    names: in the order of the arrays: pigment_network, globules, streaks, negative_network, milia_like_cyst.
    probability: of each anywhere in the photo, float32 (K,), calibrated. maps: probability of each in each cell,
    float32 (K, h, w), on a grid that covers the photo at 1/8 of the network's input. marks: where an expert's mark is
    to be expected, bool (K, h, w). model: kind and version of the release.
    """

    names: tuple[str, ...]
    probability: NDArray[np.float32]
    maps: NDArray[np.float32]
    marks: NDArray[np.bool_]
    model: str

    def __getitem__(self, name: str) -> float:
        """The probability of one structure. Raises KeyError for another name."""
        if name not in self.names:
            raise KeyError(f"no structure {name!r}; there are {', '.join(self.names)}")
        return float(self.probability[self.names.index(name)])

    def as_dict(self) -> dict[str, float]:
        """Name -> probability, four decimals."""
        return {name: round(float(value), 4) for name, value in zip(self.names, self.probability, strict=True)}


def find_structures(photo: Photo, release: Release | None = None, sight: Sight | None = None) -> Structures | None:
    """Structures of a dermoscopic photo; None for other modalities and tiny photos, in which they cannot be seen.

    `release` is a network of kind "segmentation"; sight: what it has seen of the photo already (`see`), so that it
    need not look again. Raises ValueError for a release without network.
    """
    release = release if release is not None else load_release("segmentation", DEFAULT_VERSION)
    if not uses_network(release):
        raise ValueError(f"{release.name} is no network and sees no structures")
    if photo.meta.modality != "dermoscopic" or min(photo.shape) < MIN_SIDE_PX:
        return None
    return read_structures(sight if sight is not None else see(photo, release), release)


def read_structures(sight: Sight, release: Release) -> Structures:
    """Structures of what the release's network has seen: where by its map, whether by its texture."""
    fitted = release.config["structures"]
    texture = sight.texture
    log_odds = sight.structures if texture is None else texture_log_odds(texture, fitted["texture"])
    slope, offset = (np.asarray(fitted[key], dtype=np.float32) for key in ("slope", "offset"))
    levels = np.asarray(fitted["levels"], dtype=np.float32)
    maps = _sigmoid(sight.structure_map)
    return Structures(
        names=tuple(fitted["names"]),
        probability=_sigmoid(slope * log_odds + offset),
        maps=maps,
        marks=maps > levels[:, None, None],
        model=sight.model,
    )


def texture_log_odds(texture: Texture, fitted: Mapping[str, Any]) -> NDArray[np.float32]:
    """Log-odds (K,) of each structure anywhere in the photo: a linear score of `summarise`."""
    whole = fitted["photo"]
    return _linear(summarise(texture, cell_scores(texture, fitted["cells"])), whole)


def cell_scores(texture: Texture, fitted: Mapping[str, Any]) -> NDArray[np.float32]:
    """What share of each cell an expert is expected to mark, (n, K), not calibrated: linear in the cell's signs."""
    return _linear(texture.signs, fitted)


def summarise(texture: Texture, scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """A photo in numbers, float32 (signs + 4 K,): the mean signs of its cells, weighted; of its cells' scores (n, K)
    the mean, the mean of the highest, the level of the upper fifth, and the spread."""
    weights = texture.weights / texture.weights.sum()
    ordered = np.sort(scores, axis=0)
    top = ordered[-max(_LEAST_TOP, int(len(ordered) * _TOP_SHARE)) :].mean(axis=0)
    upper = ordered[int(_UPPER * (len(ordered) - 1))]
    parts = (weights @ texture.signs, scores.mean(axis=0), top, upper, scores.std(axis=0))
    return np.concatenate(parts).astype(np.float32)


def _linear(signs: NDArray[np.float32], fitted: Mapping[str, Any]) -> NDArray[np.float32]:
    middle, spread, weights, offset = (
        np.asarray(fitted[key], dtype=np.float32) for key in ("middle", "spread", "weights", "offset")
    )
    return np.asarray(unusual(signs, middle, spread) @ weights.T + offset, dtype=np.float32)


def unusual(
    texture: NDArray[np.float32], middle: NDArray[np.float32], spread: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Signs (..., n) as distances from their `middle` in units of their `spread` (n,), within bounds."""
    return np.asarray(np.clip((texture - middle) / spread, -_MOST_UNUSUAL, _MOST_UNUSUAL), dtype=np.float32)


def _sigmoid(log_odds: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.round(1 / (1 + np.exp(-np.clip(log_odds, -30, 30))), 4), dtype=np.float32)
