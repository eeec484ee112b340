"""Which device computes, and in which numbers."""

from __future__ import annotations

import torch


def helps_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is quicker: not so on CPUs and GPUs that only imitate it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def best_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
