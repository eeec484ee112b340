"""The monitoring flow on simulated photos: wall time against CPU time inside the stages, photos per second, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from longderm.bench.stores import monitor_command
from longderm.errors import StageError

#: Seconds between two looks at the memory of the process tree.
_LOOK_S = 0.5
#: Patients drawn at a time until the archive holds enough photos.
_STEP = 5


def run(out: Path, photos: int = 300, seed: int = 1, workers: int = 0) -> dict[str, Any]:
    """Monitor an archive of at least `photos` simulated photos with `workers` processes (0: one per core).

    `overhead` = wall time x workers / CPU time inside the stages, without Prefect's start; `pss_mb` is the highest
    proportional memory of the whole process tree, the embedded Prefect server included.
    """
    from longderm.simulate import simulate_archive

    workers = workers or len(os.sched_getaffinity(0))
    archive, patients, taken = out / "archive", 0, 0
    while taken < photos:
        patients = max(patients + _STEP, patients * photos // max(taken, 1) if taken else 40)
        archive = out / f"archive-{patients}"
        taken = simulate_archive(archive, patients, seed, workers=workers).photos
    environment = os.environ | {"LONGDERM_WORKERS": str(workers)}
    started = time.monotonic()
    process = subprocess.Popen(
        monitor_command(archive, out / "store"), env=environment, stdout=subprocess.PIPE, stderr=sys.stderr, text=True
    )
    memory = _Memory(process.pid)
    output, _ = process.communicate()
    peak_mb = memory.stop()
    if process.returncode:
        raise StageError(f"the flow ended with status {process.returncode}")
    summary = json.loads(output)
    result = {
        "photos": taken,
        "pairs": sum(summary["verdicts"].values()),
        "workers": workers,
        "wall_s": summary["wall_s"],
        "wall_with_start_s": round(time.monotonic() - started, 2),
        "cpu_in_stages_s": summary["cpu_s"],
        "overhead": round(summary["wall_s"] * workers / summary["cpu_s"], 3),
        "photos_per_s": round(taken / summary["wall_s"], 2),
        "pss_mb": round(peak_mb, 1),
    }
    for name, value in result.items():
        print(f"{name:<18} {value}")
    return result


class _Memory:
    """Watches the proportional set size of a process and all its children; `stop` gives the highest sum in MB."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak, self._ended = pid, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        self._ended.set()
        self._thread.join()
        return self._peak / 2**20

    def _watch(self) -> None:
        import psutil

        while not self._ended.wait(_LOOK_S):
            total = 0
            try:
                tree = [psutil.Process(self._pid), *psutil.Process(self._pid).children(recursive=True)]
            except psutil.Error:
                return
            for process in tree:
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue  # it has just ended
            self._peak = max(self._peak, total)
