"""What a layout is: names and shapes of a published kind of checkpoint, and how they become our network's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from math import isqrt
from typing import Protocol

from torch import Tensor

from longderm.models.preprocessing import Preprocessing
from longderm.models.vision_transformer import VisionArchitecture

State = Mapping[str, Tensor]
Shapes = dict[str, tuple[int, ...]]

#: Stands for a dimension that the file does not tell, because the tensor that would is missing or of another rank.
UNKNOWN = 0
#: A ViT has 12 to 48 blocks (Zhai et al., CVPR 2022); a number beyond this is no network's.
MAX_DEPTH = 256
#: Wrappers that trainings put before a backbone's names. A student is not among them: its teacher is the better half.
WRAPPERS = ("module.", "_orig_mod.", "model.", "backbone.", "teacher.", "encoder.")


class Layout(Protocol):
    """A kind of checkpoint. `architecture`, `shapes` and `translate` get the backbone's names without their prefix.

    skipped: full names of what is known not to be of the backbone.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def preprocessing(self) -> Preprocessing: ...  # noqa: D102

    @property
    def skipped(self) -> re.Pattern[str]: ...  # noqa: D102

    def prefix(self, names: Collection[str]) -> str | None:
        """What stands before the backbone's names, or None where there is no backbone of this layout."""

    def evidence(self, names: Collection[str], prefix: str) -> int:
        """How many names only this layout has; the layout with most of them is the file's."""

    def architecture(self, state: State) -> VisionArchitecture:
        """What the tensors tell, by the vote of most; UNKNOWN for what they do not tell (the heads, always)."""

    def shapes(self, state: State, architecture: VisionArchitecture) -> Shapes:
        """Name and shape of every tensor that the backbone must have."""

    def translate(self, state: State, architecture: VisionArchitecture) -> dict[str, Tensor]:
        """The tensors under our network's names."""


def find_prefix(names: Collection[str], block: str, last: tuple[str, ...] = ("",)) -> str | None:
    """What stands before `block` + number in names: wrappers, then one of `last`; None where nothing known does.

    Where several do, the one without a teacher, then the shortest, is taken: the network that was trained itself.
    """
    found = {match[1] for name in names if (match := re.match(rf"(.*?){block}\d+\.", name))}
    known = re.compile(f"(?:{'|'.join(map(re.escape, WRAPPERS))})*(?:{'|'.join(map(re.escape, last))})")
    fitting = [prefix for prefix in found if known.fullmatch(prefix)]
    return min(fitting, key=lambda prefix: ("teacher." in prefix, len(prefix), prefix), default=None)


def depth_of(names: Collection[str], block: str) -> int:
    """Number of blocks: one more than the highest index. A gap below it shows as missing names; a last block that is
    missing whole cannot be told from a shallower network.
    """
    return max((int(match[1]) + 1 for name in names if (match := re.match(rf"{block}(\d{{1,6}})\.", name))), default=0)


def vote(state: State, *where: tuple[str, int]) -> int:
    """The size that most of the named tensors have; `where`: pattern of names, axis.

    The vote of many lets one misshapen tensor be named, instead of all that fit together. UNKNOWN where there are none,
    or where as many say something else: then all of them are named.
    """
    sizes: Counter[int] = Counter()
    for pattern, axis in where:
        named = [value for name, value in state.items() if re.fullmatch(pattern, name)]
        sizes.update(value.shape[axis] for value in named if -value.dim() <= axis < value.dim())
    best = sizes.most_common(2)
    return UNKNOWN if not best or (len(best) > 1 and best[0][1] == best[1][1]) else best[0][0]


def patch_side(state: State, name: str) -> int:
    """Side in pixels of the patches that a convolution (width, 3, side, side) takes."""
    value = state.get(name)
    return value.shape[2] if value is not None and value.dim() == 4 and value.shape[2] == value.shape[3] else UNKNOWN


def text_length(names: State) -> int:
    """Length of the space that a CLIP model's texts share with its images, UNKNOWN where the file has no text tower."""
    return vote(names, (r"(.*\.)?text_projection", 1), (r"(.*\.)?text\.proj(\.2)?\.weight", 0))


def skipping(*patterns: str) -> re.Pattern[str]:
    """The names that match one of `patterns`, behind any wrappers."""
    return re.compile(f"(?:{'|'.join(map(re.escape, WRAPPERS))})*(?:{'|'.join(patterns)})")


def rename(state: State, names: Mapping[str, str]) -> dict[str, Tensor]:
    """Weight and bias of each module in `names` (new -> old) under its new name."""
    return {f"{new}.{part}": state[f"{old}.{part}"] for new, old in names.items() for part in ("weight", "bias")}


def grid_side(positions: int) -> int:
    """Side of the square grid with so many positions."""
    side = isqrt(max(positions, 0))
    return side if side * side == positions else UNKNOWN
