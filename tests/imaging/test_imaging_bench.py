"""Peers and figures of the imaging benchmark: what they say of structures follows from the photos alone."""

import numpy as np
import pytest
from painted_lesions import paint, paint_skin

from longderm.bench.outline_peers import grabcut, otsu
from longderm.bench.structures import Tally, calibration_error
from longderm.imaging.fit import dice
from longderm.imaging.structures import Structures
from longderm.photo import Photo

NAMES = ("one", "two")


def structures(probability, marks):
    marks = np.asarray(marks, bool)
    return Structures(NAMES, np.asarray(probability, np.float32), marks.astype(np.float32), marks, "made")


@pytest.mark.parametrize("peer", [otsu, grabcut])
def test_peers_draw_a_plain_lesion(peer):
    pixels, mask = paint()
    answer = peer(Photo.from_array(pixels))
    assert answer.found and answer.mask.shape == mask.shape
    assert dice(answer.mask, mask) > 0.9


@pytest.mark.parametrize("peer", [otsu, grabcut])
def test_peers_answer_to_any_frame(peer):
    for pixels in (np.zeros((3, 3, 3), np.uint8), np.full((64, 20, 3), 255, np.uint8), paint_skin((40, 40))):
        assert peer(Photo.from_array(pixels))[0].shape == pixels.shape[:2]


def test_what_is_ranked_and_marked_right_scores_one_and_the_reverse_nothing():
    right, wrong = Tally(), Tally()
    for index in range(20):
        there = index % 4 == 0
        expert = np.zeros((16, 16), np.uint8)
        expert[4:8, 4:8] = 1 if there else 0
        drawn = np.zeros((2, 8, 8), bool)
        drawn[0, 2:4, 2:4] = there
        right.add(structures([0.9 if there else 0.1, 0.5], drawn), expert)
        wrong.add(structures([0.1 if there else 0.9, 0.5], ~drawn), expert)
    best, worst = right.summarise(), wrong.summarise()
    assert best["structures"]["one"]["auroc"] == best["structures"]["one"]["jaccard"] == 1
    assert best["structures"]["one"]["photos_with"] == 5
    assert worst["structures"]["one"]["auroc"] == worst["structures"]["one"]["jaccard"] == 0
    assert best["structures"]["two"]["auroc"] is None, "no photo has it"
    assert best["jaccard_over_all"] == 1


def test_calibration_error_is_the_distance_from_what_happens():
    labels = np.arange(1000) % 10 < 3
    assert calibration_error(np.full(1000, 0.3), labels) == pytest.approx(0.0, abs=0.01)
    assert calibration_error(np.full(1000, 0.8), labels) == pytest.approx(0.5, abs=0.01)
    assert Tally().summarise() is None
