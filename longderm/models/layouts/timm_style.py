"""The names that timm, DINO, MAE, BEiT and what came of them share: `blocks.0.attn.qkv.weight`, `mlp.fc1`, `norm`."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from longderm.models.layouts.layout import (
    UNKNOWN,
    Shapes,
    State,
    depth_of,
    find_prefix,
    grid_side,
    patch_side,
    rename,
    vote,
)
from longderm.models.preprocessing import Preprocessing
from longderm.models.vision_transformer import VisionArchitecture

_BLOCK = r"blocks\."
#: LayerNorms of this family (timm, DINO, BEiT and CAE alike).
_EPS = 1e-6
#: Register tokens by this name: timm's, whose `pos_embed` then holds no position of the class token.
_WITHOUT_CLASS = "reg_token"
#: Modules of a block: our name -> this family's.
_MODULES = {"attention.out": "attn.proj", "up": "mlp.fc1", "down": "mlp.fc2", "norm1": "norm1", "norm2": "norm2"}


@dataclass(frozen=True)
class TimmStyle:
    """One member of the family.

    biases: of the attention's input, one for all three or one each for queries and values; scales: of the two halves
    of a block; always_scaled: whether a block without them is incomplete; registers: names that register tokens may
    have; head: the name of a linear head that is the projection, None where heads are classifiers and are skipped;
    before: what must stand before the names, behind any wrappers.
    """

    name: str
    preprocessing: Preprocessing
    skipped: re.Pattern[str]
    biases: tuple[str, ...]
    scales: tuple[str, str]
    always_scaled: bool
    registers: tuple[str, ...] = ()
    head: str | None = None
    before: tuple[str, ...] = ("",)

    def prefix(self, names: Collection[str]) -> str | None:
        """See Layout."""
        return find_prefix(names, _BLOCK, self.before)

    def evidence(self, names: Collection[str], prefix: str) -> int:
        """See Layout: biases and scales are what the members of the family name differently."""
        own = re.compile(f"{re.escape(prefix)}{_BLOCK}\\d+\\.({'|'.join(map(re.escape, self.biases + self.scales))})")
        return sum(own.fullmatch(name) is not None for name in names)

    def architecture(self, state: State) -> VisionArchitecture:
        """See Layout."""
        before, count = self._registers(state)[1], _positions(state)
        mean = any(name.startswith("fc_norm.") for name in state) and not any(n.startswith("norm.") for n in state)
        return VisionArchitecture(
            width=vote(
                state,
                (r"(blocks\.\d+\.norm[12]|norm|fc_norm)\.(weight|bias)|cls_token|blocks\.\d+\..*proj\.bias", -1),
            ),
            depth=depth_of(state, _BLOCK),
            heads=UNKNOWN,
            mlp_width=vote(state, (r"blocks\.\d+\.mlp\.fc1\.(weight|bias)", 0), (r"blocks\.\d+\.mlp\.fc2\.weight", 1)),
            patch_px=patch_side(state, "patch_embed.proj.weight"),
            grid=grid_side(count - before),
            registers=next((state[name].shape[1] for name in self.registers if _has_rank_3(state, name)), UNKNOWN),
            layer_scale=self.always_scaled or any(name.endswith(self.scales) for name in state),
            pool="mean" if mean else "class",
            projection=None if self.head is None else vote(state, (rf"{self.head}\.(weight|bias)", 0)),
            projection_bias=self.head is not None,
            eps=_EPS,
        )

    def shapes(self, state: State, architecture: VisionArchitecture) -> Shapes:
        """See Layout."""
        width, hidden, side = architecture.width, architecture.mlp_width, architecture.patch_px
        final = "norm" if architecture.pool == "class" else "fc_norm"
        registers, before = self._registers(state)
        shapes: Shapes = {
            "cls_token": (1, 1, width),
            "pos_embed": (1, before + architecture.grid**2 if architecture.grid else UNKNOWN, width),
            "patch_embed.proj.weight": (width, 3, side, side),
            "patch_embed.proj.bias": (width,),
            f"{final}.weight": (width,),
            f"{final}.bias": (width,),
        }
        if registers is not None:
            shapes[registers] = (1, architecture.registers, width)
        elif self.registers and grid_side(_positions(state)):
            # Positions for the patches alone: a file with register tokens that has lost them.
            shapes[_WITHOUT_CLASS] = (1, UNKNOWN, width)
        for index in range(architecture.depth):
            block: Shapes = {f"norm{half}.{part}": (width,) for half in (1, 2) for part in ("weight", "bias")}
            block |= {"attn.qkv.weight": (3 * width, width)}
            block |= {name: (3 * width if len(self.biases) == 1 else width,) for name in self.biases}
            block |= {"attn.proj.weight": (width, width), "attn.proj.bias": (width,)}
            block |= {"mlp.fc1.weight": (hidden, width), "mlp.fc1.bias": (hidden,)}
            block |= {"mlp.fc2.weight": (width, hidden), "mlp.fc2.bias": (width,)}
            if architecture.layer_scale:
                block |= dict.fromkeys(self.scales, (width,))
            shapes |= {f"blocks.{index}.{name}": shape for name, shape in block.items()}
        if self.head is not None:
            length = architecture.projection or UNKNOWN
            shapes |= {f"{self.head}.weight": (length, width), f"{self.head}.bias": (length,)}
        return shapes

    def translate(self, state: State, architecture: VisionArchitecture) -> dict[str, Tensor]:
        """See Layout."""
        registers, before = self._registers(state)
        positions = state["pos_embed"][0]
        modules = {"patch": "patch_embed.proj", "norm": "norm" if architecture.pool == "class" else "fc_norm"}
        if self.head is not None:
            modules["projection"] = self.head
        ours = {
            "class_token": state["cls_token"][0, 0] + (positions[0] if before else 0),
            "positions": positions[before:],
        }
        if registers is not None:
            ours["registers"] = state[registers][0]
        for index in range(architecture.depth):
            block = f"blocks.{index}."
            modules |= {f"{block}{new}": f"{block}{old}" for new, old in _MODULES.items()}
            ours[f"{block}attention.qkv.weight"] = state[f"{block}attn.qkv.weight"]
            biases = [state[block + name] for name in self.biases]
            # Queries, keys, values; keys have no bias where there are two (it would cancel in the softmax).
            ours[f"{block}attention.qkv.bias"] = (
                biases[0] if len(biases) == 1 else torch.cat([biases[0], torch.zeros_like(biases[0]), biases[1]])
            )
            if architecture.layer_scale:
                ours |= {f"{block}scale{half}": state[block + name] for half, name in enumerate(self.scales, 1)}
        ours |= rename(state, modules)
        ours["patch.weight"] = ours["patch.weight"].flatten(1)
        return ours

    def _registers(self, state: State) -> tuple[str | None, int]:
        """The register tokens' name, and how many positions `pos_embed` holds before the patches'."""
        name = next((name for name in self.registers if name in state), None)
        return name, 0 if name == _WITHOUT_CLASS else 1


def _positions(state: State) -> int:
    return state["pos_embed"].shape[1] if _has_rank_3(state, "pos_embed") else -1


def _has_rank_3(state: State, name: str) -> bool:
    return name in state and state[name].dim() == 3
