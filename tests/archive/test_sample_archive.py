"""The sample archive, as two device makers write one, becomes what its truth says."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from intake_runner import Clinic

from longderm.archive import LinkTable

SAMPLE = Path(__file__).parents[2] / "sample_data" / "archive"

#: The truth's site, and what the store says of it.
SPECIAL = {"face": "face", "sole": "acral", "nail": "nail"}


def truth(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(SAMPLE / "truth" / f"{name}.parquet").to_pylist()
    return rows


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    as_of = tomllib.loads((SAMPLE / "archive.toml").read_text())["as_of"]
    made = Clinic(SAMPLE, tmp_path_factory.mktemp("sample") / "link")
    made.run(as_of, batch=32)
    return made


@pytest.fixture(scope="module")
def link(clinic: Clinic) -> Iterator[LinkTable]:
    with LinkTable.open(clinic.link) as opened:
        yield opened


def test_every_file_becomes_what_the_truth_expects(clinic: Clinic) -> None:
    found = {row["path"]: clinic.status(row["path"]) for row in truth("photos")}
    assert found == {row["path"]: (row["expected_status"], row["expected_reason"]) for row in truth("photos")}
    counts = clinic.counts()
    assert counts["files"] - counts["ignored"] == len(found)


def test_photos_carry_what_was_written(clinic: Clinic, link: LinkTable) -> None:
    for row in truth("photos"):
        if row["expected_status"] != "photo":
            continue
        photo = clinic.photo(row["path"])
        assert (photo["width_px"], photo["height_px"]) == (row["width_px"], row["height_px"])
        assert photo["modality"] == row["modality"]
        if row["px_per_mm_stated"] is None:
            assert photo["px_per_mm"] is None
        else:
            assert photo["px_per_mm"] == pytest.approx(row["px_per_mm_stated"], rel=1e-4)
        origin = link.origin_of(photo["patient_id"])
        assert isinstance(origin, date) and photo["acquisition_day"] == (row["date"] - origin).days


def test_lesions_are_the_truths(clinic: Clinic) -> None:
    known = {(row["patient_id"], row["lesion_id"]): row for row in truth("lesions")}
    pseudonyms: dict[tuple[str, str], set[str]] = {}
    for row in truth("photos"):
        if row["expected_status"] == "photo" and row["lesion_id"] is not None:
            lesion = clinic.lesion(row["path"])
            pseudonyms.setdefault((row["patient_id"], row["lesion_id"]), set()).add(lesion["lesion_id"])
            assert lesion["special_site"] == SPECIAL.get(known[row["patient_id"], row["lesion_id"]]["site"])
            assert lesion["anatom_site_1"] is not None
    assert all(len(found) == 1 for found in pseudonyms.values())
    assert len(set.union(*pseudonyms.values())) == len(pseudonyms)


def test_events_belong_to_known_lesions(clinic: Clinic) -> None:
    events = clinic.current("events")
    lesions = {row["lesion_id"] for row in clinic.current("lesions")}
    written = [line for line in (SAMPLE / "events.csv").read_text().splitlines()[1:] if line]
    assert len(events) == len(written) and all(row["lesion_id"] in lesions for row in events)
    assert {row["diagnosis"] for row in events} == {line.rpartition(",")[2] or None for line in written}
