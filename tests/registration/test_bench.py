"""The alignment benchmark measures what it says: its truth is true, its figures count what they name."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from longderm.bench.confidence import fit
from longderm.bench.registration import error_of
from longderm.bench.registration_pairs import GROWTH, PHOTO_SIZE, SYNTHETIC, PairSpec, make_pair
from longderm.bench.registration_peers import by_longderm, by_orb
from longderm.bench.registration_report import summarise
from longderm.bench.repeats import dice_of_equal_areas
from longderm.bench.statistics import wilson
from longderm.errors import SourceNotFoundError
from longderm.registration.similarity import from_parts, scale_of


def pair_of(tier: str, number: int = 1):
    return make_pair(PairSpec(SYNTHETIC, tier, number, 5))


@pytest.mark.parametrize("tier", ["easy", "hard"])
def test_a_pair_is_made_from_its_spec_alone_and_its_truth_has_no_error(tier):
    one, again = pair_of(tier), pair_of(tier)
    assert one.baseline.shape == (*PHOTO_SIZE, 3)
    assert np.array_equal(one.followup, again.followup) and np.array_equal(one.matrix, again.matrix)
    assert error_of(one, one.matrix) == 0.0


def test_the_true_transform_lays_the_follow_up_over_the_baseline():
    """What two renderings of one scene share is judged by the pixels alone, not by any method of ours."""
    import cv2

    pair = pair_of("easy", 2)
    size = (PHOTO_SIZE[1], PHOTO_SIZE[0])

    def likeness(matrix):
        back = cv2.warpAffine(pair.followup, matrix[:2], size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        grey = [cv2.GaussianBlur(p, (0, 0), 2.0).astype(float).mean(axis=2) for p in (pair.baseline, back)]
        return np.corrcoef(grey[0][pair.baseline_mask], grey[1][pair.baseline_mask])[0, 1]

    diameter = 2 * np.sqrt(pair.baseline_mask.sum() / np.pi)
    beside = [from_parts(1.0, 0.0, 0j, 0.05 * diameter * way) @ pair.matrix for way in (1, -1, 1j, -1j)]
    assert likeness(pair.matrix) > 0.95
    assert all(likeness(matrix) < likeness(pair.matrix) for matrix in beside)


def test_a_bend_is_in_the_truth_and_no_larger_than_the_tier_says():
    pair = pair_of("deformed")
    assert 0.001 < error_of(pair, pair.matrix) <= 0.04


@pytest.mark.parametrize("tier", ["accretion", "expansion"])
def test_a_lesion_grows_by_what_the_tier_says(tier):
    pair = pair_of(tier)
    grown = pair.followup_mask.sum() / scale_of(pair.matrix) ** 2 / pair.baseline_mask.sum()
    assert grown == pytest.approx(GROWTH, rel=0.05)


def test_an_impostor_has_no_truth():
    assert pair_of("other lesion").matrix is None
    mirrored = pair_of("mirrored")
    assert mirrored.matrix is None
    with pytest.raises(ValueError, match="impostor"):
        error_of(mirrored, np.eye(3))


def test_a_mirrored_impostor_is_the_same_lesion_once_it_is_flipped_back():
    mirrored = pair_of("mirrored")
    flipped = np.ascontiguousarray(mirrored.followup[:, ::-1])
    assert not by_longderm(mirrored).accepted
    assert by_longderm(replace(mirrored, followup=flipped)).accepted


def test_the_confidence_is_fitted_to_tell_right_candidates_from_wrong_ones():
    rng = np.random.default_rng(2)

    def candidate(error):
        features = rng.normal(2.0 if error is not None and error < 0.03 else -2.0, 1.0, 4)
        return {"error": error, "features": features.tolist()}

    constants = fit([candidate(error) for error in [0.001, None, 0.2] * 60 for _ in range(2)])
    assert (constants[1:] > 0).all()
    assert constants[0] + 2.0 * constants[1:].sum() > 0 > constants[0] - 2.0 * constants[1:].sum()


def test_both_methods_find_an_easy_pair_and_their_time_is_counted():
    pair = pair_of("easy", 2)
    for method in (by_longderm, by_orb):
        answer = method(pair)
        assert answer.accepted and error_of(pair, answer.matrix) < 0.02
        assert answer.seconds > 0


def test_real_pairs_without_a_folder_are_refused_in_one_line():
    with pytest.raises(SourceNotFoundError, match="--photos"):
        make_pair(PairSpec("real", "easy", 0, 1))


def test_figures_count_refusals_as_failures_and_wrong_ones_apart():
    def row(tier, accepted, error):
        mine = {"accepted": accepted, "confidence": float(accepted), "seconds": 0.1, "error": error, "scale_bias": 0.01}
        return {"source": SYNTHETIC, "tier": tier, "number": 0, "methods": {"longderm": mine}}

    rows = [row("hard", True, 0.001), row("hard", False, 0.001), row("hard", True, 0.2), row("hard", True, 0.025)]
    rows += [row("deformed", True, 0.025), row("mirrored", True, None), row("mirrored", False, None)]
    figures = summarise(rows)
    hard = figures["tiers"]["synthetic hard"]["longderm"]
    assert hard["success"] == 0.25 and hard["wrong_accepted"] == 1 and hard["accepted"] == 0.75
    assert figures["tiers"]["synthetic deformed"]["longderm"]["success"] == 1.0
    assert figures["impostors"]["synthetic mirrored"]["longderm"]["accepted"] == 0.5
    assert figures["overall"]["longderm"]["refused_among_right"][0] == 0.5
    assert figures["overall"]["longderm"]["wrong_among_accepted"][0] == 0.25


def test_a_wrong_match_counts_by_whether_it_came_with_a_caution():
    def row(tier, error, cautious):
        mine = {"accepted": True, "confidence": 1.0, "seconds": 0.1, "error": error, "scale_bias": 0.01}
        told = {"skin_scale": None if cautious else 1.0, "cautious": cautious}
        return {"source": SYNTHETIC, "tier": tier, "number": 0, "methods": {"longderm": mine | told}}

    rows = [
        row("easy", 0.001, False),
        row("easy", 0.2, False),
        row("expansion", 0.1, True),
        row("expansion", 0.01, True),
    ]
    overall = summarise(rows)["overall"]["longderm"]
    assert overall["wrong_among_accepted"][0] == 0.5
    assert overall["wrong_without_caution_among_accepted"][0] == 0.25
    assert overall["wrong_besides_expansion_among_accepted"][0] == 0.5


def test_wilson_intervals_are_those_of_the_textbook():
    """Newcombe 1998, table I: 81 of 263 and 0 of 20."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(0, 0) is None


def test_masks_of_unequal_size_in_the_right_place_meet_after_their_areas_are_made_equal():
    y, x = np.mgrid[0:150, 0:200]
    small, large = (np.hypot((x - 100) / 1.3, y - 75) < radius for radius in (20, 36))
    assert dice_of_equal_areas(small, large, np.eye(3)) > 0.96
    assert dice_of_equal_areas(small, np.roll(large, 40, axis=1), np.eye(3)) < 0.4


def test_a_run_that_was_cut_off_goes_on_where_it_stood(tmp_path):
    """Whole lines of the same pairs are kept as they are, a last half line is measured again."""
    from longderm.bench.registration import run

    options = {
        "pairs": 2,
        "impostors": 1,
        "peer_pairs": 0,
        "seed": 9,
        "tiers": "easy",
        "workers": 1,
        "scaling_pairs": 0,
    }
    whole = run(tmp_path, **options)
    first, second = (tmp_path / "pairs.jsonl").read_text().splitlines()
    marked = json.loads(first)
    marked["methods"]["longderm"]["seconds"] = 1000.0
    (tmp_path / "pairs.jsonl").write_text(json.dumps(marked) + "\n" + second[:40])
    again = run(tmp_path, **options, resume=1)
    kept, anew = (json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines())
    assert kept == marked
    assert anew["methods"]["longderm"]["error"] == json.loads(second)["methods"]["longderm"]["error"]
    name = "synthetic easy"
    assert again["tiers"][name]["longderm"]["success"] == whole["tiers"][name]["longderm"]["success"]
