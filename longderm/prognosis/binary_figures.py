"""The figures of predicted probabilities of a yes or no: discrimination, calibration, error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from longderm.prognosis.bootstrap import resamples
from longderm.prognosis.elastic_net_logistic import probability
from longderm.prognosis.insufficient import FEWEST_EVENTS
from longderm.prognosis.kaplan_meier import Z95
from longderm.prognosis.rank_counts import dense_ranks
from longderm.prognosis.risk_groups import column_levels
from longderm.prognosis.survival_times import Flags, Floats, Indices

#: Probabilities are kept this far from 0 and 1 before their log odds are taken.
EDGE = 1e-9
#: Slopes beyond this are separation: no finite estimate.
STEEPEST = 50.0


@dataclass(frozen=True)
class Interval:
    """A figure with its 95% interval (percentiles of the resamples) and how many resamples gave it."""

    value: float
    lower: float
    upper: float
    used: int


@dataclass(frozen=True)
class ProbabilityCurve:
    """Calibration in groups of equal size (g,), from the lowest predicted risk: mean `predicted`, `observed` share
    with its 95% interval (Wilson, JASA 1927), `patients` (here tumours) and `events`.
    """

    predicted: Floats
    observed: Floats
    observed_lower: Floats
    observed_upper: Floats
    patients: Indices
    events: Indices


@dataclass(frozen=True)
class MetastasisSubgroup:
    """The tumours with one value of a column: AUROC with its interval and observed over predicted events; all None
    with `insufficient`, that is fewer than 20 events, or fewer than 20 tumours without.
    """

    column: str
    value: str
    tumours: int
    events: int
    insufficient: bool
    auroc: Interval | None
    observed_expected: float | None


def binary_figures(risk: Floats, event: Flags, specificity: float) -> dict[str, float]:
    """Figures of `risk` (n,) in [0, 1]; NaN where these tumours do not allow one.

    `auroc` (ties half); `brier`; `calibration_slope` of a logistic regression on the log odds (ideal 1, below:
    predictions too extreme) and `calibration_in_the_large`, its intercept at slope 1 (ideal 0, below: risks too high;
    Cox, Biometrika 1958; Van Calster et al., BMC Med 2019); `observed_expected` events; `sensitivity` at the least
    threshold whose specificity is not below `specificity`.
    """
    odds = log_odds(risk)
    y = event.astype(np.float64)
    expected = float(risk.sum())
    return {
        "auroc": auroc(risk, event),
        "brier": float(((risk - y) ** 2).mean()),
        "calibration_slope": recalibrate(odds, y)[1],
        "calibration_in_the_large": intercept_at_slope_one(odds, y),
        "observed_expected": float(y.sum()) / expected if expected > 0 else float("nan"),
        "sensitivity": sensitivity_at(risk, event, specificity)[0],
    }


def auroc(risk: Floats, event: Flags) -> float:
    """Probability that a tumour with the event has the higher risk, ties half; NaN where one kind is missing."""
    ranks, top = dense_ranks(risk)
    cases, controls = (np.bincount(ranks[flags], minlength=top) for flags in (event, ~event))
    if not cases.any() or not controls.any():
        return float("nan")
    below = np.cumsum(controls) - controls
    return float(cases @ (below + controls / 2.0) / (cases.sum() * controls.sum()))


def sensitivity_at(risk: Floats, event: Flags, specificity: float) -> tuple[float, float]:
    """Sensitivity of "risk above the threshold" and that threshold: a risk among those without the event."""
    if not event.any() or event.all():
        return float("nan"), float("nan")
    others = np.sort(risk[~event])
    # at least this many of those without the event must lie at or below the threshold
    needed = max(int(np.ceil(specificity * others.size - 1e-9)), 1)
    threshold = float(others[needed - 1])
    return float((risk[event] > threshold).mean()), threshold


def log_odds(risk: Floats) -> Floats:
    """Log odds of probabilities, finite."""
    kept = np.clip(risk, EDGE, 1.0 - EDGE)
    return np.log(kept) - np.log1p(-kept)


def recalibrate(odds: Floats, y: Floats) -> tuple[float, float]:
    """Intercept and slope of a logistic regression of `y` on `odds` (n,); NaN without a finite estimate."""
    if y.min() == y.max() or np.ptp(odds) == 0:
        return float("nan"), float("nan")
    center, spread = float(odds.mean()), float(odds.std())
    columns = np.column_stack([np.ones(y.size), (odds - center) / spread])
    beta = np.array([np.log(y.mean() / (1 - y.mean())), 0.0])
    for _ in range(50):
        fitted = probability(columns @ beta)
        information = (columns * (fitted * (1.0 - fitted))[:, None]).T @ columns
        if np.linalg.cond(information) > 1e12:
            return float("nan"), float("nan")
        step = np.linalg.solve(information, columns.T @ (y - fitted))
        length = min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-300))
        beta = beta + length * step
        if float(np.abs(step).max()) < 1e-10:
            break
    else:
        return float("nan"), float("nan")
    if abs(float(beta[1])) > STEEPEST:
        return float("nan"), float("nan")
    slope = float(beta[1]) / spread
    return float(beta[0]) - slope * center, slope


def intercept_at_slope_one(odds: Floats, y: Floats) -> float:
    """The constant that, added to the log odds, makes the expected events those observed; NaN for all or none."""
    if y.min() == y.max():
        return float("nan")
    low, high = -50.0, 50.0
    for _ in range(100):  # bisection: the expected events rise with the constant
        middle = (low + high) / 2.0
        low, high = (middle, high) if float(probability(odds + middle).sum()) < float(y.sum()) else (low, middle)
    return (low + high) / 2.0


def probability_curve(risk: Floats, event: Flags, groups: int) -> ProbabilityCurve:
    """Observed against predicted in groups of equal size; equal risks stay together, so there may be fewer."""
    edges = np.unique(np.quantile(risk, np.linspace(0, 1, groups + 1)[1:-1]))
    label = np.unique(np.searchsorted(edges, risk, side="left"), return_inverse=True)[1]
    size = np.bincount(label)
    events = np.bincount(label[event], minlength=size.size)
    share = events / size
    scale = 1.0 + Z95**2 / size
    middle = (share + Z95**2 / (2 * size)) / scale
    half = Z95 / scale * np.sqrt(share * (1 - share) / size + Z95**2 / (4 * size**2))
    lower, upper = np.maximum(0.0, middle - half), np.minimum(1.0, middle + half)
    return ProbabilityCurve(
        np.bincount(label, risk) / size, share, lower, upper, size.astype(np.intp), events.astype(np.intp)
    )


def resampled_figures(
    risks: Mapping[str, Floats], event: Flags, patient: Indices, specificity: float, bootstraps: int, seed: int
) -> tuple[tuple[str, ...], dict[str, Floats], dict[str, Floats]]:
    """Figures' names, and per model the figures (k,) and those of resamples of patients (bootstraps, k), paired."""
    at_hand = {name: binary_figures(risk, event, specificity) for name, risk in risks.items()}
    names = tuple(next(iter(at_hand.values())))
    drawn: dict[str, list[list[float]]] = {name: [] for name in risks}
    for rows in resamples(event.size, bootstraps, seed, patient):
        for name, risk in risks.items():
            drawn[name].append(list(binary_figures(risk[rows], event[rows], specificity).values()))
    values = {name: np.array(list(found.values())) for name, found in at_hand.items()}
    return names, values, {name: np.array(rows).reshape(bootstraps, len(names)) for name, rows in drawn.items()}


def intervals(names: tuple[str, ...], values: Floats, drawn: Floats) -> dict[str, Interval]:
    """Each figure of `values` (k,) with the percentiles of `drawn` (b, k)."""
    found = {}
    for j, name in enumerate(names):
        known = drawn[np.isfinite(drawn[:, j]), j]
        low, high = np.quantile(known, [0.025, 0.975]) if known.size else (np.nan, np.nan)
        found[name] = Interval(float(values[j]), float(low), float(high), int(known.size))
    return found


def metastasis_subgroups(
    risk: Floats, event: Flags, patient: Indices, name: str, column: np.ndarray, bootstraps: int, seed: int
) -> list[MetastasisSubgroup]:
    """Figures by the values of a `column` (n,); missing is a value too."""
    found = []
    for value, rows in column_levels(column):
        part, yes = risk[rows], event[rows]
        size, events = int(rows.sum()), int(yes.sum())
        if min(events, size - events) < FEWEST_EVENTS:
            found.append(MetastasisSubgroup(name, value, size, events, True, None, None))
            continue
        drawn = np.array([auroc(part[r], yes[r]) for r in resamples(size, bootstraps, seed, patient[rows])])
        interval = intervals(("auroc",), np.array([auroc(part, yes)]), drawn[:, None])["auroc"]
        found.append(MetastasisSubgroup(name, value, size, events, False, interval, float(events / part.sum())))
    return found
