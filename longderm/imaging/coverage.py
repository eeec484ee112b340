"""Coverage: how much of a photo hair, glare, ink, a ruler, stickers, dark corners and black borders take up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.artefacts import ARTEFACT_SIDE_PX, Artefacts, find_artefacts, find_field_of_view, find_hair
from longderm.imaging.colour import lightest_channel, srgb_to_lab
from longderm.imaging.grid import enlarge_mask, reduce_pixels, reduced_shape
from longderm.imaging.ruler import RulerReading, RulerScale, read_ruler
from longderm.photo import Photo

#: Ink of a surgeon's or felt pen is violet to blue: hue angle between these (degrees) ...
_INK_HUES = (250.0, 335.0)
#: ... of at least this chroma, and this much bluer than the photo's median (b*): blue-grey in lesions is paler.
_INK_MIN_CHROMA, _INK_BLUER = 14.0, 18.0
#: Strokes fainter or smaller than this share of the photo are noise.
_INK_MIN_PART = 2e-4
#: A sticker has colours that neither skin, lesion nor pen have: beyond this chroma, or this one in these hues (green to
#: blue-green); and is a patch of at least this share of the photo that fills this share of its hull.
_STICKER_CHROMA, _STICKER_GREEN_CHROMA, _STICKER_HUES = 62.0, 26.0, (105.0, 250.0)
_STICKER_MIN_PART, _STICKER_SOLID = 0.004, 0.75
#: Rows and columns along an edge whose light (0 to 255) stays below this at 98% of their pixels are a black border.
_BORDER_LEVEL, _BORDER_SHARE = 24, 98.0
#: Longer side of the copy on which ink and stickers are sought: they are wide.
_COLOUR_SIDE_PX = 256
#: Hair is filled from this far (pixels of the reduced copy).
_INPAINT_RADIUS_PX = 3
#: Longer side of the copy on which the colours under hair are made up; the rest of the photo keeps its resolution.
_INPAINT_SIDE_PX = 1024


@dataclass(frozen=True)
class Coverage:
    """Shares of the photo's pixels, each in [0, 1], rounded to six decimals.

    hair; glare: highlights of gel bubbles, wet skin and flash; ink: of a pen on the skin; ruler: the strip of a ruler
    whose scale was read, from the first to the last tick; sticker: patches of colours that skin and pens have not;
    black_border: dark bars along the edges; dark_corners: what else lies outside of the field of view.
    """

    hair: float
    glare: float
    ink: float
    ruler: float
    sticker: float
    black_border: float
    dark_corners: float


def assess_coverage(photo: Photo, ruler: RulerReading | None = None, artefacts: Artefacts | None = None) -> Coverage:
    """The shares of a photo; its `ruler` and `artefacts`, where they were sought before, else they are sought now."""
    read = (ruler if ruler is not None else read_ruler(photo)).scale
    artefacts = artefacts if artefacts is not None else find_artefacts(photo.pixels)
    size = (artefacts.hair.shape[0], artefacts.hair.shape[1])
    field = artefacts.inside
    small = reduce_pixels(artefacts.pixels, (field.shape[0], field.shape[1]))
    border = find_black_border(small)
    lab = srgb_to_lab(small)
    sticker = find_stickers(lab)
    ink = find_ink(lab, field) & ~sticker

    def share(mask: NDArray[np.bool_]) -> float:
        return round(float(mask.mean()), 6)

    return Coverage(
        hair=share(artefacts.hair),
        glare=share(artefacts.glare),
        ink=share(ink),
        ruler=0.0 if read is None else share(ruler_mask(read, photo.shape, size)),
        sticker=share(sticker),
        black_border=share(border),
        dark_corners=share(~field & ~border),
    )


def ruler_mask(ruler: RulerScale, shape: tuple[int, int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The strip of a ruler read on a photo of `shape`, bool `size` (both height, width)."""
    import cv2

    first, last = ruler.ends
    along = last - first
    long = float(np.linalg.norm(along))
    along = along / long if long > 0 else np.array([1.0, 0.0])
    across = np.array([-along[1], along[0]]) * ruler.half_width_px
    reach = along * 0.5 * ruler.tick_px
    corners = np.stack([first - reach + across, last + reach + across, last + reach - across, first - reach - across])
    scale = np.array([size[1] / shape[1], size[0] / shape[0]])
    mask = np.zeros(size, np.uint8)
    cv2.fillConvexPoly(mask, np.rint(((corners + 0.5) * scale - 0.5) * 16).astype(np.int32), 1, cv2.LINE_8, 4)
    return np.asarray(mask > 0)


def find_ink(lab: NDArray[np.float32], field: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pen strokes in Lab (h, w, 3) within the field of view, bool (h, w)."""
    seen = lab[field] if field.any() else lab.reshape(-1, 3)
    usual = float(np.median(seen[:, 2]))
    chroma, hue = _chroma_and_hue(lab)
    ink = field & (chroma >= _INK_MIN_CHROMA) & (hue >= _INK_HUES[0]) & (hue <= _INK_HUES[1])
    return _patches(ink & (lab[..., 2] <= usual - _INK_BLUER), _INK_MIN_PART, 0.0)


def find_stickers(lab: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Solid patches of colours that neither skin nor pens have, in Lab (h, w, 3), bool (h, w)."""
    chroma, hue = _chroma_and_hue(lab)
    green = (hue >= _STICKER_HUES[0]) & (hue <= _STICKER_HUES[1]) & (chroma >= _STICKER_GREEN_CHROMA)
    return _patches((chroma >= _STICKER_CHROMA) | green, _STICKER_MIN_PART, _STICKER_SOLID)


def find_black_border(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Dark bars along the edges of uint8 (h, w, 3), bool (h, w); all True where everything is dark."""
    light = lightest_channel(pixels)
    border = np.zeros(light.shape, dtype=np.bool_)
    for turned, out in ((light, border), (light.T, border.T)):
        dark = np.percentile(turned, _BORDER_SHARE, axis=1) < _BORDER_LEVEL
        out[: int(np.argmin(dark)) if not dark.all() else len(dark)] = True
        out[len(dark) - (int(np.argmin(dark[::-1])) if not dark.all() else len(dark)) :] = True
    return border


def _chroma_and_hue(lab: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Chroma, and hue in degrees from 0 to 360."""
    a, b = lab[..., 1], lab[..., 2]
    return np.hypot(a, b), np.asarray(np.mod(np.degrees(np.arctan2(b, a)), 360.0), np.float32)


def _patches(mask: NDArray[np.bool_], least: float, solid: float) -> NDArray[np.bool_]:
    """The mask's connected parts of at least this share of its size that fill this share of their convex hull."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = np.zeros(count, dtype=np.bool_)
    for part in range(1, count):
        area = float(stats[part, cv2.CC_STAT_AREA])
        if area < least * mask.size:
            continue
        if solid > 0:
            contours, _ = cv2.findContours((labels == part).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            hull = cv2.contourArea(cv2.convexHull(np.concatenate(contours)))
            if area < solid * hull:
                continue
        keep[part] = True
    return np.asarray(keep[labels])


def crop_dark_corners(photo: Photo) -> tuple[slice, slice]:
    """Rows and columns of a rectangle inside of the field of view, for display and embedding; never for measuring.

    Of the photo's proportions, centred on the field of view, as large as fits; the whole photo where none does.
    """
    small = reduce_pixels(photo.pixels, reduced_shape(photo.shape, _COLOUR_SIDE_PX))
    field = find_field_of_view(small)
    height, width = field.shape
    whole = (slice(0, photo.shape[0]), slice(0, photo.shape[1]))
    if field.all() or not field.any():
        return whole
    rows, columns = np.nonzero(field)
    y, x = float(rows.mean()), float(columns.mean())
    for share in np.linspace(1.0, 0.3, 71):
        top, bottom = round(y - share * height / 2), round(y + share * height / 2)
        left, right = round(x - share * width / 2), round(x + share * width / 2)
        top, left, bottom, right = max(0, top), max(0, left), min(height, bottom), min(width, right)
        if field[top:bottom, left:right].all():
            up, across = photo.shape[0] / height, photo.shape[1] / width
            return (
                slice(int(np.ceil(top * up)), max(int(np.ceil(top * up)) + 1, int(bottom * up))),
                slice(int(np.ceil(left * across)), max(int(np.ceil(left * across)) + 1, int(right * across))),
            )
    return whole


def paint_over_hair(photo: Photo) -> NDArray[np.uint8]:
    """The photo's pixels, uint8 (H, W, 3), with hair filled from around it.

    Filled by Telea 2004 (doi 10.1080/10867651.2004.10487596).

    For display and embedding; never for measuring: what lies under a hair is made up.
    """
    import cv2

    reduced = reduce_pixels(photo.pixels, reduced_shape(photo.shape, ARTEFACT_SIDE_PX))
    hair = find_hair(reduced)
    if not hair.any():
        return photo.pixels.copy()
    copy = reduce_pixels(photo.pixels, reduced_shape(photo.shape, _INPAINT_SIDE_PX))
    size = (copy.shape[0], copy.shape[1])
    hole = enlarge_mask(hair, size).astype(np.uint8)
    filled = cv2.inpaint(copy, hole, _INPAINT_RADIUS_PX, cv2.INPAINT_TELEA)
    mask = enlarge_mask(hair, photo.shape)
    large = cv2.resize(filled, (photo.shape[1], photo.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.where(mask[..., None], large, photo.pixels), dtype=np.uint8)
