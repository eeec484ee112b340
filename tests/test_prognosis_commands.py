"""`longderm prognosis`: from a clinic's table to a model, its figures and risks; what a table can hold is said."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from longderm.cli import main
from longderm.models.releases import load_release, write_hashes
from longderm.prognosis import fit_survival, predict_survival
from longderm.simulate.cohort import simulate_cohort

COVARIATES = "log2(mel_thick_mm),mel_ulcer,age,image_score"


def clinic(patients=240, seed=11):
    """A simulated clinic's table in ISIC's names."""
    drawn = pd.DataFrame(simulate_cohort(patients, seed).patients)
    return pd.DataFrame(
        {
            "patient_id": drawn.patient_id,
            "origin_date": "2010-03-01",
            "mel_thick_mm": drawn.thickness_mm.clip(0.1, 50).round(2),
            "mel_ulcer": drawn.ulcer.map({0.0: "no", 1.0: "yes"}),
            "age": drawn.age.round(1),
            "sex": drawn.male.map({0.0: "female", 1.0: "male"}),
            "image_score": drawn.image_score.round(4),
            "time_days": drawn.time.astype(int),
            "event": drawn.event,
        }
    )


TABLE = clinic()
NEW = TABLE.drop(columns=["time_days", "event"])


@pytest.fixture
def write(tmp_path):
    def written(content, name="clinic.csv"):
        data = content.to_csv(index=False).encode() if isinstance(content, pd.DataFrame) else content
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return written


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of the simulated clinic."""
    folder = tmp_path_factory.mktemp("fitted")
    TABLE.to_csv(folder / "clinic.csv", index=False)
    arguments = ["prognosis", "fit", folder / "clinic.csv", "--endpoint", "stated", "--covariates", COVARIATES]
    with pytest.raises(SystemExit) as ended:
        main([*map(str, [*arguments, "--out", folder / "model", "--bootstraps", "5", "--json"])])
    assert ended.value.code == 0
    return folder / "model"


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_what_is_fitted_and_predicted_equals_the_same_by_hand(longderm, write, model, tmp_path):
    status, printed, _ = longderm(
        "prognosis", "predict", model, write(NEW), "--out", tmp_path / "p.csv", "--horizons", "3,5", "--json"
    )
    assert status == 0
    summary = json.loads(printed)
    assert summary["patients"] == len(TABLE) and sum(summary["verdicts"].values()) == len(TABLE)
    columns = {
        "t": np.log2(TABLE.mel_thick_mm.to_numpy()),
        "u": (TABLE.mel_ulcer == "yes").to_numpy().astype(float),
        "a": TABLE.age.to_numpy(),
        "i": TABLE.image_score.to_numpy(),
        "time": TABLE.time_days.to_numpy(),
        "event": TABLE.event.to_numpy(),
    }
    by_hand = predict_survival(fit_survival(columns, ["t", "u", "a", "i"]), columns, [3 * 365.25, 5 * 365.25])
    rows = read(tmp_path / "p.csv")
    assert [row["patient_id"] for row in rows] == TABLE.patient_id.tolist()
    for k, year in enumerate((3, 5)):
        for name, expected in (
            (f"risk_{year}y", by_hand.risk),
            (f"risk_{year}y_lower", 1 - by_hand.upper),
            (f"risk_{year}y_upper", 1 - by_hand.lower),
        ):
            found = np.array([float(row[name]) for row in rows])
            np.testing.assert_allclose(found, expected[:, k], atol=6e-7)


def test_a_risk_stands_with_its_interval_or_is_withheld_with_all_reasons(longderm, write, model, tmp_path):
    table = NEW.head(6).copy()
    table["mel_thick_mm"] = table["mel_thick_mm"].astype(object)
    table.loc[1, "mel_thick_mm"] = 59.0
    table.loc[2, "mel_ulcer"] = None
    table.loc[3, "origin_date"] = None
    table.loc[3, "image_score"] = 40.0
    status, printed, _ = longderm("prognosis", "predict", model, write(table), "--out", tmp_path / "p.csv")
    assert status == 0 and "3 abstained" in printed
    rows = read(tmp_path / "p.csv")
    risks = [name for name in rows[0] if name.startswith("risk_")]
    assert len(risks) == 3 * 4
    for row in rows:
        withheld = row["verdict"] == "abstained"
        assert all((row[name] == "") == withheld for name in risks)
        assert bool(row["reasons"]) == (row["verdict"] != "issued")
    assert [row["rule"] for row in rows[1:4]] == ["outside_training", "covariate_missing", "origin_unknown"]
    assert "59" in rows[1]["reasons"] and "mel_ulcer" in rows[2]["reasons"]
    assert "origin_date" in rows[3]["reasons"] and "image_score 40" in rows[3]["reasons"]


def test_without_a_known_origin_nothing_is_issued_until_it_is_stated(longderm, write, model, tmp_path):
    table = write(NEW.drop(columns="origin_date").head(5))
    out = tmp_path / "p.csv"
    longderm("prognosis", "predict", model, table, "--out", out)
    assert {row["rule"] for row in read(out)} == {"origin_unknown"}
    longderm("prognosis", "predict", model, table, "--out", out, "--origin", "0")
    assert {row["verdict"] for row in read(out)} <= {"issued", "issued_with_caveat"}
    status, _, complaint = longderm("prognosis", "predict", model, table, "--out", out, "--origin", "90")
    assert status == 3 and "day 0" in complaint


def test_a_folder_is_no_file_of_predictions(longderm, write, model, tmp_path):
    before = sorted(tmp_path.parent.iterdir())
    status, _, complaint = longderm("prognosis", "predict", model, write(NEW.head(2)), "--out", tmp_path)
    assert status == 2 and "is a folder" in complaint
    assert sorted(tmp_path.parent.iterdir()) == before


def test_a_horizon_past_the_follow_up_is_withheld(longderm, write, model, tmp_path):
    longderm("prognosis", "predict", model, write(NEW.head(3)), "--out", tmp_path / "p.csv", "--horizons", "5,12")
    assert {row["rule"] for row in read(tmp_path / "p.csv")} == {"beyond_follow_up"}


def test_features_of_photos_are_joined_and_a_later_one_is_refused(longderm, write, model, tmp_path):
    table, out = write(NEW.drop(columns="image_score")), tmp_path / "p.csv"
    earlier = NEW[["patient_id"]].assign(image_score=9.0, acquisition_date="2009-03-01")
    latest = NEW[["patient_id", "image_score"]].assign(acquisition_date="2010-02-27")
    photos = pd.concat([latest, earlier])
    arguments = ("prognosis", "predict", model, table, "--out", out)
    assert longderm(*arguments, "--features", write(photos, "f.csv"))[0] == 0
    joined = read(out)
    longderm("prognosis", "predict", model, write(NEW, "all.csv"), "--out", out)
    assert joined == read(out)

    photos.iloc[3, photos.columns.get_loc("acquisition_date")] = "2010-03-02"
    status, _, complaint = longderm(*arguments, "--features", write(photos, "f.csv"))
    assert status == 3 and "image_score, row 5: known only 1 days after the origin" in complaint
    undated = write(photos.drop(columns="acquisition_date"), "f.csv")
    assert longderm(*arguments, "--features", undated)[0] == 3
    assert longderm(*arguments, "--features", undated, "--time-invariant", "image_score")[0] == 0


def test_a_covariate_of_the_table_that_is_dated_after_the_origin_is_refused_in_a_fit(longderm, write, tmp_path):
    dated = TABLE.assign(image_score_date=["2010-02-01"] * 239 + ["2010-04-01"])
    arguments = ("--endpoint", "stated", "--covariates", "age,image_score", "--bootstraps", "0")
    status, _, complaint = longderm("prognosis", "fit", write(dated), *arguments, "--out", tmp_path / "m")
    assert status == 3 and "row 241" in complaint and not (tmp_path / "m").exists()
    status, _, _ = longderm("prognosis", "fit", write(dated), *arguments, "--out", tmp_path / "m", "--origin", "40")
    assert status == 0
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert config["origin_days"] == 40
    followed = TABLE.time_days > 40
    assert (config["patients"], config["events"]) == (followed.sum(), TABLE.event[followed].sum())


@pytest.mark.parametrize("name", ["recurrence_local_days", "time_days", "patient_id", "event"])
def test_what_tells_the_outcome_or_the_person_is_no_covariate(longderm, write, tmp_path, name):
    arguments = ("--endpoint", "stated", "--covariates", f"age,{name}", "--out", tmp_path / "m")
    status, _, complaint = longderm("prognosis", "fit", write(TABLE), *arguments)
    assert status == 2 and name in complaint


def test_evaluation_sets_image_beside_clinical_and_both(longderm, write):
    arguments = ("--endpoint", "stated", "--clinical", "mel_thick_mm,age", "--image", "image_score", "--by", "sex")
    arguments += ("--bootstraps", "5", "--repeats", "1")
    status, printed, _ = longderm("prognosis", "evaluate", write(TABLE), *arguments, "--json")
    found = json.loads(printed)
    assert status == 0 and set(found["models"]) == {"clinical", "image", "combined"}
    assert found["models"]["combined"]["columns"] == ["mel_thick_mm", "age_approx", "image_score"]
    status, printed, _ = longderm("prognosis", "evaluate", write(TABLE), *arguments)
    assert "gain of combined over clinical" in printed and "sex female" in printed


def test_a_finished_model_is_judged_on_other_patients(longderm, write, model):
    arguments = ("--endpoint", "stated", "--model", model, "--bootstraps", "5", "--json")
    status, printed, _ = longderm("prognosis", "evaluate", write(clinic(200, 12)), *arguments)
    assert status == 0
    assert 0.5 < json.loads(printed)["models"]["prognosis/0.1.0"]["figures"]["harrell_c"]["value"] < 1
    table = write(TABLE)
    assert longderm("prognosis", "evaluate", table, "--endpoint", "overall", "--model", model)[0] == 3
    assert longderm("prognosis", "evaluate", table, "--endpoint", "stated")[0] == 2


def test_a_model_whose_files_were_touched_is_refused(longderm, write, model, tmp_path):
    import shutil

    shutil.copytree(model, tmp_path / "touched")
    config = tmp_path / "touched" / "config.json"
    config.write_text(config.read_text().replace("stated", "overall"))
    status, _, complaint = longderm("prognosis", "predict", tmp_path / "touched", write(NEW), "--out", tmp_path / "p")
    assert status == 3 and "config.json differs" in complaint
    config.write_text("{}")
    write_hashes(tmp_path / "touched")
    assert longderm("prognosis", "predict", tmp_path / "touched", write(NEW), "--out", tmp_path / "p")[0] == 3
    assert longderm("prognosis", "predict", tmp_path / "none", write(NEW), "--out", tmp_path / "p")[0] == 2
    assert not (tmp_path / "p").exists()


def test_a_model_that_was_added_to_a_store_predicts_once_it_is_promoted(longderm, write, model, tmp_path):
    from longderm.store import Store

    store, table, out = tmp_path / "store", write(NEW.head(9)), tmp_path / "p.csv"
    Store.create(store, "key-1")
    assert longderm("registry", "add", model, "--store", store)[0] == 0
    assert "prognosis/0.1.0" in longderm("registry", "list", "--store", store)[1]
    assert longderm("registry", "verify", "--store", store)[0] == 0
    assert "harrell_c" in longderm("registry", "show", "prognosis/0.1.0", "--store", store)[1]
    named = ("prognosis", "predict", "prognosis/0.1.0", table, "--store", store, "--out", out)
    promoted = ("prognosis", "predict", table, "--store", store, "--out", out)
    assert longderm(*named)[0] == 0
    assert {row["rule"] for row in read(out)} == {"not_approved"}
    status, _, complaint = longderm(*promoted)
    assert status == 3 and "no survival model is promoted" in complaint

    longderm("registry", "promote", "prognosis/0.1.0", "--store", store, "--reason", "judged on our own patients")
    found = []
    for arguments in (named, promoted):
        assert longderm(*arguments)[0] == 0
        found.append(read(out))
    assert found[0] == found[1] and not any("approval" in row["rules_fired"] for row in found[0])
    assert longderm("prognosis", "predict", model, table, "--out", out)[0] == 0
    by_folder = read(out)
    risks = [name for name in by_folder[0] if name.startswith("risk_")]
    assert [[row[name] for name in risks] for row in by_folder] == [[row[name] for name in risks] for row in found[0]]
    assert all("approval_unknown" in row["rules_fired"] for row in by_folder)
    absent = ("prognosis", "predict", "prognosis/7", table, "--store", store, "--out", out)
    assert longderm(*absent)[0] == 2


def test_a_promoted_model_whose_files_were_changed_is_refused(longderm, write, model, tmp_path):
    from longderm.store import Store

    store, table = tmp_path / "store", write(NEW.head(3))
    Store.create(store, "key-1")
    longderm("registry", "add", model, "--store", store)
    longderm("registry", "promote", "prognosis/0.1.0", "--store", store, "--reason", "good")
    held = store / "releases" / "prognosis" / "0.1.0"
    (held / "figures.json").write_text("{}")
    write_hashes(held)  # its files agree with its hashes again, but are not those that were promoted
    load_release.cache_clear()  # as in another process
    arguments = ("--store", store, "--out", tmp_path / "p.csv")
    assert longderm("prognosis", "predict", table, *arguments)[0] == 3
    assert longderm("prognosis", "predict", "prognosis/0.1.0", table, *arguments)[0] == 0
    assert {row["rule"] for row in read(tmp_path / "p.csv")} == {"model_release"}
    assert longderm("registry", "verify", "--store", store)[0] == 3


def test_the_published_coefficients_of_odense_come_out_of_the_command(longderm, shared_data, tmp_path):
    (tmp_path / "odense.toml").write_text(
        '[outcomes]\ntime_days = "time"\nevent = "status"\nthickness_mm = "thickness"\n[values.sex]\n0 = "female"\n'
        '1 = "male"\n[values.event]\n1 = "death of melanoma"\n2 = "alive"\n3 = "other cause"\n'
    )
    table = shared_data / "survival" / "odense_melanoma.csv"
    arguments = ("--endpoint", "melanoma_specific", "--covariates", "sex,log2(thickness)", "--bootstraps", "0")
    status, printed, _ = longderm(
        *("prognosis", "fit", table, *arguments, "--mapping", tmp_path / "odense.toml", "--json"),
        *("--out", tmp_path / "model"),
    )
    sex, thickness = json.loads(printed)["coefficients"]
    assert status == 0
    assert (round(sex["coefficient"], 4), round(sex["standard_error"], 4)) == (0.4580, 0.2687)
    per_log = thickness["coefficient"] / np.log(2), thickness["standard_error"] / np.log(2)
    assert tuple(round(value, 4) for value in per_log) == (0.7809, 0.1573)


def test_a_model_in_a_folder_that_is_not_empty_is_not_written(longderm, write, model):
    before = sorted(path.name for path in model.iterdir())
    arguments = ("--endpoint", "stated", "--covariates", "age", "--out", model)
    status, _, complaint = longderm("prognosis", "fit", write(TABLE), *arguments)
    assert status == 2 and "not empty" in complaint and sorted(path.name for path in model.iterdir()) == before


SMALL = TABLE.head(40)
FAILURES = {
    "empty file": (b"", "empty"),
    "column names only": (SMALL.head(0), "no row"),
    "one row": (SMALL.head(1), "one patient"),
    "dates as text": (SMALL.assign(origin_date="last spring"), "year-month-day"),
    "dates of either order": (SMALL.assign(origin_date="03/04/2015"), "day or month first"),
    "thousands separators": (SMALL.assign(time_days=[f"{t:,}" for t in SMALL.time_days]), "thousands separator"),
    "another patient under the same id": (SMALL.assign(patient_id=["P1", "P1", *SMALL.patient_id[2:]]), "same patient"),
    "all events": (SMALL.assign(event=1), "everybody had the event"),
    "no events": (SMALL.assign(event=0), "nobody had the event"),
    "a spreadsheet program's file": (b"PK\x03\x04 not a table", "save it as CSV"),
    "micrometres among mm": (SMALL.assign(mel_thick_mm=[800.0, *SMALL.mel_thick_mm[1:]]), "micrometres"),
    "negative times": (SMALL.assign(time_days=-SMALL.time_days), "before the origin"),
    "an event on day 0": (SMALL.assign(time_days=SMALL.time_days * (1 - SMALL.event)), "nothing to predict"),
    "missing values": (SMALL.assign(age=[None, *SMALL.age[1:]]), "1 of 40 patients"),
    "thousands separators of a covariate": (
        SMALL.assign(image_score=[f"{1000 + n:,}" for n in range(len(SMALL))]),
        "thousands separator",
    ),
    "a column that is not there": (SMALL.drop(columns="image_score"), "the table has none"),
    "no outcome": (SMALL.drop(columns=["time_days", "event"]), "give its times and events"),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_whatever_a_spreadsheet_holds_ends_in_a_list_of_what_to_mend(longderm, write, tmp_path, command, failure):
    content, words = FAILURES[failure]
    if command == "fit":
        more = ("--covariates", COVARIATES, "--out", tmp_path / "model")
    else:
        more = ("--clinical", "mel_thick_mm,age", "--image", "image_score", "--bootstraps", "2")
    status, printed, complaint = longderm("prognosis", command, write(content), "--endpoint", "stated", *more)
    assert status == 2 and not printed
    head, *problems = complaint.splitlines()
    assert head.startswith("longderm: the outcomes table has") and head.endswith("to mend:")
    assert problems and all(line.startswith("- ") for line in problems)
    assert words in complaint
    assert not any(patient in complaint for patient in SMALL.patient_id)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("table", [SMALL.head(9).assign(event=[1] + [0] * 8), SMALL.assign(time_days=200)])
def test_what_is_too_little_to_judge_is_a_list_too(longderm, write, table):
    arguments = ("--endpoint", "stated", "--covariates", "age", "--bootstraps", "2")
    status, printed, complaint = longderm("prognosis", "evaluate", write(table), *arguments)
    assert status == 2 and not printed
    head, *problems = complaint.splitlines()
    assert head == "longderm: the outcomes table has 1 problem to mend:" and problems[0].startswith("- ")


def test_a_table_as_words_for_a_number_is_a_list_for_predict_too(longderm, write, model, tmp_path):
    table = write(NEW.head(4).assign(image_score=["1,234", "2,345", "high", "low"]))
    status, _, complaint = longderm("prognosis", "predict", model, table, "--out", tmp_path / "p.csv")
    assert status == 2 and "row 2, column image_score" in complaint and "row 4, column image_score" in complaint


@pytest.mark.parametrize("content", ["bom", "semicolons and decimal commas", "repeated rows"])
def test_what_a_spreadsheet_program_adds_changes_nothing(longderm, write, model, tmp_path, content):
    table = NEW.head(30)
    longderm("prognosis", "predict", model, write(table), "--out", tmp_path / "plain.csv")
    data = {
        "bom": b"\xef\xbb\xbf" + table.to_csv(index=False).encode(),
        "semicolons and decimal commas": table.to_csv(index=False, sep=";", decimal=",").encode(),
        "repeated rows": table.loc[[*range(30), 29]].to_csv(index=False).encode(),
    }[content]
    assert longderm("prognosis", "predict", model, write(data, "odd.csv"), "--out", tmp_path / "odd.csv.out")[0] == 0
    assert read(tmp_path / "plain.csv") == read(tmp_path / "odd.csv.out")


def test_the_real_command_complains_in_a_list_and_with_status_2(write):
    broken = b"\xef\xbb\xbf" + TABLE.head(5).assign(time_days=["1,234", "soon", "-3", "4", "5"]).to_csv().encode()
    command = [sys.executable, "-m", "longderm", "prognosis", "fit", str(write(broken)), "--endpoint", "stated"]
    done = subprocess.run(
        [*command, "--covariates", "age", "--out", "never"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2 and not done.stdout
    lines = done.stderr.splitlines()
    assert lines[0] == "longderm: the outcomes table has 3 problems to mend:" and len(lines) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "t.csv", "--endpoint", "someday", "--covariates", "age", "--out", "m"], "someday"),
        (["fit", "t.csv", "--endpoint", "overall", "--covariates", "age,age", "--out", "m"], "twice"),
        (["fit", "t.csv", "--endpoint", "overall", "--covariates", "age", "--out", "m", "--name", "x/1"], "prognosis"),
        (["fit", "t.csv", "--endpoint", "overall", "--covariates", "age", "--out", "m"], "does not exist"),
        (["predict", "m", "t.csv", "--out", "p.csv", "--horizons", "soon"], "--horizons"),
        (["predict", "m", "t.csv", "--out", ".", "--origin", "-1"], "--origin"),
        (["predict", "m", "t.csv", "--out", "p.csv", "--dated-by", "age"], "--dated-by"),
        (["evaluate", "t.csv", "--endpoint", "overall", "--covariates", "age", "--bootstraps", "1"], "--bootstraps"),
    ],
)
def test_wrong_usage_is_one_line_and_ends_with_2(longderm, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    status, _, complaint = longderm("prognosis", *arguments)
    assert status == 2 and words in complaint and len(complaint.splitlines()) == 1
