"""`open_clip_config.json`, which open_clip publishes beside a model's weights: what the weights do not tell."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from longderm.errors import WeightsError
from longderm.models.preprocessing import Preprocessing

CONFIG_FILE = "open_clip_config.json"
_WAYS: dict[str, Literal["bilinear", "bicubic"]] = {"bicubic": "bicubic", "bilinear": "bilinear"}


@dataclass(frozen=True)
class Sidecar:
    """The activation, the number of heads (None: not told) and the preprocessing of a CLIP image tower."""

    quick_gelu: bool
    heads: int | None
    preprocessing: Preprocessing


def read_sidecar(folder: Path, default: Preprocessing) -> Sidecar:
    """What `open_clip_config.json` in `folder` says; open_clip's own defaults where there is none.

    Without it the activation is GELU, as in open_clip; towers that go on from OpenAI's weights take QuickGELU, which
    no tensor tells. Raises WeightsError where the file is no such config.
    """
    path = folder / CONFIG_FILE
    if not path.is_file():
        return Sidecar(False, None, default)
    try:
        config: dict[str, Any] = json.loads(path.read_text())
        model, shown = config["model_cfg"], config.get("preprocess_cfg", {})
        vision = model["vision_cfg"]
        width, head_width = vision.get("width"), vision.get("head_width")
        heads = int(width) // int(head_width) if width and head_width else None
        preprocessing = replace(
            default,
            mean=_three(shown.get("mean", default.mean)),
            std=_three(shown.get("std", default.std)),
            interpolation=_WAYS[shown.get("interpolation", default.interpolation)],
        )
        return Sidecar(bool(model.get("quick_gelu", False)), heads, preprocessing)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise WeightsError(f"{CONFIG_FILE} beside the weights is no config of open_clip; mend or remove it") from error


def _three(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third
