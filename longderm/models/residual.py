"""Convolutions with normalisation and the residual blocks (He et al. 2016, arXiv 1512.03385) that networks are made of.

`folded` builds them as they are released: the normalisation folded into the convolution before it (see `folded_state`).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Convolution(nn.Module):
    """A 3x3 convolution, batch normalisation (unless folded away) and a rectifier (unless `linear`)."""

    def __init__(self, before: int, after: int, folded: bool, stride: int = 1, linear: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, stride, 1, bias=folded)
        self.norm = nn.Identity() if folded else nn.BatchNorm2d(after)
        self.linear = linear

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, before, H, W) -> (B, after, H / stride, W / stride)."""
        result: Tensor = self.norm(self.conv(features))
        return result if self.linear else functional.relu(result)


class Residual(nn.Module):
    """Two convolutions added to what came in."""

    def __init__(self, width: int, folded: bool) -> None:
        super().__init__()
        self.first = Convolution(width, width, folded)
        self.second = Convolution(width, width, folded, linear=True)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, width, H, W), the same shape out."""
        return functional.relu(features + self.second(self.first(features)))


def folded_state(network: nn.Module) -> dict[str, Tensor]:
    """The state of a network in evaluation with each convolution's normalisation folded into it, by the same names."""
    state = dict(network.state_dict())
    for name, module in network.named_modules():
        if isinstance(module, Convolution):
            assert isinstance(module.norm, nn.BatchNorm2d), "the network is folded already"
            joined = nn.utils.fusion.fuse_conv_bn_eval(module.conv.eval(), module.norm.eval())
            state = {key: value for key, value in state.items() if not key.startswith(f"{name}.norm.")}
            state |= {f"{name}.conv.{key}": value for key, value in joined.state_dict().items()}
    return state
