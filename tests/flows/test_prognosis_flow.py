"""The prognosis flow: the same predictions as the command, whatever the batches, and a table of verdicts."""

from __future__ import annotations

import json
from datetime import date
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longderm.errors import RefusedError
from longderm.landmarking import fit_visits
from longderm.prognosing import fit_table, predict_from, predict_table, prepare_prediction
from longderm.prognosis_choice import ChosenModel
from longderm.prognosis_options import FitOptions
from longderm.prognosis_predictions import batch_size, batches, release_fact
from longderm.prognosis_release import Told
from longderm.prognosis_sources import TableSource
from longderm.simulate.cohort import simulate_cohort


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    """A simulated clinic's table, of which some patients lack a value, and a model of it."""
    folder = tmp_path_factory.mktemp("clinic")
    drawn = pd.DataFrame(simulate_cohort(300, seed=31).patients)
    table = pd.DataFrame(
        {
            "patient_id": drawn.patient_id,
            "origin_date": "2012-06-01",
            "mel_thick_mm": drawn.thickness_mm.clip(0.1, 50).round(2),
            "image_score": drawn.image_score.round(3),
            "time_days": drawn.time.astype(int),
            "event": drawn.event,
        }
    )
    table.to_csv(folder / "clinic.csv", index=False)
    covariates = ["mel_thick_mm", "image_score"]
    source = TableSource(folder / "clinic.csv", as_of=date(2026, 1, 1))
    fit_table(source, "stated", covariates, folder / "model", "prognosis/0.9.0", FitOptions(bootstraps=0), Told())
    table.loc[::7, "image_score"] = np.nan
    table.to_csv(folder / "new.csv", index=False)
    return folder


def source(clinic):
    return TableSource(clinic / "new.csv", as_of=date(2026, 1, 1))


def test_what_is_predicted_does_not_depend_on_the_batches(clinic):
    ready = prepare_prediction(source(clinic), ChosenModel(clinic / "model"), ())

    def rows(size):
        parts = list(batches(ready.patients, ready.release.prognosis, size))
        assert sum(len(part.rows) for part in parts) == 300 and len(parts) == -(-300 // size)
        return [row for part in parts for row in predict_from(ready.release, ready.chosen, part, ready.horizons)]

    assert rows(300) == rows(64) == rows(1)


def test_a_flow_has_fewer_tasks_than_prefect_keeps():
    assert batch_size(10) == 256
    assert -(-1_000_000 // batch_size(1_000_000)) <= 400


def test_a_batch_is_withheld_when_the_model_was_changed_since_it_was_read(clinic, tmp_path):
    import shutil

    shutil.copytree(clinic / "model", tmp_path / "model")
    ready = prepare_prediction(source(clinic), ChosenModel(tmp_path / "model"), ())
    with (tmp_path / "model" / "config.json").open("a") as file:
        file.write(" ")
    batch = next(batches(ready.patients, ready.release.prognosis))
    rows = predict_from(ready.release, ready.chosen, batch, ready.horizons)
    assert {row["rule"] for row in rows} == {"model_release"}
    shutil.rmtree(tmp_path / "model")
    assert release_fact(ready.release, tmp_path / "model").digest == "it is gone"


def test_the_flow_writes_what_the_command_writes(clinic, prefect_server, tmp_path):
    from longderm.flows.prognosis import prognosis, run_prognosis
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    summary = run_prognosis(source(clinic), clinic / "model", tmp_path / "flow.csv", (3.0, 5.0))
    plain = predict_table(source(clinic), ChosenModel(clinic / "model"), tmp_path / "plain.csv", (3.0, 5.0))
    for end in (".csv", ".decisions.parquet"):
        assert (tmp_path / f"flow{end}").read_bytes() == (tmp_path / f"plain{end}").read_bytes()
    assert summary["verdicts"] == plain["verdicts"] and summary["verdicts"]["abstained"] == 43
    kept = ArtifactFilter(key=ArtifactFilterKey(any_=["longderm-prognosis"]))
    with get_client(sync_client=True) as client:
        tables = [json.loads(one.data) for one in client.read_artifacts(artifact_filter=kept) if one.type == "table"]
    assert [{"verdict": name, "predictions": n} for name, n in sorted(summary["verdicts"].items())] in tables

    late = pd.DataFrame({"patient_id": ["P000000"], "image_score": [0.1], "acquisition_date": ["2013-01-01"]})
    late.to_csv(tmp_path / "late.csv", index=False)
    table = pd.read_csv(clinic / "new.csv").drop(columns="image_score")
    table.to_csv(tmp_path / "table.csv", index=False)
    leaking = TableSource(tmp_path / "table.csv", features=tmp_path / "late.csv").as_dict()
    with pytest.raises(RefusedError, match="214 days after the origin"):
        prognosis(model=str(clinic / "model"), source=leaking, out=str(tmp_path / "never.csv"))
    assert not (tmp_path / "never.csv").exists()


def test_the_flow_of_a_landmark_model_writes_what_the_command_writes(prefect_server, tmp_path):
    from longderm.flows.prognosis import run_prognosis

    tables = Path(str(resources.files("longderm.sample_data"))) / "prognosis"
    as_of = date(2026, 1, 1)
    fitted = TableSource(tables / "clinic.csv", visits=tables / "visits.csv", as_of=as_of)
    name, out = "prognosis/visits-1", tmp_path / "m"
    fit_visits(fitted, "overall", ["age"], ["image_score"], out, name, FitOptions(bootstraps=0), Told())
    new = TableSource(tables / "new.csv", visits=tables / "new_visits.csv", as_of=as_of)
    assert TableSource.from_dict(new.as_dict()) == new
    summary = run_prognosis(new, tmp_path / "m", tmp_path / "flow.csv", (3.0,), last_visits=True)
    predict_table(new, ChosenModel(tmp_path / "m"), tmp_path / "plain.csv", (3.0,), last_visits=True)
    for end in (".csv", ".decisions.parquet"):
        assert (tmp_path / f"flow{end}").read_bytes() == (tmp_path / f"plain{end}").read_bytes()
    assert summary["predictions"] == summary["patients"] == 20
