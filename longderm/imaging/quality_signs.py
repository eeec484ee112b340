"""Signs of quality: what can be read from one photo of how it was taken and of how well its lesion can be measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.artefacts import ARTEFACT_SIDE_PX, Artefacts
from longderm.imaging.candidates import ring_around
from longderm.imaging.colour import lightest_channel, srgb_to_lab
from longderm.imaging.grid import reduce_pixels, reduced_shape
from longderm.imaging.outline import share_at_edge
from longderm.imaging.segmentation import Segmentation
from longderm.photo import Photo

#: Edge widths are read from gradients at these two scales (pixels of a copy of ARTEFACT_SIDE_PX).
_NARROW_PX, _WIDE_PX = 1.0, 2.2
#: Edges are the steepest of the pixels (percent) ...
_STEEPEST_PERCENT = 2.0
#: ... if steeper than this many times the median slope, which noise and skin texture have everywhere ...
_EDGE_TO_MEDIAN = 3.0
#: ... and than this (Sobel sums: a grey level per pixel): the steps of a slow gradient in whole grey levels are none.
_EDGE_MIN_SLOPE = 8.0
#: A photo is as sharp as its sharper edges (percentile of the edges' blur): a lesion's border is soft by itself. Of the
#: settings tried on 152 photos, this one rose with every step of a Gaussian blur of 0, 1, 2, 4, 8 px in all of them.
_SHARPER_EDGES_PERCENTILE = 25.0
#: Blur of a photo without any edge, and the most that is told (1/512 of the longer side).
_MOST_BLUR = 64.0
#: Blur beyond this (same pixels) is read from a copy so many times smaller, on which it is narrow again.
_WIDE_BLUR_PX, _WIDE_BLUR_REDUCTION = 3.0, 4
#: No copy is reduced to less than this, and no edge is sharper than a pixel lets it be.
_LEAST_COPY_PX, _PIXEL_BLUR_PX = 24, 0.75

#: Below this L* a pixel is too dark: sRGB 59 of 255, where the noise of a small sensor is as large as skin's contrast.
_DARK_LIGHTNESS = 25.0
#: From this L* on, a pixel is as good as clipped: pale skin under a dermatoscope stays below.
_BRIGHT_LIGHTNESS = 97.0
#: A channel at this grey level is at its end: what lies beyond is lost, even where the pixel is not yet white.
_CLIPPED_GREY = 254
#: The lightest parts of a photo: this percentile of L*.
_LIGHTEST_PERCENTILE = 95.0

#: Colours of skin and lesions in Lab under D65, drawn around the middle 98% of 400 dermoscopy photos (ISIC 2018,
#: train), whose white balance varies widely: (least chroma, most chroma, least hue, most hue in degrees). Perfect greys
#: are not in it (no skin is without colour), white paper is not, dark pixels of any weak colour are (black lesions).
_SKIN_HUES = ((4.0, 20.0, -75.0, 120.0), (20.0, 65.0, -35.0, 95.0))
_PALE_MIN_CHROMA, _PALE_MAX_LIGHTNESS = 1.0, 97.0
_DARK_MAX_CHROMA = 25.0
#: Colours are counted on a copy of this size.
_COLOUR_SIDE_PX = 128

#: JPEG codes squares of this side (ISO/IEC 10918-1, A.1.3).
_JPEG_BLOCK_PX = 8
#: Rows and columns read to find the seams of such squares, at most: enough, and a large photo costs no more.
_SEAM_LINES = 256
#: Of Immerkaer's estimate (1996, doi 10.1006/cviu.1996.0060): the norm of his mask, and a median to a deviation.
_NOISE_MASK_NORM, _MEDIAN_TO_DEVIATION = 6.0, 0.6745
#: Lesion and skin around it are compared on a copy of this size.
_LESION_SIDE_PX = 256


def photo_signs(photo: Photo, artefacts: Artefacts) -> dict[str, float]:
    """What needs no outline; all but the first three in [0, 1].

    edge_blur: of the sharper edges, standard deviation in 1/512 of the longer side, at least that of the photo's own
    pixels, 64 where there is no edge; noise: its standard deviation in grey levels on a copy of that many pixels;
    seams: how much steeper the photo is across the seams of JPEG's squares than elsewhere, as a share; busy_fraction:
    pixels unlike their neighbour; corner_fraction: share of all pixels outside of the field of view; and of the field
    of view: lightest, its lightest parts' L* / 100, dark_fraction (L* below 25), bright_fraction (L* above 97),
    clipped_fraction (a channel at its upper end), glare_fraction, hair_fraction (dark hair, ink or ruler lines as
    thin), skin_fraction (a colour that skin or lesions have).
    """
    medium = artefacts.pixels
    seen, _ = artefacts.seen()
    # Where all is dark there is no field of view to speak of: everything is judged.
    inside = seen if seen.any() else np.ones_like(seen)
    blur = photo_blur(medium, inside)
    small = reduce_pixels(medium, reduced_shape((medium.shape[0], medium.shape[1]), _COLOUR_SIDE_PX))
    colours = srgb_to_lab(small)[_shrink_mask(inside, (small.shape[0], small.shape[1]))]
    return {
        "edge_blur": _MOST_BLUR if blur is None else min(blur, _MOST_BLUR),
        "noise": noise_level(medium),
        "seams": seams(photo.pixels),
        "busy_fraction": busy_fraction(photo.pixels),
        "lightest": float(np.percentile(colours[:, 0], _LIGHTEST_PERCENTILE)) / 100,
        "dark_fraction": _share(colours[:, 0] < _DARK_LIGHTNESS),
        "bright_fraction": _share(colours[:, 0] > _BRIGHT_LIGHTNESS),
        "clipped_fraction": _share(lightest_channel(medium)[inside] >= _CLIPPED_GREY),
        "glare_fraction": _share(artefacts.glare[inside]),
        "hair_fraction": _share(artefacts.hair[inside]),
        "corner_fraction": 1 - _share(seen),
        "skin_fraction": _share(skin_coloured(colours)),
    }


def lesion_signs(photo: Photo, segmentation: Segmentation, artefacts: Artefacts) -> dict[str, float]:
    """What an outline adds: zeros where there is none.

    lesion_fraction: share of the photo that it covers; cut_share: share of its border
    on the edge of the field of view; lost_fraction: how much of it lies beyond the photo's edge, see `lost_fraction`;
    hidden_fraction: share of it under hair and glare; contrast: distance of its mean
    Lab colour from that of the skin around it.
    """
    if not segmentation.found or not segmentation.mask.any():
        return dict.fromkeys(("lesion_fraction", "cut_share", "lost_fraction", "hidden_fraction", "contrast"), 0.0)
    import cv2

    shape = reduced_shape(photo.shape, _LESION_SIDE_PX)
    mask = _shrink_mask(segmentation.mask, shape)
    inside, clear = (_shrink_mask(part, shape) for part in artefacts.seen())
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    ring, _ = ring_around(mask, inside)
    lab = srgb_to_lab(reduce_pixels(artefacts.pixels, shape))
    lesion, skin = lab[mask & clear], lab[ring & clear]
    apart = lesion.mean(axis=0) - skin.mean(axis=0) if len(lesion) and len(skin) else np.zeros(3)
    return {
        "lesion_fraction": _share(mask),
        "cut_share": share_at_edge(max(contours, key=len)[:, 0, :], inside),
        "lost_fraction": lost_fraction(mask),
        "hidden_fraction": 1 - _share(clear[mask]),
        "contrast": float(np.linalg.norm(apart)),
    }


def photo_blur(pixels: NDArray[np.uint8], inside: NDArray[np.bool_]) -> float | None:
    """Blur of a photo's reduced copy uint8 (h, w, 3) as a standard deviation in 1/512 of its longer side; None where no
    edge stands out. Never less than that of the copy's pixels."""
    longer = max(pixels.shape[:2])
    blur = edge_blur(pixels, inside)
    if (blur is None or blur > _WIDE_BLUR_PX) and longer >= _LEAST_COPY_PX * _WIDE_BLUR_REDUCTION:
        shape = reduced_shape((pixels.shape[0], pixels.shape[1]), longer // _WIDE_BLUR_REDUCTION)
        wide = photo_blur(reduce_pixels(pixels, shape), _shrink_mask(inside, shape))
        return wide if blur is None or wide is None else max(wide, _in_512(blur, longer))
    return None if blur is None else _in_512(blur, longer)


def _in_512(blur_px: float, longer_px: int) -> float:
    return max(blur_px, _PIXEL_BLUR_PX) * ARTEFACT_SIDE_PX / longer_px


def edge_blur(pixels: NDArray[np.uint8], inside: NDArray[np.bool_]) -> float | None:
    """Blur of the sharper edges (standard deviation in pixels), or None where no edge stands out.

    An edge blurred by s has a gradient proportional to 1 / sqrt(s^2 + t^2) after smoothing by t; the ratio of two such
    gradients gives s (Zhuo and Sim 2011, doi 10.1016/j.patcog.2011.03.009).
    """
    import cv2

    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    core = cv2.erode(inside.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    if not core.any():
        return None
    narrow, wide = (_slope(np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma))) for sigma in (_NARROW_PX, _WIDE_PX))
    slopes = wide[core]
    steep = np.percentile(slopes, 100 - _STEEPEST_PERCENT)
    edges = core & (wide >= max(float(steep), _EDGE_TO_MEDIAN * float(np.median(slopes)), _EDGE_MIN_SLOPE))
    if not edges.any():
        return None
    ratio = np.maximum(narrow[edges] / wide[edges], 1 + 1e-3)
    square = (_WIDE_PX**2 - ratio**2 * _NARROW_PX**2) / (ratio**2 - 1)
    return float(np.percentile(np.sqrt(np.maximum(square, 0)), _SHARPER_EDGES_PERCENTILE))


def noise_level(pixels: NDArray[np.uint8]) -> float:
    """Standard deviation of the noise in grey levels of uint8 (h, w, 3) (Immerkaer 1996); by the median, so that edges
    and hair do not count."""
    import cv2

    if min(pixels.shape[:2]) < 3:
        return 0.0
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    answers = cv2.filter2D(pixels[..., 1], cv2.CV_32F, mask)[1:-1, 1:-1]
    return float(np.median(np.abs(answers))) / _MEDIAN_TO_DEVIATION / _NOISE_MASK_NORM


def lost_fraction(mask: NDArray[np.bool_]) -> float:
    """Share of a lesion that lies beyond the photo's edge, were it a disc, from the mask bool (h, w).

    A disc of which an edge shows a segment of chord c and height h has the radius (h^2 + c^2 / 4) / (2 h). The worst of
    the four edges counts.
    """
    worst = 0.0
    for edge, depth in ((mask[0], mask), (mask[-1], mask), (mask[:, 0], mask.T), (mask[:, -1], mask.T)):
        chord = float(np.count_nonzero(edge))
        if chord == 0:
            continue
        height = float(np.count_nonzero(depth.any(axis=1)))
        radius = (height**2 + chord**2 / 4) / (2 * height)
        half_angle = float(np.arccos(np.clip(1 - height / radius, -1, 1)))
        shown = (half_angle - np.sin(half_angle) * np.cos(half_angle)) / np.pi
        worst = max(worst, 1 - float(shown))
    return worst


def seams(pixels: NDArray[np.uint8]) -> float:
    """How much steeper uint8 (H, W, 3) is across the seams of JPEG's squares than elsewhere: 0 for not at all."""
    green = pixels[..., 1]
    excess = [0.0]
    for lines in (green, green.T):
        picked = lines[:: max(1, -(-lines.shape[0] // _SEAM_LINES))].astype(np.int16)
        steps = np.abs(np.diff(picked, axis=1)).mean(axis=0)
        if steps.size < 4 * _JPEG_BLOCK_PX:
            continue
        phases = np.array([float(steps[phase::_JPEG_BLOCK_PX].mean()) for phase in range(_JPEG_BLOCK_PX)])
        order = np.sort(phases)
        # A tenth of a grey level keeps flat photos, in which the last digit counts, from being all seams.
        excess.append(float(order[-1] / (np.median(order) + 0.1)) - 1)
    return max(0.0, float(np.mean(excess[1:] or excess)))


def busy_fraction(pixels: NDArray[np.uint8]) -> float:
    """Share of pixels of uint8 (H, W, 3) whose green is not the next one's in the row."""
    step = max(1, -(-pixels.shape[0] // _SEAM_LINES))
    green = pixels[::step, :, 1]
    return _share(green[:, 1:] != green[:, :-1]) if green.shape[1] > 1 else 0.0


def skin_coloured(lab: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which colours, Lab (N, 3), skin or a lesion on it may have, bool (N,)."""
    lightness, a, b = lab[:, 0], lab[:, 1], lab[:, 2]
    chroma = np.hypot(a, b)
    hue = np.degrees(np.arctan2(b, a))
    allowed = (lightness < _DARK_LIGHTNESS) & (chroma < _DARK_MAX_CHROMA)
    allowed |= (chroma >= _PALE_MIN_CHROMA) & (chroma < _SKIN_HUES[0][0]) & (lightness < _PALE_MAX_LIGHTNESS)
    for low, high, first, last in _SKIN_HUES:
        allowed |= (chroma >= low) & (chroma < high) & (hue > first) & (hue < last)
    return np.asarray(allowed)


def _share(mask: NDArray[np.bool_]) -> float:
    return float(np.count_nonzero(mask)) / max(1, mask.size)


def _shrink_mask(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask at another size; all True where nothing of it would be left."""
    import cv2

    smaller = cv2.resize(mask.astype(np.uint8), (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST) > 0
    return np.asarray(smaller if smaller.any() else np.ones(shape, dtype=np.bool_))


def _slope(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    import cv2

    return np.asarray(cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)))
