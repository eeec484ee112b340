"""Days, corrections, and what is done only once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from dicom_writer import DERMOSCOPIC, VL_PHOTOGRAPHIC
from intake_runner import Clinic, describe, draw, draw_dicom

from longderm.archive import LinkTable, SourceSpec, assign, give_up, read_into_spool, scan, unread
from longderm.errors import StageError


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path / "archive")


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
