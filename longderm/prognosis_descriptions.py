"""Results of `longderm prognosis` as text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from longderm.prognosis import SurvivalEvaluation
    from longderm.prognosis.landmark_evaluation import LandmarkEvaluation


def as_notes(notices: Sequence[str]) -> list[str]:
    """A line for each notice."""
    return [f"Note: {notice}" for notice in notices]


def counted(summary: dict[str, Any]) -> str:
    """Of how many patients, and visits, predictions are."""
    people = f"{summary['patients']} patients"
    return people if summary["predictions"] == summary["patients"] else f"{summary['predictions']} visits of {people}"


def describe_fit(summary: dict[str, Any]) -> str:
    """What was fitted: coefficients and figures, with what a reader must know."""
    lines = as_notes([*summary["notices"], *summary["notes"]])
    visits = f"{summary['visits']} visits, " if "visits" in summary else ""
    lines.append(f"{summary['endpoint']}: {summary['patients']} patients, {visits}{summary['events']} events")
    for row in summary["coefficients"]:
        lines.append(
            f"{row['name']:<28} {row['coefficient']:>9.4f} (SE {row['standard_error']:.4f})  hazard ratio "
            f"{row['hazard_ratio']:.2f} ({row['hazard_ratio_lower']:.2f} to {row['hazard_ratio_upper']:.2f})"
        )
    for name, value in sorted(summary["figures"].items()):
        if isinstance(value, list):
            lines.append(f"{name:<28} {value[0]:>9.3f} ({value[1]:.3f} to {value[2]:.3f})")
        elif isinstance(value, float):
            lines.append(f"{name:<28} {value:>9.3f}")
    return "\n".join([*lines, f"Model: {summary['folder']} ({summary['release']})"])


def describe_landmarks(found: LandmarkEvaluation) -> list[str]:
    """The figures of all visits, then those of each landmark."""
    lines = [f"{found.patients} patients, {found.events} events, {found.left_out} visits left out for missing values"]
    lines += as_notes(found.notes)
    for one in found.landmarks:
        where = (
            "all visits" if one.years is None else f"visits {one.years:g} to {one.years + 1:g} years after the origin"
        )
        lines += ["", f"{where}: {one.patients} patients, {one.visits} visits, {one.events} events"]
        if one.insufficient:
            lines.append("  insufficient")
        lines += [f"  {name:<24} {_interval(figure)}" for name, figure in sorted(one.figures.items())]
    return lines


def describe_evaluation(found: SurvivalEvaluation) -> list[str]:
    """The figures of each model, its subgroups, and the gains."""
    lines = [f"{found.patients} patients, {found.events} events, {found.left_out} left out for missing values"]
    lines += [f"Note: horizon {label} left out: {why}" for label, why in found.dropped.items()]
    for name, model in found.models.items():
        lines += ["", f"{name}: {', '.join(model.columns)}", *as_notes(model.notes)]
        lines += [f"  {key:<20} {_interval(one)}" for key, one in model.figures.items()]
        for group in model.subgroups:
            lines.append(f"  {_subgroup(group)}")
    for gain in found.gains:
        lines += ["", f"gain of {gain.model} over {gain.over}"]
        lines += [
            f"  {key:<20} {_interval(one)}"
            for key, one in (gain.population or gain.figures).items()
            if key != "calibration_slope"
        ]
        if gain.added is not None:
            lines.append(
                f"  likelihood ratio {gain.added.statistic:.2f} on {gain.added.df} df, p = {gain.added.p_value:.2g}"
            )
    return lines


def _interval(one: Any) -> str:
    if one.value != one.value:
        return "not known: follow-up or events do not reach it"
    none = one.lower != one.lower or round(one.upper - one.lower, 9) == 0
    return f"{one.value:8.3f}" + ("" if none else f" ({one.lower:.3f} to {one.upper:.3f})")


def _subgroup(group: Any) -> str:
    head = f"{group.column} {group.value}: {group.patients} patients, {group.events} events"
    if group.insufficient or group.harrell_c is None:
        return f"{head}, insufficient"
    return f"{head}, C {group.harrell_c:.3f} ({group.harrell_c_lower:.3f} to {group.harrell_c_upper:.3f})"


def describe_predictions(summary: Mapping[str, Any], counted: str) -> str:
    """What was predicted for whom, by which model, and where it lies. `counted`: how many of what, in words."""
    verdicts = ", ".join(f"{count} {verdict.replace('_', ' ')}" for verdict, count in summary["verdicts"].items())
    rules = ", ".join(f"{rule} {count}" for rule, count in summary["rules"].items() if rule != "issued")
    lines = [
        *as_notes(summary["notices"]),
        f"{counted}: {verdicts}" + (f" ({rules})" if rules else ""),
        f"Model: {summary['release']}",
        f"Decisions: {summary['decisions']}",
        f"Predictions: {summary['out']}",
    ]
    return "\n".join(lines)
