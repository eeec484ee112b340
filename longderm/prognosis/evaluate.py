"""Evaluate survival models side by side on one table of patients."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from longderm.prognosis.bootstrap import Candidate, OptimismBootstrap, optimism_bootstrap, resamples
from longderm.prognosis.calibration import calibration_at
from longderm.prognosis.cox import ChiSquare
from longderm.prognosis.cross_validation import CrossValidation, cross_validate
from longderm.prognosis.decision_curve import decision_curve
from longderm.prognosis.errors import OutsideFollowUpError, SurvivalTimesError, TooFewEventsError
from longderm.prognosis.evaluation import Gain, ModelEvaluation, SurvivalEvaluation
from longderm.prognosis.evaluation_horizons import WITHOUT_HORIZON, evaluation_horizons
from longderm.prognosis.figures import KINDS, survival_figures
from longderm.prognosis.follow_up import FollowUp, follow_up
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
    start: str | None = None,
    strata: str | Sequence[str] = (),
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
    together; `penalty` is a ridge for all. Horizons that the follow-up does not reach are dropped, and so are those
    with too few events or patients at risk (`too_few_at`), each with the reason.

    Figures: Harrell's and Uno's C, AUC, Brier, integrated Brier, calibration slope, optimism-corrected with intervals
    by `bootstraps` resamples, and by `repeats` times `folds` cross-validation; calibration, decision curves, risk
    `groups` and `subgroups_by` columns from predictions for unseen patients.

    `strata` (those of a finished model where none are named) have each a baseline hazard: Harrell's C and the slope
    compare within strata; AUC, Brier, Uno's C and calibration judge the risk, into which the stratum's hazard goes.
    `start` makes rows (start, time]. Covariates that change count in Harrell's C and the slope while their row lasts;
    for all else each patient's first row predicts, never a later one, and is judged by the whole follow-up (for
    predictions on a later day, fit a landmark model). Where patients enter after the origin, those who had the event
    before they could enter are missing: figures at horizons are then insufficient.

    Raises SurvivalTimesError, MissingValuesError, TooFewEventsError, UnusableColumnsError, OutsideFollowUpError where
    no horizon lies within the follow-up.
    """
    wanted = _models(models, clinical, image)
    named = (strata,) if isinstance(strata, str) else tuple(strata)
    outcome = Outcome(time, event, event_value, start, named or _known_strata(wanted), patient, time_unit)
    if time_unit not in PER_YEAR:
        raise SurvivalTimesError(f"time_unit is {time_unit!r}; give one of {', '.join(PER_YEAR)}")
    if bootstraps < 2:
        raise SurvivalTimesError(f"{bootstraps} bootstraps; at least 2 are needed, 200 for an interval")
    needed = [name for one in wanted.values() for name in _covariates(one)]
    everything = table_columns(table, [*outcome.columns, *needed, *subgroups_by])
    kept = complete_rows({name: everything[name] for name in [*outcome.columns, *needed]}, missing)
    columns = {name: column[kept] for name, column in everything.items()}
    data, stratum_names = outcome_times(columns, outcome)
    if data.events == 0:
        raise TooFewEventsError("an evaluation needs events; all patients are censored")
    _require_events(data, stratum_names)
    people = None if patient is None else columns[patient]
    followed = follow_up(data, people)
    horizons, dropped = evaluation_horizons(followed, stratum_names, horizons_years, PER_YEAR[time_unit])
    at, labels = np.array(list(horizons.values())), tuple(horizons)
    kinds = KINDS if horizons else WITHOUT_HORIZON

    fixed = {name: one for name, one in wanted.items() if isinstance(one, SurvivalModel)}
    candidates, notes = _candidates(columns, outcome, wanted, penalty)
    boot = optimism_bootstrap(
        data, candidates, at, labels, bootstraps=bootstraps, seed=seed, patient=people, kinds=kinds
    )
    ranked_at = at if at.size else _time_to_rank_at(data, fixed.values())
    risks: dict[str, Floats] = {}
    crossed: CrossValidation | None = None
    if candidates:
        crossed = cross_validate(
            data, candidates, ranked_at, labels, folds=folds, repeats=repeats, seed=seed, patient=people, kinds=kinds
        )
        risks |= {name: risk[followed.first] for name, risk in crossed.risk.items()}
    for name, model in fixed.items():
        prediction = predict_survival(model, columns, ranked_at)
        risks[name] = prediction.risk[followed.first]
        boot = _with_fixed(boot, name, followed, prediction.linear_predictor, prediction.survival, at, labels,
                           bootstraps, seed, people, kinds)  # fmt: skip
    firsts = {name: columns[name][followed.first] for name in subgroups_by}
    about_rows = _about_rows(followed)
    found = {}
    for name in wanted:
        of = next((one for one in candidates if one.name == name), None)
        said = [*notes.get(name, ()), *about_rows]
        failed = boot.failed[name]
        if failed > FAILED_SHARE * bootstraps:
            said.append(f"{failed} of {bootstraps} resamples had no estimate: figures lean on the others")
        unseen = _judge_predictions(followed.patients, risks[name], horizons, firsts, groups, said)
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
    independent = people is None or np.unique(people).size == int(followed.first.sum())
    gains = _gains(list(wanted), boot, crossed, candidates, independent)
    settings = {
        "bootstraps": bootstraps, "folds": folds, "repeats": repeats, "seed": seed, "penalty": penalty,
        "time_unit": time_unit, "strata": list(outcome.strata), "rows": len(data),
    }  # fmt: skip
    patients = int(followed.first.sum())
    return SurvivalEvaluation(patients, data.events, int((~kept).sum()), horizons, dropped, found, gains, settings)


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


def _known_strata(models: Mapping[str, Sequence[str] | SurvivalModel]) -> tuple[str, ...]:
    """The strata of the finished models; raises SurvivalTimesError where they have different ones."""
    found = {one.outcome.strata for one in models.values() if isinstance(one, SurvivalModel)} - {()}
    if len(found) > 1:
        listed = " and ".join(", ".join(one) for one in sorted(found))
        raise SurvivalTimesError(f"finished models have different strata ({listed}); say which to compare within")
    return next(iter(found), ())


def _require_events(data: SurvivalTimes, strata: Sequence[str]) -> None:
    without = [name for k, name in enumerate(strata) if not data.event[data.stratum == k].any()]
    if without:
        raise TooFewEventsError(
            f"no event in stratum {', '.join(without)}: its hazard has no estimate; merge strata or leave it out"
        )


def _time_to_rank_at(data: SurvivalTimes, models: Collection[SurvivalModel]) -> Floats:
    """Where no horizon is left: risk by the last event, as far as all finished models were followed, to rank by."""
    ends = [baseline.last for model in models for baseline in model.fit.baseline]
    return np.array([min([float(data.stop[data.event].max()), *ends])])


def _about_rows(followed: FollowUp) -> list[str]:
    if followed.single:
        return []
    rows, patients = len(followed.rows), int(followed.first.sum())
    return [
        f"{rows} rows of {patients} patients: Harrell's C and the slope follow covariates from row to row, all else "
        "is predicted from each patient's first row; for predictions on a later day fit a landmark model"
    ]


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
            start=outcome.start,
            strata=outcome.strata,
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
    followed: FollowUp,
    predictor: Floats,
    survival: Floats,
    at: Floats,
    labels: tuple[str, ...],
    bootstraps: int,
    seed: int,
    people: np.ndarray | None,
    kinds: tuple[str, ...],
) -> OptimismBootstrap:
    """The bootstrap with a finished model: judged on each resample, its figure there less its optimism of 0."""
    if at.size and not np.isfinite(survival[followed.first]).all():
        raise OutsideFollowUpError(f"{name} was not followed up to all horizons; ask for earlier ones")
    apparent = survival_figures(followed, followed, predictor, survival[followed.first], at, labels, kinds)
    drawn = np.empty((bootstraps, len(apparent)))
    for b, rows in enumerate(resamples(len(followed.rows), bootstraps, seed, people)):
        sample = followed.take(rows)
        figures = survival_figures(sample, sample, predictor[rows], survival[rows][sample.first], at, labels, kinds)
        drawn[b] = list(figures.values())
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
    by: Mapping[str, np.ndarray],
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
    end = float(ends[-1]) if ends.size else None
    tables = [row for name, column in by.items() for row in subgroups(part, last, end, name, column[known])]
    return calibration, curves, risk_groups(part, last, groups, ends), tuple(tables)


def _gains(
    names: list[str],
    boot: OptimismBootstrap,
    crossed: CrossValidation | None,
    candidates: Sequence[Candidate],
    independent: bool,
) -> tuple[Gain, ...]:
    fitted = {one.name: one for one in candidates}
    last, found = names[-1], []
    for over in names[:-1]:
        both = last in fitted and over in fitted
        folds = crossed.gain(last, over) if both and crossed is not None else {}
        added: ChiSquare | None = None
        population: dict[str, NestedGain] = {}
        if both and independent and fitted[last].penalty == fitted[over].penalty == 0:
            more = set(fitted[last].columns) - set(fitted[over].columns)
            if more and set(fitted[over].columns) < set(fitted[last].columns):
                added, population = boot.nested(last, over, len(more))
        found.append(Gain(last, over, boot.gain(last, over), folds, added, population))
    return tuple(found)
