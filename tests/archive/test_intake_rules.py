"""What becomes of each file of an archive, by the rules of intake."""

from __future__ import annotations

import os
import shutil
from datetime import date
from pathlib import Path

import pytest
from dicom_writer import DERMOSCOPIC, VL_PHOTOGRAPHIC
from intake_runner import Clinic, describe, draw, draw_dicom

from longderm.archive import LinkTable, SourceSpec, assign, give_up, read_into_spool, scan, unread
from longderm.errors import StageError, UsageError


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


def test_one_lesion_in_dicom_and_in_a_photo_folder_is_one(clinic: Clinic) -> None:
    draw_dicom(clinic.root / "a.dcm", 1, PatientID="P1", TrackingID="mole 3", TrackingUID="1.2.3")
    draw(clinic.root / "photos/b.png", 2)
    describe(clinic.root / "photos", [{"isic_id": "b", "lesion_id": "mole 3", "acquisition_date": "2024-09-01"}])
    clinic.run()
    assert clinic.photo("a.dcm")["lesion_id"] == clinic.photo("photos/b.png")["lesion_id"]


def test_a_label_of_two_lesions_with_identifiers_of_their_own_stands_for_neither(clinic: Clinic) -> None:
    draw_dicom(clinic.root / "a.dcm", 1, PatientID="P1", TrackingID="nevus", TrackingUID="1.2.3")
    draw_dicom(clinic.root / "b.dcm", 2, PatientID="P1", TrackingID="nevus", TrackingUID="1.2.4")
    draw(clinic.root / "photos/c.png", 3)
    describe(clinic.root / "photos", [{"isic_id": "c", "lesion_id": "nevus"}])
    clinic.run()
    assert clinic.photo("a.dcm")["lesion_id"] != clinic.photo("b.dcm")["lesion_id"]
    assert clinic.status("photos/c.png") == ("quarantine", "no_lesion")


def test_the_same_label_of_two_patients_is_two_lesions(clinic: Clinic) -> None:
    for number, patient in enumerate(("P1", "P2")):
        draw(clinic.root / f"{patient}.png", number)
    describe(clinic.root, [{"isic_id": p, "patient_id": p} for p in ("P1", "P2")])
    clinic.run()
    assert clinic.photo("P1.png")["lesion_id"] != clinic.photo("P2.png")["lesion_id"]
    assert len(clinic.current("lesions")) == len(clinic.current("patients")) == 2


def test_the_same_number_of_two_issuers_is_two_patients(clinic: Clinic) -> None:
    draw_dicom(clinic.root / "a.dcm", 1, PatientID="7", IssuerOfPatientID="NORTH", TrackingUID=None)
    draw_dicom(clinic.root / "b.dcm", 2, PatientID="7", IssuerOfPatientID="SOUTH", TrackingUID=None)
    clinic.run()
    assert len(clinic.current("patients")) == 2
    with LinkTable.open(clinic.link) as link:
        assert len(link.find_mrn("7")) == 2
        assert link.find_mrn("7", "NORTH") == [clinic.photo("a.dcm")["patient_id"]]


@pytest.mark.parametrize("lesion", ["IL_0000007", "uid"])
def test_two_patients_for_one_lesion_send_its_new_photos_to_quarantine(clinic: Clinic, lesion: str) -> None:
    if lesion == "uid":
        draw_dicom(clinic.root / "a.dcm", 1, PatientID="P1", TrackingUID="1.2.3")
        draw_dicom(clinic.root / "b.dcm", 2, PatientID="P2", TrackingUID="1.2.3")
        names = ("a.dcm", "b.dcm")
    else:
        names = ("a.png", "b.png")
        for number, name in enumerate(names):
            draw(clinic.root / name, number)
        describe(clinic.root, [{"isic_id": n, "lesion_id": lesion, "patient_id": f"P{n}"} for n in names])
    clinic.run()
    assert {clinic.status(name) for name in names} == {("quarantine", "two_patients_for_lesion")}
    assert clinic.current("photos") == clinic.current("lesions") == []


def test_a_second_patient_for_a_known_lesion_leaves_the_known_photo(clinic: Clinic) -> None:
    draw_dicom(clinic.root / "a.dcm", 1, PatientID="P1", TrackingUID="1.2.3")
    clinic.run()
    draw_dicom(clinic.root / "b.dcm", 2, PatientID="P2", TrackingUID="1.2.3")
    clinic.run()
    assert clinic.status("a.dcm") == ("photo", None)
    assert clinic.status("b.dcm") == ("quarantine", "two_patients_for_lesion")


def test_a_photo_filed_under_two_patients_is_in_quarantine_until_it_is_corrected(clinic: Clinic) -> None:
    shutil.copy(draw(clinic.root / "a.png", 1), clinic.root / "b.png")
    rows = [{"isic_id": "a", "patient_id": "P1"}, {"isic_id": "b", "patient_id": "P2"}]
    describe(clinic.root, rows)
    clinic.run()
    assert clinic.status("a.png") == clinic.status("b.png") == ("quarantine", "two_patients_for_photo")
    assert not clinic.scan().anything_new
    describe(clinic.root, [rows[0], {"isic_id": "b", "patient_id": "P1"}])
    clinic.run()
    assert (clinic.status("a.png"), clinic.status("b.png")) == (("photo", None), ("duplicate", None))
    clinic.counts()


def test_a_photo_known_of_another_patient_keeps_its_place(clinic: Clinic) -> None:
    describe(clinic.root, [{"isic_id": "a", "patient_id": "P1"}, {"isic_id": "b", "patient_id": "P2"}])
    draw(clinic.root / "a.png", 1)
    clinic.run()
    shutil.copy(clinic.root / "a.png", clinic.root / "b.png")
    clinic.run()
    assert clinic.status("a.png") == ("photo", None)
    assert clinic.status("b.png") == ("quarantine", "two_patients_for_photo")


def test_the_same_file_twice_is_one_photo_and_the_first_path_is_its_file(clinic: Clinic) -> None:
    draw(clinic.root / "b/x.png", 1)
    for name in ("a", "c"):
        (clinic.root / name).mkdir()
        shutil.copy(clinic.root / "b/x.png", clinic.root / name / "x.png")
    describe(clinic.root, [{"isic_id": f"{name}/x.png"} for name in "abc"])
    clinic.run()
    assert [clinic.status(f"{name}/x.png")[0] for name in "abc"] == ["photo", "duplicate", "duplicate"]
    assert clinic.photo("c/x.png")["file_ref"] == clinic.ref("a/x.png")
    assert clinic.counts()["duplicates"] == 2


def test_the_same_instance_twice_is_one_photo(clinic: Clinic) -> None:
    draw_dicom(clinic.root / "a.dcm", 1, SOPInstanceUID="1.2.3.9")
    draw_dicom(clinic.root / "b.dcm", 1, SOPInstanceUID="1.2.3.9", PatientAge="030Y")
    clinic.run()
    assert (clinic.status("a.dcm")[0], clinic.status("b.dcm")[0]) == ("photo", "duplicate")


def test_a_copy_that_comes_later_changes_nothing_of_the_photo(clinic: Clinic) -> None:
    draw(clinic.root / "b.png", 1)
    describe(clinic.root, [{"isic_id": "a"}, {"isic_id": "b"}])
    clinic.run()
    shutil.copy(clinic.root / "b.png", clinic.root / "a.png")
    clinic.run()
    assert clinic.last == {"patients": 0, "lesions": 0, "photos": 0, "events": 0, "quarantine": 0, "files": 1}
    assert (clinic.status("b.png")[0], clinic.status("a.png")[0]) == ("photo", "duplicate")


def test_a_file_that_moved_stays_the_same_photo(clinic: Clinic) -> None:
    draw(clinic.root / "a.png", 1)
    describe(clinic.root, [{"isic_id": "a"}, {"isic_id": "b"}])
    clinic.run()
    before = clinic.photo("a.png")
    (clinic.root / "a.png").rename(clinic.root / "b.png")
    found = clinic.run()
    assert found.missing == 1
    assert clinic.photo("b.png") == {**before, "file_ref": clinic.ref("b.png"), "revision": 2}
    assert clinic.status("a.png") == ("ignored", "no longer there")
    assert not clinic.scan().anything_new and clinic.scan().missing == 0
    assert clinic.counts()["photos"] == 1


def test_a_photo_whose_file_was_replaced_lives_on_in_its_copy(clinic: Clinic) -> None:
    shutil.copy(draw(clinic.root / "a.png", 1), clinic.root / "b.png")
    describe(clinic.root, [{"isic_id": "a"}, {"isic_id": "b"}])
    clinic.run()
    draw(clinic.root / "a.png", 2, size=(30, 16))
    clinic.run()
    assert clinic.status("a.png") == clinic.status("b.png") == ("photo", None)
    assert clinic.photo("b.png")["file_ref"] == clinic.ref("b.png")
    assert clinic.photo("a.png")["width_px"] == 30
    assert clinic.counts()["photos"] == 2


def test_one_photo_under_two_lesions_is_told(clinic: Clinic) -> None:
    shutil.copy(draw(clinic.root / "a.png", 1), clinic.root / "b.png")
    describe(clinic.root, [{"isic_id": "a"}, {"isic_id": "b", "lesion_id": "L2"}])
    clinic.run()
    assert clinic.status("b.png")[0] == "duplicate"
    assert "filed_under_two_lesions" in clinic.photo("a.png")["caveats"]


def test_the_same_pixels_on_two_days_are_told_on_both_whenever_they_come(clinic: Clinic) -> None:
    draw(clinic.root / "a.png", 1)
    draw(clinic.root / "a.bmp", 1, "BMP")
    draw(clinic.root / "c.png", 3)
    rows = [{"isic_id": "a.png"}, {"isic_id": "c"}]
    describe(clinic.root, [*rows, {"isic_id": "a.bmp", "acquisition_date": "2024-06-01"}])
    clinic.run()
    told = {name: "same_pixels_as_other_day" in clinic.photo(name)["caveats"] for name in ("a.png", "a.bmp", "c.png")}
    assert told == {"a.png": True, "a.bmp": True, "c.png": False}
    draw(clinic.root / "d.bmp", 3, "BMP")
    describe(clinic.root, [*rows, {"isic_id": "a.bmp"}, {"isic_id": "d", "acquisition_date": "2024-07-01"}])
    clinic.run()
    told = {n: "same_pixels_as_other_day" in clinic.photo(n)["caveats"] for n in ("a.png", "a.bmp", "c.png", "d.bmp")}
    assert told == {"a.png": False, "a.bmp": False, "c.png": True, "d.bmp": True}


def test_the_very_same_file_under_two_days_is_told(clinic: Clinic) -> None:
    shutil.copy(draw(clinic.root / "a.png", 1), clinic.root / "b.png")
    describe(clinic.root, [{"isic_id": "a"}, {"isic_id": "b", "acquisition_date": "2024-08-01"}])
    clinic.run()
    assert "same_pixels_as_other_day" in clinic.photo("a.png")["caveats"]
    # the same, when the copy comes later
    draw(clinic.root / "c.png", 2)
    describe(clinic.root, [{"isic_id": "a"}, {"isic_id": "b", "acquisition_date": "2024-08-01"}, {"isic_id": "c"}])
    clinic.run()
    assert "same_pixels_as_other_day" not in clinic.photo("c.png")["caveats"]
    shutil.copy(clinic.root / "c.png", clinic.root / "d.png")
    rows = [{"isic_id": n} for n in "ac"] + [{"isic_id": n, "acquisition_date": "2024-08-01"} for n in "bd"]
    describe(clinic.root, rows)
    clinic.run()
    assert "same_pixels_as_other_day" in clinic.photo("c.png")["caveats"]
    assert "same_pixels_as_other_day" in clinic.photo("a.png")["caveats"]


def test_an_older_photo_found_later_has_a_negative_day_and_moves_no_other(clinic: Clinic) -> None:
    draw(clinic.root / "a.png", 1)
    draw(clinic.root / "b.png", 2)
    rows = [{"isic_id": "a", "acquisition_date": "2024-03-01"}, {"isic_id": "b", "acquisition_date": "2024-03-31"}]
    describe(clinic.root, rows)
    clinic.run()
    draw(clinic.root / "c.png", 3)
    describe(clinic.root, [*rows, {"isic_id": "c", "acquisition_date": "2023-03-01"}])
    clinic.run()
    assert [clinic.photo(f"{name}.png")["acquisition_day"] for name in "abc"] == [0, 30, -366]
    assert clinic.last["photos"] == 1
    with LinkTable.open(clinic.link) as link:
        assert link.origin_of(clinic.photo("a.png")["patient_id"]) == date(2024, 3, 1)


def test_a_future_date_is_tried_again_on_its_day(clinic: Clinic) -> None:
    draw(clinic.root / "a.png", 1)
    describe(clinic.root, [{"isic_id": "a", "acquisition_date": "2025-02-01"}])
    clinic.run(date(2025, 1, 1))
    assert clinic.status("a.png") == ("quarantine", "future_date")
    assert not clinic.scan(date(2025, 1, 31)).anything_new
    assert len(clinic.scan(date(2025, 2, 1)).pending) == 1
    clinic.run(date(2025, 2, 1))
    assert clinic.status("a.png") == ("photo", None)
    assert "2025" not in str(clinic.rows["quarantine"])


def test_a_corrected_row_makes_a_revision_of_its_photo_alone(clinic: Clinic) -> None:
    for number, name in enumerate("abc"):
        draw(clinic.root / f"{name}.png", number)
    rows = [{"isic_id": name, "acquisition_date": f"2024-0{n}-01"} for n, name in enumerate("abc", 1)]
    describe(clinic.root, rows)
    clinic.run()
    rows[1]["acquisition_date"] = "2024-02-15"
    describe(clinic.root, rows)
    found = clinic.run()
    assert found.pending == (clinic.ref("b.png"),)
    assert (clinic.photo("b.png")["revision"], clinic.photo("b.png")["acquisition_day"]) == (2, 45)
    assert clinic.last["photos"] == 1 and clinic.photo("a.png")["revision"] == 1


def test_a_photo_whose_row_lost_its_patient_counts_no_more(clinic: Clinic) -> None:
    draw(clinic.root / "a.png", 1)
    describe(clinic.root, [{"isic_id": "a"}])
    clinic.run()
    describe(clinic.root, [{"isic_id": "a", "patient_id": ""}])
    clinic.run()
    assert clinic.status("a.png") == ("quarantine", "no_patient")
    assert clinic.counts()["photos"] == 0 and len(clinic.current("photos")) == 1


def test_an_unchanged_archive_gives_nothing_to_do(clinic: Clinic) -> None:
    draw(clinic.root / "a.png", 1)
    (clinic.root / "b.jpg").write_text("no image")
    describe(clinic.root, [{"isic_id": "a"}])
    first = clinic.run()
    assert (first.seen, first.unchanged, first.ignored, len(first.pending)) == (3, 0, 1, 2)
    again = clinic.scan()
    assert (again.seen, again.unchanged, again.ignored, again.pending, again.anything_new) == (3, 3, 1, (), False)
    clinic.run()
    assert set(clinic.last.values()) == {0}


def test_a_row_of_dicom_files_in_a_table_corrects_the_header(clinic: Clinic) -> None:
    draw_dicom(clinic.root / "a.dcm", 1, PatientID="P9", AcquisitionDateTime="20240101")
    draw_dicom(clinic.root / "b.dcm", 2, PatientID="P9", AcquisitionDateTime="20240101")
    describe(clinic.root, [{"isic_id": "b.dcm", "patient_id": "", "lesion_id": "", "acquisition_date": "2024-01-11"}])
    clinic.run()
    assert clinic.photo("a.dcm")["patient_id"] == clinic.photo("b.dcm")["patient_id"]
    assert (clinic.photo("a.dcm")["acquisition_day"], clinic.photo("b.dcm")["acquisition_day"]) == (0, 10)


def test_day_numbers_stand_where_a_source_has_no_dates(clinic: Clinic) -> None:
    draw(clinic.root / "a.png", 1)
    draw(clinic.root / "b.png", 2)
    rows = [{"isic_id": "a", "acquisition_date": "", "acquisition_day": "40"}]
    describe(clinic.root, [*rows, {"isic_id": "b", "acquisition_date": "", "acquisition_day": "3", "patient_id": "P2"}])
    clinic.run()
    assert (clinic.photo("a.png")["acquisition_day"], clinic.photo("b.png")["acquisition_day"]) == (40, 3)
    draw(clinic.root / "c.png", 3)
    describe(clinic.root, [*rows, {"isic_id": "b", "acquisition_date": "2024-01-01", "patient_id": "P1"}])
    clinic.run()
    assert clinic.status("b.png") == ("photo", None)


def test_a_device_older_than_the_dermoscopy_class_is_told_by_its_description(clinic: Clinic) -> None:
    described = {"a": "Dermoscopy polarised", "b": "Total body overview", "c": "Close-up", "d": ""}
    for number, (name, text) in enumerate(described.items()):
        draw_dicom(clinic.root / f"{name}.dcm", number, sop_class=VL_PHOTOGRAPHIC, SeriesDescription=text)
    draw_dicom(clinic.root / "e.dcm", 9, sop_class=DERMOSCOPIC, SeriesDescription="Close-up")
    clinic.run()
    found = [clinic.photo(f"{name}.dcm")["modality"] for name in "abcde"]
    assert found == ["dermoscopic", "total_body", "clinical", "clinical", "dermoscopic"]


def test_nothing_is_assigned_before_everything_is_read(clinic: Clinic) -> None:
    for name in ("a", "b"):
        draw(clinic.root / f"{name}.png", 1)
    describe(clinic.root, [{"isic_id": "a"}, {"isic_id": "b"}])
    source = SourceSpec.open(clinic.root)
    tables = {name: clinic.table(name) for name in clinic.rows}
    with LinkTable.open(clinic.link, create=True) as link:
        pending = scan(source, link, clinic.table("files"), date(2025, 1, 1)).pending
        read_into_spool(clinic.link, pending[:1], source)
        assert unread(link, source) == [pending[1]]
        with pytest.raises(StageError):
            assign(link, source, tables, date(2025, 1, 1))
        give_up(link, source, pending[1:])
        rows = assign(link, source, tables, date(2025, 1, 1))
    assert rows["quarantine"].column("reason").to_pylist() == ["unreadable"]
    assert sorted(rows["files"].column("status").to_pylist()) == ["ignored", "photo", "quarantine"]


def test_a_record_is_read_once(clinic: Clinic) -> None:
    draw(clinic.root / "a.png", 1)
    describe(clinic.root, [{"isic_id": "a"}])
    source = SourceSpec.open(clinic.root)
    with LinkTable.open(clinic.link, create=True) as link:
        pending = scan(source, link, clinic.table("files"), date(2025, 1, 1)).pending
        assert read_into_spool(clinic.link, pending, source) == {"photo": 1, "quarantine": 0, "ignored": 0}
        assert read_into_spool(clinic.link, pending, source) == {"photo": 0, "quarantine": 0, "ignored": 0}
        again = scan(source, link, clinic.table("files"), date(2025, 1, 1))
    assert again.pending == () and again.anything_new


def test_a_file_that_disappears_before_it_is_read_has_a_reason(clinic: Clinic) -> None:
    draw(clinic.root / "a.png", 1)
    describe(clinic.root, [{"isic_id": "a"}])
    source = SourceSpec.open(clinic.root)
    with LinkTable.open(clinic.link, create=True) as link:
        pending = scan(source, link, clinic.table("files"), date(2025, 1, 1)).pending
    (clinic.root / "a.png").unlink()
    assert read_into_spool(clinic.link, pending, source)["quarantine"] == 1
