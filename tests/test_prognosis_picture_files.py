"""Pictures beside a model and its evaluation: one file each, whole SVG, nothing of single patients in the report."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from longderm.cli import main

CLINIC = Path(__file__).parents[1] / "sample_data" / "prognosis" / "clinic.csv"
FEW = ["--bootstraps", "4", "--repeats", "1"]


def run(*words):
    try:
        main([str(word) for word in words])
    except SystemExit as stopped:
        return stopped.code or 0
    return 0


def test_an_evaluation_draws_auc_calibration_and_the_survival_of_risk_groups(tmp_path, capsys):
    judged = ["evaluate", CLINIC, "--endpoint", "overall", "--clinical", "mel_thick_mm", "--image", "image_score"]
    assert run("prognosis", *judged, *FEW, "--horizons", "3,5", "--pictures", tmp_path / "drawn", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    names = {Path(path).name for path in told["pictures"]}
    groups = {f"risk_groups_{name}.svg" for name in ("clinical", "image", "combined")}
    assert names == {"auc.svg", "calibration_3y.svg", "calibration_5y.svg"} | groups
    for name in names:
        assert ElementTree.parse(tmp_path / "drawn" / name).getroot().tag.endswith("svg")
    drawn = (tmp_path / "drawn" / "risk_groups_combined.svg").read_text()
    of_combined = told["models"]["combined"]["risk_groups"]
    assert all(f"risk {group['label']}" in drawn for group in of_combined["groups"]) and "Log-rank" in drawn
    # The numbers at risk at time 0 are the groups' patients; the report itself holds no patient's time.
    assert all(re.search(rf">{group['patients']}<", drawn) for group in of_combined["groups"])
    assert all("follow_up" not in group for group in of_combined["groups"])


def test_a_fitted_model_draws_its_hazard_ratios(tmp_path, capsys):
    fitted = ["fit", CLINIC, "--endpoint", "overall", "--covariates", "mel_thick_mm,age", "--out", tmp_path / "model"]
    assert run("prognosis", *fitted, "--bootstraps", "0", "--pictures", tmp_path / "drawn", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    drawn = (tmp_path / "drawn" / "hazard_ratios.svg").read_text()
    assert told["pictures"] == [str(tmp_path / "drawn" / "hazard_ratios.svg")]
    assert all(row["name"] in drawn for row in told["coefficients"])


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_file_where_the_folder_should_be_is_told(tmp_path, capsys, place):
    (tmp_path / "file").write_text("")
    fitted = ["fit", CLINIC, "--endpoint", "overall", "--covariates", "age", "--out", tmp_path / "model"]
    assert run("prognosis", *fitted, "--bootstraps", "0", "--pictures", tmp_path / place) == 2
    assert "takes a folder" in capsys.readouterr().err
