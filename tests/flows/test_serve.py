"""A cron schedule of `longderm serve` fires, and nothing calls out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from longderm.demo import simulated_as_of
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


def test_a_schedule_is_seen_to_fire_without_an_outgoing_request(store_copy, small_archive, tmp_path):
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
    served = subprocess.Popen([*command, "--cron", "* * * * *"], env=environment, stdout=log, stderr=log)
    try:
        end = time.monotonic() + FIRES_WITHIN_S
        while time.monotonic() < end and served.poll() is None and Store(store_copy).version("runs") == runs:
            time.sleep(1)
        fired = Store(store_copy).version("runs") > runs
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


def test_the_watch_on_addresses_sees_a_connection_to_the_outside(tmp_path):
    """Without this, silence in the test above would prove nothing."""
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    addresses = tmp_path / "addresses"
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "WATCHED_ADDRESSES": str(addresses)}
    # The event alone: nothing is sent.
    code = "import sys; sys.audit('socket.connect', None, ('192.0.2.1', 9))"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert "192.0.2.1" in addresses.read_text()
