"""Scale: what is stated stands, a ruler helps where nothing is, and where they disagree that is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_ruler import plain_ruler

from longderm.imaging import Scale, Segmentation, find_scale, measure, read_ruler, with_scale
from longderm.photo import Photo

RULED = plain_ruler(px_per_mm=30.0)
READ = read_ruler(Photo.from_array(RULED))


def stated(px_per_mm, error=None):
    return Photo.from_array(RULED, px_per_mm=px_per_mm, px_per_mm_source="metadata", px_per_mm_error=error)


def test_without_a_stated_scale_the_rulers_counts_with_its_error():
    scale = find_scale(Photo.from_array(RULED))
    assert (scale.source, scale.caveats) == ("ruler", ())
    assert scale.px_per_mm == pytest.approx(30, rel=0.01)
    assert 0 < scale.error < 0.05


def test_without_both_there_is_no_scale_and_the_reason_is_kept():
    scale = find_scale(Photo.from_array(RULED[:, ::-1][:60, :40].copy()))
    assert scale.px_per_mm is scale.source is scale.error is None
    assert scale.ruler.reason == "the photo is too small"


def test_a_stated_scale_stands_and_a_ruler_that_agrees_is_no_caveat():
    scale = find_scale(stated(30.4, 0.01), READ)
    assert (scale.px_per_mm, scale.source, scale.error, scale.caveats) == (30.4, "metadata", 0.01, ())


@pytest.mark.parametrize("wrong", [3.0, 25.0, 36.0, 76.2])
def test_a_ruler_that_contradicts_the_stated_scale_is_said_and_does_not_replace_it(wrong):
    scale = find_scale(stated(wrong), READ)
    assert (scale.px_per_mm, scale.source) == (wrong, "metadata")
    assert scale.caveats == ("scale_contradicts_ruler",)


@given(st.floats(5.0, 200.0), st.floats(0.001, 0.2))
def test_a_wider_error_never_makes_a_contradiction(px_per_mm, error):
    narrow, wide = (find_scale(stated(px_per_mm, e), READ).caveats for e in (error, 2 * error))
    assert narrow or not wide


def test_what_is_measured_by_a_ruler_is_in_mm():
    import numpy as np

    photo = Photo.from_array(RULED, caveats=("modality_assumed",))
    mask = np.zeros(photo.shape, bool)
    mask[300:390, 100:190] = True
    drawn = Segmentation(mask, 1.0, True, None, False, "by-hand")
    assert measure(photo, drawn).area_mm2 is None
    scaled = with_scale(photo, find_scale(photo, READ))
    assert scaled.meta.px_per_mm_source == "ruler" and scaled.meta.caveats == ("modality_assumed",)
    assert measure(scaled, drawn).area_mm2 == pytest.approx(9.0, rel=0.03)


def test_a_contradiction_travels_with_the_photo_once():
    scale = Scale(30.0, "metadata", None, ("scale_contradicts_ruler",), READ)
    photo = with_scale(with_scale(stated(30.0), scale), scale)
    assert photo.meta.caveats == ("scale_contradicts_ruler",)
