"""A research export is complete, documented, keyed anew and equal every time."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from longderm.cohort import export_cohort
from longderm.errors import UsageError
from longderm.settings import Settings
from longderm.stages import current_tables
from longderm.store import Store


@pytest.fixture(scope="module")
def exported(monitored, tmp_path_factory):
    out = tmp_path_factory.mktemp("export") / "cohort"
    export_cohort(monitored, Settings(), out, "study-1")
    return out


def test_every_current_row_is_exported(exported, monitored):
    current = current_tables(Store(monitored), Settings())
    for path in exported.glob("*.parquet"):
        assert pq.read_metadata(path).num_rows == len(current[path.stem])
    assert len(pq.read_table(exported / "photos.parquet")) > 0


def test_the_dictionary_describes_every_column_and_counts_what_is_missing(exported):
    dictionary = json.loads((exported / "data_dictionary.json").read_text())
    for path in exported.glob("*.parquet"):
        table = pq.read_table(path)
        described = {column["name"]: column for column in dictionary[path.stem]["columns"]}
        assert list(described) == table.column_names
        for name, column in described.items():
            assert len(column["description"]) > 3
            assert column["missing"] == table[name].null_count


def test_the_manifest_names_the_versions_that_the_store_holds(exported, monitored):
    manifest = json.loads((exported / "manifest.json").read_text())
    versions = Store(monitored).versions()
    assert manifest["delta_versions"]["changes"] == versions["changes"] > 0


def test_no_identifier_of_the_store_is_exported_and_tables_still_join(exported, monitored):
    inside = set(Store(monitored).current("photos")["photo_id"].to_pylist())
    for path in exported.glob("*"):
        data = path.read_bytes()
        assert not any(photo_id.encode() in data for photo_id in inside)
    photos = pq.read_table(exported / "photos.parquet")
    alignments = pq.read_table(exported / "alignments.parquet")
    assert set(alignments["baseline_photo_id"].to_pylist()) <= set(photos["photo_id"].to_pylist())
    assert set(photos["lesion_id"].to_pylist()) - {None} <= set(
        pq.read_table(exported / "lesions.parquet")["lesion_id"].to_pylist()
    )


def test_two_exports_for_one_project_are_byte_equal_and_two_projects_share_no_id(exported, monitored, tmp_path):
    export_cohort(monitored, Settings(), tmp_path / "again", "study-1")
    for path in sorted(exported.iterdir()):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    export_cohort(monitored, Settings(), tmp_path / "other", "study-2")
    first, other = (
        set(pq.read_table(f / "photos.parquet")["photo_id"].to_pylist()) for f in (exported, tmp_path / "other")
    )
    assert len(first) == len(other) and not first & other


def test_a_folder_that_holds_something_is_left_alone(monitored, exported):
    with pytest.raises(UsageError, match="not empty"):
        export_cohort(monitored, Settings(), exported)
