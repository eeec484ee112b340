"""The verbs of `longderm prognosis`: fit a model to a clinic's table, judge models on one, predict from one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from longderm.errors import RefusedError, UsageError
from longderm.landmarking import unclear_units
from longderm.models.release_folder import require_new
from longderm.prognosis.cells import Column, read_numbers
from longderm.prognosis.errors import NoComparablePairsError, OutsideFollowUpError, TooFewEventsError
from longderm.prognosis.evaluate import HORIZONS_YEARS, evaluate_survival
from longderm.prognosis.evaluation import SurvivalEvaluation
from longderm.prognosis.patients import PATIENT, Patients
from longderm.prognosis.problems import OutcomesError, sorted_problems
from longderm.prognosis.survival_model import PER_YEAR, fit_survival
from longderm.prognosis.visits import at_visits, last_of
from longderm.prognosis_choice import ChosenModel
from longderm.prognosis_cohort import Cohort, covariates_of, listed, read_cohort, refuse_missing
from longderm.prognosis_options import FIGURE_DECIMALS, FitOptions
from longderm.prognosis_output import write_predictions
from longderm.prognosis_predictions import (
    PatientBatch,
    batches,
    covariates_at_origin,
    horizons_for,
    predict_batch,
    release_fact,
    require_origin,
    summarise,
    wanted_covariates,
)
from longderm.prognosis_release import (
    PrognosisModel,
    ReadRelease,
    Told,
    read_prognosis_release,
    require_name,
    write_prognosis_release,
)
from longderm.prognosis_sources import TableSource, all_tables


def fit_table(
    source: TableSource, endpoint: str, covariates: Sequence[str], out: Path, name: str, options: FitOptions, told: Told
) -> dict[str, Any]:
    """Fit a Cox model to a table and write it as a release; returns what it holds in short.

    Raises OutcomesError (what is to be mended), LeakageError, UsageError, SurvivalTimesError and its kin.
    """
    require_name(name)
    require_new(out)
    wanted, strata = covariates_of(source, covariates), covariates_of(source, options.strata)
    cohort = read_cohort(source, (*wanted, *strata), endpoint, options.all_events_are_real)
    refuse_missing(cohort, (*wanted, *strata), options.missing)
    names = [one.name for one in wanted]
    with listed():
        fitted = fit_survival(
            cohort.columns,
            names,
            time="days",
            event="event",
            strata=[one.name for one in strata],
            cluster=PATIENT if cohort.several_rows else None,
            penalty=options.penalty,
            missing=options.missing,
        )
    followed = min(one.last for one in fitted.fit.baseline) / PER_YEAR["days"]
    horizons = tuple(year for year in HORIZONS_YEARS if year <= followed)
    notes = [*cohort.notices, *unclear_units(wanted)]
    figures, said = _figures(cohort, names, [one.name for one in strata], options)
    figures |= {
        "patients": fitted.fit.rows,
        "events": fitted.fit.events,
        "apparent_c": round(fitted.fit.concordance.value, FIGURE_DECIMALS),
    }
    fitted = replace(fitted, notes=(*fitted.notes, *said))
    used = tuple(one for one in wanted if one.name in fitted.covariates)
    model = PrognosisModel(
        fitted,
        endpoint,
        used,
        source.origin_days or 0.0,
        horizons,
        fitted.fit.rows,
        fitted.fit.events,
        cohort.competing_events,
        figures,
    )
    digest = write_prognosis_release(out, name, model, told)
    return {
        "release": name,
        "form": model.form,
        "folder": str(out),
        "digest": digest,
        "endpoint": endpoint,
        "patients": fitted.fit.rows,
        "events": fitted.fit.events,
        "coefficients": fitted.summary(),
        "figures": figures,
        "horizons_years": list(horizons),
        "notices": notes,
        "notes": list(fitted.notes),
    }


def evaluate_table(
    source: TableSource,
    endpoint: str,
    *,
    covariates: Sequence[str] = (),
    clinical: Sequence[str] = (),
    image: Sequence[str] = (),
    model: Path | None = None,
    horizons_years: Sequence[float] = HORIZONS_YEARS,
    subgroups_by: Sequence[str] = (),
    repeats: int = 10,
    options: FitOptions | None = None,
) -> tuple[SurvivalEvaluation, tuple[str, ...]]:
    """Judge one model of `covariates`, `clinical` beside `image` and both, or a finished model (a release's folder), on
    a table; with the notices of its intake. Raises as `fit_table`, UsageError where it is not said what to judge.
    """
    options = options or FitOptions(bootstraps=200)
    if sum(map(bool, (covariates, clinical or image, model))) != 1:
        raise UsageError("evaluate: give --covariates, or --clinical and --image, or --model")
    groups, strata = covariates_of(source, subgroups_by), covariates_of(source, options.strata)
    finished = read_prognosis_release(model) if model else None
    if finished and finished.prognosis.landmark is not None:
        raise UsageError(f"{finished.name} is a landmark model, which predicts at visits; name their table by --visits")
    sets = [covariates_of(source, names) for names in (covariates, clinical, image)]
    wanted = wanted_covariates(finished.prognosis) if finished else tuple(one for each in sets for one in each)
    if finished:
        require_origin(finished.prognosis, source.origin_days)
        if finished.prognosis.endpoint != endpoint:
            raise RefusedError(f"the model is of endpoint {finished.prognosis.endpoint}, not of {endpoint}")
        source = replace(source, origin_days=finished.prognosis.origin_days)
    everything = tuple({one.name: one for one in (*wanted, *strata, *groups)}.values())
    cohort = read_cohort(source, everything, endpoint, options.all_events_are_real)
    refuse_missing(cohort, (*wanted, *strata), options.missing)
    judged, first, second = ([one.name for one in each] for each in sets)
    with listed():
        found = evaluate_survival(
            cohort.columns,
            {finished.name: finished.prognosis.model} if finished else (judged or None),
            clinical=first,
            image=second,
            time="days",
            event="event",
            strata=[one.name for one in strata],
            patient=PATIENT if cohort.several_rows else None,
            horizons_years=horizons_years,
            bootstraps=options.bootstraps,
            repeats=repeats,
            seed=options.seed,
            penalty=options.penalty,
            subgroups_by=[one.name for one in groups],
            missing=options.missing,
        )
    return found, cohort.notices


@dataclass(frozen=True)
class Prepared:
    """What predictions are made of: the chosen model as read, the patients (or visits) under the leakage guard, the
    horizons in years, the chosen folder. It holds identities.
    """

    release: ReadRelease
    chosen: ChosenModel
    patients: Patients = field(repr=False)
    horizons: tuple[float, ...]


def predict_from(
    release: ReadRelease, chosen: ChosenModel, batch: PatientBatch, horizons: Sequence[float]
) -> list[dict[str, Any]]:
    """The rows of a batch; that the model's files are still those that were read is looked at for each."""
    fact = release_fact(release, chosen.folder, chosen.approved_digest)
    return predict_batch(release, fact, batch, horizons, chosen.approved)


def predict_table(
    source: TableSource, chosen: ChosenModel, out: Path, horizons_years: Sequence[float] = (), last_visits: bool = False
) -> dict[str, Any]:
    """Predict for every patient of a table, or each of their visits, and write the rows as CSV, the decisions beside
    them; returns counts by verdict. `last_visits`: of a landmark model, for the last visit of each patient only.

    Raises SourceNotFoundError, RefusedError (a model that is not what it was), OutcomesError, LeakageError, UsageError.
    """
    ready = prepare_prediction(source, chosen, horizons_years, last_visits)
    release, horizons = ready.release, ready.horizons
    parts = batches(ready.patients, release.prognosis)
    rows = [row for part in parts for row in predict_from(release, chosen, part, horizons)]
    return finish_prediction(ready, rows, out)


def prepare_prediction(
    source: TableSource, chosen: ChosenModel, horizons_years: Sequence[float], last_visits: bool = False
) -> Prepared:
    """Read all that predictions need. Raises as `predict_table`."""
    release = read_prognosis_release(chosen.folder)
    prognosis = release.prognosis
    require_origin(prognosis, source.origin_days)
    horizons = horizons_for(prognosis, horizons_years)
    if prognosis.landmark is None:
        if source.visits is not None:
            raise UsageError(f"{release.name} predicts once, from the origin: it takes no --visits")
        if last_visits:
            raise UsageError(f"{release.name} predicts once, from the origin: it has no last visit")
        patients = source.read(wanted_covariates(prognosis), prognosis.origin_days)
        _refuse_words(release, patients)
        return Prepared(release, chosen, patients, horizons)
    measured = prognosis.landmark.measured

    def outcomes() -> Patients:
        found = source.read(wanted_covariates(prognosis))
        _refuse_words(release, found)
        return found

    patients, visits = all_tables(outcomes, lambda: source.read_visits(measured))
    seen = at_visits(patients, visits, measured, follow_up=None)
    return Prepared(release, chosen, last_of(seen) if last_visits else seen, horizons)


def finish_prediction(ready: Prepared, rows: list[dict[str, Any]], out: Path) -> dict[str, Any]:
    """Write what was predicted; returns counts by verdict."""
    decisions = write_predictions(out, rows, ready.horizons)
    told = summarise(rows, ready.release, ready.patients.notices)
    return told | {"out": str(out), "decisions": str(decisions), "horizons_years": list(ready.horizons)}


def _refuse_words(release: ReadRelease, patients: Patients) -> None:
    """Every text that stands where the model takes a number."""
    problems = []
    for one in covariates_at_origin(release.prognosis):
        column = patients.table.column(one.source)
        if one.name in release.prognosis.model.levels or not pa.types.is_string(column.type):
            continue
        cells = Column(one.source, tuple(patients.table.column("row").to_pylist()), tuple(column.to_pylist()))
        problems += read_numbers(cells)[1]
    if problems:
        raise OutcomesError(sorted_problems(problems))


def _figures(
    cohort: Cohort, names: list[str], strata: list[str], options: FitOptions
) -> tuple[dict[str, Any], list[str]]:
    """Optimism-corrected figures as [value, lower, upper], and why there are none, or not at a horizon."""
    if options.bootstraps == 0:
        return {}, ["figures are apparent, not corrected for optimism: none were asked for"]
    try:
        found = evaluate_survival(
            cohort.columns,
            names,
            time="days",
            event="event",
            strata=strata,
            patient=PATIENT if cohort.several_rows else None,
            bootstraps=options.bootstraps,
            folds=2,
            repeats=1,
            seed=options.seed,
            penalty=options.penalty,
            missing=options.missing,
        )
    except (OutsideFollowUpError, TooFewEventsError, NoComparablePairsError) as error:
        return {}, [f"figures are apparent, not corrected for optimism: {error}"]
    figures: dict[str, Any] = {}
    for name, one in found.models["model"].figures.items():
        values = [round(value, FIGURE_DECIMALS) for value in (one.value, one.lower, one.upper)]
        if np.isfinite(values).all():
            # the slope is 1 in every resample, so that its resamples give no interval
            figures[name] = values if values[1] < values[2] else values[0]
    return figures, [f"horizon {label} left out: {why}" for label, why in found.dropped.items()]
