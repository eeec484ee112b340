"""Tensors out of a file of weights, and nothing else out of it: no pickled object is ever made."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from longderm.errors import AccessError, SourceNotFoundError, UsageError, WeightsError

#: Endings that are read with torch.load(weights_only=True).
_PICKLED = (".pth", ".pt", ".bin")
#: Where trainings keep the network among optimiser and schedule, in the order of preference: averages come first.
_NESTS = ("teacher", "model_ema", "state_dict", "model", "model_state_dict", "module", "encoder")
#: How deep such boxes are opened.
_MAX_NESTS = 4


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Name -> tensor, on the CPU, as the file has them; boxes such as `model` and `state_dict` are opened.

    Raises SourceNotFoundError, AccessError; UsageError for an ending other than .pth, .pt, .bin, .safetensors;
    WeightsError where the file is damaged, holds pickled objects or no tensors.
    """
    if not path.is_file():
        raise SourceNotFoundError(f"there is no file {path}")
    if path.suffix.lower() not in (*_PICKLED, ".safetensors"):
        raise UsageError(f"{path.name}: weights are read from {', '.join(_PICKLED)} and .safetensors")
    held = _load(path)
    for _ in range(_MAX_NESTS):
        if not isinstance(held, Mapping) or any(isinstance(value, Tensor) for value in held.values()):
            break
        inner = next((held[nest] for nest in _NESTS if isinstance(held.get(nest), Mapping)), None)
        if inner is None:
            break
        held = inner
    if not isinstance(held, Mapping) or not any(isinstance(value, Tensor) for value in held.values()):
        raise WeightsError(f"{path.name} holds no named tensors; give a state dict")
    odd = sorted(
        repr(name) for name, value in held.items() if not isinstance(value, Tensor) or not isinstance(name, str)
    )
    if odd:
        raise WeightsError(f"{path.name}: {', '.join(odd[:5])} are no tensors; save the state dict alone")
    return dict(held)


def _load(path: Path) -> Any:
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch muses on what damaged bytes may mean; what counts is raised below
            return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise AccessError(f"{path.name} cannot be read") from error
    except Exception as error:  # whatever the bytes of a damaged file lead the libraries to
        if "weights_only" in str(error) or "Unsupported" in str(error):
            reason = "holds other objects than tensors; it is not opened, since such a file may run code"
            raise WeightsError(f"{path.name} {reason}; save its state dict, best as .safetensors") from error
        raise WeightsError(f"{path.name} is damaged or no file of weights; fetch it again") from error
