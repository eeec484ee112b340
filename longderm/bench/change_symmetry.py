"""How much a change took of a lesion's symmetry, or gave: the truth of the change benchmark, folded pixel by pixel.

Other code than the measure's (`longderm.imaging.shape.asymmetry`, in polar rings) and than the training's labels, on
the scenes before any camera: no light, focus or alignment is in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longderm.bench.change_tissue import Lesion
from longderm.imaging.colour import srgb_to_lab

F32 = NDArray[np.float32]

#: Side of the square on which a lesion is folded, and about how many axes, over half a turn.
_SIDE_PX, _AXES = 128, 30
#: Texture finer than this share of the square is blurred: colour, not pores, is meant.
_BLUR = 0.02


def asymmetry_moved(before: Lesion, after: Lesion) -> tuple[float, float]:
    """By how much the asymmetry rose (of shape, share of the lesion; of colour, CIE 1976 units); negative: it fell.

    Each lesion about its own centre, as in `folded_asymmetry`. Raises ValueError for an empty mask.
    """
    first, second = folded_asymmetry(before), folded_asymmetry(after)
    return second[0] - first[0], second[1] - first[1]


def folded_asymmetry(lesion: Lesion) -> tuple[float, float]:
    """Least mean over two axes at right angles through the centre: of the share of the mask that does not meet its
    mirror image, and of the mean Lab distance to it where both are lesion (Stolz et al. 1994, the ABCD rule).

    Raises ValueError for an empty mask.
    """
    import cv2

    if not lesion.mask.any():
        raise ValueError("nothing to fold")
    plane, lab = _centred(lesion)
    middle = np.full(2, (_SIDE_PX - 1) / 2)
    shapes, colours = np.empty(_AXES), np.empty(_AXES)
    for axis in range(_AXES):
        double = 2 * np.pi * axis / _AXES
        mirror = np.array([[np.cos(double), np.sin(double)], [np.sin(double), -np.cos(double)]])
        fold = np.column_stack([mirror, middle - mirror @ middle])
        both = np.minimum(plane, cv2.warpAffine(plane, fold, plane.shape, flags=cv2.INTER_LINEAR))
        apart = np.linalg.norm(lab - cv2.warpAffine(lab, fold, plane.shape, flags=cv2.INTER_LINEAR), axis=2)
        shapes[axis] = 1 - float(both.sum()) / float(plane.sum())
        colours[axis] = float((apart * both).sum()) / max(1e-6, float(both.sum()))
    half = _AXES // 2
    of_shape, of_colour = (float((values[:half] + values[half:]).min() / 2) for values in (shapes, colours))
    return max(0.0, of_shape), of_colour


def _centred(lesion: Lesion) -> tuple[F32, F32]:
    """The mask, float32 (S, S) in [0, 1], with its centre in the middle of the square and all of it within; and its
    Lab colours, float32 (S, S, 3), smoothed."""
    import cv2

    y, x = np.nonzero(lesion.mask)
    reach = float(np.hypot(x - x.mean(), y - y.mean()).max()) + 1.0
    scale = (_SIDE_PX / 2 - 1) / reach
    middle = (_SIDE_PX - 1) / 2
    step = np.array([[scale, 0, middle - scale * x.mean()], [0, scale, middle - scale * y.mean()]])
    size = (_SIDE_PX, _SIDE_PX)
    # Averaged before it is shrunk.
    source = cv2.GaussianBlur(lesion.pixels, (0, 0), 0.4 / scale) if scale < 1 else lesion.pixels
    placed = cv2.warpAffine(source, step, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    plane = cv2.warpAffine(lesion.mask.astype(np.float32), step, size, flags=cv2.INTER_LINEAR)
    lab = srgb_to_lab(np.asarray(placed, np.uint8)).astype(np.float32)
    # Smoothed with lesion only: no skin at the border bleeds in.
    sigma = _BLUR * _SIDE_PX
    weight = cv2.GaussianBlur(plane, (0, 0), sigma)
    smooth = cv2.GaussianBlur(lab * plane[..., None], (0, 0), sigma) / np.maximum(weight, 1e-3)[..., None]
    return np.asarray(plane, np.float32), np.asarray(smooth, np.float32)
