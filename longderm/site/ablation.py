"""A pair compared with steps of preprocessing switched off: what the score says then, and what a frozen encoder says.

The steps are those that PanDerm published gains for (Yan et al. 2025, doi 10.1038/s41591-025-03747-y), each as this
package does it. A score without a step is the release's own arithmetic on what is measured without it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from longderm.change.appearance import appearance_network, compare_appearance
from longderm.change.common_view import build_common_view
from longderm.change.crops import CROP_MARGIN, Crops, cut_crops
from longderm.change.evidence import SPECS, Observation
from longderm.change.maps import compare_maps
from longderm.change.score import observe, scale_of
from longderm.imaging import Segmentation, measure
from longderm.imaging.artefacts import Artefacts, find_artefacts, find_field_of_view, find_hair
from longderm.models.releases import Release
from longderm.photo import Photo

if TYPE_CHECKING:
    from longderm.imaging import Measures
    from longderm.models.encoder import Encoder
    from longderm.stages.pair import ComparedPair


@dataclass(frozen=True)
class Steps:
    """Which steps are on.

    dark_corners: they are left out (off: they count as skin); hair: it is left out, and filled for an encoder (off: it
    counts as skin and lesion); alignment: by the verified similarity (off: the follow-up is only shifted and brought to
    the baseline's size of frame, lesion on lesion, or frame on frame without a mask); mask: the lesion's outline (off:
    a box in the middle of the photo, so that what is looked at is the whole photo; sizes and outlines are not known).
    """

    dark_corners: bool = True
    hair: bool = True
    alignment: bool = True
    mask: bool = True


NOTHING, EVERYTHING = "nothing", "everything"
#: Name in the table -> steps: one more in each row, in the order of the published table, then each one switched off.
CONFIGURATIONS: Mapping[str, Steps] = MappingProxyType(
    {
        NOTHING: Steps(False, False, False, False),
        "+ dark corners": Steps(True, False, False, False),
        "+ hair": Steps(True, True, False, False),
        "+ alignment (all but the mask)": Steps(True, True, True, False),
        EVERYTHING: Steps(),
        "without dark corners": Steps(dark_corners=False),
        "without hair": Steps(hair=False),
        "without alignment": Steps(alignment=False),
    }
)
#: What cannot be measured without a mask: sizes, shapes, and what happens along the outline.
_OF_OUTLINE = frozenset(name for name, spec in SPECS.items() if spec.group in ("size", "shape")) | {"colour_border"}
#: Side of the crops that an encoder sees, in the pixels of its usual input.
ENCODER_SIDE_PX = 224
#: Hair in such a crop is filled in from this many pixels around it (OpenCV's inpainting by Telea 2004).
_FILL_RADIUS_PX = 3.0
#: Hair is widened by this many pixels before it is filled: its rim is darker than skin.
_HAIR_RIM_PX = 3


@dataclass(frozen=True)
class Compared:
    """What is found with some steps on: the measured differences, and 1 - cosine of an encoder's vectors (None: none
    was asked)."""

    observations: tuple[Observation, ...]
    distance: float | None


def compare_with(
    pair: ComparedPair,
    release: Release,
    interval_days: float | None,
    encoder: Encoder | None = None,
    configurations: Mapping[str, Steps] = CONFIGURATIONS,
) -> dict[str, Compared]:
    """Compare a pair under each configuration. Its alignment must have a matrix and both lesions be found."""
    network = appearance_network(release)
    boxes = tuple(_middle_box(photo, mask) for photo, mask in zip(pair.photos, pair.segmentations, strict=True))

    everything = tuple(find_artefacts(photo.pixels) for photo in pair.photos)

    def artefacts(which: int, dark_corners: bool, hair: bool) -> Artefacts:
        found = everything[which]
        found = found if dark_corners else replace(found, inside=np.ones_like(found.inside))
        return found if hair else replace(found, hair=np.zeros_like(found.hair))

    @cache
    def measured(which: int, dark_corners: bool, hair: bool, mask: bool) -> Measures:
        if dark_corners and hair and mask:
            return pair.measures[which]
        drawn = pair.segmentations[which] if mask else boxes[which]
        return measure(pair.photos[which], drawn, artefacts(which, dark_corners, hair))

    told = {}
    for name, steps in configurations.items():
        drawn = pair.segmentations if steps.mask else (boxes[0], boxes[1])
        masks = drawn[0].mask, drawn[1].mask
        matrix = _placed(pair, masks, steps)
        hidden = artefacts(0, steps.dark_corners, steps.hair), artefacts(1, steps.dark_corners, steps.hair)
        # Whole or not as in `score_change`, so that with every step on the score is that one.
        view = build_common_view(*pair.photos, matrix, masks, whole=network is None, artefacts=hidden)
        taken = [measured(which, steps.dark_corners, steps.hair, steps.mask) for which in (0, 1)]
        found = observe((taken[0], taken[1]), compare_maps(view), scale_of(matrix))
        if not steps.mask:
            found = [one for one in found if one.measure not in _OF_OUTLINE]
        pixels = pair.photos[0].pixels, pair.photos[1].pixels
        if network is not None:
            crops = cut_crops(pixels, masks, matrix)
            found.append(compare_appearance(crops, network, interval_days, steps.dark_corners).observation)
        distance = None
        if encoder is not None:
            distance = encoder_distance(cut_crops(pixels, masks, matrix, ENCODER_SIDE_PX), encoder, steps)
        told[name] = Compared(tuple(sorted(found, key=lambda one: one.measure)), distance)
    return told


def encoder_distance(crops: Crops, encoder: Encoder, steps: Steps) -> float:
    """1 - cosine of the vectors of both crops, 0 to 2; see `Steps` for what is filled in first."""
    import torch

    from longderm.models.encoder import cosine_distance

    pictures = [
        _cleaned(picture, crops.seen, steps).astype(np.float32) / np.float32(255)
        for picture in (crops.baseline, crops.followup)
    ]
    images = torch.from_numpy(np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2)))
    return round(cosine_distance(encoder, images), 6)


def _cleaned(picture: NDArray[np.uint8], seen: NDArray[np.bool_], steps: Steps) -> NDArray[np.uint8]:
    """A crop with its dark corners in the median colour of the rest, and its hair filled in from around it."""
    import cv2

    if steps.dark_corners:
        inside = seen & find_field_of_view(picture)
        if inside.any() and not inside.all():
            picture = np.where(inside[..., None], picture, np.median(picture[inside], axis=0)).astype(np.uint8)
    if steps.hair:
        hair = find_hair(picture).astype(np.uint8)
        if hair.any():
            wide = cv2.dilate(hair, np.ones((_HAIR_RIM_PX, _HAIR_RIM_PX), np.uint8))
            picture = np.asarray(cv2.inpaint(picture, wide, _FILL_RADIUS_PX, cv2.INPAINT_TELEA), np.uint8)
    return picture


def _middle_box(photo: Photo, drawn: Segmentation) -> Segmentation:
    """A box in the middle of a photo whose crop, CROP_MARGIN times its longer side, is the whole photo."""
    mask = np.zeros(photo.shape, np.bool_)
    rows, columns = (
        slice(math.floor((side - side / CROP_MARGIN) / 2), math.ceil((side + side / CROP_MARGIN) / 2))
        for side in photo.shape
    )
    mask[rows, columns] = True
    return replace(drawn, mask=mask, touches_border=False)


def _placed(pair: ComparedPair, masks: Sequence[NDArray[np.bool_]], steps: Steps) -> NDArray[np.float64]:
    """Baseline to follow-up pixels, float64 (3, 3): the alignment, or only middle on middle (of lesion or frame)."""
    if steps.alignment:
        return np.asarray(pair.alignment.matrix, np.float64)
    heights, widths = zip(*(photo.shape for photo in pair.photos), strict=True)
    scale = math.sqrt(heights[1] * widths[1] / (heights[0] * widths[0]))
    first, second = (_middle(mask) for mask in masks)
    shift = second - scale * first
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]], [0.0, 0.0, 1.0]])


def _middle(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Centre of mass (x, y) of a mask."""
    weights = np.asarray(mask.sum(axis=0), np.float64), np.asarray(mask.sum(axis=1), np.float64)
    return np.array([float((one * np.arange(one.size)).sum() / one.sum()) for one in weights])
