"""Metastasis models: tumours of photos, folds that keep patients together, figures of unseen patients."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tumour_tables import tumour_photos

from longderm.prognosis import (
    MetastasisModel,
    evaluate_metastasis,
    fit_metastasis,
    metastasis_status,
    predict_metastasis,
)
from longderm.prognosis.binary_figures import auroc, binary_figures, intercept_at_slope_one, recalibrate, sensitivity_at
from longderm.prognosis.errors import (
    MissingValuesError,
    ModelFormatError,
    SurvivalTimesError,
    TooFewEventsError,
    TumourTableError,
    UnusableColumnsError,
)
from longderm.prognosis.outcomes import OUTCOMES_SCHEMA
from longderm.prognosis.patient_folds import held_out, patient_folds
from longderm.prognosis.tumours import tumours_of

QUICK = {"bootstraps": 60, "folds": 4, "inner_folds": 3}


@pytest.fixture(scope="module")
def photos():
    return tumour_photos(150, 5, 4)


@pytest.fixture(scope="module")
def evaluation(photos):
    table, embedding = photos
    return evaluate_metastasis(
        table, embedding=embedding, clinical=["thickness"], stage="stage", subgroups_by=["stage"], **QUICK
    )


def test_three_models_side_by_side_with_intervals_and_gains(evaluation):
    assert list(evaluation.models) == ["clinical", "image", "combined"]
    auc = {name: one.figures["auroc"] for name, one in evaluation.models.items()}
    assert all(one.lower < one.value < one.upper for one in auc.values())
    assert auc["combined"].value > max(auc["clinical"].value, auc["image"].value)
    gain = next(one for one in evaluation.gains if one.over == "clinical").figures["auroc"]
    assert gain.value == pytest.approx(auc["combined"].value - auc["clinical"].value) and gain.lower > 0
    combined = evaluation.models["combined"].figures
    assert 0.7 < combined["calibration_slope"].value < 1.5
    assert abs(combined["calibration_in_the_large"].value) < 0.2
    assert set(combined) >= {"brier", "sensitivity", "observed_expected"}
    json.dumps(evaluation.to_dict(), allow_nan=False)


def test_the_same_seed_gives_the_same_evaluation_in_any_order_of_the_photos(photos, evaluation):
    table, embedding = photos
    order = np.random.default_rng(0).permutation(len(embedding))
    shuffled = pd.DataFrame(table).iloc[order]
    again = evaluate_metastasis(
        shuffled, embedding=embedding[order], clinical=["thickness"], stage="stage", subgroups_by=["stage"], **QUICK
    )
    for name, one in evaluation.models.items():
        assert again.models[name].risk == pytest.approx(one.risk, abs=1e-9)
        assert again.models[name].picked == one.picked


def test_subgroups_tell_numbers_and_keep_silent_on_few_events(evaluation):
    rows = evaluation.models["combined"].subgroups
    assert sum(row.tumours for row in rows) == evaluation.tumours
    assert sum(row.events for row in rows) == evaluation.events
    assert {row.value for row in rows} == {"A", "B", "C"}
    for row in rows:
        few = min(row.events, row.tumours - row.events) < 20
        assert row.insufficient == few == (row.auroc is None)


def test_an_embedding_that_only_knows_the_patient_predicts_nothing():
    """60 values that name the patient: a split by photo or tumour would look nearly perfect."""
    table, embedding = tumour_photos(70, 60, 5, memory=True)
    grouped = evaluate_metastasis(table, embedding=embedding, **QUICK).models["image"].figures["auroc"]
    leaky_table = table | {"patient_id": np.arange(len(embedding)).astype(str)}
    leaky = evaluate_metastasis(leaky_table, embedding=embedding, lesion=None, **QUICK).models["image"].figures["auroc"]
    assert leaky.value > 0.85  # what the test is worth: the leak is there to be found
    assert grouped.value < 0.65


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_no_patient_is_in_two_folds_and_stages_are_shared_out(seed, folds):
    rng = np.random.default_rng(seed)
    patient = rng.permutation(np.repeat(np.arange(40), rng.integers(1, 4, 40)))
    event = np.isin(patient, np.arange(15))
    stage_of = rng.integers(0, 3, 40)
    fold_of = patient_folds(patient, event, stage_of[patient], folds, rng)
    assert all(np.unique(fold_of[patient == one]).size == 1 for one in range(40))
    for train, test in held_out(fold_of, folds):
        assert not set(patient[train]) & set(patient[test]) and len(train) + len(test) == patient.size
    person_fold = np.array([fold_of[patient == one][0] for one in range(40)])
    for stage in range(3):
        for kind in (np.arange(40) < 15, np.arange(40) >= 15):
            counts = np.bincount(person_fold[kind & (stage_of == stage)], minlength=folds)
            assert counts.max() - counts.min() <= 1


def test_photos_of_a_tumour_are_averaged_into_one_row(photos):
    table, embedding = photos
    tumours = tumours_of(table, embedding=embedding, clinical=["thickness"], endpoint="any")
    assert len(tumours) == len(set(table["lesion_id"])) and tumours.photos.sum() == len(embedding)
    one = table["lesion_id"] == tumours.lesion[7]
    assert tumours.image[7] == pytest.approx(embedding[one].mean(axis=0))
    assert tumours.clinical["thickness"][7] == table["thickness"][one][0]
    named = table | {f"e{j}": embedding[:, j] for j in range(5)}
    assert tumours_of(pa.table(named), endpoint="any").image == pytest.approx(tumours.image)


def test_a_model_survives_json_and_predicts_the_same(photos):
    table, embedding = photos
    model = fit_metastasis(table, embedding=embedding, clinical=["thickness", "stage"], bootstraps=30, folds=3)
    again = MetastasisModel.from_dict(json.loads(json.dumps(model.to_dict())))
    here, there = (predict_metastasis(one, table, embedding=embedding) for one in (model, again))
    assert here.risk.tolist() == there.risk.tolist() and here.lower.tolist() == there.lower.tolist()
    assert (here.lower <= here.upper).all() and ((here.risk > 0) & (here.risk < 1)).all()
    assert here.risk.mean() == pytest.approx(model.events / model.tumours, abs=0.01)
    assert "P0" not in repr(here)
    far = {"lesion_id": ["x"], "thickness": [99.0], "stage": ["A"]}
    assert predict_metastasis(model, far, embedding=np.zeros((1, 5))).outside == (("thickness",),)
    with pytest.raises(SurvivalTimesError, match="'D', which the model has not seen"):
        predict_metastasis(model, far | {"stage": ["D"]}, embedding=np.zeros((1, 5)))


def test_a_finished_model_is_judged_as_it_stands(photos):
    table, embedding = photos
    model = fit_metastasis(table, embedding=embedding, clinical=["thickness"], bootstraps=0, folds=3)
    other, its = tumour_photos(80, 5, 9)
    found = evaluate_metastasis(other, {"mine": model}, embedding=its, bootstraps=20).models["mine"]
    assert found.risk.tolist() == predict_metastasis(model, other, embedding=its).risk.tolist()
    assert found.picked == () and found.figures["auroc"].value > 0.7
    with pytest.raises(SurvivalTimesError, match="predicts any metastasis, not distant"):
        evaluate_metastasis(other | {"metastasis_distant": other["metastasis_any"]}, {"mine": model},
                            embedding=its, endpoint="distant")  # fmt: skip


@pytest.mark.parametrize(
    "spoil", [{"format": "o/1"}, {"scale": [1.0, 2.0]}, {"coefficients": None}, {"intercept": None}]
)
def test_a_damaged_model_is_refused(photos, spoil):
    model = fit_metastasis(photos[0], clinical=["thickness"], bootstraps=0, folds=3)
    with pytest.raises(ModelFormatError):
        MetastasisModel.from_dict(model.to_dict() | spoil)


def test_constant_columns_are_named(photos):
    table, embedding = photos
    flat = np.column_stack([embedding, np.full(len(embedding), 3.0)])
    spoilt = table | {"clinic": np.full(len(embedding), "one")}
    model = fit_metastasis(spoilt, embedding=flat, clinical=["thickness", "clinic"], bootstraps=0, folds=3)
    assert model.set_aside == ("e5", "clinic=one") and "e5, clinic=one" in model.notes[0]
    assert predict_metastasis(model, spoilt, embedding=flat).risk.size == model.tumours
    with pytest.raises(UnusableColumnsError, match="e5, clinic=one"):
        fit_metastasis(spoilt, embedding=flat, clinical=["thickness", "clinic"], unusable="raise")


def test_too_few_patients_with_the_event_are_counted(photos):
    table, embedding = photos
    few = table | {"metastasis_any": (table["patient_id"] < "P005").astype(int)}
    with pytest.raises(TooFewEventsError, match="5 patients with the event for 4 folds"):
        evaluate_metastasis(few, embedding=embedding, **QUICK)
    with pytest.raises(TooFewEventsError, match="0 of"):
        evaluate_metastasis(table | {"metastasis_any": np.zeros(len(embedding))}, embedding=embedding, **QUICK)


def test_contradictions_of_a_table_are_refused(photos):
    table, embedding = photos
    rows = len(embedding)
    swapped = table["patient_id"].copy()
    several = np.flatnonzero(table["lesion_id"][1:] == table["lesion_id"][:-1])[0]
    swapped[several] = "P999"
    differing = table["thickness"].copy()
    differing[several] += 1
    gap = embedding.copy()
    gap[3, 2] = np.nan
    cases = [
        ({"patient_id": swapped}, embedding, TumourTableError, "more than one patient"),
        ({"thickness": differing}, embedding, TumourTableError, "thickness differs between the photos"),
        ({}, embedding[1:], TumourTableError, f"{rows - 1} rows and the table {rows}"),
        ({}, embedding[:, 0], TumourTableError, "1 dimensions"),
        ({}, gap, MissingValuesError, "embedding"),
        ({"e0": embedding[:, 0], "e2": embedding[:, 1]}, None, TumourTableError, "no column e1"),
        ({"metastasis_any": np.full(rows, "yes")}, embedding, SurvivalTimesError, "holds text"),
        ({"metastasis_any": np.full(rows, 2)}, embedding, SurvivalTimesError, "neither 0 nor 1"),
    ]
    for change, its, error, words in cases:
        with pytest.raises(error, match=words) as caught:
            fit_metastasis(table | change, embedding=its, clinical=["thickness"], bootstraps=0)
        assert "P0" not in str(caught.value)
    left = fit_metastasis(table, embedding=gap, clinical=["thickness"], bootstraps=0, missing="complete_case", folds=3)
    assert left.left_out == 1
    with pytest.raises(TumourTableError, match="clinical covariates, or an embedding"):
        fit_metastasis(table)


def test_any_is_derived_from_the_two_sites(photos):
    table, _ = photos
    rows = table["metastasis_any"].size
    both = {key: value for key, value in table.items() if key != "metastasis_any"}
    local, distant = table["metastasis_any"].astype(float), np.zeros(rows)
    both |= {"metastasis_locoregional": local, "metastasis_distant": distant}
    tumours = tumours_of(both, clinical=["thickness"], endpoint="any")
    assert tumours.event.tolist() == tumours_of(table, endpoint="any").event.tolist()
    unknown = both | {"metastasis_distant": np.full(rows, np.nan)}
    kept = tumours_of(unknown, endpoint="any", missing="complete_case")  # yes is yes, no without the other is unknown
    assert kept.event.all() and kept.left_out == int((local == 0).sum())


def test_figures_of_probabilities_by_hand():
    event = np.array([False, False, True, True])
    assert auroc(np.array([0.1, 0.4, 0.35, 0.8]), event) == 0.75
    assert auroc(np.array([0.3, 0.3, 0.3, 0.3]), event) == 0.5
    figures = binary_figures(np.array([0.25, 0.25, 0.75, 0.75]), event, 0.9)
    assert figures["brier"] == pytest.approx(0.0625) and figures["sensitivity"] == 1.0
    assert np.isnan(figures["calibration_slope"])  # separated: no finite slope
    risk = np.linspace(0.05, 0.95, 19)
    flags = np.tile([False, True, False, True, True], 4)[:19]
    others = risk[~flags]
    reached, threshold = sensitivity_at(risk, flags, 0.8)
    assert (others <= threshold).mean() >= 0.8 and reached == (risk[flags] > threshold).mean()


def test_calibration_equals_the_likelihood_equations():
    rng = np.random.default_rng(1)
    odds = rng.normal(size=400)
    y = (rng.random(400) < 1 / (1 + np.exp(-(0.4 + 0.7 * odds)))).astype(float)
    intercept, slope = recalibrate(odds, y)
    residual = y - 1 / (1 + np.exp(-(intercept + slope * odds)))
    assert abs(residual.sum()) < 1e-6 and abs(residual @ odds) < 1e-6
    shift = intercept_at_slope_one(odds, y)
    assert (1 / (1 + np.exp(-(odds + shift)))).sum() == pytest.approx(y.sum())


def test_status_is_yes_no_or_unknown_and_never_guessed():
    empty = dict.fromkeys(OUTCOMES_SCHEMA.names)
    alive = {"overall_days": 2000.0, "overall_event": 0, "melanoma_specific_event": 0,
             "recurrence_free_days": 2000.0, "recurrence_free_event": 0}  # fmt: skip
    recurred = {"recurrence_free_days": 300.0, "recurrence_free_event": 1}
    dead = {"overall_days": 500.0, "overall_event": 1, "recurrence_free_days": 500.0}
    cases = [
        (alive, (False, False, False)),
        (alive | recurred | {"recurrence_distant_days": 300.0}, (True, False, True)),
        (alive | recurred | {"recurrence_locoregional_days": 300.0}, (True, True, False)),
        (alive | recurred | {"recurrence_local_days": 300.0}, (False, False, False)),
        (alive | recurred, (None, None, None)),  # a recurrence, nobody wrote where
        (alive | {"recurrence_distant_days": 1900.0} | recurred | {"recurrence_free_days": 1900.0}, (False,) * 3),
        (alive | {"overall_days": 900.0, "recurrence_free_days": 900.0}, (None,) * 3),  # lost
        (dead | {"melanoma_specific_event": 2, "recurrence_free_event": 2}, (False,) * 3),  # died of another cause
        (dead | {"melanoma_specific_event": 1, "recurrence_free_event": 1}, (None,) * 3),
        (alive | {"recurrence_free_days": None, "recurrence_free_event": None}, (None,) * 3),  # recurrences not told
    ]
    rows = [empty | {"row": number} | facts for number, (facts, _) in enumerate(cases)]
    found = metastasis_status(pa.Table.from_pylist(rows, OUTCOMES_SCHEMA), 1826).to_pylist()
    for row, (_, wanted) in zip(found, cases, strict=True):
        assert tuple(row[f"metastasis_{site}"] for site in ("any", "locoregional", "distant")) == wanted
