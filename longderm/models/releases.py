"""A release: one folder `registry/<kind>/<version>/` with `config.json`, a card and `hashes.json`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from longderm.errors import RefusedError, SourceNotFoundError


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
    exist, RefusedError when a file differs from its recorded hash.
    """
    root = registry if registry is not None else Path(str(resources.files("longderm.registry")))
    folder = root / kind / version
    if not (folder / "config.json").is_file():
        known = sorted(path.name for path in (root / kind).glob("*") if (path / "config.json").is_file())
        raise SourceNotFoundError(
            f"release {kind}/{version} is not in the registry; there is {', '.join(known) or 'none'}"
        )
    hashes = json.loads((folder / "hashes.json").read_text())
    for name, expected in sorted(hashes.items()):
        if hash_file(folder / name) != expected:
            raise RefusedError(f"release {kind}/{version}: {name} differs from its recorded hash; restore the release")
    if "config.json" not in hashes:
        raise RefusedError(f"release {kind}/{version}: hashes.json does not name config.json; restore the release")
    digest = hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()
    return Release(kind, version, json.loads((folder / "config.json").read_text()), digest, folder)


def write_hashes(folder: Path) -> None:
    """Write `hashes.json` of a release folder: the SHA-256 of every other file in it."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != "hashes.json")
    hashes = {name: hash_file(folder / name) for name in names}
    (folder / "hashes.json").write_text(json.dumps(hashes, indent=2) + "\n")


def hash_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; read in pieces, since weights may be larger than the memory that is free."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
