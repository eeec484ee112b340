"""The border network: draws a lesion's border anew on a crop around its coarse outline.

A U-Net (Ronneberger et al. 2015, arXiv 1505.04597) whose answer is a correction: before it is trained, what comes out
is the coarse outline that went in.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from longderm.models.residual import Convolution, folded_state

#: What the network is given of each pixel (`longderm.imaging.border`); which of it is the coarse outline's log-odds.
PLANES, COARSE_PLANE = 8, 6


@dataclass(frozen=True)
class BorderArchitecture:
    """widths: channels at 1/1, 1/2, 1/4 and 1/8 of the input; last: channels that the correction is read from."""

    widths: tuple[int, int, int, int] = (16, 24, 32, 40)
    last: int = 12


class BorderNetwork(nn.Module):
    """`folded` builds it as it is released: normalisation folded into the convolutions."""

    def __init__(self, architecture: BorderArchitecture | None = None, folded: bool = False) -> None:
        super().__init__()
        self.architecture = shape = architecture if architecture is not None else BorderArchitecture()
        full, half, quarter, eighth = shape.widths

        def twice(before: int, after: int) -> nn.Sequential:
            return nn.Sequential(Convolution(before, after, folded), Convolution(after, after, folded))

        self.down = nn.ModuleList([twice(PLANES, full), twice(full, half), twice(half, quarter)])
        self.deepest = Convolution(quarter, eighth, folded)
        self.up = nn.ModuleList(
            [
                Convolution(eighth + quarter, half, folded),
                Convolution(half + half, full, folded),
                Convolution(full + full, shape.last, folded),
            ]
        )
        self.correction = nn.Conv2d(shape.last, 1, 1)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)  # type: ignore[arg-type]  # it has one
        self.trust = nn.Parameter(torch.ones(1))

    def forward(self, planes: Tensor) -> Tensor:
        """Planes float (B, PLANES, S, S), S a multiple of 8 -> log-odds of lesion (B, 1, S, S)."""
        levels = [planes]
        for number, down in enumerate(self.down):
            levels.append(down(functional.max_pool2d(levels[-1], 2) if number else levels[-1]))
        features: Tensor = self.deepest(functional.max_pool2d(levels[-1], 2))
        for up, beside in zip(self.up, levels[:0:-1], strict=True):
            risen = functional.interpolate(features, scale_factor=2, mode="bilinear")
            features = up(torch.cat([risen, beside], dim=1))
        coarse = planes[:, COARSE_PLANE : COARSE_PLANE + 1]
        corrected: Tensor = self.trust * coarse + self.correction(features)
        return corrected


def fold_border(network: BorderNetwork) -> BorderNetwork:
    """The same network for inference, in which convolutions carry the normalisation that followed them."""
    folded = BorderNetwork(network.architecture, folded=True)
    folded.load_state_dict(folded_state(network))
    return folded.eval()
