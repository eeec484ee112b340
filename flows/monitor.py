"""The monitoring flow: takes in what is new, works on what is pending, commits, and leaves a table of verdicts.

This process is the only one that commits; worker processes get ids and rows, read the photos, and return rows.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .embedded import own_server, prepare_environment

prepare_environment()

from prefect import flow, task  # noqa: E402  (reads its environment when imported)
from prefect.artifacts import create_table_artifact  # noqa: E402
from prefect.cache_policies import NO_CACHE  # noqa: E402
from prefect.futures import as_completed  # noqa: E402
from prefect.task_runners import ProcessPoolTaskRunner  # noqa: E402

from longderm import stages  # noqa: E402
from longderm.archive import SourceSpec  # noqa: E402
from longderm.settings import Settings  # noqa: E402

from .guard import guarded  # noqa: E402
from .progress import Progress  # noqa: E402

#: Tries after the first for a batch that fails as a whole (a share that hiccups), and the seconds between them.
RETRIES, RETRY_DELAYS_S = 2, [1, 10]

_TASK: dict[str, Any] = {
    "retries": RETRIES,
    "retry_delay_seconds": RETRY_DELAYS_S,
    "cache_policy": NO_CACHE,  # what is pending is decided by our own fingerprints
    "persist_result": False,
}


@task(name="read files", **_TASK)
def read_files(batch: Sequence[str], place: stages.Place, spec: SourceSpec) -> stages.BatchResult:
    """Read new files of the archive."""
    return stages.run_intake_batch(batch, place, spec)


@task(name="photos", **_TASK)
def photos(batch: Sequence[stages.PhotoWork], place: stages.Place) -> stages.BatchResult:
    """Preview, quality, mask and measures of some photos."""
    return stages.run_photo_batch(batch, place)


@task(name="pairs", **_TASK)
def pairs(batch: Sequence[Sequence[stages.PairWork]], place: stages.Place) -> stages.BatchResult:
    """Alignment and change of the pairs of some lesions."""
    return stages.run_pair_batch(batch, place)


@flow(name="longderm-monitor", persist_result=False)
def monitor(
    store: str,
    source: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    command: str = "monitor",
    progress: bool = False,
) -> dict[str, Any]:
    """Bring a store up to date with its archive; returns the run's summary.

    `source` holds the fields of `stages.Source`, `settings` those of `Settings`; `command` is "ingest" to take photos
    in and stop there, or "monitor"; `progress` shows a bar at a terminal.
    """
    run = stages.Run.open(store, Settings(**(settings or {})), command, stages.Source(**source) if source else None)
    with ExitStack() as stack:
        stack.enter_context(run.store.lock(command))
        bar = stack.enter_context(Progress(progress and sys.stderr.isatty()))
        pool = _Pool(run.workers, run.place, bar, stack)
        stages.intake(run, lambda batches: pool.run("reading files", read_files, batches, spec=run.spec))
        if command == "monitor":
            stages.work_on_photos(run, lambda batches: pool.run("photos", photos, batches))
            stages.work_on_pairs(run, lambda batches: pool.run("pairs", pairs, batches))
            stages.work_on_lesions(run)
        summary = stages.finish(run)
    create_table_artifact(
        key="longderm-verdicts",
        table=[{"verdict": name, "pairs": count} for name, count in sorted(summary["verdicts"].items())],
        description="Pairs by verdict after this run. No output is not 'no change'.",
    )
    return summary


class _Pool:
    """Worker processes, started when the first batch comes; batches go in, results come out as they are done."""

    def __init__(self, workers: int, place: stages.Place, bar: Progress, stack: ExitStack) -> None:
        self._workers, self._place, self._bar, self._stack = workers, place, bar, stack
        self._runner: ProcessPoolTaskRunner | None = None

    def run(self, what: str, work: Any, batches: Sequence[Sequence[Any]], **more: Any) -> Any:
        """Yield the `BatchResult` of each batch as it is done.

        Batches of a pool that broke (a worker was killed, say for memory) are tried once more, entity by entity, so
        that one photo that brings a worker down costs only itself. What fails then is yielded as `BatchFailure`.
        """
        if not batches:
            return
        self._bar.start(what, sum(len(batch) for batch in batches))
        failed = yield from self._try(work, batches, **more)
        if failed:
            yield from self._one_by_one(work, [[entity] for batch in failed for entity in batch], **more)
        self._bar.stop()

    def _try(self, work: Any, batches: Sequence[Sequence[Any]], **more: Any) -> Any:
        runner = self._start()
        futures: dict[Any, Sequence[Any]] = {
            runner.submit(work, parameters={"batch": batch, "place": self._place, **more}): batch for batch in batches
        }
        failed = []
        for future in as_completed(list(futures)):
            result = future.result(raise_on_failure=False)
            if isinstance(result, stages.BatchResult):
                self._bar.advance(len(futures[future]))
                yield result
            else:
                failed.append(futures[future])
        if failed:
            self._end()
        return failed

    def _one_by_one(self, work: Any, singles: list[list[Any]], **more: Any) -> Any:
        for single in singles:
            still_failed = yield from self._try(work, [single], **more)
            if still_failed:
                self._bar.advance(1)
                yield stages.BatchFailure(single[0])

    def _start(self) -> ProcessPoolTaskRunner:
        if self._runner is None:
            os.environ.update(stages.ONE_THREAD)  # inherited by the workers, before they load anything
            runner = ProcessPoolTaskRunner(
                max_workers=self._workers, initializer=stages.start_worker, initargs=(os.getpid(),)
            )
            self._runner = self._stack.enter_context(runner)
        return self._runner

    def _end(self) -> None:
        self._runner = None  # its processes end with the flow; the next batch starts new ones


def run_monitor(
    store: str | Path,
    *,
    source: stages.Source | None = None,
    settings: Settings | None = None,
    command: str = "monitor",
    progress: bool = False,
) -> dict[str, Any]:
    """Run the flow here and now; returns its summary. What a killed run would leave behind is ended by a guard."""
    with guarded(uuid.uuid4().hex), own_server():
        summary: dict[str, Any] = monitor(
            store=str(store),
            source=source.as_dict() if source else None,
            settings=settings.model_dump(mode="json") if settings else None,
            command=command,
            progress=progress,
        )
    return summary
