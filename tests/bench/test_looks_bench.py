"""The looks benchmark: what counts as true follows from the drawing alone, and misses are counted, not left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from longderm.bench.looks import Read, Row, folded, read_row, summarise, summarise_areas
from longderm.bench.statistics import bootstrap_interval
from longderm.imaging.segmentation import DEFAULT_VERSION
from longderm.imaging.shape import asymmetry
from longderm.models import load_release
from longderm.simulate.pigment import LOOKS
from longderm.training.visible_border import draw_scene


def lobed(lobe: float) -> np.ndarray:
    """A disc with a one-sided bulge of `lobe` of its radius, off its axis, bool (240, 320)."""
    y, x = np.mgrid[:240, :320]
    angle = np.arctan2(y - 120, x - 160)
    bulge = lobe * (np.exp(4 * (np.cos(angle - 1) - 1)) + 0.5 * np.exp(9 * (np.cos(angle - 2.4) - 1)))
    return np.hypot(y - 120, x - 160) <= 60 * (1 + bulge)


def row(off_deg: float, drawn: bool = True, asymmetric: float = 0.1) -> Row:
    read = Read(170.0 + off_deg, 5.0, asymmetric, 10 * asymmetric)
    return Row("common_nevus", "good", 170.0, 166.0, asymmetric, 10 * asymmetric, read, read if drawn else None, 0.02)


def test_areas_are_sorted_by_the_error_that_is_stated_of_them():
    known = [replace(row(0.0), area_error=0.01 * n * (-1) ** n, stated_error=0.02 * n) for n in range(1, 31)]
    figures = summarise_areas([*known, row(0.0)])
    assert figures["photos"] == 30 and figures["covered"] == 1.0
    medians = [figures[part]["area_error_median"] for part in ("surest", "middle", "least_sure")]
    assert medians == pytest.approx([0.055, 0.155, 0.255])
    assert figures["middle"]["stated_error_most"] == pytest.approx(0.4)
    assert summarise_areas([row(0.0)] * 20) == {"photos": 0}, "a release that states none"


def test_a_disc_folds_onto_itself_and_a_bulge_does_not():
    shares = [folded(lobed(lobe)) for lobe in (0.0, 0.2, 0.4, 0.8)]
    assert shares[0] < 0.01
    assert shares == sorted(shares)
    assert shares[-1] > 0.05


def test_folding_agrees_with_the_measure_that_it_checks():
    colours = np.zeros((240, 320, 3), np.float32)
    for lobe in (0.2, 0.5, 0.8):
        mask = lobed(lobe)
        assert folded(mask) == pytest.approx(asymmetry(mask, colours)[0], abs=0.015)


def test_a_mask_at_the_edge_of_a_photo_folds_as_one_in_its_middle():
    mask = lobed(0.5)
    rows, columns = np.nonzero(mask)
    moved = np.zeros_like(mask)
    moved[rows - rows.min(), columns - columns.min()] = True
    assert folded(moved) == pytest.approx(folded(mask), abs=1e-6)


def test_angles_are_compared_the_shorter_way_round():
    figures = summarise([row(11.0), row(11.0), row(-349.0)])["true_mask"]
    assert figures["ita_off_deg_median"] == pytest.approx(11.0)
    assert figures["ita_within_2_deg"] == 0.0
    assert figures["ita_off_skin_itself_deg_median"] == pytest.approx(15.0)


def test_a_missed_lesion_is_counted_and_said_nothing_of():
    spread = [row(1.0, asymmetric=share) for share in (0.02, 0.05, 0.2)]
    figures = summarise([*spread, row(1.0, drawn=False)])
    assert figures["no_lesion_found"] == 1
    assert figures["drawn_mask"]["asymmetry_shape_spearman"] == 1.0
    assert figures["drawn_mask"]["ita_within_2_deg"] == 1.0


def test_no_photos_no_figures():
    figures = summarise([])
    assert figures["area_error_median"] is None
    assert figures["true_mask"]["asymmetry_shape_spearman"] is None


def test_an_interval_holds_the_figure_and_narrows_with_photos():
    values = np.random.default_rng(1).normal(5.0, 1.0, 400)
    few, many = (bootstrap_interval(lambda pick, n=n: float(values[:n][pick].mean()), n) for n in (25, 400))
    assert few is not None and many is not None
    assert few[0] < values[:25].mean() < few[1]
    assert many[1] - many[0] < (few[1] - few[0]) / 2
    assert bootstrap_interval(lambda pick: float("nan"), 3) is None
    assert bootstrap_interval(lambda pick: 0.0, 0) is None


def test_scenes_take_every_kind_in_turn_and_the_true_mask_gives_the_photos_own_tone():
    first = draw_scene(1, 0)
    assert first.history.kind == sorted(LOOKS)[0]
    read = read_row(first, load_release("segmentation", DEFAULT_VERSION))
    assert abs(read.true_mask.ita_deg - read.ita_deg) < 2
    assert read.true_mask.asymmetry_shape == pytest.approx(read.asymmetry_shape, abs=0.02)
    assert abs(read.visible_area_error) < 0.2 and read.visible_area_error != read.area_error
    figures = summarise([read])
    assert figures["visible_area_error_median"] == pytest.approx(abs(read.visible_area_error), abs=1e-4)


def test_asymmetry_is_ranked_against_the_visible_border_too():
    rows = [replace(row(0.0, asymmetric=share), visible_asymmetry_shape=0.3 - share) for share in (0.02, 0.05, 0.2)]
    figures = summarise(rows)
    assert figures["drawn_mask"]["asymmetry_shape_spearman"] == 1.0
    assert figures["visible_asymmetry_shape_spearman"] == -1.0
