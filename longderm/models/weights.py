"""Weights of a release's networks on disk, beside the config.json that describes them: `weights.safetensors` of those
that see the lesion, `border.safetensors` of the one that draws its border anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from longderm.errors import RefusedError
from longderm.models.border_network import BorderArchitecture, BorderNetwork, fold_border
from longderm.models.lesion_network import Architecture, LesionNetwork, fold

WEIGHTS_FILE, BORDER_FILE = "weights.safetensors", "border.safetensors"

N = TypeVar("N", bound=nn.Module)


def write_networks(networks: Sequence[LesionNetwork], folder: Path) -> list[dict[str, Any]]:
    """Write the folded weights in half precision and return the architectures for the config.

    Half precision halves the file; the figures of a release are measured with what is written here.
    """
    _write(nn.ModuleList(fold(network) for network in networks), folder / WEIGHTS_FILE)
    return [asdict(network.architecture) for network in networks]


def write_border(network: BorderNetwork, folder: Path) -> dict[str, Any]:
    """Write the folded border network in half precision and return its architecture for the config."""
    _write(fold_border(network), folder / BORDER_FILE)
    return asdict(network.architecture)


def read_networks(folder: Path) -> list[LesionNetwork]:
    """The networks of a release, for inference in single precision on the CPU.

    Raises RefusedError where weights are missing, damaged or of another architecture than config.json says.
    """

    def build(config: dict[str, Any]) -> nn.ModuleList:
        shapes = config["network"]["architectures"]
        return nn.ModuleList(LesionNetwork(Architecture(**_tuples(shape)), folded=True) for shape in shapes)

    networks = _restored(folder, WEIGHTS_FILE, build)
    return [network.eval().to(memory_format=torch.channels_last) for network in networks]  # type: ignore[call-overload]


def read_border(folder: Path) -> BorderNetwork:
    """The border network of a release, as `read_networks`; raises RefusedError likewise."""

    def build(config: dict[str, Any]) -> BorderNetwork:
        return BorderNetwork(BorderArchitecture(**_tuples(config["border"]["architecture"])), folded=True)

    return _restored(folder, BORDER_FILE, build).eval()


def _write(folded: nn.Module, path: Path) -> None:
    from safetensors.torch import save_file

    save_file({name: value.to(torch.float16).contiguous() for name, value in folded.state_dict().items()}, path)
    # The library writes for the owner alone; a release is for everybody who may read the folder.
    path.chmod(path.stat().st_mode | 0o044)


def _restored(folder: Path, name: str, build: Callable[[dict[str, Any]], N]) -> N:
    """What `build` makes of a release's config, with the weights of a file in single precision."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        network = build(json.loads((folder / "config.json").read_text()))
        network.load_state_dict({key: value.to(torch.float32) for key, value in load_file(folder / name).items()})
    # RuntimeError: keys or shapes differ; the others: a config that describes no such networks.
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise RefusedError(f"{name} does not fit the release's config; restore the release") from error
    return network


def _tuples(shape: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in shape.items()}
