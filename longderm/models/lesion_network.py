"""The lesion network: one pass over a small square copy of a photo gives outline, structures and presence.

A residual encoder (He et al. 2016, arXiv 1512.03385) with a top-down decoder (Lin et al. 2017, arXiv 1612.03144). It
sees a photo squashed to a square, as the photos of its training are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from longderm.models.residual import Convolution, Residual, folded_state

#: The input's sides are multiples of this: five halvings.
STRIDE_PX = 32
#: Grey levels 0 to 255 become (value / 255 - MIDDLE) / SPREAD.
MIDDLE, SPREAD = 0.5, 0.25


@dataclass(frozen=True)
class Architecture:
    """Channels and blocks of a lesion network.

    widths: channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input; blocks: residual blocks at the last four;
    decoder: channels of the decoder at 1/2, 1/4, 1/8 and 1/16; structures: how many it tells apart.
    """

    widths: tuple[int, int, int, int, int] = (24, 48, 96, 160, 256)
    blocks: tuple[int, int, int, int] = (1, 2, 3, 2)
    decoder: tuple[int, int, int, int] = (24, 48, 64, 96)
    structures: int = 5


class Logits(NamedTuple):
    """What the network says of a batch, as logits.

    outline: (B, 1, S / 2, S / 2); coarse: (B, 1, S / 8, S / 8), the same outline from the coarser features;
    structure_map: (B, K, S / 8, S / 8); structures: (B, K), each anywhere in the photo; presence: (B,), any lesion.
    """

    outline: Tensor
    coarse: Tensor
    structure_map: Tensor
    structures: Tensor
    presence: Tensor


class LesionNetwork(nn.Module):
    """`folded` builds the network as it is released: normalisation folded into the convolutions (see `fold`)."""

    def __init__(self, architecture: Architecture | None = None, folded: bool = False) -> None:
        super().__init__()
        self.architecture = shape = architecture if architecture is not None else Architecture()
        widths, decoder = shape.widths, shape.decoder
        self.stem = Convolution(3, widths[0], folded, stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(
                Convolution(before, after, folded, stride=2), *(Residual(after, folded) for _ in range(count))
            )
            for before, after, count in zip(widths, widths[1:], shape.blocks, strict=False)
        )
        self.context = nn.Sequential(nn.Linear(widths[-1], 64), nn.ReLU(), nn.Linear(64, widths[-1]))
        coarser = [*decoder[1:], widths[-1]]
        self.descend = nn.ModuleList(nn.Conv2d(below, here, 1) for below, here in zip(coarser, decoder, strict=True))
        self.lateral = nn.ModuleList(
            nn.Conv2d(width, here, 1, bias=False) for width, here in zip(widths, decoder, strict=False)
        )
        self.refine = nn.ModuleList(Convolution(here, here, folded) for here in decoder)
        self.outline = nn.Conv2d(decoder[0], 1, 3, padding=1)
        self.marks = Convolution(decoder[2], decoder[2], folded)
        self.coarse = nn.Conv2d(decoder[2], 1, 1)
        self.structure_map = nn.Conv2d(decoder[2], shape.structures, 1)
        self.drop = nn.Dropout(0.25)
        self.structures = nn.Linear(widths[-1] + 2 * decoder[2] + shape.structures, shape.structures)
        self.presence = nn.Linear(2 * widths[-1] + 1, 1)

    def forward(self, photos: Tensor) -> Logits:
        """Photos float (B, 3, S, S), normalised (see `normalise`), S a multiple of `STRIDE_PX`."""
        features = [self.stem(photos)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        whole = features[-1].mean(dim=(2, 3))
        deep = features[-1] + self.context(whole)[:, :, None, None]
        peak = deep.amax(dim=(2, 3))
        whole = deep.mean(dim=(2, 3))

        eighth = deep
        for level in (3, 2):
            eighth = self._up(eighth, features[level], level)
        marked = self.marks(eighth)
        structure_map = self.structure_map(marked)
        coarse = self.coarse(marked)
        finest = eighth
        for level in (1, 0):
            finest = self._up(finest, features[level], level)

        summary = torch.cat([whole, marked.mean(dim=(2, 3)), marked.amax(dim=(2, 3)), _soft_peak(structure_map)], dim=1)
        presence = torch.cat([whole, peak, _soft_peak(coarse)], dim=1)
        return Logits(
            self.outline(finest),
            coarse,
            structure_map,
            self.structures(self.drop(summary)),
            self.presence(self.drop(presence))[:, 0],
        )

    def _up(self, below: Tensor, beside: Tensor, level: int) -> Tensor:
        risen = functional.interpolate(self.descend[level](below), size=beside.shape[2:], mode="bilinear")
        refined: Tensor = self.refine[level](functional.relu(risen + self.lateral[level](beside)))
        return refined


def normalise(pixels: Tensor) -> Tensor:
    """uint8 (B, S, S, 3) as the network's input, float32 (B, 3, S, S), channels last in memory."""
    scaled = (pixels.to(torch.float32) / 255 - MIDDLE) / SPREAD
    return scaled.permute(0, 3, 1, 2)


def fold(network: LesionNetwork) -> LesionNetwork:
    """The same network for inference, in which convolutions carry the normalisation that followed them."""
    folded = LesionNetwork(network.architecture, folded=True)
    folded.load_state_dict(folded_state(network))
    return folded.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _soft_peak(logits: Tensor) -> Tensor:
    """A maximum over the map to which every place adds, (B, K): log of the mean of exponentials."""
    flat = logits.flatten(2).to(torch.float32)
    return torch.logsumexp(flat, dim=2) - torch.log(torch.tensor(float(flat.shape[2])))
