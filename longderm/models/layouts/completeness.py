"""Whether a checkpoint holds the backbone, whole and nothing else: by name, by shape, by content."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from longderm.errors import WeightsError
from longderm.models.layouts.layout import UNKNOWN, Shapes

#: So many names a line tells; the error holds all of them.
_NAMES_TOLD = 20


def require_complete(state: Mapping[str, Tensor], shapes: Shapes, skipped: re.Pattern[str], file: str) -> None:
    """Raise WeightsError where `state` misses a tensor of `shapes`, has one more, or one that is not as it should be.

    Names are full, as in the file. `skipped` are the names that are known not to be of the backbone.
    """
    missing = tuple(sorted(set(shapes) - set(state)))
    unexpected = tuple(sorted(name for name in state if name not in shapes and not skipped.fullmatch(name)))
    problems = {name: _problem(state[name], shape) for name, shape in shapes.items() if name in state}
    misshapen = {name: problem for name, problem in sorted(problems.items()) if problem is not None}
    parts = [
        f"{label} {_told([f'{name}{detail}' for name, detail in names])}"
        for label, names in (
            ("missing", [(name, "") for name in missing]),
            ("unexpected", [(name, "") for name in unexpected]),
            ("wrong", [(name, f" {problem}") for name, problem in misshapen.items()]),
        )
        if names
    ]
    if parts:
        raise WeightsError(f"{file} is not a complete backbone: {'; '.join(parts)}", missing, unexpected, misshapen)


def _problem(value: Tensor, shape: tuple[int, ...]) -> str | None:
    if UNKNOWN in shape or tuple(value.shape) != shape:
        return f"({_sizes(value.shape)} instead of {_sizes(shape)})"
    if not value.is_floating_point() or value.layout != torch.strided:
        return f"({value.dtype}, not floating point)"
    # A file may claim a huge tensor that repeats a few bytes.
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return "(less data than its shape)"
    return None if bool(torch.isfinite(value).all()) else "(not finite)"


def _sizes(shape: tuple[int, ...] | torch.Size) -> str:
    return "x".join("?" if size == UNKNOWN else str(size) for size in shape) or "a number"


def _told(names: list[str]) -> str:
    more = len(names) - _NAMES_TOLD
    return ", ".join(names[:_NAMES_TOLD]) + (f" and {more} more" if more > 0 else "")
