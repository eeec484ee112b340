"""What the change network says of a pair: how much the lesion's appearance changed, of what, and where.

Its answer is one more measured difference ("appearance"), with noise, MDC and weight like the others: see `evidence`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from longderm.change.crops import Crops, in_one_light
from longderm.change.evidence import APPEARANCE, Observation

if TYPE_CHECKING:
    from torch import Tensor

    from longderm.models.change_network import ChangeNetwork
    from longderm.models.releases import Release

#: Added to the network's log odds, so that the difference is never negative: where it is surer than this that nothing
#: changed, nothing differs. The most that a difference counts is as far on the other side.
NOTHING_LOG_ODDS = 8.0
#: Ways a pair of crops is shown, as (turned upside down, mirrored): the mean over them does not know which way up the
#: camera was.
_SHOWN = ((False, False), (True, False), (False, True), (True, True))

#: A reason is named that the network holds for likelier than not.
_NAMED_FROM = 0.5
#: A pixel counts as seen by both crops from this share of its surroundings on.
_SEEN = 0.5


@dataclass(frozen=True, eq=False)
class Appearance:
    """The network's answer to a pair.

    difference: 0 to 16, its mean log odds of a change plus NOTHING_LOG_ODDS: 8 is as likely as not; where: chance that
    a place changed, float32 (S / 8, S / 8) on the grid of the crops; reasons: chance of each reason that the network
    knows (of CHANGE_REASONS), given that something changed.
    """

    difference: float
    where: NDArray[np.float32]
    reasons: Mapping[str, float]

    @property
    def observation(self) -> Observation:
        """The answer as a measured difference."""
        return Observation(APPEARANCE, self.difference)

    @property
    def named_reasons(self) -> tuple[str, ...]:
        """The reasons that are likelier than not, the likeliest first."""
        ranked = sorted(self.reasons, key=lambda name: (-self.reasons[name], name))
        return tuple(name for name in ranked if self.reasons[name] > _NAMED_FROM)


def appearance_network(release: Release) -> ChangeNetwork | None:
    """The network of a release of kind "change"; None of one that has none. Raises RefusedError for damaged weights."""
    return _read(release.folder, release.digest) if "network" in release.config else None


def compare_appearance(
    crops: Crops, network: ChangeNetwork, interval_days: float | None = None, dark_corners_left_out: bool = True
) -> Appearance:
    """Show the network both crops of a pair (see `cut_crops`), in one light.

    interval_days: between the visits, None where it is not known; dark_corners_left_out: see `in_one_light`.
    """
    import torch

    from longderm.models.change_network import encode_interval
    from longderm.models.lesion_network import normalise

    shown = [torch.from_numpy(picture) for picture in in_one_light(crops, dark_corners_left_out)]
    views = [torch.stack([_turned(picture, way) for way in _SHOWN]) for picture in shown]
    interval = torch.tensor([encode_interval(interval_days)] * len(_SHOWN))
    with torch.inference_mode():
        logits = network(normalise(views[0]), normalise(views[1]), interval)
        back = [_turned(where, way) for where, way in zip(torch.sigmoid(logits.where[:, 0]), _SHOWN, strict=True)]
        where = torch.stack(back).mean(dim=0).numpy()
        logit = float(logits.change.mean())
        reasons = torch.sigmoid(logits.reasons).mean(dim=0).tolist()
    known = network.architecture.reasons
    told = {name: round(float(value), 4) for name, value in zip(known, reasons, strict=True)}
    difference = float(np.clip(logit + NOTHING_LOG_ODDS, 0.0, 2.0 * NOTHING_LOG_ODDS))
    return Appearance(difference, np.asarray(where, np.float32), told)


def place_heat(where: NDArray[np.float32], crops: Crops, shape: tuple[int, int]) -> NDArray[np.float32]:
    """The where-map on the baseline's native grid, float32 (H, W), 0 to 1; NaN outside of what both crops show."""
    import cv2

    side = crops.seen.shape[0]
    fine = cv2.resize(where, (side, side), interpolation=cv2.INTER_LINEAR)
    seen = crops.seen.astype(np.float32)
    height, width = shape
    drawn, within = (
        cv2.warpAffine(values, crops.matrix[:2], (width, height), flags=cv2.INTER_LINEAR) for values in (fine, seen)
    )
    return np.where(within > _SEEN, drawn, np.float32(math.nan)).astype(np.float32)


def _turned(picture: Tensor, way: tuple[bool, bool]) -> Tensor:
    """A picture (H, W, ...) with its rows or columns turned round; doing it twice undoes it."""
    return picture.flip([axis for axis, turned in enumerate(way) if turned])


@lru_cache(maxsize=2)
def _read(folder: Path, digest: str) -> ChangeNetwork:
    """digest: so that a release that was replaced is read again."""
    from longderm.models.change_network import read_change_network

    return read_change_network(folder)
