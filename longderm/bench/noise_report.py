"""What `longderm bench noise` reports on held-out simulated patients, and the card of the release it writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from longderm.bench.rows import Row
from longderm.bench.statistics import BOOTSTRAP_SAMPLES, BOOTSTRAP_SEED, auroc
from longderm.change.calibration import SIZE_SHARE_MAX
from longderm.change.familiar import LEVELS

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


def write_card(path: Path, version: str, command: str, config: dict[str, Any], figures: dict[str, Any]) -> None:
    """Write the release's card."""
    noise = [
        f"| {name} | {n['unit']} | {n['centre']:.3f} | {n['spread']:.3f} | {n['mdc']:.3f} | "
        f"{config['weights'].get(name, 0.0):.2f} |"
        for name, n in sorted(config["noise"].items())
    ]
    lines = [
        f"# change/{version}",
        "",
        "**Synthetic.** Every number of this release was fitted on simulated patients and, where its command names",
        "photos, on real ones (ISIC 2018 challenge, CC0; Codella et al., arXiv 1902.03368) that were taken twice",
        "in software. It has not been calibrated on, or compared with, serial photos of a clinic: p-values hold for",
        "pairs like these and for no others. It advises a clinician and is no diagnosis.",
        "",
        "## What it holds",
        "",
        "`config.json`: the noise of each measured difference over stable pairs (all nuisances on: pose, light,",
        "device, hair, gel, blur, tanning), the 95% minimal detectable change (MDC), its weights, and scores of",
        f"{len(config['calibration_scores'])} stable pairs (one per patient or photo; simulated ones beside photos",
        f"only where that makes p-values larger) for the conformal p-value, and `alpha` = {config['alpha']}.",
        "",
        "Score = logistic(bias + sum of weight x evidence), evidence = d^2 / (d^2 + 9), d = difference in standard",
        "deviations of the noise; a network's log odds are evidence as they stand. No weight is negative; size",
        f"carries at most {100 * SIZE_SHARE_MAX:.0f}% of all.",
        "",
        "| difference | unit | centre | SD | MDC | weight |",
        "|---|---|---|---|---|---|",
        *noise,
        "",
        *_network_lines(config.get("network")),
        *_evolution_lines(config.get("evolution")),
        *_range_lines(config.get("in_distribution")),
        "## Figures on other patients, simulated unless said otherwise [value, 95% interval over patients]",
        "",
        *(f"- {name}: {value}" for name, value in figures.items()),
        "",
        "Changed lesions are drawn more often than in a clinic; none of these figures depends on their share.",
        "",
        f"Made by `{command}`.",
        "",
        "Licence: Apache-2.0.",
    ]
    path.write_text("\n".join(lines) + "\n")


def _network_lines(network: dict[str, Any] | None) -> list[str]:
    """What the card says of the network that compares both photos; nothing of a release without one."""
    if network is None:
        return []
    trained, held = network["training"], network["held_out"]
    inside = f"{100 * held['held_hottest_inside']:.0f}%"
    told = f"--passes {trained['passes']} --seed {trained['seed']} --threads 1"
    start = trained.get("start")
    begun = f" --start EARLIER`, EARLIER with the weights of SHA-256 {start[:8]};" if start else "`;"
    return [
        "## The network",
        "",
        "`appearance` is the answer of a siamese network (`network.safetensors`, trained from scratch, "
        f"{network['parameters'] / 1e6:.2f} million",
        "parameters) that compares both aligned crops: its mean log odds over four views, plus 8. Trained on",
        f"pairs made of {network['photos']} photos (split train of the ISIC 2018 challenge, CC0) and "
        f"{network.get('simulated_photos', 0)} simulated ones, each taken twice in",
        "software, half of them changed in between by painting. It has seen no lesion that truly changed.",
        f"`longderm train change FOLDER --out OUT {told}{begun}",
        f"on pairs of the same kind over photos left out: AUROC {held['held_auroc']:.3f}, weak changes too; hottest",
        f"place inside the change in {inside}. The heat map is its chance that a place changed.",
        "",
    ]


def _evolution_lines(head: dict[str, Any] | None) -> list[str]:
    """What the card says of the score of melanoma-like evolution; nothing of a release without one."""
    if head is None:
        return []
    source = head["source"]
    weights = sorted(head["weights"].items(), key=lambda known: (-abs(known[1]), known[0]))
    return [
        "## Melanoma-like evolution",
        "",
        "`evolution`: a logistic on the differences in units of their MDC, fitted on three visits each of "
        f"{source['lesions']}",
        f"**simulated** lesions (seed {source['seed']}; distributions frozen, SHA-256 {source['distributions'][:8]}), "
        "half of them melanomas.",
        "It is no probability for a patient, has seen no melanoma, and says of a pair only how it would rank among",
        "simulated ones. Largest weights: " + ", ".join(f"{name} {value:.2f}" for name, value in weights[:6]) + ".",
        "",
    ]


def _range_lines(within: dict[str, Any] | None) -> list[str]:
    """What photos the release was calibrated on, as the card says it."""
    if within is None:
        return ["It states no range of photos that it was calibrated on: results carry a caveat that says so.", ""]
    days = within["interval_days"]
    return [
        "## What it was calibrated on",
        "",
        "`in_distribution`: a photo lies as far out as its farthest level, in robust SDs of the photos of the fit.",
        f"Of {within['pairs']} calibration pairs 99% lie within {within['unusual']:.1f} (beyond it a result carries a",
        f"caveat) and all within {within['far']:.1f} (beyond it a result is withheld)."
        + (f" Dated pairs were {days[0]} to {days[1]} days apart." if days else ""),
        "",
        "| level | median [Lab] | SD |",
        "|---|---|---|",
        *(f"| {LEVELS[name]} | {v['median']:.1f} | {v['spread']:.1f} |" for name, v in within["levels"].items()),
        "",
    ]
