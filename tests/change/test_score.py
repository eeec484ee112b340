"""`score_change` on drawn lesions, with the real masks, alignment and measures."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from drawn_lesions import SIDE, lesion_pixels, rephotograph, similarity

from longderm.change import score_change
from longderm.change.evidence import MEASURES
from longderm.errors import RefusedError
from longderm.imaging import measure, segment
from longderm.imaging.artefacts import find_artefacts
from longderm.models.releases import load_release, write_hashes
from longderm.photo import Photo
from longderm.registration import Alignment, align, prepare
from longderm.schema import DELTA

#: The alignment of two photos in one pose.
STILL = Alignment(np.eye(3), True, 0.9, None, 1.0, 1.0, 0.0)


def photographed(pose=None, px_per_mm=None, **lesion):
    pixels, mask = lesion_pixels(**lesion)
    if pose is not None:
        pixels, _ = rephotograph(pixels, mask, pose)
    return Photo.from_array(pixels, px_per_mm=px_per_mm)


@pytest.fixture(scope="module")
def baseline():
    return photographed()


@pytest.fixture(scope="module")
def retaken():
    return photographed(similarity(1.05, 12, shift=(6, -4)), gain=(0.85, 0.8, 0.72))


@pytest.fixture(scope="module")
def stable(baseline, retaken):
    return score_change(baseline, retaken)


def test_a_lesion_photographed_again_tanned_and_turned_is_not_above_the_noise(stable):
    assert stable.score is not None and stable.p_value > 0.05
    assert abs(stable.area_change_percent) < 12
    assert stable.area_change_mm2 is None
    assert stable.heatmap.shape == SIDE and stable.heatmap.dtype == np.float32


@pytest.mark.parametrize(
    ("lesion", "told"),
    [({"blotch": 1.2}, "local colour"), ({"radius": 58.0}, "area"), ({"bulge": 0.45}, "uneven movement of the border")],
    ids=["blotch", "growth", "bulge"],
)
def test_what_changes_scores_higher_than_what_does_not_and_is_told_with_its_mdc(baseline, stable, lesion, told):
    changed = score_change(baseline, photographed(similarity(1.02, -8), **lesion))
    assert changed.score > stable.score + 0.2 and changed.p_value < stable.p_value
    assert any(reason.startswith(told) and "MDC" in reason for reason in changed.reasons)


def test_a_lesion_that_grew_in_every_sense_is_above_the_noise(baseline):
    changed = score_change(baseline, photographed(similarity(1.02, -8), radius=58.0, blotch=1.2, density=1.3))
    assert changed.p_value <= 0.05


def test_the_network_names_what_changed_where_something_did(baseline, stable):
    grown = score_change(baseline, photographed(similarity(1.02, -8), radius=58.0))
    assert grown.named_reasons[0] == "size"
    assert grown.reasons[-1] == "to the network it looks most like a change of size"
    assert not stable.named_reasons and not any("network" in told for told in stable.reasons)


def test_growth_is_told_in_the_frame_of_the_alignment_whatever_the_zoom(baseline):
    growth = [
        score_change(baseline, photographed(similarity(zoom, 5), radius=54.0)).area_change_percent
        for zoom in (0.85, 1.2)
    ]
    assert growth == pytest.approx([44.0] * 2, abs=9)


def test_growth_in_mm2_needs_a_scale_in_both_photos():
    # Grown by 78%: masks of real photos taken twice differ by up to 35%, so that less is no growth for certain.
    first, second = photographed(px_per_mm=10.0), photographed(px_per_mm=10.0, radius=60.0)
    change = score_change(first, second, alignment=STILL)
    deltas = {delta.measure: delta for delta in change.deltas}
    assert change.area_change_mm2 == pytest.approx(np.pi * (6.0**2 - 4.5**2), rel=0.25)
    assert deltas["area_mm2"].unit == "mm2" and deltas["area_mm2"].exceeds_mdc
    one = score_change(first, photographed(radius=54.0), alignment=STILL)
    assert one.area_change_mm2 is None and one.area_change_percent > 25


def test_an_uncertain_scale_widens_what_counts_as_noise_in_mm():
    def mdc(error):
        photos = [Photo.from_array(lesion_pixels(radius=r)[0], px_per_mm=10.0, px_per_mm_error=error) for r in (45, 54)]
        change = score_change(*photos, alignment=STILL)
        return next(delta.mdc for delta in change.deltas if delta.measure == "area_mm2")

    assert mdc(0.1) > 1.2 * mdc(None)


def test_nothing_is_scored_where_the_alignment_is_refused(baseline, retaken):
    refused = replace(align(baseline, retaken), accepted=False, reason="too little texture")
    change = score_change(baseline, retaken, alignment=refused)
    assert (change.score, change.p_value, change.heatmap, change.deltas) == (None, None, None, ())
    assert change.reasons == ("alignment refused: too little texture",)


def test_nothing_is_scored_where_no_lesion_is_found(baseline):
    rng = np.random.default_rng(0)
    skin = np.clip(np.array([205, 165, 145]) + rng.normal(0, 2, (*SIDE, 1)), 0, 255).astype(np.uint8)
    change = score_change(baseline, Photo.from_array(skin))
    assert change.score is None and "no lesion found in the follow-up photo" in change.reasons[0]


def test_what_is_given_is_used_and_what_is_not_is_computed(baseline, retaken, stable):
    masks = segment(baseline), segment(retaken)
    given = score_change(
        baseline,
        retaken,
        alignment=align(prepare(baseline, masks[0]), prepare(retaken, masks[1])),
        segmentations=masks,
        measures=(measure(baseline, masks[0]), measure(retaken, masks[1])),
        artefacts=(find_artefacts(baseline.pixels), find_artefacts(retaken.pixels)),
    )
    assert (given.score, given.deltas, given.reasons) == (stable.score, stable.deltas, stable.reasons)
    assert given.heatmap.tobytes() == stable.heatmap.tobytes()


def test_a_wrong_alignment_that_is_given_shows_in_the_score(baseline, stable):
    wrong = Alignment(similarity(1.0, 90), True, 0.9, None, 1.0, 1.0, 90.0)
    assert score_change(baseline, baseline, alignment=wrong).score > stable.score


def test_the_deltas_are_sorted_fit_the_schema_and_name_known_measures(stable):
    names = [delta.measure for delta in stable.deltas]
    assert names == sorted(names) and set(names) <= {spec.name for spec in MEASURES}
    assert {"area", "delta_lightness", "colour_local", "structure_pattern"} <= set(names)
    assert list(stable.deltas[0].__dataclass_fields__) == [field.name for field in DELTA]
    assert all(delta.mdc is not None and delta.mdc > 0 for delta in stable.deltas)


def test_a_release_without_calibration_measures_but_does_not_score(tmp_path, baseline, retaken):
    folder = tmp_path / "change" / "9.9.9"
    folder.mkdir(parents=True)
    empty = {"alpha": 0.05, "bias": 0.0, "calibration_scores": [], "noise": {}, "weights": {}}
    (folder / "config.json").write_text(json.dumps(empty))
    write_hashes(folder)
    change = score_change(baseline, retaken, release=load_release("change", "9.9.9", tmp_path))
    assert change.score is None and change.p_value is None and change.model == "change/9.9.9"
    assert change.deltas and all(delta.mdc is None for delta in change.deltas)
    assert any("no calibration" in reason for reason in change.reasons)


def test_the_shipped_release_is_intact_synthetic_and_calibrated_by_enough_patients():
    release = load_release("change", "0.1.0")
    assert len(release.config["calibration_scores"]) + 1 >= 1 / release.config["alpha"]
    assert release.config["source"]["kind"] == "synthetic"
    assert "synthetic" in (release.folder / "card.md").read_text().lower()
    assert set(release.config["noise"]) <= {spec.name for spec in MEASURES}


def test_a_tampered_release_is_refused(tmp_path):
    release = load_release("change", "0.1.0")
    folder = tmp_path / "change" / "0.1.0"
    folder.mkdir(parents=True)
    for path in release.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"alpha": 0.9}))
    with pytest.raises(RefusedError, match=r"config\.json"):
        load_release("change", "0.1.0", tmp_path)
