"""Processes of one thread each, for benchmarks that go through many pairs."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from longderm.stages.place import ONE_THREAD


def one_thread_processes(workers: int = 0) -> ProcessPoolExecutor:
    """A pool of so many processes, 0 for one per core; spawned, since libraries that hold threads survive no fork."""
    os.environ.update(ONE_THREAD)
    return ProcessPoolExecutor(workers or len(os.sched_getaffinity(0)), mp_context=get_context("spawn"))
