"""A fitted model as a release: a folder with config.json, card.md, figures.json and hashes.json, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from longderm.errors import LongdermError, RefusedError, SourceNotFoundError, UsageError
from longderm.models.kinds import card_title
from longderm.models.release_folder import new_release
from longderm.models.releases import digest_of, problems_of, split_name
from longderm.prognosis.covariates import Covariate
from longderm.prognosis.errors import ModelFormatError
from longderm.prognosis.model_json import model_from_json, model_to_json
from longderm.prognosis.survival_model import PER_YEAR, SurvivalModel

KIND = "prognosis"

T = TypeVar("T")


#: What a release of this kind may hold.
Form = Literal["survival", "landmark", "metastasis"]


@dataclass(frozen=True)
class Landmark:
    """What a landmark model has beyond a survival model: the covariates measured at visits, how old the oldest value of
    each was in training (days), how far it looks ahead, and the visits that it was fitted to.
    """

    measured: tuple[Covariate, ...]
    oldest_days: tuple[float, ...]
    look_ahead_years: float
    visits: int


@dataclass(frozen=True)
class PrognosisModel:
    """What a release of kind prognosis holds.

    `model`: of `covariates`, for `endpoint`, counted from `origin_days` after the diagnosis; `horizons_years`: those
    that its follow-up covers, at which it was judged; `patients`, `events` (patients who had it), `competing_events`
    behind it; `figures` by name: a number, or [value, lower, upper]; `landmark`: None for one that predicts once.
    """

    model: SurvivalModel
    endpoint: str
    covariates: tuple[Covariate, ...]
    origin_days: float
    horizons_years: tuple[float, ...]
    patients: int
    events: int
    competing_events: int
    figures: Mapping[str, Any]
    landmark: Landmark | None = None

    @property
    def form(self) -> Form:
        """Whether it predicts once, from the origin, or at each visit."""
        return "survival" if self.landmark is None else "landmark"

    def followed_years(self, stratum: int) -> float:
        """The end of the follow-up of a stratum of the training, by its place in `model.strata`."""
        return self.model.fit.baseline[stratum].last / PER_YEAR[self.model.outcome.time_unit]


@dataclass(frozen=True)
class Told:
    """What the card says beside what is known of the model: its data and its licence, in words."""

    data: str = "not stated"
    licence: str = "not stated; ask who fitted the model before passing it on"


@dataclass(frozen=True)
class ReadRelease:
    """A release that was read: its name by its card, the digest of its files, and what it holds."""

    name: str
    digest: str
    prognosis: PrognosisModel


def write_prognosis_release(folder: Path, name: str, prognosis: PrognosisModel, told: Told) -> str:
    """Write a release into a new or empty folder, whole or not at all; returns its digest.

    Raises UsageError for a folder that is not empty or a name of another kind, AccessError.
    """
    return write_release(folder, name, to_config(prognosis), prognosis.figures, card(name, prognosis, told))


def write_release(
    folder: Path, name: str, config: Mapping[str, Any], figures: Mapping[str, Any], card_text: str
) -> str:
    """Write the files of a release of this kind into a new or empty folder, whole or not at all; returns its digest.

    Raises UsageError for a folder that is not empty or a name of another kind, AccessError.
    """
    require_name(name)
    with new_release(folder) as part:
        _write_json(part / "config.json", config)
        _write_json(part / "figures.json", figures)
        (part / "card.md").write_text(card_text, encoding="utf-8")
    return digest_of(folder)


def read_prognosis_release(folder: Path) -> ReadRelease:
    """Read a release and check every file against its hashes.

    Raises SourceNotFoundError, RefusedError (files that are not what they were, or no release of this kind).
    """
    name, config, figures = read_release_files(folder)
    return ReadRelease(name, digest_of(folder), read_config(name, lambda: from_config(config, figures)))


def read_release_files(folder: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Name, config and figures of a release of this kind, of whatever form, after checking every file against its
    hashes. Raises SourceNotFoundError, RefusedError.
    """
    if not folder.is_dir():
        raise SourceNotFoundError(f"{folder} is no folder; name the folder of a model that `prognosis fit` wrote")
    problems = problems_of(folder)
    if problems:
        raise RefusedError(f"model {folder.name}: {problems[0]}; restore the release, or fit it again")
    name = card_title(folder)
    if name is None or split_name(name)[0] != KIND:
        raise RefusedError(f"model {folder.name}: card.md must begin with '# {KIND}/VERSION'; it is no such release")

    def read() -> tuple[dict[str, Any], dict[str, Any]]:
        config, figures = (
            json.loads((folder / file).read_text(encoding="utf-8")) for file in ("config.json", "figures.json")
        )
        return dict(config), dict(figures)

    return (name, *read_config(name, read))


def read_config(name: str, read: Callable[[], T]) -> T:
    """What `read` makes of a release's config. Raises RefusedError where that is damaged."""
    try:
        return read()
    except ModelFormatError as error:
        raise RefusedError(f"model {name}: {error}") from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise RefusedError(f"model {name}: its config cannot be read ({type(error).__name__}); fit it again") from None


def require_name(name: str) -> None:
    """Raise UsageError for a name that is not `prognosis/VERSION`."""
    if split_name(name)[0] != KIND:
        raise UsageError(f"{name}: a model of this kind is called {KIND}/VERSION")


def to_config(prognosis: PrognosisModel) -> dict[str, Any]:
    """config.json: the model whole, and around it what a reader asks first."""
    model = prognosis.model
    rows = {row["name"]: row for row in model.summary()}
    return {
        "kind": KIND,
        "form": prognosis.form,
        "landmark": None if prognosis.landmark is None else _landmark_to_config(prognosis.landmark),
        "endpoint": prognosis.endpoint,
        "origin_days": prognosis.origin_days,
        "horizons_years": list(prognosis.horizons_years),
        "patients": prognosis.patients,
        "events": prognosis.events,
        "competing_events": prognosis.competing_events,
        "covariates": [
            {
                "name": one.name,
                "source": one.source,
                "unit": one.unit,
                "log2": one.log2,
                "terms": [
                    {
                        "name": term.name,
                        "level": term.level,
                        "training_range": list(model.ranges[j]),
                        "hazard_ratio": _three(rows[term.name]),
                    }
                    for j, term in enumerate(model.terms)
                    if term.column == one.name
                ],
            }
            for one in prognosis.covariates
        ],
        "standardisation": "coefficients are per unit of their column; columns are taken from model.center, where the "
        "baseline hazard stands",
        "model": model_to_json(model),
    }


def from_config(config: Mapping[str, Any], figures: Mapping[str, Any]) -> PrognosisModel:
    """The model of a config.json. Raises ModelFormatError, KeyError, TypeError, ValueError for one that is damaged."""
    if config.get("form") == "metastasis":
        raise ModelFormatError("it tells of metastasis, not of survival: predict with longderm.prognosis")
    covariates = tuple(map(_covariate, config["covariates"]))
    model = model_from_json(config["model"])
    if {one.name for one in covariates} < set(model.covariates):
        raise ModelFormatError("config.json does not tell of all covariates of its model")
    return PrognosisModel(
        model,
        str(config["endpoint"]),
        covariates,
        float(config["origin_days"]),
        tuple(float(year) for year in config["horizons_years"]),
        int(config["patients"]),
        int(config["events"]),
        int(config["competing_events"]),
        figures,
        _landmark_from_config(config),
    )


def card(name: str, prognosis: PrognosisModel, told: Told) -> str:
    """card.md: what the model is for, what it rests on, and where it ends."""
    model, fit, landmark = prognosis.model, prognosis.model.fit, prognosis.landmark
    per = prognosis.events / len(model.terms)
    table = [
        f"| {_cell(row['name'])} | {row['coefficient']:.4g} | {row['standard_error']:.3g} | {row['hazard_ratio']:.3g} "
        f"({row['hazard_ratio_lower']:.3g} to {row['hazard_ratio_upper']:.3g}) | {low:.4g} to {high:.4g} |"
        for row, (low, high) in zip(model.summary(), model.ranges, strict=True)
    ]
    origin = "the diagnosis" if prognosis.origin_days == 0 else f"day {prognosis.origin_days:g} after the diagnosis"
    what, visits = "Cox model", ""
    if landmark:
        what, visits = "Landmark model (Cox, all visits together)", f"{landmark.visits} visits of "
        origin = "each follow-up visit on and made from what was known by then"
    limits = [
        "Not validated elsewhere: figures below are of the patients that it was fitted to, "
        + ("each judged by a model that had not seen them" if landmark else "corrected for optimism")
        + " (all but apparent_c). Judge it on your own patients first (`longderm prognosis evaluate`, --model).",
        f"Outside the ranges of the table, past {min(b.last for b in fit.baseline):g} days "
        f"{'after the visit' if landmark else 'of follow-up'}, and for "
        "patients unlike those, it says nothing, and predictions are withheld.",
        f"{prognosis.events} patients with the event for {len(model.terms)} coefficients ({per:.1f} each; 10 are the "
        "least).",
        "config.json holds no identifier, but the days of the single events: share it as you would share them.",
    ]
    if landmark:
        pairs = zip(landmark.measured, landmark.oldest_days, strict=True)
        oldest = ", ".join(f"{_cell(one.source)} {days:g} days" for one, days in pairs)
        limits.append(
            "A value that was not measured at a visit is the last one before it; where that is older than any in "
            f"training ({oldest}) nothing is predicted."
        )
    if prognosis.competing_events:
        limits.append(
            f"{prognosis.competing_events} patients died of another cause first and count as censored: risks are those "
            "of a patient who could not, and too high for the old and the sick."
        )
    strata = (
        f"\nStrata, each with a baseline of its own: {', '.join(map(_cell, model.strata))}\n"
        if model.strata != ("",)
        else ""
    )
    return "\n".join(
        [
            f"# {name}",
            "",
            f"{what} of the risk of the event of endpoint {prognosis.endpoint}, counted from {origin}, fitted to "
            f"{visits}{prognosis.patients} patients of whom {prognosis.events} had it. It advises a clinician and is "
            "no diagnosis.",
            "",
            "## Intended use",
            "",
            f"Risk at {_years(prognosis.horizons_years)} of patients like those it was fitted to, for a clinician who "
            "knows the patient. Not for deciding on treatment by itself.",
            "",
            "## Data",
            "",
            f"Data: {_line(told.data)}. {model.left_out} {'visits' if landmark else 'rows'} were left out for missing "
            "values.",
            "",
            f"Licence: {_line(told.licence)}.",
            "",
            "## Coefficients",
            "",
            "| column | coefficient | SE | hazard ratio (95%) | range in training |",
            "|---|---|---|---|---|",
            *table,
            strata,
            "Units: " + "; ".join(f"{_cell(c.source)} {c.unit or 'not stated'}" for c in prognosis.covariates) + ".",
            "",
            "## Figures",
            "",
            *_figure_lines(prognosis.figures),
            "",
            "## Limits",
            "",
            *(f"- {limit}" for limit in limits),
            *(f"- {_line(note)}" for note in model.notes),
            "",
        ]
    )


def _covariate(one: Mapping[str, Any]) -> Covariate:
    return Covariate(str(one["name"]), str(one["source"]), str(one["unit"]), bool(one["log2"]))


def _landmark_to_config(landmark: Landmark) -> dict[str, Any]:
    return {
        "measured": [
            {"name": one.name, "source": one.source, "unit": one.unit, "log2": one.log2, "oldest_days": oldest}
            for one, oldest in zip(landmark.measured, landmark.oldest_days, strict=True)
        ],
        "look_ahead_years": landmark.look_ahead_years,
        "visits": landmark.visits,
    }


def _landmark_from_config(config: Mapping[str, Any]) -> Landmark | None:
    """None where a config says that it is no landmark model, or is older than these."""
    found = config.get("landmark")
    if config.get("form", "survival") not in ("survival", "landmark") or (found is None) != (
        config.get("form", "survival") == "survival"
    ):
        raise ModelFormatError("config.json is of a form that this longderm does not know")
    if found is None:
        return None
    return Landmark(
        tuple(map(_covariate, found["measured"])),
        tuple(float(one["oldest_days"]) for one in found["measured"]),
        float(found["look_ahead_years"]),
        int(found["visits"]),
    )


def _three(row: Mapping[str, float | str]) -> list[float | None]:
    values = [float(row[key]) for key in ("hazard_ratio", "hazard_ratio_lower", "hazard_ratio_upper")]
    return [value if value - value == 0.0 else None for value in values]


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    try:
        path.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    except ValueError as error:
        raise LongdermError(f"{path.name} cannot be written ({error})") from None


def _cell(text: object) -> str:
    return str(text).replace("|", "/")


def _line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def _years(horizons: Sequence[float]) -> str:
    return ", ".join(f"{year:g}" for year in horizons) + " years"


def _figure_lines(figures: Mapping[str, Any]) -> list[str]:
    """A line for each figure; those of the landmarks under a line of theirs."""
    lines = [f"- {key}: {_figure(value)}" for key, value in sorted(figures.items()) if not isinstance(value, dict)]
    for key, value in sorted(figures.items()):
        if isinstance(value, dict):
            lines.append(f"- {key}")
            for label, found in sorted(value.items()):
                told = ", ".join(f"{name} {_figure(one)}" for name, one in sorted(found.items()))
                lines.append(f"  - {label}: {told}")
    return lines


def _figure(value: Any) -> str:
    if isinstance(value, list):
        return f"{value[0]} [{value[1]}, {value[2]}]"
    return str(value)
