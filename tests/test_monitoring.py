"""The verbs of the commands: find what a reference or number stands for, write reports, leak nothing."""

from __future__ import annotations

import csv
import json
import shutil

import pyarrow.parquet as pq
import pytest

from longderm.demo import simulated_as_of
from longderm.errors import RefusedError, SourceNotFoundError
from longderm.monitoring import find_file, find_patients, write_report
from longderm.schema import TABLES
from longderm.settings import Settings
from longderm.store import Store


@pytest.fixture(scope="module")
def numbers(small_archive) -> set[str]:
    """The clinic's own patient numbers of the archive."""
    return set(pq.read_table(small_archive / "truth" / "photos.parquet")["patient_id"].to_pylist())


def test_a_files_reference_leads_back_to_the_file_and_nothing_else_does(monitored, small_archive):
    for ref in Store(monitored).current("files")["file_ref"].to_pylist():
        assert small_archive in find_file(monitored, Settings(), ref).parents
    with pytest.raises(SourceNotFoundError, match="no file has the reference"):
        find_file(monitored, Settings(), "0" * 32)


def test_a_clinics_number_leads_to_the_patients_page(monitored, numbers):
    pseudonyms = set(Store(monitored).current("patients")["patient_id"].to_pylist())
    found = {row["patient_id"] for number in numbers for row in find_patients(monitored, Settings(), number, None)}
    assert found == pseudonyms
    with pytest.raises(SourceNotFoundError, match="no patient with this number"):
        find_patients(monitored, Settings(), "not a number", None)


def test_the_link_table_of_another_store_is_refused(store_copy, tmp_path):
    from longderm.archive import LinkTable

    shutil.rmtree(tmp_path / "store.link")
    LinkTable.open(tmp_path / "store.link", create=True).close()
    with pytest.raises(RefusedError, match="made with key"):
        write_report(store_copy, Settings(), tmp_path / "report")


def test_the_report_has_a_page_per_patient_and_is_byte_equal_when_written_again(monitored, small_archive, tmp_path):
    settings = Settings(as_of=simulated_as_of(small_archive))
    first = write_report(monitored, settings, tmp_path / "first")
    again = write_report(monitored, settings, tmp_path / "again")
    assert {path.stem for path in first.patients} == set(Store(monitored).current("patients")["patient_id"].to_pylist())
    for one, other in zip((first.worklist, *first.patients), (again.worklist, *again.patients), strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_without_the_link_table_a_report_says_what_it_cannot_judge(store_copy, small_archive, tmp_path):
    shutil.rmtree(tmp_path / "store.link")
    worklist = write_report(store_copy, Settings(as_of=simulated_as_of(small_archive)), tmp_path / "report").worklist
    assert "link table" in worklist.read_text()


def test_no_identity_reaches_store_or_report(monitored, small_archive, numbers):
    """Neither numbers nor names nor lesion names nor paths nor dates of visits of the archive."""
    truth = pq.read_table(small_archive / "truth" / "photos.parquet").to_pylist()
    dates = {row["date"] for row in truth} - {simulated_as_of(small_archive)}
    secrets = set(numbers) | {row["path"] for row in truth} | {str(small_archive)}
    secrets |= {text for day in dates for text in (day.isoformat(), day.strftime("%Y%m%d"))}
    with (small_archive / "photos" / "metadata.csv").open() as table:
        secrets |= {row["isic_id"] for row in csv.DictReader(table)}
    secrets |= {row["tracking_uid"] for row in pq.read_table(small_archive / "truth" / "lesions.parquet").to_pylist()}
    store = Store(monitored)
    # Timestamps of the run itself are no dates of visits, and a run's as_of is today.
    text = json.dumps(
        {
            name: store.table(name).drop_columns([c for c in ("recorded_at",) if c in TABLES[name].columns]).to_pylist()
            for name in TABLES
            if name != "runs"
        },
        default=str,
    )
    pages = " ".join(path.read_text() for path in (monitored / "report").rglob("*.html"))
    assert pages
    for secret in secrets - {None}:
        assert secret not in text
        assert secret not in pages
