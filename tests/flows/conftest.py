"""A schedule takes minutes until it has fired: it is started before the other tests of flows, and looked at last."""

from __future__ import annotations

from inspect import signature

import pytest
from flows_schedule import start_schedule


@pytest.fixture(scope="session", autouse=True)
def schedule(request, tmp_path_factory):
    """The started schedule; None where no test of this run looks at it."""
    if not any("schedule" in signature(item.function).parameters for item in request.session.items):
        yield None
        return
    monitored, archive = (request.getfixturevalue(name) for name in ("monitored", "small_archive"))
    started = start_schedule(tmp_path_factory.mktemp("schedule"), monitored, archive)
    yield started
    if started.thread.is_alive():
        started.stop()
