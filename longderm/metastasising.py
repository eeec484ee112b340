"""Metastasis models from a clinic's table: fit one, judge clinical, image and combined side by side, predict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from longderm.errors import RefusedError
from longderm.landmarking import unclear_units
from longderm.metastasis_cohort import Asked, TumourCohort, read_tumours, require_diagnosis, word_problems
from longderm.metastasis_predictions import predict_rows, summarise_metastasis
from longderm.metastasis_release import FORM, ReadMetastasis, read_metastasis_release, write_metastasis_release
from longderm.models.release_folder import require_new
from longderm.prognosis.binary_figures import Interval
from longderm.prognosis.covariates import Covariate, covariate, unit_of
from longderm.prognosis.metastasis import evaluate_metastasis, fit_metastasis
from longderm.prognosis.metastasis_evaluation import MetastasisEvaluation
from longderm.prognosis.patients import PATIENT
from longderm.prognosis.problems import OutcomesError
from longderm.prognosis_choice import ChosenModel
from longderm.prognosis_cohort import listed
from longderm.prognosis_options import FIGURE_DECIMALS, FitOptions
from longderm.prognosis_output import write_predictions
from longderm.prognosis_release import Told, require_name
from longderm.prognosis_sources import TableSource


def fit_tumours(
    source: TableSource, asked: Asked, out: Path, name: str, options: FitOptions, told: Told
) -> dict[str, Any]:
    """Fit a metastasis model to a table and write it as a release; returns what it holds in short.

    Its figures are those of nested cross-validation: each patient judged by a model that had not seen them. Raises
    OutcomesError (what is to be mended), LeakageError, UsageError, SurvivalTimesError and kin.
    """
    require_name(name)
    require_new(out)
    cohort = read_tumours(source, asked, options.missing)
    with listed():
        model = fit_metastasis(cohort.columns, **_given(cohort, asked, options))
    judged = list(_evaluate(cohort, asked, options).models.values())[-1]
    figures = {key: _plain(one) for key, one in judged.figures.items() if np.isfinite(one.value)}
    digest = write_metastasis_release(out, name, model, figures, told, asked.within_years)
    return {
        "release": name,
        "form": FORM,
        "folder": str(out),
        "digest": digest,
        "endpoint": asked.endpoint,
        "within_years": asked.within_years,
        "tumours": model.tumours,
        "patients": model.patients,
        "events": model.events,
        "left_out": model.left_out,
        "image_columns": len(model.embedding),
        "clinical_columns": [term.name for term in model.terms],
        "figures": figures,
        "notices": [*cohort.notices, *unclear_units([covariate(one) for one in cohort.clinical])],
        "notes": list(model.notes),
    }


def evaluate_tumours(
    source: TableSource, asked: Asked, options: FitOptions, finished: ReadMetastasis | None = None
) -> tuple[MetastasisEvaluation, tuple[str, ...]]:
    """Judge models of the clinical columns, of the image and of both in nested cross-validation that keeps patients
    together, or a finished one as it stands; with the notices of the intake. Raises as `fit_tumours`, RefusedError for
    a finished model of another endpoint.
    """
    if finished is not None:
        _require_endpoint(finished, asked.endpoint)
        if asked.within_years is not None and asked.within_years != finished.within_years:
            raise RefusedError(f"{finished.name} is not of metastasis within {asked.within_years:g} years")
        model = finished.model
        asked = Asked(asked.endpoint, model.covariates, model.embedding, finished.within_years)
    cohort = read_tumours(source, asked, options.missing)
    return _evaluate(cohort, asked, options, finished), cohort.notices


def predict_tumours(source: TableSource, chosen: ChosenModel, out: Path, endpoint: str | None = None) -> dict[str, Any]:
    """Predict for every tumour of a table and write the rows as CSV, the decisions beside them; returns counts.

    Raises SourceNotFoundError, RefusedError (a model that is not what it was, or of another endpoint), OutcomesError,
    LeakageError, UsageError.
    """
    release = read_metastasis_release(chosen.folder)
    if endpoint is not None:
        _require_endpoint(release, endpoint)
    if not release.model.resampled.shape[0]:
        raise RefusedError(f"{release.name} was fitted without resamples, so a risk has no interval; fit it again")
    require_diagnosis(source)
    clinical = tuple(map(covariate, release.model.covariates))
    image = tuple(Covariate(one, one, unit_of(one)) for one in release.model.embedding)
    patients = source.read((*clinical, *image), averaged=release.model.embedding)
    problems = word_problems(patients, image)
    if problems:
        raise OutcomesError(problems)
    rows = predict_rows(release, chosen, patients, clinical)
    decisions = write_predictions(out, rows, (release.within_years,))
    told = summarise_metastasis(rows, release, patients.notices)
    return told | {"out": str(out), "decisions": str(decisions), "within_years": release.within_years}


def _evaluate(
    cohort: TumourCohort, asked: Asked, options: FitOptions, finished: ReadMetastasis | None = None
) -> MetastasisEvaluation:
    with listed():
        models = {finished.name: finished.model} if finished else None
        return evaluate_metastasis(cohort.columns, models, **_given(cohort, asked, options))


def _given(cohort: TumourCohort, asked: Asked, options: FitOptions) -> dict[str, Any]:
    """What a fit and an evaluation are told alike: the columns by what they are, endpoint, resamples, seed."""
    return {
        "embedding": list(cohort.image),
        "clinical": list(cohort.clinical),
        "endpoint": asked.endpoint,
        "patient": PATIENT,
        "lesion": None,
        "bootstraps": options.bootstraps,
        "seed": options.seed,
        "missing": options.missing,
    }


def _require_endpoint(release: ReadMetastasis, endpoint: str) -> None:
    if release.model.endpoint != endpoint:
        raise RefusedError(f"{release.name} is of {release.model.endpoint} metastasis, not of {endpoint}")


def _plain(one: Interval) -> Any:
    values = [round(value, FIGURE_DECIMALS) for value in (one.value, one.lower, one.upper)]
    return values if np.isfinite(values).all() else values[0]
