"""What the border network is taught: experts' borders on real photos, and visible borders of simulated lesions."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from longderm.errors import UsageError
from longderm.imaging.border import Cut, crop_around, cut, cut_mask
from longderm.imaging.network_outline import field_of_sight
from longderm.imaging.segmentation import segment
from longderm.imaging.sight import see
from longderm.models import Release
from longderm.photo import Photo
from longderm.threads import one_thread
from longderm.training.examples import Example
from longderm.training.visible_border import draw_scene, visible_border

#: One in so many simulated photos is held out.
_HELD_ONE_IN = 20
#: Simulated borders are from smoother than the simulator's own to rougher than most of experts' outlines.
_ROUGHNESS = (0.8, 2.0)
#: Kinds whose borders are drawn worst (pale, soft, on inflamed skin, with cysts or scar-like skin at the edge), and how
#: many more of them are simulated for each photo of all kinds.
_HARD_KINDS = (
    "dermal_nevus",
    "dysplastic_nevus",
    "irritated_nevus",
    "melanoma_in_situ",
    "melanoma_invasive",
    "seborrhoeic_keratosis",
)
_HARD_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class BorderExample:
    """A crop around a coarse outline, and the share of each pixel within the true border, uint8 (S, S), 255 inside.

    simulated: the lesion is; held: out of the training, to watch it by.
    """

    seen: Cut
    truth: NDArray[np.uint8]
    simulated: bool = False
    held: bool = False


def real_border(example: Example, release: Release) -> BorderExample | None:
    """A photo with an expert's outline, as it is held for training; None where the release finds no lesion."""
    return _border_example(Photo.from_array(example.fine), example.mask > 127, release)


def simulated_border(
    seed: int, number: int, release: Release, kinds: Sequence[str] | None = None
) -> BorderExample | None:
    """The simulated photo `number` of a seed with its visible border; None where the release finds no lesion.

    kinds: of the lesions, in turn; all if None.
    """
    drawn = draw_scene(seed, number, float(np.random.default_rng([seed, number, 73]).uniform(*_ROUGHNESS)), kinds)
    found = _border_example(Photo.from_array(drawn.pixels), visible_border(drawn), release)
    return replace(found, simulated=True) if found is not None else None


def with_hard_kinds(simulated: int) -> int:
    """How many photos are simulated in all, where `simulated` are of all kinds."""
    return simulated + int(_HARD_SHARE * simulated)


def gather(
    photos: Sequence[Example],
    held: Sequence[Example],
    simulated: int,
    seed: int,
    release: Release,
    progress: Callable[[], None] = lambda: None,
) -> list[BorderExample]:
    """An example of each photo, held out ones too, and of so many simulated ones of all kinds and, beside them, of the
    hard ones (`with_hard_kinds`), where the release finds a lesion."""
    found = []
    for number, example in enumerate([*photos, *held]):
        taken = real_border(example, release)
        found.append(replace(taken, held=number >= len(photos)) if taken is not None else None)
        progress()
    for number in range(with_hard_kinds(simulated)):
        if number < simulated:
            taken = simulated_border(seed, number, release)
        else:
            taken = simulated_border(seed + 1, number - simulated, release, _HARD_KINDS)
        last = number % _HELD_ONE_IN == _HELD_ONE_IN - 1
        found.append(replace(taken, held=last) if taken is not None else None)
        progress()
    return [example for example in found if example is not None]


def save_examples(examples: Sequence[BorderExample], described: str, path: Path) -> None:
    """Keep one example or more, so that a run that goes on need not gather them again. described: what they are of."""
    part = path.with_name(f"part-{path.name}")
    np.savez(
        part,
        described=np.array(described),
        pixels=np.stack([example.seen.pixels for example in examples]),
        probability=np.stack([example.seen.probability for example in examples]).astype(np.float16),
        inside=np.stack([example.seen.inside for example in examples]).astype(np.float16),
        truth=np.stack([example.truth for example in examples]),
        simulated=np.array([example.simulated for example in examples]),
        held=np.array([example.held for example in examples]),
    )
    # A run that is killed here leaves no half of a file.
    part.replace(path)


def read_border_examples(described: str, path: Path) -> list[BorderExample]:
    """The examples of `save_examples`. Raises UsageError where they are of something else, or damaged."""
    names = ("pixels", "probability", "inside", "truth", "simulated", "held")
    try:
        with np.load(path) as kept:
            of, parts = str(kept["described"]), [kept[name] for name in names]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        raise UsageError(f"{path} is damaged; remove it, and the examples are gathered again") from None
    if of != described:
        raise UsageError(f"{path} is of a run with other settings; give them, or another --out")
    return [
        BorderExample(
            Cut(pixels, probability.astype(np.float32), inside.astype(np.float32)), truth, bool(simulated), bool(held)
        )
        for pixels, probability, inside, truth, simulated, held in zip(*parts, strict=True)
    ]


def _border_example(photo: Photo, truth: NDArray[np.bool_], release: Release) -> BorderExample | None:
    with one_thread():
        sight = see(photo, release)
        drawn = segment(photo, release, sight)
    if not drawn.found or not truth.any():
        return None
    crop = crop_around(drawn.mask)
    share = np.round(cut_mask(truth, crop) * 255).astype(np.uint8)
    return BorderExample(cut(photo.pixels, sight.outline, field_of_sight(sight), crop), share)
