"""A fitted metastasis model as a release of kind prognosis, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longderm.errors import RefusedError
from longderm.models.releases import digest_of
from longderm.prognosis.metastasis_model import MetastasisModel
from longderm.prognosis_release import KIND, Told, read_config, read_release_files, write_release

FORM = "metastasis"


@dataclass(frozen=True)
class ReadMetastasis:
    """A metastasis release that was read: its name by its card, the digest of its files, the model and its figures."""

    name: str
    digest: str
    model: MetastasisModel
    figures: Mapping[str, Any]
    within_years: float | None = None


def write_metastasis_release(
    folder: Path,
    name: str,
    model: MetastasisModel,
    figures: Mapping[str, Any],
    told: Told,
    within_years: float | None = None,
) -> str:
    """Write a release into a new or empty folder; returns its digest.

    `figures`: of patients that the model had not seen, as `evaluate_metastasis` gives them: name -> a number, or
    [value, lower, upper]. `within_years`: after the diagnosis, by when a metastasis counts (None: as the table that it
    was fitted to has it). Raises UsageError for a folder that is not empty or a name of another kind, AccessError.
    """
    config = {
        "kind": KIND,
        "form": FORM,
        "endpoint": model.endpoint,
        "within_years": within_years,
        "covariates": list(model.covariates),
        "horizons_years": [],
        "patients": model.patients,
        "events": model.events,
        "model": model.to_dict(),
    }
    behind = {"patients": model.patients, "tumours": model.tumours, "events": model.events}
    return write_release(
        folder, name, config, dict(figures) | behind, metastasis_card(name, model, figures, told, within_years)
    )


def read_metastasis_release(folder: Path) -> ReadMetastasis:
    """Read a release and check every file against its hashes.

    Raises SourceNotFoundError, RefusedError (files that are not what they were, or a release of another form).
    """
    name, config, figures = read_release_files(folder)
    if config.get("form") != FORM:
        raise RefusedError(f"model {name}: it tells of survival, not of metastasis")
    model = read_config(name, lambda: MetastasisModel.from_dict(config["model"]))
    within = config.get("within_years")
    return ReadMetastasis(
        name, digest_of(folder), model, figures, None if within is None else read_config(name, lambda: float(within))
    )


def metastasis_card(
    name: str, model: MetastasisModel, figures: Mapping[str, Any], told: Told, within_years: float | None = None
) -> str:
    """card.md: what the model is for, what it rests on, and where it ends."""
    rows = [
        f"| {column.replace('|', '/')} | {beta:.4g} | {low:.4g} to {high:.4g} |"
        for column, beta, (low, high) in zip(
            model.columns[len(model.embedding) :],
            model.coefficients[len(model.embedding) :],
            model.ranges[len(model.embedding) :],
            strict=True,
        )
    ]
    within = "" if within_years is None else f", within {within_years:g} years of the diagnosis"
    return "\n".join(
        [
            f"# {name}",
            "",
            f"Elastic-net logistic model of metastasis ({model.endpoint}{within}), from {len(model.embedding)} values "
            f"of an image and {len(model.terms)} clinical columns, fitted to {model.tumours} tumours of "
            f"{model.patients} patients, {model.events} of them with metastasis. It advises a clinician and is no "
            "diagnosis.",
            "",
            "## Data",
            "",
            f"Data: {_line(told.data)}. {model.left_out} photos or tumours were left out for missing values.",
            "",
            f"Licence: {_line(told.licence)}.",
            "",
            "## Clinical columns",
            "",
            "| column | coefficient per SD | range in training |",
            "|---|---|---|",
            *rows,
            "",
            "## Figures",
            "",
            *(f"- {key}: {value}" for key, value in sorted(figures.items())),
            "",
            "## Limits",
            "",
            "- Not validated elsewhere: judge it on your own patients first (`longderm prognosis evaluate "
            f"--metastasis {model.endpoint} --model`).",
            "- The embedding must be of the encoder that it was fitted to; photos of a tumour are averaged.",
            f"- Its interval holds the uncertainty of the coefficients ({model.resampled.shape[0]} resamples of "
            "patients), not that of picking the penalty.",
            *(f"- {_line(note)}" for note in model.notes),
            "",
        ]
    )


def _line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
