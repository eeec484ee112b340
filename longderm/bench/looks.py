"""Skin tone, area, asymmetry and border of simulated lesions against the truth of the simulator.

The truth of the skin tone is the same scene with nothing lying on it (no hair, gel, glare, ruler, ink) within the true
mask's ring; of the area, the rendered mask; of the asymmetry of shape, that mask folded pixel by pixel about axes
through its centre, by other code than the one that is measured. Photos that the simulator calls "good" are reported.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.imaging import measure, segment
from longderm.imaging.candidates import ring_around
from longderm.imaging.colour import srgb_to_linear
from longderm.imaging.coverage import assess_coverage
from longderm.imaging.lesion_looks import describe
from longderm.imaging.ruler import read_ruler
from longderm.imaging.skin_tone import skin_tone
from longderm.photo import Photo

#: Axes about which a true mask is folded, over half a turn.
_AXES = 30
#: Repeats of the timing.
_REPEATS = 5


def run(out: Path, photos: int = 40, seed: int = 1) -> dict[str, Any]:
    """Measure `photos` simulated photos; prints a table. `out` is the folder of the report."""
    del out
    from longderm.simulate.close_up import draw_close_up
    from longderm.simulate.render import render

    tone, drawn_tone, area, found_asymmetry, true_asymmetry = [], [], [], [], []
    missed = good = 0
    for number in range(photos):
        scene = draw_close_up(seed, number)
        if scene.shot.quality != "good":
            continue
        good += 1
        photo = Photo.from_array(scene.pixels)
        drawn = segment(photo)
        if not drawn.found:
            missed += 1
            continue
        looks = describe(photo, drawn)
        area.append(abs(float(drawn.mask.sum()) / float(scene.mask.sum()) - 1))
        bare = replace(scene.shot, artefacts={})
        clean = render(scene.skin, scene.looks, scene.history, scene.state, bare, 0.0).pixels
        ring, _ = ring_around(scene.mask, np.ones(scene.mask.shape, dtype=np.bool_))
        ring &= _inside(scene.pixels)
        truth = skin_tone(srgb_to_linear(clean), ring)
        if truth is not None and looks.tone is not None:
            tone.append(abs(looks.tone.ita_deg - truth.ita_deg))
            drawn_tone.append(truth.ita_deg)
        measured = measure(photo, drawn).asymmetry_shape
        if measured is not None:
            found_asymmetry.append(measured)
            true_asymmetry.append(folded(scene.mask))
    result = {
        "photos": good,
        "no_lesion_found": missed,
        "area_error_median": _percentile(area, 50),
        "area_error_p95": _percentile(area, 95),
        "ita_error_median_deg": _percentile(tone, 50),
        "ita_error_p95_deg": _percentile(tone, 95),
        "ita_within_2_deg": round(float(np.mean(np.array(tone) <= 2)), 4) if tone else None,
        "ita_range_deg": [round(min(drawn_tone), 1), round(max(drawn_tone), 1)] if drawn_tone else None,
        "asymmetry_shape_spearman": _spearman(found_asymmetry, true_asymmetry),
        "cpu_seconds_1024x768": _time(seed),
    }
    for name, value in result.items():
        print(f"{name:<28}{value}")
    return result


def folded(mask: NDArray[np.bool_]) -> float:
    """Least mean, over two axes at right angles, of the share of a mask that does not meet its mirror image."""
    import cv2

    rows, columns = np.nonzero(mask)
    x, y = float(columns.mean()), float(rows.mean())
    shares = []
    plane = mask.astype(np.float32)
    for axis in range(_AXES):
        double = 2 * np.pi * axis / _AXES
        mirror = np.array([[np.cos(double), np.sin(double)], [np.sin(double), -np.cos(double)]])
        shift = np.array([x, y]) - mirror @ np.array([x, y])
        matrix = np.column_stack([mirror, shift])
        image = cv2.warpAffine(plane, matrix, (mask.shape[1], mask.shape[0]), flags=cv2.INTER_LINEAR)
        shares.append(1 - float(np.minimum(image, plane).sum()) / float(plane.sum()))
    half = _AXES // 2
    return max(0.0, min((shares[axis] + shares[axis + half]) / 2 for axis in range(half)))


def _inside(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    from longderm.imaging import field_of_view

    return field_of_view(Photo.from_array(pixels))


def _percentile(values: list[float], percent: float) -> float | None:
    return round(float(np.percentile(values, percent)), 4) if values else None


def _spearman(one: list[float], two: list[float]) -> float | None:
    from scipy.stats import spearmanr

    return round(float(spearmanr(one, two).statistic), 4) if len(one) > 2 else None


def _time(seed: int) -> dict[str, float]:
    """CPU seconds of each part on one photo of 1024x768, the least of several runs."""
    import cv2

    from longderm.simulate.close_up import draw_close_up

    scene = draw_close_up(seed, 4)
    size = (1024, 768)
    photo = Photo.from_array(np.asarray(cv2.resize(scene.pixels, size, interpolation=cv2.INTER_CUBIC), np.uint8))
    drawn = segment(photo)
    spent: dict[str, float] = {}
    for name, part in (
        ("read_ruler", lambda: read_ruler(photo)),
        ("read_ruler and coverage", lambda: assess_coverage(photo)),
        ("describe", lambda: describe(photo, drawn)),
        ("measure", lambda: measure(photo, drawn)),
    ):
        runs = []
        for _ in range(_REPEATS):
            started = time.process_time()
            part()
            runs.append(time.process_time() - started)
        spent[name] = round(min(runs), 4)
    spent["together"] = round(spent["read_ruler and coverage"] + spent["measure"], 4)  # which describes
    return spent
