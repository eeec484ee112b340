"""Where a reader sees a simulated lesion end, and what of experts' outlines that rule is fitted to.

A simulated lesion has no edge, its pigment fades out. Its border is where experts draw it: on ISIC 2018's train photos
their outlines are told by the line where half of the contrast is left that the fainter quarter of the lesion has
(`fit_reader_level`: 0.50, by which half of 200 photos' areas are right within 6%); a share of the median contrast, or a
fixed contrast, told them worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.candidates import fill_holes
from longderm.imaging.colour import linear_to_lab, srgb_to_lab
from longderm.simulate.close_up import CloseUp
from longderm.training.examples import Example

#: A reader's line lies where this share is left of the contrast that _FAINTER percent of the lesion do not reach.
READER_LEVEL, _FAINTER = 0.5, 25.0
#: Levels that are tried in the fit, the ring in which it takes the skin's colour (shares of the lesion's diameter), and
#: the least contrast (Lab) that it can be told by.
_LEVELS = tuple(round(0.02 * step, 2) for step in range(10, 41))
_RING, _LEAST_CONTRAST = (0.08, 0.3), 4.0
#: Lesions are seen up to so many months after their first photo.
_MONTHS = 24.0
#: Features of a lesion's course that are no part of what its border encloses (inflamed skin around it), or that hide
#: that they are (scar-like skin in it).
_NOT_ITS_BORDER = frozenset({"redness", "regression"})


def draw_scene(seed: int, number: int) -> CloseUp:
    """A simulated close-up photo: every kind of lesion in turn, at a random month of its course."""
    from longderm.simulate.close_up import draw_close_up
    from longderm.simulate.pigment import LOOKS

    kinds = sorted(LOOKS)
    month = float(np.random.default_rng([seed, number, 72]).uniform(0, _MONTHS))
    return draw_close_up(seed, number, kind=kinds[number % len(kinds)], month=month)


def visible_border(drawn: CloseUp) -> NDArray[np.bool_]:
    """Where a reader sees the lesion of a simulated photo, bool (H, W): by its own pigment and blood on this skin."""
    import cv2

    from longderm.simulate.pigment import READER_MM, render_pigment
    from longderm.simulate.skin import reflect, skin_chromophores

    shot, history = drawn.shot, drawn.history
    course = {name: value for name, value in drawn.state.course.items() if name not in _NOT_ITS_BORDER}
    radii = history.outline_at(drawn.state)
    pigment = render_pigment(
        drawn.looks, history, replace(drawn.state, course=course), radii, shot.matrix, shot.size, 0.0
    )
    melanin, blood, _ = skin_chromophores(drawn.skin, shot.seed, shot.matrix, shot.size, 0.0, shot.px_per_mm)
    melanin, blood = melanin[pigment.window], blood[pigment.window]
    lesion = linear_to_lab(reflect(melanin + pigment.melanin, blood + pigment.blood))
    differs = lesion - linear_to_lab(reflect(melanin, blood))
    contrast = _along_its_colour(differs, drawn.mask[pigment.window])
    contrast = np.asarray(cv2.GaussianBlur(contrast, (0, 0), max(0.6, READER_MM * shot.px_per_mm)), np.float32)
    border = np.zeros_like(drawn.mask)
    border[pigment.window] = above_level(contrast, drawn.mask[pigment.window], READER_LEVEL)
    return border


def fit_reader_level(examples: Sequence[Example]) -> tuple[float, float]:
    """The level whose line encloses experts' areas without bias, in the median over photos, and the median error of the
    area that is left (of its logarithm). Photos without skin around the lesion, or without contrast, say nothing."""
    known = [found for found in map(_contrast_of, examples) if found is not None]
    off = np.array([[_area_off(contrast, mask, level) for level in _LEVELS] for contrast, mask in known])
    best = int(np.argmin(np.abs(np.median(off, axis=0))))
    return _LEVELS[best], round(float(np.median(np.abs(off[:, best]))), 4)


def above_level(contrast: NDArray[np.float32], mask: NDArray[np.bool_], level: float) -> NDArray[np.bool_]:
    """The largest piece, without holes, where the contrast float32 (h, w) is above `level` times that of the fainter
    quarter of the lesion `mask`, bool (h, w)."""
    import cv2

    above = (contrast > level * np.percentile(contrast[mask], _FAINTER)).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=4)
    if count == 1:
        return np.zeros_like(mask)
    return fill_holes(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))


def _along_its_colour(differs: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How far colours (h, w, 3), differences from the skin in Lab, lie in the direction of the lesion's own."""
    own = np.median(differs[mask], axis=0)
    return np.asarray(differs @ (own / max(float(np.linalg.norm(own)), 1e-6)), np.float32)


def _contrast_of(example: Example) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
    import cv2

    mask = example.mask > 127
    if not mask.any():
        return None
    near, far = (round(share * 2 * float(np.sqrt(mask.sum() / np.pi))) for share in _RING)
    outer, inner = (cv2.dilate(mask.astype(np.uint8), np.ones((2 * by + 1,) * 2, np.uint8)) for by in (far, near))
    ring = (outer > 0) & (inner == 0)
    if ring.sum() < mask.sum() / 10:
        return None
    lab = srgb_to_lab(np.asarray(cv2.medianBlur(example.fine, 5), np.uint8))
    contrast = _along_its_colour(np.asarray(lab - np.median(lab[ring], axis=0), np.float32), mask)
    contrast = np.asarray(cv2.GaussianBlur(contrast, (0, 0), 2.0), np.float32)
    return (contrast, mask) if float(np.percentile(contrast[mask], _FAINTER)) >= _LEAST_CONTRAST else None


def _area_off(contrast: NDArray[np.float32], mask: NDArray[np.bool_], level: float) -> float:
    return float(np.log(max(1, int(above_level(contrast, mask, level).sum())) / int(mask.sum())))
