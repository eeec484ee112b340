"""Shape: diameters, outline and symmetry of a mask, all independent of how it lies on the pixel grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: The outline is resampled to this many points, equally spaced along it ...
_OUTLINE_POINTS = 360
#: ... and smoothed by a Gaussian of this standard deviation (points; 0.8% of the outline): finer steps are the pixel
#: grid's, not the lesion's, and would make the perimeter depend on the photo's size.
_OUTLINE_SMOOTHING = 3.0

#: The lesion is laid out in this many rings of equal width ...
_RADII = 48
#: ... and directions (3 degrees each) around its centre of mass, where a mirror is a reversal of directions.
_DIRECTIONS = 120


@dataclass(frozen=True, eq=False)
class Outline:
    """The smoothed border of a mask's largest part: `points` float64 (N, 2) as (x, y), closed; lengths in pixels."""

    points: NDArray[np.float64]

    @property
    def perimeter(self) -> float:
        """Length of the closed border."""
        return float(np.linalg.norm(np.roll(self.points, -1, axis=0) - self.points, axis=1).sum())

    @property
    def area(self) -> float:
        """Area within the border (shoelace formula)."""
        x, y = self.points[:, 0], self.points[:, 1]
        return float(abs((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2)

    @property
    def irregularity(self) -> float:
        """Perimeter squared over 4 pi area: 1 for a disc, 1.27 for a square, higher for notches and lobes.

        The irregularity index of Golston et al. 1992 (Comput Med Imaging Graph 16:199), of the smoothed border.
        """
        return self.perimeter**2 / (4 * np.pi * self.area)

    def diameters(self) -> tuple[float, float]:
        """The greatest distance of two border points, and the extent at right angles to it."""
        import cv2

        hull = cv2.convexHull(self.points.astype(np.float32))[:, 0, :].astype(np.float64)
        between = hull[:, None, :] - hull[None, :, :]
        square = (between**2).sum(axis=2)
        first, second = np.unravel_index(int(np.argmax(square)), square.shape)
        longest = float(np.sqrt(square[first, second]))
        if longest == 0:
            return 0.0, 0.0
        along = (hull[second] - hull[first]) / longest
        across = hull @ np.array([-along[1], along[0]])
        return longest, float(across.max() - across.min())


def trace(mask: NDArray[np.bool_]) -> Outline | None:
    """The outline of the mask's largest part, halfway between its pixels and those outside; None below 3 pixels."""
    import cv2

    # The border is where the interpolated mask is one half: a contour of pixel centres would be half a pixel short.
    doubled = np.pad(mask, 1).astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    contours, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = max(contours, key=cv2.contourArea, default=None)
    if contour is None or len(contour) < 8:
        return None
    corners = contour[:, 0, :].astype(np.float64)
    # Centres of the doubled pixels lie half of one inside of the border: pushed outwards along the normal.
    points = _smooth(_resample(corners, _OUTLINE_POINTS))
    tangent = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    length = np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    normal = np.column_stack([tangent[:, 1], -tangent[:, 0]]) / length
    x, y = points[:, 0], points[:, 1]
    signed = float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())
    points = points + np.sign(signed) * 0.5 * normal
    return Outline((points - 0.5) / 2 - 1)


def eccentricity(mask: NDArray[np.bool_]) -> float:
    """Of the ellipse with the same second moments, in [0, 1): 0 for a disc."""
    moments = _second_moments(mask)
    small, large = np.linalg.eigvalsh(moments)
    return float(np.sqrt(max(0.0, 1 - small / large))) if large > 0 else 0.0


def asymmetry(mask: NDArray[np.bool_], lab: NDArray[np.float32]) -> tuple[float, float]:
    """(of shape in [0, 1], of colour in Lab units) on mirroring about two perpendicular axes through the centre.

    Shape: the share of the lesion that does not meet itself, 1 - |A and A'| / |A|, mean of the two axes. Colour: the
    mean Lab distance between a spot and its mirror image where both belong to the lesion. Each is taken for the pair of
    axes where it is least, as the ABCD rule does (Stolz et al. 1994): principal axes of a round lesion lie anywhere,
    and would make the value jump between two photos of it.
    """
    import cv2

    radius, map_x, map_y = _polar_grid(mask)
    polar = cv2.remap(mask.astype(np.float32), map_x, map_y, cv2.INTER_LINEAR, borderValue=0.0)
    colours = cv2.remap(lab, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # A plane per channel: sums over three numbers side by side are slow.
    planes = np.ascontiguousarray(np.moveaxis(colours, 2, 0))
    whole = float((polar * radius).sum())
    shape_by_axis, colour_by_axis = np.empty(_DIRECTIONS), np.empty(_DIRECTIONS)
    for axis in range(_DIRECTIONS):
        mirrored = (axis - np.arange(_DIRECTIONS)) % _DIRECTIONS
        common = np.minimum(polar, polar[mirrored]) * radius
        apart = np.square(planes - planes[:, mirrored])
        distance = np.sqrt(apart[0] + apart[1] + apart[2])
        shape_by_axis[axis] = 1 - float(common.sum()) / whole
        colour_by_axis[axis] = float((distance * common).sum()) / max(float(common.sum()), 1e-6)
    # Reversing with shift k mirrors about the axis at k / 2 directions: at right angles lies the shift half a turn on.
    half = _DIRECTIONS // 2
    pairs = [(values[:half] + values[half:]) / 2 for values in (shape_by_axis, colour_by_axis)]
    return max(0.0, float(pairs[0].min())), float(pairs[1].min())


def shape_asymmetry_by_axis(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of the mask that does not meet its mirror image, about each of 120 axes through its centre, (120,).

    Axis i lies at 1.5 i degrees from +x towards +y; the axis at right angles to it is i + 60.
    """
    import cv2

    radius, map_x, map_y = _polar_grid(mask)
    polar = cv2.remap(mask.astype(np.float32), map_x, map_y, cv2.INTER_LINEAR, borderValue=0.0)
    # Mirroring about the axis at i half directions takes direction d to i - d.
    mirrored = (np.arange(_DIRECTIONS)[:, None] - np.arange(_DIRECTIONS)[None, :]) % _DIRECTIONS
    common = (np.minimum(polar[None], polar[mirrored]) * radius).sum(axis=(1, 2))
    return np.asarray(1 - common / max(float((polar * radius).sum()), 1e-6), dtype=np.float64)


def _polar_grid(
    mask: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Radii (R,) and the columns and rows (D, R) of a polar grid about the mask's centre that covers it, float32."""
    rows, columns = np.nonzero(mask)
    x0, y0 = float(columns.mean()), float(rows.mean())
    reach = float(np.hypot(columns - x0, rows - y0).max()) + 1.0
    radius = np.asarray((np.arange(_RADII, dtype=np.float32) + 0.5) / _RADII * reach, np.float32)
    angle = np.arange(_DIRECTIONS, dtype=np.float32) * np.float32(2 * np.pi / _DIRECTIONS)
    map_x = (x0 + radius[None, :] * np.cos(angle)[:, None]).astype(np.float32)
    map_y = (y0 + radius[None, :] * np.sin(angle)[:, None]).astype(np.float32)
    return radius, map_x, map_y


def _second_moments(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    rows, columns = np.nonzero(mask)
    # 1/12: each pixel is a square, not a point.
    return np.asarray(np.cov(np.stack([columns, rows]).astype(np.float64), bias=True) + np.eye(2) / 12)


def _resample(points: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """`count` points at equal distances along a closed line."""
    closed = np.concatenate([points, points[:1]])
    along = np.concatenate([[0.0], np.linalg.norm(np.diff(closed, axis=0), axis=1).cumsum()])
    places = np.arange(count) / count * along[-1]
    return np.column_stack([np.interp(places, along, closed[:, axis]) for axis in (0, 1)])


def _smooth(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Circular Gaussian smoothing of a closed line of equally spaced points."""
    reach = int(4 * _OUTLINE_SMOOTHING)
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-(offsets**2) / (2 * _OUTLINE_SMOOTHING**2))
    kernel /= kernel.sum()
    wrapped = np.concatenate([points[-reach:], points, points[:reach]])
    return np.column_stack([np.convolve(wrapped[:, axis], kernel, mode="valid") for axis in (0, 1)])
