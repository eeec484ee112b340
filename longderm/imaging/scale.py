"""Scale: pixels per millimetre of a photo, as its metadata state it or a ruler in it tells, with source and error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import hypot, log

from longderm.imaging.ruler import RulerReading, read_ruler
from longderm.photo import Photo

#: Source of a scale that was read from a ruler (`PhotoMeta.px_per_mm_source`).
RULER_SOURCE = "ruler"

#: Caveat of a photo whose stated scale and ruler disagree.
CONTRADICTION = "scale_contradicts_ruler"

#: Two scales disagree if they differ by more than so many standard errors of their ratio: by chance, one photo in 370.
_DISAGREE_ERRORS = 3.0

#: Relative error of a stated scale whose error is not: a lesion off the plane that was calibrated, contact or not,
#: is a few percent nearer or farther. Wider than what alignment takes two photos of one device to repeat to.
_STATED_ERROR = 0.03


@dataclass(frozen=True, eq=False)
class Scale:
    """The scale that a photo is measured by, and the reading of its ruler.

    px_per_mm: pixels of the native grid per millimetre on the skin; source: "dicom_pixel_spacing", "metadata" or
    "ruler"; error: relative standard error, None where it is not stated. All None: no scale, and no size in mm.
    caveats: "scale_contradicts_ruler" where the stated scale and the ruler disagree by more than their errors allow.
    """

    px_per_mm: float | None
    source: str | None
    error: float | None
    caveats: tuple[str, ...]
    ruler: RulerReading


def find_scale(photo: Photo, ruler: RulerReading | None = None) -> Scale:
    """The scale of a photo: what its metadata state, else that of a `ruler` in it, which is read where it is not given.

    A stated scale stands also where the ruler contradicts it: a misread unit is likelier than a wrong calibration. The
    caveat then says so.
    """
    ruler = ruler if ruler is not None else read_ruler(photo)
    stated, read = photo.meta.px_per_mm, ruler.scale
    if stated is None:
        if read is None:
            return Scale(None, None, None, (), ruler)
        return Scale(read.px_per_mm, RULER_SOURCE, read.error, (), ruler)
    source, error = photo.meta.px_per_mm_source, photo.meta.px_per_mm_error
    agrees = read is None or _agree(stated, error, read.px_per_mm, read.error)
    return Scale(stated, source, error, () if agrees else (CONTRADICTION,), ruler)


def with_scale(photo: Photo, scale: Scale) -> Photo:
    """The same pixels with this scale and its caveats in their `meta`."""
    new = tuple(code for code in scale.caveats if code not in photo.meta.caveats)
    meta = replace(
        photo.meta,
        px_per_mm=scale.px_per_mm,
        px_per_mm_source=scale.source,
        px_per_mm_error=scale.error,
        caveats=(*photo.meta.caveats, *new),
    )
    return replace(photo, meta=meta)


def _agree(stated: float, stated_error: float | None, read: float, read_error: float) -> bool:
    width = _DISAGREE_ERRORS * hypot(_STATED_ERROR if stated_error is None else stated_error, read_error)
    return round(abs(log(stated / read)), 6) <= round(width, 6)
