"""Pictures for a page: derived images as data URIs, lesion outlines, and the key to the difference pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from functools import cache

import numpy as np

from longderm.change.result import LAB, PROBABILITY
from longderm.errors import LongdermError
from longderm.report.outline import Border, outlines, path, to_baseline
from longderm.report.views import PairView, PhotoView

#: First bytes of the pictures that a page may hold; anything else is not put into one.
_KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}

#: Longer side of a thumbnail: twice what the worklist shows, for sharp screens.
_THUMBNAIL_PX = 144

#: The key is drawn over this colour, about that of light skin, and in this size (pixels).
_KEY_SKIN = (226, 190, 172)
_KEY_SIZE = (120, 12)


def data_uri(data: bytes) -> str | None:
    """A JPEG or PNG as a data URI; None for anything else."""
    kind = next((kind for magic, kind in _KINDS.items() if data.startswith(magic)), None)
    return None if kind is None else f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


@cache
def heat_key(unit: str) -> dict[str, str]:
    """The key to the difference pictures of a unit, drawn by what draws them: `uri`, and what the ramp stands for."""
    from PIL import Image

    from longderm.change.picture import SHOWN, draw_heatmap

    width, height = _KEY_SIZE
    low, full = SHOWN[unit]
    ramp = np.linspace(0.0, 1.2 * full, width, dtype=np.float32)
    skin = np.full((height, width, 3), _KEY_SKIN, np.uint8)
    out = io.BytesIO()
    Image.fromarray(draw_heatmap(np.tile(ramp, (height, 1)), skin, unit)).save(out, "PNG")
    told = {
        LAB: f"colour difference of {low:g} to {full:g} or more Lab units",
        PROBABILITY: f"chance of {100 * low:g} to {100 * full:g}% that this place changed",
    }
    return {"uri": data_uri(out.getvalue()) or "", "text": told[unit]}


class Pictures:
    """Pictures and outlines of one page; each object is read once."""

    def __init__(self, read_object: Callable[[str], bytes]) -> None:
        self._read = read_object
        self._outlines: dict[str, list[Border]] = {}

    def uri(self, name: str | None) -> str | None:
        """A picture as a data URI; None where there is none, or the store has lost it."""
        data = self._bytes(name)
        if data is None:
            return None
        return data_uri(data)

    def thumbnail(self, name: str | None) -> str | None:
        """A picture reduced to a thumbnail, as a data URI; None where there is none."""
        from PIL import Image

        data = self._bytes(name)
        if data is None or data_uri(data) is None:
            return None
        out = io.BytesIO()
        try:
            with Image.open(io.BytesIO(data)) as image:
                small = image.convert("RGB")
        except OSError:
            return None  # damaged: a browser shows what it can of the full picture, a thumbnail is not worth an error
        small.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
        small.save(out, "JPEG", quality=80)
        return data_uri(out.getvalue())

    def outline(self, photo: PhotoView) -> str | None:
        """The lesion's outline in the photo's own frame."""
        borders = self._borders(photo)
        return path(borders) if borders else None

    def outline_on_baseline(self, pair: PairView) -> str | None:
        """The follow-up's outline in the frame of the baseline."""
        borders = self._borders(pair.followup)
        return path([to_baseline(border, pair.matrix) for border in borders]) if borders and pair.matrix else None

    def _borders(self, photo: PhotoView) -> list[Border]:
        if photo.photo_id not in self._outlines:
            data = self._bytes(photo.mask_object)
            known = data is not None and photo.width_px > 0 and photo.height_px > 0
            borders = outlines(data, photo.width_px, photo.height_px) if data is not None and known else []
            self._outlines[photo.photo_id] = borders
        return self._outlines[photo.photo_id]

    def _bytes(self, name: str | None) -> bytes | None:
        if name is None:
            return None
        try:
            return self._read(name)
        except (LongdermError, OSError, KeyError):
            return None  # the page says that the picture is missing; the other results still stand
