"""The flows on a schedule: `longderm serve`."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

from longderm.errors import UsageError
from longderm.prognosis_job import PredictionJob
from longderm.settings import Settings
from longderm.stages.source import Source
from longderm.store import local_folder

from .embedded import own_server, prepare_environment
from .guard import guarded


def serve_flows(
    store: str | Path, source: Source | None, job: PredictionJob | None, settings: Settings, cron: str
) -> None:
    """Run `longderm-monitor` over `source` and `longderm-prognosis` of `job`, as far as they are named, by `cron` (five
    fields, local time) until interrupted.

    With PREFECT_API_URL set the schedule is kept by that server; else a server of our own is started on loopback and
    ends with this process. Raises UsageError for a cron that cannot be read, and where there is nothing to run.
    """
    if source is None and job is None:
        raise UsageError("serve: name --source to monitor an archive, --predict for predictions, or both")
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO")
    prepare_environment()
    with guarded(uuid.uuid4().hex), own_server():
        from prefect import serve
        from prefect.schedules import Cron
        from prefect.types.entrypoint import EntrypointType

        try:
            schedule = Cron(cron, timezone=_timezone())
        except ValueError as error:
            raise UsageError(
                f"--cron {cron!r} cannot be read: five fields, such as '0 2 * * *' ({error.__class__.__name__})"
            ) from None
        root = local_folder(store)
        common: dict[str, Any] = {"schedule": schedule, "entrypoint_type": EntrypointType.MODULE_PATH}
        told: dict[str, Any] = {"store": str(root), "settings": settings.model_dump(mode="json")}
        deployments: list[Any] = []
        if source is not None:
            from .monitor import monitor

            parameters = told | {"source": source.absolute().as_dict()}
            deployments.append(monitor.to_deployment(f"monitor-{root.name}", parameters=parameters, **common))
        if job is not None:
            from .prognosis import prognosis

            parameters = told | {
                "model": job.model,
                "source": job.source.as_dict(),
                "out": str(job.out),
                "horizons_years": list(job.horizons_years),
                "last_visits": job.last_visits,
            }
            deployments.append(prognosis.to_deployment(f"prognosis-{root.name}", parameters=parameters, **common))
        # the store has one committer: a run that is due while one is busy waits
        serve(*deployments, print_starting_message=True, limit=1)


def _timezone() -> str:
    import tzlocal

    return str(tzlocal.get_localzone_name() or "UTC")
