"""Both photos of a pair on one grid: what both show, brought to the same light by the skin around the lesion.

Tanning, white balance and exposure multiply linear light, per channel, on skin and lesion alike. Dividing it out by the
ring of skin around the lesion therefore leaves the lesion's own change, and a lesion that darkens together with its
skin has not changed. Gains are estimated on the ring only: with the lesion in the estimate, growth would become a
colour change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.artefacts import ARTEFACT_SIDE_PX, Artefacts, find_artefacts
from longderm.imaging.colour import linear_to_lab, srgb_to_linear
from longderm.imaging.grid import enlarge_mask, reduce_pixels, reduced_shape
from longderm.photo import Photo

#: Longer side of the grid on which a pair is compared: a lesion that fills a fifth of it still measures 100 px, and a
#: pair costs tens of milliseconds. It is the copy on which the baseline's artefacts are sought.
COMPARISON_SIDE_PX = ARTEFACT_SIDE_PX

#: The alignment's residual, as a share of the lesion's diameter: differences are smoothed on this scale, since what is
#: finer may be nothing but a shift that the alignment left.
RESIDUAL_SHARE_OF_DIAMETER = 0.02
#: ... and at least this many pixels of the comparison grid.
RESIDUAL_MIN_PX = 1.5

#: The border band reaches this share of the diameter to both sides of the border: growth and the mask's own
#: uncertainty live there, so it is judged apart from the core.
BAND_SHARE_OF_DIAMETER = 0.06

#: The skin ring: from here ...
RING_INNER_SHARE = 0.10
#: ... to here outside of both lesions, as shares of the diameter.
RING_OUTER_SHARE = 0.45
#: Fewer pixels of skin than this (on the comparison grid) tell no colour.
RING_MIN_PX = 150
#: A lighting gradient is fitted where the ring is seen in at least this many of eight directions; else one gain.
RING_MIN_DIRECTIONS = 6
#: Colours are compared after a median over about this many pixels of the comparison grid: hairs and the rims of gel
#: bubbles are thinner than half of it and vanish; a blotch that covers 3% of a lesion of 100 px (17 px across) stays.
MEDIAN_WINDOW_PX = 10
#: It is taken on a grid coarser by this, a small window there being much cheaper than a large one.
_MEDIAN_STEP = 2
#: Where more than this share of a lesion looks like hair it is pigment network, and no hair is masked inside of it.
HAIR_SHARE_MAX = 0.30
#: A Gaussian wider than twice this is taken on a grid so much coarser that it is about this wide there: what it keeps
#: is as smooth, for a fraction of the cost.
_BLUR_SIGMA_PX = 4.0
#: Added to linear light before its logarithm (about one step of 8 bits near black).
_LIGHT_FLOOR = 0.003
#: Skin pixels used for the fit, at most; their noise is averaged out long before.
_FIT_MAX_PIXELS = 4000
#: Added to the diagonal of the normal equations, so that a ring seen in one direction only cannot make them singular.
_FIT_RIDGE = 1e-9
#: Pixels off the fit by more than this many robust standard deviations (naevi, hair rests) leave it.
_FIT_OUTLIER_SD = 2.5


@dataclass(frozen=True, eq=False)
class CommonView:
    """A pair on the comparison grid, (h, w), a reduced copy of the baseline.

    scale: comparison pixels per baseline pixel; diameter_px: of the disc with the baseline lesion's area; residual_px:
    the scale of smoothing; seen: inside of both fields of view; valid: seen, and free of hair and glare in both;
    baseline_lesion, followup_lesion: the masks; core: lesion in both, without the border band; band: the border band;
    ring: valid skin around both; baseline_lightness, followup_lightness: L*, float32 (h, w), the follow-up in the
    baseline's light; baseline_colour, followup_colour: Lab, float32 (h, w, 3), without thin lines (median) and smoothed
    on the scale of the residual; skin_known: the ring is large enough to compare colours.
    """

    shape: tuple[int, int]
    scale: float
    diameter_px: float
    residual_px: float
    seen: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    baseline_lesion: NDArray[np.bool_]
    followup_lesion: NDArray[np.bool_]
    core: NDArray[np.bool_]
    band: NDArray[np.bool_]
    ring: NDArray[np.bool_]
    baseline_lightness: NDArray[np.float32]
    followup_lightness: NDArray[np.float32]
    baseline_colour: NDArray[np.float32]
    followup_colour: NDArray[np.float32]
    skin_known: bool


def followup_share(baseline: tuple[int, int], matrix: NDArray[np.float64]) -> float:
    """How far the follow-up is reduced to be compared, at most 1; 1: not at all.

    baseline: (H, W) of the baseline; matrix: (3, 3), baseline to follow-up pixels. It is reduced to about the
    comparison grid's density first, for warping a large photo straight down would alias.
    """
    density = reduced_shape(baseline, COMPARISON_SIDE_PX)[1] / baseline[1]
    stretch = float(np.sqrt(abs(np.linalg.det(np.asarray(matrix)[:2, :2]))))
    return min(1.0, density / stretch)


def build_common_view(
    baseline: Photo,
    followup: Photo,
    matrix: NDArray[np.float64],
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    whole: bool = True,
    artefacts: tuple[Artefacts, Artefacts] | None = None,
) -> CommonView:
    """Bring a pair onto the comparison grid and into the same light.

    matrix: (3, 3), baseline to follow-up pixels; masks: the lesion in each photo, bool (H, W) on its native grid;
    whole: False keeps the lesions with their skin ring only, which is all that is measured: most photos show more;
    artefacts: of both photos, which are left out of the comparison; found here where they are not given.
    """
    import cv2

    hidden = (find_artefacts(baseline.pixels), find_artefacts(followup.pixels)) if artefacts is None else artefacts
    shape = reduced_shape(baseline.shape, COMPARISON_SIDE_PX)
    small = hidden[0].pixels
    density = shape[1] / baseline.shape[1]
    longer = max(8, round(max(followup.shape) * followup_share(baseline.shape, matrix)))
    source_shape = reduced_shape(followup.shape, longer)
    source = reduce_pixels(followup.pixels, source_shape)
    to_source = _pixel_map(followup.shape, source_shape) @ matrix @ np.linalg.inv(_pixel_map(baseline.shape, shape))

    def bring(image: NDArray[np.uint8], to_image: NDArray[np.float64] = to_source) -> NDArray[np.uint8]:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(image, to_image[:2], (shape[1], shape[0]), flags=flags), dtype=np.uint8)

    warped = bring(source)
    lesion_b = _reduce_mask(masks[0], shape)
    lesion_f = bring(_reduce_soft(masks[1], source_shape)) > 127
    # The follow-up's artefacts were sought on a copy of their own size.
    sought = hidden[1].hair.shape[0], hidden[1].hair.shape[1]
    to_sought = _pixel_map(source_shape, sought) @ to_source
    views = [enlarge_mask(photo.inside, grid) for photo, grid in zip(hidden, (shape, sought), strict=True)]
    both_see = views[0] & (bring(views[1].astype(np.uint8) * 255, to_sought) > 127)
    # A median at the rim of either photo would mix in what lies beyond it.
    rim = np.ones((MEDIAN_WINDOW_PX + 1, MEDIAN_WINDOW_PX + 1), np.uint8)
    seen = np.asarray(cv2.erode(both_see.astype(np.uint8), rim) > 0)
    covered_b = _covered(hidden[0], lesion_b)
    covered_f = bring(_covered(hidden[1], _reduce_mask(masks[1], sought)).astype(np.uint8) * 255, to_sought) > 127
    valid = seen & ~covered_b & ~covered_f

    diameter = float(2.0 * np.sqrt(max(float(lesion_b.sum()), 1.0) / np.pi))
    residual = max(RESIDUAL_MIN_PX, RESIDUAL_SHARE_OF_DIAMETER * diameter)
    if not whole:
        window = _window(lesion_b | lesion_f, diameter, residual)
        small, warped, seen, valid = small[window], warped[window], seen[window], valid[window]
        lesion_b, lesion_f = lesion_b[window], lesion_f[window]
    core, band, around = _regions(lesion_b, lesion_f, diameter)
    ring = around & valid
    light_b, light_f = srgb_to_linear(small), srgb_to_linear(warped)
    plain_b, plain_f = (srgb_to_linear(_without_lines(photo)) for photo in (small, warped))
    skin_known = int(ring.sum()) >= RING_MIN_PX
    if skin_known:
        gain = _relative_gain(plain_b, plain_f, ring, lesion_b)
        light_f, plain_f = light_f * gain, plain_f * gain
    return CommonView(
        shape=lesion_b.shape,
        scale=density,
        diameter_px=diameter,
        residual_px=residual,
        seen=seen,
        valid=valid,
        baseline_lesion=lesion_b & seen,
        followup_lesion=lesion_f & seen,
        core=core & valid,
        band=band & valid,
        ring=ring,
        baseline_lightness=_lightness(light_b),
        followup_lightness=_lightness(light_f),
        baseline_colour=smooth(linear_to_lab(plain_b), valid, residual),
        followup_colour=smooth(linear_to_lab(plain_f), valid, residual),
        skin_known=skin_known,
    )


def smooth(values: NDArray[np.float32], weight: NDArray[np.bool_], sigma_px: float) -> NDArray[np.float32]:
    """Gaussian mean of `values` (h, w[, c]) over the pixels of `weight` only; 0 where none is near."""
    import cv2

    mask = np.asarray(weight, np.float32)
    step = max(1, int(sigma_px / _BLUR_SIGMA_PX))
    height, width = mask.shape
    small = (max(1, -(-width // step)), max(1, -(-height // step)))

    def blurred(image: NDArray[np.float32]) -> NDArray[np.float32]:
        # Averaged over step x step pixels (variance step^2 / 12) and drawn out again by straight lines (step^2 / 6).
        sigma = float(np.sqrt(max(0.5, (sigma_px / step) ** 2 - (0.25 if step > 1 else 0.0))))
        reduced = image if step == 1 else cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        soft = cv2.GaussianBlur(reduced, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        full = soft if step == 1 else cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(full, np.float32)

    total = blurred(mask)
    spread = mask[..., None] if values.ndim == 3 else mask
    share = total[..., None] if values.ndim == 3 else total
    mean = blurred(values * spread) / np.maximum(share, np.float32(1e-3))
    return np.where(share > 1e-3, mean, np.float32(0)).astype(np.float32)


def _window(lesions: NDArray[np.bool_], diameter: float, residual: float) -> tuple[slice, slice]:
    """Rows and columns of the skin ring, with what a median and a Gaussian at its rim look at."""
    import cv2

    x, y, width, height = cv2.boundingRect(lesions.astype(np.uint8))
    reach = int(np.ceil(RING_OUTER_SHARE * diameter + MEDIAN_WINDOW_PX + 3.0 * residual))
    return slice(max(0, y - reach), y + height + reach), slice(max(0, x - reach), x + width + reach)


def _lightness(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """CIE L* of linear sRGB, float32 (h, w): that of the grey with the same luminance (weights of IEC 61966-2-1)."""
    luminance = 0.2126 * light[..., 0] + 0.7152 * light[..., 1] + 0.0722 * light[..., 2]
    curve = np.where(luminance > (6 / 29) ** 3, np.cbrt(luminance), luminance * (841 / 108) + 4 / 29)
    return np.asarray(116.0 * curve - 16.0, dtype=np.float32)


def _without_lines(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Median over MEDIAN_WINDOW_PX of uint8 (h, w, 3)."""
    import cv2

    height, width = pixels.shape[:2]
    coarse = max(1, width // _MEDIAN_STEP), max(1, height // _MEDIAN_STEP)
    median = cv2.medianBlur(cv2.resize(pixels, coarse, interpolation=cv2.INTER_AREA), MEDIAN_WINDOW_PX // _MEDIAN_STEP)
    return np.asarray(cv2.resize(median, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _covered(artefacts: Artefacts, lesion: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels under hair or glare, (h, w) on the grid of the artefacts, as is `lesion`."""
    hair = artefacts.hair
    if float(hair[lesion].mean() if lesion.any() else 0.0) > HAIR_SHARE_MAX:
        hair = hair & ~lesion
    return np.asarray(hair | artefacts.glare)


def _pixel_map(native: tuple[int, int], reduced: tuple[int, int]) -> NDArray[np.float64]:
    """Native to reduced pixel coordinates, centres at integers, (3, 3)."""
    sx, sy = reduced[1] / native[1], reduced[0] / native[0]
    return np.array([[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5], [0.0, 0.0, 1.0]])


def _reduce_soft(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.uint8]:
    import cv2

    full = mask.astype(np.uint8) * 255
    if mask.shape == shape:
        return full
    return np.asarray(cv2.resize(full, (shape[1], shape[0]), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _reduce_mask(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    return np.asarray(_reduce_soft(mask, shape) > 127)


def _regions(
    lesion_b: NDArray[np.bool_], lesion_f: NDArray[np.bool_], diameter: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Core, border band and surrounding skin, by distance from the lesions' borders."""
    import cv2

    margin = max(2.0, BAND_SHARE_OF_DIAMETER * diameter)
    both, either = lesion_b & lesion_f, lesion_b | lesion_f
    # One ring of zeros around: a lesion cut by the photo's edge has its border there, too.
    depth = cv2.distanceTransform(np.pad(both, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    outside = cv2.distanceTransform((~either).astype(np.uint8), cv2.DIST_L2, 5)
    core = depth > margin
    band = (outside <= margin) & ~core
    around = (outside > RING_INNER_SHARE * diameter) & (outside <= RING_OUTER_SHARE * diameter)
    return core, band, around


def _relative_gain(
    light_b: NDArray[np.float32],
    light_f: NDArray[np.float32],
    ring: NDArray[np.bool_],
    lesion: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Baseline light over follow-up light on the skin, per channel, (h, w, 3): a gain with a linear gradient."""
    floor = np.float32(_LIGHT_FLOOR)
    ys, xs = np.nonzero(ring)
    step = max(1, -(-len(ys) // _FIT_MAX_PIXELS))
    ys, xs = ys[::step], xs[::step]
    ratio = np.log((light_b[ys, xs] + floor) / (light_f[ys, xs] + floor)).astype(np.float64)
    height, width = ring.shape
    unit = float(max(height, width))
    design = np.column_stack([np.ones(len(ys)), xs / unit, ys / unit])
    if not _surrounds(ring, lesion):
        design = design[:, :1]
    across = (np.arange(width, dtype=np.float32) / np.float32(unit))[None, :]
    down = (np.arange(height, dtype=np.float32) / np.float32(unit))[:, None]
    gain = np.empty((height, width, 3), dtype=np.float32)
    for channel in range(3):
        coefficients = _robust_fit(design, ratio[:, channel])
        fitted = np.einsum("ni,i->n", design, coefficients)
        level, slope_x, slope_y = (np.float32(value) for value in (*coefficients, 0.0, 0.0)[:3])
        # Beyond the ring the gradient is not known to go on.
        low, high = np.float32(fitted.min()), np.float32(fitted.max())
        gain[..., channel] = np.exp(np.clip(level + slope_x * across + slope_y * down, low, high))
    return gain


def _surrounds(ring: NDArray[np.bool_], lesion: NDArray[np.bool_]) -> bool:
    """Whether the skin ring is seen in most of eight directions from the lesion."""
    if not lesion.any():
        return False
    ly, lx = np.nonzero(lesion)
    ys, xs = np.nonzero(ring)
    sector = np.floor((np.arctan2(ys - ly.mean(), xs - lx.mean()) + np.pi) / (np.pi / 4)).astype(int) % 8
    counts = np.bincount(sector, minlength=8)
    return int((counts >= max(10, 0.02 * len(ys))).sum()) >= RING_MIN_DIRECTIONS


def _robust_fit(design: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares, twice refitted without outliers; the first fit is the median."""
    keep = np.ones(len(target), dtype=bool)
    coefficients: NDArray[np.float64] = np.zeros(design.shape[1])
    coefficients[0] = float(np.median(target))
    for _ in range(3):
        residual = target - np.einsum("ni,i->n", design, coefficients)
        centre = float(np.median(residual[keep]))
        spread = 1.4826 * float(np.median(np.abs(residual[keep] - centre)))
        keep = np.abs(residual - centre) <= max(_FIT_OUTLIER_SD * spread, 1e-6)
        # Normal equations by einsum: BLAS would make the last bits depend on the number of threads.
        kept = design[keep]
        normal = np.einsum("ni,nj->ij", kept, kept) + _FIT_RIDGE * np.eye(design.shape[1])
        coefficients = np.asarray(np.linalg.solve(normal, np.einsum("ni,n->i", kept, target[keep])), dtype=np.float64)
    return coefficients
