"""What a value of each pair is worth against a site's labels: AUROC, and sensitivity at a fixed specificity by time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.statistics import auroc
from longderm.governance.flag import SHORT_TERM_DAYS
from longderm.site.folds import FOLDS, over_patients, patient_folds
from longderm.site.pairs import SitePair

#: Specificities at which sensitivity is told, and the stable pairs that each takes: one alarm at least must be allowed.
SPECIFICITIES = {0.90: 10, 0.95: 20}
#: Patients with a changed pair, and with a stable one, from which on a figure has an interval: redrawing fewer, which
#: are often told apart without a mistake, gives one that is far too narrow.
LEAST_FOR_INTERVAL = 10
#: Time points: how long after the baseline the follow-up was taken. Up to 4.5 months is short-term monitoring.
SHORT, LONG, UNDATED = "up to 4.5 months", "longer", "undated"

Values = Mapping[str, float | None]


def time_point(pair: SitePair) -> str:
    """Which of the time points a pair belongs to."""
    if pair.interval_days is None:
        return UNDATED
    return SHORT if pair.interval_days <= SHORT_TERM_DAYS else LONG


def figures_of(pairs: Sequence[SitePair], values: Values) -> dict[str, Any]:
    """All figures of one method over labelled pairs; `values`: by pair id, larger is more change, None: no answer.

    auroc: [value, low, high], 95% over patients; folds: mean and standard deviation of the AUROC of five parts of the
    patients, and each; auroc_melanoma: melanoma-like change against no change, where melanomas are labelled; time
    points: AUROC, and sensitivity at 90 and 95% specificity, the threshold from the stable pairs of the same time
    point. What cannot be told is None.
    """
    answered = [pair for pair in pairs if values.get(pair.pair_id) is not None]
    points = sorted({time_point(pair) for pair in answered}, key=(SHORT, LONG, UNDATED).index)
    told: dict[str, Any] = {
        "pairs": len(answered),
        "changed": sum(bool(pair.changed) for pair in answered),
        "patients": len({pair.patient_id for pair in answered}),
        "auroc": auroc_over_patients(answered, values),
        "folds": _by_fold(answered, values),
        "time_points": {
            point: _time_point([pair for pair in answered if time_point(pair) == point], values) for point in points
        },
    }
    if any(pair.melanoma is not None for pair in answered):
        against = [pair for pair in answered if not pair.changed or pair.melanoma]
        told["auroc_melanoma"] = auroc_over_patients(against, values)
    return told


def auroc_over_patients(pairs: Sequence[SitePair], values: Values) -> list[float] | None:
    """AUROC of changed against stable pairs, [value, low, high]."""
    scores, changed, patients = arrays(pairs, values)
    return over_patients(patients, lambda index: auroc(scores[index], changed[index]), enough(pairs))


def auroc_gain(pairs: Sequence[SitePair], values: Values, over: Values) -> list[float] | None:
    """AUROC of one method less that of another over the pairs that both answer, [value, low, high]."""
    both = [p for p in pairs if values.get(p.pair_id) is not None and over.get(p.pair_id) is not None]
    (ours, changed, patients), (theirs, _, _) = arrays(both, values), arrays(both, over)

    def gain(index: NDArray[np.intp]) -> float:
        return auroc(ours[index], changed[index]) - auroc(theirs[index], changed[index])

    return over_patients(patients, gain, enough(both))


def enough(pairs: Sequence[SitePair]) -> bool:
    """Whether there are patients enough with changed and with stable pairs for an interval."""
    kinds = ({pair.patient_id for pair in pairs if bool(pair.changed) is label} for label in (False, True))
    return min(map(len, kinds)) >= LEAST_FOR_INTERVAL


def arrays(pairs: Sequence[SitePair], values: Values) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[str]]:
    """Values, labels and patients of pairs, in their order."""
    scores = np.array([values[pair.pair_id] for pair in pairs], np.float64)
    return scores, np.array([bool(pair.changed) for pair in pairs], bool), [pair.patient_id for pair in pairs]


def sensitivity_at(scores: NDArray[np.float64], changed: NDArray[np.bool_], specificity: float) -> float:
    """Share of changed pairs above the threshold that at least `specificity` of the stable ones do not exceed; NaN
    where either is missing."""
    if not changed.any() or changed.all():
        return float("nan")
    line = np.quantile(scores[~changed], specificity, method="higher")
    return float((scores[changed] > line).mean())


def withheld_counts(pairs: Sequence[SitePair]) -> dict[str, dict[str, int]]:
    """How many labelled pairs each rule withholds, changed and stable ones apart."""
    counts = {
        "changed": Counter(pair.withheld for pair in pairs if pair.withheld and pair.changed),
        "stable": Counter(pair.withheld for pair in pairs if pair.withheld and not pair.changed),
    }
    return {name: {str(rule): n for rule, n in sorted(one.items(), key=str)} for name, one in counts.items()}


def _by_fold(pairs: Sequence[SitePair], values: Values) -> dict[str, Any]:
    fold = patient_folds((pair.patient_id, bool(pair.changed)) for pair in pairs)
    found = []
    for number in range(FOLDS):
        scores, changed, _ = arrays([pair for pair in pairs if fold[pair.patient_id] == number], values)
        value = auroc(scores, changed)
        found.append(None if np.isnan(value) else round(value, 4))
    known = [value for value in found if value is not None]
    return {
        "mean": round(float(np.mean(known)), 4) if known else None,
        "sd": round(float(np.std(known, ddof=1)), 4) if len(known) > 1 else None,
        "each": found,
    }


def _time_point(pairs: Sequence[SitePair], values: Values) -> dict[str, Any]:
    scores, changed, patients = arrays(pairs, values)
    stable = int((~changed).sum())
    sensitivity = {}
    for specificity, needed in SPECIFICITIES.items():
        known = None
        if stable >= needed:
            known = over_patients(
                patients,
                lambda index, at=specificity: sensitivity_at(scores[index], changed[index], at),  # type: ignore[misc]
                enough(pairs),
            )
        sensitivity[f"{specificity:.2f}"] = known
    return {
        "pairs": len(pairs),
        "changed": int(changed.sum()),
        "auroc": auroc_over_patients(pairs, values),
        "sensitivity_at_specificity": sensitivity,
    }
