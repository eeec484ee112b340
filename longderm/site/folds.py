"""Patients in folds and bootstrap samples: whoever is in one part is in no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from longderm.bench.statistics import bootstrap_interval

#: Parts that the patients are dealt into; each is held out once. The published tables have five.
FOLDS = 5


def patient_folds(patients: Iterable[tuple[str, bool]], count: int = FOLDS) -> dict[str, int]:
    """Patient -> fold, 0 to `count` - 1; a pair of each: (its patient, whether it changed).

    Patients with a changed pair are dealt out first, so that every fold has about as many of them. Within these two
    groups the order is that of the pseudonyms, which are keyed hashes: as good as drawn, and the same in every run.
    """
    changed: dict[str, bool] = {}
    for patient, has_changed in patients:
        changed[patient] = changed.get(patient, False) or bool(has_changed)
    ordered = sorted(changed, key=lambda patient: (not changed[patient], patient))
    return {patient: index % count for index, patient in enumerate(ordered)}


def over_patients(
    patients: Sequence[str], statistic: Callable[[NDArray[np.intp]], float], with_interval: bool = True
) -> list[float] | None:
    """[value, low, high] of a statistic of indices into `patients` (one entry a pair); 95% interval, patients redrawn
    with all their pairs. None where it is not defined; the value alone where no redrawn one is, or none is asked for.
    """
    grouped: dict[str, list[int]] = {}
    for index, patient in enumerate(patients):
        grouped.setdefault(patient, []).append(index)
    groups = [np.array(grouped[name], np.intp) for name in sorted(grouped)]
    value = statistic(np.arange(len(patients)))
    if not groups or not np.isfinite(value):
        return None
    if not with_interval:
        return [round(float(value), 4)]
    ends = bootstrap_interval(lambda drawn: statistic(np.concatenate([groups[i] for i in drawn])), len(groups))
    return [round(float(value), 4), *(ends or [])]
