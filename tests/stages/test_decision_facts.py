"""Decisions are fed with what the tables hold: every fact that a rule looks at comes from a row."""

from __future__ import annotations

import json
import shutil

import pytest
from filled_store import decide_on, fill_store, rows_to_table, work_on

from longderm.models.releases import packaged_registry, write_hashes
from longderm.settings import PACKAGED_VERSIONS, Settings
from longderm.stages import find_work

WITHIN = {
    "levels": {"tbp_lv_Lext": {"median": 70.0, "spread": 5.0}, "tbp_lv_deltaL": {"median": -20.0, "spread": 6.0}},
    "unusual": 3.0,
    "far": 5.0,
    "pairs": 282,
    "interval_days": [30, 2000],
}
LEVELS = {"tbp_lv_Lext": 71.0, "tbp_lv_deltaL": -18.0}


@pytest.fixture
def settings(tmp_path):
    """A registry whose change release states the range WITHIN."""
    registry = tmp_path / "registry"
    shutil.copytree(packaged_registry(), registry)
    return with_config(registry, in_distribution=WITHIN)


def with_config(registry, **config):
    folder = registry / "change" / PACKAGED_VERSIONS["change"]
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    write_hashes(folder)
    return Settings(registry_dir=registry)


def decided(tmp_path, settings, levels=LEVELS, second=None, **lesion):
    store = fill_store(tmp_path / "store", settings, levels, second, **lesion)
    (row,) = decide_on(store, settings)
    return row


def test_a_pair_with_nothing_against_it_is_issued_with_all_that_it_rests_on(tmp_path, settings):
    row = decided(tmp_path, settings)
    assert (row["verdict"], row["rules_fired"]) == ("issued", [])
    facts = json.loads(row["facts"])
    used = find_work(fill_store(tmp_path / "other", settings), settings).in_use
    pairs = len(used["change"].release.config["calibration_scores"])
    assert facts["same_patient"] is True and facts["calibration_pairs"] == pairs
    assert facts["baseline"]["mask_share"] == 60000 / 480000
    assert facts["baseline"]["distance"] == pytest.approx(2 / 6, abs=1e-4)
    assert facts["calibrated_interval_days"] == [30, 2000]
    assert row["releases"] == [f"{one.release.name}:{one.release.digest}" for one in used.values()]
    named = {"photo-0", "photo-1", "patient", "lesion", "file-0", "pixels-0"}
    assert not named & set(json.dumps(facts).replace('"', " ").split()), "no identifier travels with the facts"


@pytest.mark.parametrize(
    ("rule", "levels", "second", "lesion"),
    [
        ("identity_disagrees", LEVELS, {"patient_id": "another"}, {}),
        ("identity_disagrees", LEVELS, {}, {"patient_id": "another"}),
        ("identity_disagrees", LEVELS, {"caveats": ["filed_under_two_lesions"]}, {}),
        ("laterality_disagrees", LEVELS, {"laterality": "R"}, {}),
        ("interval_implausible", LEVELS, {"acquisition_day": 20000}, {}),
        ("interval_not_calibrated", LEVELS, {"acquisition_day": 2500}, {}),
        ("out_of_distribution", {"tbp_lv_Lext": 30.0}, {}, {}),
        ("unusual_photo", {"tbp_lv_Lext": 50.0}, {}, {}),
        ("unusual_photo", {}, {}, {}),
        ("mask_implausible", LEVELS | {"area_px": 200.0}, {}, {}),
        ("same_pixels", LEVELS, {"content_hash": "pixels-0"}, {}),
        ("special_site", LEVELS, {}, {"special_site": "face"}),
    ],
)
def test_a_rule_fires_by_what_the_tables_hold(rule, levels, second, lesion, tmp_path, settings):
    row = decided(tmp_path, settings, levels, second, **lesion)
    assert row["rule"] == rule and row["rules_fired"][0] == rule


@pytest.mark.parametrize(
    ("config", "rule"),
    [
        ({"calibration_scores": [0.1] * 18}, "too_few_stable_pairs"),
        ({"calibration_scores": [0.1] * 50}, "few_stable_pairs"),
        ({"in_distribution": None}, "range_not_stated"),
        ({"in_distribution": WITHIN | {"interval_days": None}}, "interval_not_calibrated"),
    ],
)
def test_a_rule_fires_by_what_the_release_holds(config, rule, tmp_path, settings):
    row = decided(tmp_path, with_config(settings.registry_dir, **config))
    assert row["rule"] == rule


def test_a_corrected_side_makes_the_decision_pending_and_nothing_else(tmp_path, settings):
    store = fill_store(tmp_path / "store", settings, LEVELS)
    before = find_work(store, settings)
    row = next(row for row in store.current("photos").to_pylist() if row["photo_id"] == "photo-1")
    row |= {"laterality": "R", "revision": 2}
    del row["recorded_at"]
    store.append("photos", rows_to_table("photos", [row]), "run")
    after = find_work(work_on(store, settings), settings)
    changed = {stage for stage in before.expected if before.expected[stage] != after.expected[stage]}
    assert changed == {"decisions", "trajectories"}


def test_the_same_tables_give_the_same_row_byte_for_byte(tmp_path, settings):
    rows = [decided(tmp_path / name, settings) for name in ("first", "again")]
    assert json.dumps(rows[0]) == json.dumps(rows[1])
