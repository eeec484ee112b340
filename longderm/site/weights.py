"""The score's weights fitted to a site's labelled pairs, and whether held-out patients gain by them.

A site has few pairs: not the network is trained anew, but how much each measured difference counts, its answer among
them. The fit is held to the weights of the release in use, the more so the fewer the pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from longderm.change.calibration import RIDGE, fit_weights
from longderm.change.evidence import NoiseModel, score_of
from longderm.change.familiar import range_around
from longderm.site.figures import arrays, auroc_gain, auroc_over_patients, sensitivity_at
from longderm.site.folds import patient_folds
from longderm.site.pairs import SitePair
from longderm.site.recalibration import Fitted, least_patients, one_per_patient

#: Parts of the patients: what is fitted on two is asked of the third. Of the release, the third calibrates, so the
#: figures are those of a fit on as many patients.
PARTS = 3
#: Fewer patients with a changed pair, or stable pairs, than this tell nothing of weights.
LEAST_CHANGED_PATIENTS, LEAST_STABLE_PAIRS = 10, 20
#: The penalty of `longderm.change.calibration` was set for some hundred pairs; with fewer of either kind it is larger
#: in proportion, as the mean loss of fewer pairs is less certain.
PAIRS_OF_RIDGE = 200
#: Specificity at which sensitivity is told.
SPECIFICITY = 0.95


@dataclass(frozen=True)
class Trained:
    """Whether a site's patients gain by weights of their own, why, the numbers then (else None), and figures."""

    fitted: Fitted | None
    reasons: tuple[str, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)


def train_weights(
    base: NoiseModel,
    pairs: Sequence[SitePair],
    base_spreads: Mapping[str, Mapping[str, float]] | None = None,
) -> Trained:
    """Fit the weights of `base` to labelled pairs that no rule withholds; accepted only where held-out patients gain.

    Gain: the AUROC of held-out patients rises, and the lower end of its 95% interval (over patients) is above 0. The
    p-values are calibrated on a third of the patients that the weights have not seen. base_spreads: as of
    `recalibration.recalibrate`.
    """
    reason = _too_few(base, pairs)
    if reason is not None:
        return Trained(None, (reason,))
    before = {pair.pair_id: score_of(pair.observations, base) for pair in pairs}
    after = held_out_scores(base, pairs)
    assert after is not None
    gain = auroc_gain(pairs, after, before)
    figures = {
        "auroc_score": auroc_over_patients(pairs, after),
        "auroc_score_before": auroc_over_patients(pairs, before),
        "auroc_gain": gain,
        "sensitivity_at_95_specificity": _sensitivity(pairs, after),
        "sensitivity_at_95_specificity_before": _sensitivity(pairs, before),
        "changed_pairs": sum(bool(pair.changed) for pair in pairs),
        "pairs": len(pairs),
        "patients": len({pair.patient_id for pair in pairs}),
    }
    if gain is None or len(gain) < 3:
        return Trained(None, ("the gain on held-out patients cannot be told",), figures)
    told = f"held-out patients: AUROC {gain[0]:+.3f} [{gain[1]:+.3f}, {gain[2]:+.3f}]"
    if gain[1] <= 0:
        return Trained(None, (f"{told}: no gain to be sure of",), figures)
    part = _parts(pairs)
    model = site_model(base, [pair for pair in pairs if part[pair.patient_id] != 0])
    ones = one_per_patient(pair for pair in pairs if part[pair.patient_id] == 0 and not pair.changed)
    scores = tuple(sorted(score_of(pair.observations, model) for pair in ones))
    days = sorted(pair.interval_days for pair in ones if pair.interval_days is not None)
    within = range_around(base_spreads or {}, [pair.levels for pair in ones], days)
    return Trained(Fitted(replace(model, calibration=scores), 0, len(ones), within), (told,), figures)


def site_model(base: NoiseModel, pairs: Sequence[SitePair]) -> NoiseModel:
    """The base with weights and bias fitted to pairs, held to its own; without a calibration."""
    stable, changed = ([pair.observations for pair in pairs if bool(pair.changed) is label] for label in (False, True))
    ridge = RIDGE * max(1.0, PAIRS_OF_RIDGE / max(1, min(len(stable), len(changed))))
    weights, bias = fit_weights(stable, changed, base.noise, base.weights, ridge)
    return replace(base, weights=weights, bias=bias, calibration=())


def held_out_scores(base: NoiseModel, pairs: Sequence[SitePair]) -> dict[str, float] | None:
    """Pair id -> score by weights that were fitted to other patients; None where a part has pairs of one kind only."""
    part = _parts(pairs)
    scores: dict[str, float] = {}
    for number in range(PARTS):
        others = [pair for pair in pairs if part[pair.patient_id] != number]
        if len({bool(pair.changed) for pair in others}) < 2:
            return None
        model = site_model(base, others)
        scores |= {p.pair_id: score_of(p.observations, model) for p in pairs if part[p.patient_id] == number}
    return scores


def _parts(pairs: Sequence[SitePair]) -> dict[str, int]:
    return patient_folds(((pair.patient_id, bool(pair.changed)) for pair in pairs), PARTS)


def _too_few(base: NoiseModel, pairs: Sequence[SitePair]) -> str | None:
    changed = len({pair.patient_id for pair in pairs if pair.changed})
    if changed < LEAST_CHANGED_PATIENTS:
        return f"{changed} patients with a changed pair; weights take {LEAST_CHANGED_PATIENTS}"
    stable = sum(not pair.changed for pair in pairs)
    if stable < LEAST_STABLE_PAIRS:
        return f"{stable} stable pairs; weights take {LEAST_STABLE_PAIRS}"
    part, least = _parts(pairs), least_patients(base.alpha)
    calibrating = len({pair.patient_id for pair in pairs if part[pair.patient_id] == 0 and not pair.changed})
    if calibrating < least:
        return (
            f"{calibrating} patients with a stable pair are left to calibrate by (a third of all); p-values of "
            f"{base.alpha:g} take {least}"
        )
    return None


def _sensitivity(pairs: Sequence[SitePair], values: Mapping[str, float]) -> float:
    scores, changed, _ = arrays(pairs, values)
    return round(sensitivity_at(scores, changed, SPECIFICITY), 4)
