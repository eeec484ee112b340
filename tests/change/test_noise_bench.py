"""The noise benchmark's bookkeeping: who serves for what, and what its figures mean."""

from __future__ import annotations

import json

import numpy as np
import pytest

from longderm.bench.noise import ALPHA, fit, part_of, read_evolution
from longderm.bench.noise_report import report
from longderm.bench.statistics import auroc
from longderm.change.evidence import MEASURES
from longderm.change.familiar import LEVELS
from longderm.errors import SourceNotFoundError, UsageError


def rows(patients=200, lesions=2, changed_by=1.5, seed=0):
    rng, skin = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    made = []
    for patient in range(patients):
        for lesion in range(lesions):
            changed = part_of(patient) != "calibration" and lesion == 1
            shift = changed_by if changed else 0.0
            found = {
                spec.name: abs(rng.normal() + shift) if spec.kind == "distance" else 0.1 * (rng.normal() + shift)
                for spec in MEASURES
            }
            made.append(
                {
                    "patient": patient,
                    "origin": "simulated",
                    "changed": changed,
                    "malignant_change": changed and patient % 2 == 0,
                    "tanning": patient % 3 == 0,
                    "withheld": "quality" if rng.random() < 0.05 else None,
                    "observations": found,
                    "interval_days": 30 + patient if lesion == 0 else None,
                    "levels": [{name: float(skin.normal(60, 5)) for name in LEVELS} for _ in range(2)],
                }
            )
    return made


def test_auroc_is_the_chance_that_a_changed_pair_ranks_above_a_stable_one():
    rng = np.random.default_rng(1)
    values, positive = rng.integers(0, 8, 60).astype(float), rng.random(60) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in values[positive] for b in values[~positive]]
    assert auroc(values, positive) == pytest.approx(np.mean(pairs))
    assert np.isnan(auroc(values, np.ones(60, bool)))


def test_every_calibration_patient_gives_one_stable_pair_and_nobody_serves_twice():
    made = rows()
    config, parts = fit(made)
    calibrating = {row["patient"] for row in parts["calibration"] if not row["changed"]}
    assert len(config["calibration_scores"]) == len(calibrating)
    seen = [{row["patient"] for row in part} for part in parts.values()]
    assert sum(map(len, seen)) == len(set.union(*seen))


@pytest.mark.parametrize(("simulated_by", "beside"), [(0.5, False), (2.0, True)])
def test_p_values_are_those_of_real_photos_and_simulated_pairs_join_where_they_differ_by_more(simulated_by, beside):
    simulated = [
        row | {"observations": {name: simulated_by * value for name, value in row["observations"].items()}}
        for row in rows()
    ]
    photos = [
        row | {"patient": 200 + index, "origin": "rephotographed"} for index, row in enumerate(rows(100, 1, seed=5))
    ]
    config, parts = fit(simulated + photos)
    stable = [row for row in parts["calibration"] if not row["changed"]]
    calibrating = {row["patient"] for row in stable if beside or row["origin"] == "rephotographed"}
    assert len(config["calibration_scores"]) == len(calibrating)
    assert {row["origin"] for row in stable} == {"simulated", "rephotographed"}


def test_held_out_figures_show_the_false_alarms_that_alpha_promises_and_a_score_that_sees_more_than_size():
    _, parts = fit(rows(patients=400))
    figures = report(parts["report"], ALPHA, samples=150)
    rate, low, high = figures["false_alarm_rate"]
    assert rate <= 0.12 and low <= ALPHA <= high
    assert figures["auroc_score"][0] > figures["auroc_size_alone"][0] > 0.5
    assert figures["auroc_gain_over_size"][0] > 0
    assert (
        figures["scored_stable"] + figures["scored_changed"] + sum(figures["withheld_pairs"].values())
        == (figures["pairs"])
    )


def test_where_nothing_changes_the_score_ranks_by_chance():
    _, parts = fit(rows(patients=400, changed_by=0.0))
    value, low, high = report(parts["report"], ALPHA, samples=150)["auroc_score"]
    assert low < 0.5 < high and abs(value - 0.5) < 0.12


def test_the_release_states_what_photos_it_was_calibrated_on_where_that_was_observed(tmp_path):
    made = rows(patients=400)
    config, parts = fit(made)
    calibrating = {row["patient"] for row in parts["calibration"]}
    within = config["in_distribution"]
    assert within["pairs"] == len(config["calibration_scores"]) and set(within["levels"]) == set(LEVELS)
    assert all(abs(level["median"] - 60) < 2 and abs(level["spread"] - 5) < 1.5 for level in within["levels"].values())
    assert within["interval_days"][0] >= 30 + min(calibrating)
    earlier, _ = fit([{name: value for name, value in row.items() if name != "levels"} for row in made])
    assert earlier == {name: value for name, value in config.items() if name != "in_distribution"}


def test_a_head_fitted_on_differences_of_another_release_is_refused(tmp_path):
    head = tmp_path / "head.json"
    head.write_text(json.dumps({"source": {"release": "change/1.0.0"}, "bias": -1.0}))
    assert read_evolution(head, "change/1.0.0")["bias"] == -1.0
    with pytest.raises(UsageError, match=r"fitted on change/1\.0\.0, not on change/2\.0\.0"):
        read_evolution(head, "change/2.0.0")
    with pytest.raises(SourceNotFoundError, match="--evolution must name a file"):
        read_evolution(tmp_path / "none.json", "change/1.0.0")
