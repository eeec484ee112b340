"""What a pixel looks like against the skin of its own photo: the features on which the mask is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.artefacts import Artefacts
from longderm.imaging.colour import srgb_to_lab
from longderm.imaging.grid import reduce_pixels, reduced_shape

#: A pixel of a reduced copy is left out where artefacts cover more than this share of it.
_COVERED_SHARE = 0.3
#: ... and where not at least this much of it lies in the field of view.
_INSIDE_SHARE = 0.75
#: The outer frame of the field of view in coordinates of -1 to 1, where skin is most likely.
_FRAME_FROM = 0.8
#: Percentiles of lightness between which the lighter pixels lie, clipped highlights left out.
_LIGHT_PERCENTILES = (70.0, 95.0)
#: Blurs (share of the longer side): pixel noise, structures inside a lesion, the lesion as a whole.
_FINE, _MEDIUM, _COARSE = 0.004, 0.025, 0.08
#: Smoothing of the contrast map (share of the longer side).
_CONTRAST_BLUR = 0.01
#: A gap is filled from a window of which at least this share is clear.
_FILL_MIN_WEIGHT = 0.05


@dataclass(frozen=True, eq=False)
class Scene:
    """A reduced copy of a photo, cleaned: `lab` float32 (h, w, 3) with artefacts filled from around them.

    `inside`: the field of view; `clear`: inside and neither hair nor glare, both bool (h, w).
    """

    lab: NDArray[np.float32]
    inside: NDArray[np.bool_]
    clear: NDArray[np.bool_]


def look_at(pixels: NDArray[np.uint8], side_px: int, artefacts: Artefacts) -> Scene:
    """The scene of uint8 (H, W, 3) on a grid whose longer side is `side_px` (or less, if the photo is smaller)."""
    shape = reduced_shape((pixels.shape[0], pixels.shape[1]), side_px)
    covered = _share_of(artefacts.hair | artefacts.glare, shape) > _COVERED_SHARE
    inside = _share_of(artefacts.inside, shape) > _INSIDE_SHARE
    if not inside.any():
        inside = np.ones(shape, dtype=np.bool_)
    clear = inside & ~covered
    if not clear.any():
        clear = inside
    return Scene(_fill(srgb_to_lab(reduce_pixels(pixels, shape)), clear), inside, clear)


def _share_of(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.float32]:
    """The share of each pixel of another grid that a mask covers, float32."""
    import cv2

    flags = cv2.INTER_AREA if shape[0] <= mask.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(mask.astype(np.float32), (shape[1], shape[0]), interpolation=flags))


def _fill(lab: NDArray[np.float32], clear: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`lab` with what is not clear replaced by the mean of the clear pixels around it, from ever wider windows."""
    filled = lab.copy()
    gap = ~clear
    for share in (_MEDIUM, _COARSE, 1.0):
        if not gap.any():
            break
        smooth, weight = masked_blur(lab, clear, share * max(clear.shape))
        here = gap & ((weight > _FILL_MIN_WEIGHT) | (share == 1.0))
        filled[here] = smooth[here]
        gap = gap & ~here
    return filled


def masked_blur(
    values: NDArray[np.float32], mask: NDArray[np.bool_], sigma_px: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gaussian mean of float32 (h, w) or (h, w, c) over the mask only, and the mask's share in each window."""
    weight = _blur(mask.astype(np.float32), sigma_px)
    keep = mask[..., None] if values.ndim == 3 else mask
    total = _blur(np.where(keep, values, np.float32(0)), sigma_px)
    floor = np.maximum(weight, np.float32(1e-6))
    return np.asarray(total / (floor[..., None] if values.ndim == 3 else floor), dtype=np.float32), weight


def _blur(values: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Gaussian blur, wide ones on a coarser grid, where they are the same within a percent and much quicker."""
    import cv2

    if sigma_px < 6.0:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), max(sigma_px, 0.3)))
    height, width = values.shape[:2]
    step = sigma_px / 3.0
    size = (max(2, round(width / step)), max(2, round(height / step)))
    coarse = cv2.GaussianBlur(cv2.resize(values, size, interpolation=cv2.INTER_AREA), (0, 0), 3.0)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))


def bound(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values of about one unchanged, large ones drawn in to at most 2: a square must not turn against the extreme."""
    return np.asarray(values / np.sqrt(1 + (values / 2) ** 2), dtype=np.float32)


def unit_coordinates(shape: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Columns and rows from -1 to 1, float32 (1, w) and (h, 1)."""
    height, width = shape
    across = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
    down = (np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1
    return across[None, :].astype(np.float32), down[:, None].astype(np.float32)


def skin_features(scene: Scene) -> NDArray[np.float32]:
    """Features of each pixel, float32 (h, w, 20): colour against the frame of the photo, position, texture."""
    lab, clear = scene.lab, scene.clear
    shape = lab.shape[:2]
    side = max(shape)
    across, down = unit_coordinates((shape[0], shape[1]))
    fine, _ = masked_blur(lab, scene.inside, _FINE * side)
    medium, _ = masked_blur(lab, scene.inside, _MEDIUM * side)
    coarse, _ = masked_blur(lab[..., 0], scene.inside, _COARSE * side)
    square, _ = masked_blur(lab[..., 0] ** 2, scene.inside, _MEDIUM * side)
    texture = np.sqrt(np.maximum(square - medium[..., 0] ** 2, 0))

    frame = clear & (np.maximum(np.abs(across), np.abs(down)) > _FRAME_FROM)
    framing = lab[frame] if frame.sum() > 16 else lab[clear]
    skin = np.median(framing, axis=0)
    spread = np.subtract(*np.percentile(framing[:, 0], [90, 10]))
    lightness = lab[..., 0][clear]
    low, light_low, light_high = np.percentile(lightness, [5, *_LIGHT_PERCENTILES])
    light = np.median(lab[clear & (lab[..., 0] >= light_low)], axis=0)
    contrast = max(light_high - low, 4.0)

    columns = [
        (fine[..., 0] - skin[0]) / 20,
        (fine[..., 1] - skin[1]) / 10,
        (fine[..., 2] - skin[2]) / 10,
        (fine[..., 0] - light[0]) / 20,
        (fine[..., 1] - light[1]) / 10,
        (fine[..., 2] - light[2]) / 10,
        (medium[..., 0] - skin[0]) / 20,
        (medium[..., 1] - skin[1]) / 10,
        (medium[..., 2] - skin[2]) / 10,
        (coarse - skin[0]) / 20,
        fine[..., 0] / 50 - 1,
        fine[..., 1] / 20 - 0.5,
        fine[..., 2] / 20 - 0.5,
        (fine[..., 0] - low) / contrast - 0.5,
        np.broadcast_to(across**2, shape),
        np.broadcast_to(down**2, shape),
        texture / 5 - 0.5,
        np.full(shape, contrast / 30 - 1),
        np.full(shape, (skin[0] - light[0]) / 10),
        np.full(shape, spread / 20 - 0.5),
    ]
    stack = np.stack([np.asarray(column, dtype=np.float32) for column in columns], axis=-1)
    return bound(stack)


def context_features(scene: Scene, score: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features of each pixel given a first score (log-odds), float32 (h, w, 20).

    The score itself at several widths, the colour between the skin and the lesion that the score suggests, and the
    place in the ellipse that it suggests ("auto-context", Tu and Bai 2010, doi 10.1109/TPAMI.2009.186).
    """
    lab, clear, inside = scene.lab, scene.clear, scene.inside
    shape = (lab.shape[0], lab.shape[1])
    side = max(shape)
    clipped = np.clip(score, -8, 8).astype(np.float32)
    probability = (1 / (1 + np.exp(-clipped)) * inside).astype(np.float32)
    across, down = unit_coordinates(shape)
    central = np.exp(-(across**2 + down**2)).astype(np.float32)

    surely = probability * clear
    lesion = _weighted_colour(lab, surely**2 * central)
    skin = _weighted_colour(lab, ((1 - probability) * clear) ** 2)
    axis = lesion - skin
    distance = max(float(np.linalg.norm(axis)), 2.0)
    fine, _ = masked_blur(lab, inside, _FINE * side)
    medium, _ = masked_blur(lab, inside, _MEDIUM * side)
    along_fine = (fine - skin) @ (axis / distance) / distance
    along_medium = (medium - skin) @ (axis / distance) / distance
    off_fine = np.linalg.norm(fine - skin, axis=-1) / distance

    near, _ = masked_blur(probability, inside, 0.01 * side)
    wide, _ = masked_blur(probability, inside, 0.04 * side)
    wider, _ = masked_blur(probability, inside, 0.12 * side)
    mean = float(probability[inside].mean())
    ellipse = _ellipse_distance(probability**2 * central)

    columns = [
        clipped / 4,
        near * 4 - 2,
        wide * 4 - 2,
        wider * 4 - 2,
        along_fine * 2 - 1,
        along_medium * 2 - 1,
        off_fine - 1,
        (fine[..., 0] - skin[0]) / 20,
        (fine[..., 1] - skin[1]) / 10,
        (fine[..., 2] - skin[2]) / 10,
        fine[..., 0] / 50 - 1,
        ellipse - 1,
        np.broadcast_to(across**2, shape),
        np.broadcast_to(down**2, shape),
        np.full(shape, mean * 4 - 1),
        np.full(shape, distance / 20 - 1),
        np.full(shape, axis[0] / 20),
        np.full(shape, axis[1] / 10),
        np.full(shape, axis[2] / 10),
        np.broadcast_to(np.maximum(np.abs(across), np.abs(down)) * 2 - 1, shape),
    ]
    stack = np.stack([np.asarray(column, dtype=np.float32) for column in columns], axis=-1)
    return bound(stack)


def _weighted_colour(lab: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    total = float(weight.sum()) + 1e-6
    return np.asarray((lab * weight[..., None]).sum(axis=(0, 1)) / total, dtype=np.float32)


def _ellipse_distance(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mahalanobis distance of each pixel from the weights' centre under their own spread, halved."""
    across, down = unit_coordinates((weight.shape[0], weight.shape[1]))
    total = float(weight.sum()) + 1e-6
    x0, y0 = float((weight * across).sum()) / total, float((weight * down).sum()) / total
    dx, dy = across - x0, down - y0
    xx = float((weight * dx * dx).sum()) / total + 1e-3
    yy = float((weight * dy * dy).sum()) / total + 1e-3
    xy = float((weight * dx * dy).sum()) / total
    determinant = max(xx * yy - xy * xy, 1e-6)
    square = (yy * dx * dx - 2 * xy * dx * dy + xx * dy * dy) / determinant
    return np.asarray(np.sqrt(np.maximum(square, 0)) / 2, dtype=np.float32)


def contrast_map(scene: Scene) -> NDArray[np.float32]:
    """How far each pixel is darker or redder than most of the photo, float32 (h, w) in [0, 1]; 0.5 at Otsu's threshold.

    It knows nothing of how lesions look, and so stands by where the learned map drowns a small lesion in flushed skin.
    """
    lab, clear, inside = scene.lab, scene.clear, scene.inside
    middle = np.median(lab[clear], axis=0)
    darker = np.maximum(middle[0] - lab[..., 0], 0)
    redder = np.maximum(lab[..., 1] - middle[1], 0)
    distance, _ = masked_blur(np.hypot(darker, redder).astype(np.float32), inside, _CONTRAST_BLUR * max(inside.shape))
    values = distance[clear]
    top = max(float(np.percentile(values, 99.8)), 1.0)
    threshold = _otsu(np.clip(values / top, 0, 1)) * top
    return np.asarray(np.clip(distance / (2 * threshold), 0, 1) * inside, dtype=np.float32)


def _otsu(values: NDArray[np.float32]) -> float:
    """The threshold in (0, 1) that parts values in [0, 1] best into two classes (Otsu 1979)."""
    counts, edges = np.histogram(values, bins=128, range=(0, 1))
    share = counts / max(1, counts.sum())
    centres = (edges[:-1] + edges[1:]) / 2
    below = share.cumsum()
    mass = (share * centres).cumsum()
    between = (mass[-1] * below - mass) ** 2 / np.maximum(below * (1 - below), 1e-9)
    return float(edges[1 + int(np.argmax(between[:-1]))])
