"""One run over a store: intake, the passes over photos, pairs and lesions, and the commits between them.

The order of commits is fixed, inputs before what is derived, so a run that dies between two is repaired by the next: it
finds the same work still pending. Where the batches run (a Prefect task pool, this process) is the caller's: each pass
takes a function that turns batches into results.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from longderm.errors import StageError
from longderm.settings import Settings
from longderm.stages.place import BatchResult, Place
from longderm.stages.source import Source
from longderm.stages.work import PAIR_STAGES, PHOTO_STAGES, STAGES, Work, find_work
from longderm.store import Store, local_folder

if TYPE_CHECKING:
    from longderm.archive import LinkTable, Scan, SourceSpec

#: Batches per worker and pass: enough that workers end together, few enough that a task's overhead stays small.
_BATCHES_PER_WORKER = 4


@dataclass(frozen=True)
class BatchFailure:
    """An entity whose worker died twice; it stays pending."""

    entity: Any


Results = Iterable[BatchResult | BatchFailure]
Batches = list[Sequence[Any]]


@dataclass
class Run:
    """What one run holds: the store, the link table, the settings, and its counts."""

    store: Store
    link: LinkTable
    settings: Settings
    command: str
    source: Source | None
    as_of: date
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _clock_s: float = field(default_factory=time.monotonic)
    counts: Counter[str] = field(default_factory=Counter)
    unavailable: set[str] = field(default_factory=set)
    cpu_s: float = 0.0

    @classmethod
    def open(cls, store: str | Path, settings: Settings, command: str, source: Source | None) -> Run:
        """Open a store and its link table; both are made if a source is given and there are none yet.

        Raises the errors of `Store` and `LinkTable`, and RefusedError when the two do not belong together.
        """
        from longderm.archive import LinkTable

        folder = link_folder(store, settings)
        if source is not None:
            source.require()
            link = LinkTable.open(folder, create=True)
            opened = Store.create(store, link.key_id)
        else:
            opened = Store(store)
            link = LinkTable.open(folder)
            opened.require_key(link.key_id)
        return cls(opened, link, settings, command, source, settings.as_of or date.today())

    @cached_property
    def workers(self) -> int:
        """Worker processes of this run."""
        import os

        return self.settings.workers or len(os.sched_getaffinity(0))

    @cached_property
    def spec(self) -> SourceSpec:
        """The checked source; a store or link table that lies in the archive's folder is no part of it."""
        assert self.source is not None
        return self.source.spec(exclude=(self.store.root, link_folder(self.store.root, self.settings)))

    @property
    def place(self) -> Place:
        """What a worker needs to open."""
        return Place(str(self.store.root), str(link_folder(self.store.root, self.settings)), self.settings)

    def batches(self, entities: Sequence[Any]) -> Batches:
        """Split sorted entities evenly into batches of at most `batch_size`."""
        size = max(1, min(self.settings.batch_size, -(-len(entities) // (self.workers * _BATCHES_PER_WORKER))))
        return [entities[i : i + size] for i in range(0, len(entities), size)]

    def take(
        self, results: Results, order: Sequence[str], counted: str, on_failure: Callable[[Any], None] | None = None
    ) -> None:
        """Commit results as they come, each in the fixed order of its tables."""
        for result in results:
            if isinstance(result, BatchFailure):
                self.counts["failed"] += 1
                if on_failure is not None:
                    on_failure(result.entity)
                continue
            tables = result.tables()
            for name in order:
                if name in tables:
                    self.store.append(name, tables[name], self.run_id)
            self.counts[counted] += result.entities
            self.cpu_s += result.cpu_s
            self.unavailable.update(result.unavailable)


def link_folder(store: str | Path, settings: Settings) -> Path:
    """The folder of the key and the link table: as set, else beside the store."""
    root = local_folder(store)
    return settings.link_dir.expanduser().absolute() if settings.link_dir else root.with_name(root.name + ".link")


def is_nothing_new(run: Run) -> bool:
    """Whether a run would find neither new files nor pending work. Reads the folders and tables; writes none."""
    if run.source is not None and (_scan(run).anything_new or any(len(rows) for rows in _assign(run).values())):
        return False
    return run.command == "ingest" or find_work(run.store, run.settings).nothing


def intake(run: Run, execute: Callable[[Batches], Results]) -> None:
    """Take in what is new. Reading is spooled in the link table, so a killed run goes on where it stood."""
    from longderm.archive import clear_spool, give_up

    if run.source is None:
        return
    batches = run.batches(_scan(run).pending)
    # A file that brings down the process that reads it, twice, is quarantined: it must not stop the archive.
    run.take(execute(batches), (), "files_read", on_failure=lambda ref: give_up(run.link, run.spec, [ref]))
    rows = _assign(run)
    for name, new in rows.items():
        run.counts[f"new_{name}"] += run.store.append(name, new, run.run_id)
    clear_spool(run.link, run.spec)


def run_intake_batch(batch: Sequence[str], place: Place, spec: SourceSpec) -> BatchResult:
    """Read some files of the archive into the spool (in a worker)."""
    from longderm.archive import read_into_spool

    started = time.process_time()
    read_into_spool(Path(place.link_dir), batch, spec, max_megapixels=place.settings.max_megapixels)
    return BatchResult(cpu_s=time.process_time() - started, entities=len(batch))


def work_on_photos(run: Run, execute: Callable[[Batches], Results]) -> None:
    """What is found in each photo by itself, where it is pending."""
    from longderm.stages.photo import photo_work

    run.take(execute(run.batches(photo_work(find_work(run.store, run.settings)))), PHOTO_STAGES, "photos")


def work_on_pairs(run: Run, execute: Callable[[Batches], Results]) -> None:
    """Alignment and change of every pair where they are pending."""
    from longderm.stages.pair import pair_work

    run.take(execute(run.batches(pair_work(find_work(run.store, run.settings)))), PAIR_STAGES, "pairs")


def work_on_lesions(run: Run) -> None:
    """Decisions, then trajectories, where they are pending."""
    from longderm.stages.lesion import run_decisions, run_trajectories

    release = run.place.fingerprinter().releases["change"]
    run.take([run_decisions(find_work(run.store, run.settings), release)], ("decisions",), "decisions")
    run.take([run_trajectories(find_work(run.store, run.settings), release)], ("trajectories",), "trajectories")


def finish(run: Run) -> dict[str, Any]:
    """Record the run and return its summary: what was done, what is held, and what is still pending."""
    work = find_work(run.store, run.settings)
    summary = {
        "nothing_new": False,
        "as_of": run.as_of.isoformat(),
        "done": {name: count for name, count in sorted(run.counts.items()) if count},
        "files": _files(run.store),
        "verdicts": _verdicts(work),
        "flagged": sum(bool(row["flagged"]) for row in work.rows["decisions"].values()),
        "failed_rows": _failures(work),
        "unavailable": sorted(run.unavailable),
        "pending": {} if run.command == "ingest" else {s: len(work.pending[s]) for s in STAGES if work.pending[s]},
        "cpu_s": round(run.cpu_s, 3),
        "wall_s": round(time.monotonic() - run._clock_s, 3),
    }
    _record(run, summary)
    return summary


def finish_nothing_new(run: Run) -> dict[str, Any]:
    """Record a run that found nothing to do; no other table gets a version."""
    summary = {"nothing_new": True, "as_of": run.as_of.isoformat(), "files": _files(run.store)}
    _record(run, summary)
    return summary


def raise_for_failures(summary: dict[str, Any]) -> None:
    """Raise StageError when a run left work pending, saying where."""
    if summary.get("pending"):
        where = ", ".join(f"{name} {count}" for name, count in summary["pending"].items())
        refs = summary["unavailable"]
        why = f"; {len(refs)} files are not at hand, the first is {refs[0]} (see `longderm find`)" if refs else ""
        raise StageError(f"still pending: {where}{why}; run again to go on")


def _scan(run: Run) -> Scan:
    from longderm.archive import scan

    return scan(run.spec, run.link, run.store.current("files"), run.as_of)


def _assign(run: Run) -> dict[str, pa.Table]:
    from longderm.archive import INTAKE_TABLES, assign

    current = {name: run.store.current(name) for name in INTAKE_TABLES}
    return assign(run.link, run.spec, current, run.as_of)


def _record(run: Run, summary: dict[str, Any]) -> None:
    from importlib.metadata import version

    row = {
        "run_id": run.run_id,
        "command": run.command,
        "as_of": run.as_of,
        "started_at": run.started_at,
        "finished_at": datetime.now(UTC),
        "longderm_version": version("longderm"),
        "summary": json.dumps(summary, sort_keys=True),
    }
    from longderm.schema import TABLES

    run.store.append("runs", pa.Table.from_pylist([row], schema=TABLES["runs"].schema), run.run_id)


def _files(store: Store) -> dict[str, int]:
    statuses = Counter(store.current("files")["status"].to_pylist())
    return {"seen": sum(statuses.values())} | dict(sorted(statuses.items()))


def _verdicts(work: Work) -> dict[str, int]:
    return dict(sorted(Counter(row["verdict"] for row in work.rows["decisions"].values()).items()))


def _failures(work: Work) -> dict[str, int]:
    failed = {stage: sum(bool(row["failure"]) for row in work.rows[stage].values()) for stage in STAGES}
    return {stage: count for stage, count in failed.items() if count}
