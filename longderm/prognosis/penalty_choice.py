"""Which penalty a logistic model takes: grouped cross-validation inside the patients it is fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from longderm.prognosis.elastic_net_logistic import LogisticFit, fit_path, largest_penalty, log_loss
from longderm.prognosis.patient_folds import held_out, patient_folds
from longderm.prognosis.survival_times import Flags, Floats, Indices

#: Strengths tried, as shares of the least one that sets every coefficient to 0; the longer row with fewer columns than
#: tumours (the two ends are those of Friedman, Hastie and Tibshirani, J Stat Softw 2010, one decade up).
SHARES_WIDE = np.round(np.logspace(0, -1.5, 8), 6)
SHARES_LONG = np.round(np.logspace(0, -3, 10), 6)
#: Mixes tried: near ridge, half, lasso.
L1_RATIOS = (0.1, 0.5, 1.0)
#: Shares of the penalty that clinical columns bear beside an embedding: a handful of strong columns would be shrunk for
#: hundreds of weak ones (Boulesteix, De Bin, Jiang and Fuchs, Comput Math Methods Med 2017).
CLINICAL_FACTORS = (1.0, 0.1)
#: Gradient at which a fit that only picks a penalty may stop: it moves the log loss by less than 1e-6.
NEAR_ENOUGH = 1e-5


@dataclass(frozen=True)
class Design:
    """Tumours as numbers: `matrix` (n, p), of which the first `image_columns` are the embedding; `event` (n,),
    `patient` (n,), `stage` (n,) or None.
    """

    matrix: Floats
    image_columns: int
    event: Flags
    patient: Indices
    stage: Indices | None

    def take(self, rows: Indices) -> Design:
        """The tumours at these positions; repeats are allowed."""
        stage = None if self.stage is None else self.stage[rows]
        return Design(self.matrix[rows], self.image_columns, self.event[rows], self.patient[rows], stage)

    def factors(self, clinical: float) -> Floats:
        """The columns' shares of the penalty (p,), where clinical ones bear `clinical`."""
        return np.where(np.arange(self.matrix.shape[1]) < self.image_columns, 1.0, clinical)


@dataclass(frozen=True)
class Choice:
    """The picked share of the strongest useful penalty, mix, clinical factor, and their held-out log loss a tumour."""

    share: float
    l1_ratio: float
    clinical_factor: float
    log_loss: float


@dataclass(frozen=True)
class Fitted:
    """A fit on columns of zero mean and unit spread, with the centre and scale (p,) that make them so."""

    fit: LogisticFit
    center: Floats
    scale: Floats
    penalty: float

    def log_odds(self, matrix: Floats) -> Floats:
        """Of tumours (n, p) -> (n,)."""
        return self.fit.log_odds((matrix - self.center) / self.scale)


def standardised(matrix: Floats) -> tuple[Floats, Floats, Floats]:
    """The matrix with mean 0 and population spread 1, centre and scale (p,); a constant column becomes 0."""
    center, scale = matrix.mean(axis=0), matrix.std(axis=0)
    flat = scale <= 1e-12 * np.maximum(np.abs(center), 1e-300)
    scale = np.where(flat, 1.0, scale)
    return np.where(flat, 0.0, (matrix - center) / scale), center, scale


def choose_penalty(
    design: Design, folds: int, l1_ratios: tuple[float, ...], shares: Floats | None, rng: np.random.Generator
) -> Choice:
    """The penalty with the least held-out log loss over `folds` grouped and stratified folds; the stronger if equal.

    Raises what `patient_folds` raises.
    """
    ladder = _ladder(design, shares)
    fold_of = patient_folds(design.patient, design.event, design.stage, folds, rng)
    mixed = 0 < design.image_columns < design.matrix.shape[1]
    tried = []
    for factor, ratio in product(CLINICAL_FACTORS if mixed else (1.0,), l1_ratios):
        losses = np.zeros(ladder.size)
        for train, test in held_out(fold_of, folds):
            columns, center, scale = standardised(design.matrix[train])
            event, factors = design.event[train].astype(np.float64), design.factors(factor)
            top = largest_penalty(columns, event, ratio, factors)
            held = (design.matrix[test] - center) / scale
            truth = design.event[test].astype(np.float64)
            path = fit_path(columns, event, max(top, 1e-12) * ladder, ratio, factors, NEAR_ENOUGH)
            losses += [float(log_loss(fit.log_odds(held), truth).sum()) for fit in path]
        best = int(np.argmin(np.round(losses / design.event.size, 9)))
        tried.append(Choice(float(ladder[best]), ratio, factor, float(losses[best]) / design.event.size))
    return min(tried, key=lambda one: round(one.log_loss, 9))


def fit_choice(design: Design, choice: Choice, shares: Floats | None) -> Fitted:
    """Fit all tumours of a design at a chosen penalty."""
    ladder = _ladder(design, shares)
    columns, center, scale = standardised(design.matrix)
    event, factors = design.event.astype(np.float64), design.factors(choice.clinical_factor)
    top = max(largest_penalty(columns, event, choice.l1_ratio, factors), 1e-12)
    path = fit_path(columns, event, top * ladder[ladder >= choice.share], choice.l1_ratio, factors)
    return Fitted(path[-1], center, scale, top * choice.share)


def _ladder(design: Design, shares: Floats | None) -> Floats:
    if shares is not None:
        return shares
    return SHARES_LONG if design.matrix.shape[1] < design.event.size else SHARES_WIDE
