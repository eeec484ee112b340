"""One look of a release's lesion networks at a photo; outline and structures are both read from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.colour import lightest_channel
from longderm.imaging.grid import reduce_pixels
from longderm.imaging.texture import TEXTURE_SIDE_PX, Texture, read_cells
from longderm.models import Release
from longderm.photo import Photo
from longderm.threads import one_thread

if TYPE_CHECKING:
    from longderm.models.lesion_network import LesionNetwork

#: A photo whose lightest parts (percentile of the largest channel, 0 to 255) lie below this level is lightened so far
#: that they reach it: nearly all photos of the training do, and an underexposed lesion is still a lesion.
_LIGHTEST_PERCENTILE, _LIGHTEST_LEVEL = 95.0, 150.0
#: ... by at most this factor: beyond it, there is noise and nothing else.
_MAX_GAIN = 12.0
#: Decimals kept of what the network says: the last bits of a sum must not move a border.
_DECIMALS = 4


#: Below this many pixels on the shorter side, a photo holds too little to draw a border or to see a structure.
MIN_SIDE_PX = 24


@dataclass(frozen=True, eq=False)
class Sight:
    """What the networks say of one photo, on grids that cover the whole of it, squashed to a square of side S.

    views: probability of lesion as each network sees it, as it is and mirrored (turned back), float32
    (V, S / 2, S / 2); outline: their mean. Log-odds are means over networks and mirrors, not calibrated yet:
    structure_map: of each structure, float32 (K, S / 8, S / 8); structures: of each anywhere in the photo, float32
    (K,); presence: of any lesion. square: the photo as the networks saw it, uint8 (S, S, 3); photo_shape: (height,
    width) of the photo; model: kind and version of the release.
    texture: the lesion's texture (`longderm.imaging.texture`), where the release reads structures from it.
    """

    views: NDArray[np.float32]
    outline: NDArray[np.float32]
    structure_map: NDArray[np.float32]
    structures: NDArray[np.float32]
    presence: float
    square: NDArray[np.uint8]
    photo_shape: tuple[int, int]
    model: str
    texture: Texture | None = None


def uses_network(release: Release) -> bool:
    """Whether a release of kind "segmentation" is a network, or an older one of colour scores."""
    return "network" in release.config


def see(photo: Photo, release: Release) -> Sight:
    """Look at a photo with a release's networks, as it is and mirrored. About 50 ms on one core, and 30 ms more where
    the release reads texture.

    Raises ValueError for a release that is no network, RefusedError where its weights do not fit its config.
    """
    if not uses_network(release):
        raise ValueError(f"{release.name} is no network")
    square = squash(photo.pixels, int(release.config["network"]["side_px"]))
    seen = look(_networks(release.folder, release.digest), square, photo.shape, release.name)
    if "texture" not in release.config["structures"]:
        return seen
    with one_thread():
        return replace(seen, texture=read_texture(photo.pixels, seen.outline))


def read_texture(pixels: NDArray[np.uint8], outline: NDArray[np.float32]) -> Texture:
    """The texture of a photo uint8 (H, W, 3) where `outline`, a map of probability (h, w), says is lesion."""
    return read_cells(squash(pixels, TEXTURE_SIDE_PX), outline)


def look(
    networks: Sequence[LesionNetwork], square: NDArray[np.uint8], photo_shape: tuple[int, int], model: str
) -> Sight:
    """`see` with networks at hand and the photo already squashed to a square uint8 (S, S, 3)."""
    import torch

    from longderm.models.lesion_network import normalise

    # Always the same batch: its size would change the last bits.
    pair = torch.from_numpy(np.stack([square, square[:, ::-1]]))
    with one_thread(), torch.inference_mode():
        said = [network(normalise(pair)) for network in networks]
        outlines = [torch.sigmoid(logits.outline[:, 0]).numpy() for logits in said]
        marks = torch.stack([logits.structure_map for logits in said]).mean(dim=0).numpy()
        structures = torch.stack([logits.structures for logits in said]).mean(dim=(0, 1)).numpy()
        presence = float(torch.stack([logits.presence for logits in said]).mean())
    # The first and the last view differ most: another network, and mirrored.
    views = np.stack([view for outline in outlines for view in (outline[0], outline[1, :, ::-1])])
    return Sight(
        views=_rounded(views),
        outline=_rounded(views.mean(axis=0)),
        structure_map=_rounded((marks[0] + marks[1, :, :, ::-1]) / 2),
        structures=_rounded(structures),
        presence=round(presence, _DECIMALS),
        square=square,
        photo_shape=photo_shape,
        model=model,
    )


def squash(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """A photo uint8 (H, W, 3) as a square (side_px, side_px, 3): averaged where it shrinks, interpolated where not, and
    lightened where it is underexposed."""
    import cv2

    shrunk = (min(pixels.shape[1], side_px), min(pixels.shape[0], side_px))
    smaller = reduce_pixels(pixels, (shrunk[1], shrunk[0]))
    square = cv2.resize(smaller, (side_px, side_px), interpolation=cv2.INTER_LINEAR)
    return lighten(np.asarray(square, dtype=np.uint8))


def lighten(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An underexposed photo uint8 (H, W, 3) with more light, others as they are."""
    lightest = float(np.percentile(lightest_channel(pixels), _LIGHTEST_PERCENTILE))
    gain = min(_LIGHTEST_LEVEL / max(lightest, 1.0), _MAX_GAIN)
    if gain <= 1:
        return pixels
    # On values as they are coded, a factor is a factor of light, too: the code is nearly a power of it.
    return np.asarray(np.round(np.minimum(pixels * np.float32(gain), 255)), dtype=np.uint8)


@lru_cache(maxsize=4)
def _networks(folder: Path, digest: str) -> list[LesionNetwork]:
    from longderm.models.weights import read_networks

    del digest  # part of the key: other weights in the same folder are other networks
    return read_networks(folder)


def _rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.round(values, _DECIMALS), dtype=np.float32)
