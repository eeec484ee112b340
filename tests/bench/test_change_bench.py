"""The change benchmark: its pairs are what they are called, its figures mean what they say, a cut-off run goes on."""

import ast
import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "imaging"))
from painted_lesions import paint

import longderm
from longderm.bench.change import ROWS, run
from longderm.bench.change_baselines import BASELINES
from longderm.bench.change_camera import ALONE
from longderm.bench.change_measuring import read_crops, rescored, where_figures, write_crops
from longderm.bench.change_pairs import (
    ALONE_PREFIX,
    CALM,
    EXPANSION,
    OWN_PREFIX,
    STABLE,
    STRONG,
    WEAK,
    ChangeSpec,
    make_pair,
    plan,
    strata,
)
from longderm.bench.change_report import OURS, report, threshold
from longderm.bench.change_tissue import Lesion, add_blotch, expand, grow, lose_structure, shift_colour
from longderm.bench.rows import start_rows
from longderm.change.crops import cut_crops
from longderm.errors import SourceNotFoundError, UsageError
from longderm.imaging.colour import srgb_to_lab
from longderm.models import load_release
from longderm.registration.warp import warp_to_baseline


def textured(seed, shape=(240, 320), radius=50, turn=20.0):
    pixels, mask = paint(shape, (shape[1] / 2, shape[0] / 2), radius, turn, seed=seed)
    network = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, shape), (0, 0), 1.8) * 110 * mask
    return Lesion(np.clip(pixels + network[..., None], 0, 255).astype(np.uint8), mask)


@pytest.fixture(autouse=True)
def brief_bootstrap(monkeypatch):
    """Intervals only have to be there and about right."""
    monkeypatch.setattr("longderm.bench.statistics.BOOTSTRAP_SAMPLES", 60)


@pytest.fixture(scope="module")
def host():
    return textured(1)


@pytest.fixture(scope="module")
def donor():
    return textured(2, turn=70.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("photos")
    for part in ("images", "masks"):
        (made / part).mkdir()
    for index in range(3):
        lesion = textured(index, (300, 400), 60, 40.0 * index)
        cv2.imwrite(str(made / "images" / f"P{index}.png"), lesion.pixels[..., ::-1])
        cv2.imwrite(str(made / "masks" / f"P{index}.png"), lesion.mask.astype(np.uint8) * 255)
    (made / "index.csv").write_text("isic_id,split\n" + "".join(f"P{i},val\n" for i in range(3)))
    return made


def test_half_of_the_mix_is_only_rephotographed_and_every_beginning_is_a_small_copy_of_the_whole():
    specs = plan(600, seed=1)
    counts = Counter(spec.stratum for spec in specs)
    assert counts[STABLE] == 300 and {counts[name] for name in STRONG} == {50}
    assert {counts[name] for name in WEAK} == {30} and counts[EXPANSION] == 30
    assert {counts[ALONE_PREFIX + name] for name in (CALM, *ALONE)} == {30}
    assert counts[OWN_PREFIX + STABLE] == sum(counts[OWN_PREFIX + name] for name in STRONG) == 60
    assert set(counts) == set(strata()) and len({spec.name for spec in specs}) == len(specs)
    more = plan(600, 1, rephotographed=400)
    assert more[: len(specs)] == specs and [spec.stratum for spec in more[len(specs) :]] == [STABLE] * 100
    start = Counter(spec.stratum for spec in specs[: len(specs) // 3])
    for name in strata():
        assert start[name] == pytest.approx(counts[name] / 3, abs=2)


@pytest.mark.parametrize("growth", [0.07, 0.1, 0.2, 0.4])
def test_a_lesion_grows_by_what_was_asked_and_its_middle_and_far_skin_stay(host, donor, growth):
    grown = grow(host, donor, growth, np.random.default_rng(1))
    assert grown.size == pytest.approx(growth, abs=0.012)
    assert (grown.lesion.mask >= host.mask).all() and (grown.where == (grown.lesion.mask & ~host.mask)).all()
    depth = cv2.distanceTransform(host.mask.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~host.mask).astype(np.uint8), cv2.DIST_L2, 5)
    changed = np.abs(grown.lesion.pixels.astype(int) - host.pixels).sum(axis=2)
    assert changed[depth > 0.8 * depth.max()].mean() < 3
    assert changed[outside > 1.2 * host.radius_px].mean() < 1
    assert changed[grown.where].mean() > 30


def test_a_blotch_covers_its_share_inside_the_lesion_and_differs_from_what_was_there(host, donor):
    for share in (0.015, 0.05):
        spotted = add_blotch(host, donor, share, np.random.default_rng(5))
        assert spotted.size == pytest.approx(share, rel=0.05)
        assert not (spotted.where & ~host.mask).any()
        before, after = (srgb_to_lab(p[spotted.where]) for p in (host.pixels, spotted.lesion.pixels))
        assert np.linalg.norm(after.mean(axis=0) - before.mean(axis=0)) > 5
        far = cv2.distanceTransform((~spotted.where).astype(np.uint8), cv2.DIST_L2, 5) > 30
        assert np.array_equal(spotted.lesion.pixels[far], host.pixels[far])


def test_colour_shifts_by_what_was_asked_in_about_a_third(host):
    for delta in (4.0, 9.0):
        shifted = shift_colour(host, delta, np.random.default_rng(2))
        assert shifted.size == pytest.approx(delta, rel=0.05)
        assert 0.2 < shifted.where.sum() / host.mask.sum() < 0.4


def test_structure_fades_and_colour_stays(host):
    faded = lose_structure(host, np.random.default_rng(3))
    inside = cv2.erode(faded.where.astype(np.uint8), np.ones((13, 13), np.uint8)) > 0
    details = [
        (p.mean(axis=2) - cv2.GaussianBlur(p.mean(axis=2), (0, 0), 8))[inside].std()
        for p in (host.pixels, faded.lesion.pixels)
    ]
    assert details[1] < 0.5 * details[0]
    colours = [p[faded.where].mean(axis=0) for p in (host.pixels, faded.lesion.pixels)]
    assert np.abs(colours[0] - colours[1]).max() < 6


def test_expansion_takes_the_texture_along(host):
    larger = expand(host, 0.2)
    assert larger.size == pytest.approx(0.2, abs=0.02)
    zoom = np.array([[1.2**0.5, 0, 0], [0, 1.2**0.5, 0], [0, 0, 1.0]])
    zoom[:2, 2] = [(1 - 1.2**0.5) * host.centre.real, (1 - 1.2**0.5) * host.centre.imag]
    back, _ = warp_to_baseline(larger.lesion.pixels, zoom, host.mask.shape)
    assert np.abs(back.astype(int) - host.pixels)[host.mask].mean() < 8


def test_one_spec_makes_one_pair_whose_matrix_is_true(folder):
    first, again = (make_pair(ChangeSpec(STABLE, 1, 4), folder, "val") for _ in range(2))
    assert (first.baseline == again.baseline).all() and (first.followup == again.followup).all()
    assert not first.where.any() and first.size == 0
    as_pixels = np.repeat(first.followup_mask[..., None].astype(np.uint8) * 255, 3, axis=2)
    brought = warp_to_baseline(as_pixels, first.matrix, first.baseline_mask.shape)[0][..., 0] > 127
    assert 2 * (brought & first.baseline_mask).sum() > 0.95 * (brought.sum() + first.baseline_mask.sum())
    other = make_pair(ChangeSpec(STABLE, 1, 5), folder, "val")
    assert not (other.followup == first.followup).all()


def test_a_nuisance_alone_is_all_that_differs_from_the_calm_twin(folder):
    calm = make_pair(ChangeSpec(ALONE_PREFIX + CALM, 0, 4), folder, "val")
    for name in ALONE:
        pair = make_pair(ChangeSpec(ALONE_PREFIX + name, 0, 4), folder, "val")
        assert (pair.baseline == calm.baseline).all() and np.array_equal(pair.matrix, calm.matrix)
        assert not (pair.followup == calm.followup).all(), name


def test_both_generators_are_independent():
    """No change, warp or photometry of one is reached from the other: a network would also learn the brush."""
    root = Path(longderm.__file__).parent
    own = {f"longderm.simulate.{name}" for name in ("photo_changes", "photo_visits", "photo_pairs")}
    other = {f"longderm.bench.{name}" for name in ("change_tissue", "change_camera", "rephotography")}
    for modules, forbidden in ((own, other), (other, own)):
        for module in modules:
            tree = ast.parse((root.parent / (module.replace(".", "/") + ".py")).read_text())
            imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
            imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
            assert not imported & forbidden, module


def test_a_heat_map_on_the_change_is_inside_and_one_beside_it_is_not():
    where = np.zeros((60, 80), bool)
    where[20:30, 20:40] = True
    lesion = np.zeros_like(where)
    lesion[10:50, 10:70] = True
    heat = where.astype(np.float32) + 0.01 * np.random.default_rng(0).random(where.shape, dtype=np.float32)
    assert where_figures(heat, lesion, where, 40.0) == {"hot_away": 0.0, "iou": 1.0}
    beside = where_figures(np.roll(heat, 25, axis=1), lesion, where, 40.0)
    assert beside["iou"] == 0 and beside["hot_away"] > 0
    hidden = np.where(lesion, np.nan, heat).astype(np.float32)
    assert where_figures(hidden, lesion, where, 40.0) == {"hot_away": None, "iou": None}


def rows(shift, pairs=240, refuse=0.0, seed=0):
    rng = np.random.default_rng(seed)
    made = []
    for spec in plan(pairs, 1):
        value = rng.normal() + (shift if spec.changed else 0.0)
        row = {"name": spec.name, "stratum": spec.stratum, "number": spec.number, "photo": f"P{spec.number % 20}"}
        row |= {"changed": spec.changed, "size": 0.1}
        if rng.random() < refuse:
            made.append(row | {"refused": "alignment refused", "detail": "alignment refused: no match"})
            continue
        row |= {
            "refused": None,
            "withheld": None,
            "score": 1 / (1 + np.exp(-value)),
            "p_value": float(rng.random()),
            "model": "change/0",
        }
        row |= {"baselines": dict.fromkeys(BASELINES, rng.normal()), "misalignment": 0.004, "observations": {}}
        made.append(row | ({"hot_away": 0.0, "iou": 0.5} if spec.changed else {}))
    return made


def test_the_report_tells_a_score_that_knows_from_baselines_that_guess():
    figures = report(rows(shift=8.0))
    mix = figures["methods"][OURS]["mix"]
    assert mix["auroc"][0] > 0.99 and mix["sensitivity"][0] > 0.99
    gain = figures["over_best_baseline"]["auroc_gain"]
    assert gain[1] > 0.25 and gain[0] == pytest.approx(
        mix["auroc"][0] - figures["methods"][figures["over_best_baseline"]["baseline"]]["mix"]["auroc"][0], abs=1e-3
    )
    assert figures["heat_map"]["hottest_inside"][0] == 1 and figures["heat_map"]["iou_at_equal_area"][0] == 0.5
    assert abs(figures["own_generator"]["gap"]) < 0.02


def test_the_named_reason_is_right_wrong_or_missing_by_what_was_changed():
    named = {"growth": ["symmetry", "size"], "blotch": ["colour"], "colour": ["structure", "colour"], "lost": []}
    made = rows(shift=8.0)
    assert report(made)["reason_named"]["detected"] == 0, "a release without a network names nothing"
    told = report([row | {"named_reasons": named.get(row["stratum"].split()[0])} for row in made])["reason_named"]
    right = {stratum: figure[0] for stratum, figure in told["right_by_stratum"].items()}
    assert right["growth 20%"] == right["blotch 3-8%"] == 1 and right["colour 6-12"] == right["lost structure"] == 0
    assert told["right"][0] == pytest.approx(4 / 6, abs=0.05) and told["none_named"] == pytest.approx(1 / 6, abs=0.05)


def test_symmetry_is_told_by_whether_it_truly_changed():
    made = [
        row | {"named_reasons": ["size", "symmetry"] if row["number"] % 3 else ["size"]}
        | {"asymmetry_moved": [0.0, 0.02 if row["number"] % 2 else -2.5]}
        for row in rows(shift=8.0)
    ]  # fmt: skip
    told = report(made)["symmetry_named"]
    assert told["moved"] > 20 < told["kept"]
    assert told["named_where_moved"][0] == pytest.approx(2 / 3, abs=0.1)
    assert told["named_where_kept"][0] == pytest.approx(2 / 3, abs=0.1)
    sure = report([row | {"named_reasons": ["symmetry"] if row["number"] % 2 == 0 else []} for row in made])
    assert sure["symmetry_named"]["named_where_moved"][0] == 1 and sure["symmetry_named"]["named_where_kept"][0] == 0
    assert report([row | {"asymmetry_moved": None} for row in made])["symmetry_named"]["moved"] == 0


def test_a_score_that_knows_nothing_ranks_by_chance_and_raises_five_in_a_hundred():
    figures = report(rows(shift=0.0, pairs=800))
    _, low, high = figures["methods"][OURS]["mix"]["auroc"]
    assert low < 0.5 < high and high - low < 0.2
    assert figures["methods"][OURS]["mix"]["sensitivity"][0] < 0.15
    for level in ("p <= 0.05", "p <= 0.01"):
        assert figures["p_values"][level]["inside"]
    for rise in figures["false_alarms_alone"]["rise"].values():
        assert abs(rise[0]) < 0.2


def test_refused_pairs_are_counted_and_lower_what_a_clinic_sees():
    figures = report(rows(shift=8.0, refuse=0.3))
    for part in figures["refused"].values():
        assert 0.1 < part["refused"] / part["pairs"] < 0.5 and part["reasons"] == {"alignment refused": part["refused"]}
    assert figures["sensitivity_refused_as_missed"][0] < 0.85 < figures["methods"][OURS]["mix"]["sensitivity"][0]


def test_at_most_one_stable_pair_in_twenty_is_above_the_threshold():
    for count in (19, 20, 21, 100, 101):
        values = np.random.default_rng(count).random(count)
        assert (values > threshold(values)).sum() <= 0.05 * count


def test_a_killed_run_goes_on_without_its_half_line_and_another_runs_rows_are_refused(tmp_path):
    described = {"seed": 1, "pairs": 10, "split": "val"}
    path = tmp_path / ROWS
    assert start_rows(path, described, True, "--seed") == []
    with path.open("a") as file:
        file.write(json.dumps({"name": "a"}) + "\n" + '{"name": "b", "sco')
    assert start_rows(path, described, True, "--seed") == [{"name": "a"}]
    with path.open("a") as file:
        file.write(json.dumps({"name": "b"}) + "\n")
    assert start_rows(path, described, True, "--seed") == [{"name": "a"}, {"name": "b"}]
    with pytest.raises(UsageError, match="another run"):
        start_rows(path, described | {"seed": 2}, True, "--seed")
    assert start_rows(path, described, False, "--seed") == []


def test_another_release_scores_a_row_from_what_was_measured(tmp_path):
    release = load_release("change", "0.1.0")
    noise = release.config["noise"]
    row = {"refused": None, "model": "change/other", "score": 0.5, "p_value": None}
    calm = rescored(row | {"observations": {"area": 0.0, "colour_local": 0.0}}, release, tmp_path)
    loud = rescored(row | {"observations": {"area": 9 * noise["area"]["mdc"], "colour_local": 40.0}}, release, tmp_path)
    assert calm["score"] < loud["score"] and loud["p_value"] < calm["p_value"]
    known = row | {"model": release.digest}
    assert rescored(known, release, tmp_path) == known
    refused = {"refused": "no lesion found"}
    assert rescored(refused, replace(release), tmp_path) is refused


def test_crops_are_read_as_they_were_kept(tmp_path):
    lesion = textured(4)
    pixels, mask = lesion.pixels, lesion.mask
    where = np.zeros_like(mask)
    where[110:125, 150:170] = True
    kept = cut_crops((pixels, pixels), (mask, where), np.eye(3))
    write_crops(tmp_path / "pair.png", kept, where)
    crops, changed = read_crops(tmp_path / "pair.png")
    for name in ("baseline", "followup", "seen", "baseline_lesion", "followup_lesion"):
        assert (getattr(crops, name) == getattr(kept, name)).all(), name
    assert (changed == kept.followup_lesion).all() and changed.any()
    with pytest.raises(UsageError, match=r"other\.png"):
        read_crops(tmp_path / "other.png")


def test_the_whole_benchmark_measures_each_pair_once_and_keeps_its_crops(folder, tmp_path):
    figures = run(tmp_path, str(folder), pairs=2, seed=3, resume=1)
    lines = (tmp_path / ROWS).read_text().splitlines()
    assert sum(figures["pairs"].values()) == len(lines) - 1 == figures["planned"]
    again = run(tmp_path, str(folder), pairs=2, seed=3, resume=1)
    assert again == figures and (tmp_path / ROWS).read_text().splitlines() == lines
    scored = [row for row in map(json.loads, lines[1:]) if row["refused"] is None]
    assert scored, "some of the painted lesions are found and aligned"
    for row in scored:
        sheet = cv2.imread(str(tmp_path / "crops" / f"{row['name']}.png"))
        assert sheet.shape == (160, 480, 3)
        assert set(row["baselines"]) == set(BASELINES)


def test_a_folder_of_another_layout_is_told(tmp_path):
    with pytest.raises(SourceNotFoundError, match="images"):
        run(tmp_path, str(tmp_path))
