"""A release: one folder `registry/<kind>/<version>/` with `config.json`, a card and `hashes.json`."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from longderm.errors import RefusedError, SourceNotFoundError, UsageError

HASHES_FILE = "hashes.json"

#: A release's name: kind/version, of which folders can be made on any system and that no path can hide in.
_NAME = re.compile(r"([a-z][a-z0-9_]{0,39})/([0-9A-Za-z][0-9A-Za-z.+-]{0,39})")


@dataclass(frozen=True)
class Release:
    """A released model: `config` as in its config.json, `digest` the SHA-256 over all of its files' hashes."""

    kind: str
    version: str
    config: dict[str, Any]
    digest: str
    folder: Path

    @property
    def name(self) -> str:
        """`kind/version`, as results record it."""
        return f"{self.kind}/{self.version}"


@lru_cache(maxsize=32)
def load_release(kind: str, version: str, registry: Path | None = None) -> Release:
    """Read a release and check every file against `hashes.json`.

    `registry` is another registry folder than the packaged one. Raises SourceNotFoundError when the release does not
    exist, RefusedError when a file differs from its recorded hash, is missing or has no hash.
    """
    root = registry if registry is not None else packaged_registry()
    folder = root / kind / version
    if not folder.is_dir():
        known = sorted(path.name for path in (root / kind).glob("*") if path.is_dir())
        raise SourceNotFoundError(
            f"release {kind}/{version} is not in the registry; there is {', '.join(known) or 'none'}"
        )
    problems = problems_of(folder)
    if problems:
        raise RefusedError(f"release {kind}/{version}: {problems[0]}; restore the release")
    digest = digest_of(folder)
    return Release(kind, version, json.loads((folder / "config.json").read_text()), digest, folder)


def packaged_registry() -> Path:
    """The folder of the releases that come with longderm. Nothing writes to it."""
    return Path(str(resources.files("longderm.registry")))


def split_name(name: str) -> tuple[str, str]:
    """Kind and version of "kind/version". Raises UsageError for anything else."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise UsageError(f"{name[:90]!r} is no release; write KIND/VERSION, such as change/0.1.0")
    return match[1], match[2]


def list_releases(root: Path) -> list[tuple[str, str]]:
    """Kind and version of every folder of a registry that holds a config or hashes, sorted."""
    return sorted(
        (path.parent.name, path.name)
        for path in root.glob("*/*")
        if _NAME.fullmatch(f"{path.parent.name}/{path.name}")
        and ((path / "config.json").is_file() or (path / HASHES_FILE).is_file())
    )


def problems_of(folder: Path) -> list[str]:
    """What is wrong with a release's files against its `hashes.json`, a sentence for each; empty where all is well.

    A file that differs, one that is missing, and one without a hash (it could be read without anybody knowing).
    """
    try:
        hashes = json.loads((folder / HASHES_FILE).read_text())
        if not isinstance(hashes, dict) or not all(isinstance(value, str) for value in hashes.values()):
            raise ValueError
    except FileNotFoundError:
        return [f"{HASHES_FILE} is missing"]
    except (ValueError, OSError):
        return [f"{HASHES_FILE} is damaged"]
    problems = [] if "config.json" in hashes else [f"{HASHES_FILE} does not name config.json"]
    for name, expected in sorted(hashes.items()):
        if Path(name).name != name or not (folder / name).is_file() or (folder / name).is_symlink():
            problems.append(f"{name} is missing")
        elif hash_file(folder / name) != expected:
            problems.append(f"{name} differs from its recorded hash")
    extra = sorted(path.name for path in folder.iterdir() if path.name not in hashes and path.name != HASHES_FILE)
    return problems + [f"{name} has no recorded hash" for name in extra]


def digest_of(folder: Path) -> str:
    """SHA-256 over the hashes that a release's folder records: what tells two releases of one name apart."""
    hashes = json.loads((folder / HASHES_FILE).read_text())
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def write_hashes(folder: Path) -> None:
    """Write `hashes.json` of a release folder: the SHA-256 of every other file in it."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != HASHES_FILE)
    hashes = {name: hash_file(folder / name) for name in names}
    (folder / HASHES_FILE).write_text(json.dumps(hashes, indent=2) + "\n")


def hash_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; read in pieces, since weights may be larger than the memory that is free."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
