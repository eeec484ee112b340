"""The same photo twice: as a file, as an instance, as pixels."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from intake_runner import Clinic, describe, draw, draw_dicom


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path / "archive")


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
