"""A metastasis model as a release: read as it was written, promoted beside survival models, of its own form only."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest
from tumour_tables import tumour_photos

from longderm.cli import main
from longderm.errors import RefusedError
from longderm.metastasis_release import read_metastasis_release, write_metastasis_release
from longderm.models.in_use import prognosis_in_use
from longderm.models.kinds import check_release
from longderm.models.registry import Who, promote_release
from longderm.models.releases import write_hashes
from longderm.prognosis import fit_metastasis, predict_metastasis
from longderm.prognosis_release import Told, read_prognosis_release
from longderm.settings import Settings
from longderm.store import Store


@pytest.fixture(scope="module")
def photos():
    return tumour_photos(80, 4, 2)


@pytest.fixture(scope="module")
def release(photos, tmp_path_factory):
    table, embedding = photos
    model = fit_metastasis(table, embedding=embedding, clinical=["thickness"], folds=3, bootstraps=20)
    folder = tmp_path_factory.mktemp("metastasis") / "made"
    write_metastasis_release(folder, "prognosis/spread-1", model, {"auroc": [0.8, 0.7, 0.9]}, Told("simulated", "MIT"))
    return folder


def test_what_is_read_predicts_what_was_written_to_the_last_bit(photos, release):
    table, embedding = photos
    model = fit_metastasis(table, embedding=embedding, clinical=["thickness"], folds=3, bootstraps=20)
    found = read_metastasis_release(release)
    ours, theirs = (predict_metastasis(one, table, embedding=embedding) for one in (model, found.model))
    np.testing.assert_array_equal(ours.risk, theirs.risk)
    np.testing.assert_array_equal(ours.upper, theirs.upper)
    assert found.name == check_release(release) == "prognosis/spread-1" and found.figures["auroc"] == [0.8, 0.7, 0.9]
    assert "thickness" in (release / "card.md").read_text()


def test_it_is_promoted_for_its_own_form_and_another_command_refuses_it(release, tmp_path, capsys):
    store = Store.create(tmp_path / "store", "key-1")
    with pytest.raises(SystemExit) as ended:
        main(["registry", "add", str(release), "--store", str(tmp_path / "store")])
    assert ended.value.code == 0
    promote_release("prognosis/spread-1", Settings(), store, Who("A", "judged", date(2026, 3, 1)))
    used = prognosis_in_use(Settings(), store)
    assert set(used) == {"metastasis"} and used["metastasis"].release.name == "prognosis/spread-1"
    with pytest.raises(RefusedError, match="metastasis, not of survival"):
        read_prognosis_release(release)
    (tmp_path / "t.csv").write_text("patient_id,origin_date\na,2010-01-01\n")
    with pytest.raises(SystemExit) as ended:
        main(["prognosis", "predict", str(tmp_path / "t.csv"), "--store", str(tmp_path / "store"), "--out", "p.csv"])
    assert ended.value.code == 3 and "no survival model is promoted" in capsys.readouterr().err


def test_a_damaged_one_is_refused(release, tmp_path):
    import shutil

    shutil.copytree(release, tmp_path / "broken")
    config = json.loads((release / "config.json").read_text())
    config["model"]["coefficients"] = config["model"]["coefficients"][1:]
    (tmp_path / "broken" / "config.json").write_text(json.dumps(config))
    with pytest.raises(RefusedError, match="differs from its recorded hash"):
        read_metastasis_release(tmp_path / "broken")
    write_hashes(tmp_path / "broken")
    with pytest.raises(RefusedError, match="damaged"):
        read_metastasis_release(tmp_path / "broken")
    with pytest.raises(SystemExit) as ended:
        Store.create(tmp_path / "store", "key-1")
        main(["registry", "add", str(tmp_path / "broken"), "--store", str(tmp_path / "store")])
    assert ended.value.code == 3
