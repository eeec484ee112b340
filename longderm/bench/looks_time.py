"""What each part of one photo costs: CPU seconds on one thread, beside decoding its JPEG, at several sizes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from longderm.imaging import (
    Segmentation,
    assess_coverage,
    assess_quality,
    find_structures,
    measure,
    read_ruler,
    segment,
)
from longderm.imaging.artefacts import find_artefacts
from longderm.imaging.sight import see, uses_network
from longderm.models import Release
from longderm.photo import Photo

#: Widths of the photos (4:3).
WIDTHS_PX = (512, 1024, 2048, 4000)
#: The least of so many runs counts: what else the machine does only adds.
_REPEATS = 3
#: Quality of the JPEG that is decoded for comparison.
_JPEG_QUALITY = 90


def time_parts(release: Release, seed: int = 1) -> dict[str, dict[str, float]]:
    """Per width: CPU seconds of each part, of all together, and their ratio to decoding the photo's JPEG.

    Coverage is without the ruler, which is read once for both; `measure` holds skin tone, colours and looks.
    """
    import cv2

    from longderm.simulate.close_up import draw_close_up

    scene = draw_close_up(seed, 4)
    figures = {}
    for width in WIDTHS_PX:
        size = (width, width * 3 // 4)
        shrunk = width < scene.pixels.shape[1]
        pixels = cv2.resize(scene.pixels, size, interpolation=cv2.INTER_AREA if shrunk else cv2.INTER_CUBIC)
        mask = cv2.resize(scene.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        true = Segmentation(np.asarray(mask), 1.0, True, None, False, "simulated")
        figures[str(width)] = _time(Photo.from_array(np.asarray(pixels, np.uint8), px_per_mm=width / 20), true, release)
    return figures


def print_times(figures: dict[str, dict[str, float]]) -> None:
    """A table: parts down, widths across."""
    print("".join([f"{'CPU seconds, one thread':<30}", *(f"{width + ' px':>12}" for width in figures)]))
    for part in next(iter(figures.values())):
        print("".join([f"{part:<30}", *(f"{row[part]:>12}" for row in figures.values())]))


def _time(photo: Photo, true: Segmentation, release: Release) -> dict[str, float]:
    import cv2

    encoded = cv2.imencode(".jpg", photo.pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    artefacts, ruler = find_artefacts(photo.pixels), read_ruler(photo)
    sight = see(photo, release) if uses_network(release) else None
    parts: dict[str, Callable[[], Any]] = {
        "artefacts": lambda: find_artefacts(photo.pixels),
        "quality": lambda: assess_quality(photo, artefacts, true),
        "ruler": lambda: read_ruler(photo),
        "coverage": lambda: assess_coverage(photo, ruler, artefacts),
        "measure": lambda: measure(photo, true, artefacts),
        "outline": lambda: segment(photo, release, sight, artefacts),
    }
    if sight is not None:
        parts |= {
            "network": lambda: see(photo, release),
            "structures": lambda: find_structures(photo, release, sight),
        }
    decode = _least(lambda: cv2.imdecode(encoded, cv2.IMREAD_COLOR))
    spent = {name: _least(part) for name, part in parts.items()}
    without = sum(spent[name] for name in ("artefacts", "quality", "coverage", "measure"))
    together = sum(spent.values())
    figures = {
        "decode": decode,
        **spent,
        "without ruler and outline": without,
        "together": together,
        "together / decode": together / decode,
    }
    return {name: round(value, 4) for name, value in figures.items()}


def _least(part: Callable[[], Any]) -> float:
    runs = []
    for _ in range(_REPEATS):
        started = time.process_time()
        part()
        runs.append(time.process_time() - started)
    return max(min(runs), 1e-6)
