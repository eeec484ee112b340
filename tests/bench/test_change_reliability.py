"""A score that is a probability is told to be one, and one that boasts or whispers is not."""

from __future__ import annotations

import numpy as np
import pytest

from longderm.bench.change_pairs import STABLE, STRONG
from longderm.bench.change_reliability import balanced_rows, reliability, write_diagram


@pytest.fixture(autouse=True)
def brief_bootstrap(monkeypatch):
    """Intervals only have to be there and about right."""
    monkeypatch.setattr("longderm.bench.statistics.BOOTSTRAP_SAMPLES", 100)


def rows(sharpened=1.0, pairs=1500, seed=3):
    """Pairs whose true chance of a change is known, and told with its log odds times `sharpened`."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(pairs):
        odds = rng.normal(0, 2)
        changed = rng.random() < 1 / (1 + np.exp(-odds))
        made.append(
            {
                "stratum": STRONG[number % len(STRONG)] if changed else STABLE,
                "number": number,
                "photo": f"P{number % 150}",
                "score": float(1 / (1 + np.exp(-sharpened * odds))),
            }
        )
    return made


@pytest.mark.parametrize(("sharpened", "slope"), [(1.0, 1.0), (2.0, 0.5), (0.5, 2.0)])
def test_the_slope_says_how_sure_a_score_is_beside_what_comes_true(sharpened, slope):
    told = reliability(rows(sharpened))
    value, low, high = told["slope"]
    assert low < slope < high and value == pytest.approx(slope, rel=0.2)
    assert (told["calibration_error"] < 0.04) == (sharpened == 1.0)
    for group in told["groups"] if sharpened == 1.0 else ():
        assert group["observed"] == pytest.approx(group["told"], abs=0.12)


def test_as_many_pairs_that_did_not_change_are_taken_as_did():
    made = rows()
    extra = [{**row, "number": 10_000 + i} for i, row in enumerate(r for r in made if r["stratum"] == STABLE)]
    kept = balanced_rows([*extra, *made])
    stable = [row for row in kept if row["stratum"] == STABLE]
    assert len(stable) == len(kept) - len(stable) == sum(row["stratum"] != STABLE for row in made)
    numbers = sorted(row["number"] for row in stable)
    assert numbers == sorted(row["number"] for row in [*extra, *made] if row["stratum"] == STABLE)[: len(numbers)]


def test_pairs_of_one_kind_have_no_reliability_and_no_diagram(tmp_path):
    stable = [row for row in rows() if row["stratum"] == STABLE]
    assert reliability(stable) == {}
    write_diagram(tmp_path / "none.svg", stable, "change/0")
    assert not (tmp_path / "none.svg").exists()


def test_the_diagram_says_what_it_shows(tmp_path):
    write_diagram(tmp_path / "some.svg", rows(), "change/0")
    drawn = (tmp_path / "some.svg").read_text()
    assert "Reliability of the change score" in drawn and "change/0" in drawn and "Synthetic changes" in drawn
