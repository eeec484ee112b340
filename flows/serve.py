"""The monitoring flow on a schedule: `longderm serve`."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from longderm.errors import StageError, UsageError
from longderm.settings import Settings
from longderm.stages.source import Source
from longderm.store import local_folder

from .embedded import prepare_environment
from .guard import guarded

#: How long Prefect's own server may take to start on a busy machine.
_SERVER_START_S = 180.0


def serve_monitor(store: str | Path, source: Source, settings: Settings, cron: str) -> None:
    """Run `longderm-monitor` by `cron` (five fields, local time) until interrupted.

    With PREFECT_API_URL set the schedule is kept by that server; else a server of our own is started on loopback and
    ends with this process. Raises UsageError for a cron that cannot be read.
    """
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO")
    prepare_environment()
    with guarded(uuid.uuid4().hex), own_server():
        from prefect.schedules import Cron
        from prefect.types.entrypoint import EntrypointType

        from .monitor import monitor

        try:
            schedule = Cron(cron, timezone=_timezone())
        except ValueError as error:
            raise UsageError(
                f"--cron {cron!r} cannot be read: five fields, such as '0 2 * * *' ({error.__class__.__name__})"
            ) from None
        root = local_folder(store)
        monitor.serve(
            name=f"monitor-{root.name}",
            schedule=schedule,
            parameters={
                "store": str(root),
                "source": source.absolute().as_dict(),
                "settings": settings.model_dump(mode="json"),
            },
            entrypoint_type=EntrypointType.MODULE_PATH,
            print_starting_message=True,
            limit=1,  # the store has one committer: a run that is due while one is busy waits
        )


@contextlib.contextmanager
def own_server() -> Iterator[str]:
    """Run a Prefect server on loopback for the body, and name it in PREFECT_API_URL, unless that names one already."""
    if os.environ.get("PREFECT_API_URL"):
        yield os.environ["PREFECT_API_URL"]
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
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    try:
        _wait_until_up(process, port)
        yield os.environ["PREFECT_API_URL"]
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

    end = time.monotonic() + _SERVER_START_S
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


def _timezone() -> str:
    import tzlocal

    return str(tzlocal.get_localzone_name() or "UTC")
