"""A progress bar at a terminal; nothing elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Any


class Progress:
    """One bar per pass over the batches. With `shown` False every call does nothing."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        if self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, console=Console(stderr=True))
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def start(self, what: str, total: int) -> None:
        """Begin a pass over `total` entities."""
        if self._bar is not None:
            self._task = self._bar.add_task(what, total=total)

    def advance(self, count: int) -> None:
        """`count` more of them are done."""
        if self._bar is not None:
            self._bar.advance(self._task, count)

    def stop(self) -> None:
        """The pass is over."""
        if self._bar is not None:
            self._bar.refresh()
