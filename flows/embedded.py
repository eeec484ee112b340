"""Prefect as longderm uses it: quiet, without calls to the outside, on a server of our own unless one is named."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from longderm.errors import StageError

#: How long a server of our own may take to start on a busy machine.
SERVER_START_S = 180.0

#: Set before Prefect is imported; what the user has set already stays.
ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # What fails is said by our own one line and exit status, not by Prefect's traceback.
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    # Results stay in memory: the store is the only memory between runs.
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
}


def prepare_environment() -> None:
    """Set what Prefect reads when it is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def own_server() -> Iterator[str]:
    """Run a Prefect server on loopback for the body, unless PREFECT_API_URL (or the user's profile) names one already.

    Prefect would start one by itself, but on a port that another process may take in between, and with its log on ours.
    Yields the server's URL. Raises StageError when it does not start.
    """
    from prefect.settings import PREFECT_API_URL, temporary_settings

    named = PREFECT_API_URL.value()
    if named:
        yield str(named)
        return
    port = _free_port()
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-ui",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/api"
    os.environ["PREFECT_API_URL"] = url  # for processes that are started from here
    try:
        _wait_until_up(process, port)
        with temporary_settings(updates={PREFECT_API_URL: url}):
            yield url
    finally:
        del os.environ["PREFECT_API_URL"]
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_until_up(process: subprocess.Popen[bytes], port: int) -> None:
    from urllib.error import URLError
    from urllib.request import urlopen

    end = time.monotonic() + SERVER_START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with contextlib.suppress(URLError, OSError), urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5):
            return
        time.sleep(0.5)
    raise StageError("Prefect's server did not start; run `prefect server start` to see why")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
