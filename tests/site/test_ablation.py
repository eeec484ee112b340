"""Steps of preprocessing switched off: with all of them on the score is the released one; each is worth something."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from drawn_lesions import lesion_pixels, rephotograph, similarity

from longderm.change import score_change
from longderm.change.evidence import NoiseModel, score_of
from longderm.imaging import Segmentation, measure
from longderm.models.encoder import Encoder
from longderm.models.preprocessing import Preprocessing
from longderm.models.releases import load_release
from longderm.models.vision_transformer import VisionArchitecture, VisionTransformer
from longderm.photo import Photo
from longderm.registration import Alignment
from longderm.settings import PACKAGED_VERSIONS
from longderm.site.ablation import CONFIGURATIONS, EVERYTHING, NOTHING, Steps, compare_with
from longderm.stages.pair import ComparedPair

RELEASE = load_release("change", PACKAGED_VERSIONS["change"])
MEASURES_ALONE = load_release("change", "0.1.0")
MODEL = NoiseModel.from_config(RELEASE.config)
POSE = similarity(1.08, 25, shift=(18, -12))


def pair_of(followup, matrix, mask, baseline=None):
    """A pair whose masks and alignment are the true ones."""
    first, first_mask = lesion_pixels() if baseline is None else baseline
    photos = Photo.from_array(first), Photo.from_array(followup)
    drawn = tuple(Segmentation(one, 0.9, True, None, False, "true") for one in (first_mask, mask))
    scale = float(np.sqrt(np.linalg.det(matrix[:2, :2])))
    alignment = Alignment(matrix, True, 0.9, None, 1.0, scale, 0.0)
    taken = tuple(measure(photo, one) for photo, one in zip(photos, drawn, strict=True))
    return ComparedPair(photos, drawn, taken, alignment)


@pytest.fixture(scope="module")
def retaken():
    return pair_of(*_again(*lesion_pixels(gain=(0.85, 0.8, 0.72))))


def _again(pixels, mask):
    moved, drawn = rephotograph(pixels, mask, POSE)
    return moved, POSE, drawn


def scores(pair, *names, release=RELEASE):
    found = compare_with(pair, release, 100.0, configurations={name: CONFIGURATIONS[name] for name in names})
    model = NoiseModel.from_config(release.config)
    return {name: score_of(one.observations, model) for name, one in found.items()}


def test_with_every_step_the_score_is_the_released_one(retaken):
    told = score_change(
        *retaken.photos,
        alignment=retaken.alignment,
        segmentations=retaken.segmentations,
        measures=retaken.measures,
        release=RELEASE,
        interval_days=100.0,
    )
    assert scores(retaken, EVERYTHING)[EVERYTHING] == told.score


def test_a_lesion_that_was_only_turned_looks_changed_without_alignment(retaken):
    told = scores(retaken, EVERYTHING, "without alignment")
    assert told["without alignment"] > told[EVERYTHING] + 0.05


def test_hair_of_one_photo_looks_like_change_where_it_is_not_left_out():
    pixels, mask = lesion_pixels()
    hairy = pixels.copy()
    for column in range(105, 220, 14):
        cv2.line(hairy, (column, 20), (column + 25, 220), (25, 18, 14), 2)
    pair = pair_of(hairy, np.eye(3), mask)
    told = scores(pair, EVERYTHING, "without hair")
    assert told["without hair"] > told[EVERYTHING]


def test_dark_corners_of_one_photo_count_only_where_they_are_not_left_out():
    pixels, mask = lesion_pixels()
    y, x = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]]
    dark = np.hypot(x - mask.shape[1] / 2, y - mask.shape[0] / 2) > 92
    cornered = np.where(dark[..., None], np.uint8(6), pixels)
    pair = pair_of(cornered, np.eye(3), mask)
    # A network learned to overlook corners; the measured differences have not.
    told = scores(pair, EVERYTHING, "without dark corners", release=MEASURES_ALONE)
    assert told["without dark corners"] > told[EVERYTHING]


def test_without_a_mask_neither_size_nor_outline_is_claimed(retaken):
    found = compare_with(retaken, RELEASE, None, configurations={NOTHING: CONFIGURATIONS[NOTHING]})[NOTHING]
    named = {one.measure for one in found.observations}
    assert not named & {"area", "area_confirmed", "long_diam", "border_asymmetry", "asymmetry_shape", "colour_border"}
    assert {"colour_local", "structure_pattern"} <= named and found.distance is None


def test_the_configurations_climb_step_by_step_and_switch_each_off_once():
    ladder = list(CONFIGURATIONS.values())[:5]
    on = [sum(vars(steps).values()) for steps in ladder]
    assert on == [0, 1, 2, 3, 4] and ladder[-1] == Steps()
    off = [[name for name, value in vars(steps).items() if not value] for steps in CONFIGURATIONS.values()]
    assert {names[0] for names in off if len(names) == 1} == {"dark_corners", "hair", "alignment", "mask"}
    assert len(set(CONFIGURATIONS.values())) == len(CONFIGURATIONS)


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(3)
    network = VisionTransformer(VisionArchitecture(width=24, depth=1, heads=2, mlp_width=48)).eval()
    return Encoder(network, Preprocessing(), "drawn", "0" * 64, "longderm", torch.device("cpu"))


def test_an_encoder_sees_what_the_steps_leave(retaken, encoder):
    steps = {name: CONFIGURATIONS[name] for name in (NOTHING, EVERYTHING, "without alignment")}
    told = {name: one.distance for name, one in compare_with(retaken, RELEASE, None, encoder, steps).items()}
    assert all(0 <= value <= 2 for value in told.values())
    assert told["without alignment"] > told[EVERYTHING]
    same = pair_of(retaken.photos[0].pixels, np.eye(3), retaken.segmentations[0].mask)
    only = {EVERYTHING: Steps()}
    assert compare_with(same, RELEASE, None, encoder, only)[EVERYTHING].distance == pytest.approx(0, abs=1e-5)
    turned = replace(retaken, alignment=replace(retaken.alignment, matrix=np.eye(3)))
    assert compare_with(turned, RELEASE, None, encoder, only)[EVERYTHING].distance > told[EVERYTHING]
