"""Rows as they are fitted and patients as they are judged: start-stop rows put together to whole follow-ups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from longderm.prognosis.errors import SurvivalTimesError
from longderm.prognosis.survival_times import Flags, Indices, SurvivalTimes


@dataclass(frozen=True)
class FollowUp:
    """n rows of m patients; m = n where everybody has one row.

    `rows` (n,) are what a model is fitted to and what concordance compares: a row's covariates count while it lasts.
    `first` bool (n,): each patient's earliest row, the only one that may predict what comes after. `whole` (n,) is, on
    each row, its patient's follow-up from the first row's start to the last row's end. `single`: n = m.
    """

    rows: SurvivalTimes
    first: Flags
    whole: SurvivalTimes
    single: bool

    @property
    def patients(self) -> SurvivalTimes:
        """The whole follow-up (m,) of each patient, in the order of their first rows and in those rows' strata."""
        return self.rows if self.single else self.whole.take(self.first)

    @property
    def late(self) -> int:
        """How many patients enter after the origin."""
        return int((self.rows.start[self.first] > 0).sum())

    def take(self, rows: Indices | Flags) -> FollowUp:
        """Some rows; all of a patient's or none, as often as wanted."""
        taken = self.rows.take(rows)
        return FollowUp(taken, self.first[rows], taken if self.single else self.whole.take(rows), self.single)


def follow_up(rows: SurvivalTimes, patient: ArrayLike | None = None) -> FollowUp:
    """Put the rows of each `patient` (n,), any labels, together; None: every row is a patient.

    Rows that all start at the origin are left as they are, each a follow-up of its own (several tumours of a patient).

    Raises SurvivalTimesError where rows of a patient overlap, or where one ends with the event before the last.
    """
    everyone = np.ones(len(rows), np.bool_)
    if patient is None or not rows.delayed:
        return FollowUp(rows, everyone, rows, True)
    label = np.unique(np.asarray(patient), return_inverse=True)[1].astype(np.intp)
    if label.size != len(rows):
        raise SurvivalTimesError(f"patient has {label.size} values for {len(rows)} rows")
    if int(label.max()) + 1 == len(rows):
        return FollowUp(rows, everyone, rows, True)
    order = np.lexsort((rows.start, label))
    ordered, who = rows.take(order), label[order]
    again = who[1:] == who[:-1]
    overlapping = np.unique(who[1:][again & (ordered.start[1:] < ordered.stop[:-1])])
    if overlapping.size:
        raise SurvivalTimesError(
            f"rows overlap in {overlapping.size} patients, first row {order[_first(who, overlapping[0])]}; "
            "start-stop rows of one patient must follow each other"
        )
    going_on = np.unique(who[:-1][again & ordered.event[:-1]])
    if going_on.size:
        raise SurvivalTimesError(
            f"{going_on.size} patients have rows after the event, first row {order[_first(who, going_on[0])]}; "
            "follow-up ends with the event, and of several events the first counts"
        )
    begins = np.concatenate([[True], ~again])
    ends = np.concatenate([~again, [True]])
    first = np.zeros(len(rows), np.bool_)
    first[order[begins]] = True
    whole = SurvivalTimes(
        ordered.stop[ends][label], ordered.event[ends][label], ordered.start[begins][label], rows.stratum
    )
    return FollowUp(rows, first, whole, False)


def _first(who: Indices, wanted: int) -> int:
    return int(np.searchsorted(who, wanted))
