"""A survival model as plain JSON values and back: what is read predicts what was written, to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np

from longderm.prognosis.concordance import Concordance
from longderm.prognosis.cox import BaselineHazard, ChiSquare, CoxFit
from longderm.prognosis.errors import ModelFormatError
from longderm.prognosis.evaluation import plain
from longderm.prognosis.model_matrix import Term
from longderm.prognosis.proportional_hazards import HazardsCheck
from longderm.prognosis.survival_model import PER_YEAR, Outcome, SurvivalModel
from longderm.prognosis.survival_times import Floats

#: Raised whenever what is written changes; a file of another format is refused, never guessed at.
FORMAT = 1

T = TypeVar("T")


def model_to_json(model: SurvivalModel) -> dict[str, Any]:
    """The model as dictionaries, lists, texts and numbers (NaN is null).

    Kept are coefficients, covariances, baselines, ranges, levels, strata and tests; left out are the Schoenfeld
    residuals, of which there is one for each patient with the event.
    """
    fit = model.fit
    check = model.hazards_check
    written: dict[str, Any] = plain(
        {
            "format": FORMAT,
            "terms": [asdict(term) for term in model.terms],
            "levels": model.levels,
            "outcome": asdict(model.outcome),
            "ranges": model.ranges,
            "strata": model.strata,
            "left_out": model.left_out,
            "set_aside": model.set_aside,
            "notes": model.notes,
            "coefficients": fit.beta,
            "standard_errors": fit.standard_error,
            "covariance": fit.covariance,
            "naive_covariance": fit.naive_covariance,
            "robust": fit.robust,
            "log_likelihood": fit.log_likelihood,
            "tests": {
                name: _test(getattr(fit, name)) for name in ("likelihood_ratio", "wald", "score", "robust_score")
            },
            "concordance": fit.concordance,
            "baseline": fit.baseline,
            "center": fit.center,
            "rows": fit.rows,
            "events": fit.events,
            "ties": fit.ties,
            "penalty": fit.penalty,
            "steps": fit.steps,
            "proportional_hazards": None
            if check is None
            else {"tests": [_test(one) for one in check.tests], "overall": _test(check.overall)},
        }
    )
    return written


def model_from_json(written: Any) -> SurvivalModel:
    """The model that `model_to_json` wrote; its hazards check comes back without residuals.

    Raises ModelFormatError for another format and for parts that are missing, of the wrong kind or length.
    """
    if not isinstance(written, Mapping) or written.get("format") != FORMAT:
        raise ModelFormatError(f"this is no survival model of format {FORMAT}; fit it again with this longderm")
    try:
        model = _read(written)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ModelFormatError(f"the survival model is damaged ({type(error).__name__}: {error})") from None
    _check(model)
    return model


def _read(written: Mapping[str, Any]) -> SurvivalModel:
    terms = tuple(
        Term(_text(one["column"]), None if one["level"] is None else _text(one["level"])) for one in written["terms"]
    )
    columns, tests = tuple(term.name for term in terms), written["tests"]
    p = len(terms)
    fit = CoxFit(
        columns=columns,
        beta=_floats(written["coefficients"]),
        standard_error=_floats(written["standard_errors"]),
        covariance=_floats(written["covariance"]).reshape(p, p),
        naive_covariance=_floats(written["naive_covariance"]).reshape(p, p),
        robust=bool(written["robust"]),
        log_likelihood=(float(written["log_likelihood"][0]), float(written["log_likelihood"][1])),
        likelihood_ratio=_chi_square(tests["likelihood_ratio"]),
        wald=_chi_square(tests["wald"]),
        score=_chi_square(tests["score"]),
        robust_score=_chi_square(tests["robust_score"]),
        concordance=Concordance(**written["concordance"]),
        baseline=tuple(
            BaselineHazard(
                _floats(one["times"]),
                _floats(one["hazard"]),
                _floats(one["variance"]),
                _floats(one["drift"]).reshape(-1, p),
                float(one["last"]),
            )
            for one in written["baseline"]
        ),
        center=_floats(written["center"]),
        rows=int(written["rows"]),
        events=int(written["events"]),
        ties=written["ties"],
        penalty=float(written["penalty"]),
        steps=int(written["steps"]),
    )
    outcome = Outcome(**{**written["outcome"], "strata": _texts(written["outcome"]["strata"])})
    found = written["proportional_hazards"]
    check = None
    if found is not None:
        single = tuple(_known(_chi_square(one)) for one in found["tests"])
        check = HazardsCheck(columns, single, _known(_chi_square(found["overall"])), np.empty(0), np.empty((0, p)))
    return SurvivalModel(
        terms,
        {_text(name): _texts(levels) for name, levels in written["levels"].items()},
        fit,
        outcome,
        tuple((float(low), float(high)) for low, high in written["ranges"]),
        _texts(written["strata"]),
        int(written["left_out"]),
        _texts(written["set_aside"]),
        _texts(written["notes"]),
        check,
    )


def _check(model: SurvivalModel) -> None:
    p, fit = len(model.terms), model.fit
    lengths = {fit.beta.size, fit.standard_error.size, fit.center.size, len(model.ranges)}
    finite = [fit.beta, fit.center, np.array(model.ranges, np.float64)]
    finite += [part for one in fit.baseline for part in (one.times, one.hazard, one.variance, one.drift)]
    unequal = any(not one.times.size == one.hazard.size == one.variance.size == len(one.drift) for one in fit.baseline)
    if p == 0 or lengths != {p} or len(fit.baseline) != len(model.strata) or unequal:
        raise ModelFormatError("the survival model is damaged: its parts have unequal lengths")
    if not all(np.isfinite(part).all() for part in finite):
        raise ModelFormatError("the survival model is damaged: a coefficient, range or hazard is no number")
    known = np.isfinite(fit.covariance)
    if known.any() and not known.all():  # an elastic net has none
        raise ModelFormatError("the survival model is damaged: a covariance is no number")
    if any(np.diff(one.hazard).min(initial=0) < 0 or np.diff(one.times).min(initial=0) < 0 for one in fit.baseline):
        raise ModelFormatError("the survival model is damaged: a cumulative hazard falls")
    if model.outcome.time_unit not in PER_YEAR or any(
        t.level is not None and t.column not in model.levels for t in model.terms
    ):
        raise ModelFormatError("the survival model is damaged: its time unit or the levels of a text are not known")


def _test(test: ChiSquare | None) -> dict[str, float] | None:
    return None if test is None else {"statistic": test.statistic, "df": test.df, "p_value": test.p_value}


def _chi_square(found: Mapping[str, Any] | None) -> ChiSquare | None:
    if found is None:
        return None
    statistic, p_value = (np.nan if found[name] is None else float(found[name]) for name in ("statistic", "p_value"))
    return ChiSquare(statistic, int(found["df"]), p_value)


def _known(value: T | None) -> T:
    if value is None:
        raise ValueError("a test is missing")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is due")
    return value


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError("a list of texts is due")
    return tuple(_text(value) for value in values)


def _floats(values: Any) -> Floats:
    """Numbers, null being NaN, as float64."""
    return np.array(values, dtype=np.float64)
