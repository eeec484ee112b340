"""Pictures of prognosis: values land where they should, nothing overlaps, hostile words stay words."""

import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from survival_tables import tied_table
from tumour_tables import tumour_photos

from longderm.prognosis import (
    evaluate_metastasis,
    evaluate_survival,
    fit_metastasis,
    fit_survival,
    kaplan_meier,
    predict_metastasis,
    predict_survival,
    survival_times,
)
from longderm.prognosis.errors import PictureError, SurvivalTimesError
from longderm.prognosis.pictures import (
    AucSeries,
    ForestRow,
    auc_picture,
    auc_series,
    breakdown_picture,
    calibration_picture,
    forest_picture,
    forest_rows,
    survival_picture,
)
from longderm.prognosis.risk_breakdown import (
    Contribution,
    RiskBreakdown,
    metastasis_breakdown,
    survival_breakdown,
)
from longderm.svg import STYLES, Style, text_width

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</text><script>alert("1")</script>&amp;\x00\x1b\u202e]]>\'"'


@pytest.fixture(scope="module")
def table():
    return tied_table(160, 4)


@pytest.fixture(scope="module")
def model(table):
    return fit_survival(table, ["age", "thickness", "ulcer"], time_unit="months")


def followed(table, rows=None):
    data = survival_times(table["time"], table["event"])
    return data if rows is None else data.take(rows)


def parsed(svg):
    return ElementTree.fromstring(svg)


def words(root):
    return [one.text for one in root.iter(f"{SVG}text")]


def boxes(root):
    found = []
    for one in root.iter(f"{SVG}text"):
        size, x, y = (float(one.get(name)) for name in ("font-size", "x", "y"))
        wide = text_width(one.text, size) * (1.1 if one.get("font-weight") else 1.0)
        left = x - {"start": 0.0, "middle": 0.5, "end": 1.0}[one.get("text-anchor")] * wide
        found.append((left, y - 0.76 * size, left + wide, y + 0.24 * size, one.text))
    return found


def assert_readable(svg):
    """Well-formed, titled, described, every text inside the picture and off every other."""
    root = parsed(svg)
    title, told = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title.text and told.text and root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {told.get('id')}"
    assert {one.tag.removeprefix(SVG) for one in root.iter()} <= {
        *("svg", "title", "desc", "rect", "text", "line", "polyline", "polygon", "path", "circle")
    }
    assert not re.search(r"(href|src|url\(|@import|<style|NaN|nan|inf)", re.sub(r">[^<]*<", "><", svg))
    width, height = float(root.get("width")), float(root.get("height"))
    found = boxes(root)
    for left, top, right, bottom, text in found:
        assert left >= 0 and top >= 0 and right <= width and bottom <= height, text
    for one, other in itertools.combinations(found, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, (one[4], other[4])
    return root


def ticks(root):
    """Functions from user units back to values, of the horizontal and the vertical axis, by their labels."""
    numbers = [(float(t.get("x")), float(t.get("y")), t) for t in root.iter(f"{SVG}text")]
    marks = {float(line.get("x1")) for line in root.iter(f"{SVG}line") if line.get("class") == "tick"}
    level = min(y for x, y, t in numbers if x in marks and t.get("text-anchor") == "middle")
    across = [(x, float(t.text)) for x, y, t in numbers if y == level and t.get("text-anchor") == "middle"]
    left = max(x for x, y, t in numbers if t.get("text-anchor") == "end")
    up = [(y - 4, float(t.text)) for x, y, t in numbers if x == left and t.get("text-anchor") == "end"]

    def back(pairs):
        (a, low), (b, high) = min(pairs, key=lambda p: p[1]), max(pairs, key=lambda p: p[1])
        return lambda at: low + (at - a) / (b - a) * (high - low)

    return back(across), back(up)


def points(root, kind):
    found = [one for one in root.iter(f"{SVG}polyline") if one.get("class") == kind]
    return [[tuple(map(float, pair.split(","))) for pair in one.get("points").split()] for one in found]


def test_steps_lie_at_the_kaplan_meier_estimate(table):
    data = followed(table)
    root = assert_readable(survival_picture({"all": data}, time_label="Years", per_unit=12.0))
    years, survival = ticks(root)
    (corners,) = points(root, "curve")
    curve = kaplan_meier(data)
    drawn = [(years(x), survival(y)) for x, y in corners]
    assert drawn[0] == pytest.approx((0, 1), abs=1e-3)
    steps = [(at, low) for (at, high), (after, low) in itertools.pairwise(drawn) if at == after and low < high]
    events = curve.events > 0
    assert [at for at, _ in steps] == pytest.approx(curve.times[events] / 12, abs=2e-3)
    assert [low for _, low in steps] == pytest.approx(curve.survival[events], abs=1e-4)
    censored = [one for one in root.iter(f"{SVG}line") if one.get("class") == "censored"]
    assert len(censored) == int((curve.censored > 0).sum())


def test_every_number_at_risk_stands_under_its_tick(table):
    thirds = {f"clinic {k}": followed(table, np.arange(len(table)) % 3 == k) for k in range(3)}
    root = assert_readable(survival_picture(thirds, time_label="Months"))
    cells = [(one, float(one.get("x"))) for one in root.iter(f"{SVG}text") if one.get("text-anchor") == "middle"]
    rows: dict[str, list] = {}
    for one, x in cells:
        rows.setdefault(one.get("y"), []).append((x, one.text))
    shown = [sorted(row) for row in rows.values() if len(row) > 1]
    axis, *at_risk = shown
    assert len(at_risk) == 3
    for row, data in zip(at_risk, thirds.values(), strict=True):
        assert [x for x, _ in row] == [x for x, _ in axis]
        wanted = [int((data.stop >= float(tick)).sum()) for _, tick in axis]
        assert [int(number) for _, number in row] == wanted


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_one_to_eight_groups_differ_without_colour(table, groups):
    labels = np.arange(len(table)) % groups
    named = {f"group {k} with a name that is much too long for its place": followed(table, labels == k)
             for k in range(groups)}  # fmt: skip
    svg = survival_picture(named)
    root = assert_readable(svg)
    curves = [one for one in root.iter(f"{SVG}polyline") if one.get("class") == "curve"]
    assert len({one.get("stroke-dasharray") for one in curves}) == len(curves) == groups
    assert len({style.marker for style in STYLES}) == len({style.dash for style in STYLES}) == 8
    assert svg == survival_picture(named)
    if groups == 8:
        with pytest.raises(PictureError, match="9 series"):
            survival_picture(named | {"one more": followed(table)})


def test_a_million_patients_fit_under_the_axis():
    many = survival_times(np.tile(np.arange(1, 101), 12_000), np.tile([0, 1], 600_000))
    root = assert_readable(survival_picture({"registry": many}))
    assert "1,200,000" in words(root)


def test_without_events_survival_stays_at_one_and_no_interval_is_shaded():
    root = assert_readable(survival_picture({"none": survival_times([10, 20, 300], [0, 0, 0])}))
    assert not list(root.iter(f"{SVG}polygon"))
    (corners,) = points(root, "curve")
    assert len({y for _, y in corners}) == 1 and not any("Shaded" in one for one in words(root))
    assert_readable(survival_picture({"one patient": survival_times([7], [1])}))
    with pytest.raises(PictureError, match="no series"):
        survival_picture({})


def test_ratios_lie_on_a_log_axis_and_cut_ends_are_arrows(model):
    rows = [ForestRow("half", 0.5, 0.25, 1.0), ForestRow("twice", 2.0, 1.0, 4.0)]
    root = assert_readable(forest_picture(rows))
    half, twice = (
        (float(one.get("x1")), float(one.get("x2")))
        for one in root.iter(f"{SVG}line")
        if one.get("class") == "interval"
    )
    assert half[1] == twice[0]  # both end at 1
    assert half[1] - half[0] == pytest.approx(twice[1] - twice[0], abs=0.02)  # a fourth and four are as far from 1
    assert "0.50 (0.25–1.00)" in words(root) and not list(root.iter(f"{SVG}polygon"))
    wide = assert_readable(
        forest_picture([ForestRow("wide", 3, 0.001, 900), ForestRow("reference", remark="reference")])
    )
    assert len(list(wide.iter(f"{SVG}polygon"))) == 2 and "3.00 (0.001–900)" in words(wide)
    fitted = forest_rows(model)
    assert [row.label for row in fitted] == ["age", "thickness", "ulcer"]
    assert fitted[1].ratio == pytest.approx(np.exp(model.fit.beta[1]))
    assert_readable(forest_picture(fitted))
    for wrong in ([], [ForestRow("x", -1.0, -2.0, 1.0)], [ForestRow("x", 2.0, 3.0, 4.0)]):
        with pytest.raises(PictureError):
            forest_picture(wrong)


@pytest.fixture(scope="module")
def evaluation(table):
    return evaluate_survival(
        table, clinical=["age", "ulcer"], image=["thickness"], time_unit="months", bootstraps=5, folds=3, repeats=1,
        horizons_years=(1, 3, 5),
    )  # fmt: skip


def test_auc_lies_at_its_years_and_stands_under_them(evaluation):
    series = auc_series(evaluation)
    root = assert_readable(auc_picture(series))
    years, auc = ticks(root)
    assert list(series) == ["clinical", "image", "combined"]
    for drawn, one in zip(points(root, "curve"), series.values(), strict=True):
        assert [years(x) for x, _ in drawn] == pytest.approx(one.years, abs=0.1)  # beside each other, not on one line
        assert [auc(y) for _, y in drawn] == pytest.approx(one.auc, abs=1e-3)
    assert sum(f"{one:.2f}" in words(root) for s in series.values() for one in s.auc) == 9
    gap = AucSeries(np.array([1.0, 3.0]), np.array([np.nan, 0.7]), np.array([np.nan] * 2), np.array([np.nan] * 2))
    assert not points(assert_readable(auc_picture({"sparse": gap})), "curve")
    with pytest.raises(PictureError, match="no AUC"):
        auc_picture({"none": AucSeries(*(np.array([np.nan]) for _ in range(4)))})


def test_calibration_of_both_kinds_of_models(evaluation):
    curve = evaluation.models["combined"].calibration["3y"]
    svg = calibration_picture({"combined": curve}, risk="3-year risk", remarks=["slope 0.9"])
    root = assert_readable(svg)
    predicted, observed = ticks(root)
    (drawn,) = points(root, "curve")
    assert [predicted(x) for x, _ in drawn] == pytest.approx(curve.predicted, abs=1e-3)
    assert [observed(y) for _, y in drawn] == pytest.approx(curve.observed, abs=1e-3)
    photos, embedding = tumour_photos(90, 3, 2)
    found = evaluate_metastasis(
        photos, embedding=embedding, clinical=["thickness"], bootstraps=2, folds=3, inner_folds=2
    )
    curves = {name: one.curve for name, one in found.models.items()}
    assert len(points(assert_readable(calibration_picture(curves)), "curve")) == 3
    with pytest.raises(PictureError, match="5 calibration curves"):
        calibration_picture({str(k): curve for k in range(5)})


def test_a_survival_breakdown_leads_from_the_average_to_the_prediction(table, model):
    patient = table.iloc[[5]]
    found = survival_breakdown(model, patient, 36.0)
    prediction = predict_survival(model, patient, [36.0])
    assert sum(one.amount for one in found.contributions) == pytest.approx(prediction.linear_predictor[0])
    assert found.risk == pytest.approx(prediction.risk[0, 0]) == pytest.approx(found.risks[-1])
    assert found.lower == pytest.approx(1 - prediction.upper[0, 0]) and found.lower < found.risk < found.upper
    average = {name: [float(c)] for name, c in zip(model.covariates, model.fit.center, strict=True)}
    assert found.start_risk == pytest.approx(predict_survival(model, average, [36.0]).risk[0, 0])
    assert found.what == "3-year risk" and abs(found.contributions[0].amount) == max(
        abs(one.amount) for one in found.contributions
    )
    with pytest.raises(SurvivalTimesError, match="2 rows"):
        survival_breakdown(model, table.iloc[:2], 36.0)
    root = assert_readable(breakdown_picture(found))
    bars = [one for one in root.iter(f"{SVG}rect") if one.get("class") in ("raises", "lowers")]
    scale = {abs(one.amount) / float(bar.get("width")) for one, bar in zip(found.contributions, bars, strict=True)
             if float(bar.get("width")) > 5}  # fmt: skip
    assert max(scale) == pytest.approx(min(scale), rel=0.01)
    kinds = [one.get("class") == "raises" for one in bars]
    assert kinds == [one.amount >= 0 for one in found.contributions]


def test_a_metastasis_breakdown_counts_the_image_as_one():
    photos, embedding = tumour_photos(90, 3, 2)
    fitted = fit_metastasis(photos, embedding=embedding, clinical=["thickness", "stage"], bootstraps=20, folds=3)
    one = {"lesion_id": ["x"], "thickness": [1.2], "stage": ["C"]}
    image = np.array([[0.5, -1.0, 2.0]])
    found = metastasis_breakdown(fitted, one, image[0])
    prediction = predict_metastasis(fitted, one, embedding=image)
    assert found.risk == pytest.approx(prediction.risk[0]) and found.lower == pytest.approx(prediction.lower[0])
    assert {part.name for part in found.contributions} == {"thickness", "stage", "image"}
    assert_readable(breakdown_picture(found))
    with pytest.raises(SurvivalTimesError, match="needs 3"):
        metastasis_breakdown(fitted, one, image[0][:2])


def test_many_covariates_end_in_one_row_of_others():
    parts = tuple(Contribution(f"covariate {k}", "1", 0.5 - 0.04 * k) for k in range(20))
    risks = 1 - 0.9 ** np.exp(np.cumsum([one.amount for one in parts]))
    found = RiskBreakdown(parts, 0.1, risks, float(risks[-1]), np.nan, np.nan, "log hazard", "5-year risk")
    root = assert_readable(breakdown_picture(found))
    assert "9 others" in words(root) and not any("95%" in one for one in words(root))
    total = sum(one.amount for one in parts)
    assert f"{total:+.2f}" in words(root)
    with pytest.raises(PictureError, match="not finite"):
        breakdown_picture(RiskBreakdown((Contribution("x", "", np.inf),), 0.1, risks[:1], 1, 0, 1, "log odds", "r"))


def test_hostile_words_stay_words(table, model):
    data = followed(table)
    curve = AucSeries(np.array([1.0]), np.array([0.7]), np.array([0.6]), np.array([0.8]))
    part = RiskBreakdown(
        (Contribution(HOSTILE, HOSTILE, 1.0),), 0.1, np.array([0.2]), 0.2, 0.1, 0.3, "log odds", HOSTILE
    )
    common = {"title": HOSTILE, "remarks": [HOSTILE * 4], "ident": 'a" onload="x'}
    for svg in (
        survival_picture({HOSTILE: data}, survival_label=HOSTILE, time_label=HOSTILE, **common),
        forest_picture([ForestRow(HOSTILE, 1, 0.5, 2, HOSTILE)], ratio_label=HOSTILE, **common),
        auc_picture({HOSTILE: curve}, auc_label=HOSTILE, time_label=HOSTILE, **common),
        breakdown_picture(part, **common),
    ):
        root = assert_readable(svg)
        assert not any("script" in one.tag for one in root.iter()) and not root.get("onload")
        assert "alert" in "".join(one for one in words(root) if one) and "\u202e" not in svg


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=60),
        st.lists(st.tuples(st.floats(0.01, 1e5), st.booleans()), min_size=1, max_size=12),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_the_groups_are_called_and_hold_the_picture_is_readable(groups):
    made = {name: survival_times([t for t, _ in rows], [e for _, e in rows]) for name, rows in groups.items()}
    svg = survival_picture(made)
    assert_readable(svg)
    assert svg == survival_picture(made)


def test_styles_are_told_apart_by_more_than_colour():
    assert len({(style.dash, style.marker) for style in STYLES}) == len(STYLES)
    assert all(isinstance(style, Style) for style in STYLES)
