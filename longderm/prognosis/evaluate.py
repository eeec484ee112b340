"""Evaluate survival models side by side on one table of patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from longderm.prognosis.bootstrap import Candidate, OptimismBootstrap, optimism_bootstrap, resamples
from longderm.prognosis.calibration import calibration_at
from longderm.prognosis.censoring_weights import check_horizons
from longderm.prognosis.cox import ChiSquare
from longderm.prognosis.cross_validation import CrossValidation, cross_validate
from longderm.prognosis.decision_curve import decision_curve
from longderm.prognosis.errors import OutsideFollowUpError, SurvivalTimesError, TooFewEventsError
from longderm.prognosis.evaluation import Gain, ModelEvaluation, SurvivalEvaluation
from longderm.prognosis.figures import survival_figures
from longderm.prognosis.model_matrix import complete_rows, levels_of, model_matrix, table_columns, terms_of
from longderm.prognosis.nested_gain import NestedGain
from longderm.prognosis.risk_groups import Subgroup, risk_groups, subgroups
from longderm.prognosis.survival_model import (
    FEW_EVENTS_PER_COLUMN,
    PER_YEAR,
    Outcome,
    SurvivalModel,
    TimeUnit,
    fit_survival,
    outcome_times,
    predict_survival,
)
from longderm.prognosis.survival_times import Floats, SurvivalTimes

#: Years at which figures are given where nothing else is asked.
HORIZONS_YEARS = (1.0, 3.0, 5.0, 7.0)
#: A share of failed resamples above which the bootstrap's figures are doubted in the notes.
FAILED_SHARE = 0.05


def evaluate_survival(
    table: Any,
    models: Mapping[str, Sequence[str] | SurvivalModel] | Sequence[str] | SurvivalModel | None = None,
    *,
    clinical: Sequence[str] = (),
    image: Sequence[str] = (),
    time: str = "time",
    event: str = "event",
    event_value: Any = None,
    patient: str | None = None,
    time_unit: TimeUnit = "days",
    horizons_years: Sequence[float] = HORIZONS_YEARS,
    bootstraps: int = 200,
    folds: int = 5,
    repeats: int = 10,
    seed: int = 0,
    penalty: float = 0.0,
    subgroups_by: Sequence[str] = (),
    groups: int = 3,
    missing: Literal["refuse", "complete_case"] = "refuse",
) -> SurvivalEvaluation:
    """Judge Cox models of sets of covariates, or finished models, on the same patients.

    `models` gives a name -> covariates, or a finished `SurvivalModel` that is judged as it stands (external
    validation: its interval is a plain bootstrap of patients, its optimism 0); or one of them. `clinical` and `image`
    covariates instead make the models "clinical", "image" and "combined". The last model is compared with each of the
    others. `table`, outcome and `missing` as in `fit_survival`; `patient` names the patient of rows that belong
    together; `penalty` is a ridge for all. Horizons that the follow-up does not reach are dropped, and said.

    Figures: Harrell's and Uno's C, AUC, Brier, integrated Brier, calibration slope, optimism-corrected with intervals
    by `bootstraps` resamples, and by `repeats` times `folds` cross-validation; calibration, decision curves, risk
    `groups` and `subgroups_by` columns from predictions for unseen patients. Start-stop rows are not evaluated.

    Raises SurvivalTimesError, MissingValuesError, TooFewEventsError, UnusableColumnsError, OutsideFollowUpError where
    no horizon is left.
    """
    wanted = _models(models, clinical, image)
    outcome = Outcome(time=time, event=event, event_value=event_value, cluster=patient, time_unit=time_unit)
    if time_unit not in PER_YEAR:
        raise SurvivalTimesError(f"time_unit is {time_unit!r}; give one of {', '.join(PER_YEAR)}")
    if bootstraps < 2:
        raise SurvivalTimesError(f"{bootstraps} bootstraps; at least 2 are needed, 200 for an interval")
    needed = [name for one in wanted.values() for name in _covariates(one)]
    everything = table_columns(table, [*outcome.columns, *needed, *subgroups_by])
    kept = complete_rows({name: everything[name] for name in [*outcome.columns, *needed]}, missing)
    columns = {name: column[kept] for name, column in everything.items()}
    data, _ = outcome_times(columns, outcome)
    if data.events == 0:
        raise TooFewEventsError("an evaluation needs events; all patients are censored")
    horizons, dropped = _horizons(data, horizons_years, PER_YEAR[time_unit])
    at, labels = np.array(list(horizons.values())), tuple(horizons)
    people = None if patient is None else columns[patient]

    fixed = {name: one for name, one in wanted.items() if isinstance(one, SurvivalModel)}
    candidates, notes = _candidates(columns, outcome, wanted, penalty)
    boot = optimism_bootstrap(data, candidates, at, labels, bootstraps=bootstraps, seed=seed, patient=people)
    risks: dict[str, Floats] = {}
    crossed: CrossValidation | None = None
    if candidates:
        crossed = cross_validate(data, candidates, at, labels, folds=folds, repeats=repeats, seed=seed, patient=people)
        risks |= dict(crossed.risk)
    for name, model in fixed.items():
        prediction = predict_survival(model, columns, at)
        risks[name] = prediction.risk
        boot = _with_fixed(boot, name, data, prediction.linear_predictor, prediction.survival, at, labels,
                           bootstraps, seed, people)  # fmt: skip
    found = {}
    for name in wanted:
        of = next((one for one in candidates if one.name == name), None)
        said = list(notes.get(name, ()))
        failed = boot.failed[name]
        if failed > FAILED_SHARE * bootstraps:
            said.append(f"{failed} of {bootstraps} resamples had no estimate: figures lean on the others")
        unseen = _judge_predictions(data, risks[name], horizons, columns, subgroups_by, groups, said)
        found[name] = ModelEvaluation(
            name,
            of.columns if of else tuple(term.name for term in fixed[name].terms),
            data.events / len(of.columns) if of else None,
            boot.corrected(name),
            crossed.means(name) if of and crossed else {},
            *unseen,
            failed,
            tuple(said),
        )
    gains = _gains(list(wanted), boot, crossed, candidates)
    settings = {
        "bootstraps": bootstraps, "folds": folds, "repeats": repeats, "seed": seed, "penalty": penalty,
        "time_unit": time_unit,
    }  # fmt: skip
    return SurvivalEvaluation(len(data), data.events, int((~kept).sum()), horizons, dropped, found, gains, settings)


def _models(
    models: Mapping[str, Sequence[str] | SurvivalModel] | Sequence[str] | SurvivalModel | None,
    clinical: Sequence[str],
    image: Sequence[str],
) -> dict[str, Sequence[str] | SurvivalModel]:
    if models is None:
        sets = {"clinical": list(clinical), "image": list(image), "combined": [*clinical, *image]}
        named = {name: covariates for name, covariates in sets.items() if covariates}
        if not named:
            raise SurvivalTimesError("name models, or clinical and image covariates")
        if len(named) == 2:  # one kind only: combined is the same
            named.pop("combined")
        return dict(named)
    if isinstance(models, Mapping):
        if not models:
            raise SurvivalTimesError("no model was named")
        return dict(models)
    return {"model": models}


def _covariates(model: Sequence[str] | SurvivalModel) -> tuple[str, ...]:
    if isinstance(model, SurvivalModel):
        return (*model.covariates, *model.outcome.strata)
    return tuple(model)


def _horizons(data: SurvivalTimes, years: Sequence[float], per_year: float) -> tuple[dict[str, float], dict[str, str]]:
    """Horizons by label, in the unit of the data, that its follow-up allows, and why the others are dropped."""
    first_event = float(data.stop[data.event].min())
    kept, dropped = {}, {}
    for year in sorted(set(years)):
        label, at = f"{year:g}y", year * per_year
        try:
            check_horizons(data, at)
        except OutsideFollowUpError as error:
            dropped[label] = str(error)
            continue
        if at < first_event:
            dropped[label] = f"no event has come by {at:g}, the first is at {first_event:g}"
        else:
            kept[label] = at
    if not kept:
        raise OutsideFollowUpError("no horizon lies within the follow-up: " + "; ".join(dropped.values()))
    return kept, dropped


def _candidates(
    columns: Mapping[str, np.ndarray],
    outcome: Outcome,
    wanted: Mapping[str, Sequence[str] | SurvivalModel],
    penalty: float,
) -> tuple[tuple[Candidate, ...], dict[str, list[str]]]:
    """The models to be fitted, less columns without an estimate, with what there is to say of each."""
    found, notes = [], {}
    for name, covariates in wanted.items():
        if isinstance(covariates, SurvivalModel):
            continue
        model = fit_survival(
            columns,
            list(covariates),
            time=outcome.time,
            event=outcome.event,
            event_value=outcome.event_value,
            time_unit=outcome.time_unit,
            penalty=penalty,
        )
        features = {one: columns[one] for one in model.covariates}
        matrix = model_matrix(features, model.terms, levels_of(features, terms_of(features)))
        found.append(Candidate(name, model.fit.columns, matrix, model.fit.penalty))
        enough = model.fit.events / len(model.terms)
        notes[name] = list(model.notes)
        if enough >= FEW_EVENTS_PER_COLUMN:
            notes[name].append(f"{model.fit.events} events for {len(model.terms)} columns ({enough:.1f} each)")
    return tuple(found), notes


def _with_fixed(
    boot: OptimismBootstrap,
    name: str,
    data: SurvivalTimes,
    predictor: Floats,
    survival: Floats,
    at: Floats,
    labels: tuple[str, ...],
    bootstraps: int,
    seed: int,
    people: np.ndarray | None,
) -> OptimismBootstrap:
    """The bootstrap with a finished model: judged on each resample, its figure there less its optimism of 0."""
    if not np.isfinite(survival).all():
        raise OutsideFollowUpError(f"{name} was not followed up to all horizons; ask for earlier ones")
    apparent = survival_figures(data, data, predictor, survival, at, labels)
    drawn = np.empty((bootstraps, len(apparent)))
    for b, rows in enumerate(resamples(len(data), bootstraps, seed, people)):
        sample = data.take(rows)
        drawn[b] = list(survival_figures(sample, sample, predictor[rows], survival[rows], at, labels).values())
    values = np.array(list(apparent.values()))
    # on_original moves with on_itself, so that the mean difference is nil and the interval that of the resamples
    return replace(
        boot,
        names=tuple(apparent),
        apparent={**boot.apparent, name: values},
        on_itself={**boot.on_itself, name: drawn},
        on_original={**boot.on_original, name: drawn},
        failed={**boot.failed, name: 0},
    )


def _judge_predictions(
    data: SurvivalTimes,
    risk: Floats,
    horizons: Mapping[str, float],
    columns: Mapping[str, np.ndarray],
    by: Sequence[str],
    groups: int,
    notes: list[str],
) -> tuple[Any, Any, Any, tuple[Subgroup, ...]]:
    known = np.asarray(np.isfinite(risk).all(axis=1), np.bool_)
    if not known.any():
        raise SurvivalTimesError("no fold gave predictions; there are too few events for these columns")
    if not known.all():
        notes.append(f"{int((~known).sum())} patients have no cross-validated prediction: their fold had no estimate")
    part, risk = data.take(known), risk[known]
    calibration, curves = {}, {}
    for k, (label, at) in enumerate(horizons.items()):
        calibration[label] = calibration_at(part, risk[:, k], at)
        if at < part.stop.max():
            curves[label] = decision_curve(part, risk[:, k], at)
    last = risk[:, -1]
    ends = np.array(list(horizons.values()))
    tables = [row for name in by for row in subgroups(part, last, float(ends[-1]), name, columns[name][known])]
    return calibration, curves, risk_groups(part, last, groups, ends), tuple(tables)


def _gains(
    names: list[str], boot: OptimismBootstrap, crossed: CrossValidation | None, candidates: Sequence[Candidate]
) -> tuple[Gain, ...]:
    fitted = {one.name: one for one in candidates}
    last, found = names[-1], []
    for over in names[:-1]:
        both = last in fitted and over in fitted
        folds = crossed.gain(last, over) if both and crossed is not None else {}
        added: ChiSquare | None = None
        population: dict[str, NestedGain] = {}
        if both and fitted[last].penalty == fitted[over].penalty == 0:
            more = set(fitted[last].columns) - set(fitted[over].columns)
            if more and set(fitted[over].columns) < set(fitted[last].columns):
                added, population = boot.nested(last, over, len(more))
        found.append(Gain(last, over, boot.gain(last, over), folds, added, population))
    return tuple(found)
