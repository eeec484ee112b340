"""Who is at risk at each event, laid out once, so that sums over risk sets are cumulated sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from longderm.prognosis.survival_times import Flags, Floats, Indices, SurvivalTimes

#: How events at one time share a risk set (Efron, JASA 1977; Breslow, Biometrics 1974).
Ties = Literal["efron", "breslow"]


@dataclass(frozen=True)
class RiskSets:
    """The risk sets of n rows at g distinct (stratum, event time) pairs with e events.

    Rows stand in the order of `order` (n,), by stratum, latest stop first. The risk set of a group is the positions
    from `first` up to `end` (g,), less those of `by_start` up to `late_end`, who enter at or after its time. An event
    (e,) has its position `event_row`, its group `event_group`, and the share `event_share` of its group's events that
    have left before it (Efron: 0, 1/d, ...; Breslow: 0). A row counts in groups from `row_from` up to `row_to` (n,).
    """

    order: Indices
    event: Flags
    times: Floats
    stratum: Indices
    first: Indices
    end: Indices
    by_start: Indices | None
    late_end: Indices
    event_row: Indices
    event_group: Indices
    event_share: Floats
    row_from: Indices
    row_to: Indices

    def sums(self, values: Floats) -> Floats:
        """Sum of `values` (n,) or (n, p), in the order of rows, over each risk set: (g,) or (g, p)."""
        total = _prefix(values)
        result = total[self.end] - total[self.first]
        if self.by_start is not None:
            late = _prefix(values[self.by_start])
            result -= late[self.late_end] - late[self.first]
        return np.asarray(result, np.float64)

    def events_of_groups(self, values: Floats) -> Floats:
        """Sum of the events' `values` (e,) or (e, p) over each group: (g,) or (g, p)."""
        total = _prefix(values)
        bounds = np.searchsorted(self.event_group, np.arange(self.times.size + 1))
        return np.asarray(total[bounds[1:]] - total[bounds[:-1]], np.float64)

    def over_rows(self, values: Floats) -> Floats:
        """Sum of the groups' `values` (g,) or (g, p) over the groups each row counts in: (n,) or (n, p)."""
        total = _prefix(values)
        return np.asarray(total[self.row_to] - total[self.row_from], np.float64)


def risk_sets(data: SurvivalTimes, ties: Ties = "efron") -> RiskSets:
    """Lay out the risk sets of `data`."""
    n = len(data)
    order = np.lexsort((~data.event, -data.stop, data.stratum))
    ordered = data.take(order)
    stop, start, event, stratum = ordered.stop, ordered.start, ordered.event, ordered.stratum
    # descending time within a stratum, as one ascending key
    event_row = np.flatnonzero(event)
    event_stop, event_stratum = stop[event_row], stratum[event_row]
    fresh = np.ones(event_row.size, np.bool_)
    fresh[1:] = (event_stop[1:] != event_stop[:-1]) | (event_stratum[1:] != event_stratum[:-1])
    group = np.cumsum(fresh) - 1
    times, of_stratum = event_stop[fresh], event_stratum[fresh]
    deaths = np.bincount(group, minlength=times.size)
    within = np.arange(event_row.size) - np.flatnonzero(fresh)[group]
    share = within / deaths[group] if ties == "efron" else np.zeros(event_row.size)
    # position of each time among the distinct ones of all rows, to search by stratum and time at once
    levels = np.unique(np.concatenate([stop, start]) if data.delayed else stop)
    span = levels.size + 1
    group_level = np.searchsorted(levels, times)
    key = of_stratum * span + (span - 1 - group_level)
    stop_key = stratum * span + (span - 1 - np.searchsorted(levels, stop))
    first = np.searchsorted(stratum, of_stratum, side="left")
    end = np.searchsorted(stop_key, key, side="right")
    row_from = np.searchsorted(key, stop_key, side="left")
    by_start, late_end = None, first
    if data.delayed:
        start_key = stratum * span + (span - 1 - np.searchsorted(levels, start))
        by_start = np.argsort(start_key, kind="stable")
        late_end = np.searchsorted(start_key[by_start], key, side="right")
        row_to = np.searchsorted(key, start_key, side="left")
    else:
        row_to = np.searchsorted(of_stratum, stratum, side="right")
    assert row_to.size == n
    return RiskSets(
        order,
        event,
        times,
        of_stratum,
        first.astype(np.intp),
        end.astype(np.intp),
        by_start,
        late_end.astype(np.intp),
        event_row,
        group.astype(np.intp),
        share,
        row_from.astype(np.intp),
        row_to.astype(np.intp),
    )


def _prefix(values: Floats) -> Floats:
    total = np.zeros((values.shape[0] + 1, *values.shape[1:]))
    np.cumsum(values, axis=0, out=total[1:])
    return total
