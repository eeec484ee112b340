"""How a training command starts: device, threads, the rows of the folder; and the progress bar around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longderm.errors import UsageError

if TYPE_CHECKING:
    import torch


def prepare_run(folder: Path, out: Path, device: str, threads: int) -> tuple[torch.device, list[dict[str, str]]]:
    """The device, and the rows of split train of an ISIC-layout folder, before anything long is done; makes `out`.

    device: "auto", "cpu" or "cuda"; threads: of the CPU, 0 for as many as there are. Raises SourceNotFoundError for a
    folder of another layout, UsageError for a device that is not there.
    """
    import cv2
    import torch

    from longderm.training.examples import read_train_rows

    chosen = choose_device(device)
    if threads:
        torch.set_num_threads(threads)
    # Views are drawn by one thread; OpenCV's own would take the network's cores.
    cv2.setNumThreads(1)
    out.mkdir(parents=True, exist_ok=True)
    return chosen, read_train_rows(folder)


def choose_device(name: str) -> torch.device:
    """The device of "auto", "cpu" or "cuda". Raises UsageError for another one, or one that is not there."""
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device must be auto, cpu or cuda, not {name}")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: there is no such device here")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


@contextmanager
def progress_bar(shown: bool) -> Iterator[Any]:
    """A progress bar with two handles: `say(text, total)` starts a part, `advance(done, total, text)` moves it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not shown) as bar:
        task = bar.add_task("", total=None)

        def say(text: str, total: int) -> None:
            bar.reset(task, total=total or None, description=text)

        def advance(done: int, total: int | None = None, text: str | None = None) -> None:
            if total is None:
                bar.advance(task, done)
            else:
                bar.update(task, completed=done, total=total, description=text or "")

        yield say, advance
