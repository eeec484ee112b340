"""Layouts of published checkpoints: recognised by their names, loaded completely or refused with what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from longderm.errors import UsageError, WeightsError
from longderm.models.layouts.checkpoint import read_checkpoint
from longderm.models.layouts.completeness import require_complete
from longderm.models.layouts.layout import MAX_DEPTH, Layout, text_length
from longderm.models.layouts.open_clip import OPEN_CLIP
from longderm.models.layouts.panderm import DERMLIP_PANDERM, PANDERM
from longderm.models.layouts.timm import TIMM
from longderm.models.vision_transformer import VisionTransformer

__all__ = ["LAYOUTS", "Layout", "build_network", "heads_of", "read_checkpoint", "recognise"]

#: Name -> layout. Where evidence is equal, the first is taken.
LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in (TIMM, PANDERM, DERMLIP_PANDERM, OPEN_CLIP)}

#: Width of a head, of nearly every ViT (Dosovitskiy et al.); weights do not tell it.
_HEAD_WIDTH = 64
#: Published widths whose heads are not 64 wide: So400m, ViT-H, ViT-g, ViT-G; all have 16 (Zhai et al., CVPR 2022).
_HEADS = {1152: 16, 1280: 16, 1408: 16, 1664: 16}


def recognise(names: Mapping[str, object], file: str, layout: str | None = None) -> tuple[Layout, str]:
    """The layout of a checkpoint and what stands before its backbone's names; `layout` names one to try alone.

    Raises UsageError for an unknown layout, WeightsError where the file is of none.
    """
    if layout is not None and layout not in LAYOUTS:
        raise UsageError(f"no layout {layout!r}; there are {', '.join(LAYOUTS)}")
    tried = LAYOUTS.values() if layout is None else [LAYOUTS[layout]]
    fitting = [(each, prefix) for each in tried if (prefix := each.prefix(names.keys())) is not None]
    if not fitting:
        some = ", ".join(sorted(names)[:3])
        raise WeightsError(
            f"{file} holds no backbone of layout {layout or ' or '.join(LAYOUTS)}; it begins with {some}"
        )
    return max(fitting, key=lambda pair: pair[0].evidence(names.keys(), pair[1]))


def build_network(
    state: Mapping[str, Tensor],
    layout: Layout,
    prefix: str,
    file: str,
    heads: int | None = None,
    quick_gelu: bool = False,
) -> VisionTransformer:
    """The network of a checkpoint, float32 on the CPU, for inference.

    heads and quick_gelu are what weights do not tell; heads default to `heads_of` the width. Raises WeightsError that
    lists every backbone tensor that is missing, unexpected or misshapen.
    """
    backbone = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    architecture = layout.architecture(backbone)
    if architecture.depth > MAX_DEPTH:
        raise WeightsError(f"{file} claims {architecture.depth} blocks; no network has more than {MAX_DEPTH}")
    if architecture.projection is not None and (shared := text_length(state)):
        architecture = replace(architecture, projection=shared)
    shapes = {prefix + name: shape for name, shape in layout.shapes(backbone, architecture).items()}
    require_complete(state, shapes, layout.skipped, file)
    architecture = replace(architecture, heads=heads or heads_of(architecture.width, file), quick_gelu=quick_gelu)
    if architecture.width % architecture.heads:
        raise UsageError(f"{file}: a width of {architecture.width} does not divide into {heads} heads")
    ours = layout.translate(
        {name: backbone[name].float() for name in (full.removeprefix(prefix) for full in shapes)}, architecture
    )
    with torch.device("meta"):
        network = VisionTransformer(architecture)
    network.load_state_dict({name: value.contiguous() for name, value in ours.items()}, strict=True, assign=True)
    return network.eval()


def heads_of(width: int, file: str) -> int:
    """Heads of a ViT of that width: 64 wide each, but for published exceptions. Raises UsageError without a rule."""
    if width in _HEADS:
        return _HEADS[width]
    if width % _HEAD_WIDTH:
        raise UsageError(f"{file}: weights do not tell the number of heads of a width of {width}; give heads=")
    return width // _HEAD_WIDTH
