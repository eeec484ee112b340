"""Artefacts: hair, specular glare, and the field of view inside dark corners and black borders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.colour import lightest_channel
from longderm.imaging.grid import enlarge_mask, reduce_pixels, reduced_shape
from longderm.photo import Photo

#: Longer side of the copy on which artefacts are sought: terminal hair (0.05-0.1 mm on a field of 20-30 mm) is still
#: one to three pixels wide there, and a photo takes some milliseconds.
ARTEFACT_SIDE_PX = 512

#: A dark corner is darker than this grey level (0-255) ...
_CORNER_GREY = 64
#: ... or than this share of the photo's lightest parts, whichever is less: an underexposed photo is not all corner.
_CORNER_SHARE_OF_LIGHTEST = 0.3
#: Corners are blurred by the optics; this margin (share of the longer side) beyond their edge is left out, too.
_CORNER_MARGIN = 0.02
#: A dark area smaller than this share of the photo is no corner.
_CORNER_MIN_FRACTION = 0.002

#: A photo whose longer side is below this shows no hairs: half a pixel wide, they are lines among others.
_HAIR_LEAST_SIDE_PX = 128
#: Length of the line over which a hair must be thinner than its surroundings, in pixels at ARTEFACT_SIDE_PX.
_HAIR_LINE_PX = 15
#: Contrast against both sides (grey levels) that makes a hair, at least ...
_HAIR_CONTRAST = 14.0
#: ... and this many times what fills up at a median pixel: coarse or dark skin is all lines of a kind.
_HAIR_TO_TEXTURE = 3.0
#: How much more closing across a hair fills than closing along it (grey levels), at least.
_HAIR_LINE_CONTRAST = 9
#: Directions of the lines, over half a turn.
_DIRECTIONS = 8
#: Along a straight stretch the direction stays within this many sixteenths of half a turn.
_HAIR_TURN = 2
#: The darkest of a hair, of what it fills; and what no blurred line is narrower than, however small the photo.
_HAIR_DARKEST_PERCENTILE, _HAIR_NARROWEST_PX = 90.0, 2.0
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=np.uint8)
#: A hair holds a straight stretch of at least this length (pixels at ARTEFACT_SIDE_PX), which the meshes of a pigment
#: network do not ...
_HAIR_STRAIGHT_PX = 35
#: ... and is longer than this in all.
_HAIR_MIN_LENGTH_PX = 42.0
#: One shorter than this is narrower than this (what it fills over what it fills at its darkest, per length): streaks of
#: a lesion and gaps between globules are short and wide. A longer one may curl and be crossed by others.
_HAIR_SHORT_PX, _HAIR_SHORT_MAX_WIDTH_PX = 84.0, 3.2

#: Glare: nearly clipped in its darkest channel (0-255), which skin in a well exposed photo is not ...
_GLARE_LEVEL = 225
#: ... and above its neighbourhood by this many grey levels, so that pale skin in a bright photo is not glare.
_GLARE_ABOVE_NEIGHBOURHOOD = 20
#: Clipped in every channel, nothing is left of the skin, however large the area.
_GLARE_CLIPPED = 252


@dataclass(frozen=True, eq=False)
class Artefacts:
    """What hides the skin of one photo, found once for all that need it.

    pixels: that copy of the photo on which they were sought, uint8 (h, w, 3), its longer side at most
    ARTEFACT_SIDE_PX; hair, glare: bool (h, w); inside: the field of view, bool, on a copy half that size.
    """

    pixels: NDArray[np.uint8]
    hair: NDArray[np.bool_]
    glare: NDArray[np.bool_]
    inside: NDArray[np.bool_]

    def seen(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(field of view, field of view without hair and glare), both on the grid of `hair`."""
        inside = enlarge_mask(self.inside, (self.hair.shape[0], self.hair.shape[1]))
        return inside, inside & ~self.hair & ~self.glare


def find_artefacts(pixels: NDArray[np.uint8]) -> Artefacts:
    """Hair, glare and the field of view of a photo, uint8 (H, W, 3)."""
    shape = (pixels.shape[0], pixels.shape[1])
    small = reduce_pixels(pixels, reduced_shape(shape, ARTEFACT_SIDE_PX))
    smaller = reduce_pixels(small, reduced_shape(shape, ARTEFACT_SIDE_PX // 2))
    inside = find_field_of_view(smaller)
    # The rim of a dark corner is as narrow and dark as a hair.
    hair = find_hair(small) & enlarge_mask(inside, (small.shape[0], small.shape[1]))
    return Artefacts(small, hair, find_glare(small), inside)


def hair_mask(photo: Photo) -> NDArray[np.bool_]:
    """Pixels under dark hair (and hair-thin ink or ruler marks), bool (H, W) on the native grid."""
    small = reduce_pixels(photo.pixels, reduced_shape(photo.shape, ARTEFACT_SIDE_PX))
    return enlarge_mask(find_hair(small), photo.shape)


def glare_mask(photo: Photo) -> NDArray[np.bool_]:
    """Pixels in specular glare (gel bubbles, wet skin, flash), bool (H, W) on the native grid."""
    small = reduce_pixels(photo.pixels, reduced_shape(photo.shape, ARTEFACT_SIDE_PX))
    return enlarge_mask(find_glare(small), photo.shape)


def field_of_view(photo: Photo) -> NDArray[np.bool_]:
    """Pixels inside of dark corners and black borders, bool (H, W) on the native grid; all True without any."""
    small = reduce_pixels(photo.pixels, reduced_shape(photo.shape, ARTEFACT_SIDE_PX // 2))
    return enlarge_mask(find_field_of_view(small), photo.shape)


def find_field_of_view(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """`field_of_view` of a reduced copy, uint8 (h, w, 3), on its own grid.

    Dark areas that reach a corner of the photo are its rim. The field of view is the convex hull of the rest, since
    an eyepiece is round or rectangular: a dark lesion that runs into the rim stays inside.
    """
    import cv2

    height, width = pixels.shape[:2]
    inside = np.ones((height, width), dtype=np.bool_)
    if min(height, width) < 8:
        return inside
    grey = cv2.GaussianBlur(lightest_channel(pixels), (5, 5), 0)
    level = min(float(_CORNER_GREY), _CORNER_SHARE_OF_LIGHTEST * float(np.percentile(grey, 95)))
    dark = (grey < level).astype(np.uint8)
    count, labels = cv2.connectedComponents(dark, connectivity=4)
    if count == 1:
        return inside
    corners = sorted({int(labels[y, x]) for y in (0, height - 1) for x in (0, width - 1)} - {0})
    rim = np.isin(labels, corners)
    if rim.mean() < _CORNER_MIN_FRACTION:
        return inside
    rest = (~rim).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(rest, connectivity=4)
    if count == 1:
        return ~inside
    main = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    contours, _ = cv2.findContours((labels == main).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = np.zeros((height, width), dtype=np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.concatenate(contours)), 1)
    outside = hull == 0
    if outside.mean() < _CORNER_MIN_FRACTION:
        return inside
    margin = max(1, round(_CORNER_MARGIN * max(height, width)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    return np.asarray(cv2.dilate(outside.astype(np.uint8), disc) == 0)


def find_glare(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """`glare_mask` of a reduced copy, uint8 (h, w, 3), on its own grid."""
    import cv2

    darkest = np.asarray(cv2.min(cv2.min(pixels[..., 0], pixels[..., 1]), pixels[..., 2]))
    window = max(3, 2 * (max(pixels.shape[:2]) // 24) + 1)
    around = cv2.blur(darkest, (window, window)).astype(np.int16)
    spot = (darkest >= _GLARE_LEVEL) & (darkest.astype(np.int16) - around >= _GLARE_ABOVE_NEIGHBOURHOOD)
    return np.asarray(spot | (darkest >= _GLARE_CLIPPED))


def find_hair(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """`hair_mask` of a reduced copy, uint8 (h, w, 3), on its own grid.

    Black top-hat by lines in eight directions (as DullRazor does by closing, Lee et al. 1997,
    doi 10.1016/S0010-4825(97)00020-6); kept are thin components that are long for their width.
    """
    import cv2

    size = pixels.shape[:2]
    nothing = np.zeros(size, dtype=np.bool_)
    unit = max(size) / ARTEFACT_SIDE_PX
    length = max(5, 2 * round(_HAIR_LINE_PX * unit / 2) + 1)
    if min(size) < 2 * length or max(size) < _HAIR_LEAST_SIDE_PX:
        return nothing
    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (3, 3), 0)
    # Over a hair, closing across it fills it up while closing along it does not: their difference is high on lines
    # and low on round dark spots, where every direction fills alike.
    # Both, and the direction that fills least, in one: the number of the direction stands below the grey level.
    highest, ordered = np.zeros_like(grey), np.full(grey.shape, np.iinfo(np.uint16).max, np.uint16)
    for step, line in enumerate(_lines(length, _DIRECTIONS)):
        closed = np.asarray(cv2.morphologyEx(grey, cv2.MORPH_CLOSE, line))
        cv2.max(highest, closed, dst=highest)
        cv2.min(ordered, closed.astype(np.uint16) * _DIRECTIONS + step, dst=ordered)
    lowest, direction = (ordered // _DIRECTIONS).astype(np.uint8), (ordered % _DIRECTIONS).astype(np.uint8)
    filled = np.asarray(highest - grey, np.uint8)
    contrast = max(_HAIR_CONTRAST, _HAIR_TO_TEXTURE * _median_byte(filled))
    joined = ((filled >= contrast) & (highest - lowest >= _HAIR_LINE_CONTRAST)).astype(np.uint8)
    # A hair keeps its direction; the meshes of a network turn, however densely they lie.
    straight = max(5, 2 * round(_HAIR_STRAIGHT_PX * unit / 2) + 1)
    runs = np.zeros_like(joined)
    for step, line in enumerate(_lines(straight, 2 * _DIRECTIONS)):
        same = joined * np.asarray(cv2.LUT(direction, _near_direction(step)))
        run = cv2.morphologyEx(cv2.morphologyEx(same, cv2.MORPH_CLOSE, _CROSS), cv2.MORPH_OPEN, line)
        cv2.max(runs, run, dst=runs)
    near = cv2.bitwise_and(cv2.dilate(runs, np.ones((5, 5), np.uint8)), joined)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    if count == 1:
        return nothing
    extent = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    keep = extent >= _HAIR_MIN_LENGTH_PX * unit
    keep[0] = False
    widest = max(_HAIR_SHORT_MAX_WIDTH_PX * unit, _HAIR_NARROWEST_PX)
    for part in np.flatnonzero(keep & (extent < _HAIR_SHORT_PX * unit)):
        left, top, width, height = (int(edge) for edge in stats[part, :4])
        box = slice(top, top + height), slice(left, left + width)
        depth = filled[box][labels[box] == part].astype(np.float64)
        keep[part] = depth.sum() <= widest * extent[part] * np.percentile(depth, _HAIR_DARKEST_PERCENTILE)
    return np.asarray(cv2.dilate(keep[labels].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)


def _median_byte(values: NDArray[np.uint8]) -> float:
    """The median of bytes, from their counts."""
    reached = np.bincount(values.ravel(), minlength=256).cumsum()
    lower, upper = np.searchsorted(reached, [(values.size - 1) // 2, values.size // 2], side="right")
    return float(lower + upper) / 2


@lru_cache(maxsize=2 * _DIRECTIONS)
def _near_direction(step: int) -> NDArray[np.uint8]:
    """A table for `cv2.LUT`: 1 for directions within _HAIR_TURN of a step of half the size."""
    turn = np.abs(2 * np.arange(256) - step)
    return np.asarray(np.minimum(turn, 2 * _DIRECTIONS - turn) <= _HAIR_TURN, np.uint8)


@lru_cache(maxsize=16)
def _lines(length: int, directions: int) -> tuple[NDArray[np.uint8], ...]:
    """Lines of `length` pixels through the centre of a square, in that many directions."""
    import cv2

    half = length // 2
    kernels = []
    for step in range(directions):
        angle = np.pi * step / directions
        dx, dy = round(half * np.cos(angle)), round(half * np.sin(angle))
        kernel = np.zeros((length, length), dtype=np.uint8)
        cv2.line(kernel, (half - dx, half - dy), (half + dx, half + dy), 1, 1)
        kernels.append(kernel)
    return tuple(kernels)
