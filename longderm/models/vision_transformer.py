"""A Vision Transformer (Dosovitskiy et al., ICLR 2021) whose options cover the checkpoints that `layouts` reads.

One way of holding weights serves all of them: the class token with its position added, a bias for queries, keys and
values (zero where a layout has none), positions of the patches alone. Attention is torch's fused kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- what everybody calls it

#: Standard deviation of fresh weights (Dosovitskiy et al.: truncated normal).
_START_SPREAD = 0.02
#: Layer scale of a fresh network (Touvron et al., ICCV 2021, "Going deeper", for up to 18 blocks).
_START_SCALE = 0.1
#: QuickGELU: x sigmoid(1.702 x), the approximation that OpenAI's CLIP was trained with (Hendrycks and Gimpel 2016).
_QUICK_GELU_SLOPE = 1.702


@dataclass(frozen=True)
class VisionArchitecture:
    """What a Vision Transformer is made of; by default ViT-Tiny/16 at 224 px (Touvron et al., ICML 2021; 5.5 M).

    width: of a token; mlp_width: of the hidden layer; patch_px: side of a patch; grid: side of the square grid of
    patches that the stored positions are for; registers: tokens without a place (Darcet et al., ICLR 2024);
    norm_before: a LayerNorm before the first block (CLIP's ln_pre); pool: "class", the class token after the final
    norm, or "mean", the norm of the mean patch token; projection: length of the projected vector, or None.
    """

    width: int = 192
    depth: int = 12
    heads: int = 3
    mlp_width: int = 768
    patch_px: int = 16
    grid: int = 14
    registers: int = 0
    patch_bias: bool = True
    layer_scale: bool = False
    norm_before: bool = False
    quick_gelu: bool = False
    pool: Literal["class", "mean"] = "class"
    projection: int | None = None
    projection_bias: bool = False
    eps: float = 1e-6


class Seen(NamedTuple):
    """What the network says of images: `vector` (B, width), `projected` (B, projection) or None, `patches`
    (B, rows x columns, width), row by row, and their `grid` (rows, columns).
    """

    vector: Tensor
    projected: Tensor | None
    patches: Tensor
    grid: tuple[int, int]


class VisionTransformer(nn.Module):
    """Images, normalised, float (B, 3, H, W) of any size -> `Seen`.

    An image whose sides are no multiples of the patch is continued at its right and lower edge by its last pixels.
    Where the grid differs from the stored one, positions are interpolated (see `positions_at`).
    Raises ValueError where the width is no multiple of the number of heads.
    """

    def __init__(self, architecture: VisionArchitecture | None = None) -> None:
        super().__init__()
        shape = self.architecture = architecture or VisionArchitecture()
        if shape.heads < 1 or shape.width % shape.heads:
            raise ValueError(f"a width of {shape.width} does not divide into {shape.heads} heads")
        # A convolution whose stride is its kernel is one product; so a GPU does not round it to TF32 either.
        self.patch = nn.Linear(3 * shape.patch_px**2, shape.width, bias=shape.patch_bias)
        self.class_token = nn.Parameter(torch.zeros(shape.width))
        self.registers = nn.Parameter(torch.zeros(shape.registers, shape.width)) if shape.registers else None
        self.positions = nn.Parameter(torch.zeros(shape.grid**2, shape.width))
        self.norm_before = nn.LayerNorm(shape.width, eps=shape.eps) if shape.norm_before else None
        self.blocks = nn.ModuleList(_Block(shape) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(shape.width, eps=shape.eps)
        self.projection = (
            None if shape.projection is None else nn.Linear(shape.width, shape.projection, bias=shape.projection_bias)
        )
        for name, value in self.named_parameters():
            if value.dim() > 1 or name == "class_token":
                nn.init.trunc_normal_(value, std=_START_SPREAD)
            elif name.endswith("bias"):
                nn.init.zeros_(value)

    def forward(self, images: Tensor) -> Seen:
        """See the class."""
        cut, grid = cut_patches(images, self.architecture.patch_px)
        patches = self.patch(cut) + self.positions_at(grid)
        leading = (
            self.class_token[None] if self.registers is None else torch.cat([self.class_token[None], self.registers])
        )
        tokens = torch.cat([leading.to(patches.dtype).expand(len(images), -1, -1), patches], dim=1)
        if self.norm_before is not None:
            tokens = self.norm_before(tokens)
        for block in self.blocks:
            tokens = block(tokens)
        placed = 1 + self.architecture.registers
        if self.architecture.pool == "class":
            tokens = self.norm(tokens)
            vector, patches = tokens[:, 0], tokens[:, placed:]
        else:
            patches = tokens[:, placed:]
            vector = self.norm(patches.mean(dim=1))
        projected = None if self.projection is None else self.projection(vector)
        return Seen(vector, projected, patches, grid)

    def positions_at(self, grid: tuple[int, int]) -> Tensor:
        """Positions (rows x columns, width) for a grid of patches.

        Where the grid is not the stored one: bicubic between cell centres, with antialiasing where it shrinks, as timm
        and open_clip do. Stored sin-cos positions are treated alike. DINOv2's own code leaves antialiasing out, so its
        vectors at 224 px differ from ours in the low digits; with the stored grid nothing is interpolated.
        """
        side = self.architecture.grid
        if grid == (side, side):
            return self.positions
        stored = self.positions.reshape(1, side, side, -1).permute(0, 3, 1, 2)
        at = F.interpolate(stored.float(), size=grid, mode="bicubic", antialias=True, align_corners=False)
        return at.flatten(2).permute(0, 2, 1)[0].to(self.positions.dtype)


def cut_patches(images: Tensor, patch_px: int) -> tuple[Tensor, tuple[int, int]]:
    """Images (B, 3, H, W) as patches (B, rows x columns, 3 x patch_px^2), channel by channel, and (rows, columns)."""
    batch, channels, height, width = images.shape
    rows, columns = -(-height // patch_px), -(-width // patch_px)
    below, right = rows * patch_px - height, columns * patch_px - width
    if below or right:
        images = F.pad(images, (0, right, 0, below), mode="replicate")
    cut = images.reshape(batch, channels, rows, patch_px, columns, patch_px).permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(batch, rows * columns, channels * patch_px**2), (rows, columns)


class _Block(nn.Module):
    """Attention, then a perceptron, each after its norm and added to what came in."""

    def __init__(self, shape: VisionArchitecture) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(shape.width, eps=shape.eps)
        self.attention = _Attention(shape)
        self.norm2 = nn.LayerNorm(shape.width, eps=shape.eps)
        self.up = nn.Linear(shape.width, shape.mlp_width)
        self.down = nn.Linear(shape.mlp_width, shape.width)
        self.quick_gelu = shape.quick_gelu
        self.scale1, self.scale2 = (
            nn.Parameter(torch.full((shape.width,), _START_SCALE)) if shape.layer_scale else None for _ in range(2)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        seen = self.attention(self.norm1(tokens))
        tokens = tokens + (seen if self.scale1 is None else self.scale1 * seen)
        hidden = self.up(self.norm2(tokens))
        hidden = hidden * torch.sigmoid(_QUICK_GELU_SLOPE * hidden) if self.quick_gelu else F.gelu(hidden)
        thought: Tensor = self.down(hidden)
        return tokens + (thought if self.scale2 is None else self.scale2 * thought)


class _Attention(nn.Module):
    """Every token looks at every token, in several heads, scaled by the root of a head's width."""

    def __init__(self, shape: VisionArchitecture) -> None:
        super().__init__()
        self.heads = shape.heads
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, count, width = tokens.shape
        split = self.qkv(tokens).reshape(batch, count, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = split.unbind(0)
        seen = F.scaled_dot_product_attention(query, key, value)
        return self.out(seen.transpose(1, 2).reshape(batch, count, width))  # type: ignore[no-any-return]
