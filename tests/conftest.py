"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

#: What a test uses that starts Prefect: minutes long, these come first where two processes share the tests.
_PREFECT = {"prefect_home", "prefect_server", "monitored", "schedule"}

if "PYTEST_XDIST_WORKER" in os.environ:  # two processes on two cores: one thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first, so that no process is left alone with them at the end."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: not _PREFECT & set(getattr(item, "fixturenames", ())))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photos for developing; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("LONGDERM_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real photos at hand (LONGDERM_TEST_DATA, or {folder.name} beside the checkout)")
    return folder


@pytest.fixture
def longderm(capsys):
    """Run a command; gives its status, what it printed, and its complaint."""
    from longderm.cli import main

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments)])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return ended.value.code, printed.out, printed.err

    return run


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory) -> Iterator[Path]:
    """A Prefect home of the tests' own, so that they touch neither the user's database nor each other's runs."""
    home = tmp_path_factory.mktemp("prefect")
    before = {name: os.environ.get(name) for name in ("PREFECT_HOME", "PREFECT_API_URL")}
    os.environ["PREFECT_HOME"] = str(home)
    os.environ.pop("PREFECT_API_URL", None)
    yield home
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def prefect_server(prefect_home) -> Iterator[str]:
    """A running Prefect server; starting it once takes seconds, each test need not."""
    from longderm.flows.embedded import own_server, prepare_environment

    prepare_environment()
    with own_server() as url:
        yield url


@pytest.fixture(scope="session")
def small_archive(tmp_path_factory) -> Path:
    """A simulated archive of a few patients."""
    from longderm.simulate import simulate_archive

    archive = tmp_path_factory.mktemp("archive") / "clinic"
    simulate_archive(archive, patients=3, seed=7)
    return archive


@pytest.fixture(scope="session")
def monitored(small_archive, prefect_server, tmp_path_factory) -> Path:
    """A store that holds `small_archive`, monitored against a running Prefect server. Read it; copy it to write."""
    from longderm.demo import simulated_as_of
    from longderm.monitoring import bring_up_to_date
    from longderm.settings import Settings
    from longderm.stages.source import Source

    store = tmp_path_factory.mktemp("monitored") / "store"
    bring_up_to_date(store, Source(str(small_archive)), Settings(as_of=simulated_as_of(small_archive), workers=2))
    return store


@pytest.fixture
def store_copy(monitored, tmp_path) -> Path:
    """A copy of the monitored store and its link table, to be changed."""
    shutil.copytree(monitored, tmp_path / "store")
    shutil.copytree(monitored.with_name("store.link"), tmp_path / "store.link")
    return tmp_path / "store"
