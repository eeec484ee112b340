"""Landmark models from a clinic's tables: fit one to patients and their visits, judge one landmark by landmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from longderm.errors import RefusedError, UsageError
from longderm.models.release_folder import require_new
from longderm.prognosis.covariates import Covariate
from longderm.prognosis.errors import NoComparablePairsError, OutsideFollowUpError, TooFewEventsError
from longderm.prognosis.landmark import (
    LOOK_AHEAD_YEARS,
    RISK_YEARS,
    YEARS_SINCE_ORIGIN,
    LandmarkRows,
    age_column,
    fit_landmark,
)
from longderm.prognosis.landmark_evaluation import Estimate, LandmarkEvaluation, evaluate_landmark
from longderm.prognosis.model_matrix import complete_rows
from longderm.prognosis.survival_model import FEW_EVENTS_PER_COLUMN, PER_YEAR
from longderm.prognosis_cohort import covariates_of, listed, read_landmarks
from longderm.prognosis_options import FIGURE_DECIMALS, FitOptions
from longderm.prognosis_predictions import covariates_at_origin
from longderm.prognosis_release import (
    Landmark,
    PrognosisModel,
    ReadRelease,
    Told,
    require_name,
    write_prognosis_release,
)
from longderm.prognosis_sources import TableSource

#: The covariate that every landmark model has.
_SINCE = Covariate(YEARS_SINCE_ORIGIN, YEARS_SINCE_ORIGIN, "years")


def fit_visits(
    source: TableSource,
    endpoint: str,
    covariates: Sequence[str],
    measured: Sequence[str],
    out: Path,
    name: str,
    options: FitOptions,
    told: Told,
) -> dict[str, Any]:
    """Fit a landmark model of `covariates` known at the origin and `measured` at visits, and write it as a release;
    returns what it holds in short.

    Raises OutcomesError (what is to be mended, of both tables), LeakageError, UsageError, SurvivalTimesError and kin.
    """
    require_name(name)
    require_new(out)
    wanted, at_visits = sets_of(source, covariates, measured)
    if options.strata:
        raise UsageError("--strata: a landmark model has none; take them as covariates")
    cohort = read_landmarks(source, wanted, at_visits, endpoint, options.all_events_are_real, options.missing)
    names = [one.name for one in (*wanted, *at_visits)]
    with listed():
        fitted = fit_landmark(cohort.rows, names, penalty=options.penalty)
    followed = min(one.last for one in fitted.fit.baseline) / PER_YEAR["days"]
    horizons = tuple(year for year in RISK_YEARS if round(year, 6) <= round(followed, 6))
    used = tuple(one for one in (*wanted, *at_visits, _SINCE) if one.name in fitted.covariates)
    kept = _fitted_rows(cohort.rows, names)
    events = _with_event(kept, LOOK_AHEAD_YEARS)
    figures, said = _figures(cohort.rows, names, horizons, options)
    figures |= {
        "patients": _patients(kept),
        "visits": fitted.fit.rows,
        "events": events,
        "apparent_c": round(fitted.fit.concordance.value, FIGURE_DECIMALS),
    }
    per = events / len(fitted.terms)
    if per < FEW_EVENTS_PER_COLUMN:
        said.append(
            f"{events} patients with the event for {len(fitted.terms)} columns ({per:.1f} each, "
            f"{FEW_EVENTS_PER_COLUMN:g} are the least): coefficients are unsteady, figures optimistic"
        )
    fitted = replace(fitted, notes=(*fitted.notes, *said))
    landmark = Landmark(
        tuple(one for one in at_visits if one in used),
        tuple(float(kept.columns[age_column(one.name)].max()) for one in at_visits if one in used),
        LOOK_AHEAD_YEARS,
        fitted.fit.rows,
    )
    model = PrognosisModel(
        fitted, endpoint, used, 0.0, horizons, _patients(kept), events, cohort.competing_events, figures, landmark
    )
    digest = write_prognosis_release(out, name, model, told)
    return {
        "release": name,
        "form": model.form,
        "folder": str(out),
        "digest": digest,
        "endpoint": endpoint,
        "patients": model.patients,
        "visits": fitted.fit.rows,
        "events": events,
        "coefficients": fitted.summary(),
        "figures": figures,
        "horizons_years": list(horizons),
        "notices": [*cohort.notices, *unclear_units(wanted)],
        "notes": list(fitted.notes),
    }


def evaluate_visits(
    source: TableSource,
    endpoint: str,
    *,
    covariates: Sequence[str] = (),
    measured: Sequence[str] = (),
    finished: ReadRelease | None = None,
    horizons_years: Sequence[float] = (),
    options: FitOptions,
) -> tuple[LandmarkEvaluation, tuple[str, ...]]:
    """Judge a landmark model of covariates, or a finished one, on a table and its visits; with the notices of the
    intake. Raises as `fit_visits`, RefusedError for a model of another endpoint or form.
    """
    if finished is not None:
        prognosis = finished.prognosis
        if prognosis.landmark is None:
            raise RefusedError(f"{finished.name} predicts once, from the origin: judge it without --visits")
        if prognosis.endpoint != endpoint:
            raise RefusedError(f"the model is of endpoint {prognosis.endpoint}, not of {endpoint}")
        at_visits = prognosis.landmark.measured
        wanted = covariates_at_origin(prognosis)
        horizons = tuple(horizons_years) or prognosis.horizons_years
    else:
        wanted, at_visits = sets_of(source, covariates, measured)
        horizons = tuple(horizons_years) or RISK_YEARS
    cohort = read_landmarks(source, wanted, at_visits, endpoint, options.all_events_are_real, options.missing)
    with listed():
        found = evaluate_landmark(
            cohort.rows,
            finished.prognosis.model if finished else [one.name for one in (*wanted, *at_visits)],
            horizons_years=horizons,
            bootstraps=options.bootstraps,
            seed=options.seed,
            penalty=options.penalty,
        )
    return found, cohort.notices


def sets_of(
    source: TableSource, covariates: Sequence[str], measured: Sequence[str]
) -> tuple[tuple[Covariate, ...], tuple[Covariate, ...]]:
    """The covariates of the origin and those of the visits. Raises UsageError where one is named twice or none is."""
    if not measured:
        raise UsageError("--measured: name the columns of the visits that are to predict, such as image_score")
    if source.origin_days not in (None, 0.0):
        raise UsageError("--origin: a landmark model predicts from each visit; leave it out, or give 0 (the diagnosis)")
    wanted, at_visits = covariates_of(source, covariates), covariates_of(source, measured)
    both = sorted({one.source for one in wanted} & {one.source for one in at_visits})
    if both:
        raise UsageError(f"{', '.join(both)}: a covariate and a measurement of the visits; say one")
    return wanted, at_visits


def unclear_units(covariates: Sequence[Covariate]) -> list[str]:
    """What to say of a thickness whose unit is not stated."""
    unclear = [one.source for one in covariates if one.is_thickness and one.unit != "mm"]
    if not unclear:
        return []
    return [f"{', '.join(unclear)}: no unit is stated, so predictions will be withheld; name it mel_thick_mm"]


def _fitted_rows(rows: LandmarkRows, names: Sequence[str]) -> LandmarkRows:
    kept = complete_rows({name: rows.columns[name] for name in names}, "complete_case")
    return LandmarkRows({name: column[kept] for name, column in rows.columns.items()})


def _patients(rows: LandmarkRows) -> int:
    return int(np.unique(rows.columns["patient"].astype(str)).size)


def _with_event(rows: LandmarkRows, years: float) -> int:
    """Patients with the event within so many years of one of their visits."""
    within = (rows.columns["event"] == 1) & (rows.columns["time"] <= years * PER_YEAR["days"])
    return int(np.unique(rows.columns["patient"][within].astype(str)).size)


def _figures(
    rows: LandmarkRows, names: Sequence[str], horizons: tuple[float, ...], options: FitOptions
) -> tuple[dict[str, Any], list[str]]:
    """Figures of visits that the model had not seen, all visits and by landmark, and why there are none."""
    if options.bootstraps == 0:
        return {}, ["figures are apparent: none on patients that the model had not seen were asked for"]
    if not horizons:
        return {}, [f"figures are apparent: follow-up after the visits is shorter than {RISK_YEARS[0]:g} years"]
    try:
        found = evaluate_landmark(
            rows,
            names,
            horizons_years=horizons,
            bootstraps=options.bootstraps,
            seed=options.seed,
            penalty=options.penalty,
        )
    except (OutsideFollowUpError, TooFewEventsError, NoComparablePairsError) as error:
        return {}, [f"figures are apparent: {error}"]
    told = {one.label: _plain(one.figures) for one in found.landmarks if one.figures}
    figures: dict[str, Any] = dict(told.pop("all visits", {}))
    if told:
        figures["landmarks"] = told
    return figures, list(found.notes)


def _plain(figures: Mapping[str, Estimate]) -> dict[str, Any]:
    """[value, lower, upper], or the value where there is no interval; none that is no number."""
    told: dict[str, Any] = {}
    for name, one in figures.items():
        values = [round(value, FIGURE_DECIMALS) for value in (one.value, one.lower, one.upper)]
        if np.isfinite(values[0]):
            told[name] = values if np.isfinite(values).all() else values[0]
    return told
