"""Metastasis of a melanoma from an embedding of its photos and clinical covariates: fit, predict, evaluate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from longderm.prognosis.binary_figures import (
    intervals,
    metastasis_subgroups,
    probability_curve,
    resampled_figures,
    sensitivity_at,
)
from longderm.prognosis.bootstrap import resamples
from longderm.prognosis.calibration import CURVE_GROUPS
from longderm.prognosis.elastic_net_logistic import Penalty, fit_logistic, probability
from longderm.prognosis.errors import SurvivalTimesError, TooFewEventsError, TumourTableError, UnusableColumnsError
from longderm.prognosis.metastasis_evaluation import MetastasisEvaluation, MetastasisGain, MetastasisModelEvaluation
from longderm.prognosis.metastasis_model import MetastasisModel
from longderm.prognosis.metastasis_status import Endpoint
from longderm.prognosis.model_matrix import Term, levels_of, model_matrix, terms_of
from longderm.prognosis.patient_folds import held_out, patient_folds
from longderm.prognosis.penalty_choice import L1_RATIOS, Choice, Design, choose_penalty, fit_choice, standardised
from longderm.prognosis.survival_model import FEW_EVENTS_PER_COLUMN
from longderm.prognosis.survival_times import Floats, Indices
from longderm.prognosis.tumours import Missing, Tumours, tumours_of

#: Specificity at which sensitivity is told where nothing else is asked.
SPECIFICITY = 0.9
#: Of the resamples' fits, at least this share must have an estimate.
LEAST_RESAMPLED = 0.9


@dataclass(frozen=True)
class MetastasisPrediction:
    """Risks of n tumours, sorted by identifier: `risk`, `lower`, `upper` (n,) in [0, 1] (95% interval), `log_odds`.

    `photos` (n,) were averaged; `outside` names the clinical columns beyond the range the model was fitted on, and
    "embedding (k values)" where k of its values are; `lesion` has no part in the repr.
    """

    risk: Floats
    lower: Floats
    upper: Floats
    log_odds: Floats
    photos: Indices
    outside: tuple[tuple[str, ...], ...]
    lesion: tuple[str, ...] = field(repr=False)


def fit_metastasis(
    table: Any,
    *,
    embedding: ArrayLike | Sequence[str] | None = None,
    clinical: Sequence[str] = (),
    endpoint: Endpoint = "any",
    patient: str = "patient_id",
    lesion: str | None = "lesion_id",
    stage: str | None = None,
    folds: int = 5,
    l1_ratios: Sequence[float] = L1_RATIOS,
    penalty_shares: Sequence[float] | None = None,
    bootstraps: int = 200,
    seed: int = 0,
    missing: Missing = "refuse",
    unusable: Literal["set_aside", "raise"] = "set_aside",
) -> MetastasisModel:
    """Fit elastic-net logistic regression to a table of photos, or tumours.

    Table, `embedding`, `clinical` (numbers, or texts as levels), `patient`, `lesion` and `missing` as in `tumours_of`;
    photos of a tumour are averaged first. Penalty and mix are those of the least log loss in `folds` folds that keep
    patients together and hold equal shares of outcome and `stage`; `penalty_shares` in (0, 1] are tried, as shares of
    the least penalty at which nothing is left. Columns that do not vary are set aside and named, or refused.
    `bootstraps` resamples of patients give the intervals of predictions (0: none).

    Raises what `tumours_of` raises, TooFewEventsError naming the numbers, UnusableColumnsError naming the columns where
    they are refused or none is left, SurvivalTimesError for settings that cannot be.
    """
    ratios, shares = _settings(l1_ratios, penalty_shares)
    tumours = tumours_of(
        table, embedding=embedding, clinical=clinical, endpoint=endpoint, patient=patient, lesion=lesion,
        stage=stage, missing=missing,
    )  # fmt: skip
    candidate = _candidate("model", tumours, tumours.image_names, clinical, unusable)
    rng = np.random.default_rng(seed)
    choice = choose_penalty(candidate.design, folds, ratios, shares, rng)
    fitted = fit_choice(candidate.design, choice, shares)
    design, notes = candidate.design, list(candidate.notes)
    drawn = _resampled_fits(candidate.design, fitted.penalty, choice, bootstraps, seed)
    if drawn.shape[0] < LEAST_RESAMPLED * bootstraps:
        notes.append(
            f"{bootstraps - drawn.shape[0]} of {bootstraps} resamples held one outcome only: intervals are rough"
        )
    if not fitted.fit.beta.any():
        notes.append("no column told anything: every tumour gets the overall share")
    return MetastasisModel(
        endpoint, candidate.image, candidate.terms, candidate.levels, fitted.fit.intercept, fitted.fit.beta,
        fitted.center, fitted.scale,
        tuple((float(low), float(high)) for low, high in zip(design.matrix.min(0), design.matrix.max(0), strict=True)),
        drawn, fitted.penalty, choice.l1_ratio, choice.clinical_factor, len(tumours),
        int(np.unique(tumours.patient).size), int(design.event.sum()), tumours.left_out, candidate.set_aside, seed,
        tuple(notes),
    )  # fmt: skip


def predict_metastasis(
    model: MetastasisModel,
    table: Any,
    *,
    embedding: ArrayLike | Sequence[str] | None = None,
    lesion: str | None = "lesion_id",
    missing: Missing = "refuse",
) -> MetastasisPrediction:
    """Risk of each tumour of a table of photos; `lesion` None: every row is a tumour.

    Raises what `tumours_of` raises, TumourTableError where the embedding is not the one the model knows.
    """
    tumours = tumours_of(
        table, embedding=_known_embedding(model, embedding), clinical=model.covariates, patient=None, lesion=lesion,
        missing=missing,
    )  # fmt: skip
    matrix = _matrix_of(model, tumours)
    odds = model.log_odds(matrix)
    lower, upper = model.risk_interval(matrix)
    low, high = np.array(model.ranges).T
    beyond = (matrix < low) | (matrix > high)
    d = len(model.embedding)
    outside = []
    for row in beyond:
        names = [model.columns[j] for j in np.flatnonzero(row) if j >= d]
        strange = int(row[:d].sum())
        outside.append((*names, *([f"embedding ({strange} values)"] if strange else [])))
    return MetastasisPrediction(probability(odds), lower, upper, odds, tumours.photos, tuple(outside), tumours.lesion)


def evaluate_metastasis(
    table: Any,
    models: Mapping[str, MetastasisModel] | None = None,
    *,
    embedding: ArrayLike | Sequence[str] | None = None,
    clinical: Sequence[str] = (),
    endpoint: Endpoint = "any",
    patient: str = "patient_id",
    lesion: str | None = "lesion_id",
    stage: str | None = None,
    folds: int = 5,
    inner_folds: int = 5,
    l1_ratios: Sequence[float] = L1_RATIOS,
    penalty_shares: Sequence[float] | None = None,
    specificity: float = SPECIFICITY,
    subgroups_by: Sequence[str] = (),
    bootstraps: int = 1000,
    seed: int = 0,
    missing: Missing = "refuse",
) -> MetastasisEvaluation:
    """Judge the models "clinical", "image" and "combined", or finished `models`, on the same tumours.

    Without `models`: nested cross-validation. Each of `folds` grouped, stage-stratified folds is predicted by a model
    whose penalty `inner_folds` of the other patients picked; nothing of a held-out patient, not even a column's mean,
    enters the model that judges it. All models see the same folds. With `models`: external validation of each as it
    stands. Figures, gains of the last model over the others and `subgroups_by` come with intervals from `bootstraps`
    resamples of patients. Table and settings as in `fit_metastasis`.

    Raises as `fit_metastasis`.
    """
    ratios, shares = _settings(l1_ratios, penalty_shares)
    if not 0 < specificity < 1 or bootstraps < 2:
        raise SurvivalTimesError(
            f"specificity {specificity} and {bootstraps} bootstraps; give one in (0, 1) and 2 or more"
        )
    needed = list(dict.fromkeys([*clinical, *(c for one in (models or {}).values() for c in one.covariates)]))
    tumours = tumours_of(
        table, embedding=embedding, clinical=needed, endpoint=endpoint, patient=patient, lesion=lesion,
        stage=stage, others=subgroups_by, missing=missing,
    )  # fmt: skip
    assert tumours.event is not None  # an endpoint was asked for
    if not tumours.event.any() or tumours.event.all():
        raise TooFewEventsError(f"{int(tumours.event.sum())} of {len(tumours)} tumours have the event; both are needed")
    risks: dict[str, Floats] = {}
    about: dict[str, tuple[int, tuple[Mapping[str, float], ...], tuple[str, ...]]] = {}
    if models:
        for name, model in models.items():
            if model.endpoint != endpoint:
                raise SurvivalTimesError(f"{name} predicts {model.endpoint} metastasis, not {endpoint}")
            risks[name] = probability(model.log_odds(_matrix_of(model, tumours)))
            about[name] = (len(model.columns), (), model.notes)
    else:
        for candidate in _candidates(tumours, clinical):
            risk, picked = _unseen(candidate.design, folds, inner_folds, ratios, shares, seed)
            risks[candidate.name] = risk
            about[candidate.name] = (candidate.design.matrix.shape[1], picked, candidate.notes)
    names, values, drawn = resampled_figures(risks, tumours.event, tumours.patient, specificity, bootstraps, seed)
    found = {}
    for name, risk in risks.items():
        columns, picked, notes = about[name]
        parts = [
            part
            for by in subgroups_by
            for part in metastasis_subgroups(
                risk, tumours.event, tumours.patient, by, tumours.others[by], bootstraps, seed
            )
        ]
        found[name] = MetastasisModelEvaluation(
            name, columns, intervals(names, values[name], drawn[name]),
            probability_curve(risk, tumours.event, CURVE_GROUPS), tuple(parts), risk,
            sensitivity_at(risk, tumours.event, specificity)[1], picked, notes,
        )  # fmt: skip
    last = list(risks)[-1]
    gains = tuple(
        MetastasisGain(last, over, intervals(names, values[last] - values[over], drawn[last] - drawn[over]))
        for over in list(risks)[:-1]
    )
    settings = {
        "folds": folds, "inner_folds": inner_folds, "l1_ratios": list(ratios), "specificity": specificity,
        "bootstraps": bootstraps, "seed": seed, "photos_of_a_tumour": "averaged",
    }  # fmt: skip
    return MetastasisEvaluation(
        endpoint, len(tumours), int(np.unique(tumours.patient).size), int(tumours.event.sum()),
        int(tumours.photos.sum()), tumours.left_out, found, gains, settings,
    )  # fmt: skip


@dataclass(frozen=True)
class _Candidate:
    """A model to be fitted: its columns, and what must be said of it."""

    name: str
    image: tuple[str, ...]
    terms: tuple[Term, ...]
    levels: Mapping[str, tuple[str, ...]]
    design: Design
    set_aside: tuple[str, ...]
    notes: tuple[str, ...]


def _settings(l1_ratios: Sequence[float], shares: Sequence[float] | None) -> tuple[tuple[float, ...], Floats | None]:
    ratios = tuple(sorted({float(one) for one in l1_ratios}))
    if not ratios or not all(0 <= one <= 1 for one in ratios):
        raise SurvivalTimesError("l1_ratios must be numbers from 0 (ridge) to 1 (lasso)")
    if shares is None:
        return ratios, None
    ladder = np.array(sorted({float(one) for one in shares}, reverse=True))
    if not ladder.size or not ((ladder > 0) & (ladder <= 1)).all():
        raise SurvivalTimesError("penalty_shares must be numbers above 0, up to 1")
    return ratios, ladder


def _candidates(tumours: Tumours, clinical: Sequence[str]) -> list[_Candidate]:
    sets: dict[str, tuple[tuple[str, ...], Sequence[str]]] = {}
    if clinical:
        sets["clinical"] = ((), clinical)
    if tumours.image_names:
        sets["image"] = (tumours.image_names, ())
    if len(sets) == 2:
        sets["combined"] = (tumours.image_names, clinical)
    if not sets:
        raise TumourTableError("give clinical covariates, or an embedding (columns e0, e1, ...)")
    return [_candidate(name, tumours, image, covariates, "set_aside") for name, (image, covariates) in sets.items()]


def _candidate(
    name: str, tumours: Tumours, image: tuple[str, ...], clinical: Sequence[str], unusable: str
) -> _Candidate:
    if not image and not clinical:
        raise TumourTableError("give clinical covariates, or an embedding (columns e0, e1, ...)")
    columns = {one: tumours.clinical[one] for one in clinical}
    terms = terms_of(columns)
    levels = levels_of(columns, terms)
    parts = ([tumours.image] if image else []) + ([model_matrix(columns, terms, levels)] if terms else [])
    matrix = np.column_stack(parts)
    varies = np.asarray(standardised(matrix)[0].any(axis=0), np.bool_)
    names = [*image, *(term.name for term in terms)]
    constant = [one for one, kept in zip(names, varies, strict=True) if not kept]
    if constant and (unusable == "raise" or not varies.any()):
        raise UnusableColumnsError(f"constant, so they tell nothing: {', '.join(constant)}", constant)
    kept_image = tuple(one for one, kept in zip(image, varies[: len(image)], strict=True) if kept)
    kept_terms = tuple(one for one, kept in zip(terms, varies[len(image) :], strict=True) if kept)
    assert tumours.event is not None  # fits ask for an endpoint
    design = Design(matrix[:, varies], len(kept_image), tumours.event, tumours.patient, tumours.stage)
    return _Candidate(
        name, kept_image, kept_terms, levels_of(columns, kept_terms), design, tuple(constant),
        _notes(design, constant),
    )  # fmt: skip


def _notes(design: Design, constant: Sequence[str]) -> tuple[str, ...]:
    found = [f"set aside, constant: {', '.join(constant)}"] if constant else []
    least, columns = int(min(design.event.sum(), (~design.event).sum())), design.matrix.shape[1]
    each = least / columns
    said = (
        f"{least} tumours of the rarer outcome for {columns} {'columns' if columns > 1 else 'column'} ({each:.3g} each)"
    )
    return (*found, said if each >= FEW_EVENTS_PER_COLUMN else f"{said}: fewer than {FEW_EVENTS_PER_COLUMN:g}, lean on "
            "the penalty and on held-out figures alone")  # fmt: skip


def _unseen(
    design: Design, folds: int, inner_folds: int, ratios: tuple[float, ...], shares: Floats | None, seed: int
) -> tuple[Floats, tuple[Mapping[str, float], ...]]:
    """Each tumour's risk by the model that had not seen its patient, and what each fold picked."""
    rng = np.random.default_rng(seed)
    fold_of = patient_folds(design.patient, design.event, design.stage, folds, rng)
    inner_seeds = rng.integers(0, 2**31, folds)
    risk, picked = np.full(design.event.size, np.nan), []
    for (train, test), inner in zip(held_out(fold_of, folds), inner_seeds, strict=True):
        seen = design.take(train)
        choice = choose_penalty(seen, inner_folds, ratios, shares, np.random.default_rng(int(inner)))
        risk[test] = probability(fit_choice(seen, choice, shares).log_odds(design.matrix[test]))
        picked.append({"share": choice.share, "l1_ratio": choice.l1_ratio, "clinical_factor": choice.clinical_factor})
    return risk, tuple(picked)


def _resampled_fits(design: Design, strength: float, choice: Choice, bootstraps: int, seed: int) -> Floats:
    """Intercept and coefficients (b, 1 + p) on the scale of all tumours, fitted to resamples of patients."""
    columns, _, _ = standardised(design.matrix)
    penalty = Penalty(strength, choice.l1_ratio, design.factors(choice.clinical_factor))
    fits = []
    for rows in resamples(design.event.size, bootstraps, seed, design.patient):
        event = design.event[rows].astype(np.float64)
        if event.min() < event.max():
            fit = fit_logistic(columns[rows], event, penalty, optimal=1e-6)
            fits.append(np.concatenate([[fit.intercept], fit.beta]))
    return np.array(fits).reshape(len(fits), 1 + design.matrix.shape[1])


def _known_embedding(model: MetastasisModel, embedding: ArrayLike | Sequence[str] | None) -> Any:
    """What to read: nothing where the model takes no embedding, its own columns where none is named."""
    if not model.embedding:
        return ()
    return list(model.embedding) if embedding is None else embedding


def _matrix_of(model: MetastasisModel, tumours: Tumours) -> Floats:
    there = {name: j for j, name in enumerate(tumours.image_names)}
    gone = [name for name in model.embedding if name not in there]
    if gone:
        raise TumourTableError(f"the embedding lacks {gone[0]} ({len(gone)} in all), which the model needs")
    parts = [tumours.image[:, [there[name] for name in model.embedding]]] if model.embedding else []
    if model.terms:
        columns = {name: tumours.clinical[name] for name in model.covariates}
        parts.append(model_matrix(columns, model.terms, model.levels))
    return np.column_stack(parts)
