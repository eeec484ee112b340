"""The lesion's outline as an SVG path, from its mask; drawn over a picture in its own frame or an aligned one."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Points (N, 2) float64: x right, y down, in native pixels.
Border = NDArray[np.float64]

#: The mask is traced at this size (longest side, pixels): finer than a preview shows, and quick for 12 megapixels.
_TRACE_SIZE = 512

#: Points closer to the line between their neighbours than this (traced pixels) are left out.
_TOLERANCE = 0.6


def outlines(mask_png: bytes, width_px: int, height_px: int) -> list[Border]:
    """Outer borders of a 1-bit PNG mask as (N, 2) float64 arrays of native (x, y), pixel centres at integers.

    None are found in what is no picture: the page then goes without the outline.
    """
    import cv2
    from PIL import Image

    try:
        with Image.open(io.BytesIO(mask_png)) as image:
            reduction = min(1.0, _TRACE_SIZE / max(image.size))
            size = (max(1, round(image.width * reduction)), max(1, round(image.height * reduction)))
            mask = np.asarray(image.convert("L").resize(size, Image.Resampling.BOX)) > 127
    except OSError:
        return []
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    stretch = np.array([width_px / size[0], height_px / size[1]])
    borders = []
    for contour in contours:
        if len(contour) < 3:
            continue
        simple = cv2.approxPolyDP(contour, _TOLERANCE, True)[:, 0, :].astype(np.float64)
        borders.append((simple + 0.5) * stretch - 0.5)
    return sorted(borders, key=lambda border: (-len(border), border[0].tolist()))


def to_baseline(border: Border, matrix: Sequence[float]) -> Border:
    """Map follow-up points onto the baseline: `matrix` is the pair's 3x3 baseline-to-follow-up, row by row."""
    inverse = np.linalg.inv(np.array(matrix, np.float64).reshape(3, 3))
    mapped = border @ inverse[:2, :2].T + inverse[:2, 2]
    return np.asarray(mapped, np.float64)


def path(borders: Sequence[Border]) -> str:
    """SVG path data of closed borders, in native pixels measured from the picture's top-left corner."""
    parts = []
    for border in borders:
        points = " ".join(f"{x + 0.5:.1f},{y + 0.5:.1f}" for x, y in border)
        parts.append(f"M{points}Z")
    return "".join(parts)
