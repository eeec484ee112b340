"""Batches in order, made by a thread of their own while the network works on those before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

B = TypeVar("B")

#: Batches prepared ahead of the one in use.
_AHEAD = 3


def in_order(make: Callable[[int], B], count: int, ahead: bool = True) -> Iterator[B]:
    """make(0) to make(count - 1); ahead: by another thread, a few before they are asked for."""
    if not ahead:
        yield from map(make, range(count))
        return
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[B]] = deque()
        for number in range(count):
            waiting.append(pool.submit(make, number))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
