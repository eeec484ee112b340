"""The sample archive in the repository: complete, small, reproducible, and holding what it promises."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from longderm.schema import FILE_STATUSES, QUARANTINE_REASONS
from longderm.simulate.defects import black_jpeg_ls
from longderm.simulate.patient import write_patient
from longderm.simulate.sample import MANIFEST, cast, choose_storage, hashes

#: The sample travels in the package.
LARGEST_BYTES = 12_000_000


def test_every_file_is_the_one_in_the_manifest(sample):
    assert hashes(sample.folder) == json.loads((sample.folder / MANIFEST).read_text())


def test_it_is_small(sample):
    assert sum(path.stat().st_size for path in sample.folder.rglob("*") if path.is_file()) < LARGEST_BYTES


def test_a_patient_written_again_is_the_patient_in_the_sample(sample, tmp_path):
    for plan in (cast()[2], cast()[7]):  # one of each maker
        write_patient(tmp_path, plan, choices=choose_storage)
    manifest = json.loads((sample.folder / MANIFEST).read_text())
    written = [path for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert len(written) >= 10
    other = []
    for path in written:
        name = path.relative_to(tmp_path).as_posix()
        assert name in manifest
        if hashlib.sha256(path.read_bytes()).hexdigest() != manifest[name]:
            other.append((decoded(path), decoded(sample.folder / name)))
    # Another kind of processor may round a pixel to its neighbour; nothing else may differ.
    for first, second in other:
        assert np.abs(first.astype(int) - second).mean() < 0.05


def decoded(path: Path) -> np.ndarray:
    if path.suffix == ".dcm":
        return pydicom.dcmread(path).pixel_array
    with Image.open(path) as image:
        return np.asarray(image)


def test_it_is_about_eight_patients_with_20_to_30_lesions_of_one_to_five_visits(sample):
    assert len({row["patient_id"] for row in sample.lesions}) == 8
    assert 20 <= len(sample.lesions) <= 30
    assert {len(row["visit_dates"]) for row in sample.lesions} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("defect", "status", "reason"),
    [
        ("truncated", "quarantine", "truncated"),
        ("text_as_image", "quarantine", "not_an_image"),
        ("no_date", "quarantine", "no_date"),
        ("no_patient", "quarantine", "no_patient"),
        ("future_date", "quarantine", "future_date"),
        ("duplicate", "duplicate", None),
        ("burnt_in_annotation", "quarantine", "burned_in_annotation"),
        ("multi_frame", "quarantine", "multi_frame"),
        ("unsupported_syntax", "quarantine", "unsupported_syntax"),
        ("same_pixels_other_day", "photo", None),
        ("shared_tracking_uid", "quarantine", "two_patients_for_lesion"),
    ],
)
@pytest.mark.parametrize("which", ["sample", "simulated"])
def test_there_is_one_file_of_each_defect(which, defect, status, reason, request):
    rows = [row for row in request.getfixturevalue(which).photos if row["defect"] == defect]
    assert [(row["expected_status"], row["expected_reason"]) for row in rows] == [(status, reason)]


def test_expectations_are_words_of_the_schema(sample):
    assert {row["expected_status"] for row in sample.photos} <= set(FILE_STATUSES)
    assert {row["expected_reason"] for row in sample.photos} - {None} <= set(QUARANTINE_REASONS)


def by_defect(archive, defect):
    return next(archive.folder / row["path"] for row in archive.photos if row["defect"] == defect)


def test_the_defects_are_what_they_are_called(sample):
    with pytest.raises(OSError, match="truncated"), Image.open(by_defect(sample, "truncated")) as image:
        image.load()
    by_defect(sample, "text_as_image").read_bytes().decode("ascii")
    assert pydicom.dcmread(by_defect(sample, "burnt_in_annotation")).BurnedInAnnotation == "YES"
    assert pydicom.dcmread(by_defect(sample, "multi_frame")).NumberOfFrames == 2
    assert pydicom.dcmread(by_defect(sample, "unsupported_syntax")).file_meta.TransferSyntaxUID.endswith(".80")
    copies = [path.read_bytes() for path in (sample.folder / "photos").iterdir()]
    assert copies.count(by_defect(sample, "duplicate").read_bytes()) == 2


def test_the_same_pixels_lie_under_two_days(sample):
    copy = pydicom.dcmread(by_defect(sample, "same_pixels_other_day"))
    twins = []
    for row in sample.photos:
        if row["maker"] == "a" and row["lesion_id"] == copy.TrackingID and row["patient_id"] == copy.PatientID:
            ds = pydicom.dcmread(sample.folder / row["path"])
            if ds.PixelData == copy.PixelData:
                twins.append(str(ds.StudyDate))
    assert len(set(twins)) == 2


def test_one_tracking_uid_stands_under_two_patients(sample):
    owners = {}
    for path in (sample.folder / "dicom").rglob("*.dcm"):
        ds = pydicom.dcmread(path, stop_before_pixels=True)
        if "TrackingUID" in ds:
            owners.setdefault(ds.TrackingUID, set()).add(ds.PatientID)
    assert sorted(len(patients) for patients in owners.values())[-2:] == [1, 2]


def test_a_date_and_a_patient_are_missing_once_and_one_lies_in_2099(sample):
    with (sample.folder / "photos" / "metadata.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert sum(row["acquisition_date"] == "" for row in rows) == 1
    assert sum(row["patient_id"] == "" for row in rows) == 1
    assert sum(row["acquisition_date"].startswith("2099") for row in rows) == 1


def test_the_cast_is_complete(sample):
    lesions = {row["kind"]: row for row in sample.lesions}
    malignant = [row for row in sample.lesions if row["malignant"]]
    assert {len(row["visit_dates"]) for row in malignant} == {4, 5}
    assert all(row["area_mm2"][-1] > 1.25 * row["area_mm2"][0] for row in malignant)
    assert lesions["growing_nevus"]["area_mm2"][-1] > lesions["growing_nevus"]["area_mm2"][0] + 5
    assert {"face", "sole", "nail"} <= {row["site"] for row in sample.lesions}
    assert any(pair["tanning"] and not pair["changed"] for pair in sample.pairs)
    assert any(pair["malignant_change"] for pair in sample.pairs)
    assert sum(not pair["changed"] for pair in sample.pairs) > 30
    assert {"total_body", "clinical", "dermoscopic"} == {row["modality"] for row in sample.photos}
    assert any(row["blur_px"] and row["blur_px"] > 8 for row in sample.photos)
    assert any(row["cut_by_border"] for row in sample.photos)
    last = {}
    for row in sample.photos:
        if row["defect"] is None:
            last[row["patient_id"]] = max(last.get(row["patient_id"], row["date"]), row["date"])
    ends = [row["visit_dates"][-1] < last[row["patient_id"]] for row in sample.lesions if len(row["visit_dates"]) > 2]
    assert any(ends)
    days = [(row["patient_id"], row["lesion_id"], row["date"]) for row in sample.photos if row["defect"] is None]
    assert max(days.count(day) for day in days) == 3


def test_an_excision_with_its_histology_is_told(sample):
    with (sample.folder / "events.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["event"] for row in rows] == ["excision", "histology"]
    assert rows[1]["diagnosis"] == "invasive melanoma"
    assert (rows[0]["patient_id"], rows[0]["lesion_id"]) in {(r["patient_id"], r["lesion_id"]) for r in sample.lesions}


def test_the_unreadable_stream_is_sound_jpeg_ls_in_its_markers():
    stream = black_jpeg_ls(480, 640)
    assert stream[:4] == b"\xff\xd8\xff\xf7"
    assert stream.endswith(b"\xff\xd9")
    with pytest.raises(OSError):
        Image.open(io.BytesIO(stream)).load()
