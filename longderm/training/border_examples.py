"""What the border network is taught: experts' borders on real photos, and visible borders of simulated lesions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.border import Cut, crop_around, cut, cut_mask
from longderm.imaging.segmentation import segment
from longderm.imaging.sight import see
from longderm.models import Release
from longderm.photo import Photo
from longderm.threads import one_thread
from longderm.training.examples import Example
from longderm.training.visible_border import draw_scene, visible_border


@dataclass(frozen=True, eq=False)
class BorderExample:
    """A crop around a coarse outline, and the share of each pixel within the true border, uint8 (S, S), 255 inside."""

    seen: Cut
    truth: NDArray[np.uint8]


def real_border(example: Example, release: Release) -> BorderExample | None:
    """A photo with an expert's outline, as it is held for training; None where the release finds no lesion."""
    return _border_example(Photo.from_array(example.fine), example.mask > 127, release)


def simulated_border(seed: int, number: int, release: Release) -> BorderExample | None:
    """The simulated photo `number` of a seed with its visible border; None where the release finds no lesion."""
    drawn = draw_scene(seed, number)
    return _border_example(Photo.from_array(drawn.pixels), visible_border(drawn), release)


def gather(
    photos: Sequence[Example], simulated: int, seed: int, release: Release, progress: Callable[[], None]
) -> list[BorderExample]:
    """An example of each photo, then of so many simulated ones, of those where the release finds a lesion."""
    found = []
    for example in photos:
        found.append(real_border(example, release))
        progress()
    for number in range(simulated):
        found.append(simulated_border(seed, number, release))
        progress()
    return [example for example in found if example is not None]


def save_examples(examples: Sequence[BorderExample], path: Path) -> None:
    """Keep examples, so that a run that goes on need not gather them again."""
    part = path.with_name(f"part-{path.name}")
    np.savez(
        part,
        pixels=np.stack([example.seen.pixels for example in examples]),
        probability=np.stack([example.seen.probability for example in examples]).astype(np.float16),
        inside=np.stack([example.seen.inside for example in examples]).astype(np.float16),
        truth=np.stack([example.truth for example in examples]),
    )
    # A run that is killed here leaves no half of a file.
    part.replace(path)


def read_examples_of(path: Path) -> list[BorderExample]:
    """The examples of `save_examples`."""
    with np.load(path) as held:
        parts = [held[name] for name in ("pixels", "probability", "inside", "truth")]
    return [
        BorderExample(Cut(pixels, probability.astype(np.float32), inside.astype(np.float32)), truth)
        for pixels, probability, inside, truth in zip(*parts, strict=True)
    ]


def _border_example(photo: Photo, truth: NDArray[np.bool_], release: Release) -> BorderExample | None:
    with one_thread():
        sight = see(photo, release)
        drawn = segment(photo, release, sight)
    if not drawn.found or not truth.any():
        return None
    crop = crop_around(drawn.mask)
    share = np.round(cut_mask(truth, crop) * 255).astype(np.uint8)
    return BorderExample(cut(photo.pixels, sight.outline, crop), share)
