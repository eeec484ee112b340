"""Image towers of CLIP models as open_clip writes them, DermLIP's among them (Yan et al., ICCV 2025, "Derm1M").

Towers with attentional pooling (CoCa), without `ln_pre`, or of another kind (`visual.trunk.`) are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Collection

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
    skipping,
    vote,
)
from longderm.models.preprocessing import CLIP_MEAN, CLIP_STD, Preprocessing
from longderm.models.vision_transformer import VisionArchitecture

_BLOCK = r"transformer\.resblocks\."
#: torch's default for LayerNorm, which CLIP keeps.
_EPS = 1e-5
#: Modules: our name -> CLIP's; of a block and of the tower.
_MODULES = {"norm1": "ln_1", "attention.out": "attn.out_proj", "norm2": "ln_2", "up": "mlp.c_fc", "down": "mlp.c_proj"}
_TOWER = {"norm_before": "ln_pre", "norm": "ln_post"}


class OpenClip:
    """See Layout."""

    name = "open_clip"
    preprocessing = Preprocessing(CLIP_MEAN, CLIP_STD, 224, 224, "bicubic")
    #: The text tower, open_clip's old and new way, and what OpenAI's files say of themselves.
    skipped = skipping(
        r"(transformer|token_embedding|ln_final|text)\..*",
        r"positional_embedding|text_projection|attn_mask|logit_(scale|bias)",
        r"input_resolution|context_length|vocab_size",
    )

    def prefix(self, names: Collection[str]) -> str | None:
        """See Layout."""
        return find_prefix(names, _BLOCK, ("visual.",))

    def evidence(self, names: Collection[str], prefix: str) -> int:
        """See Layout: nobody else has residual blocks by that name."""
        return sum(name.startswith(f"{prefix}transformer.resblocks.") for name in names)

    def architecture(self, state: State) -> VisionArchitecture:
        """See Layout."""
        positions = state.get("positional_embedding")
        return VisionArchitecture(
            width=vote(state, (rf"({_BLOCK}\d+\.ln_[12]|ln_pre|ln_post)\.(weight|bias)|class_embedding", -1)),
            depth=depth_of(state, _BLOCK),
            heads=UNKNOWN,
            mlp_width=vote(
                state, (rf"{_BLOCK}\d+\.mlp\.c_fc\.(weight|bias)", 0), (rf"{_BLOCK}\d+\.mlp\.c_proj\.weight", 1)
            ),
            patch_px=patch_side(state, "conv1.weight"),
            grid=UNKNOWN if positions is None or positions.dim() != 2 else grid_side(len(positions) - 1),
            patch_bias=False,
            layer_scale=any(re.fullmatch(rf"{_BLOCK}\d+\.ls_[12]\.gamma", name) for name in state),
            norm_before=True,
            projection=vote(state, ("proj", 1)),
            eps=_EPS,
        )

    def shapes(self, state: State, architecture: VisionArchitecture) -> Shapes:
        """See Layout."""
        width, hidden, side = architecture.width, architecture.mlp_width, architecture.patch_px
        shapes: Shapes = {
            "class_embedding": (width,),
            "positional_embedding": (1 + architecture.grid**2 if architecture.grid else UNKNOWN, width),
            "conv1.weight": (width, 3, side, side),
            "proj": (width, architecture.projection or UNKNOWN),
        }
        shapes |= {f"{norm}.{part}": (width,) for norm in _TOWER.values() for part in ("weight", "bias")}
        for index in range(architecture.depth):
            block: Shapes = {f"ln_{half}.{part}": (width,) for half in (1, 2) for part in ("weight", "bias")}
            block |= {"attn.in_proj_weight": (3 * width, width), "attn.in_proj_bias": (3 * width,)}
            block |= {"attn.out_proj.weight": (width, width), "attn.out_proj.bias": (width,)}
            block |= {"mlp.c_fc.weight": (hidden, width), "mlp.c_fc.bias": (hidden,)}
            block |= {"mlp.c_proj.weight": (width, hidden), "mlp.c_proj.bias": (width,)}
            if architecture.layer_scale:
                block |= {f"ls_{half}.gamma": (width,) for half in (1, 2)}
            shapes |= {f"transformer.resblocks.{index}.{name}": shape for name, shape in block.items()}
        return shapes

    def translate(self, state: State, architecture: VisionArchitecture) -> dict[str, Tensor]:
        """See Layout."""
        positions = state["positional_embedding"]
        modules = dict(_TOWER)
        ours = {
            "class_token": state["class_embedding"] + positions[0],
            "positions": positions[1:],
            "patch.weight": state["conv1.weight"].flatten(1),
            "projection.weight": state["proj"].T,
        }
        for index in range(architecture.depth):
            block, old = f"blocks.{index}.", f"transformer.resblocks.{index}."
            modules |= {block + ours_: old + theirs for ours_, theirs in _MODULES.items()}
            ours |= {f"{block}attention.qkv.{part}": state[f"{old}attn.in_proj_{part}"] for part in ("weight", "bias")}
            if architecture.layer_scale:
                ours |= {f"{block}scale{half}": state[f"{old}ls_{half}.gamma"] for half in (1, 2)}
        return ours | rename(state, modules)


OPEN_CLIP = OpenClip()
