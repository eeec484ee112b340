"""Folds that keep a patient together and hold equal shares of every stage and outcome."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from longderm.prognosis.errors import SurvivalTimesError, TooFewEventsError
from longderm.prognosis.survival_times import Flags, Indices

#: Patients with the event, and without, that each fold must hold: with one alone its figures turn on a single patient.
LEAST_PER_FOLD = 2


def patient_folds(
    patient: Indices, event: Flags, stage: np.ndarray | None, folds: int, rng: np.random.Generator
) -> Indices:
    """The fold (n,) of each row: all rows of a patient in one; patients dealt out by outcome and highest stage.

    `patient` int (n,); `event` bool (n,); `stage` int (n,), ranks of the stage, or None. Shares of outcome and stage
    differ by at most one patient between folds. `rng` orders the patients of a share.

    Raises SurvivalTimesError for fewer than 2 folds, TooFewEventsError where a fold would hold fewer than
    `LEAST_PER_FOLD` patients with or without the event; the message holds the numbers.
    """
    if folds < 2:
        raise SurvivalTimesError(f"{folds} folds; at least 2 are needed")
    _, labels = np.unique(patient, return_inverse=True)
    count = int(labels.max()) + 1
    with_event = np.bincount(labels[event], minlength=count) > 0
    for kind, number in (("with", int(with_event.sum())), ("without", int((~with_event).sum()))):
        if number < LEAST_PER_FOLD * folds:
            raise TooFewEventsError(
                f"{number} patients {kind} the event for {folds} folds; {LEAST_PER_FOLD} in each fold, "
                f"{LEAST_PER_FOLD * folds} in all, are the least: take fewer folds or more patients"
            )
    highest = np.zeros(count, np.intp)
    if stage is not None:
        np.maximum.at(highest, labels, stage)
    shuffled = rng.permutation(count)
    dealt = shuffled[np.lexsort((highest[shuffled], ~with_event[shuffled]))]
    fold_of = np.empty(count, np.intp)
    fold_of[dealt] = np.arange(count) % folds
    return fold_of[labels]


def held_out(fold_of: Indices, folds: int) -> Iterator[tuple[Indices, Indices]]:
    """Rows to fit and rows to judge, fold by fold."""
    for fold in range(folds):
        yield np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
