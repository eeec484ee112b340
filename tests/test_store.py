"""The store keeps history, shows what is current, and has one committer."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from longderm.errors import (
    AccessError,
    RefusedError,
    SourceNotFoundError,
    StoreLockedError,
    StoreVersionError,
    UsageError,
)
from longderm.schema import SCHEMA_VERSION, TABLES
from longderm.store import Store, current_rows


def patients(*rows: tuple[str, int, str | None]) -> pa.Table:
    schema = TABLES["patients"].schema
    schema = schema.remove(schema.get_field_index("recorded_at"))
    return pa.Table.from_pylist([{"patient_id": p, "revision": r, "sex": s} for p, r, s in rows], schema=schema)


def quality(*rows: tuple[str, str, float]) -> pa.Table:
    schema = TABLES["quality"].schema
    schema = schema.remove(schema.get_field_index("recorded_at"))
    return pa.Table.from_pylist([{"photo_id": p, "fingerprint": f, "score": s} for p, f, s in rows], schema=schema)


def rows_of(name: str, **row: object) -> pa.Table:
    schema = TABLES[name].schema
    return pa.Table.from_pylist([row], schema=schema.remove(schema.get_field_index("recorded_at")))


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / "store", "key-1")


def test_a_new_store_has_every_table_empty_in_its_schema(store):
    for name, spec in TABLES.items():
        table = store.table(name)
        assert len(table) == 0
        assert table.schema.equals(spec.schema, check_metadata=False)


def test_appended_rows_come_back_as_they_were_with_their_commit_time(store):
    store.append("quality", quality(("a", "f1", 0.5), ("b", "f1", 0.25)), "run")
    rows = store.table("quality").to_pylist()
    assert [(row["photo_id"], row["score"]) for row in rows] == [("a", 0.5), ("b", 0.25)]
    assert all(row["recorded_at"] is not None and row["edge_blur"] is None for row in rows)


def test_appending_nothing_commits_nothing(store):
    before = store.version("quality")
    assert store.append("quality", quality(), "run") == 0
    assert store.version("quality") == before


def test_older_versions_stay_readable(store):
    store.append("quality", quality(("a", "f1", 0.5)), "run")
    old = store.version("quality")
    store.append("quality", quality(("a", "f2", 0.75)), "run")
    assert store.table("quality", version=old)["fingerprint"].to_pylist() == ["f1"]
    assert sorted(store.table("quality")["fingerprint"].to_pylist()) == ["f1", "f2"]


def test_the_current_result_is_the_one_that_is_asked_for_so_a_rollback_computes_nothing(store):
    store.append("quality", quality(("a", "f1", 0.5), ("b", "f1", 0.5)), "run")
    store.append("quality", quality(("a", "f2", 0.75)), "run")
    assert store.current("quality", {"a": "f2", "b": "f2"})["score"].to_pylist() == [0.75]
    assert store.current("quality", {"a": "f1", "b": "f1"})["score"].to_pylist() == [0.5, 0.5]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), unique=True))
@settings(max_examples=50, deadline=None)
def test_the_current_entity_is_its_highest_revision_in_whatever_order_rows_lie(keys):
    rows = patients(*((p, r, str(r)) for p, r in keys)).append_column(
        "recorded_at", pa.nulls(len(keys), pa.timestamp("us", tz="UTC"))
    )
    current = {row["patient_id"]: row["revision"] for row in current_rows("patients", rows).to_pylist()}
    expected: dict[str, int] = {}
    for patient, revision in keys:
        expected[patient] = max(revision, expected.get(patient, 0))
    assert current == expected


def test_the_same_image_is_kept_once_and_named_by_its_content(store):
    first, second = store.put_object(b"pixels", ".png"), store.put_object(b"pixels", ".png")
    assert first == second
    assert store.put_object(b"others", ".png") != first
    assert store.read_object(first) == b"pixels"
    assert len([path for path in (store.root / "objects").rglob("*") if path.is_file()]) == 2


def test_a_missing_object_is_named(store):
    with pytest.raises(SourceNotFoundError, match=r"abc\.png is missing"):
        store.read_object("abc.png")


def test_a_store_of_a_newer_schema_is_refused_by_its_marker_and_by_its_tables(store, tmp_path):
    from deltalake import DeltaTable

    path = store.root / "tables" / "quality"
    DeltaTable(str(path)).alter.set_table_properties(
        {"longderm.schema_version": str(SCHEMA_VERSION + 1)}, raise_if_not_exists=False
    )
    with pytest.raises(StoreVersionError, match=f"schema version {SCHEMA_VERSION + 1}.*knows {SCHEMA_VERSION}"):
        store.table("quality")
    marker = store.root / "longderm.json"
    marker.write_text(json.dumps({"schema_version": SCHEMA_VERSION + 1, "key_id": "key-1"}))
    with pytest.raises(StoreVersionError, match="newer"):
        Store(store.root)


def test_another_key_is_refused(store):
    with pytest.raises(RefusedError, match="key-2"):
        Store.create(store.root, "key-2")


def test_opening_what_is_no_store_says_how_to_make_one(tmp_path):
    with pytest.raises(SourceNotFoundError, match="longderm ingest"):
        Store(tmp_path / "nothing")


def test_a_folder_with_something_else_is_not_taken_over(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        Store.create(tmp_path, "key-1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thesis.txt"]


def test_a_damaged_marker_and_a_missing_table_are_named(store):
    import shutil

    shutil.rmtree(store.root / "tables" / "quality")
    with pytest.raises(AccessError, match="table quality is missing"):
        store.table("quality")
    (store.root / "longderm.json").write_text("{half")
    with pytest.raises(AccessError, match="damaged"):
        Store(store.root)


def test_a_store_whose_making_was_killed_is_finished_by_the_next_run(store):
    (store.root / "longderm.json").unlink()
    again = Store.create(store.root, "key-1")
    assert again.versions() == dict.fromkeys(TABLES, 0)


def test_a_bucket_is_refused_in_words():
    with pytest.raises(UsageError, match="local folder"):
        Store("s3://bucket/store")


HOLDER = """
import sys, time
from longderm.store import Store
with Store(sys.argv[1]).lock("monitor"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_committer_is_refused_and_told_who_holds_the_store_until_that_one_is_killed(store):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(store.root)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreLockedError, match=f"longderm monitor, process {holder.pid}"), store.lock("ingest"):
            pass
    finally:
        holder.kill()
        holder.wait()
    with store.lock("ingest"):
        pass


@pytest.fixture
def older_store(store):
    """A store as the first release made it: no tables of scales and structures, few columns of quality."""
    import shutil

    from deltalake import DeltaTable

    kept = [field for field in TABLES["quality"].schema if not field.name.startswith(("ink", "ruler", "sticker"))]
    rows = quality(("a", "f1", 0.5)).append_column(
        "recorded_at", pa.nulls(1, pa.timestamp("us", tz="UTC")).fill_null(datetime(2024, 1, 1, tzinfo=UTC))
    )
    for name in ("scales", "structures", "quality"):
        shutil.rmtree(store.root / "tables" / name)
    path = str(store.root / "tables" / "quality")
    DeltaTable.create(
        path, pa.schema(kept), configuration={"longderm.schema_version": "1"}, raise_if_key_not_exists=False
    )
    write_deltalake(path, rows.select([field.name for field in kept]).cast(pa.schema(kept)), mode="append")
    (store.root / "longderm.json").write_text(json.dumps({"schema_version": 1, "key_id": "key-1"}))
    return Store(store.root)


def test_a_store_of_an_older_release_is_read_with_nulls_where_that_release_had_no_column(older_store):
    (row,) = older_store.table("quality").to_pylist()
    assert row["score"] == 0.5 and row["ink_fraction"] is None
    assert older_store.table("quality").schema.equals(TABLES["quality"].schema, check_metadata=False)
    assert len(older_store.table("scales")) == 0 and older_store.versions()["scales"] == 0


def test_writing_to_a_store_of_an_older_release_brings_it_up_and_keeps_its_rows(older_store):
    older_store.append("structures", rows_of("structures", photo_id="a", fingerprint="f1", globules=0.25), "run")
    older_store.append("quality", rows_of("quality", photo_id="b", fingerprint="f1", ink_fraction=0.125), "run")
    again = Store(older_store.root)
    assert [row["globules"] for row in again.table("structures").to_pylist()] == [0.25]
    found = {row["photo_id"]: (row["score"], row["ink_fraction"]) for row in again.table("quality").to_pylist()}
    assert found == {"a": (0.5, None), "b": (None, 0.125)}
    assert json.loads((again.root / "longderm.json").read_text())["schema_version"] == SCHEMA_VERSION
