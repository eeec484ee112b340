"""The heat map drawn over the baseline, for people to look at."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from longderm.change.result import LAB, PROBABILITY

#: Unit -> what is drawn transparent up to, and from where on the overlay no longer grows stronger. An alignment and two
#: cameras leave a colour difference of 4; a place that rather did not change than did is not marked.
SHOWN: Mapping[str, tuple[float, float]] = MappingProxyType({LAB: (4.0, 20.0), PROBABILITY: (0.5, 1.0)})
#: The strongest overlay leaves this share of the photo visible.
_PHOTO_SHARE = 0.25
#: Colour of small and of large differences: yellow to magenta, neither of which skin or lesions have.
_SMALL_RGB = (255, 220, 0)
_LARGE_RGB = (230, 0, 170)
#: What is not seen in both photos is dimmed by this factor.
_UNSEEN_DIM = 0.45


def draw_heatmap(heatmap: NDArray[np.float32], preview_pixels: NDArray[np.uint8], unit: str = LAB) -> NDArray[np.uint8]:
    """Draw a heat map over a copy of the baseline, uint8 (h, w, 3).

    heatmap: float32 (H, W) in `unit`, of SHOWN, NaN outside of what both photos show; preview_pixels: uint8 (h, w, 3),
    the baseline at any reduced size. What is less than the unit's first value in SHOWN is not drawn.
    """
    import cv2

    height, width = preview_pixels.shape[:2]
    seen = np.isfinite(heatmap)
    filled = np.where(seen, heatmap, np.float32(0)).astype(np.float32)
    if heatmap.shape != (height, width):
        filled = np.asarray(cv2.resize(filled, (width, height), interpolation=cv2.INTER_AREA), dtype=np.float32)
        nearest = cv2.resize(seen.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        seen = np.asarray(nearest > 0)
    low, full = SHOWN[unit]
    strength = np.clip((filled - low) / (full - low), 0.0, 1.0)[..., None]
    overlay = np.array(_SMALL_RGB) * (1.0 - strength) + np.array(_LARGE_RGB) * strength
    # The square root makes a small but real difference visible at once.
    opacity = (1.0 - _PHOTO_SHARE) * np.sqrt(strength)
    drawn = preview_pixels * (1.0 - opacity) + overlay * opacity
    drawn = np.where(seen[..., None], drawn, preview_pixels * _UNSEEN_DIM)
    return np.round(drawn).astype(np.uint8)
