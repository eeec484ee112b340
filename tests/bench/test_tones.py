"""Figures by skin tone: groups that are too small say nothing, and what a group loses is seen in that group alone."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "imaging"))
from painted_lesions import paint

from longderm.bench import tones
from longderm.bench.card import add_to_release, of_change, run
from longderm.bench.change import JUDGED
from longderm.bench.change_pairs import STABLE, STRONG
from longderm.bench.series_measuring import SeriesSpec, measure_series
from longderm.bench.tones import (
    CHANGING,
    FEWEST,
    RESTING,
    SKIN_TYPES,
    by_tone,
    change_figures,
    outline_figures,
    simulated_figures,
    simulated_specs,
)
from longderm.change.evidence import DEFAULT_VERSION
from longderm.errors import SourceNotFoundError, UsageError
from longderm.imaging.segmentation import DEFAULT_VERSION as SEGMENTATION
from longderm.models import load_release
from longderm.models.kinds import card_title, check_release
from longderm.models.releases import packaged_registry, write_hashes


@pytest.fixture(autouse=True)
def brief_bootstrap(monkeypatch):
    """Intervals only have to be there and about right."""
    monkeypatch.setattr("longderm.bench.statistics.BOOTSTRAP_SAMPLES", 100)


def change_rows(group, photos, shift, p_stable=0.5):
    rng = np.random.default_rng(photos)
    made = []
    for number in range(photos):
        for stratum in (STABLE, STRONG[0]):
            value = rng.normal() + (shift if stratum != STABLE else 0.0)
            row = {"photo": f"{group}{number}", "stratum": stratum, "refused": None, "withheld": None}
            made.append(row | {"score": float(1 / (1 + np.exp(-value))), "p_value": p_stable})
    return made


def test_a_tone_on_which_changes_are_missed_shows_it_and_the_others_do_not():
    rows = change_rows("a", 120, 9.0) + change_rows("b", 80, 0.0, p_stable=0.01) + change_rows("c", FEWEST - 1, 9.0)
    groups = {f"a{i}": "light" for i in range(120)} | {f"b{i}": "tan or darker" for i in range(80)}
    groups |= {f"c{i}": "intermediate" for i in range(FEWEST - 1)}
    told = change_figures(rows, groups, 0.05)
    assert told["light"]["auroc"][0] > 0.99 and told["light"]["flagged_unchanged"][0] == 0
    assert told["tan or darker"]["auroc"][0] < 0.65 and told["tan or darker"]["flagged_unchanged"][0] == 1
    assert told["intermediate"] == {"photos": FEWEST - 1}, "too few photos say nothing"
    assert told["very light"] == {"photos": 0}
    assert told["all"]["photos"] == 200 + FEWEST - 1


def test_pairs_that_could_not_be_scored_are_no_alarms_and_are_counted():
    rows = change_rows("a", 120, 9.0) + [row | {"refused": "no lesion"} for row in change_rows("b", 40, 9.0)]
    groups = {row["photo"]: "light" for row in rows}
    told = change_figures(rows, groups, 0.05)["light"]
    assert told["pairs"] == 320 and told["not_scored"][0] == pytest.approx(0.25)
    assert told["sensitivity"][0] == pytest.approx(0.75, abs=0.02) and told["auroc"][0] > 0.99
    withheld = [row | {"withheld": "quality"} if row["photo"] == "a1" else row for row in rows]
    assert change_figures(withheld, groups, 0.05)["light"]["withheld"][0] == pytest.approx(2 / 320, abs=1e-4)
    with pytest.raises(SourceNotFoundError, match="did not change"):
        change_figures([row for row in rows if row["stratum"] != STABLE], groups, 0.05)


def test_outlines_are_told_by_the_photos_of_a_tone():
    rows = [
        {"photo": f"P{i}", "tone": "light" if i % 2 else "very light", "dice": 0.9 - 0.5 * (i % 2)} for i in range(60)
    ]
    told = by_tone(rows, outline_figures)
    assert told["light"]["dice_mean"][0] == pytest.approx(0.4) and told["light"]["below_half"][0] == 1
    assert told["very light"]["dice_mean"][0] == pytest.approx(0.9) and told["all"]["dice_mean"][0] == pytest.approx(
        0.65
    )


def test_every_lesion_is_shown_on_every_skin_and_a_beginning_is_balanced():
    specs = simulated_specs(8, 3)
    assert len({spec.name for spec in specs}) == len(specs) == 8 * len(SKIN_TYPES)
    beginning = specs[: 2 * len(SKIN_TYPES)]
    assert {spec.stratum for spec in beginning} == {RESTING, CHANGING}
    assert {spec.skin for spec in beginning} == set(SKIN_TYPES)


def test_simulated_figures_are_those_of_the_skin_they_stand_beside():
    release = load_release("change", "0.4.0")
    rows = []
    for spec in simulated_specs(60, 3):
        seen = spec.stratum == CHANGING and spec.skin < 6
        pair = {"withheld": None, "score": 0.9 if seen else 0.1, "p_value": 0.01 if seen else 0.4}
        visits = [{"area_mm2": 11.0, "true_area_mm2": 10.0}, {"area_mm2": None, "true_area_mm2": 10.0}]
        rows.append(
            {
                "stratum": spec.stratum,
                "skin": spec.skin,
                "index": spec.index,
                "visits_measured": visits,
                "pairs": [pair],
            }
        )
    rows[0]["pairs"] = [{"withheld": "quality"}]
    told = simulated_figures(rows, release)
    assert told["I"]["sensitivity"][0] == 1 and told["I"]["auroc"][0] == 1 and told["I"]["withheld"] == 1
    assert told["VI"]["sensitivity"][0] == 0 and told["VI"]["auroc"][0] == 0.5 and told["VI"]["withheld"] == 0
    assert told["all"]["area_error_median"] == pytest.approx(0.1) and told["all"]["false_alarms"][0] == 0


def test_one_lesion_on_two_skins_is_the_same_lesion():
    release = load_release("change", "0.1.0")
    light, dark = (
        measure_series(SeriesSpec(RESTING, 5, 2, "benign", 2, at_rest=True, skin=s), release) for s in (1, 6)
    )
    assert light["name"] != dark["name"] and light["skin"] == 1
    areas = [[visit["true_area_mm2"] for visit in row["visits_measured"]] for row in (light, dark)]
    assert areas[0] == areas[1] and light["drawn"] == dark["drawn"]


@pytest.fixture
def registry(tmp_path):
    for name in ("change/0.4.0", "segmentation/0.3.0"):
        shutil.copytree(packaged_registry() / name, tmp_path / "registry" / name)
    return tmp_path / "registry"


def test_results_are_taken_into_the_cards_of_the_releases_that_they_name(registry, tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    groups = {"light": {"photos": 40, "dice_mean": [0.9, 0.8, 1.0]}, "all": {"photos": 44, "dice_mean": [0.9]}}
    parts = {"segmentation/0.3.0": {"photos": groups}, "change/0.4.0": {"photos": groups}, "quality/0.2.0": {}}
    (results / "tones.json").write_text(json.dumps({"by_release": parts, "run": {"split": "val"}}))
    run(tmp_path, str(registry), str(results))
    for name in ("segmentation/0.3.0", "change/0.4.0"):
        card = (registry / name / "card.md").read_text()
        assert "| light | 40 | 0.900 (0.800 to 1.000) |" in card and "## By skin tone" in card
        assert check_release(registry / name) == name == card_title(registry / name)
        assert json.loads((registry / name / "figures.json").read_text())["by_skin_tone"]["photos"] == groups
    before = (registry / "change" / "0.4.0" / "card.md").read_text()
    run(tmp_path, str(registry), str(results))
    assert (registry / "change" / "0.4.0" / "card.md").read_text() == before, "twice is once"
    of_simulated = {"by_release": {"change/0.4.0": {"simulated": {"VI": {"lesions": 9, "auroc": [0.7]}}}}}
    (results / "tones.json").write_text(json.dumps(of_simulated))
    run(tmp_path, str(registry), str(results))
    card = (registry / "change" / "0.4.0" / "card.md").read_text()
    assert "| light | 40 |" in card and "| VI | 9 | 0.700 |" in card, "what one run found stays beside the other's"


def test_results_and_releases_that_are_not_there_are_told(registry, tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"change\.json"):
        run(tmp_path, str(registry), str(tmp_path))
    with pytest.raises(SourceNotFoundError, match=r"change/9\.9\.9"):
        add_to_release(registry, "change/9.9.9", {})
    (registry / "change" / "0.4.0" / "config.json").write_text("{}")
    with pytest.raises(SourceNotFoundError, match=r"change/0\.4\.0"):
        add_to_release(registry, "change/0.4.0", {})


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("change", {"release": "change/0.4.0"}, "run it anew"),
        ("change", "no json", "not JSON"),
        ("tones", {"by_release": {"segmentation/0.3.0": {"photos": {}}}, "run": {"split": "train"}}, "split 'train'"),
    ],
)
def test_results_of_another_kind_are_refused_in_one_line(registry, tmp_path, name, content, words):
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / f"{name}.json").write_text(text)
    before = (registry / "change" / "0.4.0" / "card.md").read_text()
    with pytest.raises(UsageError, match=words) as caught:
        run(tmp_path, str(registry), str(tmp_path))
    assert "\n" not in str(caught.value)
    assert (registry / "change" / "0.4.0" / "card.md").read_text() == before


def test_the_card_of_a_release_that_was_fitted_to_a_site_is_its_own(registry):
    folder = registry / "change" / "0.4.0"
    config = json.loads((folder / "config.json").read_text())
    config["source"] = {"kind": "site", "base": "change/0.4.0"}
    (folder / "config.json").write_text(json.dumps(config))
    write_hashes(folder)
    with pytest.raises(UsageError, match="fitted to a site"):
        add_to_release(registry, "change/0.4.0", {"reliability": {}})


def test_rows_of_bench_change_are_told_by_the_tone_of_their_photos(isic_of_tones, tmp_path):
    told = tones.run(tmp_path, photos=str(isic_of_tones), change=str(written_rows(tmp_path, "val")), lesions=0)
    change = told["by_release"][load_release("change", DEFAULT_VERSION).name]["photos"]
    assert change["all"]["photos"] == 4 and change["all"]["pairs"] == 16
    drawn_by = load_release("segmentation", SEGMENTATION).name
    outlines = told["by_release"][drawn_by]["photos"]
    assert outlines["all"]["photos"] == 4 and 0 <= outlines["all"]["dice_mean"][0] <= 1
    assert told["run"] == {"seed": 51, "lesions": 0, "split": "val", "photos": 4}
    before = (tmp_path / tones.PHOTO_ROWS).read_text()
    again = tones.run(tmp_path, photos=str(isic_of_tones), lesions=0, resume=1)
    assert again["by_release"][drawn_by]["photos"] == outlines, "what was measured is taken"
    assert (tmp_path / tones.PHOTO_ROWS).read_text() == before


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"change": "."}, UsageError, "--photos"),
        ({"photos": "none"}, SourceNotFoundError, "images/"),
        ({"photos": "folder", "split": "test"}, SourceNotFoundError, "no photo of split 'test'"),
        ({"photos": "folder", "change": "none"}, SourceNotFoundError, "bench change"),
        ({"photos": "folder", "change": "train"}, UsageError, "split 'train'"),
        ({"photos": "folder", "change": "other"}, UsageError, "judged by change/0"),
    ],
)
def test_folders_without_what_is_asked_of_them_are_told_in_one_line(isic_of_tones, tmp_path, options, kind, words):
    if options.get("photos") == "folder":
        options = options | {"photos": str(isic_of_tones)}
    if options.get("change") == "train":
        options = options | {"change": str(written_rows(tmp_path, "train"))}
    if options.get("change") == "other":
        options = options | {"change": str(written_rows(tmp_path, "val", "change/0"))}
    with pytest.raises(kind, match=words) as caught:
        tones.run(tmp_path, **({"lesions": 0} | options))
    assert "\n" not in str(caught.value)


def test_a_mask_of_another_size_is_told_with_its_photo(isic_of_tones, tmp_path):
    folder = tmp_path / "isic"
    shutil.copytree(isic_of_tones, folder)
    cv2.imwrite(str(folder / "masks" / "P2.png"), np.full((90, 120), 255, np.uint8))
    with pytest.raises(SourceNotFoundError, match="P2: its mask"):
        tones.run(tmp_path, photos=str(folder), lesions=0)


def written_rows(folder, split, release=f"change/{DEFAULT_VERSION}"):
    """Rows as bench change writes them, of four photos."""
    rows = change_rows("P", 4, 9.0) + [row | {"refused": "no lesion"} for row in change_rows("P", 4, 9.0)]
    lines = [{"split": split, "release": release}, *rows]
    (folder / JUDGED).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture(scope="module")
def isic_of_tones(tmp_path_factory):
    """Four painted photos with masks."""
    folder = tmp_path_factory.mktemp("isic")
    for part in ("images", "masks"):
        (folder / part).mkdir()
    lines = ["isic_id,split"]
    for number in range(4):
        pixels, mask = paint((180, 240), (120, 90), 40 + 3 * number, 20.0, seed=number)
        cv2.imwrite(str(folder / "images" / f"P{number}.png"), pixels[..., ::-1])
        cv2.imwrite(str(folder / "masks" / f"P{number}.png"), mask.astype(np.uint8) * 255)
        lines.append(f"P{number},val")
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_a_result_of_bench_change_gives_the_cards_figures():
    kept = {
        "methods": {"longderm": {"mix": {"auroc": [0.9], "sensitivity": [0.8]}, "weak": {"auroc": [0.7]}}},
        "pairs": {STABLE: 3, STRONG[0]: 4, "alone: hair": 50, "own: growth 10%": 60},
        "false_alarms_alone": {"rise": {"hair": [0.01, 0, 0.02], "gel": [0.03], "tan": None}},
        "over_best_baseline": {"auroc_gain": [0.2]},
        "heat_map": {"hottest_inside": [0.9]},
        "reason_named": {"right": [0.8]},
        "symmetry_named": {"named_where_moved": [0.6], "named_where_kept": [0.1]},
        "p_values": {"issued": 9, "p <= 0.05": {"share": 0.04}},
        "reliability": {"pairs": 7},
        "refused": {"changed": {"refused": 2}},
        "run": {"split": "val"},
        "release": "change/0.4.0",
    }
    told = of_change(kept)
    assert told["reliability"] == {"pairs": 7} and told["semi_synthetic"]["pairs"] == 7
    assert told["semi_synthetic"]["pairs_not_scored"] == 2
    assert told["semi_synthetic"]["largest_rise_of_false_alarms_by_one_nuisance"] == 0.03
    assert told["semi_synthetic"]["unchanged_with_p<=0.05"] == 0.04
