"""Write a whole simulated archive: two makers' files, the events table and the truth."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from longderm.errors import AccessError, UsageError
from longderm.simulate.calibration import PUBLISHED, Calibration
from longderm.simulate.plans import AS_OF, PatientPlan, draw_patient

#: Raised when the same seed gives other pixels.
SIMULATOR_VERSION = 1

EVENT_COLUMNS = ("patient_id", "lesion_id", "date", "event", "diagnosis")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SimulatedArchive:
    """What was written: the folder, and the number of patients, lesions, photos and pairs (of the truth)."""

    path: Path
    seed: int
    patients: int
    lesions: int
    photos: int
    pairs: int


@dataclass
class PatientOutcome:
    """What one patient left: rows of the truth, of the metadata table and of the events table."""

    lesions: list[dict[str, Any]] = field(default_factory=list)
    photos: list[dict[str, Any]] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    events: list[dict[str, str]] = field(default_factory=list)


def simulate_archive(
    out: Path | str,
    patients: int,
    seed: int,
    *,
    sample_defects: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
    masks: bool = False,
    calibration: Calibration = PUBLISHED,
) -> SimulatedArchive:
    """Write an archive of `patients` patients drawn from `seed` into the folder `out`, which must be new or empty.

    The files are the same for every number of `workers` (processes), and patient k is the same for every number of
    patients. `sample_defects` adds one file of each common defect; `masks` writes the true masks (1-bit PNG) too;
    `progress(done, total)` is called after every patient. Raises UsageError for a count below 1 or a folder that is
    not empty, AccessError where it cannot be written.
    """
    if patients < 1 or workers < 1 or seed < 0:
        raise UsageError("patients and workers must be at least 1, seed at least 0")
    plans = (draw_patient(seed, index, calibration) for index in range(patients))
    return write_archive(
        Path(out), list(plans), seed, sample_defects=sample_defects, workers=workers, progress=progress, masks=masks
    )


def write_archive(
    out: Path,
    plans: list[PatientPlan],
    seed: int,
    *,
    sample_defects: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
    masks: bool = False,
    choices: Any = None,
    hosts: Any = None,
) -> SimulatedArchive:
    """Write the archive of given patients (see `simulate_archive`)."""
    _make_folder(out)
    merged = PatientOutcome()
    for done, outcome in enumerate(_outcomes(out, plans, workers, masks, choices), 1):
        for name in ("lesions", "photos", "metadata", "events"):
            getattr(merged, name).extend(getattr(outcome, name))
        if progress is not None:
            progress(done, len(plans))
    if sample_defects:
        from longderm.simulate.defects import add_defects

        add_defects(out, merged, seed, hosts)
    pairs = _write_tables(out, merged, seed)
    return SimulatedArchive(out, seed, len(plans), len(merged.lesions), len(merged.photos), pairs)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        occupied = any(out.iterdir())
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise AccessError(f"cannot write the archive to {out}; name a folder that can be made") from error
    if occupied:
        raise UsageError(f"{out} is not empty; name a new folder for the archive")


def _outcomes(out: Path, plans: list[PatientPlan], workers: int, masks: bool, choices: Any) -> Iterator[PatientOutcome]:
    from longderm.simulate.patient import write_patient

    write = partial(write_patient, out, masks=masks, choices=choices)
    if workers == 1 or len(plans) == 1:
        yield from map(write, plans)
        return
    # Spawned, not forked: the caller may hold threads.
    with ProcessPoolExecutor(min(workers, len(plans)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(write, plans)


def _write_tables(out: Path, merged: PatientOutcome, seed: int) -> int:
    from longderm.simulate.folder_files import COLUMNS
    from longderm.simulate.truth import write_truth

    if merged.metadata:
        rows = sorted(merged.metadata, key=lambda row: row["isic_id"])
        _write_csv(out / "photos" / "metadata.csv", COLUMNS, rows)
    events = sorted(merged.events, key=lambda row: tuple(row[name] for name in EVENT_COLUMNS))
    _write_csv(out / "events.csv", EVENT_COLUMNS, events)
    pairs = write_truth(out, merged.lesions, merged.photos)
    (out / "archive.toml").write_text(
        f'simulated = true\nseed = {seed}\nas_of = {AS_OF.isoformat()}\nversion = "{SIMULATOR_VERSION}"\n'
        'note = "Every patient, name, number and photo in this archive is invented."\n'
    )
    return pairs


def _write_csv(path: Path, columns: tuple[str, ...], rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
