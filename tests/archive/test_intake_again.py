"""An intake ends in the same state however often it is killed, and lets no identity out."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from intake_runner import AS_OF, Clinic, KilledError, describe, draw, draw_dicom, write_events

from longderm.archive import INTAKE_TABLES, KEY_NAME, LinkTable, SourceSpec, read_into_spool
from longderm.schema import QUARANTINE_REASONS
from longderm.store import Store

#: What names patients, lesions, files and places in the archive below.
IDENTITY = (
    *("Quill", "Ottoline", "MRN-77", "MRN-78", "NORTHCLINIC", "mole-left", "mole-right", "1.2.3.4.5.1", "1.2.826.7"),
    *("archive", "wing_b", "2024-03-02", "20240302", "2023-11", "2099", "scar-7"),
)


def fill(root: Path) -> None:
    """An archive with a file of every fate."""
    for number, day in enumerate(("20240302", "20240601", "20231105")):
        draw_dicom(root / f"wing_b/{number}.dcm", number, PatientID="MRN-77", IssuerOfPatientID="NORTHCLINIC",
                   TrackingID="mole-left", TrackingUID="1.2.3.4.5.1", AcquisitionDateTime=day)  # fmt: skip
    draw_dicom(root / "wing_b/other.dcm", 8, PatientID="MRN-78", TrackingUID="1.2.3.4.5.2")
    draw_dicom(root / "wing_b/clash.dcm", 9, PatientID="MRN-79", TrackingUID="1.2.3.4.5.2")
    draw_dicom(root / "wing_b/burned.dcm", 10, BurnedInAnnotation="YES")
    photos = root / "photos"
    for number, name in enumerate(("Quill_a", "Quill_b", "future", "undated", "body")):
        draw(photos / f"{name}.png", 20 + number)
    draw(photos / "Quill_a.bmp", 20, "BMP")
    shutil.copy(photos / "Quill_b.png", photos / "copy.png")
    (photos / "cut.png").write_bytes((photos / "Quill_a.png").read_bytes()[:200])
    (photos / "Ottoline.txt").write_text("call back")
    base = {
        "patient_id": "MRN-77",
        "issuer": "NORTHCLINIC",
        "lesion_id": "mole-right",
        "acquisition_date": "2024-03-02",
    }
    rows: list[dict[str, Any]] = [
        {"isic_id": "Quill_a.png"},
        {"isic_id": "Quill_a.bmp", "acquisition_date": "2024-05-05"},
        {"isic_id": "Quill_b", "anatom_site_general": "Ottoline Quill's scar-7"},
        {"isic_id": "copy"},
        {"isic_id": "cut"},
        {"isic_id": "future", "acquisition_date": "2099-01-01"},
        {"isic_id": "undated", "acquisition_date": "Quill's first visit"},
        {"isic_id": "body", "lesion_id": "", "image_type": "clinical: overview"},
    ]
    describe(photos, [{**base, **row} for row in rows])
    write_events(
        root,
        [
            "MRN-77,mole-left,2024-07-01,excision,melanoma in situ",
            "MRN-77,mole-right,2024-07-02,biopsy,nevus seen by Quill",
            "MRN-77,,2024-08-01,pregnancy,",
            "MRN-99,mole-left,2024-07-01,excision,",
        ],
    )


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    made = Clinic(tmp_path / "archive")
    fill(made.root)
    return made


def state(clinic: Clinic) -> dict[str, list[dict[str, Any]]]:
    return {name: clinic.current(name) for name in INTAKE_TABLES}


def twin(clinic: Clinic, name: str) -> Clinic:
    """The same archive, not taken in yet, with the same key."""
    link = clinic.root.with_name(name)
    link.mkdir(mode=0o700)
    shutil.copy(clinic.link / KEY_NAME, link / KEY_NAME)
    return Clinic(clinic.root, link)


def test_the_archive_has_a_file_of_every_fate(clinic: Clinic) -> None:
    clinic.run()
    assert clinic.counts() == {"files": 17, "photos": 7, "duplicates": 1, "quarantine": 6, "ignored": 3}
    assert [row["event_kind"] for row in clinic.current("events")].count("excision") == 1
    assert len(clinic.current("events")) == 3


def test_killed_before_every_step_and_run_again_it_ends_in_the_same_state(clinic: Clinic) -> None:
    clinic.run()
    expected, rows = state(clinic), {name: len(clinic.rows[name]) for name in INTAKE_TABLES}
    steps = 5 + 1 + len(INTAKE_TABLES) + 1
    for kill_at in range(steps):
        again = twin(clinic, f"link-{kill_at}")
        with pytest.raises(KilledError):
            again.run(kill_at=kill_at)
        again.run()
        assert state(again) == expected, kill_at
        assert {name: len(again.rows[name]) for name in INTAKE_TABLES} == rows, kill_at
        assert not again.scan().anything_new


def test_killed_again_and_again_it_ends_in_the_same_state(clinic: Clinic) -> None:
    clinic.run()
    again = twin(clinic, "link-worn")
    for kill_at in (0, 1, 1, 2, 2, 3, 4, 1, 2, 2, 3):
        with pytest.raises(KilledError):
            again.run(kill_at=kill_at, batch=2)
    again.run()
    assert state(again) == state(clinic)


def test_another_batch_size_ends_in_the_same_state(clinic: Clinic) -> None:
    clinic.run(batch=1)
    again = twin(clinic, "link-batch")
    again.run(batch=100)
    assert state(again) == state(clinic)


def test_a_second_archive_does_not_disturb_an_unfinished_first(clinic: Clinic, tmp_path: Path) -> None:
    clinic.run()
    again = twin(clinic, "link-two")
    with pytest.raises(KilledError):
        again.run(kill_at=2)
    second = Clinic(tmp_path / "second", again.link)
    draw(second.root / "P1/L1/2024-01-01.png", 77)
    second.rows = again.rows
    second.run()
    again.run()
    refs = {row["file_ref"] for row in clinic.current("files")}
    assert [row for row in again.current("files") if row["file_ref"] in refs] == clinic.current("files")


def texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    return [text for item in value for text in texts(item)] if isinstance(value, list) else []


def test_no_identity_is_in_any_table_message_or_count(
    clinic: Clinic,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    caplog.set_level(0)
    found = clinic.run()
    seen = [*texts(state(clinic)), repr(found)]
    source = SourceSpec.open(clinic.root)
    seen.append(repr(read_into_spool(clinic.link, found.pending, source)))
    seen += [record.getMessage() for record in caplog.records] + [str(w.message) for w in recwarn.list]
    seen += list(capfd.readouterr())
    # Pseudonyms are hexadecimal digits drawn by a random key: now and then, some of them are those of a year.
    told = [re.sub(r"\b[0-9a-f]{16,}\b", "", text) for text in seen]
    assert [(word, text) for text in told for word in IDENTITY if word.lower() in text.lower()] == []
    # the search does find what is there: the link table holds numbers and paths, and no name of a patient
    linked = (clinic.link / "link.sqlite").read_bytes().decode("latin-1")
    assert all(word in linked for word in ("MRN-77", "NORTHCLINIC", "mole-left", "wing_b"))
    assert "Quill^Ottoline" not in linked


def test_every_reason_and_detail_is_of_the_closed_set_and_short(clinic: Clinic) -> None:
    clinic.run()
    for row in clinic.current("quarantine"):
        assert row["reason"] in QUARANTINE_REASONS
        assert 0 < len(row["detail"]) < 100


def test_the_link_table_tells_who_it_is(clinic: Clinic) -> None:
    clinic.run()
    patient = clinic.photo("wing_b/0.dcm")["patient_id"]
    with LinkTable.open(clinic.link) as link:
        assert link.find_mrn("MRN-77") == [patient]
        assert link.find_mrn("MRN-77", "NORTHCLINIC") == [patient] and link.find_mrn("MRN-77", "SOUTH") == []
        assert link.origin_of(patient) == date(2023, 11, 5)
        path = link.resolve(clinic.photo("wing_b/0.dcm")["file_ref"])
        assert path is not None and path.name == "0.dcm"


def test_a_store_takes_the_rows_as_they_are(clinic: Clinic, tmp_path: Path) -> None:
    from longderm.archive import assign, clear_spool, scan

    source = SourceSpec.open(clinic.root)
    with LinkTable.open(clinic.link, create=True) as link:
        store = Store.create(tmp_path / "store", link.key_id)
        for expected in (17, 0):
            current = {name: store.current(name) for name in INTAKE_TABLES}
            found = scan(source, link, current["files"], AS_OF)
            read_into_spool(clinic.link, found.pending, source)
            rows = assign(link, source, current, AS_OF)
            assert rows["files"].num_rows == expected
            for name in INTAKE_TABLES:
                store.append(name, rows[name], "run")
            clear_spool(link, source)


def test_events_are_placed_and_wait_and_are_withdrawn(clinic: Clinic) -> None:
    clinic.run()
    events = {row["event_kind"]: row for row in clinic.current("events")}
    assert events["excision"]["lesion_id"] == clinic.photo("wing_b/0.dcm")["lesion_id"]
    assert events["excision"]["event_day"] == (date(2024, 7, 1) - date(2023, 11, 5)).days
    assert events["excision"]["diagnosis"] == "melanoma in situ"
    assert events["biopsy"]["lesion_id"] == clinic.photo("photos/Quill_b.png")["lesion_id"]
    assert events["biopsy"]["diagnosis"] is None
    assert events["pregnancy"]["lesion_id"] is None
    # a patient who comes later: the event that waited is there
    draw_dicom(clinic.root / "late.dcm", 50, PatientID="MRN-99", TrackingID="mole-left", TrackingUID=None)
    clinic.run()
    assert clinic.last["events"] == 1
    # the table is corrected: the event is withdrawn and another one stands
    write_events(clinic.root, ["MRN-77,mole-left,2024-07-11,excision,melanoma in situ"])
    clinic.run()
    standing = [row for row in clinic.current("events") if row["event_kind"] is not None]
    assert [row["event_day"] for row in standing] == [events["excision"]["event_day"] + 10]
    assert not clinic.scan().anything_new
    # a table that is gone withdraws nothing
    (clinic.root / "events.csv").unlink()
    clinic.run()
    assert [row for row in clinic.current("events") if row["event_kind"] is not None] == standing


def test_an_event_of_a_lesion_without_photos_has_its_lesion(clinic: Clinic) -> None:
    write_events(clinic.root, ["MRN-77,never seen,2024-07-01,biopsy,nevus"])
    clinic.run()
    (event,) = clinic.current("events")
    assert event["lesion_id"] in {row["lesion_id"] for row in clinic.current("lesions")}


def test_an_event_of_tomorrow_waits(clinic: Clinic) -> None:
    write_events(clinic.root, ["MRN-77,mole-left,2025-01-02,excision,"])
    clinic.run(date(2025, 1, 1))
    assert clinic.current("events") == []
    clinic.run(date(2025, 1, 2))
    assert len(clinic.current("events")) == 1


def test_a_file_that_changes_between_a_kill_and_the_next_run_is_read_again(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path / "archive")
    draw(clinic.root / "P1/L1/2024-01-01.png", 1)
    with pytest.raises(KilledError):
        clinic.run(kill_at=1)
    draw(clinic.root / "P1/L1/2024-01-01.png", 2, size=(40, 30))
    clinic.run()
    assert clinic.photo("P1/L1/2024-01-01.png")["width_px"] == 40
    # and one that is gone by then leaves no row
    draw(clinic.root / "P1/L1/2024-02-01.png", 3)
    with pytest.raises(KilledError):
        clinic.run(kill_at=1)
    (clinic.root / "P1/L1/2024-02-01.png").unlink()
    clinic.run()
    assert clinic.counts()["files"] == 1


def test_two_workers_may_read_the_same_file(tmp_path: Path) -> None:
    from longderm.archive import scan

    clinic = Clinic(tmp_path / "archive")
    draw(clinic.root / "P1/L1/2024-01-01.png", 1)
    source = SourceSpec.open(clinic.root)
    with LinkTable.open(clinic.link, create=True) as link:
        pending = scan(source, link, clinic.table("files"), AS_OF).pending
        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda _: read_into_spool(clinic.link, pending, source), range(8)))
        assert sum(counts["photo"] for counts in done) >= 1
        assert len(link.query("SELECT * FROM spool")) == 1
