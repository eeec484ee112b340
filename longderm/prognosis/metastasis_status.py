"""From a table of outcomes to yes or no: has the melanoma metastasised within a time, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa

from longderm.prognosis.errors import SurvivalTimesError

Endpoint = Literal["any", "locoregional", "distant"]
#: What a metastasis model may predict. A patient with distant metastasis only is a "no" of the locoregional one, and
#: the other way round; a local recurrence in the scar is no metastasis.
METASTASIS_ENDPOINTS: tuple[Endpoint, ...] = ("any", "locoregional", "distant")
_SITES: dict[str, tuple[str, ...]] = {
    "any": ("locoregional", "distant"),
    "locoregional": ("locoregional",),
    "distant": ("distant",),
}


def metastasis_column(endpoint: str) -> str:
    """The column that holds an endpoint, such as `metastasis_any`; raises SurvivalTimesError for another word."""
    if endpoint not in METASTASIS_ENDPOINTS:
        listed = ", ".join(METASTASIS_ENDPOINTS)
        raise SurvivalTimesError(f"there is no endpoint {endpoint!r}; it is one of {listed}")
    return f"metastasis_{endpoint}"


def metastasis_status(outcomes: pa.Table, by_days: float) -> pa.Table:
    """`outcomes` (`Outcomes.table`) with bool columns `metastasis_any`, `..._locoregional`, `..._distant` by `by_days`.

    True: one is dated at or before `by_days` after the origin. False: none by then, and the patient was followed that
    long or died of another cause before (and will not metastasise any more). Null, never False: lost to follow-up
    earlier, dead earlier of melanoma or of an unknown cause without a dated metastasis, a recurrence by then whose
    site nobody wrote down. A model of yes and no leaves nulls out: where many are lost early, take a survival model.

    Raises SurvivalTimesError for a time that is not above 0.
    """
    if not by_days > 0:
        raise SurvivalTimesError(f"by_days is {by_days}; give days after the origin, above 0")
    rows = outcomes.to_pylist()
    for endpoint in METASTASIS_ENDPOINTS:
        values = [_status(row, _SITES[endpoint], by_days) for row in rows]
        outcomes = outcomes.append_column(metastasis_column(endpoint), pa.array(values, pa.bool_()))
    return outcomes


def _status(row: dict[str, Any], sites: Sequence[str], by_days: float) -> bool | None:
    dated = [row[f"recurrence_{site}_days"] for site in sites]
    if any(day is not None and day <= by_days for day in dated):
        return True
    followed, died = row["overall_days"], row["overall_event"]
    if followed is None or row["recurrence_free_days"] is None or _recurred_somewhere(row, by_days):
        return None  # not followed, a table that does not tell recurrences, or one whose site is not known
    if followed >= by_days:
        return False
    other_cause = died == 1 and row["melanoma_specific_event"] == 2
    return False if other_cause else None


def _recurred_somewhere(row: dict[str, Any], by_days: float) -> bool:
    """A recurrence by then whose site is not known."""
    first, kind = row["recurrence_free_days"], row["recurrence_free_event"]
    if kind != 1 or first is None or first > by_days:
        return False
    sited = [row[f"recurrence_{site}_days"] for site in ("local", "locoregional", "distant")]
    return not any(day is not None and day <= first for day in sited)
