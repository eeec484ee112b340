"""What commands share: options, settings from the environment, and how a result is printed."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from longderm.errors import UsageError

if TYPE_CHECKING:
    from longderm.settings import Settings

StoreUri = Annotated[str, Parameter(name="--store", help="Folder of the store.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object instead of text.")]
AsOf = Annotated[date | None, Parameter(name="--as-of", help="The day that counts as today, YYYY-MM-DD.")]


def read_settings(as_of: date | None) -> Settings:
    """The settings of the environment and `longderm.toml`. Raises UsageError that names each wrong one."""
    from pydantic import ValidationError

    from longderm.settings import Settings

    try:
        return Settings(as_of=as_of) if as_of else Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, p['loc']))}: {p['msg']} (found {p['input']!r})" for p in error.errors()
        )
        raise UsageError(f"settings (LONGDERM_... or longderm.toml): {problems}") from None


def print_summary(summary: dict[str, Any], as_json: bool, text: str) -> None:
    """Print a result: one JSON object with sorted names, or the text for people."""
    print(json.dumps(summary, sort_keys=True) if as_json else text)
