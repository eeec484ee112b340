"""`longderm recalibrate change`: from a store to a release of the site's own, through the registry and back."""

from __future__ import annotations

import json
import shutil

import pytest
from scipy.stats import binom

from longderm.change.evidence import NoiseModel
from longderm.cli import main
from longderm.models.kinds import check_release
from longderm.models.releases import load_release
from longderm.settings import PACKAGED_VERSIONS, Settings
from longderm.site.labelled import read_labelled
from longderm.site.pairs import read_pairs, rescored
from longderm.site.recalibrating import PRESUMED
from longderm.stages import find_work
from longderm.store import Store

PACKAGED = PACKAGED_VERSIONS["change"]
BASE, SITE = f"change/{PACKAGED}", f"change/{PACKAGED}+site.20260301"


@pytest.fixture
def longderm(capsys):
    """Run a command; gives its status, what it printed, and its complaint."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(one) for one in arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err and len(printed.err.splitlines()) <= 1
        return ended.value.code, printed.out, printed.err

    return run


@pytest.fixture
def store(site, tmp_path):
    """A copy of the site's store, to be written to."""
    shutil.copytree(site.store.root, tmp_path / "store")
    return tmp_path / "store"


def test_a_noisier_site_gets_a_release_that_the_registry_takes_and_gives_back(longderm, site, store, tmp_path):
    made = tmp_path / "made"
    labels = site.write_labels(tmp_path / "labels.csv")
    day = ("--as-of", "2026-03-01")
    status, printed, _ = longderm(
        *("recalibrate", "change", "--store", store, "--labels", labels, "--out", made, "--json"), *day
    )
    told = json.loads(printed)
    assert status == 0 and told["release"] == SITE and told["accepted"] in told["tried"]
    assert check_release(made) == SITE
    config, card = json.loads((made / "config.json").read_text()), (made / "card.md").read_text()
    assert (
        config["source"]["base"] == BASE
        and len(config["calibration_scores"]) == (config["source"]["calibration_patients"])
    )
    figures = told["tried"][told["accepted"]]
    assert figures["false_alarm_rate_before"] > figures["false_alarm_rate"]
    for text in (card, printed, (made / "config.json").read_text()):
        assert not any(pair in text or "patient-" in text for pair in site.changed)

    before = find_work(Store(store), Settings())
    assert longderm("registry", "add", made, "--store", store, "--by", "A", *day)[0] == 0
    promoted = longderm("registry", "promote", SITE, "--store", store, "--reason", "fewer alarms", "--by", "A", *day)
    assert promoted[:2] == (0, f"{BASE} -> {SITE}\n")
    after = find_work(Store(store), Settings())
    assert after.in_use["change"].release.name == SITE
    assert len(after.pending["changes"]) == 160 and not after.pending["alignments"]
    # On the site's stable pairs the new release is right where the old one was not.
    model = NoiseModel.from_config(after.in_use["change"].release.config)
    stable = [p for p in read_pairs(before).done.values() if p.withheld is None and not site.changed[p.pair_id]]
    old, new = (
        sum(pair.p_value <= 0.05 for pair in pairs) / len(stable)
        for pairs in (stable, [rescored(pair, model) for pair in stable])
    )
    most_by_chance = binom.ppf(0.975, len(stable), 0.05) / len(stable)
    assert old > most_by_chance >= new
    back = longderm("registry", "rollback", "change", "--store", store, "--reason", "trial", "--by", "A", *day)
    assert back[:2] == (0, f"{SITE} -> {BASE}\n")
    assert find_work(Store(store), Settings()).expected == before.expected


def test_the_blank_table_names_every_pair_tells_nothing_of_them_and_is_read_when_filled_in(
    longderm, site, store, tmp_path
):
    table = tmp_path / "labels.csv"
    status, printed, _ = longderm("labels", "--store", store, "--out", table)
    assert status == 0 and printed == f"160 pairs to be labelled: {table}\n"
    header, *rows = table.read_text().splitlines()
    assert header == "patient_id,lesion_id,baseline_day,followup_day,pair_id,changed,melanoma"
    assert {row.split(",")[4] for row in rows} == set(site.changed) and rows == sorted(rows)
    assert all(row.endswith(",,") for row in rows)
    status, _, error = longderm("labels", "--store", store, "--out", table)
    assert status == 2 and "exists" in error
    work = find_work(Store(store), Settings())
    filled = [f"{row[:-2]},{int(site.changed[row.split(',')[4]])}," for row in rows[:-3]]
    table.write_text("\n".join([header, *filled, *rows[-3:]]))
    told, pairs = read_labelled(work, table)
    assert told.unlabelled == 3 and {p.pair_id: p.changed for p in pairs} == {
        row.split(",")[4]: site.changed[row.split(",")[4]] for row in rows[:-3]
    }


def test_without_labels_stability_is_presumed_and_the_card_says_so(longderm, store, tmp_path):
    status, printed, _ = longderm(
        *("recalibrate", "change", "--store", store, "--out", tmp_path / "made", "--as-of", "2026-03-01")
    )
    assert status == 0 and "registry promote" in printed
    made = load_release_folder(tmp_path / "made")
    assert made["source"]["stable_pairs"] == "presumed" and made["source"]["fitted"] == "scores"
    assert PRESUMED in (tmp_path / "made" / "card.md").read_text()
    assert made["noise"] == load_release("change", PACKAGED).config["noise"]


def test_a_store_that_was_only_taken_in_is_to_be_worked_on_first(longderm, small_archive, tmp_path):
    assert longderm("ingest", small_archive, "--store", tmp_path / "new")[0] == 0
    for command in (("labels",), ("recalibrate", "change")):
        status, _, error = longderm(*command, "--store", tmp_path / "new", "--out", tmp_path / "out")
        assert status == 2 and "run `longderm monitor --store` first" in error
        assert not (tmp_path / "out").exists()


def test_labels_that_are_not_there_are_named_by_their_option(longderm, store, tmp_path):
    more = ("--store", store, "--labels", tmp_path / "none.csv", "--out", tmp_path / "made")
    status, _, error = longderm("recalibrate", "change", *more)
    assert status == 2 and "--labels: the table does not exist" in error


def test_too_few_patients_are_refused_with_the_number_it_takes_and_nothing_is_written(longderm, site, store, tmp_path):
    calm = [pair for pair, changed in sorted(site.changed.items()) if not changed][:15]
    (tmp_path / "labels.csv").write_text(site.table((pair, False) for pair in calm))
    status, _, error = longderm(
        *("recalibrate", "change", "--store", store, "--labels", tmp_path / "labels.csv", "--out", tmp_path / "made")
    )
    assert status == 3 and "patients with a stable pair" in error and "take 20" in error
    assert not (tmp_path / "made").exists()


def test_training_on_a_store_writes_a_release_or_says_why_not(longderm, site, store, tmp_path):
    labels = site.write_labels(tmp_path / "labels.csv")
    asked = ("train", "change", "--store", store, "--labels", labels, "--out", tmp_path / "made", "--json")
    status, printed, error = longderm(*asked)
    told = json.loads(printed)
    assert told["figures"]["auroc_gain"][0] == pytest.approx(
        told["figures"]["auroc_score"][0] - told["figures"]["auroc_score_before"][0], abs=2e-4
    )
    if told["accepted"]:
        assert status == 0 and check_release(tmp_path / "made") == told["release"]
        assert told["release"].endswith(".weights")
    else:
        assert status == 3 and "no gain to be sure of" in error and not (tmp_path / "made").exists()


@pytest.mark.parametrize("more", [(), ("--store", "x"), ("--labels", "x"), ("folder", "--store", "x", "--labels", "y")])
def test_training_takes_a_folder_or_a_store_with_labels(longderm, tmp_path, more):
    status, _, error = longderm("train", "change", *more, "--out", tmp_path / "made")
    assert status == 2 and "a FOLDER of photos, or --store URI with --labels CSV" in error


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--alpha", "0.2"), "0.05 or 0.01"),
        (("--release", "of/us"), "KIND/VERSION"),
        (("--release", PACKAGED), "another version"),
    ],
)
def test_wrong_usage_is_one_line(longderm, store, tmp_path, more, message):
    status, _, error = longderm("recalibrate", "change", "--store", store, "--out", tmp_path / "made", *more)
    assert status == 2 and message in error


def test_a_folder_that_holds_something_is_left_alone(longderm, store, tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "mine.txt").write_text("mine")
    status, _, error = longderm("recalibrate", "change", "--store", store, "--out", tmp_path / "made")
    assert status == 2 and "not empty" in error and [p.name for p in (tmp_path / "made").iterdir()] == ["mine.txt"]


def load_release_folder(folder):
    """The config of a release that lies by itself."""
    return json.loads((folder / "config.json").read_text())
