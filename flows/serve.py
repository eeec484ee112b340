"""The monitoring flow on a schedule: `longderm serve`."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from longderm.errors import UsageError
from longderm.settings import Settings
from longderm.stages.source import Source
from longderm.store import local_folder

from .embedded import own_server, prepare_environment
from .guard import guarded


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


def _timezone() -> str:
    import tzlocal

    return str(tzlocal.get_localzone_name() or "UTC")
