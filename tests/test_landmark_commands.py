"""`longderm prognosis` with visits: a landmark model is fitted, judged, promoted, and predicts at each visit."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from longderm.cli import main
from longderm.models.kinds import check_release
from longderm.prognosis.landmark import fit_landmark, landmark_rows, predict_landmark
from longderm.prognosis_release import read_prognosis_release
from longderm.simulate.cohort import simulate_cohort
from longderm.store import Store

ORIGIN = pd.Timestamp("2008-03-01")
FIT = ("--endpoint", "stated", "--covariates", "log2(mel_thick_mm),age", "--measured", "image_score")


def clinic(patients, seed):
    """A simulated clinic's outcomes and visits, in ISIC's names."""
    drawn = simulate_cohort(patients, seed, image_effect=0.6, image_step=0.25)
    people = pd.DataFrame(drawn.patients)
    outcomes = pd.DataFrame(
        {
            "patient_id": people.patient_id,
            "origin_date": ORIGIN.date(),
            "mel_thick_mm": people.thickness_mm.clip(0.1, 50).round(2),
            "age": people.age.round(1),
            "time_days": people.time.astype(int),
            "event": people.event,
        }
    )
    visits = pd.DataFrame(drawn.visits).round({"image_score": 4})
    visits["visit_date"] = (ORIGIN + pd.to_timedelta(visits.day, unit="D")).dt.date
    return outcomes, visits.drop(columns="day")


OUTCOMES, VISITS = clinic(300, 11)
NEW = OUTCOMES.drop(columns=["time_days", "event"])


def days_of(visits):
    return (pd.to_datetime(visits.visit_date) - ORIGIN).dt.days.to_numpy()


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clinic")
    OUTCOMES.to_csv(folder / "clinic.csv", index=False)
    VISITS.to_csv(folder / "visits.csv", index=False)
    NEW.to_csv(folder / "new.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def model(tables):
    arguments = ["prognosis", "fit", tables / "clinic.csv", "--visits", tables / "visits.csv", *FIT]
    with pytest.raises(SystemExit) as ended:
        main([*map(str, [*arguments, "--out", tables / "model", "--bootstraps", "4", "--json"])])
    assert ended.value.code == 0
    return tables / "model"


def read(path):
    return pd.read_csv(path, keep_default_na=False)


def by_hand():
    people = {
        "patient_id": OUTCOMES.patient_id.to_numpy(),
        "time": OUTCOMES.time_days.to_numpy(),
        "event": OUTCOMES.event.to_numpy(),
        "thickness": np.log2(OUTCOMES.mel_thick_mm.to_numpy()),
        "age": OUTCOMES.age.to_numpy(),
    }
    seen = {"patient_id": VISITS.patient_id.to_numpy(), "day": days_of(VISITS), "score": VISITS.image_score.to_numpy()}
    rows = landmark_rows(people, seen, baseline=["thickness", "age"], measured=["score"])
    return rows, fit_landmark(rows, ["thickness", "age", "score"])


def test_what_is_fitted_and_predicted_equals_the_same_by_hand(longderm, tables, model, tmp_path):
    rows, fitted = by_hand()
    held = read_prognosis_release(model).prognosis
    np.testing.assert_allclose(held.model.fit.beta, fitted.fit.beta, rtol=1e-9)
    assert held.form == "landmark" and held.landmark.visits == len(rows) and held.horizons_years == (3.0, 5.0)
    out = tmp_path / "p.csv"
    arguments = ("prognosis", "predict", model, tables / "new.csv", "--visits", tables / "visits.csv", "--out", out)
    status, printed, _ = longderm(*arguments, "--json")
    summary = json.loads(printed)
    assert status == 0 and (summary["patients"], summary["predictions"]) == (300, len(VISITS))
    found = pd.read_csv(out)
    expected = predict_landmark(fitted, rows)
    joined = pd.DataFrame({"patient_id": rows.columns["patient"], "visit_day": rows.columns["day"]}).assign(
        risk=expected.risk[:, 1], lower=1 - expected.upper[:, 1], upper=1 - expected.lower[:, 1]
    )
    both = found.merge(joined, on=["patient_id", "visit_day"], validate="one_to_one")
    issued = both[both.verdict != "abstained"]
    assert len(both) == len(VISITS) and len(issued) > 0.95 * len(both)
    for ours, theirs in (("risk_5y", "risk"), ("risk_5y_lower", "lower"), ("risk_5y_upper", "upper")):
        np.testing.assert_allclose(issued[ours], issued[theirs], atol=6e-7)
    assert longderm(*arguments, "--last-visits")[0] == 0
    last = pd.read_csv(out)
    assert last.visit_day.tolist() == found.groupby("patient_id").visit_day.max().tolist()


def test_a_release_tells_its_landmarks_in_card_and_figures(model):
    assert check_release(model) == "prognosis/0.1.0"
    figures = json.loads((model / "figures.json").read_text())
    names = {"auc_3y", "brier_5y", "calibration_slope_3y", "harrell_c", "observed_expected_5y"}
    assert names <= set(figures) and names <= set(figures["landmarks"]["1y"])
    assert figures["visits"] > figures["patients"] == 300
    assert figures["events"] <= OUTCOMES.event.sum()  # patients, however many visits they had before
    card = (model / "card.md").read_text()
    assert "Landmark model" in card and "from what was known by then" in card and "days after the visit" in card


def test_a_prediction_at_a_visit_knows_nothing_later(longderm, tables, model, tmp_path):
    late = pd.Series(days_of(VISITS) > 700, index=VISITS.index)
    changed = VISITS.assign(image_score=VISITS.image_score.where(~late, 3.3))
    for name, visits in (("all", VISITS), ("changed", changed), ("early", VISITS[~late])):
        visits.to_csv(tmp_path / f"{name}_visits.csv", index=False)
        arguments = ("prognosis", "predict", model, tables / "new.csv", "--visits", tmp_path / f"{name}_visits.csv")
        assert longderm(*arguments, "--out", tmp_path / f"{name}.csv")[0] == 0
    found = {name: pd.read_csv(tmp_path / f"{name}.csv") for name in ("all", "changed", "early")}
    risks = {name: table[table.visit_day <= 700].risk_5y.to_numpy() for name, table in found.items()}
    np.testing.assert_array_equal(risks["all"], risks["changed"])
    np.testing.assert_array_equal(risks["all"], risks["early"])
    assert not found["all"][found["all"].visit_day > 700].risk_5y.equals(
        found["changed"][found["changed"].visit_day > 700].risk_5y
    )


@pytest.mark.parametrize("command", ["fit", "evaluate", "predict"])
def test_a_value_that_became_known_after_its_visit_is_refused(longderm, tables, model, tmp_path, command):
    planted = VISITS.assign(image_score_date=VISITS.visit_date.astype(str))
    planted.loc[4, "image_score_date"] = str((pd.Timestamp(planted.visit_date[4]) + pd.Timedelta(days=30)).date())
    planted.to_csv(tmp_path / "v.csv", index=False)
    more = {
        "fit": (tables / "clinic.csv", *FIT, "--out", tmp_path / "m"),
        "evaluate": (tables / "clinic.csv", *FIT, "--bootstraps", "2"),
        "predict": (model, tables / "new.csv", "--out", tmp_path / "p.csv"),
    }[command]
    status, printed, complaint = longderm("prognosis", command, *more, "--visits", tmp_path / "v.csv")
    assert status == 3 and not printed and "image_score, row 6: known only 30 days after the origin" in complaint
    assert not (tmp_path / "m").exists() and not (tmp_path / "p.csv").exists()


def test_a_finished_model_is_judged_landmark_by_landmark_on_other_patients(longderm, model, tmp_path):
    outcomes, visits = clinic(400, 12)
    outcomes.to_csv(tmp_path / "t.csv", index=False)
    visits.to_csv(tmp_path / "v.csv", index=False)
    arguments = ("prognosis", "evaluate", tmp_path / "t.csv", "--visits", tmp_path / "v.csv", "--endpoint", "stated")
    status, printed, _ = longderm(*arguments, "--model", model, "--bootstraps", "4", "--json")
    found = json.loads(printed)
    assert status == 0 and set(found["landmarks"]) == {"all visits", "0y", "1y", "2y", "3y", "4y", "5y"}
    assert found["landmarks"]["0y"]["visits"] == 400
    assert 0.6 < found["landmarks"]["all visits"]["figures"]["auc_3y"]["value"] < 0.9
    status, printed, _ = longderm(*arguments, "--model", model, "--bootstraps", "2", "--horizons", "3")
    assert status == 0 and "visits 1 to 2 years after the origin" in printed and "calibration_slope_3y" in printed
    once = longderm("prognosis", "evaluate", tmp_path / "t.csv", "--endpoint", "stated", "--model", model)
    assert once[0] == 2 and "--visits" in once[2]
    overall = ("--endpoint", "overall", "--model", model)
    assert longderm("prognosis", "evaluate", tmp_path / "t.csv", "--visits", tmp_path / "v.csv", *overall)[0] == 3


def test_what_was_never_or_too_long_ago_measured_is_withheld_and_so_is_a_patient_without_a_visit(
    longderm, tables, model, tmp_path
):
    visits = pd.DataFrame(
        {
            "patient_id": [NEW.patient_id[0], NEW.patient_id[1], NEW.patient_id[1]],
            "visit_date": ["2009-03-01", "2008-03-01", "2010-03-01"],
            "image_score": [None, 0.1, None],
        }
    )
    visits.to_csv(tmp_path / "v.csv", index=False)
    NEW.head(3).to_csv(tmp_path / "t.csv", index=False)
    arguments = ("--visits", tmp_path / "v.csv", "--out", tmp_path / "p.csv")
    assert longderm("prognosis", "predict", model, tmp_path / "t.csv", *arguments)[0] == 0
    found = read(tmp_path / "p.csv")
    assert found.rule.tolist()[:1] + found.rule.tolist()[2:] == [
        "covariate_missing",
        "outside_training",
        "visit_unknown",
    ]
    assert found.verdict[1].startswith("issued") and "days since image_score 730" in found.reasons[2]
    assert found.visit_row.tolist() == ["2", "3", "4", ""] and (found.risk_5y[[0, 2, 3]] == "").all()


def test_each_prediction_leaves_a_decision_that_holds_what_it_rests_on_and_no_identifier(
    longderm, tables, model, tmp_path
):
    arguments = ("prognosis", "predict", model, tables / "new.csv", "--visits", tables / "visits.csv", "--out")
    for name in ("p", "q"):
        assert longderm(*arguments, tmp_path / f"{name}.csv")[0] == 0
    kept = tmp_path / "p.decisions.parquet"
    assert kept.read_bytes() == (tmp_path / "q.decisions.parquet").read_bytes()
    decisions, predictions = pq.read_table(kept).to_pylist(), read(tmp_path / "p.csv")
    assert len(decisions) == len(predictions)
    one, row = decisions[3], predictions.loc[3]
    assert (one["verdict"], one["rule"], "; ".join(one["rules_fired"])) == (row.verdict, row.rule, row.rules_fired)
    facts = json.loads(one["facts"])
    assert facts["visit_days"] == row.visit_day and facts["origin_known"] is True
    assert {c["name"] for c in facts["covariates"]} >= {"image_score", "mel_thick_mm (mm)", "days since image_score"}
    assert json.loads(one["prediction"])["5"][0] == float(row.risk_5y)
    assert one["releases"] == [f"prognosis/0.1.0:{row.digest}"]
    assert "P000" not in json.dumps(decisions) and NEW.patient_id.str.startswith("P000").all()


def test_the_promoted_landmark_model_predicts_where_visits_are_named_and_none_is(longderm, tables, model, tmp_path):
    store, out = tmp_path / "store", tmp_path / "p.csv"
    Store.create(store, "key-1")
    once = ("--endpoint", "stated", "--covariates", "age", "--bootstraps", "0", "--name", "prognosis/once")
    assert longderm("prognosis", "fit", tables / "clinic.csv", *once, "--out", tmp_path / "once")[0] == 0
    decide = ("--store", store, "--reason", "judged on our own patients")
    for folder, name in ((model, "prognosis/0.1.0"), (tmp_path / "once", "prognosis/once")):
        assert longderm("registry", "add", folder, "--store", store)[0] == 0
        assert longderm("registry", "promote", name, *decide)[:2] == (0, f"none -> {name}\n")
        assert longderm("registry", "promote", name, *decide)[0] == 3
    listed = longderm("registry", "list", "--store", store)[1]
    assert sum("in use (promotion)" in line for line in listed.splitlines()) == 2

    def used(*more):
        status, printed, complaint = longderm(
            "prognosis", "predict", tables / "new.csv", "--store", store, "--out", out, "--json", *more
        )
        return json.loads(printed)["release"] if status == 0 else (status, complaint)

    assert used() == "prognosis/once" and used("--visits", tables / "visits.csv") == "prognosis/0.1.0"
    assert not read(out).rules_fired.str.contains("approval").any()
    assert longderm("registry", "rollback", "prognosis", *decide)[:2] == (0, "prognosis/once -> none\n")
    status, complaint = used()
    assert status == 3 and "no survival model is promoted" in complaint
    assert used("--visits", tables / "visits.csv") == "prognosis/0.1.0"
    assert longderm("registry", "verify", "--store", store)[0] == 0


def test_problems_of_both_tables_are_listed_at_once(longderm, tmp_path):
    OUTCOMES.head(30).assign(time_days=["soon"] * 2 + [400] * 28).to_csv(tmp_path / "t.csv", index=False)
    VISITS.head(30).assign(visit_date="03/04/2008").to_csv(tmp_path / "v.csv", index=False)
    status, printed, complaint = longderm(
        "prognosis", "fit", tmp_path / "t.csv", "--visits", tmp_path / "v.csv", *FIT, "--out", tmp_path / "m"
    )
    assert status == 2 and not printed
    assert "the outcomes table has 2 problems" in complaint and "the table of visits has 30 problems" in complaint
    assert not any(patient in complaint for patient in OUTCOMES.patient_id)


SMALL = VISITS[VISITS.patient_id.isin(OUTCOMES.patient_id[:60])]
FAILURES = {
    "empty file": (b"", "empty"),
    "column names only": (SMALL.head(0), "no row"),
    "one row": (SMALL.head(1), "no patient with a visit had the event"),
    "dates as text": (SMALL.assign(visit_date="last spring"), "year-month-day"),
    "serial dates": (SMALL.assign(visit_date=42000), "a day number of a spreadsheet program"),
    "a column twice": (SMALL.assign(IMAGE_SCORE=1), "two columns have this name"),
    "a column missing": (SMALL.drop(columns="image_score"), "they have none"),
    "no days": (SMALL.drop(columns="visit_date"), "on which day each visit was"),
    "no patients": (SMALL.drop(columns="patient_id"), "name no patients"),
    "other patients": (SMALL.assign(patient_id=[f"X{n}" for n in range(len(SMALL))]), "written alike"),
    "no value at all": (SMALL.assign(image_score=None), "no visit before the end"),
    "an Excel file": (b"PK\x03\x04 not a table", "save it as CSV"),
    "before the diagnosis": (SMALL.assign(visit_date="2007-01-01", image_score=1), "before the origin"),
    "after the end": (
        SMALL.assign(visit_date="2019-01-01", image_score=1),
        "after the end of this patient's follow-up",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_whatever_a_table_of_visits_holds_ends_in_a_list_of_what_to_mend(longderm, tmp_path, command, failure):
    content, words = FAILURES[failure]
    data = content.to_csv(index=False).encode() if isinstance(content, pd.DataFrame) else content
    (tmp_path / "v.csv").write_bytes(data)
    OUTCOMES.head(60).to_csv(tmp_path / "t.csv", index=False)
    more = ("--out", tmp_path / "m") if command == "fit" else ("--bootstraps", "2")
    status, printed, complaint = longderm(
        "prognosis", command, tmp_path / "t.csv", "--visits", tmp_path / "v.csv", *FIT, *more
    )
    assert status == 2 and not printed and words in complaint
    head, *problems = complaint.splitlines()
    assert head.endswith("to mend:") and problems and all(line.startswith("- ") for line in problems)


@pytest.mark.parametrize("content", ["bom", "semicolons and decimal commas", "umlauts of Windows", "repeated rows"])
def test_what_a_spreadsheet_program_adds_to_visits_changes_nothing(longderm, tables, model, tmp_path, content):
    plain = VISITS.head(200)
    data = {
        "bom": b"\xef\xbb\xbf" + plain.to_csv(index=False).encode(),
        "semicolons and decimal commas": plain.to_csv(index=False, sep=";", decimal=",").encode(),
        "umlauts of Windows": plain.assign(Bemerkung="Größe").to_csv(index=False).encode("cp1252"),
        "repeated rows": pd.concat([plain, plain.tail(1)]).to_csv(index=False).encode(),
    }[content]
    risks = []
    for name, written in (("plain", plain.to_csv(index=False).encode()), ("odd", data)):
        (tmp_path / f"{name}_v.csv").write_bytes(written)
        arguments = ("prognosis", "predict", model, tables / "new.csv", "--visits", tmp_path / f"{name}_v.csv")
        assert longderm(*arguments, "--out", tmp_path / f"{name}.csv")[0] == 0
        risks.append(read(tmp_path / f"{name}.csv")[["row", "visit_day", "verdict", "risk_5y"]])
    assert risks[0].equals(risks[1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "t.csv", "--endpoint", "stated", "--visits", "v.csv", "--out", "m"], "--measured"),
        (["fit", "t.csv", "--endpoint", "stated", "--measured", "x", "--covariates", "age", "--out", "m"], "--visits"),
        (["fit", "t.csv", "--endpoint", "stated", "--out", "m"], "--covariates"),
        (["fit", "t.csv", *FIT, "--visits", "v.csv", "--out", "m", "--strata", "sex"], "--strata"),
        (["fit", "t.csv", *FIT, "--visits", "v.csv", "--out", "m", "--origin", "90"], "--origin"),
        (["fit", "t.csv", *FIT[:-1], "age", "--visits", "v.csv", "--out", "m"], "age"),
        (["evaluate", "t.csv", "--endpoint", "stated", "--visits", "v.csv"], "--measured"),
        (["evaluate", "t.csv", *FIT, "--visits", "v.csv", "--by", "sex"], "--by"),
        (["predict", "t.csv", "--out", "p.csv"], "which model"),
        (["predict", "--out", "p.csv"], "MODEL TABLE"),
    ],
)
def test_wrong_usage_is_one_line_and_ends_with_2(longderm, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    status, _, complaint = longderm("prognosis", *arguments)
    assert status == 2 and words in complaint and len(complaint.splitlines()) == 1


def test_a_model_of_another_form_says_what_it_takes(longderm, tables, model, tmp_path):
    status, _, complaint = longderm("prognosis", "predict", model, tables / "new.csv", "--out", tmp_path / "p.csv")
    assert status == 2 and "--visits" in complaint
