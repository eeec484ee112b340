"""Colours by name, the border's sharpness, and the ISIC-2024 columns of painted lesions are those of the paint."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from painted_lesions import BROWN, SKIN, draw_hairs, paint

from longderm.imaging import Segmentation, measure, srgb_to_lab
from longderm.imaging.lesion_looks import LesionLooks, describe
from longderm.photo import Photo
from longderm.schema import TBP_COLUMNS

SHAPE = (480, 640)


def seen(mask, found=True):
    return Segmentation(mask, 1.0, found, None, False, "segmentation/by-hand")


def looks(pixels, mask, **photo):
    return describe(Photo.from_array(pixels, **photo), seen(mask))


def ellipse(a=150, b=75):
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return ((columns - 320) / a) ** 2 + ((rows - 240) / b) ** 2 <= 1


def flat(mask, colour=BROWN, skin=SKIN):
    return np.where(mask[..., None], colour, skin).astype(np.uint8)


def test_every_column_has_a_unit_and_a_definition():
    result = looks(flat(ellipse()), ellipse(), px_per_mm=10.0)
    assert set(result.tbp) == set(TBP_COLUMNS)
    assert all(value is not None and np.isfinite(value) for value in result.tbp.values())
    assert all(unit and text for unit, text in TBP_COLUMNS.values())


def test_an_ellipse_has_the_lengths_of_an_ellipse_and_meets_itself():
    tbp = looks(flat(ellipse()), ellipse(), px_per_mm=10.0).tbp
    assert tbp["tbp_lv_areaMM2"] == pytest.approx(np.pi * 15 * 7.5, rel=0.005)
    assert tbp["clin_size_long_diam_mm"] == pytest.approx(30, rel=0.01)
    assert tbp["tbp_lv_minorAxisMM"] == pytest.approx(15, rel=0.02)
    assert tbp["tbp_lv_eccentricity"] == pytest.approx(np.sqrt(0.75), abs=0.01)
    assert tbp["tbp_lv_symm_2axis"] < 0.02
    assert min(tbp["tbp_lv_symm_2axis_angle"] % 90, 90 - tbp["tbp_lv_symm_2axis_angle"] % 90) <= 1.5
    assert looks(flat(ellipse(90, 90)), ellipse(90, 90)).tbp["tbp_lv_area_perim_ratio"] == pytest.approx(
        4 * np.pi, rel=0.02
    )


def test_the_area_is_that_of_measure():
    photo = Photo.from_array(flat(ellipse()), px_per_mm=12.5)
    assert describe(photo, seen(ellipse())).tbp["tbp_lv_areaMM2"] == measure(photo, seen(ellipse())).area_mm2


def test_colours_inside_and_outside_are_those_of_the_paint():
    tbp = looks(flat(ellipse()), ellipse()).tbp
    lesion, skin = (srgb_to_lab(colour.astype(np.uint8)) for colour in (BROWN, SKIN))
    inside = (tbp["tbp_lv_L"], tbp["tbp_lv_A"], tbp["tbp_lv_B"])
    outside = (tbp["tbp_lv_Lext"], tbp["tbp_lv_Aext"], tbp["tbp_lv_Bext"])
    assert inside == pytest.approx(tuple(lesion), abs=0.6)
    assert outside == pytest.approx(tuple(skin), abs=0.6)
    assert tbp["tbp_lv_H"] == pytest.approx(np.degrees(np.arctan2(lesion[2], lesion[1])), abs=1)
    assert tbp["tbp_lv_deltaL"] < 0 < tbp["tbp_lv_deltaLB"]


def test_no_scale_no_millimetres():
    result = looks(flat(ellipse()), ellipse())
    assert result.border_width_mm is None
    for name, (unit, _) in TBP_COLUMNS.items():
        assert (result.tbp[name] is None) == unit.startswith("mm"), name


def test_a_blurred_border_is_as_wide_as_its_blur_and_a_sharp_one_is_not():
    mask = ellipse(110, 110)
    widths = [
        looks(cv2.GaussianBlur(flat(mask), (0, 0), sigma), mask, px_per_mm=20.0).border_width_px
        for sigma in (1.0, 4.0, 8.0)
    ]
    assert widths[0] < widths[1] < widths[2]
    # Between a tenth and nine tenths lie 2.56 standard deviations.
    assert widths[1:] == pytest.approx([2.56 * 4, 2.56 * 8], rel=0.25)


def test_two_paints_are_two_colours_by_name_with_their_shares():
    mask = ellipse(110, 110)
    pixels = flat(mask)
    pixels[:, 320:][mask[:, 320:]] = (30, 24, 24)
    colours = {cluster.name: cluster.share for cluster in looks(pixels, mask).colours}
    assert colours["black"] == pytest.approx(0.5, abs=0.05)
    assert sum(colours.values()) == pytest.approx(1.0, abs=0.1)
    assert len(colours) == 2


def test_hair_does_not_become_a_colour():
    pixels, mask = paint(radius=110)
    bare, hairy = looks(pixels, mask), looks(draw_hairs(pixels, 8)[0], mask)
    assert hairy.tone.ita_deg == pytest.approx(bare.tone.ita_deg, abs=1.0)
    assert {cluster.name for cluster in hairy.colours} == {cluster.name for cluster in bare.colours}


def test_a_lesion_in_rings_is_even_in_each_and_one_in_halves_is_not():
    mask = ellipse(110, 110)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    halves, rings = flat(mask), flat(mask)
    halves[(columns > 320) & mask] = (60, 40, 35)
    # Five of the eight rings.
    rings[np.hypot(columns - 320, rows - 240) < 110 * 5 / 8] = (60, 40, 35)
    uneven, even = (looks(pixels, mask).tbp["tbp_lv_radial_color_std_max"] for pixels in (halves, rings))
    assert uneven > even + 3


def test_no_lesion_no_looks():
    assert describe(Photo.from_array(paint()[0]), seen(np.zeros(SHAPE, bool), False)) == LesionLooks()
    with pytest.raises(ValueError, match="segment the same photo"):
        describe(Photo.from_array(paint()[0]), seen(np.ones((9, 9), bool)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (7, 5), (64, 64), (300, 20)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_any_photo_and_mask_have_an_answer(shape, level):
    mask = np.zeros(shape, bool)
    mask[: max(1, shape[0] // 2), : max(1, shape[1] // 2)] = True
    noise = np.random.default_rng(1).integers(0, 256, (*shape, 3)).astype(np.uint8)
    for pixels in (np.full((*shape, 3), level, np.uint8), noise):
        result = looks(pixels, mask, px_per_mm=10.0)
        assert all(value is None or np.isfinite(value) for value in result.tbp.values())
