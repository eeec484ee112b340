"""From signs of quality to the error of measurement to be expected: a small network that can only fall with each sign.

Every sign is a badness: 0 as far as good photos have it, 1 where little is left. All weights are at least 0, so that no
sign makes a photo better (Sill 1998, "Monotonic Networks"), and a photo distorted further never scores higher unless
its signs say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Ramp:
    """How a sign turns into a badness: 0 at `good` and before, 1 at `bad`, on a log scale where `offset` is given.

    reason: what is told a reader from badness `named_from` on; None for a sign that explains nothing by itself.
    cost: log-odds of error that a badness of 1 is taken to cost before any photo is seen; certainty: how strongly the
    fit is drawn to it, 1 as to all others: for what the fit cannot know.
    """

    sign: str
    good: float
    bad: float
    offset: float | None = None
    reason: str | None = None
    named_from: float = 0.35
    cost: float = 1.0
    certainty: float = 1.0

    def __call__(self, value: float) -> float:
        """Badness in [0, 1]."""
        if self.offset is None:
            share = (value - self.good) / (self.bad - self.good)
        else:
            low, high = log(self.good + self.offset), log(self.bad + self.offset)
            share = (log(max(value, 0.0) + self.offset) - low) / (high - low)
        return float(np.clip(share, 0.0, 1.0))


#: From the best to the worst that photos of ISIC 2018's training part and their distorted copies
#: (`longderm.simulate.distortions`) show.
PHOTO_RAMPS = (
    Ramp("detail_px", 512.0, 16.0, 0.0),
    Ramp("noise", 0.4, 120.0, 0.3, "noisy", 0.6),
    Ramp("seams", 1.0, 27.0, 0.2, "compressed too strongly", 0.65),
    Ramp("busy_fraction", 0.9, 0.005, 0.01),
    Ramp("lightest", 0.75, 0.05, 0.02, "too dark", 0.3),
    Ramp("lightest", 0.75, 1.0),
    Ramp("dark_fraction", 0.05, 1.0, 0.05),
    Ramp("bright_fraction", 0.02, 1.0, 0.02, "too bright", 0.6),
    Ramp("clipped_fraction", 0.02, 1.0, 0.02),
    Ramp("glare_fraction", 0.0, 0.5, 0.003, "glare", 0.5),
    Ramp("hair_fraction", 0.05, 0.6, 0.02, "hair", 0.6),
    Ramp("corner_fraction", 0.25, 0.85, None, "dark corners or borders", 0.3),
    Ramp("skin_fraction", 0.7, 0.1, None, "colours are not those of skin", 0.4),
)
#: Told to readers alone: what it costs is in `detail_px` already.
BLUR_RAMP = Ramp("edge_blur", 0.5, 64.0, 0.3, "blurred", 0.5)
LESION_RAMPS = (
    Ramp("confidence", 0.95, 0.0, None, "the border of the lesion is doubtful", 0.45),
    Ramp("contrast", 50.0, 2.0, 1.0),
    Ramp("lesion_fraction", 0.9, 0.001, 0.003),
    Ramp("cut_share", 0.0, 0.6, 0.05),
    # What was cut off cannot be measured, whatever else is seen; no other distortion tells of it.
    Ramp("lost_fraction", 0.0, 1.0, 0.05, "the lesion is cut by the edge of the photo", 0.3, cost=2.0, certainty=10.0),
    Ramp("hidden_fraction", 0.0, 0.6, 0.02),
)


#: What photos were judged by in release 0.1.0: pixels and blur for themselves. It is read so still.
_FIRST_PHOTO_RAMPS = (Ramp("longer_px", 512.0, 16.0, 0.0), BLUR_RAMP, *PHOTO_RAMPS[1:])


def photo_ramps(signs: Sequence[str]) -> tuple[Ramp, ...] | None:
    """The ramps of what needs no outline, of a release fitted to `signs` (theirs and then the lesion's); None for
    signs of no release."""
    for ramps in (PHOTO_RAMPS, _FIRST_PHOTO_RAMPS):
        if list(signs) == [ramp.sign for ramp in ramps + LESION_RAMPS]:
            return ramps
    return None


def detail_px(longer_px: float, edge_blur: float) -> float:
    """How many pixels along its longer side a photo is worth: its own, or fewer where its edges are blurred.

    A blurred photo shows no more than one of fewer pixels, and is measured as well; so the fit learns of the one from
    the other. longer_px: pixels; edge_blur: standard deviation in 1/512 of the longer side, which counts as the pixels
    that are as far along their ramp as it is along its own, 16 to 512.
    """
    pixels = PHOTO_RAMPS[0]
    blurred = pixels.good * (pixels.bad / pixels.good) ** BLUR_RAMP(edge_blur)
    return min(longer_px, float(blurred))


def badness(signs: Mapping[str, float], ramps: tuple[Ramp, ...]) -> NDArray[np.float64]:
    """Badness (n,) of each ramp's sign."""
    return np.array([ramp(signs[ramp.sign]) for ramp in ramps])


@dataclass(frozen=True, eq=False)
class ErrorModel:
    """expected error = s(offset + direct' x + outer' (softplus, tanh)(inner' x + bias)), s the logistic function.

    direct (n,), inner (n, h), bias (h,), outer (h,): float64; all but `bias` and `offset` at least 0. The first half of
    the h units bends upwards, the other half saturates.
    """

    direct: NDArray[np.float64]
    inner: NDArray[np.float64]
    bias: NDArray[np.float64]
    outer: NDArray[np.float64]
    offset: float

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ErrorModel:
        """From a release's config. Raises ValueError for a weight below 0."""
        arrays = {name: np.asarray(config[name], dtype=np.float64) for name in ("direct", "inner", "bias", "outer")}
        if min(float(arrays[name].min()) for name in ("direct", "inner", "outer")) < 0:
            raise ValueError("a weight is below 0; the error must not fall with a sign")
        return cls(**arrays, offset=float(config["offset"]))

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected errors (...) in [0, 1] of badness (..., n)."""
        hidden = x @ self.inner + self.bias
        half = hidden.shape[-1] // 2
        bent = np.concatenate([np.logaddexp(0.0, hidden[..., :half]), np.tanh(hidden[..., half:])], axis=-1)
        return np.asarray(1 / (1 + np.exp(-(self.offset + x @ self.direct + bent @ self.outer))))
