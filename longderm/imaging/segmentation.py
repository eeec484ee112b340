"""Segmentation: where the lesion is, and when there is none to draw. A release says by which method."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.artefacts import Artefacts
from longderm.imaging.colour_outline import outline_by_colour, read_segmenter
from longderm.imaging.network_outline import outline_by_network, read_drawing
from longderm.imaging.outline import Outline
from longderm.imaging.sight import MIN_SIDE_PX, Sight, see, uses_network
from longderm.imaging.structures import Structures, find_structures
from longderm.models import Release, load_release
from longderm.photo import Photo

if TYPE_CHECKING:
    from longderm.models.border_network import BorderNetwork

#: The release that is used when none is given.
DEFAULT_VERSION = "0.4.0"

#: The release that tells lesion from skin in a third of the time; its outlines are too coarse to be measured.
QUICK_VERSION = "0.1.0-quick"


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The lesion's mask, bool (H, W) on the native grid; empty when `found` is False.

    confidence: overlap (Dice) to be expected with an expert's outline, times the probability that there is a lesion,
    in [0, 1]. reason: why nothing was found, or what makes the mask doubtful, else None. touches_border: the lesion is
    cut by the edge of the field of view. model: kind and version of the release that drew it. structures: what else the
    release saw by the same look, None where it is no network or the photo not dermoscopic. area_error: of the mask's
    area, as a share, at most 3: over photos like those that the release was fitted to, nine of ten experts' outlines
    have an area within a factor of 1 + area_error; None where nothing is found, the photo is not dermoscopic, or the
    release does not say.
    """

    mask: NDArray[np.bool_]
    confidence: float
    found: bool
    reason: str | None
    touches_border: bool
    model: str
    structures: Structures | None = None
    area_error: float | None = None


def segment(
    photo: Photo, release: Release | None = None, sight: Sight | None = None, artefacts: Artefacts | None = None
) -> Segmentation:
    """Find the lesion of a close-up photo and draw its outline at full size.

    `release` is of kind "segmentation", by default the packaged one: a network (`network_outline`), or scores of colour
    (`colour_outline`). sight: what the release's network has seen already (`see`), so that it need not look again;
    artefacts: those of the photo, where they are found already.
    In a total-body photo, nothing is drawn. Raises ValueError for a sight of another photo's shape or release.
    """
    release = release if release is not None else load_release("segmentation", DEFAULT_VERSION)
    if sight is None and uses_network(release) and _may_look(photo):
        sight = see(photo, release)
    drawn = _outline(photo, release, sight, artefacts)
    mask = drawn.mask if drawn.mask is not None else np.zeros(photo.shape, dtype=np.bool_)
    found = drawn.mask is not None
    seen = find_structures(photo, release, sight) if sight is not None else None
    return Segmentation(
        mask, drawn.confidence, found, drawn.reason, drawn.touches_border, release.name, seen, drawn.area_error
    )


def lesion_mask(photo: Photo, segmentation: Segmentation | None) -> NDArray[np.bool_] | None:
    """The lesion's mask, bool (H, W), or None where there is none; without a segmentation, `segment` draws it.

    Raises ValueError when the mask is not on the photo's grid.
    """
    segmentation = segmentation if segmentation is not None else segment(photo)
    if segmentation.mask.shape != photo.shape:
        raise ValueError(f"the mask is {segmentation.mask.shape}, the photo {photo.shape}; segment the same photo")
    return segmentation.mask if segmentation.found and segmentation.mask.any() else None


def _may_look(photo: Photo) -> bool:
    return photo.meta.modality != "total_body" and min(photo.shape) >= MIN_SIDE_PX


def _outline(photo: Photo, release: Release, sight: Sight | None, artefacts: Artefacts | None) -> Outline:
    if photo.meta.modality == "total_body":
        return Outline.none("a total-body photo shows many lesions")
    if min(photo.shape) < MIN_SIDE_PX:
        return Outline.none("the photo is too small")
    if sight is None:
        return outline_by_colour(photo, read_segmenter(release.config), artefacts)
    if sight.model != release.name or sight.photo_shape != photo.shape:
        raise ValueError(f"the sight is of {sight.model} and {sight.photo_shape}, not {release.name} and {photo.shape}")
    border = _border_network(release.folder, release.digest) if "border" in release.config else None
    return outline_by_network(photo, sight, read_drawing(release.config), border)


@lru_cache(maxsize=4)
def _border_network(folder: Path, digest: str) -> BorderNetwork:
    from longderm.models.weights import read_border

    del digest  # part of the key: other weights in the same folder are another network
    return read_border(folder)
