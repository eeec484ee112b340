"""Recalibration of a change release to a site's own stable pairs, one of each patient, and whether patients gain by it.

A p-value holds for pairs like those of the calibration. Where a site's camera, light or skins are others, stable
lesions are flagged too often or too seldom; scores of the site's own stable pairs put that right (split conformal
prediction; Vovk et al. 2005, Algorithmic Learning in a Random World, ch. 4), its own noise the MDC. Who gave the noise
gives no score of the calibration: else that would look better than the next patient's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.statistics import auroc
from longderm.change.calibration import MIN_STABLE_PAIRS, fit_noise
from longderm.change.evidence import DECIMALS, Noise, NoiseModel, conformal_p_value, score_of
from longderm.change.familiar import fit_spreads, range_around
from longderm.governance.release import stable_pairs_least
from longderm.site.figures import sensitivity_at
from longderm.site.folds import FOLDS, over_patients, patient_folds
from longderm.site.pairs import SitePair

#: Fewer stable patients than this calibrate nothing, whatever level is claimed. A p-value of 0.05 takes 19 of them, one
#: of 0.01 takes 99 (`stable_pairs_least`), and one more is to be judged by the others' scores.
LEAST_PATIENTS = 20
#: Of so many patients one gives the noise, the others the scores: each measure's noise takes MIN_STABLE_PAIRS.
NOISE_EVERY = 3
#: A release whose share of false alarms on the site's patients lies inside this central binomial band around alpha may
#: be off by chance: then nothing is to be gained. One that is right is taken for wrong once in ten.
CHANCE_BAND = 0.90
#: After recalibration, the share of held-out patients must lie inside this band.
SOUND_BAND = 0.99
#: Sensitivity at specificity 1 - alpha that may be lost at most: fewer alarms must not be bought with missed changes;
#: two points leave room for one pair in fifty that moves by chance.
SENSITIVITY_LOSS_MAX = 0.02
#: Fewer labelled changed pairs than this do not show that sensitivity is kept.
LEAST_CHANGED = 10
#: Share of stable pairs that exceed a 95% MDC.
BEYOND_MDC = 0.05

#: What is fitted: the scores of the calibration alone, or the noise as well.
SCORES, NOISE_AND_SCORES = "scores", "noise and scores"


@dataclass(frozen=True)
class Fitted:
    """Numbers of a release: its `model`, and how many patients gave the noise and the scores of the calibration."""

    model: NoiseModel
    noise_patients: int
    calibration_patients: int
    in_distribution: Mapping[str, Any] | None


@dataclass(frozen=True)
class Judged:
    """What held-out patients say of one way to recalibrate: `gains`, and why or why not; figures by name."""

    what: str
    gains: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, Any]


@dataclass(frozen=True)
class Recalibration:
    """Whether a site's patients gain, by which way, the numbers then, and all that was tried.

    fitted: None where nothing is accepted; reasons: why, in words.
    """

    fitted: Fitted | None
    what: str | None
    reasons: tuple[str, ...]
    tried: tuple[Judged, ...] = field(default=())


def least_patients(alpha: float) -> int:
    """Patients with a stable pair from which on a p-value of `alpha` is claimed at a site."""
    return max(LEAST_PATIENTS, stable_pairs_least(alpha) + 1)


def one_per_patient(pairs: Iterable[SitePair]) -> list[SitePair]:
    """One pair of each patient, sorted by patient: the one with the lowest id, a hash, so as good as drawn."""
    first: dict[str, SitePair] = {}
    for pair in sorted(pairs, key=lambda pair: pair.pair_id):
        first.setdefault(pair.patient_id, pair)
    return [first[patient] for patient in sorted(first)]


def recalibrate(
    base: NoiseModel,
    stable: Sequence[SitePair],
    changed: Sequence[SitePair],
    base_spreads: Mapping[str, Mapping[str, float]] | None = None,
) -> Recalibration:
    """Recalibrate `base` to a site, and accept that only where held-out patients gain.

    base: the release in use, its alpha that of the claims; stable, changed: pairs that no rule withholds; base_spreads:
    of the levels of the photos that the release was fitted on, if it states them. The noise is fitted too where there
    are patients enough and changed pairs that show that sensitivity is kept; else the scores alone.
    """
    ones = one_per_patient(stable)
    least = least_patients(base.alpha)
    if len(ones) < least:
        reason = (
            f"{len(ones)} patients with a stable pair; p-values of {base.alpha:g} take {least} "
            "(one pair of each counts): go on with the release in use"
        )
        return Recalibration(None, None, (reason,))
    ways, notes = [SCORES], []
    needed = _patients_for_noise(least)
    if len(ones) < needed:
        notes.append(f"the noise itself stays that of the release: fitting it takes {needed} patients")
    elif len(changed) < LEAST_CHANGED:
        notes.append(
            f"the noise itself stays that of the release: {LEAST_CHANGED} labelled changed pairs must show that "
            f"sensitivity is kept, there are {len(changed)}"
        )
    else:
        ways.insert(0, NOISE_AND_SCORES)
    tried = []
    for what in ways:
        judged = judge(base, ones, changed, what)
        tried.append(judged)
        if judged.gains:
            fitted = fit(base, ones, what, base_spreads)
            return Recalibration(fitted, what, (*judged.reasons, *notes), tuple(tried))
    return Recalibration(None, None, (*tried[-1].reasons, *notes), tuple(tried))


def fit(
    base: NoiseModel,
    ones: Sequence[SitePair],
    what: str,
    base_spreads: Mapping[str, Mapping[str, float]] | None = None,
) -> Fitted:
    """The numbers from one stable pair of each patient, sorted by patient."""
    noise_part = [pair for index, pair in enumerate(ones) if index % NOISE_EVERY == 0] if what != SCORES else []
    rest = [pair for index, pair in enumerate(ones) if index % NOISE_EVERY != 0] if what != SCORES else list(ones)
    # A measure that too few pairs have keeps the noise of the release, and one that it does not know stays unknown.
    local = fit_noise([pair.observations for pair in noise_part]) if noise_part else {}
    model = replace(base, noise={name: local.get(name, noise) for name, noise in base.noise.items()}, calibration=())
    scores = tuple(sorted(score_of(pair.observations, model) for pair in rest))
    own_spreads = fit_spreads([levels for pair in noise_part for levels in pair.levels])
    spreads = own_spreads or base_spreads or {}
    days = sorted(pair.interval_days for pair in rest if pair.interval_days is not None)
    within = range_around(spreads, [pair.levels for pair in rest], days)
    return Fitted(replace(model, calibration=scores), len(noise_part), len(rest), within)


def judge(base: NoiseModel, ones: Sequence[SitePair], changed: Sequence[SitePair], what: str) -> Judged:
    """Recalibrate without each part of the patients in turn and ask the result about them; hold it against `base`."""
    before = _Asked.of(base, ones, changed)
    after = _held_out(base, ones, changed, what)
    alpha, count = base.alpha, len(ones)
    was, now = before.false_alarms(alpha), after.false_alarms(alpha)
    chance, sound = _band(CHANCE_BAND, count, alpha), _band(SOUND_BAND, count, alpha)
    mdc = _mdc_gain(before, after)
    lost = _loss(before, after, alpha)
    off_by_more_than_chance = not chance[0] <= was <= chance[1]
    nearer = round(abs(now - alpha), DECIMALS) < round(abs(was - alpha), DECIMALS)
    # A release with too few scores for alpha flags nobody: that is silence, and neither right nor wrong.
    claims_before = None not in before.stable_p
    is_sound = sound[0] <= now <= sound[1] and None not in after.stable_p
    mdc_better = what == NOISE_AND_SCORES and mdc is not None and len(mdc) == 3 and mdc[1] > 0
    kept = lost is None or round(lost, DECIMALS) <= SENSITIVITY_LOSS_MAX
    alarms = f"of {count} stable patients {was:.1%} are flagged by the release, {now:.1%} after recalibration"
    reasons = [f"{alarms} ({alpha:.0%} are meant)"]
    if not claims_before:
        reasons.append(f"the release claims no p-value of {alpha:g}: too few scores are behind it")
    elif not off_by_more_than_chance:
        reasons.append(f"the release is off by no more than chance ({chance[0]:.1%} to {chance[1]:.1%})")
    elif not nearer:
        reasons.append("recalibration comes no nearer to what is meant")
    if mdc_better:
        reasons.append("the share of stable pairs beyond the MDC comes nearer to 5%")
    if not is_sound:
        reasons.append(f"and is not sound itself ({sound[0]:.1%} to {sound[1]:.1%} would be)")
    if not kept:
        reasons.append(f"sensitivity at the same specificity falls by {lost:.1%}")
    figures = {
        "false_alarm_rate": round(now, 4),
        "false_alarm_rate_before": round(was, 4),
        "stable_patients": count,
        "changed_pairs": len(changed),
        "sensitivity": after.sensitivity(alpha),
        "sensitivity_before": before.sensitivity(alpha),
        "sensitivity_at_same_specificity_lost": None if lost is None else round(lost, 4),
        "auroc_score": after.auroc(),
        "auroc_score_before": before.auroc(),
        "beyond_mdc": after.beyond_mdc(),
        "beyond_mdc_before": before.beyond_mdc(),
        "mdc_error_removed": mdc,
    }
    gains = is_sound and kept and (not claims_before or (off_by_more_than_chance and nearer) or mdc_better)
    return Judged(what, gains, tuple(reasons), figures)


@dataclass(frozen=True, eq=False)
class _Asked:
    """What a model says of stable and changed pairs: p-values (None: too few behind them), scores, and which measures
    of the stable pairs exceed their MDC, float (n, measures), NaN where not measured."""

    patients: tuple[str, ...]
    stable_p: tuple[float | None, ...]
    changed_p: tuple[float | None, ...]
    stable_scores: NDArray[np.float64]
    changed_scores: NDArray[np.float64]
    beyond: NDArray[np.float64]

    @classmethod
    def of(cls, model: NoiseModel, stable: Sequence[SitePair], changed: Sequence[SitePair]) -> _Asked:
        def p_values(scores: Sequence[float]) -> tuple[float | None, ...]:
            return tuple(conformal_p_value(score, model.calibration, model.alpha) for score in scores)

        calm, altered = ([score_of(pair.observations, model) for pair in part] for part in (stable, changed))
        names = sorted(model.noise)
        return cls(
            tuple(pair.patient_id for pair in stable),
            p_values(calm),
            p_values(altered),
            np.array(calm, np.float64),
            np.array(altered, np.float64),
            np.array([_beyond(pair, names, model.noise) for pair in stable]).reshape(len(stable), len(names)),
        )

    @classmethod
    def joined(cls, parts: Sequence[_Asked]) -> _Asked:
        return cls(
            tuple(patient for part in parts for patient in part.patients),
            tuple(p for part in parts for p in part.stable_p),
            tuple(p for part in parts for p in part.changed_p),
            np.concatenate([part.stable_scores for part in parts]),
            np.concatenate([part.changed_scores for part in parts]),
            np.concatenate([part.beyond for part in parts]),
        )

    def false_alarms(self, alpha: float) -> float:
        return float(np.mean([p is not None and p <= alpha for p in self.stable_p]))

    def sensitivity(self, alpha: float) -> float | None:
        flagged = [p is not None and p <= alpha for p in self.changed_p]
        return round(float(np.mean(flagged)), 4) if flagged else None

    def pooled(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        changed = np.arange(len(self.stable_scores) + len(self.changed_scores)) >= len(self.stable_scores)
        return np.concatenate([self.stable_scores, self.changed_scores]), changed

    def auroc(self) -> float | None:
        return round(auroc(*self.pooled()), 4) if len(self.changed_scores) else None

    def beyond_mdc(self) -> float | None:
        return round(float(np.nanmean(self.beyond)), 4) if np.isfinite(self.beyond).any() else None


def _patients_for_noise(least: int) -> int:
    """Patients from which on noise and scores can be fitted apart while a fold is held out."""
    apart = max(NOISE_EVERY * MIN_STABLE_PAIRS, -(-least * NOISE_EVERY // (NOISE_EVERY - 1)))
    return -(-apart * FOLDS // (FOLDS - 1))


def _held_out(base: NoiseModel, ones: Sequence[SitePair], changed: Sequence[SitePair], what: str) -> _Asked:
    """Every patient asked by numbers that were fitted without that patient."""
    labelled = [(pair.patient_id, True) for pair in changed] + [(pair.patient_id, False) for pair in ones]
    patients = len({patient for patient, _ in labelled})
    least = stable_pairs_least(base.alpha)
    # Where four fifths of the patients are too few for a p-value, all but one are taken.
    count = FOLDS if len(ones) * (FOLDS - 1) // FOLDS - 1 >= least else patients
    fold = patient_folds(labelled, count)
    parts = []
    for number in range(count):
        kept = [pair for pair in ones if fold[pair.patient_id] != number]
        stable, altered = ([p for p in part if fold[p.patient_id] == number] for part in (ones, changed))
        parts.append(_Asked.of(fit(base, kept, what).model, stable, altered))
    return _Asked.joined(parts)


def _beyond(pair: SitePair, names: Sequence[str], noise: Mapping[str, Noise]) -> list[float]:
    values = {one.measure: one.value for one in pair.observations}
    return [float(abs(values[name]) > noise[name].mdc) if name in values else float("nan") for name in names]


def _mdc_gain(before: _Asked, after: _Asked) -> list[float] | None:
    """How much nearer to 5% the share beyond the MDC comes, mean over the measures, [value, low, high] over patients.

    Both are of the same patients, in another order."""
    place = {patient: index for index, patient in enumerate(after.patients)}
    same = after.beyond[[place[patient] for patient in before.patients]]
    measured = np.isfinite(before.beyond).any(axis=0)
    if not measured.any():
        return None

    def error(beyond: NDArray[np.float64]) -> float:
        known = np.isfinite(beyond)
        share = np.where(known, beyond, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        return float(np.abs(share - BEYOND_MDC).mean())

    return over_patients(
        before.patients, lambda index: error(before.beyond[index][:, measured]) - error(same[index][:, measured])
    )


def _loss(before: _Asked, after: _Asked, alpha: float) -> float | None:
    """Sensitivity lost at specificity 1 - alpha; None without changed pairs."""
    if not len(before.changed_scores):
        return None
    was, now = (sensitivity_at(*asked.pooled(), 1.0 - alpha) for asked in (before, after))
    return was - now


def _band(level: float, count: int, alpha: float) -> tuple[float, float]:
    """Central band of the share of `count` patients that are flagged where `alpha` of all are."""
    from scipy.stats import binom

    low, high = binom.ppf([(1 - level) / 2, (1 + level) / 2], count, alpha)
    return float(low) / count, float(high) / count
