"""Rows of a benchmark, one a line of a file as soon as it is measured, so that a run that was cut off can go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from longderm.errors import UsageError

Row = dict[str, Any]


def start_rows(path: Path, described: dict[str, Any], resume: bool, options: str) -> list[Row]:
    """The rows of an earlier run to go on with, or none and a new file.

    described: what makes a run another one, the file's first line; options: those of the command that say so, for the
    message. Raises UsageError for another run's rows.
    """
    if not resume or not path.is_file():
        path.write_text(json.dumps(described, sort_keys=True) + "\n")
        return []
    lines = path.read_text().splitlines()
    # A run that was killed may have left half a line.
    whole = [line for line in lines if line.endswith("}")]
    if not whole or json.loads(whole[0]) != described:
        raise UsageError(f"{path.name} in --out is of another run; give its {options}, or --resume 0")
    path.write_text("\n".join(whole) + "\n")
    return [json.loads(line) for line in whole[1:]]
