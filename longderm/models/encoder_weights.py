"""An encoder of our own on disk: `model.safetensors` beside a `config.json` whose `encoder` says what it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from longderm.errors import WeightsError
from longderm.models.convolutional_encoder import ConvolutionalArchitecture, ConvolutionalEncoder
from longderm.models.layouts.checkpoint import read_checkpoint
from longderm.models.layouts.completeness import require_complete
from longderm.models.preprocessing import Preprocessing
from longderm.models.vision_transformer import VisionArchitecture, VisionTransformer

#: Weights of an encoder of our own.
ENCODER_WEIGHTS_FILE = "model.safetensors"
#: Any network that an encoder of our own may be, for inference.
OwnNetwork = VisionTransformer | ConvolutionalEncoder
#: Names of the two families in config.json.
_VISION_TRANSFORMER, _CONVOLUTIONAL = "vision_transformer", "convolutional"
#: Nothing in our own files is skipped.
_NOTHING = re.compile(r"(?!)")


def write_encoder(network: OwnNetwork, preprocessing: Preprocessing, folder: Path, half: bool = True) -> dict[str, Any]:
    """Write the weights to `folder` and return what belongs under `encoder` in its config.json.

    A convolutional encoder is folded (`fold_encoder`). Half precision halves the file; the figures of a release are to
    be measured with what is written here, read back.
    """
    from safetensors.torch import save_file

    dtype = torch.float16 if half else torch.float32
    state = {name: value.detach().to("cpu", dtype).contiguous() for name, value in network.state_dict().items()}
    save_file(state, folder / ENCODER_WEIGHTS_FILE)
    # The library writes for the owner alone; a release is for everybody who may read the folder.
    (folder / ENCODER_WEIGHTS_FILE).chmod((folder / ENCODER_WEIGHTS_FILE).stat().st_mode | 0o044)
    return {
        "family": _VISION_TRANSFORMER if isinstance(network, VisionTransformer) else _CONVOLUTIONAL,
        "architecture": asdict(network.architecture),
        "preprocessing": asdict(preprocessing),
    }


def read_encoder(folder: Path) -> tuple[OwnNetwork, Preprocessing]:
    """The network of `folder`, float32 on the CPU, for inference, and how photos are prepared for it.

    Raises WeightsError where config.json or weights are missing, damaged or do not fit each other.
    """
    architecture, preprocessing = _read_config(folder)
    state = read_checkpoint(folder / ENCODER_WEIGHTS_FILE)
    network: OwnNetwork
    try:
        with torch.device("meta"):
            if isinstance(architecture, VisionArchitecture):
                network = VisionTransformer(architecture)
            else:
                network = ConvolutionalEncoder(architecture, folded=True)
    except (ValueError, TypeError, RuntimeError) as error:
        raise WeightsError(f"{folder.name}: config.json gives no architecture that can be") from error
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    require_complete(state, shapes, _NOTHING, ENCODER_WEIGHTS_FILE)
    network.load_state_dict({name: value.float() for name, value in state.items()}, strict=True, assign=True)
    if isinstance(network, ConvolutionalEncoder):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch types less
    return network.eval(), preprocessing


def _read_config(folder: Path) -> tuple[VisionArchitecture | ConvolutionalArchitecture, Preprocessing]:
    kinds = {_VISION_TRANSFORMER: VisionArchitecture, _CONVOLUTIONAL: ConvolutionalArchitecture}
    try:
        config = json.loads((folder / "config.json").read_text())["encoder"]
        return _made(kinds[config["family"]], config["architecture"]), _made(Preprocessing, config["preprocessing"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{folder.name}: config.json is missing or describes no encoder") from error


def _made(kind: Any, given: Mapping[str, Any]) -> Any:
    """A dataclass of its fields as JSON has them; every field must be there, so that no default fills a gap."""
    if set(given) != {field.name for field in fields(kind)}:
        raise ValueError(f"{kind.__name__} of other fields")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})
