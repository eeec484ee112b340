"""What `longderm bench noise` reports on held-out simulated patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from longderm.bench.rows import Row
from longderm.bench.statistics import BOOTSTRAP_SAMPLES, BOOTSTRAP_SEED, auroc

Statistic = Callable[[Sequence[Row]], float]


def report(rows: Sequence[Row], alpha: float, samples: int = BOOTSTRAP_SAMPLES) -> dict[str, Any]:
    """Figures with 95% intervals from a bootstrap over patients; None where there are no pairs to tell from."""
    # Pairs of real photos are all stable: what tells changed from stable pairs is asked where there are both.
    taken_twice = [row for row in rows if row["origin"] == "rephotographed"]
    rows = [row for row in rows if row["origin"] == "simulated"]
    scored = [row for row in rows if row["withheld"] is None]
    stable = [row for row in scored if not row["changed"]]
    changed = [row for row in scored if row["changed"]]

    def flagged(part: Sequence[Row]) -> float:
        return float(np.mean([row["p_value"] <= alpha for row in part])) if part else float("nan")

    def malignant_or_stable(part: Sequence[Row]) -> list[Row]:
        return [row for row in part if row["malignant_change"] or not row["changed"]]

    def interval(part: Sequence[Row], statistic: Statistic) -> list[float] | None:
        return _with_interval(part, statistic, samples)

    return {
        "pairs": len(rows),
        "withheld_pairs": _withheld(rows),
        "scored_stable": len(stable),
        "scored_changed": len(changed),
        "false_alarm_rate": interval(stable, flagged),
        "false_alarm_rate_tanned": interval([row for row in stable if row["tanning"]], flagged),
        "sensitivity": interval(changed, flagged),
        "sensitivity_malignant": interval([row for row in changed if row["malignant_change"]], flagged),
        "auroc_score": interval(scored, lambda part: auroc_of(part, _score)),
        "auroc_size_alone": interval(scored, lambda part: auroc_of(part, _size)),
        "auroc_size_confirmed": interval(scored, lambda part: auroc_of(part, _confirmed)),
        "auroc_gain_over_size": interval(scored, lambda part: auroc_of(part, _score) - auroc_of(part, _size)),
        "auroc_gain_over_confirmed": interval(scored, lambda part: auroc_of(part, _score) - auroc_of(part, _confirmed)),
        "auroc_score_malignant": interval(scored, lambda part: auroc_of(malignant_or_stable(part), _score)),
        "auroc_size_malignant": interval(scored, lambda part: auroc_of(malignant_or_stable(part), _size)),
        "rephotographed_pairs": len(taken_twice),
        "rephotographed_withheld": _withheld(taken_twice),
        "rephotographed_false_alarm_rate": interval([r for r in taken_twice if r["withheld"] is None], flagged),
    }


def _withheld(rows: Sequence[Row]) -> dict[str, int]:
    return dict(sorted(Counter(row["withheld"] for row in rows if row["withheld"]).items()))


def auroc_of(rows: Sequence[Row], value: Callable[[Row], float]) -> float:
    """AUROC of changed against stable pairs for one value of each."""
    return auroc(np.array([value(row) for row in rows]), np.array([bool(row["changed"]) for row in rows], dtype=bool))


def _score(row: Row) -> float:
    return float(row["score"])


def _size(row: Row) -> float:
    return abs(float(row["observations"].get("area", 0.0)))


def _confirmed(row: Row) -> float:
    return abs(float(row["observations"].get("area_confirmed", 0.0)))


def _with_interval(rows: Sequence[Row], statistic: Statistic, samples: int) -> list[float] | None:
    """[value, low, high] with a percentile bootstrap over patients; None where it is not defined."""
    patients: dict[int, list[Row]] = {}
    for row in rows:
        patients.setdefault(row["patient"], []).append(row)
    value = statistic(rows)
    if not patients or not np.isfinite(value):
        return None
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    keys = sorted(patients)
    redrawn = []
    for _ in range(samples):
        drawn = [row for key in rng.choice(keys, len(keys)) for row in patients[int(key)]]
        redrawn.append(statistic(drawn))
    low, high = np.nanpercentile(redrawn, [2.5, 97.5])
    return [round(value, 3), round(float(low), 3), round(float(high), 3)]
