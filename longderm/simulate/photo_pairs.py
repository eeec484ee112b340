"""Training pairs over photos of real lesions: two visits with known truth, changed in between or not.

`draw_photo_pair` gives the same pair for the same generator state. The change benchmark has a generator of its own
(`longderm.bench.change_pairs`) and never trains; this one never measures anything but the gap between both.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from longderm.simulate.photo_changes import KINDS, Painted, paint_change
from longderm.simulate.photo_visits import develop, draw_bend, draw_sensor, see_canvas

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: Side of the canvas and of the frame that training uses, and how many times the lesion's box the canvas shows.
CANVAS_PX, CANVAS_FIELD = 288, 2.0
FRAME = (256, 256)
#: A change that moves green by less than this in the mean (grey levels) is drawn anew, as another kind, so many times.
_VISIBLE_GREY, _TRIES = 3.0, 4
#: A photo that is shrunk by more than this is first averaged to a copy that is shrunk by no more than this.
_SHRUNK = 0.7
#: Share of pairs that change.
CHANGED_SHARE = 0.5
#: Of changed pairs, so many are turned round in time: what grew then shrank.
_REVERSED_SHARE = 0.3
#: Pose of the follow-up against the baseline: turn (degrees), zoom (factor), shift and perspective (shares of side).
_TURN_DEG, _ZOOM, _SHIFT, _TILT = 60.0, 1.2, 0.05, 0.012
#: Bend of the skin, at most, as a share of the lesion's diameter.
_BEND = 0.012
#: Half of the follow-ups come from the device of the baseline.
_SAME_SENSOR = 0.5
#: Days between visits, drawn on a log scale; the same for changed and stable pairs, so that the interval alone says
#: nothing.
_INTERVAL_DAYS = (60, 730)


@dataclass(frozen=True, eq=False)
class PhotoPair:
    """Two visits of one lesion.

    baseline, followup: uint8 (H, W, 3); baseline_mask, followup_mask: bool (H, W); kind: of KINDS, "" where nothing
    changed; where: what changed, bool (H, W) on the baseline's grid; size: see KINDS, negative where time was turned
    round, 0 of none; matrix: float64 (3, 3), the similarity from baseline to follow-up pixels, which perspective and
    bent skin leave true within a few hundredths of the lesion's diameter; interval_days; scenes: the canvas and the
    lesion's mask on it at each visit, before any camera.
    """

    baseline: U8
    followup: U8
    baseline_mask: Mask
    followup_mask: Mask
    kind: str
    where: Mask
    size: float
    matrix: NDArray[np.float64]
    interval_days: int
    scenes: tuple[tuple[U8, Mask], tuple[U8, Mask]]

    @property
    def changed(self) -> bool:
        """Whether the lesion itself changed."""
        return bool(self.kind)


def cut_canvas(pixels: U8, mask: Mask, rng: np.random.Generator | None = None) -> tuple[U8, Mask]:
    """The lesion with the skin around it on a square canvas of CANVAS_PX; turned, mirrored and stretched by `rng`.

    pixels: uint8 (H, W, 3), mask: bool (H, W); black beyond the photo. Raises ValueError for an empty mask.
    """
    if not mask.any():
        raise ValueError("a canvas needs a lesion")
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    scale = CANVAS_PX / (CANVAS_FIELD * max(width, height, 16))
    linear = scale * np.eye(2)
    if rng is not None:
        angle = rng.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        mirror = np.diag([1.0 if rng.random() < 0.5 else -1.0, 1.0])
        stretch = np.diag(np.exp(rng.normal(0, 0.06) * np.array([1.0, -1.0])))
        linear = scale * rng.uniform(0.8, 1.1) * turn @ mirror @ stretch
    middle = np.array([left + (width - 1) / 2, top + (height - 1) / 2])
    step = np.column_stack([linear, (CANVAS_PX - 1) / 2 - linear @ middle])
    size = (CANVAS_PX, CANVAS_PX)
    # Averaged before it is shrunk: fine network would alias.
    if scale < _SHRUNK:
        smaller = np.array([round(scale / _SHRUNK * side) for side in pixels.shape[1::-1]])
        share = smaller / pixels.shape[1::-1]
        pixels = np.asarray(cv2.resize(pixels, smaller.tolist(), interpolation=cv2.INTER_AREA), np.uint8)
        mask = np.asarray(cv2.resize(mask.astype(np.uint8) * 255, smaller.tolist()) > 127)
        # Pixel centres at integers: what was at p lies at share * (p + 0.5) - 0.5.
        linear = step[:, :2] / share
        step = np.column_stack([linear, step[:, 2] + linear @ (0.5 - 0.5 * share)])
    canvas = cv2.warpAffine(pixels, step, size, flags=cv2.INTER_LINEAR)
    drawn = cv2.warpAffine(mask.astype(np.uint8) * 255, step, size, flags=cv2.INTER_LINEAR)
    return np.asarray(canvas, np.uint8), np.asarray(drawn > 127)


def draw_photo_pair(
    canvas: U8,
    mask: Mask,
    rng: np.random.Generator,
    kind: str | None = None,
    size: float | None = None,
    frame: tuple[int, int] = FRAME,
) -> PhotoPair:
    """Two visits of the lesion on `canvas`, uint8 (H, W, 3) with its mask, each photographed into `frame`.

    kind: of KINDS, "" for no change, None to draw it; size: of the change, None to draw it. The frame shows the
    canvas' width. Raises ValueError for an empty mask, KeyError for another kind.
    """
    chosen = kind
    if chosen is None:
        chosen = list(KINDS)[int(rng.integers(len(KINDS)))] if rng.random() < CHANGED_SHARE else ""
    scenes = [(canvas, mask), (canvas, mask)]
    where, amount = np.zeros_like(mask), 0.0
    if chosen:
        painted = _paint(canvas, mask, chosen, size, rng)
        for _ in range(_TRIES if kind is None else 0):
            if _is_visible(canvas, painted):
                break
            chosen = list(KINDS)[int(rng.integers(len(KINDS)))]
            painted = _paint(canvas, mask, chosen, size, rng)
        scenes[1], where, amount = (painted.pixels, painted.mask), painted.where, painted.size
        if kind is None and rng.random() < _REVERSED_SHARE:
            scenes, amount = scenes[::-1], -amount
    elif not mask.any():
        raise ValueError("a pair needs a lesion")
    diameter = 2.0 * float(np.sqrt(int(mask.sum()) / np.pi)) * frame[1] / canvas.shape[1]
    sensor = draw_sensor(rng)
    sensors = sensor, sensor if rng.random() < _SAME_SENSOR else draw_sensor(rng)
    photos, masks, poses = [], [], []
    seen_where = where
    for part, (pixels, drawn) in enumerate(scenes):
        pose, tilted = _draw_pose(canvas.shape[:2], frame, part, rng)
        bend = draw_bend(frame, float(rng.uniform(0, _BEND)) * diameter, rng) if rng.random() < 0.6 else None
        photos.append(develop(see_canvas(pixels, tilted, frame, bend), sensors[part], rng))
        masks.append(see_canvas(drawn.astype(np.uint8) * 255, tilted, frame, bend) > 127)
        if not part:
            seen_where = see_canvas(where.astype(np.uint8) * 255, tilted, frame, bend) > 127
        poses.append(pose)
    days = int(np.exp(rng.uniform(*np.log(_INTERVAL_DAYS))))
    matrix = poses[1] @ np.linalg.inv(poses[0])
    return PhotoPair(
        photos[0],
        photos[1],
        masks[0],
        masks[1],
        chosen,
        seen_where,
        float(amount),
        np.asarray(matrix, np.float64),
        days,
        (scenes[0], scenes[1]),
    )


def _paint(canvas: U8, mask: Mask, kind: str, size: float | None, rng: np.random.Generator) -> Painted:
    low, high = KINDS[kind]
    wanted = size if size is not None else float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return paint_change(canvas, mask, kind, wanted, rng)


def _is_visible(canvas: U8, painted: Painted) -> bool:
    """Whether what changed differs: a lesion without structure has none to lose."""
    return float(cv2.mean(cv2.absdiff(canvas, painted.pixels), painted.where.astype(np.uint8))[1]) >= _VISIBLE_GREY


def _draw_pose(
    canvas: tuple[int, int], frame: tuple[int, int], part: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Canvas to frame, (3, 3): the similarity, and the homography of a plate that is a little tilted."""
    share = 1.0 if part else 0.15
    turn = np.deg2rad(rng.uniform(-1, 1) * _TURN_DEG * share)
    scale = frame[1] / canvas[1] * float(np.exp(rng.uniform(-1, 1) * np.log(_ZOOM) * share))
    a, b = scale * np.cos(turn), scale * np.sin(turn)
    cx, cy = (canvas[1] - 1) / 2, (canvas[0] - 1) / 2
    aim = np.array([(frame[1] - 1) / 2, (frame[0] - 1) / 2]) + rng.uniform(-1, 1, 2) * _SHIFT * frame[1]
    pose = np.array([[a, -b, aim[0] - a * cx + b * cy], [b, a, aim[1] - b * cx - a * cy], [0.0, 0.0, 1.0]])
    # Tilted about the middle of the frame, so that the middle stays and the rim moves by at most _TILT.
    tilt = rng.uniform(-_TILT, _TILT, 2) * 2.0 / frame[1]
    to_middle = np.array([[1.0, 0.0, -aim[0]], [0.0, 1.0, -aim[1]], [0.0, 0.0, 1.0]])
    lean = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [tilt[0], tilt[1], 1.0]])
    return pose, np.linalg.inv(to_middle) @ lean @ to_middle @ pose
