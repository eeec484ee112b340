"""Whose photo of which lesion: one lesion from two sources, two patients for one lesion."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from intake_runner import Clinic, describe, draw, draw_dicom

from longderm.archive import LinkTable


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path / "archive")


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
