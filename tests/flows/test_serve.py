"""A cron schedule of `longderm serve` fires, of both flows that it offers, and nothing calls out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import date

import pandas as pd
import pytest

from longderm.cli import main
from longderm.demo import simulated_as_of
from longderm.errors import UsageError
from longderm.models.registry import Who, add_release, promote_release
from longderm.prognosing import fit_table
from longderm.prognosis_job import read_job
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
FIRES_WITHIN_S = 240


@pytest.fixture
def job(store_copy, tmp_path):
    """A table to predict for, and a model of it that is promoted in the store."""
    drawn = pd.DataFrame(simulate_cohort(120, seed=3).patients)
    columns = {"patient_id": drawn.patient_id, "origin_date": "2012-06-01", "age": drawn.age.round(1)}
    table = pd.DataFrame(columns | {"time_days": drawn.time.astype(int), "event": drawn.event})
    table.to_csv(tmp_path / "clinic.csv", index=False)
    options, told = FitOptions(bootstraps=0), Told("simulated", "Apache-2.0")
    fit_table(TableSource(tmp_path / "clinic.csv"), "stated", ["age"], tmp_path / "m", "prognosis/1", options, told)
    who = Who("A. Clinician", "judged on our own patients", date(2026, 3, 1))
    add_release(tmp_path / "m", Settings(), Store(store_copy), who)
    promote_release("prognosis/1", Settings(), Store(store_copy), who)
    (tmp_path / "job.toml").write_text('table = "clinic.csv"\nout = "risks.csv"\nhorizons_years = [3]\n')
    return tmp_path / "job.toml"


def test_a_schedule_is_seen_to_fire_without_an_outgoing_request(store_copy, small_archive, job, tmp_path):
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(WATCH)
    addresses = tmp_path / "addresses"
    addresses.touch()
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"} | {
        "PYTHONPATH": str(hooks),
        "WATCHED_ADDRESSES": str(addresses),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "LONGDERM_AS_OF": simulated_as_of(small_archive).isoformat(),
    }
    runs = Store(store_copy).version("runs")
    log = (tmp_path / "log").open("w+")
    command = [sys.executable, "-m", "longderm", "serve", "--store", str(store_copy), "--source", str(small_archive)]
    command += ["--predict", str(job)]
    predictions = tmp_path / "risks.csv"
    served = subprocess.Popen([*command, "--cron", "* * * * *"], env=environment, stdout=log, stderr=log)
    try:
        end = time.monotonic() + FIRES_WITHIN_S
        fired = False
        while time.monotonic() < end and served.poll() is None and not fired:
            time.sleep(1)
            fired = Store(store_copy).version("runs") > runs and predictions.exists()
    finally:
        served.send_signal(signal.SIGINT)
        try:
            served.wait(timeout=60)
        except subprocess.TimeoutExpired:
            served.kill()
    log.seek(0)
    assert fired, log.read()[-3000:]
    assert Store(store_copy).table("runs").to_pylist()[-1]["command"] == "monitor"
    assert addresses.read_text() == ""
    found = pd.read_csv(predictions)
    assert len(found) == 120 and set(found["verdict"]) <= {"issued", "issued_with_caveat"}
    assert set(found["release"]) == {"prognosis/1"} and found["risk_3y"].between(0, 1).all()


def test_everything_that_is_wrong_in_the_file_of_a_prediction_is_said_at_once(tmp_path):
    path = tmp_path / "job.toml"
    path.write_text('table = "none.csv"\nvisits = 3\nas_of = "2020-01-01"\nhorizons_years = ["soon"]\n')
    with pytest.raises(UsageError) as caught:
        read_job(path)
    for words in ("unknown as_of", "out is missing", "visits must be a text", "must hold numbers", "no such file"):
        assert words in str(caught.value)


@pytest.mark.parametrize("arguments", [[], ["--predict", "none.toml"], ["--source", "none"]])
def test_a_schedule_without_anything_to_run_ends_with_2(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--store", "store", *arguments])
    assert ended.value.code == 2 and len(capsys.readouterr().err.splitlines()) == 1


def test_the_watch_on_addresses_sees_a_connection_to_the_outside(tmp_path):
    """Without this, silence in the test above would prove nothing."""
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    addresses = tmp_path / "addresses"
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "WATCHED_ADDRESSES": str(addresses)}
    # The event alone: nothing is sent.
    code = "import sys; sys.audit('socket.connect', None, ('192.0.2.1', 9))"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert "192.0.2.1" in addresses.read_text()
