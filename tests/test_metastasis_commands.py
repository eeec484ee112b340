"""`longderm prognosis --metastasis`: a model is fitted, judged, promoted, and predicts for each tumour."""

from __future__ import annotations

import csv
import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from longderm.cli import main
from longderm.metastasis_release import read_metastasis_release
from longderm.prognosis import fit_metastasis, predict_metastasis
from longderm.store import Store

ASKED = ("--metastasis", "any", "--clinical", "log2(mel_thick_mm),site")
SIZE = 4


def clinic(patients, seed):
    """A clinic's tumours and their photos, 1 to 3 each; metastasis follows the thickness and e0."""
    rng = np.random.default_rng(seed)
    tumours, photos = [], []
    for person in range(patients):
        for tumour in range(rng.integers(1, 3)):
            log2_mm, look = rng.normal(), rng.normal(size=SIZE)
            names = {"patient_id": f"P{person:03d}", "lesion_id": f"P{person:03d}-{tumour}"}
            metastasis = int(rng.random() < 1 / (1 + np.exp(0.6 - 1.2 * log2_mm - 1.5 * look[0])))
            about = {"mel_thick_mm": round(2**log2_mm, 3), "site": "trunk" if rng.random() < 0.5 else "limb"}
            tumours.append(names | {"origin_date": "2010-03-01"} | about | {"metastasis_any": metastasis})
            for _ in range(rng.integers(1, 4)):
                values = {f"e{j}": round(v, 4) for j, v in enumerate(look + 0.2 * rng.normal(size=SIZE))}
                photos.append(names | {"photo_date": "2010-02-20"} | values)
    return pd.DataFrame(tumours), pd.DataFrame(photos)


TABLE, PHOTOS = clinic(70, 4)


@pytest.fixture
def write(tmp_path):
    def written(content, name):
        content.to_csv(tmp_path / name, index=False)
        return tmp_path / name

    return written


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with clinic.csv, photos.csv and a model of them."""
    folder = tmp_path_factory.mktemp("metastasis")
    TABLE.to_csv(folder / "clinic.csv", index=False)
    PHOTOS.to_csv(folder / "photos.csv", index=False)
    told = ("--image", "e*", "--features", folder / "photos.csv", "--bootstraps", "10", "--name", "prognosis/spread-1")
    with pytest.raises(SystemExit) as ended:
        main([*map(str, ("prognosis", "fit", folder / "clinic.csv", *ASKED, *told, "--out", folder / "model"))])
    assert ended.value.code == 0
    return folder


def predicted(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_what_is_fitted_and_predicted_equals_the_same_by_hand_photos_of_a_tumour_averaged(made, longderm, tmp_path):
    photos = PHOTOS.merge(TABLE, on=["patient_id", "lesion_id"])
    photos["log2(mel_thick_mm)"] = np.log2(photos.mel_thick_mm)
    e = [f"e{j}" for j in range(SIZE)]
    model = fit_metastasis(photos, embedding=e, clinical=["log2(mel_thick_mm)", "site"], bootstraps=10)
    found = read_metastasis_release(made / "model").model
    assert found.columns == model.columns and found.events == TABLE.metastasis_any.sum()
    np.testing.assert_allclose(found.center, model.center, atol=1e-12)
    expected = predict_metastasis(found, photos)
    status, _, _ = longderm(
        "prognosis", "predict", made / "model", made / "clinic.csv", "--features", made / "photos.csv",
        "--out", tmp_path / "p.csv",
    )  # fmt: skip
    rows = predicted(tmp_path / "p.csv")
    assert status == 0 and [row["lesion_id"] for row in rows] == TABLE.lesion_id.tolist()
    risk = dict(zip(expected.lesion, zip(expected.risk, expected.lower, expected.upper, strict=True), strict=True))
    for row in rows:
        told = [float(row[name]) for name in ("risk", "risk_lower", "risk_upper")]
        np.testing.assert_allclose(told, risk[row["lesion_id"]], atol=6e-7)


def test_the_models_stand_side_by_side_with_the_gain_of_both_over_each(made, longderm):
    asked = (*ASKED, "--image", f"e0..e{SIZE - 1}", "--features", made / "photos.csv", "--bootstraps", "20")
    status, printed, _ = longderm("prognosis", "evaluate", made / "clinic.csv", *asked, "--json")
    found = json.loads(printed)
    assert status == 0 and set(found["models"]) == {"clinical", "image", "combined"}
    gain = {one["over"]: one["figures"]["auroc"] for one in found["gains"]}
    combined = found["models"]["combined"]["figures"]["auroc"]["value"]
    for name in ("clinical", "image"):
        assert gain[name]["value"] == pytest.approx(combined - found["models"][name]["figures"]["auroc"]["value"])
        assert gain[name]["lower"] < gain[name]["value"] < gain[name]["upper"] and gain[name]["value"] > 0
    status, printed, _ = longderm(
        "prognosis", "evaluate", made / "clinic.csv", "--metastasis", "any", "--model", made / "model",
        "--features", made / "photos.csv", "--bootstraps", "10",
    )  # fmt: skip
    assert status == 0 and "prognosis/spread-1" in printed and "gain" not in printed


def test_a_probability_is_withheld_with_its_reasons(made, longderm, write, tmp_path):
    table = TABLE.head(6).drop(columns="metastasis_any")
    table.loc[1, "mel_thick_mm"] = 49.0
    table.loc[2, "site"] = None
    table.loc[3, "site"] = "nail"
    photos = PHOTOS.copy()
    photos.loc[photos.lesion_id == table.lesion_id[4], "e1"] = 30.0
    photos = photos[photos.lesion_id != table.lesion_id[5]]
    out = tmp_path / "p.csv"
    status, printed, _ = longderm(
        "prognosis", "predict", made / "model", write(table, "new.csv"), "--features", write(photos, "f.csv"),
        "--out", out,
    )  # fmt: skip
    rows = predicted(out)
    assert status == 0 and "5 abstained" in printed
    assert [row["rule"] for row in rows[1:]] == [
        "outside_training", "covariate_missing", "outside_training", "outside_training", "covariate_missing"
    ]  # fmt: skip
    for row, word in zip(rows[1:], ("49", "site", "nail", "e1 30", "e0"), strict=True):
        assert word in row["reasons"] and row["risk"] == row["risk_lower"] == row["risk_upper"] == ""
    decisions = pq.read_table(tmp_path / "p.decisions.parquet").to_pylist()
    assert [one["rule"] for one in decisions] == [row["rule"] for row in rows]
    assert json.loads(decisions[0]["prediction"])["risk"][0] == float(rows[0]["risk"])
    assert "P000" not in str(decisions)


def test_without_an_origin_nothing_is_issued(made, longderm, write, tmp_path):
    table = write(TABLE.drop(columns=["metastasis_any", "origin_date"]), "new.csv")
    asked = ("--features", write(PHOTOS.drop(columns="photo_date").assign(days_from_origin=0), "f.csv"))
    longderm("prognosis", "predict", made / "model", table, *asked, "--out", tmp_path / "p.csv")
    assert {row["rule"] for row in predicted(tmp_path / "p.csv")} == {"origin_unknown"}
    longderm("prognosis", "predict", made / "model", table, *asked, "--origin", "0", "--out", tmp_path / "p.csv")
    assert {row["verdict"] for row in predicted(tmp_path / "p.csv")} == {"issued_with_caveat"}


def test_a_photo_after_the_diagnosis_leaks(made, longderm, write, tmp_path):
    photos = PHOTOS.copy()
    photos.loc[0, "photo_date"] = "2010-03-02"
    late = write(photos, "late.csv")
    asked = (made / "clinic.csv", *ASKED, "--image", "e*", "--features", late)
    status, _, complaint = longderm("prognosis", "fit", *asked, "--out", tmp_path / "m")
    assert status == 3 and "1 days after the origin" in complaint and not (tmp_path / "m").exists()
    given = ("--features", late, "--out", tmp_path / "p.csv")
    assert longderm("prognosis", "predict", made / "model", made / "clinic.csv", *given)[0] == 3


def test_every_problem_of_a_table_is_told_at_once(made, longderm, write, tmp_path):
    table = TABLE.astype({"metastasis_any": object})
    table.loc[3, "metastasis_any"] = "perhaps"
    table.loc[5, "mel_thick_mm"] = 800.0
    asked = (*ASKED, "--out", tmp_path / "m")
    status, _, complaint = longderm("prognosis", "fit", write(table, "bad.csv"), *asked)
    assert status == 2 and "row 5, column metastasis_any" in complaint and "row 7, column mel_thick_mm" in complaint
    table = TABLE.copy()
    table.loc[:2, "site"] = None
    table.loc[:4, "mel_thick_mm"] = None
    status, _, complaint = longderm("prognosis", "fit", write(table, "gaps.csv"), *asked)
    assert status == 2 and "column site: 3 of" in complaint and "column mel_thick_mm: 5 of" in complaint
    asked_anyway = (*ASKED, "--missing", "complete_case", "--bootstraps", "2", "--out", tmp_path / "some")
    status, printed, _ = longderm("prognosis", "fit", tmp_path / "gaps.csv", *asked_anyway)
    assert status == 0 and "5 left out" in printed
    status, _, complaint = longderm("prognosis", "fit", write(TABLE.assign(metastasis_any=0), "none.csv"), *asked)
    assert status == 2 and "too_few_events" in complaint


def test_by_years_the_status_is_of_dated_recurrences_and_nobody_unknown_is_a_no(longderm, write, tmp_path):
    rows = len(TABLE)
    dated = TABLE.drop(columns=["metastasis_any", "lesion_id"]).assign(patient_id=[f"Q{k}" for k in range(rows)])
    dated["recurrence_distant_days"] = [400 if yes else None for yes in TABLE.metastasis_any]
    dated["last_follow_up_days"] = [2000] * (rows - 6) + [500] * 6
    status, printed, complaint = longderm(
        "prognosis", "fit", write(dated, "dated.csv"), "--metastasis", "distant", "--clinical", "log2(mel_thick_mm)",
        "--within", "3", "--bootstraps", "2", "--out", tmp_path / "m", "--json",
    )  # fmt: skip
    assert status == 0, complaint
    summary, lost = json.loads(printed), 6 - int(TABLE.metastasis_any[-6:].sum())
    assert lost > 0 and summary["tumours"] == rows - lost and summary["events"] == TABLE.metastasis_any.sum()
    out = tmp_path / "p.csv"
    assert longderm("prognosis", "predict", tmp_path / "m", tmp_path / "dated.csv", "--out", out)[0] == 0
    assert "risk_3y_upper" in predicted(out)[0] and "within 3 years" in (tmp_path / "m" / "card.md").read_text()


def test_the_one_that_is_promoted_in_a_store_predicts(made, longderm, tmp_path):
    store = tmp_path / "store"
    Store.create(store, "key-1")
    longderm("registry", "add", made / "model", "--store", store)
    asked = (made / "clinic.csv", "--features", made / "photos.csv", "--store", store, "--out", tmp_path / "p.csv")
    named = longderm("prognosis", "predict", *asked, "--model", "prognosis/spread-1")
    assert named[0] == 0 and {row["rule"] for row in predicted(tmp_path / "p.csv")} == {"not_approved"}
    assert longderm("registry", "promote", "prognosis/spread-1", "--store", store, "--reason", "judged")[0] == 0
    assert longderm("prognosis", "predict", *asked, "--metastasis", "any")[0] == 0
    rows = predicted(tmp_path / "p.csv")
    assert all(row["risk"] and row["verdict"] == "issued_with_caveat" for row in rows)
    assert not any("approv" in row["rules_fired"] for row in rows)
    status, _, complaint = longderm("prognosis", "predict", *asked, "--metastasis", "distant")
    assert status == 3 and "any metastasis, not of distant" in complaint


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--metastasis", "any"), "--clinical, --image"),
        (("--metastasis", "any", "--clinical", "metastasis_distant"), "tells the outcome"),
        (("--metastasis", "distant", "--clinical", "site"), "metastasis_distant"),
        (("--metastasis", "any", "--clinical", "site", "--strata", "site"), "--strata"),
        (("--metastasis", "any", "--image", "f*"), "f0, f1"),
        (("--metastasis", "any", "--image", "e9..e1"), "e0..e191"),
        (("--metastasis", "any", "--clinical", "site", "--origin", "30"), "--origin"),
        (("--endpoint", "overall", "--clinical", "site"), "--metastasis"),
        (("--covariates", "site"), "--endpoint"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what(made, longderm, tmp_path, arguments, words):
    status, _, complaint = longderm("prognosis", "fit", made / "clinic.csv", *arguments, "--out", tmp_path / "m")
    assert status == 2 and words in complaint
