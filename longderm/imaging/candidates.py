"""Candidates: connected areas of a probability map at several levels, and what they look like as lesions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.features import Scene, unit_coordinates

#: Components per level that are considered; further ones are specks.
_PER_LEVEL = 3
#: A component smaller than this share of the photo is a speck.
_MIN_AREA_FRACTION = 0.0015
#: Width of the ring around a candidate whose colour it is compared with (share of the longer side), at least ...
_RING_MIN = 0.03
#: ... and as a share of the candidate's own radius.
_RING_OF_RADIUS = 0.35


@dataclass(frozen=True, eq=False)
class Candidate:
    """One area: `mask` bool (h, w) without holes, the `level` of probability that drew it, and its features."""

    mask: NDArray[np.bool_]
    level: float
    features: NDArray[np.float32]
    touches_border: bool
    contrast: float
    noise: float


def find_candidates(scene: Scene, probability: NDArray[np.float32], levels: tuple[float, ...]) -> list[Candidate]:
    """The largest areas above each level, without holes, in the order of levels and sizes."""
    import cv2

    height, width = probability.shape
    least = max(12.0, _MIN_AREA_FRACTION * height * width)
    found = []
    for level in levels:
        count, labels, stats, _ = cv2.connectedComponentsWithStats(
            (probability > level).astype(np.uint8), connectivity=4
        )
        areas = np.asarray(stats[1:count, cv2.CC_STAT_AREA])
        for index in np.argsort(-areas, kind="stable")[:_PER_LEVEL]:
            if areas[index] >= least:
                found.append(_describe(scene, probability, fill_holes(labels == index + 1), level))
    return found


def fill_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask with everything that it encloses."""
    import cv2

    padded = np.pad(mask.astype(np.uint8), 1)
    cv2.floodFill(padded, None, (0, 0), 2)
    return np.asarray(padded[1:-1, 1:-1] != 2)


def ring_around(mask: NDArray[np.bool_], inside: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(ring, near): the skin around a mask, a third of its radius wide, without and with a small gap next to it."""
    import cv2

    side = max(mask.shape)
    radius = float(np.sqrt(mask.sum() / np.pi))
    width = max(2, round(max(_RING_MIN * side, _RING_OF_RADIUS * radius)))
    gap = max(1, width // 4)
    binary = mask.astype(np.uint8)
    distance = cv2.distanceTransform(1 - binary, cv2.DIST_L2, 3)
    near = (distance > 0) & (distance <= width) & inside
    return np.asarray(near & (distance > gap)), np.asarray(near)


def _describe(scene: Scene, probability: NDArray[np.float32], mask: NDArray[np.bool_], level: float) -> Candidate:
    import cv2

    lab, clear, inside = scene.lab, scene.clear, scene.inside
    height, width = mask.shape
    area = float(mask.sum())
    total = float(probability.sum())
    held = float(probability[mask].sum())
    ring, near = ring_around(mask, inside)
    ring_clear, mask_clear = ring & clear, mask & clear
    if not mask_clear.any():
        mask_clear = mask
    lesion = lab[mask_clear].mean(axis=0)
    if ring_clear.sum() >= 8:
        skin, noise = lab[ring_clear].mean(axis=0), float(lab[ring_clear][:, 0].std())
    else:
        rest = inside & ~mask
        skin = lab[rest].mean(axis=0) if rest.sum() >= 8 else lesion
        noise = float(lab[rest][:, 0].std()) if rest.sum() >= 8 else 5.0
    difference = lesion - skin
    contrast = float(np.linalg.norm(difference))

    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = max(contours, key=cv2.contourArea)
    perimeter = float(cv2.arcLength(contour, True))
    hull_area = max(float(cv2.contourArea(cv2.convexHull(contour))), 1.0)
    eroded = cv2.erode(
        inside.astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    points = contour[:, 0, :]
    at_edge = float((eroded[points[:, 1], points[:, 0]] == 0).mean())
    across, down = unit_coordinates((height, width))
    x0 = float((mask * across).sum() / area)
    y0 = float((mask * down).sum() / area)
    columns = [
        np.log(level / (1 - level)) / 2,
        4 * held / (total + area) - 1,
        held / area * 2 - 1,
        float(probability[near].mean()) * 4 - 1 if near.any() else 0.0,
        float(np.sqrt(area / (height * width))) * 2 - 1,
        at_edge * 2,
        area / hull_area * 4 - 3,
        float(np.hypot(x0, y0)) * 2 - 0.5,
        contrast / 20 - 1,
        contrast / (noise + 1.0) / 4 - 1,
        noise / 5 - 1,
        4 * np.pi * area / max(perimeter, 1.0) ** 2 * 2 - 1,
        held / (total + 1e-6) * 4 - 3,
        difference[0] / 20,
        difference[1] / 10,
        difference[2] / 10,
        float(clear[mask].mean()) * 4 - 3,
    ]
    features = np.clip(np.asarray(columns, dtype=np.float32), -4, 4)
    return Candidate(mask, level, features, at_edge > 0.02, contrast, noise)
