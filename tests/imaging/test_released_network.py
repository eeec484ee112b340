"""The released network beyond `test_segmentation.py`: one look for outline and structures, on any frame and thread."""

import cv2
import numpy as np
import pytest
import torch
from painted_lesions import draw_hairs, paint, paint_skin

from longderm.imaging import find_structures, see, segment
from longderm.imaging.segmentation import DEFAULT_VERSION
from longderm.models import load_release
from longderm.photo import Photo
from longderm.simulate.pigment import LOOKS
from longderm.training.visible_border import draw_scene, visible_border


@pytest.fixture(scope="module")
def release():
    return load_release("segmentation", DEFAULT_VERSION)


@pytest.mark.parametrize("skin", [[245, 215, 200], [214, 170, 148], [150, 100, 72]])
def test_there_is_no_lesion_on_plain_skin(release, skin):
    drawn = segment(Photo.from_array(paint_skin(skin=np.array(skin, float))), release)
    assert not drawn.found and not drawn.mask.any() and drawn.reason


@pytest.mark.parametrize("shape", [(24, 24), (900, 40), (40, 900), (300, 5000)])
@pytest.mark.parametrize("kind", ["black", "white", "noise"])
def test_any_frame_has_an_answer_on_its_own_grid(release, shape, kind):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    photo = Photo.from_array({"black": noise * 0, "white": noise * 0 + 255, "noise": noise}[kind])
    drawn = segment(photo, release)
    assert drawn.mask.shape == shape
    assert drawn.found == bool(drawn.mask.any())
    assert drawn.found or drawn.reason
    assert np.isfinite(find_structures(photo, release).probability).all()


def test_a_blurred_lesion_has_the_larger_error_of_its_area_and_bare_skin_none(release):
    pixels = paint()[0]
    sharp, soft = (segment(Photo.from_array(one), release) for one in (pixels, cv2.GaussianBlur(pixels, (0, 0), 12)))
    assert 0 < sharp.area_error < soft.area_error
    assert segment(Photo.from_array(paint_skin()), release).area_error is None
    assert segment(Photo.from_array(pixels), load_release("segmentation", "0.3.0")).area_error is None
    assert segment(Photo.from_array(pixels, modality="clinical"), release).area_error is None


def test_outline_and_structures_share_one_look(release, monkeypatch):
    photo = Photo.from_array(draw_hairs(paint()[0])[0])
    sight = see(photo, release)
    apart = segment(photo, release), find_structures(photo, release)
    monkeypatch.setattr("longderm.imaging.sight.look", None)  # looking again would fail
    drawn, structures = segment(photo, release, sight), find_structures(photo, release, sight)
    np.testing.assert_array_equal(drawn.mask, apart[0].mask)
    np.testing.assert_array_equal(structures.probability, apart[1].probability)
    assert drawn.confidence == apart[0].confidence


def test_structures_have_names_probabilities_and_maps_over_the_photo(release):
    structures = find_structures(Photo.from_array(paint()[0]), release)
    assert structures.names == ("pigment_network", "globules", "streaks", "negative_network", "milia_like_cyst")
    assert structures.maps.shape == structures.marks.shape == (5, 24, 24)
    assert ((structures.maps >= 0) & (structures.maps <= 1)).all()
    assert structures["globules"] == pytest.approx(float(structures.probability[1]))
    with pytest.raises(KeyError, match="no structure"):
        structures["rosettes"]


def test_structures_are_seen_in_dermoscopic_photos_only_and_by_networks_only(release):
    pixels = paint()[0]
    assert find_structures(Photo.from_array(pixels, modality="clinical"), release) is None
    with pytest.raises(ValueError, match="no network"):
        find_structures(Photo.from_array(pixels), load_release("segmentation", "0.1.0"))


def test_a_sight_of_another_photo_is_not_used(release):
    sight = see(Photo.from_array(paint()[0]), release)
    with pytest.raises(ValueError, match="sight"):
        segment(Photo.from_array(paint((300, 400), (200, 150), 60)[0]), release, sight)


def test_the_same_photo_gives_the_same_answer_on_any_number_of_threads(release):
    photo = Photo.from_array(draw_hairs(paint()[0])[0])
    before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        answers = []
        for count in (1, 3):
            torch.set_num_threads(count)
            cv2.setNumThreads(count)
            answers.append(segment(photo, release))
            assert torch.get_num_threads() == count, "what the caller set stays"
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
    np.testing.assert_array_equal(answers[0].mask, answers[1].mask)
    assert answers[0].confidence == answers[1].confidence


@pytest.fixture(scope="module")
def off_by():
    """How far areas of simulated lesions of each kind are off what can be seen (of the logarithm), by release."""
    errors = {"0.4.0": [], "0.5.0": [], "0.6.0": []}
    for number in range(len(LOOKS)):
        scene = draw_scene(3, number)
        seen = visible_border(scene).sum()
        for version, off in errors.items():
            drawn = segment(Photo.from_array(scene.pixels), load_release("segmentation", version))
            off.append(abs(float(np.log(drawn.mask.sum() / seen))))
    return errors


def test_a_border_that_is_drawn_anew_follows_what_can_be_seen_more_closely(off_by):
    assert np.median(off_by["0.5.0"]) < min(0.03, np.median(off_by["0.4.0"]))


def test_taught_more_of_the_hard_kinds_the_worst_borders_are_closer_than_without_a_border_network(off_by):
    assert max(off_by["0.6.0"]) < 0.6 * max(off_by["0.4.0"])
