"""The demo: the main job on the packaged sample archive, from nothing."""

from __future__ import annotations

import shutil
import tomllib
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

from longderm.errors import UsageError
from longderm.monitoring import bring_up_to_date
from longderm.settings import Settings
from longderm.stages.source import Source

#: Marks a folder as a demo's, so that only such a one is replaced.
_MARKER = ".longderm-demo"


def sample_archive() -> Path:
    """The folder of the packaged sample archive."""
    return Path(str(resources.files("longderm.sample_data"))) / "archive"


def run_demo(out: Path, *, progress: bool = True) -> dict[str, Any]:
    """Monitor the sample archive into `out`; returns the run's summary with the path of the worklist page.

    Raises UsageError when `out` holds something that no demo wrote.
    """
    out = out.expanduser().absolute()
    if out.exists():
        if not out.is_dir() or (any(out.iterdir()) and not (out / _MARKER).exists()):
            raise UsageError(f"--out {out} holds something else; name a new or empty folder")
        for name in ("store", "store.link", "report"):
            shutil.rmtree(out / name, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / _MARKER).touch()
    archive = sample_archive()
    settings = Settings(as_of=simulated_as_of(archive))
    return bring_up_to_date(out / "store", Source(str(archive)), settings, report_to=out / "report", progress=progress)


def simulated_as_of(archive: Path) -> date:
    """The day that counts as today in a simulated archive, from its archive.toml."""
    as_of = tomllib.loads((archive / "archive.toml").read_text())["as_of"]
    return as_of if isinstance(as_of, date) else date.fromisoformat(as_of)
