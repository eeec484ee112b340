"""What becomes of each file of an archive: what it says of itself, and why it cannot be used."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from intake_runner import Clinic, describe, draw, draw_dicom

from longderm.errors import UsageError


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path / "archive")


def test_a_photo_carries_what_the_table_says_of_it(clinic: Clinic) -> None:
    draw(clinic.root / "a.png", 1)
    row = {
        "isic_id": "a", "dermoscopic_type": "contact non-polarized", "sex": "f", "age_approx": "52.6",
        "fitzpatrick_skin_type": "3", "anatom_site_general": "head/neck", "anatom_site_1": "Cheek",
        "pixels_per_mm": "41.5",
    }  # fmt: skip
    describe(clinic.root, [row])
    clinic.run()
    photo, lesion, (patient,) = clinic.photo("a.png"), clinic.lesion("a.png"), clinic.current("patients")
    assert (photo["polarised"], photo["contact"], photo["modality"]) == (False, True, "dermoscopic")
    assert (photo["px_per_mm"], photo["px_per_mm_source"], photo["px_per_mm_error"]) == (41.5, "metadata", None)
    assert (photo["width_px"], photo["height_px"], photo["format"]) == (24, 16, "png")
    assert (photo["age_approx"], patient["sex"], patient["fitzpatrick_skin_type"]) == (55, "female", "III")
    assert (lesion["anatom_site_general"], lesion["anatom_site_1"], lesion["special_site"]) == (
        "head/neck",
        "Cheek",
        "face",
    )
    assert photo["caveats"] == ["burned_in_not_excluded"]
    assert photo["acquisition_day"] == 0 and photo["undated_repeat"] is False


def test_what_is_not_said_is_null_and_never_a_default(clinic: Clinic) -> None:
    draw(clinic.root / "a.png", 1)
    describe(clinic.root, [{"isic_id": "a"}])
    clinic.run()
    photo, lesion, (patient,) = clinic.photo("a.png"), clinic.lesion("a.png"), clinic.current("patients")
    for name in ("px_per_mm", "px_per_mm_source", "px_per_mm_error", "device", "polarised", "contact", "age_approx"):
        assert photo[name] is None
    assert {lesion[name] for name in ("anatom_site_general", "site_code", "laterality", "special_site")} == {None}
    assert patient["sex"] is None and patient["fitzpatrick_skin_type"] is None


def test_a_folder_of_patients_and_lesions_needs_no_table(clinic: Clinic) -> None:
    for name in ("anna/left arm/2024-05-01.jpg", "anna/left arm/20240801 b.jpg", "anna/total_body/2024-05-01_1.jpg"):
        draw(clinic.root / name, hash(name) % 1000, "JPEG")
    draw(clinic.root / "loose.jpg", 4, "JPEG")
    draw(clinic.root / "anna/left arm/scan.jpg", 5, "JPEG")
    clinic.run()
    first, later = clinic.photo("anna/left arm/2024-05-01.jpg"), clinic.photo("anna/left arm/20240801 b.jpg")
    assert first["lesion_id"] == later["lesion_id"] is not None
    assert (first["acquisition_day"], later["acquisition_day"]) == (0, 92)
    assert "modality_assumed" in first["caveats"]
    body = clinic.photo("anna/total_body/2024-05-01_1.jpg")
    assert (body["modality"], body["lesion_id"]) == ("total_body", None)
    assert clinic.status("loose.jpg") == clinic.status("anna/left arm/scan.jpg") == ("quarantine", "no_patient")
    assert clinic.counts() == {"files": 5, "photos": 3, "duplicates": 0, "quarantine": 2, "ignored": 0}


def test_an_explicit_pattern_fills_what_the_table_leaves_open(clinic: Clinic) -> None:
    draw(clinic.root / "2024-05-01/P7_mole.png", 1)
    clinic.run(pattern="{date}/{patient}_{lesion}.png")
    assert clinic.status("2024-05-01/P7_mole.png") == ("photo", None)
    with pytest.raises(UsageError, match=r"\{patent\}"):
        clinic.run(pattern="{patent}/{lesion}")


def test_every_missing_piece_has_its_reason(clinic: Clinic) -> None:
    rows = {
        "no_date": {"acquisition_date": ""},
        "no_date_2": {"acquisition_date": "05/01/2024"},
        "no_date_3": {"acquisition_date": "1900-01-01"},
        "no_date_4": {"acquisition_date": "2024-02-30"},
        "no_patient": {"patient_id": ""},
        "no_patient_2": {"patient_id": "ANONYMOUS"},
        "no_lesion": {"lesion_id": ""},
        "no_lesion_2": {"lesion_id": "", "image_type": "clinical: close-up"},
        "no_lesion_3": {"lesion_id": "", "image_type": "TBP tile: close-up"},
        "future_date": {"acquisition_date": "2025-01-02"},
        "unsupported_modality": {"image_type": "RCM: tile"},
        "unsupported_modality_2": {"image_type": "histopathology"},
        "photo": {"lesion_id": "", "image_type": "clinical: overview"},
        "photo_2": {"image_type": "TBP tile: close-up"},
        "photo_3": {"image_type": "clinical: close-up"},
        "photo_4": {"acquisition_date": "1.12.2023"},
        "photo_5": {"acquisition_date": "2025-01-01T23:59:00"},
    }
    for number, name in enumerate(rows):
        draw(clinic.root / f"{name}.png", number)
    describe(clinic.root, [{"isic_id": name, **row} for name, row in rows.items()])
    clinic.run()
    for name in rows:
        expected = name.rstrip("_2345")
        assert clinic.status(f"{name}.png") == (("photo", None) if expected == "photo" else ("quarantine", expected))
    details = {row["reason"]: row["detail"] for row in clinic.current("quarantine")}
    assert set(details) == {"no_date", "no_patient", "no_lesion", "future_date", "unsupported_modality"}


def test_files_that_are_no_photos_are_told_apart(clinic: Clinic) -> None:
    described = draw(clinic.root / "a.png", 1)
    describe(clinic.root, [{"isic_id": "a"}])
    (clinic.root / "notes.txt").write_text("see chart")
    (clinic.root / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 99)
    (clinic.root / "table.parquet").write_bytes(b"PAR1")
    (clinic.root / "readme").write_text("no image")
    (clinic.root / ".DS_Store").write_bytes(b"x")
    (clinic.root / "._a.png").write_bytes(b"resource fork")
    (clinic.root / "broken.jpg").write_text("moved to the new share")
    (clinic.root / "old.gif").write_bytes(b"GIF89a")
    os.mkfifo(clinic.root / "pipe.jpg")
    shutil.copy(described, clinic.root / "no extension")
    draw_dicom(clinic.root / "1.2.840.99.17", 2)
    clinic.run()
    assert {row["status"] for row in clinic.current("files")} == {"photo", "quarantine", "ignored"}
    for name in (
        "notes.txt",
        "DICOMDIR",
        "table.parquet",
        "readme",
        ".DS_Store",
        "._a.png",
        "pipe.jpg",
        "metadata.csv",
    ):
        assert clinic.status(name)[0] == "ignored"
    assert clinic.status("pipe.jpg")[1] == "no regular file"
    assert clinic.status("broken.jpg") == clinic.status("old.gif") == ("quarantine", "not_an_image")
    assert clinic.status("no extension") == ("quarantine", "no_patient")
    assert clinic.status("1.2.840.99.17") == ("photo", None)
    clinic.counts()


def test_a_dicom_photo_carries_its_header(clinic: Clinic) -> None:
    from pydicom import Dataset

    region, side = Dataset(), Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "70887009", "SCT", "Handfläche"
    side.CodeValue, side.CodingSchemeDesignator, side.CodeMeaning = "7771000", "SCT", "Left"
    region.AnatomicRegionModifierSequence = [side]
    draw_dicom(
        clinic.root / "deep/er/a.dcm", 1, AnatomicRegionSequence=[region], PixelSpacing=["0.02", "0.02"],
        PatientSex="M", PatientAge="047Y", Manufacturer="Maker", ManufacturerModelName="Scope 3",
        OpticalMagnificationFactor=20, LightSourcePolarization="NON_POLARIZED", ContactMethod="CONTACT",
    )  # fmt: skip
    clinic.run()
    photo, lesion = clinic.photo("deep/er/a.dcm"), clinic.lesion("deep/er/a.dcm")
    assert (photo["px_per_mm"], photo["px_per_mm_source"]) == (pytest.approx(50), "dicom_pixel_spacing")
    assert (photo["device"], photo["magnification"], photo["polarised"], photo["contact"]) == (
        "Maker Scope 3",
        20,
        False,
        True,
    )
    assert (photo["age_approx"], photo["format"], photo["caveats"]) == (45, "dicom", [])
    assert lesion["site_code"] == "70887009" and lesion["laterality"] == "L"
    assert (lesion["anatom_site_general"], lesion["special_site"]) == ("palms/soles", "acral")


def test_only_a_calibrated_spacing_is_a_scale(clinic: Clinic) -> None:
    sensor = {"PixelSpacing": ["0.004", "0.004"], "ImagerPixelSpacing": ["0.004", "0.004"]}
    draw_dicom(clinic.root / "imager.dcm", 1, ImagerPixelSpacing=["0.004", "0.004"])
    draw_dicom(clinic.root / "same.dcm", 2, **sensor)
    draw_dicom(clinic.root / "calibrated.dcm", 3, **sensor, PixelSpacingCalibrationType="FIDUCIAL")
    clinic.run()
    assert clinic.photo("imager.dcm")["px_per_mm"] is None
    assert clinic.photo("same.dcm")["px_per_mm"] is None
    assert clinic.photo("calibrated.dcm")["px_per_mm"] == pytest.approx(250)


@pytest.mark.parametrize(("stated", "caveats"), [("NO", []), (None, ["burned_in_not_excluded"])])
def test_text_in_the_pixels_is_excluded_or_told(clinic: Clinic, stated: str | None, caveats: list[str]) -> None:
    draw_dicom(clinic.root / "a.dcm", 1, BurnedInAnnotation=stated)
    draw_dicom(clinic.root / "b.dcm", 2, BurnedInAnnotation="YES")
    clinic.run()
    assert clinic.photo("a.dcm")["caveats"] == caveats
    assert clinic.status("b.dcm") == ("quarantine", "burned_in_annotation")


def test_the_date_comes_from_the_acquisition_else_it_is_told(clinic: Clinic) -> None:
    dates = {"AcquisitionDateTime": None, "StudyDate": "20240401"}
    draw_dicom(clinic.root / "a.dcm", 1, AcquisitionDateTime="20240501", ContentDate="20240601", StudyDate="20240101")
    draw_dicom(clinic.root / "b.dcm", 2, **dates)
    draw_dicom(clinic.root / "c.dcm", 3, **{**dates, "ContentDate": "20240411"})
    clinic.run()
    days = {name: clinic.photo(f"{name}.dcm")["acquisition_day"] for name in "abc"}
    assert days == {"a": 30, "b": 0, "c": 10}
    assert clinic.photo("a.dcm")["caveats"] == []
    assert clinic.photo("b.dcm")["caveats"] == clinic.photo("c.dcm")["caveats"] == ["date_not_of_acquisition"]
