"""Weights fitted to a site's pairs: accepted where held-out patients gain, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from site_pairs import drawn_pairs

from longderm.change.calibration import fit_noise, fit_weights
from longderm.change.evidence import MEASURES, NoiseModel, Observation, score_of
from longderm.site.folds import patient_folds
from longderm.site.weights import PARTS, held_out_scores, site_model, train_weights

QUIET = [pair.observations for pair in drawn_pairs(200, seed=70)]
NOISE = fit_noise(QUIET)
#: A release that looks at size first, as if nothing else mattered.
BASE = NoiseModel(NOISE, dict.fromkeys(NOISE, 0.02) | {"area": 3.0}, -2.0, (), 0.05)
#: What changes at this site: colours and structure, not size.
TELLING = {spec.name for spec in MEASURES if spec.group in ("colour", "structure")}


def site_pairs(patients, seed, changed_share=0.4, telling=TELLING):
    rng = np.random.default_rng(seed)
    pairs = drawn_pairs(patients, seed, changed_share=changed_share, shift=0.0, lesions=2)
    return [
        replace(
            pair, observations=tuple(_shifted(one, rng) if one.measure in telling else one for one in pair.observations)
        )
        if pair.changed
        else pair
        for pair in pairs
    ]


def _shifted(one, rng):
    by = 1.2 if one.measure.startswith(("colour_local", "colour_border", "structure_pattern", "structure_un")) else 0.12
    return Observation(one.measure, one.value + by * (1 + 0.3 * rng.normal()))


def test_a_site_whose_changes_the_release_hardly_weighs_gains_by_its_own_weights():
    pairs = site_pairs(120, seed=1)
    told = train_weights(BASE, pairs)
    assert told.fitted is not None
    gain = told.figures["auroc_gain"]
    assert gain[0] > 0.05 and gain[1] > 0
    assert told.figures["auroc_score"][0] == pytest.approx(told.figures["auroc_score_before"][0] + gain[0], abs=2e-4)
    weights = told.fitted.model.weights
    assert sum(weights[name] for name in TELLING if name in weights) > weights["area"]
    assert told.fitted.model.noise == BASE.noise
    # A third of the patients calibrates, one stable pair each.
    assert len(told.fitted.model.calibration) == told.fitted.calibration_patients == 40
    # ... and on patients that nobody has seen the gain is there.
    unseen = site_pairs(80, seed=2)
    ours, theirs = (
        np.mean([score_of(p.observations, model) for p in unseen if p.changed])
        - np.mean([score_of(p.observations, model) for p in unseen if not p.changed])
        for model in (told.fitted.model, replace(BASE, bias=told.fitted.model.bias))
    )
    assert ours > theirs


@pytest.mark.parametrize("seed", range(3))
def test_labels_that_say_nothing_gain_nothing(seed):
    pairs = site_pairs(90, seed=10 + seed, telling=())
    told = train_weights(BASE, pairs)
    assert told.fitted is None and "no gain to be sure of" in told.reasons[0]
    assert told.figures["auroc_gain"][1] <= 0


def test_a_pair_is_scored_by_weights_that_its_part_of_the_patients_has_not_touched():
    pairs = site_pairs(45, seed=20)
    part = patient_folds(((pair.patient_id, pair.changed) for pair in pairs), PARTS)
    held = {pair.pair_id for pair in pairs if part[pair.patient_id] == 0}
    told = held_out_scores(BASE, pairs)
    assert set(told) == {pair.pair_id for pair in pairs}
    # All changes of this part vanish: its own weights have not seen them, those of the other parts have.
    calm = [
        replace(pair, observations=tuple(Observation(one.measure, 0.0) for one in pair.observations))
        if pair.pair_id in held and pair.changed
        else pair
        for pair in pairs
    ]
    after = held_out_scores(BASE, calm)
    untouched = [pair.pair_id for pair in pairs if pair.pair_id in held and not pair.changed]
    assert all(after[pair_id] == told[pair_id] for pair_id in untouched)
    assert any(after[pair_id] != told[pair_id] for pair_id in told if pair_id not in held)


def test_few_pairs_leave_the_weights_near_those_of_the_release():
    def moved(patients):
        weights = site_model(BASE, site_pairs(patients, seed=30)).weights
        return sum(abs(weights.get(name, 0.0) - BASE.weights.get(name, 0.0)) for name in NOISE)

    assert moved(12) < moved(60) < moved(400)


def test_a_prior_of_equal_weights_is_what_the_fit_had_before():
    pairs = site_pairs(40, seed=40)
    stable, changed = ([p.observations for p in pairs if p.changed is label] for label in (False, True))
    assert fit_weights(stable, changed, NOISE) == fit_weights(stable, changed, NOISE, dict.fromkeys(NOISE, 1.0))


@pytest.mark.parametrize(
    ("patients", "share", "reason"),
    [(60, 0.05, "weights take 10"), (45, 0.5, "are left to calibrate by")],
)
def test_with_too_few_patients_it_says_how_many_it_takes(patients, share, reason):
    told = train_weights(BASE, site_pairs(patients, seed=50, changed_share=share))
    assert told.fitted is None and reason in told.reasons[0] and not told.figures


def test_one_kind_of_pairs_gives_no_held_out_scores():
    assert held_out_scores(BASE, drawn_pairs(PARTS * 4, seed=60)) is None
