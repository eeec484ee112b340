"""One thread: photos are looked at on copies so small that threads cost more than they bring, and change low bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """OpenCV and torch on one thread; what was set before comes back afterwards."""
    import cv2
    import torch

    before_cv, before_torch = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before_cv)
        torch.set_num_threads(before_torch)
