"""Patients in groups of predicted risk: survival of each, their log-rank test and hazard ratios."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import numpy as np

from longderm.prognosis.concordance import harrell_c
from longderm.prognosis.cox import fit_cox
from longderm.prognosis.errors import NoComparablePairsError, NotConvergedError, UnusableColumnsError
from longderm.prognosis.insufficient import FEWEST_EVENTS, too_few_at
from longderm.prognosis.kaplan_meier import Z95, kaplan_meier
from longderm.prognosis.log_rank import log_rank
from longderm.prognosis.model_matrix import missing_values
from longderm.prognosis.survival_times import Flags, Floats, SurvivalTimes

#: A numeric column with more values than this is cut into thirds to make subgroups.
MOST_VALUES = 6

#: Metadata of a field that `SurvivalEvaluation.to_dict` leaves out.
NOT_TOLD = "not told"


@dataclass(frozen=True)
class RiskGroup:
    """One group, from the lowest risk: size, events, mean predicted risk, Kaplan-Meier survival at the horizons with
    its 95% interval (k,), NaN past the group's follow-up, and the hazard ratio against the lowest group (None there).
    `follow_up` is for pictures: it is told of patients one by one and goes into no report.
    """

    label: str
    patients: int
    events: int
    predicted_risk: float
    survival: Floats
    survival_lower: Floats
    survival_upper: Floats
    hazard_ratio: float | None
    hazard_ratio_lower: float | None
    hazard_ratio_upper: float | None
    follow_up: SurvivalTimes = field(repr=False, compare=False, metadata={NOT_TOLD: True})


@dataclass(frozen=True)
class RiskGroups:
    """The groups with the log-rank test between them; chi-square None with one group only."""

    groups: tuple[RiskGroup, ...]
    chi_square: float | None
    degrees_of_freedom: int
    p_value: float | None


@dataclass(frozen=True)
class Subgroup:
    """Figures of the patients with one value of a column: C with its 95% interval and observed over predicted risk at
    the horizon; all None with `insufficient`, that is fewer than `FEWEST_EVENTS` events. The latter is None also where
    too few had the event by the horizon or are followed beyond it (`too_few_at`), or where there is no horizon.
    """

    column: str
    value: str
    patients: int
    events: int
    insufficient: bool
    harrell_c: float | None
    harrell_c_lower: float | None
    harrell_c_upper: float | None
    observed_expected: float | None


def risk_groups(data: SurvivalTimes, risk: Floats, groups: int, horizons: Floats) -> RiskGroups:
    """Cut `risk` (n,) at its quantiles into `groups` and compare them across strata; equal risks stay together."""
    data = replace(data, stratum=np.zeros(len(data), np.intp))
    edges = np.unique(np.quantile(risk, np.linspace(0, 1, groups + 1)[1:-1]))
    labels = np.unique(np.searchsorted(edges, risk, side="left"), return_inverse=True)[1]
    count = int(labels.max()) + 1
    ratios: list[tuple[float | None, float | None, float | None]] = [(None, None, None)] * count
    test = log_rank(data, labels) if count > 1 and data.events else None
    if count > 1 and data.events:
        names = [f"group {g + 1}" for g in range(1, count)]
        try:
            fit = fit_cox(data, (labels[:, None] == np.arange(1, count)).astype(np.float64), names)
            for g, (beta, error) in enumerate(zip(fit.beta, fit.standard_error, strict=True), start=1):
                ratios[g] = tuple(float(np.exp(beta + side * Z95 * error)) for side in (0, -1, 1))  # type: ignore[assignment]
        except (UnusableColumnsError, NotConvergedError):
            pass  # a group without events: no ratio, the curves say it
    found = []
    for g in range(count):
        part = data.take(labels == g)
        curve = kaplan_meier(part)
        rows = curve.rows_at(horizons)
        known = (horizons <= curve.times[-1]) | (curve.survival[-1] == 0)
        survival, lower, upper = (
            np.where(known, np.where(rows < 0, 1.0, values[np.maximum(rows, 0)]), np.nan)
            for values in (curve.survival, curve.lower, curve.upper)
        )
        mean = float(risk[labels == g].mean())
        found.append(
            RiskGroup(f"{g + 1} of {count}", len(part), part.events, mean, survival, lower, upper, *ratios[g], part)
        )
    if test is None:
        return RiskGroups(tuple(found), None, 0, None)
    return RiskGroups(tuple(found), test.chi_square, test.degrees_of_freedom, test.p_value)


def subgroups(data: SurvivalTimes, risk: Floats, time: float | None, name: str, column: np.ndarray) -> list[Subgroup]:
    """Figures by the values of a `column` (n,) for `risk` (n,) of the event by `time`; missing is a value too.

    `time` None: the risk only ranks. C compares within the strata of `data`.
    """
    found = []
    for value, rows in column_levels(column):
        part = data.take(rows)
        if part.events < FEWEST_EVENTS:
            found.append(Subgroup(name, value, len(part), part.events, True, None, None, None, None))
            continue
        value_of_c: float | None = None
        lower: float | None = None
        upper: float | None = None
        try:
            c = harrell_c(part, risk[rows])
            half = Z95 * (c.standard_error or 0.0)
            value_of_c, lower, upper = c.value, max(0.0, c.value - half), min(1.0, c.value + half)
        except NoComparablePairsError:
            pass  # nobody outlives a failure: the other figures stand
        ratio: float | None = None
        if time is not None and too_few_at(part, time) is None:
            curve = kaplan_meier(part)
            ratio = (1.0 - float(curve.survival[curve.rows_at([time])[0]])) / float(risk[rows].mean())
        found.append(Subgroup(name, value, len(part), part.events, False, value_of_c, lower, upper, ratio))
    return found


def column_levels(column: np.ndarray) -> list[tuple[str, Flags]]:
    """The values of a column (n,) by name with the rows that hold each; numbers of many values in thirds."""
    missing = missing_values(column)
    values = column[~missing]
    found: list[tuple[str, Flags]] = []
    if values.dtype.kind in "fiu" and np.unique(values).size > MOST_VALUES:
        edges = np.unique(np.quantile(values, [1 / 3, 2 / 3]))
        bounds = [-np.inf, *edges.tolist(), np.inf]
        numbers = np.where(missing, np.nan, column.astype(np.float64))
        for low, high in itertools.pairwise(bounds):
            name = f"<= {high:.4g}" if low == -np.inf else f"> {low:.4g}" + (f" to {high:.4g}" if high < np.inf else "")
            found.append((name, (numbers > low) & (numbers <= high)))
        found = [(name, rows) for name, rows in found if rows.any()]
    else:
        text = np.array([str(value) for value in column])
        found = [(value, (text == value) & ~missing) for value in sorted(set(text[~missing].tolist()))]
    return [*found, ("missing", missing)] if missing.any() else found
