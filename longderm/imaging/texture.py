"""Texture of a lesion in numbers: how much it varies at six scales, how dark and light spots differ, its directions.

Meshes of a pigment network and globules are finer than what the lesion network sees of a photo; these numbers are read
from a larger copy and tell them better. Differences of Gaussians at scales a factor of 1.6 apart (Marr and Hildreth
1980, doi 10.1098/rspb.1980.0020); coherence of the structure tensor (Bigun and Granlund 1987).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.colour import srgb_to_lab

#: Side of the square copy: that of the photos which the weights are fitted to.
TEXTURE_SIDE_PX = 512
#: Scales (standard deviation in pixels of that copy) and the reduction at which each is computed; L* at all of them, a*
#: and b* at those of `_COLOUR_SCALES`.
_SCALES = ((1.0, 1), (1.6, 1), (2.5, 2), (4.0, 2), (6.3, 4), (10.0, 4))
_COLOUR_SCALES = ((2.0, 2), (5.0, 4), (10.0, 4))
_RATIO = 1.6
#: The lesion is read this far (pixels) within its border, the skin up to this far around it.
_INSET_PX, _RING_PX = 4, 30
#: Fewer pixels than these say nothing; more than these are thinned out.
_LEAST, _MOST = 200, 12_000
_PERCENTILES = (2.0, 10.0, 90.0, 98.0)


def texture_signs(square: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Numbers (n,) that describe the texture within `mask` bool (S, S) of a square photo uint8 (S, S, 3), S = 512.

    Where the mask is nearly empty, the whole photo is read. About 40 ms on one core.
    """
    import cv2

    lab = srgb_to_lab(square)
    small = mask.astype(np.uint8)
    inner = _enough(cv2.erode(small, np.ones((2 * _INSET_PX + 1,) * 2, np.uint8)) > 0, mask)
    ring = _enough((cv2.dilate(small, np.ones((2 * _RING_PX + 1,) * 2, np.uint8)) > 0) & ~mask, ~mask)
    lesion, skin = lab[_thinned(inner)], lab[_thinned(ring)]
    mean = lesion.mean(axis=0)
    signs: list[float] = [*mean, *lesion.std(axis=0), *(mean - skin.mean(axis=0)), float(np.log(mask.mean() + 1e-3))]
    signs += list(np.percentile(lesion[:, 0], (5, 25, 75, 95)) - mean[0])
    for channel, scales in ((0, _SCALES), (1, _COLOUR_SCALES), (2, _COLOUR_SCALES)):
        for sigma, reduction in scales:
            signs += _at_scale(lab[..., channel], sigma, reduction, inner, ring, directed=channel == 0)
    return np.asarray(signs, dtype=np.float32)


def _at_scale(
    channel: NDArray[np.float32],
    sigma: float,
    reduction: int,
    inner: NDArray[np.bool_],
    ring: NDArray[np.bool_],
    directed: bool,
) -> list[float]:
    import cv2

    size = (channel.shape[1] // reduction, channel.shape[0] // reduction)
    copy = channel if reduction == 1 else cv2.resize(channel, size, interpolation=cv2.INTER_AREA)
    own = max(sigma / reduction, 0.5)
    fine = np.asarray(cv2.GaussianBlur(copy, (0, 0), own), np.float32)
    band = fine - cv2.GaussianBlur(copy, (0, 0), own * _RATIO)
    lesion, skin = (_thinned(part[::reduction, ::reduction]) for part in (inner, ring))
    values = band[lesion]
    spread = float(values.std()) + 1e-3
    scaled = values / spread
    signs = [
        float(np.log(spread)),
        float((scaled**3).mean()),
        float(np.log((scaled**4).mean() + 0.1)),
        *(float(value) for value in np.percentile(scaled, _PERCENTILES)),
        float(np.log(band[skin].std() + 1e-3)),
    ]
    if directed:
        coherence = _coherence(fine, 3 * own)[lesion]
        energy = np.sqrt(cv2.GaussianBlur(band**2, (0, 0), 20 / reduction))[lesion]
        signs += [float(coherence.mean()), float(coherence.std())]
        signs += [float(np.log(value + 1e-3)) for value in np.percentile(energy, (20, 50, 80, 98))]
    return signs


def _coherence(smooth: NDArray[np.float32], reach: float) -> NDArray[np.float32]:
    """How much the slope keeps to one direction around each pixel, 0 to 1."""
    import cv2

    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    xx, yy, xy = (cv2.GaussianBlur(part, (0, 0), reach) for part in (across * across, down * down, across * down))
    return np.asarray(np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + 1e-3), np.float32)


def _enough(mask: NDArray[np.bool_], instead: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask if it holds enough, else another, else everything."""
    for candidate in (mask, instead):
        if int(np.count_nonzero(candidate)) >= _LEAST:
            return np.asarray(candidate)
    return np.ones_like(mask)


def _thinned(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of a mask's pixels, evenly thinned out; everything where it is empty."""
    rows, columns = np.nonzero(mask if mask.any() else np.ones_like(mask))
    step = max(1, len(rows) // _MOST)
    return rows[::step], columns[::step]
