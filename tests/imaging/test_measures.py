"""Measures: known shapes have their known sizes, and nothing depends on how the lesion lies in the photo."""

from dataclasses import asdict, fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_lesions import BROWN, SKIN, draw_hairs, lesion_mask, paint

from longderm.imaging import Measures, Segmentation, measure, srgb_to_lab
from longderm.photo import Photo
from longderm.schema import TABLES, TBP_COLUMNS

SHAPE = (480, 640)


def segmentation(mask, found=True):
    return Segmentation(mask, 1.0, found, None, False, "segmentation/by-hand")


def measured(pixels, mask, **photo):
    return measure(Photo.from_array(pixels, **photo), segmentation(mask))


def flat(mask, colour=BROWN, skin=SKIN):
    """A lesion of one colour on skin of one colour."""
    return np.where(mask[..., None], colour, skin).astype(np.uint8)


def disc(radius, centre=(320.0, 240.0), shape=SHAPE):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(columns - centre[0], rows - centre[1]) <= radius


def test_the_fields_are_the_columns_of_the_measures_table():
    """But for structures, which have a table of their own."""
    columns = [field.name for field in TABLES["measures"].schema]
    names = [field.name for field in fields(Measures) if field.name not in ("tbp", "structures")]
    names += [name for name in TBP_COLUMNS if name not in names]
    assert names == columns[columns.index("area_px") : columns.index("model")]


def test_a_disc_has_the_size_of_a_disc():
    mask = disc(100)
    result = measured(flat(mask), mask, px_per_mm=20.0)
    assert result.area_px == mask.sum()
    assert result.area_mm2 == pytest.approx(np.pi * 25, rel=0.005)
    assert result.perimeter_mm == pytest.approx(np.pi * 10, rel=0.01)
    assert result.long_diam_px == pytest.approx(200, rel=0.01)
    assert result.clin_size_long_diam_mm == pytest.approx(10, rel=0.01)
    assert result.short_diam_mm == pytest.approx(10, rel=0.01)
    assert result.border_irregularity == pytest.approx(1, abs=0.01)
    assert result.eccentricity < 0.1
    assert result.asymmetry_shape < 0.01


def test_an_ellipse_has_its_diameters_and_eccentricity():
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    mask = ((columns - 320) / 150) ** 2 + ((rows - 240) / 75) ** 2 <= 1
    result = measured(flat(mask), mask, px_per_mm=10.0)
    assert result.clin_size_long_diam_mm == pytest.approx(30, rel=0.01)
    assert result.short_diam_mm == pytest.approx(15, rel=0.01)
    assert result.eccentricity == pytest.approx(np.sqrt(1 - 0.25), abs=0.005)
    assert result.asymmetry_shape < 0.01


def test_no_scale_no_millimetres():
    mask = disc(60)
    result = measured(flat(mask), mask)
    values = asdict(result) | result.tbp
    in_mm = [name for name in values if "_mm" in name or "MM" in name]
    assert len(in_mm) == 5 + 3
    assert all(values[name] is None for name in in_mm)
    assert result.area_px == mask.sum()


def test_no_lesion_no_measures():
    nothing = np.zeros(SHAPE, bool)
    assert measure(Photo.from_array(paint()[0]), segmentation(nothing, found=False)) == Measures()


def test_a_mask_of_another_photo_is_refused():
    with pytest.raises(ValueError, match="segment the same photo"):
        measure(Photo.from_array(paint()[0]), segmentation(np.ones((10, 10), bool)))


def test_colour_differences_are_those_of_the_paint():
    mask = disc(90)
    result = measured(flat(mask), mask)
    lesion, skin = srgb_to_lab(np.array([BROWN, SKIN], np.uint8))
    expected = lesion - skin
    found = (result.delta_lightness, result.delta_a, result.delta_b)
    np.testing.assert_allclose(found, expected, atol=1.0)
    assert result.colour_variegation < 1.5
    assert result.asymmetry_colour < 1.5


def test_hair_over_the_lesion_hardly_moves_its_colour():
    pixels, mask = paint(radius=110)
    bare = measured(pixels, mask)
    hairy = measured(draw_hairs(pixels, 10)[0], mask)
    assert hairy.delta_lightness == pytest.approx(bare.delta_lightness, abs=1.0)
    assert hairy.delta_a == pytest.approx(bare.delta_a, abs=0.7)


def test_a_lesion_of_two_colours_counts_two_and_is_asymmetric_in_colour():
    mask = disc(100)
    one = flat(mask)
    two = one.copy()
    two[:, 320:][mask[:, 320:]] = (30, 24, 24)
    plain, patched = measured(one, mask), measured(two, mask)
    assert patched.colour_count == plain.colour_count + 1
    assert patched.asymmetry_colour > plain.asymmetry_colour + 5
    assert patched.colour_variegation > plain.colour_variegation + 5
    assert patched.dark_fraction == pytest.approx(plain.dark_fraction + (1 - plain.dark_fraction) / 2, abs=0.03)


def test_a_missing_half_is_asymmetric_in_shape():
    mask = disc(100)
    bitten = mask & ~disc(60, (390.0, 290.0))
    assert measured(flat(bitten), bitten).asymmetry_shape > measured(flat(mask), mask).asymmetry_shape + 0.05


def test_lobes_make_the_border_irregular():
    smooth = lesion_mask(SHAPE, (320, 240), 100, lobes=0.0, elongation=1.0)
    lobed = lesion_mask(SHAPE, (320, 240), 100, lobes=0.3, elongation=1.0)
    assert measured(flat(lobed), lobed).border_irregularity > measured(flat(smooth), smooth).border_irregularity + 0.2


def test_a_device_with_another_white_balance_sees_the_same_colours():
    mask = disc(90)
    pixels = flat(mask).copy()
    pixels[:, 320:][mask[:, 320:]] = (40, 28, 26)
    cast = np.clip(pixels * np.array([0.94, 1.0, 1.06]), 0, 255).astype(np.uint8)
    assert measured(cast, mask).colour_count == measured(pixels, mask).colour_count


def test_without_skin_around_it_nothing_is_said_against_skin():
    pixels = np.full((*SHAPE, 3), BROWN, np.uint8)
    result = measured(pixels, np.ones(SHAPE, bool))
    assert result.area_px == pixels[..., 0].size
    assert result.delta_lightness is None
    assert result.colour_count is None
    assert result.dark_fraction is None


#: Measures without a unit that a turn or another size leaves as they are: (relative, absolute) tolerance.
INVARIANT = {
    "eccentricity": (0.02, 0.01),
    "border_irregularity": (0.02, 0.0),
    "asymmetry_shape": (0.1, 0.012),
    "asymmetry_colour": (0.05, 0.5),
    "colour_variegation": (0.04, 0.3),
    "delta_lightness": (0.03, 0.4),
    "delta_a": (0.0, 0.6),
    "delta_b": (0.0, 0.6),
    "dark_fraction": (0.0, 0.03),
    "colour_count": (0.0, 0.0),
}


@settings(deadline=None, max_examples=12)
@given(
    turn_deg=st.floats(0, 360),
    radius=st.floats(55, 130),
    x=st.floats(-30, 30),
    y=st.floats(-30, 30),
)
def test_neither_turn_nor_size_nor_place_change_a_measure(turn_deg, radius, x, y):
    upright = measured(*paint(radius=100.0, noise=1.0))
    other = measured(*paint(radius=radius, turn_deg=turn_deg, centre=(320 + x, 240 + y), noise=1.0))
    for name, (relative, absolute) in INVARIANT.items():
        assert getattr(other, name) == pytest.approx(getattr(upright, name), rel=relative, abs=absolute), name
    assert other.area_px == pytest.approx(upright.area_px * (radius / 100) ** 2, rel=0.02)
    assert other.long_diam_px == pytest.approx(upright.long_diam_px * radius / 100, rel=0.02)


@pytest.mark.parametrize("factor", [2, 3])
def test_a_larger_copy_of_the_photo_has_the_same_lesion(factor):
    pixels, mask = paint((240, 320), (160, 120), 60)
    small = measured(pixels, mask, px_per_mm=10.0)
    large = measured(
        pixels.repeat(factor, 0).repeat(factor, 1), mask.repeat(factor, 0).repeat(factor, 1), px_per_mm=10.0 * factor
    )
    assert large.area_mm2 == small.area_mm2
    assert large.clin_size_long_diam_mm == pytest.approx(small.clin_size_long_diam_mm, rel=0.02)
    assert large.border_irregularity == pytest.approx(small.border_irregularity, rel=0.03)


def test_values_carry_six_digits_at_most():
    result = measured(*paint(), px_per_mm=13.7)
    for name, value in (asdict(result) | result.tbp).items():
        if isinstance(value, float) and name != "area_px":
            assert value == float(f"{value:.6g}"), name


@pytest.mark.parametrize("pixels_in_mask", [1, 2, 5])
def test_a_mask_of_a_few_pixels_has_an_area_and_no_nonsense(pixels_in_mask):
    mask = np.zeros(SHAPE, bool)
    mask[100, 100 : 100 + pixels_in_mask] = True
    result = measured(paint()[0], mask)
    assert result.area_px == pixels_in_mask
    numbers = [v for v in (asdict(result) | result.tbp).values() if isinstance(v, (int, float))]
    assert all(np.isfinite(value) for value in numbers)
    assert result.colours is None, "so few pixels say nothing of colour"


def test_what_is_said_twice_has_one_value():
    """ISIC's columns of size are the measures of the same name here; no second reading of them is made."""
    result = measured(*paint(), px_per_mm=13.7)
    assert result.tbp["clin_size_long_diam_mm"] == result.clin_size_long_diam_mm
    assert result.tbp["tbp_lv_areaMM2"] == result.area_mm2
    assert result.tbp["tbp_lv_minorAxisMM"] == result.short_diam_mm
    assert result.tbp["tbp_lv_perimeterMM"] == result.perimeter_mm
    assert result.tbp["tbp_lv_eccentricity"] == result.eccentricity
    assert result.tbp["tbp_lv_area_perim_ratio"] == pytest.approx(4 * np.pi * result.border_irregularity, rel=1e-5)


def test_a_brown_lesion_on_light_skin_is_called_that():
    mask = disc(90)
    result = measured(flat(mask), mask, px_per_mm=10.0)
    (colour,) = result.colours
    assert colour.name.endswith("brown") and colour.share == 1.0
    lightness, _, b = srgb_to_lab(np.array([[SKIN]], np.uint8))[0, 0]
    assert result.ita_deg == pytest.approx(np.degrees(np.arctan2(lightness - 50, b)), abs=0.1)
    assert result.ita_class in ("very light", "light", "intermediate", "tan", "brown", "dark")
    assert result.border_width_mm == pytest.approx(result.border_width_px / 10)
    assert result.structures is None, "no network drew this mask"
