"""The planted gains that the benchmark judges intervals by."""

import numpy as np
import pytest

from longderm.bench import prognosis_gain, prognosis_metastasis
from longderm.bench.prognosis_gain import cover_planted, judge_one, planted_gains
from longderm.bench.prognosis_metastasis import planted_gain


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(prognosis_gain, "TRUTH_COHORTS", 3)
    monkeypatch.setattr(prognosis_gain, "TRUTH_PATIENTS", 8000)
    monkeypatch.setattr(prognosis_gain, "RESAMPLES_OF_ONE", 10)
    monkeypatch.setattr(prognosis_gain, "RESAMPLES_OF_MANY", 5)
    monkeypatch.setattr(prognosis_metastasis, "TRUTH_TUMOURS", 100_000)


def test_no_effect_plants_no_gain_and_more_plants_more():
    assert planted_gains(0.0) == {"harrell_c": (0.0, 0.0), "auc_5y": (0.0, 0.0)}
    gains = [planted_gains(effect)["harrell_c"] for effect in (0.2, 0.4)]
    assert 0.002 < gains[0][0] < gains[1][0] < 0.04 and all(error < 0.003 for _, error in gains)
    assert planted_gain(0.0, 1) == 0.0 < planted_gain(0.3, 1) < planted_gain(0.6, 1)


def test_an_interval_is_judged_by_the_truth_it_is_given():
    near, far = {"harrell_c": (0.03, 0.0), "auc_5y": (0.03, 0.0)}, {"harrell_c": (0.3, 0.0), "auc_5y": (-0.3, 0.0)}
    assert judge_one(1, 0.5, near)["harrell_c"]["covered"] and not judge_one(1, 0.5, far)["harrell_c"]["covered"]
    found = cover_planted(2, 3, 0.5, far)
    assert found["harrell_c"]["population"]["lies_below"] == found["auc_5y"]["population"]["lies_above"] == 2
    assert found["harrell_c"]["population"]["excludes_zero"] == 2
    assert np.isfinite([found[name][kind]["mean_width"] for name in near for kind in prognosis_gain.INTERVALS]).all()
