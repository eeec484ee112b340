"""`longderm bench change --store --labels`: the published table for a site's own pairs."""

from __future__ import annotations

import json
import shutil

import pytest

from longderm.bench import run_benchmark
from longderm.change.evidence import NoiseModel, Observation, score_of
from longderm.errors import UsageError
from longderm.models.releases import load_release
from longderm.prognosis.problems import OutcomesError
from longderm.settings import PACKAGED_VERSIONS, Settings
from longderm.site.ablation import CONFIGURATIONS, EVERYTHING
from longderm.site.figures import LONG, SHORT
from longderm.site.pairs import read_pairs
from longderm.stages.work import find_work
from longderm.store import Store


def bench(site, labels, tmp_path, **options):
    asked = {"store": str(site.store.root), "labels": str(labels), "ablation": "0", **options}
    return run_benchmark("change", tmp_path, asked)


def test_the_table_counts_every_labelled_pair_and_those_that_a_rule_withholds(site, tmp_path, capsys):
    told = bench(site, site.write_labels(tmp_path / "labels.csv"), tmp_path)
    assert told["labelled"] == len(site.changed) == 160
    withheld = sum(sum(rules.values()) for rules in told["withheld"].values())
    assert sum(rules.get("alignment_refused", 0) for rules in told["withheld"].values()) == 4 <= withheld < 20
    ours, size = (told["methods"][name] for name in ("longderm", "size alone"))
    assert ours["pairs"] == 160 - withheld and set(ours["time_points"]) == {SHORT, LONG}
    assert ours["auroc"][0] > size["auroc"][0] > 0.5
    assert told["gain_over_size"][0] == pytest.approx(ours["auroc"][0] - size["auroc"][0], abs=2e-4)
    printed = capsys.readouterr().out
    assert f"160 labelled pairs, {withheld} withheld" in printed and f"{ours['auroc'][0]:.3f}" in printed
    assert not any(pair_id in printed for pair_id in site.changed)


def test_labels_the_wrong_way_round_rank_the_wrong_way_round(site, tmp_path):
    told = bench(site, site.write_labels(tmp_path / "labels.csv"), tmp_path)["methods"]["longderm"]["auroc"][0]
    (tmp_path / "turned.csv").write_text(site.table((pair, not changed) for pair, changed in site.changed.items()))
    turned = bench(site, tmp_path / "turned.csv", tmp_path)["methods"]["longderm"]["auroc"][0]
    assert turned == pytest.approx(1 - told, abs=2e-4)


def test_pairs_that_are_not_worked_on_yet_are_asked_to_be(site, tmp_path):
    labels = site.write_labels(tmp_path / "labels.csv")
    other = site.store.releases_folder / "change" / "9.9.9"
    if not other.is_dir():
        shutil.copytree(load_release("change", PACKAGED_VERSIONS["change"]).folder, other)
    with pytest.raises(UsageError, match="160 of 160 labelled pairs are still to be worked on"):
        bench(site, labels, tmp_path, release="9.9.9")


def test_a_pair_that_is_not_planned_yet_is_no_mistake_of_the_labels_alone(site, tmp_path, monkeypatch):
    monkeypatch.setenv("LONGDERM_SEGMENTATION_VERSION", "0.1.0")
    with pytest.raises(OutcomesError, match=r"longderm monitor(.|\n)*unknown_pair"):
        bench(site, site.write_labels(tmp_path / "labels.csv"), tmp_path)


def test_problems_of_the_labels_and_half_a_command_are_wrong_usage(site, tmp_path):
    (tmp_path / "labels.csv").write_text("pair_id,changed\nno such pair,1\n")
    with pytest.raises(OutcomesError, match="unknown_pair"):
        bench(site, tmp_path / "labels.csv", tmp_path)
    for options in ({}, {"store": "x"}, {"store": "x", "labels": "y", "photos": "z"}):
        with pytest.raises(UsageError, match=r"--photos FOLDER, or --store URI with --labels CSV"):
            run_benchmark("change", tmp_path, options)


def test_the_steps_are_measured_from_the_photos_of_the_store_and_kept_to_go_on_with(monitored, tmp_path, capsys):
    work = find_work(Store(monitored), Settings())
    pairs = [pair for pair in read_pairs(work).done.values() if pair.withheld is None][:2]
    labels = tmp_path / "labels.csv"
    labels.write_text(f"pair_id,changed\n{pairs[0].pair_id},1\n{pairs[1].pair_id},0\n")
    asked = {"store": str(monitored), "labels": str(labels)}
    told = run_benchmark("change", tmp_path, asked)
    rows = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()[1:]]
    assert [row["name"] for row in rows] == sorted(pair.pair_id for pair in pairs)
    model = NoiseModel.from_config(work.in_use["change"].release.config)
    for row, pair in zip(rows, sorted(pairs, key=lambda pair: pair.pair_id), strict=True):
        measured = row["found"][EVERYTHING]["observations"]
        score = score_of([Observation(name, value) for name, value in measured.items()], model)
        assert score == pytest.approx(pair.score, abs=1e-4), "with every step on it is the score of the store"
    assert set(told["ablation"]["longderm"]) == set(CONFIGURATIONS) and told["photos_not_at_hand"] == 0
    assert "AUROC by step" in capsys.readouterr().out
    before = (tmp_path / "steps.jsonl").read_text()
    again = run_benchmark("change", tmp_path, asked | {"resume": "1"})
    assert (tmp_path / "steps.jsonl").read_text() == before and again["ablation"] == told["ablation"]
