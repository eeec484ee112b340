"""Series of visits of simulated patients: how soon melanomas are flagged, and how well their growth is known.

Everything is synthetic. Each patient has one monitored lesion, seen first after about three months and then every five
to thirteen; its photos go through the pipeline as released. Rules that flag are compared at one specificity: the
threshold of each is set on benign lesions of *other* patients (folds), so that nine in ten of them are never flagged
over all their visits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.evolution import read_head
from longderm.bench.rows import Row
from longderm.bench.series_measuring import SeriesSpec, differences_of, measured_rows
from longderm.bench.statistics import auroc, bootstrap_interval, wilson
from longderm.bench.trajectory_growth import growth_figures
from longderm.change.evidence import DEFAULT_VERSION
from longderm.change.evolution import EvolutionModel, judge_differences
from longderm.change.trajectory import DAYS_PER_MONTH
from longderm.models import load_release
from longderm.simulate.frozen import distributions, frozen_text
from longderm.simulate.monitored import MONITORED
from longderm.simulate.series import BENIGN, MELANOMA

#: Share of benign lesions that are never flagged.
SPECIFICITY = 0.90
#: Share of patients whose lesion is a melanoma; nothing that is reported depends on it.
MELANOMA_SHARE = 0.35
#: Visits of a patient: three or four, in turn of the draw.
VISITS = (3, 4)
#: Thresholds of a fold of patients come from the benign lesions of the other folds.
FOLDS = 5

OURS, CHANGE_SCORE, SIZE = "evolution", "change score", "size only"
#: What was published on other data, for orientation (Yu et al. 2022, IEEE Trans Med Imaging 41:633; series from
#: Melbourne, doi 10.1109/TMI.2021.3120091): melanomas told at the first follow-up by their network, and by readers.
PUBLISHED = {"network": 0.607, "readers": 0.327}
REMARK = (
    "published: 60.7% of melanomas told at the first follow-up by a network, 32.7% by readers (Melbourne). Those are "
    "real lesions under another rule of counting; ours are simulated. The data differ: no comparison is meant."
)


@dataclass(frozen=True)
class Judged:
    """A lesion under one rule: the rule's value at every follow-up (None: withheld), and the days of the follow-ups."""

    malignant: bool
    fold: int
    values: tuple[float | None, ...]
    days: tuple[int, ...]

    @property
    def highest(self) -> float:
        """The highest value of all follow-ups; minus infinity where all were withheld."""
        return max((value for value in self.values if value is not None), default=-math.inf)

    def flagged_at(self, threshold: float) -> int | None:
        """Which follow-up (0: the first) is the first above a threshold."""
        above = (at for at, value in enumerate(self.values) if value is not None and value > threshold)
        return next(above, None)


def run(
    out: Path,
    patients: int = 200,
    seed: int = 31,
    head: str = "",
    resume: int = 0,
    workers: int = 1,
    minutes: float = 0,
    release: str = "",
) -> dict[str, Any]:
    """Simulate `patients` patients' series of visits, and judge by what rule a melanoma is flagged how soon.

    head: file of the evolution head (`longderm bench evolution --fit`), where the release has none; resume: 1 goes on
    with the rows in `out`; minutes: measuring stops after so long (0: never). Raises UsageError where there is no head.
    """
    frozen, digest = frozen_text(distributions(MONITORED))
    (out / "distributions.json").write_text(frozen)
    print(f"distributions frozen before scoring: sha256 {digest}", flush=True)
    used = load_release("change", release or DEFAULT_VERSION)
    model = read_head(head, used)
    described = {"distributions": digest, "release": used.name, "seed": seed, "patients": patients}
    rows = measured_rows(
        out / "series.jsonl",
        described,
        specs_of(patients, seed),
        used,
        resume=bool(resume),
        workers=workers,
        minutes=minutes,
    )
    figures = {"flagging": flagging_figures(rows, model), "growth": growth_figures(rows, used)}
    _print(figures, len(rows))
    return figures | {"run": described | {"source": "synthetic"}, "measured": len(rows), "remark": REMARK}


def specs_of(patients: int, seed: int) -> list[SeriesSpec]:
    """One lesion for each patient, melanomas spread evenly over the numbers."""
    visits = np.random.default_rng([seed, 1]).choice(VISITS, patients)
    malignant = [int((n + 1) * MELANOMA_SHARE) > int(n * MELANOMA_SHARE) for n in range(patients)]
    return [
        SeriesSpec("series", seed, number, MELANOMA if malignant[number] else BENIGN, int(visits[number]))
        for number in range(patients)
    ]


def flagging_figures(rows: Sequence[Row], model: EvolutionModel) -> dict[str, Any]:
    """Of each rule: realised specificity, shares flagged, months won over size alone; intervals are over patients."""
    rules: dict[str, Callable[[Row], float | None]] = {
        OURS: lambda pair: judge_differences(differences_of(pair), pair["interval_days"], model).score,
        CHANGE_SCORE: lambda pair: pair["score"],
        SIZE: lambda pair: differences_of(pair).get("area"),
    }
    judged = {name: [judge(row, rule) for row in rows] for name, rule in rules.items()}
    flagged = {name: flag_all(lesions) for name, lesions in judged.items()}
    figures: dict[str, Any] = {
        "specificity": SPECIFICITY,
        "patients": dict(Counter("melanoma" if row["malignant"] else "benign" for row in rows)),
        "pairs": dict(sorted(Counter(pair["withheld"] or "issued" for row in rows for pair in row["pairs"]).items())),
        "rules": {name: _rule_figures(judged[name], flagged[name]) for name in rules},
        "months_won_over_size": {
            name: _months_won(judged[SIZE], flagged[name], flagged[SIZE]) for name in (OURS, CHANGE_SCORE)
        },
        "published_first_follow_up": PUBLISHED,
    }
    return figures


def judge(row: Row, rule: Callable[[Row], float | None]) -> Judged:
    """A lesion under a rule: at each follow-up the higher value of its pairs, with the previous and the first visit."""
    visits = row["visits_measured"]
    values: list[float | None] = []
    for end in range(1, len(visits)):
        pairs = [pair for pair in row["pairs"] if pair["followup"] == end and pair["withheld"] is None]
        known = [value for pair in pairs if (value := rule(pair)) is not None]
        values.append(max(known, default=None))
    return Judged(row["malignant"], row["index"] % FOLDS, tuple(values), tuple(v["day"] for v in visits[1:]))


def flag_all(lesions: Sequence[Judged], first_only: bool = False) -> list[int | None]:
    """At which follow-up each lesion is flagged, by the threshold of the benign lesions of the other folds.

    first_only: the threshold is for the first follow-up alone, and so is the flag.
    """

    def highest(one: Judged) -> float:
        if not first_only:
            return one.highest
        return -math.inf if not one.values or one.values[0] is None else one.values[0]

    thresholds = {}
    for fold in range(FOLDS):
        benign = [highest(one) for one in lesions if not one.malignant and one.fold != fold]
        # Of a fold without any benign lesion elsewhere nothing is known, and nothing flagged.
        thresholds[fold] = float(np.quantile(benign, SPECIFICITY, method="higher")) if benign else math.inf
    flags = [one.flagged_at(thresholds[one.fold]) for one in lesions]
    return [flag if not first_only or flag == 0 else None for flag in flags]


def _rule_figures(lesions: Sequence[Judged], flagged: Sequence[int | None]) -> dict[str, Any]:
    benign = [flag is None for one, flag in zip(lesions, flagged, strict=True) if not one.malignant]
    of_melanomas = [flag for one, flag in zip(lesions, flagged, strict=True) if one.malignant]
    alone = flag_all(lesions, first_only=True)
    at_first = [flag is not None for one, flag in zip(lesions, alone, strict=True) if one.malignant]
    quiet = [flag is None for one, flag in zip(lesions, alone, strict=True) if not one.malignant]
    highest = np.array([one.highest for one in lesions])
    malignant = np.array([one.malignant for one in lesions], bool)
    return {
        "specificity_realised": _share(benign),
        "melanomas_flagged_at_first_follow_up": _share([flag == 0 for flag in of_melanomas]),
        "melanomas_flagged_by_the_last_visit": _share([flag is not None for flag in of_melanomas]),
        "first_follow_up_judged_alone": {"specificity_realised": _share(quiet), "melanomas_flagged": _share(at_first)},
        "auroc_over_all_visits": _auroc(highest, malignant),
    }


def _months_won(lesions: Sequence[Judged], ours: Sequence[int | None], size: Sequence[int | None]) -> dict[str, Any]:
    """Months by which melanomas are flagged before size alone does; one never flagged counts at its last visit."""
    won = []
    for one, mine, theirs in zip(lesions, ours, size, strict=True):
        if one.malignant:
            mine_day, their_day = (one.days[-1] if flag is None else one.days[flag] for flag in (mine, theirs))
            won.append((their_day - mine_day) / DAYS_PER_MONTH)
    months = np.array(won)
    if not months.size:
        return {"melanomas": 0}
    told: dict[str, Any] = {"melanomas": int(months.size)}
    for name, statistic in (("median", np.median), ("mean", np.mean)):
        ends = bootstrap_interval(partial(_of_drawn, statistic, months), months.size)
        told[name] = [round(float(statistic(months)), 3), *(ends or [])]
    return told | {
        "earlier": int((months > 0).sum()),
        "same_visit": int((months == 0).sum()),
        "later": int((months < 0).sum()),
    }


def _of_drawn(
    statistic: Callable[[NDArray[np.float64]], Any], values: NDArray[np.float64], drawn: NDArray[np.intp]
) -> float:
    return float(statistic(values[drawn]))


def _share(hits: Sequence[bool]) -> list[float] | None:
    """[share, low, high], Wilson's interval: one lesion a patient."""
    ends = wilson(sum(hits), len(hits))
    return None if ends is None else [round(sum(hits) / len(hits), 4), *ends]


def _auroc(values: NDArray[np.float64], positive: NDArray[np.bool_]) -> list[float] | None:
    if not positive.any() or positive.all():
        return None
    ends = bootstrap_interval(lambda index: auroc(values[index], positive[index]), len(values))
    return [round(auroc(values, positive), 4), *(ends or [])]


def _print(figures: dict[str, Any], measured: int) -> None:
    flagging, growth = figures["flagging"], figures["growth"]
    print(f"Synthetic: {measured} simulated patients ({flagging['patients']}), one monitored lesion each")
    print(f"At {SPECIFICITY:.0%} specificity over all visits, threshold from benign lesions of other patients:")
    for name, told in flagging["rules"].items():
        print(f"  {name}")
        for label, value in told.items():
            print(f"    {label.replace('_', ' '):<44}{value}")
    for name, told in flagging["months_won_over_size"].items():
        print(f"months won over size only, {name}: {told}")
    print(REMARK)
    for label, value in growth.items():
        print(f"growth, {label.replace('_', ' ')}: {value}")
    print(f"pairs: {flagging['pairs']}")
