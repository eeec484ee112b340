"""Concordance of a risk with outcomes: Harrell's C as R's `concordance` counts it, and Uno's C."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longderm.prognosis.errors import NoComparablePairsError, OutsideFollowUpError, SurvivalTimesError
from longderm.prognosis.kaplan_meier import censoring_survival, step_at
from longderm.prognosis.rank_counts import RankCounter, dense_ranks
from longderm.prognosis.survival_times import Floats, Indices, SurvivalTimes


@dataclass(frozen=True)
class Concordance:
    """`value` in [0, 1]: the share of comparable pairs in which the higher risk fails first, ties of risk half.

    `concordant`, `discordant`, `tied_risk` are pairs with one failure first; `tied_time` failed at the same time (with
    different risks), `tied_both` also share their risk: these two kinds do not count. `standard_error` is the
    infinitesimal jackknife's (None where not asked for).
    """

    value: float
    concordant: int
    discordant: int
    tied_risk: int
    tied_time: int
    tied_both: int
    standard_error: float | None = None


def harrell_c(
    data: SurvivalTimes, risk: ArrayLike, *, cluster: ArrayLike | None = None, with_error: bool = True
) -> Concordance:
    """Harrell's C of `risk` (n,) float, higher meaning earlier failure; n log n.

    Pairs are compared within strata and while both are at risk (start-stop rows). One who fails at a time is compared
    with one censored at the same time: the latter lived longer. `cluster` (n,), any labels, sums the jackknife's
    influences per patient. Harrell, Lee and Mark, Stat Med 1996; Therneau and Watson, Mayo Clinic report 85 (2015).

    Raises NoComparablePairsError where no pair can be ranked (no event, or nobody left after one), and
    SurvivalTimesError for a risk that is missing, infinite or of another length.
    """
    risks = _risks(data, risk)
    totals = np.zeros(5, np.int64)
    score, share = np.zeros(len(data)), np.zeros(len(data))
    for stratum in np.unique(data.stratum) if data.stratum.any() else [0]:
        rows = np.flatnonzero(data.stratum == stratum)
        part = _Pairs(data.take(rows), risks[rows])
        totals += part.totals()
        if with_error:
            score[rows], share[rows] = part.influences()
    concordant, discordant, tied_risk, tied_time, tied_both = (int(total) for total in totals)
    comparable = concordant + discordant + tied_risk
    if comparable == 0:
        raise NoComparablePairsError(_why_no_pairs(data))
    value = (concordant + tied_risk / 2.0) / comparable
    error = None
    if with_error:
        influence = (score - value * share) / comparable
        if cluster is not None:
            influence = _sum_by(np.unique(np.asarray(cluster), return_inverse=True)[1], influence)
        error = float(np.sqrt(np.sum(influence**2)))
    return Concordance(value, concordant, discordant, tied_risk, tied_time, tied_both, error)


def uno_c(train: SurvivalTimes, test: SurvivalTimes, risk: ArrayLike, tau: float | None = None) -> float:
    """Uno's C: pairs weighted by 1 / G(t)^2, G the censoring distribution of `train`, events before `tau` only.

    `risk` (n,) of `test`. Unlike Harrell's C its target does not hang on the censoring (Uno et al., Stat Med 2011).
    Strata are not used.

    Raises OutsideFollowUpError where an event of `test` lies where everybody of `train` is censored (choose an earlier
    `tau`), NoComparablePairsError without a comparable pair.
    """
    risks = _risks(test, risk)
    flat = SurvivalTimes(test.stop, test.event, test.start, np.zeros(len(test), np.intp))
    pairs = _Pairs(flat, risks)
    times, free = censoring_survival(train)
    used = np.ones(pairs.cases.size, np.bool_) if tau is None else test.stop[pairs.cases] < tau
    weights = step_at(times, free, test.stop[pairs.cases], 1.0)
    if (weights[used] == 0).any():
        late = float(test.stop[pairs.cases][used & (weights == 0)].min())
        raise OutsideFollowUpError(
            f"an event at {late:g} lies where all of the reference patients are censored, its weight would be "
            f"infinite; give a tau up to {late:g}"
        )
    squares = np.divide(1.0, weights**2, out=np.zeros(weights.size), where=used)
    below, equal, others = pairs.after_cases
    total = float(squares @ others)
    if total == 0:
        limit = "" if tau is None else f" before tau = {tau:g}"
        raise NoComparablePairsError(_why_no_pairs(test) + limit)
    return float(squares @ (below + equal / 2.0)) / total


class _Pairs:
    """The comparable pairs of one stratum, counted from the side of those who fail (cases)."""

    def __init__(self, data: SurvivalTimes, risks: Floats) -> None:
        self._data = data
        self._ranks, self._top = dense_ranks(risks)
        # who lives longer stands later; at one time the censored stand after the failures
        self._order = np.lexsort((~data.event, data.stop))
        self.cases = np.flatnonzero(data.event)
        case_times, self._time_of_case = np.unique(data.stop[self.cases], return_inverse=True)
        self._failures = np.bincount(self._time_of_case, minlength=case_times.size)
        ends = np.searchsorted(data.stop[self._order], case_times, side="left") + self._failures
        self._first_later = ends[self._time_of_case].astype(np.intp)
        self.after_cases = self._count_after()

    def _count_after(self) -> tuple[Indices, Indices, Indices]:
        """Per case: those who outlive it with a lower risk, with the same, and all."""
        n = len(self._data)
        rank = self._ranks[self.cases]
        last = np.full(rank.size, n, np.intp)
        below, equal = RankCounter(self._ranks[self._order], self._top).below_and_equal(self._first_later, last, rank)
        others = last - self._first_later
        if self._data.delayed:  # leave out those who enter at or after the failure
            by_start = np.argsort(self._data.start, kind="stable")
            first = np.searchsorted(self._data.start[by_start], self._data.stop[self.cases], side="left")
            counter = RankCounter(self._ranks[by_start], self._top)
            late_below, late_equal = counter.below_and_equal(first.astype(np.intp), last, rank)
            below, equal, others = below - late_below, equal - late_equal, others - (n - first)
        return below, equal, others

    def totals(self) -> NDArray[np.int64]:
        """Concordant, discordant, tied risk, tied time, tied both."""
        below, equal, others = (int(part.sum()) for part in self.after_cases)
        same_time = int((self._failures * (self._failures - 1) // 2).sum())
        both = np.unique(self._time_of_case * self._top + self._ranks[self.cases], return_counts=True)[1]
        tied_both = int((both * (both - 1) // 2).sum())
        return np.array([below, others - below - equal, equal, same_time - tied_both, tied_both], np.int64)

    def influences(self) -> tuple[Floats, Floats]:
        """Per row, over its comparable pairs on either side: the sum of 1, 1/2 or 0, and their number."""
        data, n = self._data, len(self._data)
        score, share = np.zeros(n), np.zeros(n)
        below, equal, others = self.after_cases
        score[self.cases], share[self.cases] = below + equal / 2.0, others
        # as the one who lives longer: the failures while it was at risk, its own time's only if it is censored
        ordered_cases = self.cases[np.argsort(data.stop[self.cases], kind="stable")]
        case_stops = data.stop[ordered_cases]
        end = np.searchsorted(case_stops, data.stop, side="left")
        through = np.searchsorted(case_stops, data.stop, side="right")
        end = np.where(data.event, end, through).astype(np.intp)
        first = np.searchsorted(case_stops, data.start, side="right").astype(np.intp)
        first = np.minimum(first, end)
        lower, same = RankCounter(self._ranks[ordered_cases], self._top).below_and_equal(first, end, self._ranks)
        earlier = end - first
        return score + (earlier - lower - same) + same / 2.0, share + earlier


def _sum_by(label: Indices, values: Floats) -> Floats:
    return np.asarray(np.bincount(label, values), np.float64)


def _risks(data: SurvivalTimes, risk: ArrayLike) -> Floats:
    risks = np.asarray(risk, np.float64)
    if risks.shape != data.stop.shape:
        raise SurvivalTimesError(f"risk has shape {risks.shape} for {len(data)} times")
    bad = np.flatnonzero(~np.isfinite(risks))
    if bad.size:
        raise SurvivalTimesError(f"risk is missing or infinite in {bad.size} rows, first row {bad[0]}")
    return risks


def _why_no_pairs(data: SurvivalTimes) -> str:
    if data.events == 0:
        return "no comparable pair: all patients are censored"
    return "no comparable pair: nobody is known to live longer than a patient with an event"
