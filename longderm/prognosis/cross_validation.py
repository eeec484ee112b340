"""Repeated cross-validation of survival models, with intervals that know the folds share patients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from longderm.prognosis.bootstrap import Candidate
from longderm.prognosis.errors import (
    NotConvergedError,
    SurvivalTimesError,
    TooFewEventsError,
    UnusableColumnsError,
)
from longderm.prognosis.figures import KINDS, survival_figures
from longderm.prognosis.follow_up import follow_up
from longderm.prognosis.resampled_cox import fit_risk_model
from longderm.prognosis.risk_sets import Ties
from longderm.prognosis.survival_times import Floats, Indices, SurvivalTimes


@dataclass(frozen=True)
class FoldMean:
    """The mean of a figure over folds with its 95% interval, and how many folds gave it.

    The interval is t with the variance times (1 / folds used + test share / train share): folds share their training
    patients, which a plain one would ignore (Nadeau and Bengio, Mach Learn 2003; Bouckaert and Frank, PAKDD 2004).
    """

    value: float
    lower: float
    upper: float
    used: int


@dataclass(frozen=True)
class CrossValidation:
    """Figures per fold of each candidate (folds x repeats, figures), NaN where there is none, and, of the first
    repeat, each row's predictions by the model that had not seen its patient: `risk` (n, k) at the horizons.
    """

    names: tuple[str, ...]
    folds: int
    figures: Mapping[str, Floats]
    risk: Mapping[str, Floats]
    failed: Mapping[str, int]

    def means(self, candidate: str) -> dict[str, FoldMean]:
        """Every figure of a candidate."""
        return self._means(self.figures[candidate])

    def gain(self, candidate: str, over: str) -> dict[str, FoldMean]:
        """Every figure of `candidate` less that of `over`, fold by fold."""
        return self._means(self.figures[candidate] - self.figures[over])

    def _means(self, values: Floats) -> dict[str, FoldMean]:
        return {name: fold_mean(values[:, j], self.folds) for j, name in enumerate(self.names)}


def fold_mean(values: Floats, folds: int) -> FoldMean:
    """Mean and corrected interval of a figure's values (m,) over folds of `folds`-fold cross-validation."""
    from scipy.stats import t

    known = values[np.isfinite(values)]
    if known.size < 2:
        return FoldMean(float(known[0]) if known.size else float("nan"), float("nan"), float("nan"), int(known.size))
    error = np.sqrt(known.var(ddof=1) * (1.0 / known.size + 1.0 / (folds - 1)))
    half = float(t.ppf(0.975, known.size - 1) * error)
    mean = float(known.mean())
    return FoldMean(mean, mean - half, mean + half, int(known.size))


def cross_validate(
    data: SurvivalTimes,
    candidates: tuple[Candidate, ...],
    horizons: Floats,
    labels: tuple[str, ...],
    *,
    folds: int,
    repeats: int,
    seed: int,
    patient: ArrayLike | None = None,
    ties: Ties = "efron",
    kinds: tuple[str, ...] = KINDS,
) -> CrossValidation:
    """Fit on all folds but one, judge on that one; `repeats` times with new folds.

    Folds hold equal shares of events, and rows of one `patient` (n,) stay together. Censoring weights come from the
    training folds. Strata and start-stop rows as `optimism_bootstrap` takes them. Raises SurvivalTimesError for fewer
    than 2 folds, TooFewEventsError for fewer events than folds.
    """
    if folds < 2 or repeats < 1:
        raise SurvivalTimesError(f"{folds} folds and {repeats} repeats; at least 2 and 1 are needed")
    if data.events < 2 * folds:
        raise TooFewEventsError(f"{data.events} events for {folds} folds; two events per fold are the least")
    followed, strata = follow_up(data, patient), int(data.stratum.max()) + 1
    collected: dict[str, list[dict[str, float]]] = {one.name: [] for one in candidates}
    risk = {one.name: np.full((len(data), horizons.size), np.nan) for one in candidates}
    failed = dict.fromkeys(collected, 0)
    for turn, (train, test) in enumerate(splits(data, folds, repeats, seed, patient)):
        seen, held = followed.take(train), followed.take(test)
        for candidate in candidates:
            try:
                model = fit_risk_model(
                    seen.rows, candidate.matrix[train], candidate.columns, horizons, ties=ties,
                    penalty=candidate.penalty, strata=strata,
                )  # fmt: skip
            except (UnusableColumnsError, NotConvergedError, TooFewEventsError):
                failed[candidate.name] += 1
                collected[candidate.name].append({})
                continue
            predictor = model.predictor(candidate.matrix[test])
            survival = model.survival(predictor, held.rows.stratum)
            collected[candidate.name].append(
                survival_figures(seen, held, predictor, survival[held.first], horizons, labels, kinds)
            )
            if turn < folds:
                risk[candidate.name][test] = 1.0 - survival
    names = tuple(next((one for rows in collected.values() for one in rows if one), {}))
    figures = {
        name: np.array([[row.get(key, np.nan) for key in names] for row in rows]) for name, rows in collected.items()
    }
    return CrossValidation(names, folds, figures, risk, failed)


def splits(
    data: SurvivalTimes, folds: int, repeats: int, seed: int, patient: ArrayLike | None = None
) -> Iterator[tuple[Indices, Indices]]:
    """Rows to fit and rows to judge, fold by fold: patients with events dealt out first, the rest after."""
    rng = np.random.default_rng(seed)
    labels = np.arange(len(data)) if patient is None else np.unique(np.asarray(patient), return_inverse=True)[1]
    count = int(labels.max()) + 1
    with_event = np.bincount(labels[data.event], minlength=count) > 0
    for _ in range(repeats):
        shuffled = rng.permutation(count)
        dealt = np.concatenate([shuffled[with_event[shuffled]], shuffled[~with_event[shuffled]]])
        fold_of = np.empty(count, np.intp)
        fold_of[dealt] = np.arange(count) % folds
        for fold in range(folds):
            held = fold_of[labels] == fold
            yield np.flatnonzero(~held), np.flatnonzero(held)
