"""Two small pictures of a pair, one grid: what a network that compares both photos looks at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.colour import lightest_channel
from longderm.registration.warp import warp_to_baseline

#: Side of the square crops.
CROP_SIDE_PX = 160
#: The crop's side in lengths of the longer side of the box around both lesions: skin to compare colours by is in it.
CROP_MARGIN = 1.5
#: No skin is darker in all channels: beyond the round view of an eyepiece.
DARK_GREY = 24
_GRAIN_PX = 5
#: Less skin than this share of a crop tells no colour.
MIN_SKIN_SHARE = 0.02
#: What the network is shown where either photo shows nothing.
UNSEEN_GREY = 128


@dataclass(frozen=True, eq=False)
class Crops:
    """A pair on one square grid of `side` pixels, the follow-up warped onto the baseline.

    baseline, followup: uint8 (side, side, 3); seen: bool (side, side), where both photos have pixels; baseline_lesion,
    followup_lesion: bool (side, side); matrix: float64 (3, 3), crop pixels to the baseline's native pixels.
    """

    baseline: NDArray[np.uint8]
    followup: NDArray[np.uint8]
    seen: NDArray[np.bool_]
    baseline_lesion: NDArray[np.bool_]
    followup_lesion: NDArray[np.bool_]
    matrix: NDArray[np.float64]


def cut_crops(
    photos: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    matrix: NDArray[np.float64],
    side: int = CROP_SIDE_PX,
) -> Crops:
    """Cut the box around both lesions, widened by CROP_MARGIN, out of both photos.

    photos: uint8 (H, W, 3) each on its native grid; masks: the lesion in each, bool (H, W); matrix: float64 (3, 3),
    baseline to follow-up pixels. Raises ValueError where neither mask shows a lesion.
    """
    back = np.asarray(np.linalg.inv(matrix), np.float64)
    corners = [found for found in (_corners(masks[0]), _corners(masks[1], back)) if found is not None]
    points = np.concatenate(corners) if corners else np.empty((0, 2))
    if not len(points):
        raise ValueError("a crop needs a lesion in one of the photos")
    low, high = points.min(axis=0), points.max(axis=0)
    length = CROP_MARGIN * max(float((high - low).max()) + 1.0, 8.0)
    step = length / side
    start = (low + high) / 2.0 - length / 2.0 + step / 2.0
    to_baseline = np.array([[step, 0.0, start[0]], [0.0, step, start[1]], [0.0, 0.0, 1.0]])
    shape = (side, side)
    first, in_first = warp_to_baseline(photos[0], to_baseline, shape)
    second, in_second = warp_to_baseline(photos[1], matrix @ to_baseline, shape)
    lesions = [
        warp_to_baseline(np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2), m, shape)[0][..., 0] > 127
        for mask, m in zip(masks, (to_baseline, matrix @ to_baseline), strict=True)
    ]
    return Crops(first, second, in_first & in_second, lesions[0], lesions[1], to_baseline)


def in_one_light(crops: Crops, dark_corners_left_out: bool = True) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Both crops with the skin around the lesions brought to one colour, halfway between; grey where either is unseen.

    A gain per channel, from the skin's medians: it treats both photos alike, so that their order does not matter. Where
    too little skin is seen, the crops keep their light. dark_corners_left_out: what is dark in all channels outside of
    the lesions counts as unseen.
    """
    import cv2

    pictures = [crops.baseline, crops.followup]
    lesion = crops.baseline_lesion | crops.followup_lesion
    seen = crops.seen
    if dark_corners_left_out:
        # Smoothed, so that a camera's grain beyond its field of view does not count as seen.
        bright = [cv2.blur(lightest_channel(picture), (_GRAIN_PX, _GRAIN_PX)) > DARK_GREY for picture in pictures]
        seen = seen & ((bright[0] & bright[1]) | lesion)
    skin = seen & ~lesion
    if int(skin.sum()) >= MIN_SKIN_SHARE * skin.size:
        levels = np.array([np.median(picture[skin], axis=0) for picture in pictures]).clip(1.0)
        gains = np.sqrt(levels[::-1] / levels)
        steps = np.arange(256)[:, None]
        tables = [np.clip(steps * gain + 0.5, 0, 255).astype(np.uint8) for gain in gains]
        pictures = [
            np.stack([table[picture[..., c], c] for c in range(3)], axis=2)
            for picture, table in zip(pictures, tables, strict=True)
        ]
    first, second = (np.where(seen[..., None], picture, np.uint8(UNSEEN_GREY)) for picture in pictures)
    return np.asarray(first, np.uint8), np.asarray(second, np.uint8)


def _corners(mask: NDArray[np.bool_], matrix: NDArray[np.float64] | None = None) -> NDArray[np.float64] | None:
    """Lowest and highest x and y of a mask's pixels, taken through `matrix`, (2, 2); None of an empty mask."""
    rows = np.nonzero(mask.any(axis=1))[0]
    if not len(rows):
        return None
    # Under a linear map the outermost pixels are among the first and last of each row.
    part = mask[rows]
    ends = (part.argmax(axis=1), mask.shape[1] - 1 - part[:, ::-1].argmax(axis=1))
    points = np.concatenate([np.column_stack([x, rows]) for x in ends]).astype(np.float64)
    if matrix is not None:
        points = points @ matrix[:2, :2].T + matrix[:2, 2]
    return np.stack([points.min(axis=0), points.max(axis=0)])
