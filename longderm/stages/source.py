"""The archive a run reads from, as plain text fields: what the command line, a schedule and a worker pass on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from longderm.errors import AccessError, SourceNotFoundError, UsageError

if TYPE_CHECKING:
    from longderm.archive import SourceSpec


@dataclass(frozen=True)
class Source:
    """A folder of DICOM files and photos, or a text file that lists paths; optional tables that describe it.

    mapping: TOML file for foreign column names; metadata: CSV of the photos; events: CSV of biopsies and excisions;
    pattern: how identity stands in the path, such as "{patient}/{lesion}/{date}*".
    """

    root: str
    mapping: str | None = None
    metadata: str | None = None
    events: str | None = None
    pattern: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """The fields, JSON-able."""
        return asdict(self)

    def absolute(self) -> Source:
        """The same source by absolute paths, for a process that starts in another folder."""

        def absolute(path: str | None) -> str | None:
            return str(Path(path).absolute()) if path else None

        root = self.root if "://" in self.root else str(Path(self.root).absolute())
        return Source(root, absolute(self.mapping), absolute(self.metadata), absolute(self.events), self.pattern)

    def require(self) -> None:
        """Raise SourceNotFoundError, AccessError or UsageError when the source cannot be read or is empty."""
        root = Path(self.root)
        if "://" in self.root:
            raise UsageError(f"source {self.root}: this release reads folders and file lists only; name a folder")
        for path in (root, *(Path(p) for p in (self.mapping, self.metadata, self.events) if p)):
            if not path.exists():
                raise SourceNotFoundError(f"{path} does not exist; name an existing folder or file")
        try:
            empty = root.is_dir() and next(root.iterdir(), None) is None
        except PermissionError:
            raise AccessError(f"{root} cannot be read; check its permissions") from None
        if empty:
            raise UsageError(f"{root} is empty; name a folder that holds photos")

    def spec(self, exclude: tuple[Path, ...] = ()) -> SourceSpec:
        """The source as the archive room reads it, without the folders `exclude` (the store may lie in it)."""
        from longderm.archive import SourceSpec

        return SourceSpec.open(
            self.root,
            mapping=self.mapping,
            metadata=self.metadata,
            events=self.events,
            pattern=self.pattern,
            exclude=exclude,
        )
