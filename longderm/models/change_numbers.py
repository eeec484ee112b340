"""Whether the numbers of a change release's config can be what they are said to be: asked before it is taken in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from longderm.errors import RefusedError

_NOISE = ("centre", "mdc", "spread")


def check_change_numbers(config: Mapping[str, Any]) -> None:
    """Raise RefusedError for the first number of a release of kind "change" that is none, or that cannot be.

    alpha lies between 0 and 1; each measure's noise has a centre and a positive spread and MDC; weights are not
    negative; scores of the calibration lie in [0, 1]; the head of the evolution score, if any, is all numbers.
    """
    _number("alpha", config["alpha"], lambda value: 0.0 < value < 1.0)
    _number("bias", config["bias"])
    noise = _numbers_by_name("noise", config["noise"])
    if not noise:
        raise RefusedError("config.json: noise names no measure; without one nothing can be told from noise")
    for name, told in noise.items():
        if not isinstance(told, Mapping) or not set(_NOISE) <= set(told):
            raise RefusedError(f"config.json: noise of {name} must hold {', '.join(_NOISE)}")
        _number(f"centre of {name}", told["centre"])
        for key in ("spread", "mdc"):
            _number(f"{key} of {name}", told[key], lambda value: value > 0.0)
    for name, weight in _numbers_by_name("weights", config["weights"]).items():
        _number(f"weight of {name}", weight, lambda value: value >= 0.0)
    scores = config["calibration_scores"]
    if not isinstance(scores, list):
        raise RefusedError("config.json: calibration_scores must be a list")
    for score in scores:
        _number("a score of the calibration", score, lambda value: 0.0 <= value <= 1.0)
    if "evolution" in config:
        head = _numbers_by_name("evolution", config["evolution"])
        _number("bias of evolution", head.get("bias"))
        for part in ("weights", "typical"):
            for name, value in _numbers_by_name(f"{part} of evolution", head.get(part)).items():
                _number(f"{part} of evolution, {name}", value)


def _numbers_by_name(what: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RefusedError(f"config.json: {what} must be an object of names and numbers")
    return value


def _number(what: str, value: Any, allowed: Callable[[float], bool] = lambda value: True) -> None:
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not known or not allowed(value):
        raise RefusedError(f"config.json: {what} cannot be {value!r:.40}; make the release anew")
