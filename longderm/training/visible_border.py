"""Where a reader sees a simulated lesion end, and what of experts' outlines that rule is fitted to.

A simulated lesion has no edge, its pigment fades out. Its border is where experts draw it: on ISIC 2018's train photos
their outlines are told by a line of contrast to the skin that is smoothed by a share of the lesion's diameter, and lies
the higher the darker the lesion is, but less than in proportion (`fit_reader_line`). A fixed contrast drew dark lesions
too wide and faint ones too narrow, a share of the lesion's own contrast the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.candidates import fill_holes
from longderm.imaging.colour import linear_to_lab, srgb_to_lab
from longderm.simulate.close_up import CloseUp
from longderm.training.examples import Example


@dataclass(frozen=True)
class ReaderLine:
    """Where readers draw: at `contrast` (Lab) for a lesion whose median contrast is _USUAL_CONTRAST, in proportion to
    the median's `power` for others."""

    contrast: float
    power: float

    def threshold(self, median: float) -> float:
        """The contrast (Lab) at the border of a lesion of that median contrast."""
        return float(self.contrast * (max(median, 0.0) / _USUAL_CONTRAST) ** self.power)


_USUAL_CONTRAST = 20.0
#: As fitted (tests/bench/README.md has the command).
READER_LINE = ReaderLine(contrast=7.2, power=0.8)
#: Standard deviation by which contrast is smoothed before it is followed, a share of the lesion's diameter: from 0.02
#: to 0.06, lines met experts' outlines about equally well, below less well.
_SMOOTHED = 0.03
#: Borders of `longderm.simulate` so much rougher have asymmetries that spread as those of experts' outlines do.
READER_ROUGHNESS = 1.6
#: Contrasts and powers that are tried in the fit, the ring in which it takes the skin's colour (shares of the lesion's
#: diameter), and the least contrast (Lab) that it can be told by.
_CONTRASTS = np.exp(np.linspace(np.log(1.0), np.log(40.0), 60))
_POWERS = tuple(round(0.1 * step, 1) for step in range(11))
_RING, _LEAST_CONTRAST = (0.08, 0.3), 4.0
#: Lesions are seen up to so many months after their first photo.
_MONTHS = 24.0
#: Features of a lesion's course that are no part of what its border encloses (inflamed skin around it), or that hide
#: that they are (scar-like skin in it).
_NOT_ITS_BORDER = frozenset({"redness", "regression"})


def draw_scene(
    seed: int, number: int, roughness: float = READER_ROUGHNESS, kinds: Sequence[str] | None = None
) -> CloseUp:
    """A simulated close-up photo: every one of these kinds of lesion in turn, at a random month of its course.

    roughness: its border is so many times as irregular as the simulator draws it for an archive; kinds: all if None.
    """
    from longderm.simulate.close_up import draw_close_up
    from longderm.simulate.pigment import LOOKS
    from longderm.simulate.render import render

    kinds = sorted(LOOKS) if kinds is None else kinds
    month = float(np.random.default_rng([seed, number, 72]).uniform(0, _MONTHS))
    drawn = draw_close_up(seed, number, kind=kinds[number % len(kinds)], month=month)
    history = replace(drawn.history, irregularity=roughness * drawn.history.irregularity)
    picture = render(drawn.skin, drawn.looks, history, drawn.state, drawn.shot, 0.0)
    return replace(drawn, history=history, pixels=picture.pixels, mask=picture.mask)


def visible_border(drawn: CloseUp) -> NDArray[np.bool_]:
    """Where a reader sees the lesion of a simulated photo, bool (H, W): by its own pigment and blood on this skin."""
    from longderm.simulate.pigment import render_pigment
    from longderm.simulate.skin import reflect, skin_chromophores

    shot, history = drawn.shot, drawn.history
    course = {name: value for name, value in drawn.state.course.items() if name not in _NOT_ITS_BORDER}
    looks, state = replace(drawn.looks, colours=0.0), replace(drawn.state, course=course)
    radii = history.outline_at(drawn.state)
    pigment = render_pigment(looks, history, state, radii, shot.matrix, shot.size, 0.0)
    melanin, blood, _ = skin_chromophores(drawn.skin, shot.seed, shot.matrix, shot.size, 0.0, shot.px_per_mm)
    melanin, blood = melanin[pigment.window], blood[pigment.window]
    lesion = linear_to_lab(reflect(melanin + pigment.melanin, blood + pigment.blood))
    contrast = np.zeros(drawn.mask.shape, np.float32)
    contrast[pigment.window] = np.linalg.norm(lesion - linear_to_lab(reflect(melanin, blood)), axis=2)
    contrast = _smoothed(contrast, drawn.mask)
    return line_around(contrast, READER_LINE.threshold(float(np.median(contrast[drawn.mask]))))


def fit_reader_line(examples: Sequence[Example]) -> tuple[ReaderLine, float]:
    """The line that encloses experts' areas without bias, in the median over photos and over the fainter and the darker
    half of them, and the median error of the area that is left (of its logarithm).

    Photos without skin around the lesion, or without contrast, say nothing.
    """
    known = [found for found in map(_contrast_of, examples) if found is not None]
    medians = np.array([np.median(contrast[mask]) for contrast, mask in known])
    # The logarithm of the area's ratio to the expert's, by contrast of the line; lines between are interpolated.
    off = np.array([[_area_off(contrast, mask, line) for line in _CONTRASTS] for contrast, mask in known])

    def left_by(line: ReaderLine) -> NDArray[np.float64]:
        at = np.log([line.threshold(median) for median in medians])
        return np.array([np.interp(x, np.log(_CONTRASTS), row) for x, row in zip(at, off, strict=True)])

    def unbiased(power: float) -> ReaderLine:
        lines = [ReaderLine(round(float(contrast), 1), power) for contrast in np.arange(3.0, 15.0, 0.1)]
        return min(lines, key=lambda line: abs(float(np.median(left_by(line)))))

    def uneven(line: ReaderLine) -> float:
        left, dark = left_by(line), medians > np.median(medians)
        return abs(float(np.median(left[dark]) - np.median(left[~dark])))

    best = min(map(unbiased, _POWERS), key=uneven)
    return best, round(float(np.median(np.abs(left_by(best)))), 4)


def line_around(contrast: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """The largest piece, without holes, where the contrast float32 (h, w) is above a threshold, bool (h, w)."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats((contrast > threshold).astype(np.uint8), connectivity=4)
    if count == 1:
        return np.zeros(contrast.shape, np.bool_)
    return fill_holes(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))


def _smoothed(contrast: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    import cv2

    return np.asarray(cv2.GaussianBlur(contrast, (0, 0), max(0.3, _SMOOTHED * _diameter(mask))), np.float32)


def _diameter(mask: NDArray[np.bool_]) -> float:
    return 2 * float(np.sqrt(mask.sum() / np.pi))


def _contrast_of(example: Example) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
    """How far a photo's colours lie from its skin's in the direction of the lesion's own, and the expert's mask."""
    import cv2

    mask = example.mask > 127
    if not mask.any():
        return None
    near, far = (round(share * _diameter(mask)) for share in _RING)
    outer, inner = (cv2.dilate(mask.astype(np.uint8), np.ones((2 * by + 1,) * 2, np.uint8)) for by in (far, near))
    ring = (outer > 0) & (inner == 0)
    if ring.sum() < mask.sum() / 10:
        return None
    lab = srgb_to_lab(np.asarray(cv2.medianBlur(example.fine, 5), np.uint8))
    differs = lab - np.median(lab[ring], axis=0)
    # In any other direction noise and hair would count.
    own = np.median(differs[mask], axis=0)
    contrast = _smoothed(np.asarray(differs @ (own / max(float(np.linalg.norm(own)), 1e-6)), np.float32), mask)
    return (contrast, mask) if float(np.median(contrast[mask])) >= _LEAST_CONTRAST else None


def _area_off(contrast: NDArray[np.float32], mask: NDArray[np.bool_], threshold: float) -> float:
    return float(np.log(max(1, int(line_around(contrast, threshold).sum())) / int(mask.sum())))
