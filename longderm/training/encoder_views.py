"""Two views of one photo, as two visits' cameras might have taken it, for an encoder that is to find them alike."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longderm.simulate.photo_visits import develop, draw_sensor
from longderm.training.ahead import in_order
from longderm.training.disturbances import disturb
from longderm.training.examples import Example
from longderm.training.views import look_at

#: A view's side as a share of the photo's shorter side, drawn on a log scale. In use the whole shorter side is seen at
#: 160 pixels; views of 96 and more that show less of it have a lesion's texture at that same size, and cost a third.
_FIELD = (0.55, 1.0)
#: The middle of a view may lie off the photo's by this share of what keeps it inside, and by this share of the shorter
#: side besides: lesions are in the middle, and both views are to show some of it.
_ROAM, _SHIFT = 0.6, 0.05
#: A contact plate and a squashed copy stretch: standard deviation of the log of the stretch.
_STRETCH_SD = 0.06
#: Share of views developed by the visits' camera; the others are disturbed as for the lesion network.
_DEVELOPED = 0.5


def draw_encoder_batches(
    examples: list[Example], side_px: int, batch_size: int, seed: int, index: int, ahead: bool = False
) -> Iterator[Tensor]:
    """The batches of pass `index`, uint8 (2 B, S, S, 3): B photos, then the same photos again, in another view each.

    Each photo comes once, in an order that seed and pass decide alone; what does not fill a batch waits for the next
    pass. ahead: batches are prepared by a thread of their own.
    """
    order = np.random.default_rng([seed, index]).permutation(len(examples))
    count = len(order) // batch_size

    def make(number: int) -> Tensor:
        chosen = [int(order[number * batch_size + place]) for place in range(batch_size)]
        views = [
            draw_encoder_view(examples[item], side_px, np.random.default_rng([seed, index, number, place, part]))
            for part in range(2)
            for place, item in enumerate(chosen)
        ]
        return torch.from_numpy(np.stack(views))

    return in_order(make, count, ahead)


def draw_encoder_view(example: Example, side_px: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The photo turned, mirrored, zoomed, stretched and shifted, in other light, by another camera, with things on the
    skin; uint8 (S, S, 3)."""
    view = look_at(example, _draw_frame(example.aspect, rng), side_px)
    if rng.random() < _DEVELOPED:
        return develop(view, draw_sensor(rng), rng)
    return disturb(view, rng)


def _draw_frame(aspect: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Where a square view lies in its photo: (2, 3), from view to photo, both with sides from 0 to 1."""
    field = float(np.exp(rng.uniform(*np.log(_FIELD))))
    turn = rng.uniform(0, 2 * np.pi)
    cosine, sine = field * np.cos(turn), field * np.sin(turn)
    stretch = np.exp(rng.normal(0, _STRETCH_SD) * np.array([1.0, -1.0]))
    mirror = np.array([1.0 if rng.random() < 0.5 else -1.0, 1.0])
    linear = np.array([[cosine, -sine], [sine, cosine]]) * stretch * mirror
    # Shorter sides of the photo to shares of its width and height.
    width, height = max(aspect, 1.0), max(1.0 / aspect, 1.0)
    linear /= np.array([[width], [height]])
    room = _ROAM * (1.0 - field) / 2 + _SHIFT
    centre = 0.5 + rng.uniform(-room, room, size=2) / np.array([width, height])
    return np.column_stack([linear, centre - linear @ np.array([0.5, 0.5])])
