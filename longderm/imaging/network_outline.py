"""The outline that the lesion network sees: its main area, how well it should match an expert's, whether at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from longderm.errors import RefusedError
from longderm.imaging.artefacts import find_field_of_view
from longderm.imaging.border import redraw
from longderm.imaging.candidates import fill_holes
from longderm.imaging.features import bound
from longderm.imaging.fit import shrink_mask
from longderm.imaging.outline import CUT_SHARE, Outline, caveat, draw_level, share_at_edge
from longderm.imaging.quadratic import QuadraticScore
from longderm.imaging.sight import Sight
from longderm.photo import Photo

if TYPE_CHECKING:
    from longderm.models.border_network import BorderNetwork

#: An area smaller than this share of the photo is a speck.
_MIN_AREA_FRACTION = 0.0008
#: Log-odds beyond this say no more.
_MAX_LOG_ODDS = 8.0
#: The map's lines at these probabilities are the widest and the narrowest border that are considered. Set by hand; what
#: their distance means for the area is fitted (`AreaError`).
_WIDE_LEVEL, _NARROW_LEVEL = 0.25, 0.65
#: A border is at least so soft: the map's grid is not finer.
_MIN_SOFTNESS = 0.02
#: An area that may be off by a factor of four is not known; how much less than that says nothing more.
MAX_AREA_ERROR = 3.0


@dataclass(frozen=True)
class AreaError:
    """How far an outline's area may be off: over photos like those of the fit, nine of ten experts' areas lie within a
    factor of exp(scale x softness^power) of it (`Area.softness`)."""

    scale: float
    power: float

    def __call__(self, softness: float) -> float:
        """The error as a share: 0.25 for an area that is right within a factor of 1.25; at most MAX_AREA_ERROR."""
        return round(min(float(np.expm1(self.scale * softness**self.power)), MAX_AREA_ERROR), 4)


@dataclass(frozen=True, eq=False)
class Drawing:
    """How a release draws from a sight.

    level: probability at which the outline lies; overlap: expected Dice from what an area looks like (`Area.features`);
    presence_slope, presence_offset: calibrate the network's log-odds of presence (Platt 1999); min_presence,
    min_overlap: below it, nothing is drawn; doubtful_overlap: below it, the border is called doubtful;
    clinical_max_cut_share: as in `colour_outline`; area_error: None in releases that do not state it.
    """

    level: float
    overlap: QuadraticScore
    presence_slope: float
    presence_offset: float
    min_presence: float
    min_overlap: float
    doubtful_overlap: float
    clinical_max_cut_share: float
    area_error: AreaError | None = None


@dataclass(frozen=True, eq=False)
class Area:
    """The area that a sight shows: `mask` bool (h, w) without holes on the outline's grid.

    features: float32 (5,): agreement of the views that differ most (soft Dice), certainty (the Dice to be expected if
    the map's probabilities were right), size, log-odds of presence, share of the map that lies in this area.
    field_of_view: bool (h, w). cut_share: share of the border on its edge. softness: logarithm of how much larger the
    area is where the border is drawn as wide as it may be than where it is drawn as narrow, neither with holes.
    """

    mask: NDArray[np.bool_]
    features: NDArray[np.float32]
    field_of_view: NDArray[np.bool_]
    cut_share: float
    softness: float


def read_drawing(config: dict[str, Any]) -> Drawing:
    """The drawing of a release's config.

    Raises KeyError or ValueError for a config of another kind, RefusedError for an error of the area that is none.
    """
    drawing = config["drawing"]
    return Drawing(
        level=float(drawing["level"]),
        overlap=QuadraticScore.from_weights(drawing["overlap_weights"]),
        presence_slope=float(drawing["presence_slope"]),
        presence_offset=float(drawing["presence_offset"]),
        min_presence=float(drawing["min_presence"]),
        min_overlap=float(drawing["min_overlap"]),
        doubtful_overlap=float(drawing["doubtful_overlap"]),
        clinical_max_cut_share=float(drawing["clinical_max_cut_share"]),
        area_error=_read_area_error(drawing["area_error"]) if "area_error" in drawing else None,
    )


def _read_area_error(stated: object) -> AreaError:
    match stated:
        case {"scale": float() | int() as scale, "power": float() | int() as power} if (
            0 < scale < 100 and 0 <= power < 10
        ):
            return AreaError(float(scale), float(power))
    raise RefusedError(f"an area's error is stated by a positive scale and a power that is not negative, not {stated}")


def outline_by_network(photo: Photo, sight: Sight, drawing: Drawing, border: BorderNetwork | None = None) -> Outline:
    """Draw the largest area of a sight at the photo's full size, if it is a lesion whose border can be told.

    border: draws the border anew in dermoscopic photos (`sure_border`); without one, it is the area's level line.
    """
    area = find_area(sight, drawing.level)
    if area is None:
        return Outline.none("nothing differs from the surrounding skin")
    overlap, presence = judge(sight, area, drawing)
    confidence = round(presence * overlap, 4)
    if presence < drawing.min_presence:
        return Outline.none("what differs from the skin does not look like a lesion", confidence)
    if overlap < drawing.min_overlap:
        return Outline.none("the border of what differs from the skin cannot be told", confidence)
    if photo.meta.modality == "clinical" and area.cut_share > drawing.clinical_max_cut_share:
        return Outline.none("what differs from the skin runs out of the photo", confidence)
    border = sure_border(border, overlap, drawing) if photo.meta.modality == "dermoscopic" else None
    mask = draw_area(photo.pixels, sight, area, drawing.level, border)
    if not mask.any():
        return Outline.none("nothing differs from the surrounding skin", confidence)
    cut_share = area.cut_share
    if border is not None:
        cut_share = _cut_share(shrink_mask(mask, (area.mask.shape[0], area.mask.shape[1])), area.field_of_view)
    touches_border = cut_share > CUT_SHARE
    doubt = caveat(overlap, drawing.doubtful_overlap, touches_border)
    # Experts' outlines of clinical photos were not at hand.
    stating = drawing.area_error if photo.meta.modality == "dermoscopic" else None
    error = stating(area.softness) if stating is not None else None
    return Outline(mask, confidence, doubt, touches_border, error)


def sure_border(border: BorderNetwork | None, overlap: float, drawing: Drawing) -> BorderNetwork | None:
    """The network that draws an outline's border, or None where the outline is doubtful: it corrects the border of what
    is known to be the lesion."""
    return border if overlap >= drawing.doubtful_overlap else None


def draw_area(
    pixels: NDArray[np.uint8], sight: Sight, area: Area, level: float, border: BorderNetwork | None
) -> NDArray[np.bool_]:
    """The area as a mask of the photo uint8 (H, W, 3), bool (H, W): within its level line, or as `border` draws it."""
    mask = draw_level(sight.outline, level, area.mask, sight.photo_shape)
    if border is None or not mask.any():
        return mask
    return redraw(pixels, mask, sight.outline, area.field_of_view, border)


def judge(sight: Sight, area: Area, drawing: Drawing) -> tuple[float, float]:
    """Expected overlap (Dice) with an expert's outline, and probability of a lesion, both in [0, 1], rounded."""
    overlap = float(np.clip(drawing.overlap(area.features), 0, 1))
    log_odds = drawing.presence_slope * sight.presence + drawing.presence_offset
    return round(overlap, 4), round(float(1 / (1 + np.exp(-np.clip(log_odds, -30, 30)))), 4)


def find_area(sight: Sight, level: float) -> Area | None:
    """The connected area above `level` that holds most of the map's probability, or None where there is none."""
    import cv2

    probability = sight.outline
    above = (probability > level).astype(np.uint8)
    count, labels = cv2.connectedComponents(above, connectivity=4)
    if count == 1:
        return None
    held = np.bincount(labels.ravel(), weights=probability.ravel(), minlength=count)
    held[0] = 0
    best = int(np.argmax(np.round(held, 3)))
    mask = fill_holes(labels == best)
    if mask.mean() < _MIN_AREA_FRACTION:
        return None
    total, share = float(probability.sum()), float(mask.mean())
    first, second = sight.views[0], sight.views[-1]
    agreement = 2 * float((first * second).sum()) / max(float((first**2).sum() + (second**2).sum()), 1e-6)
    features = [
        4 * agreement - 3,
        4 * (2 * float(held[best]) / (total + float(mask.sum()))) - 3,
        2 * np.sqrt(share) - 1,
        float(np.clip(sight.presence, -_MAX_LOG_ODDS, _MAX_LOG_ODDS)) / 4,
        4 * float(held[best]) / total - 3,
    ]
    inside = field_of_sight(sight)
    told = bound(np.asarray(features, dtype=np.float32))
    return Area(mask, told, inside, _cut_share(mask, inside), _softness(probability, mask))


def _cut_share(mask: NDArray[np.bool_], inside: NDArray[np.bool_]) -> float:
    """Share of an area's border on the edge of the field of view, both bool (h, w); 0 for an empty one."""
    import cv2

    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return round(share_at_edge(max(contours, key=len)[:, 0, :], inside), 4) if contours else 0.0


def _softness(probability: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    import cv2

    _, labels = cv2.connectedComponents((probability > _WIDE_LEVEL).astype(np.uint8), connectivity=4)
    wide = fill_holes(np.isin(labels, np.unique(labels[mask & (labels > 0)])) | mask)
    narrow = fill_holes(mask & (probability > _NARROW_LEVEL))
    return max(_MIN_SOFTNESS, round(float(np.log(wide.sum() / max(1, narrow.sum()))), 4))


def field_of_sight(sight: Sight) -> NDArray[np.bool_]:
    """What of a photo is no dark rim, on the grid of its sight's outline."""
    import cv2

    height, width = sight.outline.shape
    reduced = cv2.resize(sight.square, (width, height), interpolation=cv2.INTER_AREA)
    return find_field_of_view(np.asarray(reduced, dtype=np.uint8))
