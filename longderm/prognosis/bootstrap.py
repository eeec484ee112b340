"""Optimism-corrected bootstrap: how much a model flatters itself on the patients it was fitted to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from longderm.prognosis.cox import ChiSquare, chi_square
from longderm.prognosis.errors import NotConvergedError, TooFewEventsError, UnusableColumnsError
from longderm.prognosis.figures import KINDS, survival_figures
from longderm.prognosis.follow_up import FollowUp, follow_up
from longderm.prognosis.nested_gain import NestedGain, nested_gain
from longderm.prognosis.resampled_cox import RiskModel, fit_risk_model
from longderm.prognosis.risk_sets import Ties
from longderm.prognosis.survival_times import Floats, Indices, SurvivalTimes

#: Figures of a model by name.
Figures = Mapping[str, float]


@dataclass(frozen=True)
class Candidate:
    """A model to be judged: its `columns` by name and their values `matrix` (n, p), and a ridge `penalty`."""

    name: str
    columns: tuple[str, ...]
    matrix: Floats
    penalty: float = 0.0


@dataclass(frozen=True)
class Corrected:
    """One figure: `apparent`, its mean `optimism`, `value` = apparent - optimism, and the 95% interval of value.

    The interval is that of the apparent figure over resamples, moved down by the optimism (location-shifted
    bootstrap: Noma, Shinozaki, Iba, Teramukai and Furukawa, Stat Med 2021). `used` counts the resamples.
    """

    apparent: float
    optimism: float
    value: float
    lower: float
    upper: float
    used: int


@dataclass(frozen=True)
class OptimismBootstrap:
    """Per candidate the corrected figures, the figures of every resample on itself and on the patients at hand
    (bootstraps, figures), NaN where the fit failed, their names, and how many resamples failed. `log_likelihood`
    (bootstraps + 1,) is that of the fits to the resamples, and last to all patients.
    """

    names: tuple[str, ...]
    on_itself: Mapping[str, Floats]
    on_original: Mapping[str, Floats]
    apparent: Mapping[str, Floats]
    failed: Mapping[str, int]
    log_likelihood: Mapping[str, Floats]

    def corrected(self, candidate: str) -> dict[str, Corrected]:
        """Every figure of a candidate."""
        return self._corrected(self.apparent[candidate], self.on_itself[candidate], self.on_original[candidate])

    def gain(self, candidate: str, over: str) -> dict[str, Corrected]:
        """Every figure of `candidate` less that of `over`, resample by resample."""
        pairs = (self.apparent, self.on_itself, self.on_original)
        apparent, itself, original = (pair[candidate] - pair[over] for pair in pairs)
        return self._corrected(apparent, itself, original)

    def nested(self, candidate: str, over: str, df: int) -> tuple[ChiSquare, dict[str, NestedGain]]:
        """The likelihood ratio test of the `df` columns that `candidate` has beyond `over`, and what they gain."""
        ratios = 2.0 * (self.log_likelihood[candidate] - self.log_likelihood[over])
        test = chi_square(max(float(ratios[-1]), 0.0), df)
        gains = self.on_itself[candidate] - self.on_itself[over]
        return test, {name: nested_gain(test, gains[:, j], ratios[:-1]) for j, name in enumerate(self.names)}

    def _corrected(self, apparent: Floats, itself: Floats, original: Floats) -> dict[str, Corrected]:
        result = {}
        for j, name in enumerate(self.names):
            both = np.isfinite(itself[:, j]) & np.isfinite(original[:, j])
            if not both.any() or not np.isfinite(apparent[j]):
                result[name] = Corrected(float(apparent[j]), *(float("nan"),) * 4, 0)
                continue
            optimism = float(np.mean(itself[both, j] - original[both, j]))
            low, high = np.quantile(itself[both, j], [0.025, 0.975]) - optimism
            value = float(apparent[j]) - optimism
            result[name] = Corrected(float(apparent[j]), optimism, value, float(low), float(high), int(both.sum()))
        return result


def optimism_bootstrap(
    data: SurvivalTimes,
    candidates: tuple[Candidate, ...],
    horizons: Floats,
    labels: tuple[str, ...],
    *,
    bootstraps: int,
    seed: int,
    patient: ArrayLike | None = None,
    ties: Ties = "efron",
    baseline: Ties | None = None,
    kinds: tuple[str, ...] = KINDS,
    progress: Callable[[int], None] | None = None,
) -> OptimismBootstrap:
    """Fit each candidate to `bootstraps` resamples of the patients and judge it there and on all patients.

    Harrell, Lee and Mark, Stat Med 1996. `patient` (n,) labels rows of one patient: patients are drawn, not rows. All
    candidates see the same resamples, so that differences are paired. A resample in which a candidate has no estimate
    is left out for it and counted. `horizons`, `labels` and `kinds` as `survival_figures` takes them, `baseline` as
    `fit_risk_model`. Strata have each their hazard; start-stop rows of a patient are judged as `follow_up` puts them.

    Raises what the fits to all patients and `follow_up` raise.
    """
    followed, strata = follow_up(data, patient), int(data.stratum.max()) + 1
    names: tuple[str, ...] = ()
    values = {one.name: np.full(bootstraps + 1, np.nan) for one in candidates}
    apparent: dict[str, Floats] = {}
    starts: dict[str, Floats] = {}
    for candidate in candidates:
        model = _fit(data, candidate, horizons, ties, baseline, strata)
        figures = judge(model, followed, candidate.matrix, labels, kinds)
        names, starts[candidate.name] = tuple(figures), model.beta
        apparent[candidate.name] = np.array(list(figures.values()))
        values[candidate.name][-1] = model.log_likelihood
    itself = {one.name: np.full((bootstraps, len(names)), np.nan) for one in candidates}
    original = {one.name: np.full((bootstraps, len(names)), np.nan) for one in candidates}
    failed = dict.fromkeys((one.name for one in candidates), 0)
    for b, rows in enumerate(resamples(len(data), bootstraps, seed, patient)):
        sample = followed.take(rows)
        for candidate in candidates:
            drawn = candidate.matrix[rows]
            try:
                one = Candidate(candidate.name, candidate.columns, drawn, candidate.penalty)
                model = _fit(sample.rows, one, horizons, ties, baseline, strata, starts[candidate.name])
            except (UnusableColumnsError, NotConvergedError, TooFewEventsError):
                failed[candidate.name] += 1
                continue
            values[candidate.name][b] = model.log_likelihood
            itself[candidate.name][b] = list(judge(model, sample, drawn, labels, kinds).values())
            original[candidate.name][b] = list(judge(model, followed, candidate.matrix, labels, kinds).values())
        if progress is not None:
            progress(b + 1)
    return OptimismBootstrap(names, itself, original, apparent, failed, values)


def resamples(rows: int, bootstraps: int, seed: int, patient: ArrayLike | None = None) -> Iterator[Indices]:
    """Row positions of each resample, ascending: as many patients as there are, drawn with replacement."""
    rng = np.random.default_rng(seed)
    if patient is None:
        for _ in range(bootstraps):
            yield np.sort(rng.integers(0, rows, rows))
        return
    labels = np.unique(np.asarray(patient), return_inverse=True)[1]
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(int(labels.max()) + 2))
    for _ in range(bootstraps):
        drawn = np.bincount(rng.integers(0, bounds.size - 1, bounds.size - 1), minlength=bounds.size - 1)
        yield np.sort(np.repeat(order, drawn[labels[order]])).astype(np.intp)


def judge(model: RiskModel, data: FollowUp, matrix: Floats, labels: tuple[str, ...], kinds: tuple[str, ...]) -> Figures:
    """The figures of a model on patients whose own censoring gives the weights."""
    predictor = model.predictor(matrix)
    if data.single and model.hazard.shape[0] == 1:
        survival = model.survival(predictor)
    else:
        survival = model.survival(predictor[data.first], data.rows.stratum[data.first])
    return survival_figures(data, data, predictor, survival, model.times, labels, kinds)


def _fit(
    data: SurvivalTimes,
    candidate: Candidate,
    horizons: Floats,
    ties: Ties,
    baseline: Ties | None,
    strata: int,
    start_at: Floats | None = None,
) -> RiskModel:
    return fit_risk_model(
        data,
        candidate.matrix,
        candidate.columns,
        horizons,
        start_at=start_at,
        ties=ties,
        baseline=baseline,
        penalty=candidate.penalty,
        strata=strata,
    )
