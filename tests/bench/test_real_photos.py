"""Real photos by a mapping file, as README shows: no crash, every file accounted for, repeats compared, not dated."""

from __future__ import annotations

import csv
import re
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from longderm.monitoring import bring_up_to_date
from longderm.settings import Settings
from longderm.stages import Source, current_tables
from longderm.store import Store

pytestmark = pytest.mark.slow

#: The mapping that README gives for HAM10000, and what this copy of it has besides: masks that are no photos.
README = Path(__file__).parents[2] / "README.md"
MASKS = '\n[files]\nignore = ["masks/*"]\n'


@pytest.fixture(scope="module")
def mapping(tmp_path_factory) -> Path:
    found = re.search(r"```toml\n# ham10000\.toml\n(.*?)```", README.read_text(), re.DOTALL)
    assert found, "README shows the mapping of HAM10000"
    path = tmp_path_factory.mktemp("mapping") / "ham10000.toml"
    path.write_text(found.group(1) + MASKS)
    return path


@pytest.fixture(scope="module")
def repeats(shared_data, mapping, prefect_server, tmp_path_factory) -> Path:
    store = tmp_path_factory.mktemp("repeats") / "store"
    source = Source(str(shared_data / "same_lesion_repeats"), mapping=str(mapping))
    bring_up_to_date(store, source, Settings(as_of=date(2026, 1, 1)))
    return store


def test_every_repeat_becomes_a_photo_and_every_file_is_accounted_for(repeats, shared_data):
    tables = current_tables(Store(repeats), Settings())
    files = sum(path.is_file() for path in (shared_data / "same_lesion_repeats").rglob("*"))
    statuses = Counter(tables["files"]["status"].to_pylist())
    assert sum(statuses.values()) == files
    assert statuses == {"photo": 1035, "ignored": files - 1035}
    assert len(tables["photos"]) == 1035


def test_every_lesion_has_attempted_pairs_with_verdicts_and_no_trajectory(repeats):
    tables = current_tables(Store(repeats), Settings())
    pairs = tables["alignments"].to_pylist()
    assert len({row["lesion_id"] for row in pairs}) == 450
    assert len(pairs) == 1035 - 450, "each photo of a lesion is compared with its first"
    assert {row["policy"] for row in pairs} == {"repeat"}
    assert len(tables["decisions"]) == len(pairs)
    assert set(tables["decisions"]["verdict"].to_pylist()) <= {"issued_with_caveat", "abstained", "out_of_scope"}
    assert len(tables["trajectories"]) == 0
    for stage in ("quality", "masks", "measures", "alignments", "changes", "decisions"):
        assert set(tables[stage]["failure"].to_pylist()) == {None}


def test_most_repeats_are_found_and_aligned(repeats):
    """Thumbnails of real lesions in other zoom and light; what is asked here is below what is measured."""
    tables = current_tables(Store(repeats), Settings())
    for table, column in (("masks", "found"), ("alignments", "accepted")):
        values = tables[table][column].to_pylist()
        assert sum(values) > 0.8 * len(values)


def test_full_size_photos_are_taken_in_by_a_table_beside_them(shared_data, prefect_server, tmp_path):
    folder = shared_data / "isic_fullsize"
    images = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".png"))
    with (tmp_path / "table.csv").open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["isic_id", "patient_id", "lesion_id", "acquisition_date", "image_type"])
        writer.writerows([name, f"p{i % 2}", "L1", f"2020-0{i + 1}-01", "dermoscopic"] for i, name in enumerate(images))
    source = Source(str(folder), metadata=str(tmp_path / "table.csv"))
    summary = bring_up_to_date(tmp_path / "store", source, Settings(as_of=date(2026, 1, 1)))
    statuses = {name: count for name, count in summary["files"].items() if name != "seen"}
    assert summary["files"]["seen"] == sum(statuses.values()) == sum(path.is_file() for path in folder.rglob("*"))
    assert statuses["photo"] >= 5
    assert sum(summary["verdicts"].values()) > 0 and not summary["failed_rows"] and not summary["pending"]
