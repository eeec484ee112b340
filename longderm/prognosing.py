"""The verbs of `longderm prognosis`: fit a model to a clinic's table, judge models on one, predict from one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from longderm.archive.clinical_file import read_clinical_file
from longderm.archive.mapping import SourceMapping, read_mapping
from longderm.errors import RefusedError, UsageError
from longderm.models.releases import split_name
from longderm.prognosis.cells import Column, DateOrder, read_numbers
from longderm.prognosis.course import COMPETING, EVENT
from longderm.prognosis.covariates import Covariate, covariate
from longderm.prognosis.errors import NoComparablePairsError, OutsideFollowUpError, TooFewEventsError
from longderm.prognosis.evaluate import HORIZONS_YEARS, evaluate_survival
from longderm.prognosis.evaluation import SurvivalEvaluation
from longderm.prognosis.model_matrix import missing_values
from longderm.prognosis.patients import PATIENT, Intake, Patients, read_patients
from longderm.prognosis.problems import OutcomesError, Problem, sorted_problems
from longderm.prognosis.survival_model import PER_YEAR, fit_survival
from longderm.prognosis_predictions import (
    batches,
    horizons_for,
    predict_batch,
    release_fact,
    require_origin,
    summarise,
    wanted_covariates,
    write_predictions,
)
from longderm.prognosis_release import (
    PrognosisModel,
    ReadRelease,
    Told,
    read_prognosis_release,
    require_name,
    require_new,
    write_prognosis_release,
)
from longderm.settings import Settings

Missing = Literal["refuse", "complete_case"]
#: Decimals of a figure in a release.
FIGURE_DECIMALS = 4


@dataclass(frozen=True)
class TableSource:
    """Where patients come from: files, and how they are to be read (see `Intake`); `origin_days` None: not stated."""

    table: Path
    features: Path | None = None
    mapping: Path | None = None
    date_order: DateOrder | None = None
    as_of: date | None = None
    origin_days: float | None = None
    dated_by: tuple[tuple[str, str], ...] = ()
    time_invariant: tuple[str, ...] = ()
    feature_day: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Its fields as texts, numbers and lists, for a flow's parameters."""
        return {
            "table": str(self.table),
            "features": str(self.features) if self.features else None,
            "mapping": str(self.mapping) if self.mapping else None,
            "date_order": self.date_order,
            "as_of": self.as_of.isoformat() if self.as_of else None,
            "origin_days": self.origin_days,
            "dated_by": [list(pair) for pair in self.dated_by],
            "time_invariant": list(self.time_invariant),
            "feature_day": self.feature_day,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> TableSource:
        """What `as_dict` wrote; fields that are not there have their defaults. Raises UsageError for unknown ones."""
        unknown = sorted(set(fields) - set(cls.__dataclass_fields__))
        if unknown or "table" not in fields:
            raise UsageError(f"a source of patients has no field {unknown[0]}" if unknown else "which table?")
        given = dict(fields)
        for name in ("table", "features", "mapping"):
            if given.get(name) is not None:
                given[name] = Path(given[name])
        if given.get("as_of") is not None:
            given["as_of"] = date.fromisoformat(given["as_of"])
        given["dated_by"] = tuple((name, column) for name, column in given.get("dated_by", ()))
        given["time_invariant"] = tuple(given.get("time_invariant", ()))
        return cls(**given)

    def source_mapping(self) -> SourceMapping:
        """The mapping that it names, or the default one."""
        return read_mapping(self.mapping) if self.mapping else SourceMapping()

    def read(self, covariates: Sequence[Covariate], origin_days: float = 0.0) -> Patients:
        """The patients; `origin_days` counts where none is stated."""
        intake = Intake(
            self.source_mapping(),
            self.date_order,
            self.as_of,
            origin_days if self.origin_days is None else self.origin_days,
            self.origin_days is not None,
            dict(self.dated_by),
            self.time_invariant,
            self.feature_day,
        )
        features = read_clinical_file(self.features) if self.features else None
        return read_patients(read_clinical_file(self.table), covariates, intake, features)


@dataclass(frozen=True)
class FitOptions:
    """How a model is to be fitted. `bootstraps` 0: no optimism-corrected figures."""

    strata: tuple[str, ...] = ()
    penalty: float = 0.0
    missing: Missing = "refuse"
    all_events_are_real: bool = False
    bootstraps: int = 100
    seed: int = 0


@dataclass(frozen=True)
class Cohort:
    """Patients who can enter a fit: columns by name with `PATIENT`, `days` (> 0, from the origin) and `event` (0/1)."""

    columns: dict[str, np.ndarray]
    competing_events: int
    several_rows: bool
    notices: tuple[str, ...]


def fit_table(
    source: TableSource, endpoint: str, covariates: Sequence[str], out: Path, name: str, options: FitOptions, told: Told
) -> dict[str, Any]:
    """Fit a Cox model to a table and write it as a release; returns what it holds in short.

    Raises OutcomesError (what is to be mended), LeakageError, UsageError, SurvivalTimesError and its kin.
    """
    require_name(name)
    require_new(out)
    wanted, strata = _covariates(source, covariates), _covariates(source, options.strata)
    cohort = _cohort(source, (*wanted, *strata), endpoint, options.all_events_are_real)
    _refuse_missing(cohort, (*wanted, *strata), options.missing)
    names = [one.name for one in wanted]
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
    notes = list(cohort.notices)
    unclear = [one.source for one in wanted if one.is_thickness and one.unit != "mm"]
    if unclear:
        notes.append(f"{', '.join(unclear)}: no unit is stated, so predictions will be withheld; name it mel_thick_mm")
    figures, said = _figures(cohort, names, bool(strata), options)
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
    groups = _covariates(source, subgroups_by)
    finished = read_prognosis_release(model) if model else None
    sets = [_covariates(source, names) for names in (covariates, clinical, image)]
    wanted = wanted_covariates(finished.prognosis) if finished else tuple(one for each in sets for one in each)
    if finished:
        require_origin(finished.prognosis, source.origin_days)
        if finished.prognosis.endpoint != endpoint:
            raise RefusedError(f"the model is of endpoint {finished.prognosis.endpoint}, not of {endpoint}")
        source = replace(source, origin_days=finished.prognosis.origin_days)
    everything = tuple({one.name: one for one in (*wanted, *groups)}.values())
    cohort = _cohort(source, everything, endpoint, options.all_events_are_real)
    _refuse_missing(cohort, wanted, options.missing)
    judged, first, second = ([one.name for one in each] for each in sets)
    found = evaluate_survival(
        cohort.columns,
        {finished.name: finished.prognosis.model} if finished else (judged or None),
        clinical=first,
        image=second,
        time="days",
        event="event",
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


def predict_table(source: TableSource, model: Path, out: Path, horizons_years: Sequence[float] = ()) -> dict[str, Any]:
    """Predict for every patient of a table and write the rows as CSV; returns counts by verdict.

    Raises SourceNotFoundError, RefusedError (a model that is not what it was), OutcomesError, LeakageError.
    """
    release, patients, horizons = prepare_prediction(source, model, horizons_years)
    fact = release_fact(release, model)
    rows = [
        row for batch in batches(patients, release.prognosis) for row in predict_batch(release, fact, batch, horizons)
    ]
    write_predictions(out, rows, horizons)
    return summarise(rows, release, patients.notices) | {"out": str(out), "horizons_years": list(horizons)}


def prepare_prediction(
    source: TableSource, model: Path, horizons_years: Sequence[float]
) -> tuple[ReadRelease, Patients, tuple[float, ...]]:
    """What a prediction needs: the release, the patients under the leakage guard, the horizons. Raises as
    `predict_table`.
    """
    release = read_prognosis_release(model)
    require_origin(release.prognosis, source.origin_days)
    horizons = horizons_for(release.prognosis, horizons_years)
    patients = source.read(wanted_covariates(release.prognosis), release.prognosis.origin_days)
    _refuse_words(release, patients)
    return release, patients, horizons


def find_model(model: Path, store: str | None, settings: Settings) -> Path:
    """The folder of a model: the one named, or that of the release `prognosis/VERSION` of the registry or a store.

    Raises SourceNotFoundError, RefusedError, UsageError for a name that is none.
    """
    if store is None or model.is_dir():
        return model
    from longderm.models.in_use import find_release, registry_roots
    from longderm.store import Store

    name = model.as_posix()
    require_name(name)
    kind, version = split_name(name)
    return find_release(kind, version, registry_roots(settings, Store(store))).folder


def _covariates(source: TableSource, names: Sequence[str]) -> tuple[Covariate, ...]:
    mapping = source.source_mapping()
    found = [covariate(name, mapping) for name in names]
    twice = sorted({one.name for one in found if sum(other.name == one.name for other in found) > 1})
    if twice:
        raise UsageError(f"{', '.join(twice)}: named twice")
    return tuple(found)


def _cohort(source: TableSource, wanted: Sequence[Covariate], endpoint: str, all_events_are_real: bool) -> Cohort:
    patients = source.read(wanted)
    patients.outcomes.require_fit(endpoint, all_events_are_real)
    table, notices = patients.table, list(patients.notices)
    origin = source.origin_days or 0.0
    days = np.array([np.nan if v is None else v for v in table.column(f"{endpoint}_days").to_pylist()], np.float64)
    codes = np.array([-1 if v is None else v for v in table.column(f"{endpoint}_event").to_pylist()], np.int64)
    known = np.isfinite(days) & (codes >= 0)
    if origin == 0:
        _refuse_events_at_origin(table, known & (days <= 0) & (codes == EVENT), endpoint)
    kept = known & (days > origin)
    early = int((known & ~kept).sum())
    if early:
        what = "were not followed past the origin" if origin == 0 else f"had the event or left by day {origin:g}"
        notices.append(f"{early} patients {what} and enter no fit")
    if not (kept & (codes == EVENT)).any():
        raise OutcomesError(
            [Problem("no_events", f"nobody had the event after day {origin:g}", column=f"{endpoint}_event")]
        )
    part = table.filter(pa.array(kept))
    columns = {one.name: part.column(one.name).to_pandas().to_numpy() for one in wanted}
    columns |= {
        PATIENT: np.array(part.column(PATIENT).to_pylist(), dtype=object),
        "days": days[kept] - origin,
        "event": (codes[kept] == EVENT).astype(np.int64),
    }
    several = len(set(columns[PATIENT].tolist())) < part.num_rows
    if several:
        notices.append("several lesions of one patient: standard errors take them as one")
    return Cohort(columns, int((codes[kept] == COMPETING).sum()), several, tuple(notices))


def _refuse_missing(cohort: Cohort, wanted: Sequence[Covariate], missing: Missing) -> None:
    """Every covariate with missing values at once, where they are to be refused."""
    gaps = {one.source: int(missing_values(cohort.columns[one.name]).sum()) for one in wanted}
    mend = "{} of {} patients have no value; fill them in, or leave these out by --missing complete_case"
    total = cohort.columns["days"].size
    problems = [Problem("missing_value", mend.format(n, total), column=name) for name, n in gaps.items() if n]
    if problems and missing == "refuse":
        raise OutcomesError(problems)


def _refuse_words(release: ReadRelease, patients: Patients) -> None:
    """Every text that stands where the model takes a number."""
    problems = []
    for one in release.prognosis.covariates:
        column = patients.table.column(one.source)
        if one.name in release.prognosis.model.levels or not pa.types.is_string(column.type):
            continue
        cells = Column(one.source, tuple(patients.table.column("row").to_pylist()), tuple(column.to_pylist()))
        problems += read_numbers(cells)[1]
    if problems:
        raise OutcomesError(sorted_problems(problems))


def _refuse_events_at_origin(table: pa.Table, rows: np.ndarray, endpoint: str) -> None:
    mend = "the event is on the day of the diagnosis, so there is nothing to predict; correct the day, or take it out"
    numbers = np.array(table.column("row").to_pylist())[rows].tolist()
    if numbers:
        raise OutcomesError([Problem("event_at_origin", mend, row, f"{endpoint}_days", "0") for row in numbers])


def _figures(cohort: Cohort, names: list[str], strata: bool, options: FitOptions) -> tuple[dict[str, Any], list[str]]:
    """Optimism-corrected figures as [value, lower, upper], and why there are none."""
    if options.bootstraps == 0:
        return {}, ["figures are apparent, not corrected for optimism: none were asked for"]
    if strata:
        return {}, ["figures are apparent, not corrected for optimism: a model with strata is not resampled"]
    try:
        found = evaluate_survival(
            cohort.columns,
            names,
            time="days",
            event="event",
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
    return figures, []
