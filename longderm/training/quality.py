"""Fits the network that expects an error of measurement from signs of quality (`longderm.imaging.quality_model`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from longderm.imaging.quality_model import Ramp

#: Units of the hidden layer: half bend upwards, half saturate.
_UNITS = 16
_STEPS, _RATE = 6000, 2e-2
#: So many networks are fitted from different starts and joined: their mean ranks better than any of them.
_NETWORKS = 4
#: Weights are drawn towards a prior (`Ramp.cost`) instead of towards nothing: every sign costs something, also one that
#: no distortion of the training has moved. How strongly it draws.
_PRIOR_PULL, _WEIGHT_PULL = 3e-4, 1e-4
#: A further distorted copy should be expected to err more, by this much; and how much this counts.
_STEP_MARGIN, _STEP_WEIGHT = 0.004, 12.0
#: Errors are compared as square roots: small ones should be ranked as well.
_LEAST_ERROR = 1e-4


def fit_error_model(
    badness: NDArray[np.float64],
    errors: NDArray[np.float64],
    series: NDArray[np.int64],
    ramps: Sequence[Ramp],
    seed: int = 0,
) -> dict[str, Any]:
    """Config of an `ErrorModel` from badness (N, n) by n `ramps`, realised errors (N,) and `series` (S, L): rows of one
    photo that get worse step by step, from the photo as it is. Seeded; the same on every machine up to the last digits,
    which are rounded away.
    """
    x, y = (torch.tensor(part, dtype=torch.float32) for part in (badness, errors))
    steps = torch.tensor(series)
    nets = [_fit(x, y, steps, ramps, seed * _NETWORKS + number) for number in range(_NETWORKS)]
    return _config(nets)


def _fit(x: Tensor, y: Tensor, steps: Tensor, ramps: Sequence[Ramp], seed: int) -> _Net:
    torch.manual_seed(seed)
    net = _Net(ramps)
    # A photo as it is moves nothing from itself, whatever it is like: it would teach how copies differ from photos.
    copies = torch.ones(len(y), dtype=torch.bool)
    copies[steps[:, 0]] = False
    optimiser = torch.optim.Adam(net.parameters(), lr=_RATE)
    for step in range(_STEPS):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * (1 - step / _STEPS)
        expected = net(x)
        misses = (expected.clamp(min=_LEAST_ERROR).sqrt() - y.clamp(min=_LEAST_ERROR).sqrt()).square()[copies].mean()
        ladder = expected[steps]
        falls = functional.relu(ladder[:, :-1] - ladder[:, 1:] + _STEP_MARGIN).mean()
        loss = misses + _STEP_WEIGHT * falls + net.pull()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net


def _config(nets: list[_Net]) -> dict[str, Any]:
    """The mean of the networks' log-odds as one network, their units side by side."""
    half = _UNITS // 2

    def side_by_side(parts: list[Tensor]) -> Tensor:
        # Those that bend come before those that saturate.
        return torch.cat([part[..., :half] for part in parts] + [part[..., half:] for part in parts], dim=-1)

    def rounded(values: Tensor) -> Any:
        return np.vectorize(lambda value: float(f"{value:.5g}"))(values.detach().numpy()).tolist()

    return {
        "direct": rounded(torch.stack([net.direct.exp() for net in nets]).mean(dim=0)),
        "inner": rounded(side_by_side([net.inner.exp() for net in nets])),
        "bias": rounded(side_by_side([net.bias for net in nets])),
        "outer": rounded(side_by_side([net.outer.exp() for net in nets]) / len(nets)),
        "offset": round(float(torch.stack([net.offset.detach() for net in nets]).mean()), 5),
    }


class _Net(nn.Module):
    """`ErrorModel` with weights as exponentials, so that they stay above 0."""

    def __init__(self, ramps: Sequence[Ramp]) -> None:
        super().__init__()
        self.prior = torch.tensor([ramp.cost for ramp in ramps]).log()
        self.certainty = torch.tensor([ramp.certainty for ramp in ramps])
        self.direct = nn.Parameter(self.prior.clone())
        self.inner = nn.Parameter(0.5 * torch.randn(len(ramps), _UNITS) - 2)
        self.bias = nn.Parameter(torch.randn(_UNITS))
        self.outer = nn.Parameter(0.3 * torch.randn(_UNITS) - 1)
        self.offset = nn.Parameter(torch.tensor(-3.0))

    def forward(self, x: Tensor) -> Tensor:
        hidden = x @ self.inner.exp() + self.bias
        half = _UNITS // 2
        bent = torch.cat([functional.softplus(hidden[:, :half]), torch.tanh(hidden[:, half:])], dim=1)
        return torch.sigmoid(self.offset + x @ self.direct.exp() + bent @ self.outer.exp())

    def pull(self) -> Tensor:
        towards_prior = (self.certainty * (self.direct - self.prior).square()).mean()
        return _PRIOR_PULL * towards_prior + _WEIGHT_PULL * self.inner.exp().mean()
