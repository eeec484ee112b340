"""What the network says of a detected change, size, colour, structure or symmetry, beside what truly changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from longderm.bench.change_figures import Figure, mean_of, over_photos, score, share_of, threshold
from longderm.bench.change_pairs import STABLE, STRONG
from longderm.bench.rows import Row
from longderm.models.change_network import SYMMETRY, SYMMETRY_MOVED

#: What changed in each stratum, in the words of `longderm.models.change_network.CHANGE_REASONS`; symmetry may besides.
REASON_OF = {"growth": "size", "blotch": "colour", "colour": "colour", "lost": "structure"}


def reason_named(scored: Sequence[Row]) -> dict[str, Any]:
    """Of detected pairs whose release has a network: share of which the first reason it names is right, symmetry
    aside, and of which it names none."""
    asked = _detected(scored)

    def first(row: Row) -> str | None:
        return next((name for name in row["named_reasons"] if name != SYMMETRY), None)

    def right(rows: Sequence[Row]) -> Figure | None:
        named = np.array([first(row) == REASON_OF[row["stratum"].split()[0]] for row in rows], float)
        return over_photos(rows, lambda index: mean_of(named[index]))

    return {
        "detected": len(asked),
        "right": right(asked),
        "none_named": share_of([first(row) is None for row in asked]),
        "right_by_stratum": {name: right([row for row in asked if row["stratum"] == name]) for name in STRONG},
    }


def symmetry_named(scored: Sequence[Row]) -> dict[str, Any]:
    """Of detected pairs: how often symmetry is named where it truly changed, and where it did not; by stratum as well,
    since what was done to a lesion goes with whether its symmetry changed."""
    asked = [row for row in _detected(scored) if row.get("asymmetry_moved") is not None]
    truly = {row["name"]: any(map(_more, row["asymmetry_moved"], SYMMETRY_MOVED)) for row in asked}

    def told(rows: Sequence[Row]) -> dict[str, Any]:
        moved, kept = ([row for row in rows if truly[row["name"]] is way] for way in (True, False))
        return {
            "moved": len(moved),
            "named_where_moved": _named(moved),
            "kept": len(kept),
            "named_where_kept": _named(kept),
        }

    return told(asked) | {
        "by_stratum": {name: told([row for row in asked if row["stratum"] == name]) for name in STRONG}
    }


def _named(rows: Sequence[Row]) -> Figure | None:
    named = np.array([SYMMETRY in row["named_reasons"] for row in rows], float)
    return over_photos(rows, lambda index: mean_of(named[index]))


def _more(moved: float, least: float) -> bool:
    return abs(moved) > least


def _detected(scored: Sequence[Row]) -> list[Row]:
    """Pairs of the mix above the threshold, whose release names reasons."""
    stable = np.array([score(row) for row in scored if row["stratum"] == STABLE])
    if not stable.size:
        return []
    line = threshold(stable)
    return [row for row in scored if "named_reasons" in row and row["stratum"] in STRONG and score(row) > line]
