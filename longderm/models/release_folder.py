"""The folder of a release that is made here: new, and written whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from longderm.errors import AccessError, LongdermError, UsageError
from longderm.models.releases import write_hashes


def require_new(folder: Path) -> None:
    """Raise UsageError unless a folder can be written to without replacing anything."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not empty; name a new folder")


@contextlib.contextmanager
def new_release(folder: Path) -> Iterator[Path]:
    """A folder to write a release's files to; it gets their hashes and becomes `folder` when all is written.

    Raises UsageError for a folder that is not empty, AccessError where it cannot be written.
    """
    require_new(folder)
    part = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.part"
    try:
        part.mkdir(parents=True)
        yield part
        write_hashes(part)
        if folder.is_dir():
            folder.rmdir()
        part.rename(folder)
    except LongdermError:
        raise
    except OSError:  # no permission, a full disk, a file where a folder should be
        raise AccessError("the release's folder cannot be written; choose another with --out") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
