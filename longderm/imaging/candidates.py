"""Candidates: connected areas of a probability map at several levels, and what they look like as lesions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.features import Scene, bound, masked_blur, unit_coordinates
from longderm.imaging.outline import share_at_edge

#: Components per level that are considered; further ones are specks.
_PER_LEVEL = 3
#: A component smaller than this share of the photo is a speck.
_MIN_AREA_FRACTION = 0.0015
#: Levels at which the contrast map is cut; 0.5 is Otsu's threshold.
CONTRAST_LEVELS = (0.35, 0.5, 0.65)
#: Smoothing before the steepness of a border is read (share of the longer side).
_EDGE_BLUR = 0.008
#: Width of the ring around a candidate whose colour it is compared with (share of the longer side), at least ...
_RING_MIN = 0.03
#: ... and as a share of the candidate's own radius.
_RING_OF_RADIUS = 0.35


@dataclass(frozen=True, eq=False)
class Candidate:
    """One area: `mask` bool (h, w) without holes, the map and `level` that drew it, and its features.

    cut_share: share of its border on the edge of the field of view; contrast: Lab distance to the ring of skin around
    it; noise: spread of the ring's L*.
    """

    mask: NDArray[np.bool_]
    surface: NDArray[np.float32]
    level: float
    features: NDArray[np.float32]
    cut_share: float
    contrast: float
    noise: float


def find_candidates(
    scene: Scene, probability: NDArray[np.float32], contrast: NDArray[np.float32], levels: tuple[float, ...]
) -> list[Candidate]:
    """The largest areas above each level of probability, and of contrast, without holes; a fixed order."""
    cuts = [(probability, level, 0.0) for level in levels] + [(contrast, level, 1.0) for level in CONTRAST_LEVELS]
    maps = _Maps(probability, contrast, _steepness(scene))
    found = []
    for surface, level, kind in cuts:
        for mask in _components(surface > level):
            looks, at_edge, difference, noise = _describe(scene, maps, mask)
            drawn = [(1 - kind) * np.log(level / (1 - level)) / 2, kind, kind * (level - 0.5) * 4]
            features = bound(np.asarray([*drawn, *looks], dtype=np.float32))
            found.append(Candidate(mask, surface, level, features, at_edge, difference, noise))
    return found


def _components(above: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The largest connected parts, without holes, largest first."""
    import cv2

    least = max(12.0, _MIN_AREA_FRACTION * above.size)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above.astype(np.uint8), connectivity=4)
    areas = np.asarray(stats[1:count, cv2.CC_STAT_AREA])
    order = [int(index) for index in np.argsort(-areas, kind="stable")[:_PER_LEVEL] if areas[index] >= least]
    return [fill_holes(labels == index + 1) for index in order]


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


@dataclass(frozen=True, eq=False)
class _Maps:
    """What candidates of one photo are held against, each float32 (h, w)."""

    probability: NDArray[np.float32]
    contrast: NDArray[np.float32]
    steepness: NDArray[np.float32]


def _steepness(scene: Scene) -> NDArray[np.float32]:
    """Change of Lab per pixel, after a smoothing that leaves borders and takes noise."""
    import cv2

    smooth, _ = masked_blur(scene.lab, scene.inside, _EDGE_BLUR * max(scene.inside.shape))
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.asarray(np.sqrt((across**2 + down**2).sum(axis=2)), dtype=np.float32)


def _describe(scene: Scene, maps: _Maps, mask: NDArray[np.bool_]) -> tuple[list[float], float, float, float]:
    """(features, share of the border at the edge of view, Lab distance to the ring, spread of the ring's L*)."""
    import cv2

    lab, clear, inside = scene.lab, scene.clear, scene.inside
    probability = maps.probability
    height, width = mask.shape
    side = max(height, width)
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
    points = contour[:, 0, :]
    at_edge = share_at_edge(points, inside)
    across, down = unit_coordinates((height, width))
    x0 = float((mask * across).sum() / area)
    y0 = float((mask * down).sum() / area)
    around = mask_clear | ring_clear
    values = lab[around]
    spread = float(((values - values.mean(axis=0)) ** 2).sum(axis=1).mean())
    share = float(mask_clear.sum()) / max(1, int(around.sum()))
    within = float(lab[mask_clear][:, 0].std())
    stands_out = float(maps.contrast[mask].sum())
    columns = [
        4 * stands_out / (float(maps.contrast.sum()) + area) - 1,
        stands_out / area * 2 - 1,
        float(maps.contrast[near].mean()) * 4 - 1 if near.any() else 0.0,
        float(maps.steepness[points[:, 1], points[:, 0]].mean()) * side / (contrast + 1.0) / 8 - 1,
        within / 5 - 1,
        share * (1 - share) * contrast**2 / (spread + 1.0) * 4 - 2,
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
    return [float(column) for column in columns], at_edge, contrast, noise
