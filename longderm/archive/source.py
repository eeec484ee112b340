"""A source: where the files of an archive lie, and what beside them says whose they are."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from longderm.archive.mapping import SourceMapping, read_mapping
from longderm.archive.pattern import compile_pattern
from longderm.archive.sniff import IMAGE_EXTENSIONS
from longderm.errors import AccessError, SourceNotFoundError, UsageError

#: A table of this name describes the images of its folder and below.
METADATA_NAME = "metadata.csv"

#: A table of this name at the root of an archive holds its events.
EVENTS_NAME = "events.csv"

#: A file of these extensions, given as the source, lists paths, one a line.
_LIST_EXTENSIONS = frozenset((".txt", ".lst", ".list"))


@dataclass(frozen=True)
class SourceSpec:
    """A checked source. `root` is absolute; `listed` the paths of a file list, or None for the whole folder."""

    root: Path
    listed: tuple[Path, ...] | None = None
    mapping: SourceMapping = field(default_factory=SourceMapping)
    metadata: Path | None = None
    events: Path | None = None
    pattern: str | None = None
    exclude: tuple[Path, ...] = ()

    @classmethod
    def open(
        cls,
        source: str | Path,
        *,
        mapping: str | Path | None = None,
        metadata: str | Path | None = None,
        events: str | Path | None = None,
        pattern: str | None = None,
        exclude: tuple[str | Path, ...] = (),
    ) -> SourceSpec:
        """Check a folder, a list of paths (.txt) or a single file, and what belongs to it.

        `exclude`: folders that are not part of the archive though they lie in it, such as the store. Raises
        SourceNotFoundError, AccessError or UsageError, whose messages name none of the paths.
        """
        place = Path(source).absolute()
        if not place.exists():
            raise SourceNotFoundError("SOURCE does not exist; give a folder of photos, or a text file that lists them")
        root = Path(os.path.realpath(place if place.is_dir() else place.parent))
        listed = None
        if not place.is_dir():
            listed = _read_list(place, root) if place.suffix.lower() in _LIST_EXTENSIONS else (root / place.name,)
        if pattern is not None:
            compile_pattern(pattern)
        for name, table in (("metadata", metadata), ("events", events)):
            if table is not None and not Path(table).is_file():
                raise SourceNotFoundError(f"the {name} table does not exist; check the path given")
        events_place = Path(events).absolute() if events is not None else root / EVENTS_NAME
        return cls(
            root=root,
            listed=listed,
            mapping=read_mapping(Path(mapping)) if mapping is not None else SourceMapping(),
            metadata=Path(metadata).absolute() if metadata is not None else None,
            events=events_place if events is not None or events_place.is_file() else None,
            pattern=pattern,
            exclude=tuple(Path(os.path.realpath(folder)) for folder in exclude),
        )

    @property
    def key(self) -> str:
        """What tells this source from another one in the link table."""
        return os.fsencode(self.root).decode("utf-8", "backslashreplace") + ("" if self.listed is None else " (list)")


@dataclass(frozen=True)
class FoundFile:
    """A file of the archive. `kind`: "file", or why it is not opened: special, hidden, excluded, unlistable."""

    path: Path
    relative: str
    size_bytes: int
    mtime_ns: int
    kind: str = "file"


def walk(source: SourceSpec) -> list[FoundFile]:
    """All files of the source, sorted by their path within it; links are followed, circles are not.

    Raises AccessError when the root cannot be listed.
    """
    if source.listed is not None:
        found = [_found(path, source) for path in source.listed]
    else:
        try:
            os.scandir(source.root).close()
        except OSError:
            raise AccessError("the archive's folder cannot be listed; give read access to it") from None
        found = list(_walk_folder(source.root, source, {os.path.realpath(source.root)}))
    return sorted(found, key=lambda file: file.relative)


def _walk_folder(folder: Path, source: SourceSpec, visited: set[str]) -> Iterator[FoundFile]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError:
        # what lies in it may be photos: it must not be passed over in silence
        yield FoundFile(folder, _relative(folder, source.root), 0, 0, "unlistable")
        return
    for name in names:
        path = folder / name
        if path.is_dir():
            real = os.path.realpath(path)
            if real in visited or Path(real) in source.exclude:
                continue
            visited.add(real)
            yield from _walk_folder(path, source, visited)
        else:
            yield _found(path, source)


def _found(path: Path, source: SourceSpec) -> FoundFile:
    relative = _relative(path, source.root)
    if any(part.startswith(".") for part in relative.split("/")):
        kind = "hidden"
    elif any(fnmatchcase(relative, pattern) for pattern in source.mapping.ignore):
        kind = "excluded"
    else:
        kind = "file"
    try:
        status = path.stat()
    except OSError:
        return FoundFile(path, relative, 0, 0, kind)
    if not stat.S_ISREG(status.st_mode):
        kind = "special"  # a pipe or device would block its reader for ever
    return FoundFile(path, relative, status.st_size, status.st_mtime_ns, kind)


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix().lstrip("/")


def _read_list(place: Path, root: Path) -> tuple[Path, ...]:
    try:
        lines = place.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UsageError("the list of files is not UTF-8 text; write one path a line") from None
    except OSError:
        raise AccessError("the list of files cannot be read; check its permissions") from None
    paths = {Path(os.path.normpath(root / line.strip())) for line in lines if line.strip()}
    if not paths:
        raise UsageError("the list of files is empty; write one path a line")
    if not any(path.exists() for path in paths):
        known = ", ".join(sorted(IMAGE_EXTENSIONS))
        raise UsageError(f"no path in the list exists; write one path a line, of DICOM files or images ({known})")
    return tuple(sorted(paths))
