"""Prefect as longderm uses it: quiet, with no call to the outside, embedded unless PREFECT_API_URL names a server."""

from __future__ import annotations

import os

#: Set before Prefect is imported; what the user has set already stays.
ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # What fails is said by our own one line and exit status, not by Prefect's traceback.
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    # Results stay in memory: the store is the only memory between runs.
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    # The embedded server may start on a busy machine.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}


def prepare_environment() -> None:
    """Set what Prefect reads when it is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
