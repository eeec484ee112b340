"""How the border moved between two aligned photos, as far as the images confirm what the masks say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longderm.change.common_view import CommonView

#: Where the masks differ, the image confirms it in full when the pixel moved by this share of the way from skin to
#: lesion: a lesion's rim has less contrast than its middle, and half of that is lost to the smoothing at a border.
CONFIRMED_SHARE_OF_CONTRAST = 0.4
#: Less movement than this (Lab units) is what two photos of one skin differ by anyway, and confirms nothing.
CONFIRMING_MOVE = 2.0
#: Below this contrast of lesion against skin (Lab units) the image can confirm nothing.
CONFIRMING_CONTRAST = 5.0
#: Directions in which the border's movement is followed.
BORDER_DIRECTIONS = 24


def confirmed_lesion(view: CommonView) -> NDArray[np.float32] | None:
    """The follow-up's lesion on the common view as far as the images confirm it, float32 (h, w) in [0, 1].

    Two masks of one unchanged lesion differ wherever a border is vague. What only the follow-up's mask holds counts as
    gained in so far as its colour moved from skin towards lesion; what only the baseline's holds counts as lost in so
    far as it moved back. None where no skin is seen or the lesion hardly differs from it.
    """
    both, either = view.baseline_lesion & view.followup_lesion, view.baseline_lesion | view.followup_lesion
    if not (view.skin_known and both.any()):
        return None
    skin, lesion = (np.median(view.baseline_colour[where], axis=0) for where in (view.ring, both))
    towards = (lesion - skin).astype(np.float64)
    contrast = float(np.sqrt((towards * towards).sum()))
    if round(contrast, 6) < CONFIRMING_CONTRAST:
        return None
    way = (towards / contrast).astype(np.float32)
    difference = view.followup_colour - view.baseline_colour
    moved = difference[..., 0] * way[0] + difference[..., 1] * way[1] + difference[..., 2] * way[2]
    full = max(CONFIRMED_SHARE_OF_CONTRAST * contrast, 2.0 * CONFIRMING_MOVE)
    gained = np.clip((moved - CONFIRMING_MOVE) / (full - CONFIRMING_MOVE), 0.0, 1.0)
    lost = np.clip((-moved - CONFIRMING_MOVE) / (full - CONFIRMING_MOVE), 0.0, 1.0)
    confirmed = np.where(view.baseline_lesion, 1.0 - lost, gained)
    return np.where(both, 1.0, np.where(either, confirmed, 0.0)).astype(np.float32)


def border_asymmetry(view: CommonView, followup: NDArray[np.float32]) -> float | None:
    """How unevenly the border moved: standard deviation over directions of the change of radius, per mean radius.

    followup: the confirmed lesion (`confirmed_lesion`). Growth that is the same in all directions gives 0. Directions
    in which either border leaves what both photos show are left out; None where less than half of them remain.
    """
    ys, xs = np.nonzero(view.baseline_lesion)
    centre = (float(ys.mean()), float(xs.mean()))
    before = _sector_areas(view.baseline_lesion.astype(np.float32), centre)
    after = _sector_areas(followup, centre)
    usable = ~_cut_sectors(view, centre)
    if usable.sum() < BORDER_DIRECTIONS // 2:
        return None
    # The radius of the disc sector with the same area: steadier than where a ray crosses the border.
    radius_b, radius_f = (np.sqrt(area * BORDER_DIRECTIONS / np.pi) for area in (before, after))
    moved = (radius_f - radius_b)[usable] / max(float(radius_b.mean()), 1.0)
    return float(np.std(moved))


def _sector_areas(mask: NDArray[np.float32], centre: tuple[float, float]) -> NDArray[np.float64]:
    ys, xs = np.nonzero(mask)
    weights = mask[ys, xs].astype(np.float64)
    return np.bincount(_sectors(ys, xs, centre), weights, minlength=BORDER_DIRECTIONS).astype(np.float64)


def _cut_sectors(view: CommonView, centre: tuple[float, float]) -> NDArray[np.bool_]:
    """Directions in which a lesion reaches the edge of what both photos show."""
    import cv2

    edge = cv2.erode(np.pad(view.seen, 1).astype(np.uint8), np.ones((3, 3), np.uint8))[1:-1, 1:-1] == 0
    ys, xs = np.nonzero((view.baseline_lesion | view.followup_lesion) & edge & view.seen)
    return np.bincount(_sectors(ys, xs, centre), minlength=BORDER_DIRECTIONS) > 0


def _sectors(ys: NDArray[np.intp], xs: NDArray[np.intp], centre: tuple[float, float]) -> NDArray[np.intp]:
    angle = np.arctan2(ys - centre[0], xs - centre[1])
    turn = np.floor((angle + np.pi) * BORDER_DIRECTIONS / (2.0 * np.pi))
    return np.asarray(turn % BORDER_DIRECTIONS, dtype=np.intp)
