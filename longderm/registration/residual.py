"""What a similarity cannot follow: the mild bend of skin under a contact plate, for display and heat maps only.

Never for measures: a field that can bend can hide growth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longderm.photo import Photo
from longderm.registration.preparation import Prepared, prepare
from longderm.registration.refine import bring_together
from longderm.registration.similarity import Matrix
from longderm.threads import one_thread

#: The pyramid level that the field is fitted on.
_LEVEL = 1

#: Standard deviation of the window that moves as one, as a share of the longer side: a fifth of a field of 20 mm is
#: about a lesion, so the field bends across a lesion but cannot swell it alone.
_WINDOW_SHARE = 0.10

#: Pull towards no displacement, relative to the texture of the median window: where there is no texture the field
#: dies out.
_RIDGE = 0.15

#: Passes; each warps the follow-up by the field so far.
_PASSES = 4

#: Displacements are held to this share of the lesion's diameter: more than that is a wrong alignment, no bend.
MAX_SHARE = 0.06


def residual_field(
    baseline: Photo | Prepared, followup: Photo | Prepared, matrix: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Smooth displacement that remains after an accepted alignment, float32 (H, W, 2) on the baseline's native grid.

    Baseline pixel p shows what the follow-up shows at matrix p + field[p], in follow-up pixels (x, y). Lucas-Kanade
    (1981) with a wide Gaussian window; zero where there is no texture.
    """
    first = prepare(baseline) if isinstance(baseline, Photo) else baseline
    second = prepare(followup) if isinstance(followup, Photo) else followup
    with one_thread():
        return _field(first, second, np.asarray(matrix, np.float64))


def _field(first: Prepared, second: Prepared, matrix: Matrix) -> NDArray[np.float32]:
    import cv2

    level = first.levels[_LEVEL]
    common = bring_together(level, second.levels[_LEVEL], matrix)
    height, width = common.weight.shape
    sigma = _WINDOW_SHARE * max(height, width)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    field = np.zeros((2, height, width), np.float32)

    def over_window(image: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)

    unit = float(np.sqrt(level.from_native[0, 0] * level.from_native[1, 1]))
    diameter = first.lesion_diameter_px or 0.5 * min(first.shape)
    most = MAX_SHARE * diameter * unit
    for _ in range(_PASSES):
        moved = cv2.remap(common.followup, x + field[0], y + field[1], cv2.INTER_LINEAR)
        seen = cv2.remap(common.weight, x + field[0], y + field[1], cv2.INTER_LINEAR)
        weight = np.minimum(common.weight, seen)
        mean = 0.5 * (moved + common.baseline)
        gx, gy = np.zeros_like(mean), np.zeros_like(mean)
        gx[:, 1:-1] = 0.5 * (mean[:, 2:] - mean[:, :-2])
        gy[1:-1, :] = 0.5 * (mean[2:, :] - mean[:-2, :])
        error = common.baseline - moved
        xx, xy, yy, xe, ye = (
            over_window(np.asarray(weight * a * b, np.float32))
            for a, b in ((gx, gx), (gx, gy), (gy, gy), (gx, error), (gy, error))
        )
        ridge = np.float32(_RIDGE * float(np.median(xx + yy)) + 1e-9)
        xx, yy = xx + ridge, yy + ridge
        # The pull is towards the undisplaced photo, not towards the last pass.
        xe, ye = xe - ridge * field[0] * np.float32(_RIDGE), ye - ridge * field[1] * np.float32(_RIDGE)
        determinant = xx * yy - xy * xy
        field[0] += (yy * xe - xy * ye) / determinant
        field[1] += (xx * ye - xy * xe) / determinant
        length = np.hypot(field[0], field[1])
        field *= np.minimum(1.0, np.float32(most) / np.maximum(length, 1e-6))
    # From pixels of the level on the baseline's side to native pixels of the follow-up.
    full_h, full_w = first.shape
    columns = ((np.arange(full_w) + 0.5) * level.from_native[0, 0] - 0.5).astype(np.float32)
    rows = ((np.arange(full_h) + 0.5) * level.from_native[1, 1] - 0.5).astype(np.float32)
    grid_x, grid_y = np.meshgrid(columns, rows)
    native = [cv2.remap(part, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for part in field]
    linear = (matrix[:2, :2] / unit).astype(np.float32)
    turned = np.stack([linear[i, 0] * native[0] + linear[i, 1] * native[1] for i in range(2)], axis=-1)
    return np.asarray(turned, np.float32)
