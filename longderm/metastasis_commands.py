"""`longderm prognosis ... --metastasis`: what its verbs do and print for a model of metastasis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longderm.command_options import print_summary
from longderm.errors import UsageError
from longderm.prognosis_descriptions import as_notes, describe_predictions

if TYPE_CHECKING:
    from longderm.metastasis_cohort import Asked
    from longderm.prognosis.metastasis_evaluation import MetastasisEvaluation
    from longderm.prognosis.metastasis_status import Endpoint
    from longderm.prognosis_choice import ChosenModel
    from longderm.prognosis_options import FitOptions
    from longderm.prognosis_release import Told
    from longderm.prognosis_sources import TableSource

#: Figures of which a difference is a gain or a loss; those of calibration have their best value in between.
GAINED = ("auroc", "brier", "sensitivity")
#: Endpoint, clinical and image columns, and years, as a person gave them.
Given = tuple["Endpoint", Sequence[str], Sequence[str], float | None]


def fit_metastasis_of(
    source: TableSource,
    given: Given,
    out: Path,
    name: str,
    options: FitOptions,
    told: Told,
    strange: Mapping[str, Any],
    json_: bool,
) -> None:
    """Fit, write the release and print what it holds. `strange`: see `_require_none`."""
    from longderm.metastasising import fit_tumours

    _require_none(strange)
    summary = fit_tumours(source, _asked(given), out, name, options, told)
    print_summary(summary, json_, "\n".join(_describe_fit(summary)))


def evaluate_metastasis_of(
    source: TableSource,
    given: Given,
    model: Path | None,
    options: FitOptions,
    strange: Mapping[str, Any],
    json_: bool,
) -> None:
    """Judge models of the columns given, or a finished one, and print the figures and gains."""
    from longderm.metastasis_release import read_metastasis_release
    from longderm.metastasising import evaluate_tumours

    _require_none(strange)
    if (model is not None) == bool(given[1] or given[2]):
        raise UsageError("evaluate --metastasis: give --clinical, --image or both, or --model")
    finished = read_metastasis_release(model) if model else None
    found, notices = evaluate_tumours(source, _asked(given), options, finished)
    lines = [*as_notes(notices), *describe_metastasis(found)]
    print_summary(found.to_dict() | {"notices": list(notices)}, json_, "\n".join(lines))


def is_metastasis(folder: Path) -> bool:
    """Whether a folder holds a release of a metastasis model. Raises as `read_release_files`."""
    from longderm.metastasis_release import FORM
    from longderm.prognosis_release import read_release_files

    return read_release_files(folder)[1].get("form") == FORM


def predict_metastasis_of(
    source: TableSource,
    chosen: ChosenModel,
    out: Path,
    endpoint: str | None,
    strange: Mapping[str, Any],
    json_: bool,
) -> None:
    """Predict for the tumours of a table, and print how many were issued or withheld, by which rules."""
    from longderm.metastasising import predict_tumours

    _require_none(strange)
    summary = predict_tumours(source, chosen, out, endpoint)
    print_summary(summary, json_, describe_predictions(summary, f"{summary['tumours']} tumours"))


def describe_metastasis(found: MetastasisEvaluation) -> list[str]:
    """The figures of the models side by side, then the gains of the last over the others."""
    left_out = f", {found.left_out} left out for missing values" if found.left_out else ""
    lines = [
        f"metastasis ({found.endpoint}): {found.tumours} tumours of {found.patients} patients, {found.events} with it"
        + left_out
    ]
    for name, model in found.models.items():
        lines += as_notes([f"{name}, {model.columns} columns: {note}" for note in model.notes])
    columns = {name: model.figures for name, model in found.models.items()}
    columns |= {f"gain over {gain.over}": gain.figures for gain in found.gains}
    names = list(next(iter(columns.values())))
    for title, part in (("", list(found.models)), ("gain of " + list(found.models)[-1], list(columns))):
        shown = part if not title else [one for one in part if one not in found.models]
        if not shown:
            continue
        lines += ["", f"{title:<24}" + "".join(f" {one.removeprefix('gain '):<26}" for one in shown).rstrip()]
        lines += [f"{key:<24}" + "".join(f" {_interval(columns[one][key]):<26}" for one in shown).rstrip()
                  for key in names if not title or key in GAINED]  # fmt: skip
    return lines


def _asked(given: Given) -> Asked:
    from longderm.metastasis_cohort import Asked

    endpoint, clinical, image, within = given
    return Asked(endpoint, tuple(clinical), tuple(image), within)


def _require_none(strange: Mapping[str, Any]) -> None:
    """Raise UsageError for options given that have no meaning for a metastasis model (name -> value)."""
    given = [name for name, value in strange.items() if value]
    if given:
        raise UsageError(f"a metastasis model has no {', '.join(given)}")


def _describe_fit(summary: Mapping[str, Any]) -> list[str]:
    within = "" if summary["within_years"] is None else f" within {summary['within_years']:g} years"
    lines = as_notes([*summary["notices"], *summary["notes"]])
    left_out = f", {summary['left_out']} left out for missing values" if summary["left_out"] else ""
    lines += [
        f"metastasis ({summary['endpoint']}){within}: {summary['tumours']} tumours of {summary['patients']} patients, "
        f"{summary['events']} with it{left_out}",
        f"{summary['image_columns']} image columns; clinical: {', '.join(summary['clinical_columns']) or 'none'}",
        "On patients that the model had not seen:",
    ]
    for name, value in sorted(summary["figures"].items()):
        interval = f" ({value[1]:.3f} to {value[2]:.3f})" if isinstance(value, list) else ""
        lines.append(f"  {name:<26} {value[0] if interval else value:>8.3f}{interval}")
    return [*lines, f"Model: {summary['folder']} ({summary['release']})"]


def _interval(one: Any) -> str:
    if one.value != one.value:
        return "not known"
    return f"{one.value:.3f}" + ("" if one.lower != one.lower else f" ({one.lower:.3f} to {one.upper:.3f})")
