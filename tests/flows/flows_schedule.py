"""`longderm serve` as a clinic runs it, in a folder of its own, watched for addresses that it connects to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from threading import Thread

import pandas as pd

from longderm.demo import simulated_as_of
from longderm.models.registry import Who, add_release, promote_release
from longderm.prognosing import fit_table
from longderm.prognosis_options import FitOptions
from longderm.prognosis_release import Told
from longderm.prognosis_sources import TableSource
from longderm.settings import Settings
from longderm.simulate.cohort import simulate_cohort
from longderm.store import Store

#: Loaded by every Python process of the run: writes down each address outside of this machine that it connects to.
WATCH = """
import os, sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        address = arguments[1] if event != "socket.getaddrinfo" else arguments[:2]
        host = str(address[0]) if isinstance(address, tuple) else ""
        if host and host not in ("127.0.0.1", "::1", "localhost", "None", "0.0.0.0", "::"):
            with open(os.environ["WATCHED_ADDRESSES"], "a") as log:
                log.write(f"{event} {address} {sys.argv[:3]}\\n")
sys.addaudithook(watch)
"""

#: Cron's finest step is a minute; a busy machine starts a server and a flow in another one or two.
FIRES_WITHIN_S = 300


@dataclass
class Schedule:
    """`longderm serve` in `folder`, and a thread that stops it once both of its flows have run."""

    folder: Path
    served: subprocess.Popen[bytes]
    runs_before: int
    fired: bool = field(default=False, init=False)
    thread: Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self) -> None:
        end = time.monotonic() + FIRES_WITHIN_S
        while time.monotonic() < end and self.served.poll() is None and not self.fired:
            time.sleep(1)
            ran = Store(self.folder / "store").version("runs") > self.runs_before
            self.fired = ran and (self.folder / "risks.csv").exists()
        self.stop()

    def stop(self) -> None:
        """End it as a user does."""
        self.served.send_signal(signal.SIGINT)
        try:
            self.served.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.served.kill()


def start_schedule(folder: Path, monitored: Path, archive: Path) -> Schedule:
    """Start it over a copy of a store, to fire every minute, with a model to predict by."""
    for name in ("store", "store.link"):
        shutil.copytree(monitored.with_name(name), folder / name)
    job = _promoted_model(folder)
    (folder / "hooks").mkdir()
    (folder / "hooks" / "sitecustomize.py").write_text(WATCH)
    (folder / "addresses").touch()
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"} | {
        "PYTHONPATH": str(folder / "hooks"),
        "WATCHED_ADDRESSES": str(folder / "addresses"),
        "PREFECT_HOME": str(folder / "prefect"),
        "LONGDERM_AS_OF": simulated_as_of(archive).isoformat(),
    }
    command = [sys.executable, "-m", "longderm", "serve", "--store", str(folder / "store"), "--source", str(archive)]
    command += ["--predict", str(job), "--cron", "* * * * *"]
    before = Store(folder / "store").version("runs")
    with (folder / "log").open("wb") as log:
        return Schedule(folder, subprocess.Popen(command, env=environment, stdout=log, stderr=log), before)


def _promoted_model(folder: Path) -> Path:
    """A table to predict for, and a model of it that is promoted in the store; gives the file of the prediction."""
    drawn = pd.DataFrame(simulate_cohort(120, seed=3).patients)
    columns = {"patient_id": drawn.patient_id, "origin_date": "2012-06-01", "age": drawn.age.round(1)}
    table = pd.DataFrame(columns | {"time_days": drawn.time.astype(int), "event": drawn.event})
    table.to_csv(folder / "clinic.csv", index=False)
    options, told = FitOptions(bootstraps=0), Told("simulated", "Apache-2.0")
    fit_table(TableSource(folder / "clinic.csv"), "stated", ["age"], folder / "m", "prognosis/1", options, told)
    who = Who("A. Clinician", "judged on our own patients", date(2026, 3, 1))
    add_release(folder / "m", Settings(), Store(folder / "store"), who)
    promote_release("prognosis/1", Settings(), Store(folder / "store"), who)
    (folder / "job.toml").write_text('table = "clinic.csv"\nout = "risks.csv"\nhorizons_years = [3]\n')
    return folder / "job.toml"
