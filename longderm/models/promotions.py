"""Which release of each kind a store promoted: read from its decisions, which are appended and never overwritten.

The decisions of a kind work as a stack: `promote` puts a release on it, `rollback` takes the last one off. The stages
use the uppermost; where none is left, the release that longderm packages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Promoted:
    """A release that stands promoted: its `kind/version` and the digest that its files had when it was promoted."""

    name: str
    digest: str


def standing(history: Iterable[Mapping[str, Any]], kind: str) -> tuple[Promoted, ...]:
    """The releases of `kind` that stand promoted, the one in use last; from the rows of table `promotions`."""
    stack: list[Promoted] = []
    for row in sorted(history, key=lambda row: int(row["number"])):
        if row["release_kind"] != kind:
            continue
        if row["action"] == "promote":
            stack.append(Promoted(row["to_release"], row["to_digest"]))
        elif row["action"] == "rollback" and stack:
            stack.pop()
    return tuple(stack)
