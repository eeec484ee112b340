"""Ends what a killed run would leave behind.

A run that dies by SIGKILL cannot stop the Prefect server that it embeds, nor its worker processes. So each run starts a
small guard process that waits on a pipe: when the run ends in any way the pipe closes, and the guard ends every process
that carries the run's mark in its environment.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

#: Environment variable that every process of a run inherits.
MARK = "LONGDERM_RUN_MARK"


@contextlib.contextmanager
def guarded(mark: str) -> Iterator[None]:
    """Run the body under a guard. `mark` is a text that no other run carries."""
    before = os.environ.get(MARK)
    os.environ[MARK] = mark
    guard = subprocess.Popen(
        [sys.executable, "-m", "longderm.flows.guard", mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a signal to the run's process group must not reach its guard
        env={name: value for name, value in os.environ.items() if name != MARK},
    )
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(MARK, None)
        else:
            os.environ[MARK] = before
        assert guard.stdin is not None
        with contextlib.suppress(OSError):
            guard.stdin.write(b"ended\n")
            guard.stdin.close()
        guard.wait(timeout=30)


def end_marked(mark: str) -> int:
    """Kill every process of this user that carries the mark; returns how many."""
    import psutil

    ended = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark:
                process.kill()
                ended += 1
    return ended


if __name__ == "__main__":
    if not sys.stdin.buffer.read():  # closed without a word: the run was killed
        end_marked(sys.argv[1])
