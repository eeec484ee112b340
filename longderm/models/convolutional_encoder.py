"""A small residual network that gives a photo a vector: quick without a GPU, and it learns from few photos.

Residual (He et al. 2016, arXiv 1512.03385). The vector holds the mean of each channel at 1/8, 1/16 and 1/32 of the
image, so that fine texture, which the deepest features have forgotten, is in it; each value is shifted and scaled by
what it was over the training photos, so that no channel outweighs the others in a cosine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from longderm.models.residual import Convolution, Residual, folded_state
from longderm.models.vision_transformer import Seen

#: Images are continued to a multiple of this by their last pixels: five halvings.
ENCODER_STRIDE_PX = 32
#: Levels whose means make the vector: the last three.
_POOLED = 3


@dataclass(frozen=True)
class ConvolutionalArchitecture:
    """Channels and blocks of a convolutional encoder.

    widths: channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image; blocks: residual blocks at the last four;
    seen_px: larger images are brought down to this shorter side, at which a lesion is as large as in the training;
    projection: length of the projected vector, or None.
    """

    widths: tuple[int, int, int, int, int] = (24, 48, 96, 192, 320)
    blocks: tuple[int, int, int, int] = (1, 2, 2, 1)
    seen_px: int = 160
    projection: int | None = None

    @property
    def width(self) -> int:
        """Length of the vector."""
        return sum(self.widths[-_POOLED:])


class ConvolutionalEncoder(nn.Module):
    """Images, normalised, float (B, 3, H, W) of any size -> `Seen`; patches are the features at 1/16 of what it sees.

    `folded` builds the network as it is released: normalisation folded into the convolutions (see `fold_encoder`).
    """

    def __init__(self, architecture: ConvolutionalArchitecture | None = None, folded: bool = False) -> None:
        super().__init__()
        self.architecture = shape = architecture or ConvolutionalArchitecture()
        widths = shape.widths
        self.stem = Convolution(3, widths[0], folded, stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(
                Convolution(before, after, folded, stride=2), *(Residual(after, folded) for _ in range(count))
            )
            for before, after, count in zip(widths, widths[1:], shape.blocks, strict=False)
        )
        self.scale = nn.Parameter(torch.ones(shape.width)) if folded else None
        self.shift = nn.Parameter(torch.zeros(shape.width)) if folded else None
        self.norm = nn.Identity() if folded else nn.BatchNorm1d(shape.width, affine=False)
        self.projection = None if shape.projection is None else nn.Linear(shape.width, shape.projection)

    def forward(self, images: Tensor) -> Seen:
        """See the class."""
        shorter = min(images.shape[2:])
        if shorter > self.architecture.seen_px:
            size = [round(side * self.architecture.seen_px / shorter) for side in images.shape[2:]]
            images = functional.interpolate(images, size=size, mode="bilinear", antialias=True)
        below, right = (-side % ENCODER_STRIDE_PX for side in images.shape[2:])
        if below or right:
            images = functional.pad(images, (0, right, 0, below), mode="replicate")
        levels = [self.stem(images.contiguous(memory_format=torch.channels_last))]
        for stage in self.stages:
            levels.append(stage(levels[-1]))
        pooled = torch.cat([level.mean(dim=(2, 3), dtype=torch.float32) for level in levels[-_POOLED:]], dim=1)
        vector = self.norm(pooled)
        if self.scale is not None and self.shift is not None:
            vector = vector * self.scale + self.shift
        projected = None if self.projection is None else self.projection(vector)
        rows, columns = levels[-2].shape[2:]
        return Seen(vector, projected, levels[-2].flatten(2).transpose(1, 2), (rows, columns))


def with_projection(network: ConvolutionalEncoder, weight: Tensor, bias: Tensor) -> ConvolutionalEncoder:
    """The same network with a projection of its vector: weight (P, D), bias (P,)."""
    projected = ConvolutionalEncoder(replace(network.architecture, projection=len(weight)))
    projected.load_state_dict(network.state_dict() | {"projection.weight": weight, "projection.bias": bias})
    return projected.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]


def fold_encoder(network: ConvolutionalEncoder) -> ConvolutionalEncoder:
    """The same network for inference: convolutions and vector carry the normalisation that followed them."""
    folded = ConvolutionalEncoder(network.architecture, folded=True)
    state = folded_state(network)
    assert isinstance(network.norm, nn.BatchNorm1d)
    mean, variance = state.pop("norm.running_mean"), state.pop("norm.running_var")
    state.pop("norm.num_batches_tracked")
    state["scale"] = (variance + network.norm.eps).rsqrt()
    state["shift"] = -mean * state["scale"]
    folded.load_state_dict(state)
    return folded.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
