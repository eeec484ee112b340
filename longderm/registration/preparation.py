"""What many pairs share of one photo: masks, the flattened melanin-like channel with its pyramid, and keypoints."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from longderm.photo import Photo, PhotoMeta
from longderm.registration.keypoints import Keypoints, detect
from longderm.registration.local import smooth
from longderm.threads import one_thread

if TYPE_CHECKING:
    from longderm.imaging import Segmentation
    from longderm.imaging.artefacts import Artefacts

#: Longer side of the grid on which photos are aligned. On it a dermatoscope's field (20 mm) shows pigment network
#: (0.2-0.5 mm mesh), and a refined transform is good to about 0.1 px, i.e. 0.02% of the field. (On pairs whose skin
#: does not persist the median error is 0.23% of the lesion's diameter with 400 px, 0.19% with 480 and 560.)
WORK_SIDE_PX = 480

#: Sides of the work grid are padded to a multiple of this, so that each pyramid level halves the one before exactly.
_PAD_TO_PX = 8

#: Pyramid: the work grid and its halves.
LEVELS = 3

#: Linear light below this is noise: an sRGB step of the darkest greys (1/255 of full scale).
_LIGHT_FLOOR = 1.0 / 255.0

#: Weights of red, green and blue optical density: melanin absorbs in all three, haemoglobin hardly in red; blue is the
#: noisiest channel after JPEG's chroma subsampling.
_MELANIN_WEIGHTS = (0.45, 0.40, 0.15)

#: The border band: this share of the lesion's equivalent diameter on either side of its border is left out of scores,
#: since the border is what moves when a lesion grows.
_BAND_SHARE = 0.06
#: ... and never less than this (work pixels).
_BAND_MIN_PX = 3

#: Skin that tells the scale begins this share of the lesion's diameter outside of its border: masks err towards too
#: small, and what they miss grows with the lesion.
_MARGIN_SHARE = 0.15

#: Illumination is fitted on skin where skin covers at least this share of the valid pixels, else on all of them.
_MIN_SKIN_FRACTION = 0.10

#: Every so many pixels a sample for the illumination.
_ILLUMINATION_STEP = 7

#: Fewer samples than this bear no surface of six coefficients; their median is taken.
_MIN_ILLUMINATION_SAMPLES = 30

#: Holes are filled with the mean of what lies this near (work pixels).
_FILL_RADIUS_PX = 7

#: Tukey's constant for 95% efficiency.
TUKEY = 4.685

#: Standard deviation of the channel (optical density) below which a photo shows nothing to align on: a grey level at
#: mid grey is about 0.005.
_MIN_TEXTURE = 0.003

#: Fewer valid pixels than this (work pixels), and there is nothing to align on.
_MIN_VALID_PX = 1500


@dataclass(frozen=True, eq=False)
class Level:
    """One pyramid level, float32 (h, w) each; `from_native` takes native to level coordinates.

    channel: optical density; weight: 1 where it can be used; lesion: 1 in the lesion; band: 1 in its border band;
    margin: 1 in the lesion and the skin next to it.
    """

    channel: NDArray[np.float32]
    weight: NDArray[np.float32]
    lesion: NDArray[np.float32]
    band: NDArray[np.float32]
    margin: NDArray[np.float32]
    from_native: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A photo made ready for alignment.

    shape: (H, W) of the native grid; levels: finest first; keypoints: on the native grid; lesion_centre: (x, y) and
    lesion_diameter_px: equivalent diameter, native pixels, or None where no lesion was found; lesion_confidence: the
    segmentation's; detail: texture of the middle pyramid level over that of the coarsest (about 0.9 in a sharp photo,
    0.4 where only coarse shapes are left); problem: why it cannot be aligned at all, or None.
    """

    shape: tuple[int, int]
    meta: PhotoMeta
    levels: tuple[Level, ...]
    keypoints: Keypoints
    lesion_centre: tuple[float, float] | None
    lesion_diameter_px: float | None
    lesion_confidence: float
    detail: float
    problem: str | None

    def mirrored(self) -> Prepared:
        """The same photo with its columns flipped: to recognise a mirrored photo."""
        width = self.shape[1]
        flip = np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        levels = []
        for level in self.levels:
            cols = level.channel.shape[1]
            back = np.array([[-1.0, 0.0, cols - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
            channel, weight, lesion, band, margin = (
                np.ascontiguousarray(image[:, ::-1])
                for image in (level.channel, level.weight, level.lesion, level.band, level.margin)
            )
            levels.append(Level(channel, weight, lesion, band, margin, back @ level.from_native @ flip))
        centre = None if self.lesion_centre is None else (width - 1.0 - self.lesion_centre[0], self.lesion_centre[1])
        finest = levels[0]
        keypoints = detect(finest.channel, finest.weight, finest.from_native, empty=self.problem is not None)
        return replace(self, levels=tuple(levels), keypoints=keypoints, lesion_centre=centre)

    def lifted(self, shape: tuple[int, int], meta: PhotoMeta) -> Prepared:
        """The same photo on a larger native grid (H, W), of which the present one is a copy that covers all of it.

        meta: what is known of the photo on that grid.
        """
        across, down = self.shape[1] / shape[1], self.shape[0] / shape[0]
        reduce = np.array([[across, 0.0, (across - 1) / 2], [0.0, down, (down - 1) / 2], [0.0, 0.0, 1.0]])
        stretch = np.array([across, down])
        levels = tuple(replace(level, from_native=level.from_native @ reduce) for level in self.levels)
        keypoints = replace(self.keypoints, points=(self.keypoints.points + 0.5) / stretch - 0.5)
        x, y = self.lesion_centre if self.lesion_centre is not None else (0.0, 0.0)
        diameter = self.lesion_diameter_px
        return replace(
            self,
            shape=shape,
            meta=meta,
            levels=levels,
            keypoints=keypoints,
            lesion_centre=None if self.lesion_centre is None else ((x + 0.5) / across - 0.5, (y + 0.5) / down - 0.5),
            lesion_diameter_px=None if diameter is None else diameter / float(np.sqrt(across * down)),
        )


def prepare(photo: Photo, segmentation: Segmentation | None = None, artefacts: Artefacts | None = None) -> Prepared:
    """Make a photo ready for alignment: masks, illumination-flattened melanin-like channel, pyramid, keypoints.

    `segmentation` is that of `longderm.imaging.segment`; where it is not given, the quick release draws it. Artefacts
    are found where they are not given. Takes any photo; one that cannot be aligned says so in `problem`.
    """
    from longderm.imaging.artefacts import find_artefacts
    from longderm.imaging.segmentation import QUICK_VERSION, segment
    from longderm.models import load_release

    with one_thread():
        artefacts = artefacts if artefacts is not None else find_artefacts(photo.pixels)
        if segmentation is None:
            segmentation = segment(photo, load_release("segmentation", QUICK_VERSION), artefacts=artefacts)
        return _prepare(photo, segmentation, artefacts)


def _prepare(photo: Photo, segmentation: Segmentation, artefacts: Artefacts) -> Prepared:
    import cv2

    from longderm.imaging.grid import reduce_pixels

    height, width = photo.shape
    scale = min(1.0, WORK_SIDE_PX / max(height, width))
    work_h, work_w = max(1, round(height * scale)), max(1, round(width * scale))
    pixels = photo.pixels
    if (work_h, work_w) != (height, width):
        pixels = reduce_pixels(pixels, (work_h, work_w))
    scale_x, scale_y = work_w / width, work_h / height
    lesion = np.zeros((work_h, work_w), np.uint8)
    if segmentation.found:
        soft = cv2.resize(segmentation.mask.astype(np.uint8) * 255, (work_w, work_h), interpolation=cv2.INTER_AREA)
        lesion = np.asarray(soft > 127, dtype=np.uint8)
    centre, diameter = _centre_and_diameter(lesion)

    inside = _on_grid(artefacts.inside, lesion.shape)
    covered = _on_grid(artefacts.hair, lesion.shape) | _on_grid(artefacts.glare, lesion.shape)
    open_px = np.asarray(cv2.erode(inside, np.ones((5, 5), np.uint8), borderValue=1), np.uint8)
    hidden = np.asarray(cv2.dilate(covered, np.ones((3, 3), np.uint8)), np.uint8)
    valid = open_px & (1 - hidden)
    band_px = max(_BAND_MIN_PX, round(_BAND_SHARE * diameter)) if diameter else 0
    from_lesion, depth = _distances(lesion)
    band = np.asarray(((from_lesion <= band_px) & (depth <= band_px)) if diameter else lesion, np.uint8)
    margin = np.asarray(from_lesion <= _MARGIN_SHARE * diameter if diameter else lesion, np.uint8)

    density = optical_density(np.ascontiguousarray(pixels))
    channel = flat_melanin(density, valid > 0, (valid > 0) & (from_lesion > max(3, 2 * band_px)))
    problem = _problem(channel, valid > 0)
    levels = _pyramid(channel, valid, lesion, band, margin, scale_x, scale_y)
    keypoints = detect(levels[0].channel, levels[0].weight, levels[0].from_native, empty=problem is not None)
    native_centre = None
    native_diameter = None
    if centre is not None and diameter is not None:
        native_centre = ((centre[0] + 0.5) / scale_x - 0.5, (centre[1] + 0.5) / scale_y - 0.5)
        native_diameter = diameter / float(np.sqrt(scale_x * scale_y))
    confidence = round(float(segmentation.confidence), 6)
    detail = round(_fluctuation(levels[1]) / max(_fluctuation(levels[2]), 1e-6), 6)
    return Prepared(
        photo.shape, photo.meta, levels, keypoints, native_centre, native_diameter, confidence, detail, problem
    )


def optical_density(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Optical density -log10(linear light) per channel, float32 (H, W, 3), of sRGB bytes."""
    from longderm.imaging.colour import srgb_to_linear

    table = -np.log10(np.maximum(srgb_to_linear(np.arange(256, dtype=np.uint8)), _LIGHT_FLOOR))
    return np.asarray(table.astype(np.float32)[pixels])


def flat_melanin(
    density: NDArray[np.float32], valid: NDArray[np.bool_], skin: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The melanin-like mean of the optical densities, float32 (H, W), minus what light and skin tone put there.

    density: float32 (H, W, 3); valid, skin: bool (H, W). A quadratic surface is fitted robustly (Tukey) to each
    density on the skin around the lesion; where there is too little skin, on all valid pixels.
    """
    import cv2

    height, width = valid.shape
    melanin = np.asarray(cv2.transform(density, np.array([_MELANIN_WEIGHTS], np.float32)), np.float32)
    fitted = skin if skin.sum() >= _MIN_SKIN_FRACTION * max(1, valid.sum()) else valid
    y, x = np.mgrid[0:height:_ILLUMINATION_STEP, 0:width:_ILLUMINATION_STEP]
    chosen = fitted[y, x]
    if chosen.sum() < _MIN_ILLUMINATION_SAMPLES:
        return melanin - np.float32(np.median(density.reshape(-1, 3), axis=0) @ np.array(_MELANIN_WEIGHTS))
    y, x = y[chosen], x[chosen]
    basis = _quadratic(x / width - 0.5, y / height - 0.5)
    samples = density[y, x].astype(np.float64)
    fits = np.stack([_robust_fit(basis, samples[:, channel]) for channel in range(3)])
    c = np.array(_MELANIN_WEIGHTS) @ fits
    full_x = (np.arange(width) / width - 0.5)[None, :]
    full_y = (np.arange(height) / height - 0.5)[:, None]
    along_x = c[0] + c[1] * full_x + c[3] * full_x**2
    along_y = c[2] * full_y + c[5] * full_y**2
    surface = along_x.astype(np.float32) + along_y.astype(np.float32)
    surface += (c[4] * full_y).astype(np.float32) * full_x.astype(np.float32)
    return np.asarray(melanin - surface, np.float32)


def _quadratic(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _robust_fit(basis: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares re-weighted by Tukey's function, started from the median."""
    coefficients = np.zeros(basis.shape[1])
    coefficients[0] = np.median(values)
    for _ in range(6):
        residual = values - basis @ coefficients
        spread = 1.4826 * np.median(np.abs(residual)) + 1e-6
        weight = np.clip(1.0 - (residual / (TUKEY * spread)) ** 2, 0.0, None) ** 2
        weighted = basis * weight[:, None]
        normal = weighted.T @ basis + 1e-9 * np.eye(basis.shape[1])
        coefficients = np.linalg.solve(normal, weighted.T @ values)
    return coefficients


def _centre_and_diameter(lesion: NDArray[np.uint8]) -> tuple[tuple[float, float] | None, float | None]:
    area = int(lesion.sum())
    if area == 0:
        return None, None
    y, x = np.nonzero(lesion)
    return (float(x.mean()), float(y.mean())), 2.0 * float(np.sqrt(area / np.pi))


def _on_grid(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A mask brought to another grid, 1 where it covers most of a pixel."""
    import cv2

    soft = cv2.resize(mask.astype(np.uint8) * 255, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(soft > 127, np.uint8)


def _distances(lesion: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distance of each pixel from the lesion, and from what is not lesion, in pixels; 0 inside each."""
    import cv2

    outside = cv2.distanceTransform(1 - lesion, cv2.DIST_L2, 5) if lesion.any() else np.full(lesion.shape, np.inf)
    inside = cv2.distanceTransform(lesion, cv2.DIST_L2, 5) if not lesion.all() else np.full(lesion.shape, np.inf)
    return np.asarray(outside, np.float32), np.asarray(inside, np.float32)


def _problem(channel: NDArray[np.float32], valid: NDArray[np.bool_]) -> str | None:
    if valid.sum() < _MIN_VALID_PX:
        return "too few usable pixels (dark corners, hair and glare aside)"
    if float(channel[valid].std()) < _MIN_TEXTURE:
        return "blank: no texture to align on"
    return None


def _pyramid(
    channel: NDArray[np.float32],
    valid: NDArray[np.uint8],
    lesion: NDArray[np.uint8],
    band: NDArray[np.uint8],
    margin: NDArray[np.uint8],
    scale_x: float,
    scale_y: float,
) -> tuple[Level, ...]:
    """Levels by exact 2x2 means; holes are filled from around them so that they leave no edge."""
    height, width = channel.shape
    pad = ((0, -height % _PAD_TO_PX), (0, -width % _PAD_TO_PX))
    weight = np.pad(valid.astype(np.float32), pad)
    image = np.pad(channel, pad)
    regions = [np.pad(region.astype(np.float32), pad) for region in (lesion, band, margin)]
    fill = smooth(image * weight, _FILL_RADIUS_PX) / np.maximum(smooth(weight, _FILL_RADIUS_PX), 1e-3)
    image = np.where(weight > 0, image, fill).astype(np.float32)
    levels = []
    for level in range(LEVELS):
        sx, sy = scale_x / 2**level, scale_y / 2**level
        from_native = np.array([[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5], [0.0, 0.0, 1.0]])
        levels.append(Level(image, weight, regions[0], regions[1], regions[2], from_native))
        image, weight, regions = _halve(image), _halve(weight), [_halve(region) for region in regions]
    return tuple(levels)


def _fluctuation(level: Level) -> float:
    """Standard deviation of the channel about its local mean, lesion border and artefacts left out."""
    chosen = (level.weight > 0.9) & (level.band < 0.5)
    if chosen.sum() < 2:
        return 0.0
    return float((level.channel - smooth(level.channel, 2))[chosen].std(dtype=np.float64))


def _halve(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of each 2x2 block, float32."""
    return np.asarray(
        0.25 * (image[0::2, 0::2] + image[1::2, 0::2] + image[0::2, 1::2] + image[1::2, 1::2]), dtype=np.float32
    )
