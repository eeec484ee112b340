"""The strip of the photo that a row of ticks lies in, sampled in ticks instead of pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.tick_row import TickRow

#: Samples per tick.
SAMPLES = 32
#: Lines are read at this distance (pixels of the copy), over this share of the longest tick to either side.
_LINE_STEP_PX, _REACH = 1.0, 0.75
_MAX_LINES = 41
#: What lies beside a tick is read so many steps away; gaps in a tick up to so wide (pixels, share of its length) are
#: bridged.
_BESIDE, _BRIDGED_PX, _BRIDGED_SHARE = 0.3, 3.0, 0.15


def strip(row: TickRow, grey: NDArray[np.float32], half_share: float) -> NDArray[np.float64]:
    """Grey along the row, float64 (places * SAMPLES,), averaged across it.

    From half a tick before the first to half a tick after the last; over `half_share` of the ticks' lower quartile
    length to either side of where their middles lie.
    """
    half = max(1, round(half_share * float(np.percentile(row.length, 25))))
    return np.asarray(_sample(row, grey, np.arange(-half, half + 1).astype(float), follow=True).mean(axis=0))


def lines_along(row: TickRow, grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """Grey along lines beside each other, float64 (L, places * SAMPLES), over the ticks and a little beyond."""
    reach = _REACH * float(row.length.max())
    count = min(_MAX_LINES, 2 * round(reach / _LINE_STEP_PX) + 1)
    return _sample(row, grey, np.linspace(-reach, reach, max(3, count)), follow=False)


def tick_lengths(row: TickRow, grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """Length of each tick (N,) in pixels of `grey`, read along it, so that a line that crosses it does not part it.

    A tick reaches as far from its row as it differs from what lies beside it by half as much as ticks commonly do;
    a gap as wide as a few pixels is bridged.
    """
    import cv2

    reach = 1.6 * float(row.length.max())
    offsets = np.arange(-reach, reach + 0.25, 0.5)
    middle = np.full(len(row), float(np.median(row.across)))
    centre = row.origin + row.along[:, None] * row.axis + middle[:, None] * np.array([-row.axis[1], row.axis[0]])
    depth = np.zeros((len(row), len(offsets)))
    for beside, weight in ((0.0, 1.0), (_BESIDE, -0.5), (-_BESIDE, -0.5)):
        points = centre[:, None, :] + offsets[None, :, None] * row.direction + beside * row.step_px * row.axis
        x, y = points[..., 0].astype(np.float32), points[..., 1].astype(np.float32)
        depth += weight * cv2.remap(grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    core = np.abs(offsets) <= 0.4 * float(np.percentile(row.length, 25))
    usual = float(np.median(np.median(depth[:, core], axis=1)))
    if abs(usual) < 1:
        return row.length
    inside = depth / usual > 0.5
    gap = max(_BRIDGED_PX, _BRIDGED_SHARE * float(np.median(row.length))) / 0.5
    start = int(np.argmin(np.abs(offsets)))
    lengths = np.empty(len(row))
    for i in range(len(row)):
        ends = []
        for step in (1, -1):
            last, place = start, start
            while 0 <= place < len(offsets) and abs(place - last) <= gap:
                if inside[i, place]:
                    last = place
                place += step
            ends.append(offsets[last])
        lengths[i] = ends[0] - ends[1] + 0.5
    return lengths


def _sample(row: TickRow, grey: NDArray[np.float32], offsets: NDArray[np.float64], follow: bool) -> NDArray[np.float64]:
    import cv2

    places = np.arange((int(row.index[-1]) + 1) * SAMPLES) / SAMPLES - 0.5
    along = np.polyval(np.polyfit(row.index, row.along, 1 if len(row) < 6 else 2), places)
    if follow:
        middle = np.interp(places, row.index, row.across)
    else:
        middle = np.polyval(np.polyfit(row.along, row.across, 1 if len(row) < 9 else 2), along)
    across = middle[None, :] + offsets[:, None]
    x = row.origin[0] + along[None, :] * row.axis[0] - across * row.axis[1]
    y = row.origin[1] + along[None, :] * row.axis[1] + across * row.axis[0]
    sampled = cv2.remap(
        grey, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(sampled, dtype=np.float64)
