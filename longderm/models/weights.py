"""Weights of a release's lesion networks on disk: `weights.safetensors` beside the config.json that describes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from longderm.errors import RefusedError
from longderm.models.lesion_network import Architecture, LesionNetwork, fold

WEIGHTS_FILE = "weights.safetensors"


def write_networks(networks: Sequence[LesionNetwork], folder: Path) -> list[dict[str, Any]]:
    """Write the folded weights in half precision and return the architectures for the config.

    Half precision halves the file; the figures of a release are measured with what is written here.
    """
    from safetensors.torch import save_file

    folded = nn.ModuleList(fold(network) for network in networks)
    state = {name: value.to(torch.float16).contiguous() for name, value in folded.state_dict().items()}
    save_file(state, folder / WEIGHTS_FILE)
    # The library writes for the owner alone; a release is for everybody who may read the folder.
    (folder / WEIGHTS_FILE).chmod((folder / WEIGHTS_FILE).stat().st_mode | 0o044)
    return [asdict(network.architecture) for network in networks]


def read_networks(folder: Path) -> list[LesionNetwork]:
    """The networks of a release, for inference in single precision on the CPU.

    Raises RefusedError where weights are missing, damaged or of another architecture than config.json says.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        shapes = json.loads((folder / "config.json").read_text())["network"]["architectures"]
        networks = nn.ModuleList(LesionNetwork(_architecture(shape), folded=True) for shape in shapes)
        state = {name: value.to(torch.float32) for name, value in load_file(folder / WEIGHTS_FILE).items()}
        networks.load_state_dict(state)
    # RuntimeError: keys or shapes differ; the others: a config that describes no such networks.
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise RefusedError(f"{WEIGHTS_FILE} does not fit the release's config; restore the release") from error
    return [network.eval().to(memory_format=torch.channels_last) for network in networks]  # type: ignore[call-overload]


def _architecture(shape: dict[str, Any]) -> Architecture:
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in shape.items()}
    return Architecture(**given)
