"""How melanoma-like a lesion's evolution is: a small logistic on the measured differences of one pair.

Not the change score, which asks whether anything changed beyond the noise, but in what way it did. Melanomas grow
unevenly, lose symmetry, get colours and lose structure; growing naevi enlarge as they are (Kittler et al. 2000, Arch
Dermatol 136:316; Kittler et al. 2006, doi 10.1001/archderm.142.9.1113). Every difference enters in units of its minimal
detectable change, so that noise counts little, and only as the difference of two visits: looks are not asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from longderm.change.evidence import DECIMALS
from longderm.change.result import Delta

#: A difference of more minimal detectable changes than this counts as this many: masks that failed do not decide.
CLIP_MDC = 3.0
#: Months at which the interval adds nothing: short-term monitoring.
SHORT_TERM_MONTHS = 3.0

#: Differences of which more is never less melanoma-like: the ABCD of evolution (Abbasi et al. 2004, doi
#: 10.1001/jama.292.22.2771: asymmetry, border, colour, diameter, evolving). What has a sign counts with it.
RISING = (
    "area",
    "asymmetry_colour",
    "asymmetry_shape",
    "border_asymmetry",
    "border_irregularity",
    "colour_border",
    "colour_count",
    "colour_local",
    "colour_variegation",
    "structure_pattern",
    "structure_uneven",
)
#: Differences that point either way: a lesion as a whole darker or redder may be tanned or irritated.
EITHER_WAY = ("dark_fraction", "delta_a", "delta_b", "delta_lightness", "structure_energy")
#: Without these, no lesion's evolution is judged: size, symmetry of growth, colour and structure each need one.
REQUIRED = ("area", "border_asymmetry", "colour_local", "structure_uneven")
#: Name of the interval's weight, per doubling of the interval over SHORT_TERM_MONTHS; never positive, since the same
#: difference over a longer time is a slower one.
INTERVAL = "interval"
#: Names of all inputs, in the order of `inputs_of`.
INPUTS = (*RISING, *EITHER_WAY, INTERVAL)


@dataclass(frozen=True)
class EvolutionModel:
    """The field "evolution" of a change release's config.

    weights: per input; bias; typical: per difference its value in MDC on benign lesions, for where it is missing.
    """

    weights: Mapping[str, float]
    bias: float
    typical: Mapping[str, float]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> EvolutionModel | None:
        """Of the config.json of a release of kind "change"; None for one without it: it has no such score."""
        told = config.get("evolution")
        if told is None:
            return None
        weights = {name: float(told["weights"].get(name, 0.0)) for name in INPUTS}
        typical = {name: float(told["typical"][name]) for name in (*RISING, *EITHER_WAY)}
        return cls(weights, float(told["bias"]), typical)


@dataclass(frozen=True)
class Evolution:
    """How melanoma-like the evolution between two visits is.

    score: 0 to 1, as likely a melanoma's as that among as many melanomas as benign lesions; no probability for a
    patient, None where it is not known; leading: the differences that raised it most, the largest first; reasons: why
    there is no score.
    """

    score: float | None
    leading: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def in_mdc(deltas: Sequence[Delta]) -> dict[str, float]:
    """Differences in units of their minimal detectable change, signed; those without one are left out."""
    return {delta.measure: delta.delta / delta.mdc for delta in deltas if delta.mdc}


def judge_evolution(deltas: Sequence[Delta], interval_days: int, model: EvolutionModel) -> Evolution:
    """Judge the differences of a pair, as `score_change` gives them, over an interval of days (positive)."""
    return judge_differences(in_mdc(deltas), interval_days, model)


def judge_differences(differences: Mapping[str, float], interval_days: int, model: EvolutionModel) -> Evolution:
    """As `judge_evolution`, of differences that are in units of their minimal detectable change already.

    Raises ValueError for an interval that is not positive.
    """
    missing = [name for name in REQUIRED if name not in differences]
    if missing:
        return Evolution(None, (), tuple(f"evolution not judged: no {name.replace('_', ' ')}" for name in missing))
    inputs = inputs_of(differences, interval_days, model.typical)
    terms = {name: model.weights[name] * value for name, value in zip(INPUTS, inputs, strict=True)}
    above = {name: term - model.weights[name] * model.typical[name] for name, term in terms.items() if name != INTERVAL}
    leading = sorted((name for name in above if above[name] > 0), key=lambda name: (-round(above[name], 6), name))
    logit = model.bias + math.fsum(terms[name] for name in INPUTS)
    return Evolution(round(1.0 / (1.0 + math.exp(-logit)), DECIMALS), tuple(leading))


def inputs_of(
    differences: Mapping[str, float], interval_days: int, typical: Mapping[str, float] | None = None
) -> list[float]:
    """The inputs in the order of INPUTS, clipped; a missing one is its `typical` value, NaN without any.

    Raises ValueError for an interval that is not positive.
    """
    if interval_days <= 0:
        raise ValueError(f"the follow-up must be later than the baseline, not by {interval_days} days")
    values = []
    for name in (*RISING, *EITHER_WAY):
        value = differences.get(name)
        if value is None:
            values.append(math.nan if typical is None else typical[name])
        else:
            values.append(max(-CLIP_MDC, min(CLIP_MDC, value)))
    return [*values, math.log2(interval_days / (SHORT_TERM_MONTHS * 30.4375))]
