"""One thread: photos are looked at on copies so small that threads cost more than they bring, and change low bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any


@contextmanager
def one_thread() -> Iterator[None]:
    """OpenCV, torch and BLAS on one thread; what was set before comes back afterwards.

    BLAS would split even a product of 6 x 2,000 numbers, and its idle threads spin for longer than the product takes.
    """
    import cv2
    import torch

    before_cv, before_torch = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:
        with _blas().limit(limits=1, user_api="blas"):
            yield
    finally:
        cv2.setNumThreads(before_cv)
        torch.set_num_threads(before_torch)


@lru_cache(maxsize=1)
def _blas() -> Any:
    """The BLAS libraries of this process, looked for once: that takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
