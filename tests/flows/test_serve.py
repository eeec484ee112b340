"""A cron schedule of `longderm serve` fires, of both flows that it offers, and nothing calls out."""

from __future__ import annotations

import os
import subprocess
import sys

import pandas as pd
import pytest
from flows_schedule import FIRES_WITHIN_S, WATCH

from longderm.cli import main
from longderm.errors import UsageError
from longderm.prognosis_job import read_job
from longderm.store import Store


def test_a_schedule_is_seen_to_fire_without_an_outgoing_request(schedule):
    schedule.thread.join(FIRES_WITHIN_S + 90)
    assert schedule.fired, (schedule.folder / "log").read_text()[-3000:]
    assert Store(schedule.folder / "store").table("runs").to_pylist()[-1]["command"] == "monitor"
    assert (schedule.folder / "addresses").read_text() == ""
    found = pd.read_csv(schedule.folder / "risks.csv")
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
