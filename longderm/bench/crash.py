"""Kill the monitoring flow at random moments, start it again, and compare with an undisturbed run."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from longderm.bench.stores import differences, monitor_command, shared_key


def run(out: Path, kills: int = 30, patients: int = 4, seed: int = 1) -> dict[str, Any]:
    """Kill `kills` runs at moments drawn over the length of an undisturbed run; every store must end equal to its.

    Returns the moments (share of the undisturbed run), how many kills hit a live run, and the differences found.
    """
    from longderm.simulate import simulate_archive

    archive = out / "archive"
    if not archive.exists():
        simulate_archive(archive, patients, seed)
    reference = out / "reference"
    started = time.monotonic()
    subprocess.run(monitor_command(archive, reference), check=True, stdout=subprocess.DEVNULL)
    length_s = time.monotonic() - started
    draw = random.Random(seed)
    moments = sorted(draw.random() for _ in range(kills))
    hits, unequal = 0, []
    for i, moment in enumerate(moments):
        store = out / f"killed-{i}"
        hits += kill_and_resume(archive, store, reference, moment * length_s)
        found = differences(reference, store)
        unequal += [f"kill {i} at {moment:.2f}: {text}" for text in found]
        print(f"kill {i + 1}/{kills} at {moment:.2f} of the run: {'equal' if not found else found[0]}")
        shutil.rmtree(store)
        shutil.rmtree(store.with_name(store.name + ".link"))
    print(f"{hits} of {kills} kills hit a live run; {len(unequal)} differences")
    return {"kills": kills, "hits": hits, "differences": unequal, "moments": [round(m, 3) for m in moments]}


def kill_and_resume(archive: Path, store: Path, reference: Path, after_s: float) -> bool:
    """Monitor `archive` into `store`, kill the process after some seconds, run again to the end.

    Uses the key of the `reference` store, so that the two can be compared. True if the kill hit a live run.
    """
    shared_key(reference, store)
    process = subprocess.Popen(monitor_command(archive, store), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(timeout=after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
    hit = process.returncode == -signal.SIGKILL
    again = subprocess.run(monitor_command(archive, store), capture_output=True, text=True, check=False)
    if again.returncode:
        print(again.stderr[-2000:], file=sys.stderr)
        again.check_returncode()
    return hit
