"""What is written of a lesion's visits: the trajectory over all of them, and how melanoma-like a change is."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict

import filled_store
import pytest

from longderm.change import Delta
from longderm.change.evolution import EITHER_WAY, RISING
from longderm.models.releases import packaged_registry, write_hashes
from longderm.settings import PACKAGED_VERSIONS, Settings
from longderm.stages import find_work
from longderm.stages.lesion import run_trajectories

MONTHS = 92 / 30.4375


def trajectory(folder):
    """The one trajectory of a store whose pair has been decided on."""
    settings = Settings()
    store = filled_store.fill_store(folder, settings, {"tbp_lv_Lext": 71.0})
    store.append("decisions", filled_store.rows_to_table("decisions", filled_store.decide_on(store, settings)), "run")
    work = find_work(store, settings)
    result = run_trajectories(work, work.in_use["change"].release)
    (row,) = result.rows["trajectories"]
    filled_store.rows_to_table("trajectories", [row])  # its columns are the table's
    return row


@pytest.fixture
def deltas(monkeypatch):
    told = [asdict(Delta("delta_lightness", "Lab", -20.0, -23.0, -3.0, 3.5, False))]
    changes = filled_store.ROWS["changes"]
    monkeypatch.setitem(filled_store.ROWS, "changes", changes | {"deltas": changes["deltas"] + told})


def test_trends_of_what_was_compared_are_written_and_those_of_nothing_are_null(tmp_path, deltas):
    row = trajectory(tmp_path / "store")
    assert row["verdict"].startswith("issued")
    assert row["delta_lightness_per_month"] == pytest.approx(-3.0 / MONTHS, rel=1e-4)
    assert row["delta_lightness_per_month_low"] < row["delta_lightness_per_month"]
    assert row["delta_lightness_per_month"] < row["delta_lightness_per_month_high"]
    for column in ("structure_energy_per_month", "colour_variegation_per_month_low"):
        assert row[column] is None


def test_a_pair_that_was_not_issued_shows_no_trend(tmp_path, deltas, monkeypatch):
    monkeypatch.setitem(filled_store.ROWS, "quality", filled_store.ROWS["quality"] | {"score": 0.0})
    row = trajectory(tmp_path / "store")
    assert row["verdict"] == "abstained"
    assert row["delta_lightness_per_month"] is None


def test_growth_in_mm2_is_as_uncertain_as_the_stated_scale_makes_it(tmp_path, monkeypatch):
    widths = {}
    for error in (0.001, 0.05, None):
        scales = filled_store.ROWS["scales"] | {"px_per_mm_error": error}
        monkeypatch.setitem(filled_store.ROWS, "scales", scales)
        row = trajectory(tmp_path / f"store-{error}")
        widths[error] = row["growth_mm2_per_month_high"] - row["growth_mm2_per_month_low"]
    assert widths[0.001] < widths[None] < widths[0.05]


def test_a_decision_tells_how_melanoma_like_a_change_is_where_the_release_can(tmp_path, monkeypatch):
    names = (*RISING, *EITHER_WAY)
    told = [asdict(Delta(name, "1", None, None, 0.1, 0.1, False)) for name in names]
    monkeypatch.setitem(filled_store.ROWS, "changes", filled_store.ROWS["changes"] | {"deltas": told})
    assert evolution(tmp_path / "without", Settings(change_version="0.2.0")) is None  # it says nothing of it
    registry = tmp_path / "registry"
    shutil.copytree(packaged_registry(), registry)
    folder = registry / "change" / PACKAGED_VERSIONS["change"]
    head = {"bias": -1.0, "weights": {"colour_local": 1.0}, "typical": dict.fromkeys(names, 0.0)}
    config = json.loads((folder / "config.json").read_text()) | {"evolution": head}
    (folder / "config.json").write_text(json.dumps(config))
    write_hashes(folder)
    assert evolution(tmp_path / "with", Settings(registry_dir=registry)) == 0.5
    monkeypatch.setitem(filled_store.ROWS, "quality", filled_store.ROWS["quality"] | {"score": 0.0})
    assert evolution(tmp_path / "poor", Settings(registry_dir=registry)) is None


def evolution(folder, settings):
    (row,) = filled_store.decide_on(filled_store.fill_store(folder, settings, {"tbp_lv_Lext": 71.0}), settings)
    return row["evolution"]
