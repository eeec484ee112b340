"""How melanoma-like an evolution is, on simulated 3-month pairs: melanomas against growing benign naevi, beside size.

Everything is synthetic: lesions of `longderm.simulate`, whose distributions are frozen and hashed before anything is
scored, rendered twice and put through the whole pipeline. One lesion a patient, so that intervals over lesions are
intervals over patients. Melanomas at rest are scored as well: what they get comes from looks alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from longderm.bench.rows import Row
from longderm.bench.series_measuring import SeriesSpec, differences_of, measured_rows
from longderm.bench.statistics import auroc, bootstrap_interval
from longderm.change.evidence import DEFAULT_VERSION
from longderm.change.evolution import EvolutionModel, judge_differences
from longderm.errors import SourceNotFoundError, UsageError
from longderm.models import Release, load_release
from longderm.simulate.frozen import distributions, frozen_text
from longderm.simulate.monitored import MONITORED
from longderm.simulate.series import BENIGN, MELANOMA

#: Strata of the report.
EVOLVING, GROWING, RESTING, BENIGN_MIX = "melanoma", "growing naevus", "melanoma at rest", "benign as monitored"
#: For each pair of melanoma and growing naevus, so many melanomas at rest and benign lesions as a clinic has them.
_CONTROL_SHARE = 0.25
#: What the benign half of the lesions to fit by is, in turn.
_FIT_BENIGN = ("growing_nevus", BENIGN, "growing_nevus", "changing_nevus", BENIGN, "irritated_nevus")
#: The lesions to fit by are of another seed, and seen three times, so that intervals differ.
_FIT_SEED_AWAY, _FIT_VISITS = 100_000, 3

#: What stands for size alone; each in the direction of growth.
SIZES = ("area", "area_confirmed", "area_mm2", "long_diam")
#: The released score of any change, for comparison.
CHANGE_SCORE, OURS = "change score", "evolution"

HEAD = "evolution_head.json"


def run(
    out: Path,
    pairs: int = 320,
    seed: int = 21,
    fit: int = 0,
    head: str = "",
    resume: int = 0,
    workers: int = 1,
    minutes: float = 0,
    release: str = "",
) -> dict[str, Any]:
    """Score `pairs` pairs, half of melanomas and half of growing naevi, and a quarter as many controls of each kind.

    fit: so many lesions of another seed fit the head first, into `out`/evolution_head.json; head: such a file to score
    by; without either the release must have one. resume: 1 goes on with the rows in `out`; minutes: measuring stops
    after so long (0: never); release: version of the change release that measures. Raises UsageError where there is no
    head, SourceNotFoundError for a file that is none.
    """
    frozen, digest = frozen_text(distributions(MONITORED))
    (out / "distributions.json").write_text(frozen)
    print(f"distributions frozen before scoring: sha256 {digest}", flush=True)
    used = load_release("change", release or DEFAULT_VERSION)
    described = {"distributions": digest, "release": used.name, "seed": seed}
    measured = partial(measured_rows, release=used, resume=bool(resume), workers=workers, minutes=minutes)
    if not fit:
        read_head(head, used)  # without one, nothing need be measured
    # All is measured before anything is fitted, so that a run which stops early has lost nothing.
    to_fit = measured(out / "fit.jsonl", described | {"fit": fit}, fit_specs(fit, seed)) if fit else []
    rows = measured(out / "pairs.jsonl", described | {"pairs": pairs}, report_specs(pairs, seed))
    fitted_on: dict[str, Any] = {}
    if fit:
        fitted_on = {"lesions": len(to_fit), "seed": seed + _FIT_SEED_AWAY}
        told = fit_head(to_fit) | {"source": described | fitted_on | {"kind": "synthetic"}}
        (out / HEAD).write_text(json.dumps(told, indent=2, sort_keys=True) + "\n")
        head = str(out / HEAD)
    model = read_head(head, used)
    figures = report(rows, model)
    _print(figures)
    run_of = described | {"pairs": pairs, "fitted_on": fitted_on, "source": "synthetic"}
    return figures | {"run": run_of, "planned": len(report_specs(pairs, seed))}


def report_specs(pairs: int, seed: int) -> list[SeriesSpec]:
    """The lesions of the report: in turn, so that a run that stops early is balanced."""
    specs = []
    controls = round(pairs / 2 * _CONTROL_SHARE)
    for number in range(pairs // 2):
        specs.append(SeriesSpec(EVOLVING, seed, number, MELANOMA, 2))
        specs.append(SeriesSpec(GROWING, seed, 10_000 + number, "growing_nevus", 2))
        if number < controls:
            specs.append(SeriesSpec(RESTING, seed, 20_000 + number, MELANOMA, 2, at_rest=True))
            specs.append(SeriesSpec(BENIGN_MIX, seed, 30_000 + number, BENIGN, 2))
    return specs


def fit_specs(lesions: int, seed: int) -> list[SeriesSpec]:
    """The lesions to fit by: half melanomas, in turn with benign ones."""
    away = seed + _FIT_SEED_AWAY
    return [
        SeriesSpec("fit", away, number, MELANOMA if number % 2 else _FIT_BENIGN[number // 2 % 6], _FIT_VISITS)
        for number in range(lesions)
    ]


def fit_head(rows: Sequence[Row]) -> dict[str, Any]:
    """The head fitted to all pairs of rows that were not withheld."""
    from longderm.training.evolution import EvolutionPair, fit_evolution

    return fit_evolution(
        [
            EvolutionPair(differences_of(pair), pair["interval_days"], row["malignant"], row["name"])
            for row in rows
            for pair in row["pairs"]
            if pair["withheld"] is None
        ]
    )


def read_head(path: str, release: Release) -> EvolutionModel:
    """The head of a file, or of a release. Raises UsageError where there is none, SourceNotFoundError for no file."""
    config = release.config
    if path:
        if not Path(path).is_file():
            raise SourceNotFoundError("--head must name a file that `longderm bench evolution --fit` wrote")
        config = {"evolution": json.loads(Path(path).read_text())}
    model = EvolutionModel.from_config(config)
    if model is None:
        raise UsageError(f"{release.name} says nothing of evolution; give --head FILE, or fit one with --fit 200")
    return model


def report(rows: Sequence[Row], model: EvolutionModel) -> dict[str, Any]:
    """AUROC of the score and of size alone with 95% intervals over patients; pairs that were withheld are counted."""
    scored = []
    for row in rows:
        (pair,) = row["pairs"]
        if pair["withheld"] is None:
            differences = differences_of(pair)
            judged = judge_differences(differences, pair["interval_days"], model)
            values = {OURS: judged.score, CHANGE_SCORE: pair["score"]}
            scored.append((row, values | {name: differences.get(name) for name in SIZES}))
    figures: dict[str, Any] = {
        "lesions": dict(sorted(Counter(row["stratum"] for row in rows).items())),
        "withheld": _withheld(rows),
        "melanoma_against_growing": {
            name: _auroc(scored, name, EVOLVING, GROWING) for name in (OURS, CHANGE_SCORE, *SIZES)
        },
        "controls": {
            "melanoma against benign as monitored": _auroc(scored, OURS, EVOLVING, BENIGN_MIX),
            "melanoma against melanoma at rest": _auroc(scored, OURS, EVOLVING, RESTING),
            "melanoma at rest against growing naevus (looks alone)": _auroc(scored, OURS, RESTING, GROWING),
        },
        "by_kind": {
            kind: _auroc([(r, v) for r, v in scored if r["stratum"] == GROWING or r["drawn"] == kind], OURS)
            for kind in ("melanoma_in_situ", "melanoma_invasive")
        },
    }
    known = [one[0] for name in SIZES if (one := figures["melanoma_against_growing"][name]["auroc"])]
    # Were the sign turned, size would tell as much: what counts is how far it is from telling nothing.
    figures["size_alone_best_either_way"] = max((max(value, 1 - value) for value in known), default=None)
    return figures


def _auroc(
    scored: Sequence[tuple[Row, dict[str, float | None]]], name: str, high: str = EVOLVING, low: str = GROWING
) -> dict[str, Any]:
    """AUROC [value, low, high] of a score between two strata, and how many lesions of each have it."""
    part = [(row["stratum"] == high, values[name]) for row, values in scored if row["stratum"] in (high, low)]
    known = [(positive, value) for positive, value in part if value is not None]
    positive = np.array([is_positive for is_positive, _ in known], bool)
    values = np.array([value for _, value in known], np.float64)
    counts = {"positive": int(positive.sum()), "negative": int((~positive).sum())}
    if not positive.any() or positive.all():
        return {"auroc": None} | counts
    ends = bootstrap_interval(lambda index: auroc(values[index], positive[index]), len(values)) or []
    return {"auroc": [round(auroc(values, positive), 4), *ends]} | counts


def _withheld(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    counted: dict[str, Counter[str]] = {}
    for row in rows:
        for pair in row["pairs"]:
            counted.setdefault(row["stratum"], Counter())[pair["withheld"] or "issued"] += 1
    return {stratum: dict(sorted(reasons.items())) for stratum, reasons in sorted(counted.items())}


def _print(figures: dict[str, Any]) -> None:
    print("Synthetic: simulated 3-month pairs, melanoma against growing benign naevus, AUROC [95%]")
    for name, figure in figures["melanoma_against_growing"].items():
        label = name if name in (OURS, CHANGE_SCORE) else f"size alone: {name}"
        print(f"  {label:<58}{_text(figure)}")
    for name, figure in {**figures["controls"], **figures["by_kind"]}.items():
        print(f"  {name:<58}{_text(figure)}")
    print(f"size alone, best, either way: {figures['size_alone_best_either_way']}")
    print(f"lesions: {figures['lesions']}; pairs: {figures['withheld']}")


def _text(figure: dict[str, Any]) -> str:
    value = figure["auroc"]
    if value is None:
        return "-"
    ends = f" [{value[1]:.3f}, {value[2]:.3f}]" if len(value) == 3 else ""
    return f"{value[0]:.3f}{ends} ({figure['positive']} / {figure['negative']})"
