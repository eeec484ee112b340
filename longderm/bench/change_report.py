"""Figures of the change benchmark from its rows, with 95% intervals from a bootstrap over photos, and the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.change_baselines import BASELINES
from longderm.bench.change_camera import ALONE
from longderm.bench.change_figures import (
    FALSE_ALARMS,
    Figure,
    baseline,
    mean_of,
    over_photos,
    score,
    share_of,
    threshold,
)
from longderm.bench.change_pairs import ALONE_PREFIX, CALM, EXPANSION, OWN_PREFIX, STABLE, STRONG, WEAK
from longderm.bench.change_reasons import reason_named, symmetry_named
from longderm.bench.change_reliability import reliability
from longderm.bench.rows import Row
from longderm.bench.statistics import auroc

#: The hottest point counts as inside up to this share of the diameter away: what an alignment leaves
#: (`longderm.change.common_view.RESIDUAL_SHARE_OF_DIAMETER`).
HOT_TOLERANCE = 0.02
#: p-values whose shares on stable pairs are held against their binomial 99% band.
LEVELS = (0.05, 0.01)
#: The score in the table, beside the baselines.
OURS = "longderm"


def report(rows: Sequence[Row]) -> dict[str, Any]:
    """All figures; those of nothing are None. Refused pairs have no score and are counted, never dropped in silence."""
    scored = [row for row in rows if row["refused"] is None]
    methods = {OURS: _method(scored, score)} | {
        # Rows of an earlier release may lack a baseline that was added since.
        name: _method([row for row in scored if row["baselines"].get(name) is not None], baseline(name))
        for name in BASELINES
    }
    figures: dict[str, Any] = {
        "pairs": dict(Counter(row["stratum"] for row in rows)),
        "refused": _refused(rows),
        "methods": methods,
        "over_best_baseline": _gain(scored, methods),
        "sensitivity_refused_as_missed": _with_refused(rows),
        "heat_map": _heat_map(scored),
        "reason_named": reason_named(scored),
        "symmetry_named": symmetry_named(scored),
        "reliability": reliability(scored),
        "false_alarms_alone": _alone(scored),
        "p_values": _p_values([row for row in scored if row["stratum"] == STABLE]),
        "withheld_by_rules": dict(sorted(Counter(row["withheld"] for row in scored if row["withheld"]).items())),
        "own_generator": _own(scored),
    }
    figures["misalignment_median_95th"] = _quantiles([row["misalignment"] for row in scored])
    return figures


def _method(rows: Sequence[Row], value: Callable[[Row], float]) -> dict[str, Any]:
    """AUROC and sensitivity at 95% specificity, over the mix, the weak tier and each stratum."""

    def both(strata: Sequence[str]) -> dict[str, Figure | None]:
        part = [row for row in rows if row["stratum"] in (STABLE, *strata)]
        values = np.array([value(row) for row in part])
        changed = np.array([row["stratum"] != STABLE for row in part], bool)

        def sensitivity(index: NDArray[np.intp]) -> float:
            drawn, positive = values[index], changed[index]
            if not positive.any() or positive.all():
                return float("nan")
            return float((drawn[positive] > threshold(drawn[~positive])).mean())

        return {
            "auroc": over_photos(part, lambda index: auroc(values[index], changed[index])),
            "sensitivity": over_photos(part, sensitivity),
        }

    apart = {name: both((name,)) for name in (*STRONG, *WEAK, EXPANSION)}
    return {"mix": both(STRONG), "weak": both(WEAK), "strata": apart}


def _gain(scored: Sequence[Row], methods: dict[str, Any]) -> dict[str, Any] | None:
    """AUROC of the score minus that of the best baseline, on the mix."""
    known = {name: methods[name]["mix"]["auroc"] for name in BASELINES}
    ranked = sorted((name for name, figure in known.items() if figure), key=lambda name: -known[name][0])
    if not ranked:
        return None
    best = baseline(ranked[0])
    part = [r for r in scored if r["stratum"] in (STABLE, *STRONG) and r["baselines"].get(ranked[0]) is not None]
    ours, theirs = (np.array([value(row) for row in part]) for value in (score, best))
    changed = np.array([row["stratum"] != STABLE for row in part], bool)

    def gain(index: NDArray[np.intp]) -> float:
        return auroc(ours[index], changed[index]) - auroc(theirs[index], changed[index])

    return {"baseline": ranked[0], "auroc_gain": over_photos(part, gain)}


def _refused(rows: Sequence[Row]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for label, strata in (("re-photographed", (STABLE,)), ("changed", (*STRONG, *WEAK, EXPANSION))):
        part = [row for row in rows if row["stratum"] in strata]
        reasons = Counter(row["refused"] for row in part if row["refused"] is not None)
        told[label] = {"pairs": len(part), "refused": sum(reasons.values()), "reasons": dict(sorted(reasons.items()))}
    return told


def _with_refused(rows: Sequence[Row]) -> Figure | None:
    """Sensitivity on the mix where a refused pair counts as no alarm: what a clinic sees."""
    part = [row for row in rows if row["stratum"] in (STABLE, *STRONG)]
    values = np.array([-1.0 if row["refused"] is not None else score(row) for row in part])
    changed = np.array([row["stratum"] != STABLE for row in part], bool)

    def sensitivity(index: NDArray[np.intp]) -> float:
        drawn, positive = values[index], changed[index]
        stable = drawn[~positive & (drawn >= 0)]
        return float((drawn[positive] > threshold(stable)).mean()) if stable.size and positive.any() else float("nan")

    return over_photos(part, sensitivity)


def _heat_map(scored: Sequence[Row]) -> dict[str, Any]:
    """Over detected pairs: where the hottest point lies, and the overlap at equal area; by stratum as well."""
    stable = np.array([score(row) for row in scored if row["stratum"] == STABLE])
    if not stable.size:
        return {}
    line = threshold(stable)
    detected = [r for r in scored if r.get("hot_away") is not None and r["stratum"] in STRONG and score(r) > line]

    def share(rows: Sequence[Row], within: float) -> Figure | None:
        inside = np.array([row["hot_away"] <= within for row in rows], float)
        return over_photos(rows, lambda index: float(inside[index].mean()) if len(index) else float("nan"))

    overlap = np.array([row["iou"] for row in detected], float)
    return {
        "detected": len(detected),
        "hottest_inside": share(detected, HOT_TOLERANCE),
        "hottest_inside_strictly": share(detected, 0.0),
        "iou_at_equal_area": over_photos(
            detected, lambda index: float(overlap[index].mean()) if len(index) else float("nan")
        ),
        "hottest_inside_by_stratum": {
            name: share([row for row in detected if row["stratum"] == name], HOT_TOLERANCE) for name in STRONG
        },
    }


def _alone(scored: Sequence[Row]) -> dict[str, Any]:
    """False alarms with one nuisance alone, and the rise over the same pairs without it."""
    stable = np.array([score(row) for row in scored if row["stratum"] == STABLE])
    if not stable.size:
        return {}
    line = threshold(stable)
    calm = {row["number"]: score(row) > line for row in scored if row["stratum"] == ALONE_PREFIX + CALM}
    told: dict[str, Any] = {"pairs_without": len(calm), "rate_without": share_of(list(calm.values())), "rise": {}}
    for name in ALONE:
        part = [r for r in scored if r["stratum"] == ALONE_PREFIX + name and r["number"] in calm]
        rise = np.array([float(score(row) > line) - float(calm[row["number"]]) for row in part])
        told["rise"][name] = over_photos(part, lambda index, rise=rise: mean_of(rise[index]))  # type: ignore[misc]
    return told


def _p_values(stable: Sequence[Row]) -> dict[str, Any]:
    """Share of stable pairs at or below each level, and the binomial 99% band around the level, where the rules let a
    p-value out; `abstained`: the others."""
    from scipy.stats import binom

    out = [row["p_value"] for row in stable if row["p_value"] is not None and row["withheld"] is None]
    told: dict[str, Any] = {"issued": len(out), "abstained": len(stable) - len(out)}
    values = np.array(out, float)
    for level in LEVELS if values.size else ():
        band = [round(float(end) / values.size, 4) for end in binom.ppf([0.005, 0.995], values.size, level)]
        share = round(float((values <= level).mean()), 4)
        told[f"p <= {level}"] = {"share": share, "band": band, "inside": band[0] <= share <= band[1]}
    return told


def _own(scored: Sequence[Row]) -> dict[str, Any]:
    """AUROC of the score on pairs of the training's own generator, over the same mix, and the gap to the other."""
    own = [
        row | {"stratum": row["stratum"].removeprefix(OWN_PREFIX)}
        for row in scored
        if row["stratum"].startswith(OWN_PREFIX)
    ]
    figures = [_method(rows, score)["mix"]["auroc"] for rows in (own, scored)]
    gap = None if None in figures else round(figures[0][0] - figures[1][0], 4)
    return {"auroc": figures[0], "gap": gap}


def _quantiles(values: Sequence[float]) -> list[float] | None:
    return [round(float(v), 4) for v in np.percentile(values, [50, 95])] if values else None


def print_table(figures: dict[str, Any]) -> None:
    """Methods in columns, strata in rows: AUROC [95%], then sensitivity at 95% specificity."""
    names = list(figures["methods"])
    print(f"{'AUROC':<20}" + "".join(f"{name:>24}" for name in names))
    for label, key in (("fixed mix", "mix"), ("weak tier", "weak")):
        print(f"{label:<20}" + "".join(f"{_text(figures['methods'][n][key]['auroc']):>24}" for n in names))
    for stratum in (*STRONG, *WEAK, EXPANSION):
        cells = (figures["methods"][n]["strata"][stratum]["auroc"] for n in names)
        print(f"  {stratum:<18}" + "".join(f"{_text(cell):>24}" for cell in cells))
    print(f"Sensitivity at {1 - FALSE_ALARMS:.0%} specificity")
    for label, key in (("fixed mix", "mix"), ("weak tier", "weak")):
        print(f"{label:<20}" + "".join(f"{_text(figures['methods'][n][key]['sensitivity']):>24}" for n in names))
    for stratum in (*STRONG, *WEAK, EXPANSION):
        cells = (figures["methods"][n]["strata"][stratum]["sensitivity"] for n in names)
        print(f"  {stratum:<18}" + "".join(f"{_text(cell):>24}" for cell in cells))
    for part in (
        "over_best_baseline",
        "sensitivity_refused_as_missed",
        "refused",
        "heat_map",
        "reason_named",
        "symmetry_named",
        "reliability",
        "false_alarms_alone",
        "p_values",
        "withheld_by_rules",
        "own_generator",
        "misalignment_median_95th",
    ):
        print(f"{part.replace('_', ' ')}: {figures[part]}")


def _text(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    if len(figure) == 1:
        return f"{figure[0]:.3f}"
    return f"{figure[0]:.3f} [{figure[1]:.3f}, {figure[2]:.3f}]"
