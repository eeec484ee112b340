"""What was read of one file: the record that waits in the link table between reading and committing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from longderm.archive.claims import Claims


@dataclass(frozen=True)
class FileRecord:
    """One file of an intake. `outcome`: photo, quarantine or ignored; `reason` its code, or what an ignored file is.

    It holds identity in clear (`claims`) and never leaves the link table.
    """

    file_ref: str
    path: str
    size_bytes: int
    mtime_ns: int
    metadata_hash: str
    outcome: str
    reason: str | None = None
    detail: str | None = None
    photo_id: str | None = None
    content_hash: str | None = None
    width_px: int | None = None
    height_px: int | None = None
    format: str | None = None
    caveats: tuple[str, ...] = ()
    claims: Claims = field(default_factory=Claims)

    def to_json(self) -> str:
        """The record as text."""
        plain: dict[str, Any] = {name: value for name, value in vars(self).items() if value is not None}
        plain["claims"] = {name: value for name, value in vars(self.claims).items() if value is not None}
        return json.dumps(plain, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> FileRecord:
        """Read what `to_json` wrote."""
        plain = json.loads(text)
        plain["claims"] = Claims(**plain["claims"])
        plain["caveats"] = tuple(plain.get("caveats", ()))
        return cls(**plain)
