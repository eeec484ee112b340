"""The card of a change release, for people: what it is for, what it holds, what it was fitted on, figures, limits.

Laid out as model cards are (Mitchell et al. 2019, arXiv 1810.03993), with the front matter by which model hubs index.
All of it follows from `config.json` and `figures.json`, so that it is written anew when a figure is added.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longderm.change.calibration import SIZE_SHARE_MAX
from longderm.change.familiar import LEVELS
from longderm.models.cards import FRONT_MATTER_MARK, SKIN_TONE_HEADING, plain_figure, skin_tone_lines

#: Blocks of figures.json that have a section of their own; the others are those of the fit.
BY_SKIN_TONE, SEMI_SYNTHETIC, RELIABILITY = "by_skin_tone", "semi_synthetic", "reliability"

#: What a release's config keeps of how its network was trained, for its card.
_TOLD_OF_NETWORK = ("training", "earlier", "held_out", "photos", "simulated_photos", "parameters")


def network_of_run(trained: Mapping[str, Any]) -> dict[str, Any]:
    """The block "network" of a release's config, from the config.json of a run of `longderm train change`."""
    return {**trained["network"], **{name: trained[name] for name in _TOLD_OF_NETWORK if name in trained}}


def change_card(name: str, config: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    """The card of release `name` ("change/VERSION") as Markdown; `config` and `figures` as in its files."""
    noise = [
        f"| {measure} | {n['unit']} | {n['centre']:.3f} | {n['spread']:.3f} | {n['mdc']:.3f} | "
        f"{config['weights'].get(measure, 0.0):.2f} |"
        for measure, n in sorted(config["noise"].items())
    ]
    of_fit = {key: told for key, told in figures.items() if key not in (BY_SKIN_TONE, SEMI_SYNTHETIC, RELIABILITY)}
    lines = [
        FRONT_MATTER_MARK,
        "license: apache-2.0",
        "library_name: longderm",
        "pipeline_tag: image-classification",
        "tags: [dermoscopy, follow-up, change-detection, siamese, synthetic-changes]",
        FRONT_MATTER_MARK,
        f"# {name}",
        "",
        "**Synthetic.** Every number of this release was fitted on simulated patients and, where its command names",
        "photos, on real ones (ISIC 2018 challenge, CC0; Codella et al., arXiv 1902.03368) that were taken twice",
        "in software. It has not been calibrated on, or compared with, serial photos of a clinic: p-values hold for",
        "pairs like these and for no others. It advises a clinician and is no diagnosis.",
        "",
        "## Intended use",
        "",
        "Two dermoscopic photos of one lesion, aligned, from two visits: how much the lesion changed beyond pose,",
        "light, device, hair and tan, how sure that is, where, and of what. For clinicians and researchers who follow",
        "lesions, beside their own look at both photos; longderm's rules (`longderm.governance`) decide whether a",
        "result may be said. Not for a single photo, for clinical or total-body photos, for deciding that a lesion is",
        "benign, or for triage without a clinician.",
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
        "## Figures of the fit: other patients, simulated unless said otherwise [value, 95% interval over patients]",
        "",
        *(f"- {key}: {value}" for key, value in of_fit.items()),
        "",
        "Changed lesions are drawn more often than in a clinic; none of these figures depends on their share.",
        "",
        *_semi_synthetic_lines(figures.get(SEMI_SYNTHETIC)),
        *_reliability_lines(figures.get(RELIABILITY)),
        *_tone_lines(figures.get(BY_SKIN_TONE)),
        "## Limits",
        "",
        "No lesion that truly changed was in any fit. Photos are of light skin for the most part; figures on darker",
        "skin are simulated or of few photos. Real repeats of one lesion differ more than photos taken twice in",
        "software: more of them are flagged than `alpha` says. Growth by a tenth of the area or less is often missed.",
        "The heat map shows where the network sees a difference, not what it is. Reasons are the network's guess.",
        "",
        *_made_lines(config["source"]),
        "",
        "Licence: Apache-2.0.",
    ]
    return "\n".join(lines) + "\n"


def write_change_card(folder: Path, version: str, config: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    """Write `card.md` into a release's folder."""
    (folder / "card.md").write_text(change_card(f"change/{version}", config, figures))


def _made_lines(source: Mapping[str, Any]) -> list[str]:
    """The command that made the release; of one that only names reasons anew, whose numbers it has."""
    made = f"`{source['command']}`."
    if "base" not in source:
        return [f"Made by {made}"]
    return [
        f"Noise, weights, calibration, score and map are those of {source['base']}, bit for bit, which was made by",
        made,
    ]


def _semi_synthetic_lines(told: Mapping[str, Any] | None) -> list[str]:
    if told is None:
        return []
    return [
        "## Figures on changes made in real photos [value, 95% interval over photos]",
        "",
        f"{told['pairs']:,} pairs over photos that nothing was fitted on, taken twice in software, changed by code",
        "that no training runs (`longderm bench change`).",
        "",
        *(f"- {key.replace('_', ' ')}: {plain_figure(value)}" for key, value in told.items() if key != "pairs"),
        "",
    ]


def _reliability_lines(told: Mapping[str, Any] | None) -> list[str]:
    """Is the score a probability? The groups of the reliability diagram as a table."""
    if not told:
        return []
    return [
        "## Reliability",
        "",
        f"{told['pairs']:,} of those pairs, half of them changed: read as a chance, the score has slope",
        f"{plain_figure(told['slope'])} (1 is right) and intercept {plain_figure(told['intercept'])} (0 is right),",
        f"Brier score {told['brier']}, expected calibration error {told['calibration_error']}. Where fewer lesions",
        "change, the same score stands for less.",
        "",
        "| score told | pairs | changed |",
        "|---|---|---|",
        *(f"| {one['told']:.3f} | {one['pairs']} | {one['observed']:.3f} |" for one in told["groups"]),
        "",
    ]


def _tone_lines(told: Mapping[str, Any] | None) -> list[str]:
    if not told:
        return []
    lines = [SKIN_TONE_HEADING, ""]
    if "photos" in told:
        lines += [
            "Changes made in real photos, by the tone of the photo (typology angle of the skin around the lesion; one",
            "photo without a chart shows light times skin). One threshold for all.",
            "",
            *skin_tone_lines(told["photos"], "tone"),
            "",
        ]
    if "simulated" in told:
        lines += [
            "**Simulated** lesions, each on skin of every Fitzpatrick type: same lesion, course and camera. Half of",
            "them change within three months. Sensitivity and false alarms at `alpha`, of pairs that rules let out.",
            "",
            *skin_tone_lines(told["simulated"], "type"),
            "",
        ]
    return lines


def _network_lines(network: Mapping[str, Any] | None) -> list[str]:
    """What the card says of the network that compares both photos; nothing of a release without one."""
    if network is None:
        return []
    counts = {name: network[name] for name in ("photos", "simulated_photos") if name in network}
    runs = [*network.get("earlier", ()), network["training"] | counts]
    return [
        "## The network",
        "",
        "`appearance` is the answer of a siamese network (`network.safetensors`, trained from scratch, "
        f"{network['parameters'] / 1e6:.2f} million",
        "parameters) that compares both aligned crops: its mean log odds over four views, plus 8. Trained on pairs",
        "made of photos (split train of the ISIC 2018 challenge, CC0) and of simulated ones, each taken twice in",
        "software, half of them changed in between by painting. It has seen no lesion that truly changed.",
        "",
        *(_run_line(run) for run in runs),
        "",
        *_held_out_lines(network["held_out"]),
        "The heat map is the network's chance that a place changed.",
        "",
    ]


def _run_line(run: Mapping[str, Any]) -> str:
    """The command of one run, what it began with, and on how many photos."""
    options = ("simulated_patients", "passes", "rounds", "seed")
    told = " ".join(f"--{name.replace('_', '-')} {run[name]}" for name in options if name in run)
    start = run.get("start")
    begun = f" --start EARLIER`, EARLIER with the weights of SHA-256 {start[:8]}" if start else "`"
    only = ", the reasons alone" if not run["passes"] else ""
    photos = f": {run['photos']:,} photos, {run.get('simulated_photos', 0):,} simulated ones" if "photos" in run else ""
    return f"- `longderm train change FOLDER --out OUT {told} --threads 1{begun}{only}{photos}"


def _held_out_lines(held: Mapping[str, Any]) -> list[str]:
    """How it does on photos that were left out of its training, where there were any."""
    if held.get("held_auroc") is None or held.get("held_hottest_inside") is None:
        return []
    reasons = {key.removeprefix("held_auroc_"): told for key, told in held.items() if key.startswith("held_auroc_")}
    named = ", ".join(f"{name} {plain_figure(told)}" for name, told in reasons.items())
    return [
        f"On pairs of the same kind over photos left out: AUROC {held['held_auroc']:.3f}, weak changes too; hottest",
        f"place inside the change in {100 * held['held_hottest_inside']:.0f}%.",
        *([f"What changed, told of changed pairs (AUROC): {named}."] if named else []),
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
