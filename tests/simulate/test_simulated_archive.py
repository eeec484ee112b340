"""The archive on disk: layout, truth, and the same files whatever the number of workers and patients."""

from __future__ import annotations

import csv
import tomllib
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from longderm.errors import AccessError, UsageError
from longderm.simulate import simulate_archive
from longderm.simulate.folder_files import COLUMNS
from longderm.simulate.plans import AS_OF


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture(scope="module")
def fewer(tmp_path_factory, simulated):
    folder = tmp_path_factory.mktemp("fewer") / "archive"
    steps = []
    made = simulate_archive(
        folder, 3, simulated.seed, workers=2, progress=lambda done, total: steps.append((done, total))
    )
    return folder, made, steps


def test_a_patient_has_the_same_files_whatever_the_workers_and_the_other_patients(simulated, fewer):
    some, every = files(fewer[0]), files(simulated.folder)
    photos = {path for path in some if path.startswith(("dicom/", "photos/")) and not path.endswith(".csv")}
    assert len(photos) == fewer[1].photos
    assert all(some[path] == every[path] for path in photos)


def test_progress_counts_patients(fewer):
    assert fewer[2] == [(1, 3), (2, 3), (3, 3)]


def test_every_photo_has_a_row_of_truth_and_every_row_its_file(simulated):
    rows = {row["path"] for row in simulated.photos}
    found = {path for path in files(simulated.folder) if path.startswith(("dicom/", "photos/"))}
    assert rows == found - {"photos/metadata.csv"}
    assert len(rows) == len(simulated.photos)


def test_the_metadata_table_has_iscs_columns_and_a_row_per_photo(simulated):
    with (simulated.folder / "photos" / "metadata.csv").open(newline="") as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
    assert tuple(reader.fieldnames or ()) == COLUMNS
    stems = {Path(row["path"]).stem for row in simulated.photos if row["maker"] == "b"}
    assert {row["isic_id"] for row in rows} == stems
    assert all(row["isic_id"].isdigit() for row in rows)
    scaled = [row["pixels_per_mm"] for row in rows if row["image_type"] == "dermoscopic"]
    assert any(scaled) and not all(scaled)


def test_the_archive_says_that_it_is_simulated(simulated):
    told = tomllib.loads((simulated.folder / "archive.toml").read_text())
    assert told["simulated"] is True
    assert told["seed"] == simulated.seed
    assert told["as_of"] == AS_OF
    sound = [row["date"] for row in simulated.photos if row["defect"] is None]
    assert max(sound) < AS_OF
    assert (AS_OF - max(sound)).days < 330


def test_names_of_files_tell_nothing(simulated):
    told = {str(row[name]) for row in simulated.lesions for name in ("patient_id", "lesion_id", "kind")}
    for row in simulated.photos:
        assert not any(word in row["path"] for word in told)


def test_photos_have_the_size_of_the_truth_on_their_native_grid(simulated, sample):
    turned = 0
    paths = [(archive.folder / row["path"], row) for archive in (simulated, sample) for row in archive.photos]
    for path, row in paths:
        if row["maker"] == "b" and row["expected_status"] == "photo":
            with Image.open(path) as stored:
                assert stored.getexif().get(274, 1) == row["exif_orientation"]
                upright = ImageOps.exif_transpose(stored)
                turned += stored.size != upright.size
                assert upright.size == (row["width_px"], row["height_px"])
    assert turned > 0


def test_masks_lie_where_the_matrix_says(simulated):
    checked = 0
    for row in simulated.photos:
        if row["mask_path"] is None or row["cut_by_border"]:
            continue
        mask = np.asarray(Image.open(simulated.folder / row["mask_path"]))
        matrix = np.array(row["matrix"]).reshape(3, 3)
        ys, xs = np.nonzero(mask)
        centre = np.array([xs.mean(), ys.mean()])
        assert mask.sum() == row["area_px"]
        assert row["area_px"] == pytest.approx(row["area_mm2"] * row["px_per_mm"] ** 2, rel=0.03)
        assert np.linalg.norm(centre - matrix[:2, 2]) < row["radius_mm"] * row["px_per_mm"]
        checked += 1
    assert checked > 20


def test_pairs_are_similarities_between_two_days_of_one_lesion(simulated):
    photos = {row["path"]: row for row in simulated.photos}
    assert simulated.pairs
    for pair in simulated.pairs:
        first, second = photos[pair["baseline_path"]], photos[pair["followup_path"]]
        assert first["lesion_id"] == second["lesion_id"]
        assert pair["interval_days"] == (second["date"] - first["date"]).days > 0
        matrix = np.array(pair["matrix"]).reshape(3, 3)
        a, b = matrix[0, 0], matrix[1, 0]
        assert np.allclose(matrix[:2, :2], [[a, -b], [b, a]], atol=1e-8)
        assert np.linalg.det(matrix[:2, :2]) > 0
        assert np.allclose(
            matrix @ np.array(first["matrix"]).reshape(3, 3)[:, 2],
            np.array(second["matrix"]).reshape(3, 3)[:, 2],
            atol=1e-5,
        )
        assert pair["residual_px"] < 4
        assert pair["changed"] == bool(pair["ways"])


def test_stated_scales_are_near_the_true_ones(simulated):
    ratios = [row["px_per_mm_stated"] / row["px_per_mm"] for row in simulated.photos if row["px_per_mm_stated"]]
    assert len(ratios) > 10
    assert np.std(ratios) > 0.001
    assert np.max(np.abs(np.array(ratios) - 1)) < 0.05


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "something").write_text("here")
    with pytest.raises(UsageError, match="not empty"):
        simulate_archive(tmp_path, 1, 1)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(AccessError, match="cannot write"):
        simulate_archive(tmp_path / "file", 1, 1)


@pytest.mark.parametrize("wrong", [{"patients": 0, "seed": 1}, {"patients": 1, "seed": -1}])
def test_counts_that_cannot_be_are_refused(tmp_path, wrong):
    with pytest.raises(UsageError):
        simulate_archive(tmp_path / "new", **wrong)


def test_dates_are_dates(simulated):
    assert all(isinstance(row["date"], date) for row in simulated.photos if row["defect"] != "no_date")


def test_there_are_as_many_patients_as_asked_for(simulated):
    assert len({row["patient_id"] for row in simulated.lesions}) == simulated.patients
