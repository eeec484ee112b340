"""Peers that outline a lesion without having learnt anything: Otsu's threshold, and GrabCut from a frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.candidates import fill_holes
from longderm.imaging.grid import enlarge_mask, reduce_pixels, reduced_shape
from longderm.photo import Photo

#: What Otsu's peer smooths by before it thresholds (share of the longer side).
_OTSU_BLUR = 0.01
#: GrabCut works on a copy of this longer side (it takes seconds on a full photo), starts from everything inside of a
#: frame of this share, and takes this many rounds.
_GRABCUT_SIDE_PX, _GRABCUT_FRAME, _GRABCUT_ROUNDS = 192, 0.08, 3


class Answer(NamedTuple):
    """A method's answer: mask bool (H, W), whether it found anything, its confidence in [0, 1], and how far it says the
    area may be off (`longderm.imaging.Segmentation.area_error`), if it does."""

    mask: NDArray[np.bool_]
    found: bool
    confidence: float
    stated_error: float | None = None


def otsu(photo: Photo) -> Answer:
    """The darker class of Otsu's threshold on the smoothed grey photo, its largest part without holes (Otsu 1979)."""
    import cv2

    grey = cv2.cvtColor(photo.pixels, cv2.COLOR_RGB2GRAY)
    smooth = cv2.GaussianBlur(grey, (0, 0), max(0.5, _OTSU_BLUR * max(photo.shape)))
    _, dark = cv2.threshold(smooth, 0, 1, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    return _largest(np.asarray(dark, dtype=np.uint8), photo.shape)


def grabcut(photo: Photo) -> Answer:
    """OpenCV's GrabCut (Rother et al. 2004) that takes the outer frame for skin; its largest part without holes."""
    import cv2

    small = reduce_pixels(photo.pixels, reduced_shape(photo.shape, _GRABCUT_SIDE_PX))
    height, width = small.shape[:2]
    margin = max(1, round(_GRABCUT_FRAME * min(height, width)))
    if min(height, width) <= 2 * margin + 1:
        return Answer(np.zeros(photo.shape, dtype=np.bool_), False, 0.0)
    labels = np.zeros((height, width), dtype=np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    frame = (margin, margin, width - 2 * margin, height - 2 * margin)
    cv2.setRNGSeed(0)  # its first clusters are drawn at random
    cv2.grabCut(small, labels, frame, *models, _GRABCUT_ROUNDS, cv2.GC_INIT_WITH_RECT)
    drawn = _largest((labels & 1).astype(np.uint8), (height, width))
    return drawn._replace(mask=enlarge_mask(drawn.mask, photo.shape))


def _largest(binary: NDArray[np.uint8], shape: tuple[int, int]) -> Answer:
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(binary, connectivity=4)
    if count == 1:
        return Answer(np.zeros(shape, dtype=np.bool_), False, 0.0)
    return Answer(fill_holes(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))), True, 1.0)
