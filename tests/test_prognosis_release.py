"""A fitted model as a release: what it tells, and that the registry takes it for what it is."""

from __future__ import annotations

import json
from datetime import date

import pandas as pd
import pytest

from longderm.errors import LongdermError, RefusedError, UsageError
from longderm.models.kinds import check_release
from longderm.models.registry import Who, add_release, list_registry, show_release, verify_registry
from longderm.models.releases import digest_of, problems_of, write_hashes
from longderm.prognosing import fit_table, predict_table
from longderm.prognosis_choice import ChosenModel
from longderm.prognosis_options import FitOptions
from longderm.prognosis_release import Told, read_prognosis_release, to_config, write_prognosis_release
from longderm.prognosis_sources import TableSource
from longderm.settings import Settings
from longderm.simulate.cohort import simulate_cohort
from longderm.store import Store

TOLD = Told("240 simulated patients", "Apache-2.0")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Simulated patients of whom some died of another cause, with the days of both."""
    drawn = pd.DataFrame(simulate_cohort(240, seed=21).patients)
    path = tmp_path_factory.mktemp("cohort") / "clinic.csv"
    other = (drawn.index % 9 == 0) & (drawn.event == 0)
    cause = drawn.event.map({1: "melanoma", 0: "alive"}).where(~other, "other cause")
    ended = drawn.time.astype(int)
    pd.DataFrame(
        {
            "patient_id": drawn.patient_id,
            "origin_date": "2011-05-02",
            "mel_thick_mm": drawn.thickness_mm.clip(0.1, 50).round(2),
            "mel_ulcer": drawn.ulcer.map({0.0: "no", 1.0: "yes"}),
            "sex": drawn.male.map({0.0: "female", 1.0: "male"}),
            "death_cause": cause,
            "death_days": ended.where(cause != "alive"),
            "last_follow_up_days": ended,
        }
    ).to_csv(path, index=False)
    return path


def fitted(table, out, **options):
    source = TableSource(table, as_of=date(2026, 1, 1))
    options = FitOptions(bootstraps=0, **options)
    name = "prognosis/1.2.0"
    return fit_table(source, "melanoma_specific", ["log2(mel_thick_mm)", "mel_ulcer"], out, name, options, TOLD)


@pytest.fixture
def release(table, tmp_path):
    fitted(table, tmp_path / "made", strata=("sex",))
    return tmp_path / "made"


def test_config_and_card_say_what_the_model_rests_on(release):
    config = json.loads((release / "config.json").read_text())
    assert config["endpoint"] == "melanoma_specific" and config["horizons_years"] == [1.0, 3.0, 5.0, 7.0]
    thickness = config["covariates"][0]
    assert (thickness["source"], thickness["unit"], thickness["log2"]) == ("mel_thick_mm", "mm", True)
    assert len(thickness["terms"][0]["training_range"]) == 2
    assert config["model"]["strata"] == ["sex=female", "sex=male"] and len(config["model"]["baseline"]) == 2
    assert 0 < config["events"] < config["patients"] == 240 and config["competing_events"] > 0
    card = (release / "card.md").read_text()
    for word in ("# prognosis/1.2.0", "Intended use", "240 simulated patients", "Apache-2.0", "Limits", "sex=male"):
        assert word in card
    assert f"{config['competing_events']} patients died of another cause" in card
    assert not any(f"P{index:06d}" in path.read_text() for index in (0, 7) for path in release.iterdir())


def test_a_release_is_read_back_as_it_was_written(release, tmp_path):
    read = read_prognosis_release(release)
    assert read.name == "prognosis/1.2.0"
    again = tmp_path / "again"
    digest = write_prognosis_release(again, read.name, read.prognosis, TOLD)
    assert digest == read.digest
    assert to_config(read_prognosis_release(again).prognosis) == to_config(read.prognosis)


def test_the_same_table_gives_the_same_files(table, tmp_path):
    assert fitted(table, tmp_path / "a")["digest"] == fitted(table, tmp_path / "b")["digest"]


def test_the_registry_adds_shows_and_verifies_it(release, tmp_path):
    assert check_release(release) == "prognosis/1.2.0"
    store = Store.create(tmp_path / "store", "key-1")
    settings = Settings()
    row = add_release(release, settings, store, Who("A. Clinician", "our own patients", date(2026, 3, 1)))
    assert row["to_release"] == "prognosis/1.2.0"
    listed = {one["release"]: one for one in list_registry(settings, store)}
    assert listed["prognosis/1.2.0"]["state"] == "added"
    shown = show_release("prognosis/1.2.0", settings, store)
    assert shown["summary"].startswith("Cox model of the risk") and shown["figures"]["events"] > 0
    assert verify_registry(settings, store)["problems"] == []
    inside = store.releases_folder / "prognosis" / "1.2.0"
    assert read_prognosis_release(inside).digest == row["to_digest"]
    (inside / "figures.json").write_text("{}")
    assert any("prognosis/1.2.0" in problem for problem in verify_registry(settings, store)["problems"])


def test_competing_deaths_are_a_caveat_of_every_risk(release, table, tmp_path):
    chosen = ChosenModel(release, True, digest_of(release))
    summary = predict_table(TableSource(table, as_of=date(2026, 1, 1)), chosen, tmp_path / "p.csv")
    assert set(summary["verdicts"]) == {"issued_with_caveat"} and set(summary["rules"]) == {"competing_events"}


def test_a_stratum_that_was_not_in_training_is_withheld(release, table, tmp_path):
    patients = pd.read_csv(table).head(3)
    patients["sex"] = ["female", None, "male"]
    patients.to_csv(tmp_path / "t.csv", index=False)
    predict_table(TableSource(tmp_path / "t.csv"), ChosenModel(release), tmp_path / "p.csv")
    assert pd.read_csv(tmp_path / "p.csv")["rule"].tolist() == [
        "competing_events",
        "stratum_unknown",
        "competing_events",
    ]


def test_a_release_without_hashes_or_of_another_kind_is_refused(release):
    (release / "hashes.json").unlink()
    assert problems_of(release)
    with pytest.raises(RefusedError, match=r"hashes\.json is missing"):
        read_prognosis_release(release)
    card = (release / "card.md").read_text()
    (release / "card.md").write_text(card.replace("# prognosis/", "# change/", 1))
    write_hashes(release)
    with pytest.raises(RefusedError, match="no such release"):
        read_prognosis_release(release)


def test_a_fit_that_fails_leaves_no_folder(table, tmp_path):
    with pytest.raises(UsageError):
        fit_table(TableSource(table), "stated", ["mel_ulcer"], tmp_path / "m", "prognosis/1", FitOptions(), TOLD)
    assert list(tmp_path.iterdir()) == []


def test_a_source_of_patients_goes_through_the_parameters_of_a_flow(tmp_path):
    source = TableSource(
        tmp_path / "t.csv",
        features=tmp_path / "f.csv",
        as_of=date(2026, 1, 2),
        origin_days=30.0,
        dated_by=(("a", "b"),),
        time_invariant=("c",),
    )
    assert TableSource.from_dict(json.loads(json.dumps(source.as_dict()))) == source
    with pytest.raises(LongdermError, match="walk"):
        TableSource.from_dict({"table": "t.csv", "walk": 1})
