"""Rounding: what is measured keeps six significant digits, so that the last bits of a sum reach no table."""

from __future__ import annotations

from typing import overload

#: Digits that are kept.
DIGITS = 6


@overload
def significant(value: float) -> float: ...
@overload
def significant(value: None) -> None: ...
@overload
def significant(value: float | None) -> float | None: ...
def significant(value: float | None) -> float | None:
    """The value rounded to `DIGITS` significant digits; None stays None."""
    return None if value is None else float(f"{value:.{DIGITS}g}")
