"""From measured differences to deltas, a score and a p-value: pure arithmetic on numbers, no image inside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from longderm.change.result import Delta

#: The release of kind "change" that is used when none is given.
DEFAULT_VERSION = "0.5.0"

#: Decimals kept before anything meets a threshold, so that the last bits of a platform decide nothing.
DECIMALS = 6
#: A difference of this many standard deviations of the noise counts half of the most it can count.
HALF_EVIDENCE_SD = 3.0
#: Normal quantile of a two-sided 95% interval.
Z95 = 1.959964


@dataclass(frozen=True)
class MeasureSpec:
    """One difference that is measured: its name, unit, group, what it is called in a sentence, and its kind.

    kind: "ratio" (a positive quantity, compared by its logarithm), "signed" (follow-up minus baseline), "distance"
    (never negative; noise alone makes it larger than 0) or "log odds" (a distance that is evidence as it stands).
    """

    name: str
    unit: str
    group: str
    label: str
    kind: str


#: The difference that a network's answer is measured as.
APPEARANCE = "appearance"

#: Every measured difference. The groups are those of the score: size is one of five.
MEASURES: tuple[MeasureSpec, ...] = (
    MeasureSpec(APPEARANCE, "1", "appearance", "appearance as the network compares it", "log odds"),
    MeasureSpec("area", "%", "size", "area", "ratio"),
    MeasureSpec("area_confirmed", "%", "size", "area as far as the images confirm it", "ratio"),
    MeasureSpec("long_diam", "%", "size", "longest diameter", "ratio"),
    MeasureSpec("asymmetry_colour", "Lab", "shape", "asymmetry of colour", "signed"),
    MeasureSpec("asymmetry_shape", "1", "shape", "asymmetry of shape", "signed"),
    MeasureSpec("border_asymmetry", "1", "shape", "uneven movement of the border", "distance"),
    MeasureSpec("border_irregularity", "1", "shape", "irregularity of the border", "signed"),
    MeasureSpec("eccentricity", "1", "shape", "elongation", "signed"),
    MeasureSpec("colour_border", "Lab", "colour", "colour difference along the border", "distance"),
    MeasureSpec("colour_count", "count", "colour", "number of colours", "signed"),
    MeasureSpec("colour_local", "Lab", "colour", "local colour difference", "distance"),
    MeasureSpec("colour_variegation", "Lab", "colour", "variety of colour", "signed"),
    MeasureSpec("dark_fraction", "1", "colour", "dark share", "signed"),
    MeasureSpec("delta_a", "Lab", "colour", "redness against the skin", "signed"),
    MeasureSpec("delta_b", "Lab", "colour", "yellowness against the skin", "signed"),
    MeasureSpec("delta_lightness", "Lab", "colour", "lightness against the skin", "signed"),
    MeasureSpec("structure_energy", "1", "structure", "amount of structure", "signed"),
    MeasureSpec("structure_pattern", "1", "structure", "pattern of the structure", "distance"),
    MeasureSpec("structure_uneven", "1", "structure", "unevenness of the change of structure", "distance"),
)

#: Kinds that have no sign.
DISTANCES = ("distance", "log odds")

SPECS: dict[str, MeasureSpec] = {spec.name: spec for spec in MEASURES}

#: What the sizes with a scale, which carry no weight of their own, are called.
_LABELS_IN_MM = {"area_mm2": "area", "clin_size_long_diam_mm": "longest diameter"}


@dataclass(frozen=True)
class Observation:
    """One measured difference as it enters the arithmetic.

    value: the log ratio for kind "ratio", else the difference itself; baseline, followup: the two values, if any.
    """

    measure: str
    value: float
    baseline: float | None = None
    followup: float | None = None


@dataclass(frozen=True)
class Noise:
    """Noise of one difference on stable pairs: robust centre and spread (SD), and the 95% MDC (on the log scale for
    kind "ratio")."""

    centre: float
    spread: float
    mdc: float


@dataclass(frozen=True)
class NoiseModel:
    """What a release of kind "change" holds.

    noise: per measure; weights: per measure, not negative; bias: of the logistic; calibration: scores of stable pairs,
    one per patient, ascending; alpha: p-values at or below it are above the noise.
    """

    noise: Mapping[str, Noise]
    weights: Mapping[str, float]
    bias: float
    calibration: tuple[float, ...]
    alpha: float

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> NoiseModel:
        """Read the config.json of a release of kind "change"."""
        noise = {name: Noise(v["centre"], v["spread"], v["mdc"]) for name, v in sorted(config["noise"].items())}
        weights = {name: float(value) for name, value in sorted(config["weights"].items())}
        calibration = tuple(sorted(float(value) for value in config["calibration_scores"]))
        return cls(noise, weights, float(config["bias"]), calibration, float(config["alpha"]))


def standardise(observation: Observation, noise: Noise) -> float:
    """The difference in standard deviations of the noise, not negative.

    For a distance only what exceeds its centre counts: noise alone makes it larger than 0.
    """
    if SPECS[observation.measure].kind in DISTANCES:
        return max(0.0, observation.value - noise.centre) / noise.spread
    return abs(observation.value - noise.centre) / noise.spread


def evidence(observation: Observation, noise: Noise) -> float:
    """What an observation enters the score with: `evidence_of` its deviation; log odds add up as they are."""
    if SPECS[observation.measure].kind == "log odds":
        return observation.value
    return evidence_of(standardise(observation, noise))


def evidence_of(deviation: float) -> float:
    """Evidence in [0, 1) of a deviation in SDs: d^2 / (d^2 + 9), increasing; small noise hardly adds up."""
    square = deviation * deviation
    return square / (square + HALF_EVIDENCE_SD**2)


def score_of(observations: Sequence[Observation], model: NoiseModel) -> float:
    """Score in [0, 1]: logistic of the weighted evidence. It rises with every |difference|; a measure that is missing
    adds nothing."""
    terms = [
        model.weights[o.measure] * evidence(o, model.noise[o.measure])
        for o in sorted(observations, key=lambda o: o.measure)
        if o.measure in model.noise and o.measure in model.weights
    ]
    return round(1.0 / (1.0 + math.exp(-(model.bias + math.fsum(terms)))), DECIMALS)


def conformal_p_value(score: float, calibration: Sequence[float], alpha: float) -> float | None:
    """(1 + #{s_i >= score}) / (n + 1) against stable pairs (Vovk et al. 2005, Algorithmic Learning in a Random World,
    ch. 2); None where the pairs are too few for any score to reach `alpha`."""
    if round(alpha * (len(calibration) + 1), DECIMALS) < 1.0:
        return None
    at_least = sum(1 for value in calibration if value >= score)
    return round((1 + at_least) / (len(calibration) + 1), DECIMALS)


def to_delta(observation: Observation, model: NoiseModel) -> Delta:
    """The delta of an observation with its MDC in the same unit and direction."""
    spec = SPECS[observation.measure]
    noise = model.noise.get(observation.measure)
    mdc = None if noise is None else noise.mdc
    exceeds = None if mdc is None else round(abs(observation.value), DECIMALS) > round(mdc, DECIMALS)
    if spec.kind != "ratio":
        return Delta(spec.name, spec.unit, observation.baseline, observation.followup, observation.value, mdc, exceeds)
    # A ratio's noise is symmetric in its logarithm: +17% and -15% are the same distance.
    percent = None if mdc is None else percent_of(math.copysign(mdc, observation.value))
    return Delta(
        spec.name,
        spec.unit,
        observation.baseline,
        observation.followup,
        percent_of(observation.value),
        None if percent is None else abs(percent),
        exceeds,
    )


def to_observation(delta: Delta) -> Observation | None:
    """The observation that a delta was made of; None for a size in mm, which the score does not read."""
    if delta.measure not in SPECS:
        return None
    ratio = SPECS[delta.measure].kind == "ratio"
    value = math.log1p(delta.delta / 100.0) if ratio else delta.delta
    return Observation(delta.measure, value, delta.baseline, delta.followup)


def percent_of(log_ratio: float) -> float:
    """Percent of change of a log ratio."""
    return 100.0 * math.expm1(log_ratio)


def sentence(delta: Delta) -> str:
    """One delta in words: label, difference, unit, MDC, for example "area +38% (MDC 17%)"."""
    spec = SPECS.get(delta.measure)
    label = spec.label if spec is not None else _LABELS_IN_MM.get(delta.measure, delta.measure)
    unit = {"%": "%", "1": "", "count": ""}.get(delta.unit, f" {delta.unit}")
    scale = abs(delta.delta) if delta.mdc is None else min(abs(delta.delta), delta.mdc)
    digits = 0 if delta.unit in ("%", "count") else 1 if scale >= 1 else 2 if scale >= 0.1 else 3
    sign = "" if spec is not None and spec.kind in DISTANCES else "+"
    mdc = "MDC not known" if delta.mdc is None else f"MDC {_mdc_text(delta, digits)}{unit}"
    return f"{label} {delta.delta:{sign}.{digits}f}{unit} ({mdc})"


def _mdc_text(delta: Delta, digits: int) -> str:
    # A count's MDC lies between two counts.
    return f"{delta.mdc:.1f}" if delta.unit == "count" else f"{delta.mdc:.{digits}f}"
