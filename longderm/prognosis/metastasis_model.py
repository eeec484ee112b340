"""A metastasis model as a value: coefficients with what they were made on, to and from plain dictionaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from longderm.prognosis.elastic_net_logistic import probability
from longderm.prognosis.errors import ModelFormatError
from longderm.prognosis.evaluation import plain
from longderm.prognosis.model_matrix import Term
from longderm.prognosis.survival_times import Floats

#: What a saved model says of itself; the number rises with every change of its fields.
FORMAT = "longderm.metastasis/1"


@dataclass(frozen=True, eq=False)
class MetastasisModel:
    """Elastic-net logistic regression of an endpoint on d embedding values and the terms of clinical covariates.

    log odds = `intercept` + sum of `coefficients` * (x - `center`) / `scale`, all float64 (p,), the embedding first;
    photos of a tumour are averaged before. `resampled` (b, 1 + p): intercept and coefficients fitted to resamples of
    patients at the same penalty, for intervals. `ranges`: least and largest value met. `penalty`, `l1_ratio` and
    `clinical_factor` (the clinical columns' share of the penalty) were picked by grouped cross-validation.
    `set_aside`: columns that do not vary. `left_out`: photos with missing values. `notes`: what a reader must be told.
    """

    endpoint: str
    embedding: tuple[str, ...]
    terms: tuple[Term, ...]
    levels: Mapping[str, tuple[str, ...]]
    intercept: float
    coefficients: Floats
    center: Floats
    scale: Floats
    ranges: tuple[tuple[float, float], ...]
    resampled: Floats
    penalty: float
    l1_ratio: float
    clinical_factor: float
    tumours: int
    patients: int
    events: int
    left_out: int
    set_aside: tuple[str, ...]
    seed: int
    notes: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the p columns."""
        return (*self.embedding, *(term.name for term in self.terms))

    @property
    def covariates(self) -> tuple[str, ...]:
        """The table's clinical columns that it needs, in order."""
        return tuple(dict.fromkeys(term.column for term in self.terms))

    def log_odds(self, matrix: Floats) -> Floats:
        """Of tumours (n, p) -> (n,)."""
        return self.intercept + ((matrix - self.center) / self.scale) @ self.coefficients

    def risk_interval(self, matrix: Floats) -> tuple[Floats, Floats]:
        """95% interval (n,), (n,) of the risk of tumours (n, p): percentiles over the resampled fits; NaN without.

        It holds the uncertainty of the coefficients at the picked penalty, not that of picking it.
        """
        if not self.resampled.shape[0]:
            unknown = np.full(matrix.shape[0], np.nan)
            return unknown, unknown.copy()
        odds = self.resampled[:, :1] + self.resampled[:, 1:] @ ((matrix - self.center) / self.scale).T
        low, high = np.quantile(probability(odds), [0.025, 0.975], axis=0)
        return np.asarray(low, np.float64), np.asarray(high, np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Dictionaries, lists, numbers and texts, as JSON knows them; `from_dict` gives back an equal model."""
        return {"format": FORMAT, **plain(self)}

    @staticmethod
    def from_dict(saved: Mapping[str, Any]) -> MetastasisModel:
        """The model of a dictionary; raises ModelFormatError where it is another format's, incomplete or damaged."""
        if not isinstance(saved, Mapping) or saved.get("format") != FORMAT:
            found = saved.get("format") if isinstance(saved, Mapping) else type(saved).__name__
            raise ModelFormatError(f"not a metastasis model of this release: {found!r} instead of {FORMAT!r}")
        try:
            model = MetastasisModel(
                endpoint=str(saved["endpoint"]),
                embedding=_texts(saved["embedding"]),
                terms=tuple(Term(one["column"], one["level"]) for one in saved["terms"]),
                levels={name: _texts(levels) for name, levels in saved["levels"].items()},
                intercept=float(saved["intercept"]),
                coefficients=np.array(saved["coefficients"], np.float64),
                center=np.array(saved["center"], np.float64),
                scale=np.array(saved["scale"], np.float64),
                ranges=tuple((float(low), float(high)) for low, high in saved["ranges"]),
                resampled=np.array(saved["resampled"], np.float64),
                penalty=float(saved["penalty"]),
                l1_ratio=float(saved["l1_ratio"]),
                clinical_factor=float(saved["clinical_factor"]),
                tumours=int(saved["tumours"]),
                patients=int(saved["patients"]),
                events=int(saved["events"]),
                left_out=int(saved["left_out"]),
                set_aside=_texts(saved["set_aside"]),
                seed=int(saved["seed"]),
                notes=_texts(saved["notes"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelFormatError(f"a damaged metastasis model ({type(error).__name__}: {error})") from None
        return _checked(model)


def _texts(values: Sequence[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


def _checked(model: MetastasisModel) -> MetastasisModel:
    p = len(model.columns)
    if model.resampled.size == 0:
        object.__setattr__(model, "resampled", np.zeros((0, p + 1)))
    shapes = {name: getattr(model, name).shape for name in ("coefficients", "center", "scale")}
    wrong = [name for name, shape in shapes.items() if shape != (p,)]
    if wrong or len(model.ranges) != p or model.resampled.shape[1:] != (p + 1,):
        raise ModelFormatError(
            f"a damaged metastasis model: {p} columns and other lengths of {', '.join(wrong) or 'ranges'}"
        )
    numbers = np.concatenate(
        [model.coefficients, model.center, model.scale, model.resampled.ravel(), [model.intercept]]
    )
    if not np.isfinite(numbers).all() or not (model.scale > 0).all():
        raise ModelFormatError("a damaged metastasis model: numbers are missing or a scale is not above 0")
    return model
