"""The monitoring flow: only what is new, equal whatever happens on the way, nothing lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from longderm.bench.crash import kill_and_resume
from longderm.bench.stores import comparable, differences, monitor_command, shared_key
from longderm.demo import simulated_as_of
from longderm.monitoring import bring_up_to_date
from longderm.schema import TABLES
from longderm.settings import Settings
from longderm.stages import STAGES, Source, current_tables, find_work
from longderm.store import Store


def monitor(archive, store, **settings):
    return bring_up_to_date(
        store, Source(str(archive)), Settings(as_of=simulated_as_of(archive), workers=2, **settings)
    )


def test_every_file_is_accounted_for_and_every_pair_has_a_verdict(monitored):
    store = Store(monitored)
    tables = current_tables(store, Settings())
    statuses = tables["files"]["status"].to_pylist()
    assert set(statuses) <= {"photo", "duplicate", "quarantine", "ignored"}
    assert statuses.count("photo") == len(tables["photos"]) > 0
    assert statuses.count("quarantine") == len(tables["quarantine"])
    assert len(tables["decisions"]) == len(tables["alignments"]) == len(tables["changes"]) > 0
    assert all(row["reasons"] for row in tables["decisions"].to_pylist() if row["verdict"] != "issued")
    assert find_work(store, Settings()).nothing


def test_every_result_stands_for_a_row_it_was_made_from(monitored):
    tables = current_tables(Store(monitored), Settings())
    photos = set(tables["photos"]["photo_id"].to_pylist())
    for row in tables["alignments"].to_pylist():
        assert {row["baseline_photo_id"], row["followup_photo_id"]} <= photos
        assert row["accepted"] == (row["reason"] is None)
    for row in tables["changes"].to_pylist():
        assert (row["score"] is None) or 0 <= row["score"] <= 1


NOTHING_NEW = """
import json, sys
from longderm.cli import main
try:
    main(["monitor", "--json", "--store", sys.argv[1], "--source", sys.argv[2], "--as-of", sys.argv[3]])
finally:
    print(json.dumps("prefect" in sys.modules))
"""


def test_an_unchanged_store_says_that_nothing_is_new_before_prefect_starts(store_copy, small_archive):
    before = Store(store_copy).versions()
    as_of = simulated_as_of(small_archive).isoformat()
    done = subprocess.run(
        [sys.executable, "-c", NOTHING_NEW, str(store_copy), str(small_archive), as_of], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    summary, prefect_was_loaded = map(json.loads, done.stdout.splitlines())
    assert summary["nothing_new"] is True
    assert prefect_was_loaded is False
    after = Store(store_copy).versions()
    assert {name for name in after if after[name] != before[name]} == {"runs"}


def test_one_more_visit_adds_rows_of_its_lesion_only(small_archive, tmp_path, prefect_server):
    archive = tmp_path / "clinic"
    shutil.copytree(small_archive, archive)
    photo = _last_visit_of_a_followed_lesion(archive)
    photo.rename(tmp_path / photo.name)
    monitor(archive, tmp_path / "store")
    store = Store(tmp_path / "store")
    before = store.versions()
    (tmp_path / photo.name).rename(photo)
    monitor(archive, tmp_path / "store")

    current = store.current("photos").to_pylist()
    new = _added(store, "photos", before)
    assert len(new) == 1
    lesion_id = new[0]["lesion_id"]
    of_lesion = {row["photo_id"] for row in current if row["lesion_id"] == lesion_id}
    for name in STAGES:
        for row in _added(store, name, before):
            assert row.get("lesion_id", lesion_id) == lesion_id
            assert row.get("photo_id") is None or row["photo_id"] in of_lesion
    assert _added(store, "alignments", before) and _added(store, "trajectories", before)
    assert not _added(store, "lesions", before) and not _added(store, "patients", before)


def test_another_mask_model_makes_what_hangs_on_masks_pending_and_keeps_the_old_rows(
    store_copy, small_archive, tmp_path
):
    from importlib import resources

    from longderm.models.releases import write_hashes

    registry = tmp_path / "registry"
    shutil.copytree(str(resources.files("longderm.registry")), registry)
    newer = registry / "segmentation" / "0.1.1"
    shutil.copytree(registry / "segmentation" / "0.1.0", newer)
    (newer / "card.md").write_text("another mask model\n")
    write_hashes(newer)
    settings = Settings(registry_dir=registry, segmentation_version="0.1.1")
    store = Store(store_copy)
    old = find_work(store, Settings())
    work = find_work(store, settings)
    assert not work.pending["previews"] and not work.pending["scales"]
    for stage in ("masks", "quality", "structures", "measures"):
        assert set(work.pending[stage]) == set(old.expected[stage]) != set()
    assert not work.pairs, "which photo of a visit is compared is planned when its quality is known anew"

    hanging = ("masks", "quality", "measures", "alignments", "changes", "decisions", "trajectories")
    before = {name: store.table(name).to_pylist() for name in hanging}
    as_of = simulated_as_of(small_archive)
    summary = bring_up_to_date(store_copy, None, settings.model_copy(update={"as_of": as_of, "workers": 2}))
    assert not summary["pending"] and find_work(store, settings).nothing
    for name, rows in before.items():
        after = store.table(name).to_pylist()
        assert len(after) == 2 * len(rows)
        assert all(row in after for row in rows)
    assert find_work(store, Settings()).nothing, "going back to the old model computes nothing"


def test_prefect_keeps_a_table_of_verdicts(monitored, prefect_server):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    kept = ArtifactFilter(key=ArtifactFilterKey(any_=["longderm-verdicts"]))
    with get_client(sync_client=True) as client:
        artifacts = client.read_artifacts(artifact_filter=kept)
    counts = current_tables(Store(monitored), Settings())["decisions"]["verdict"].value_counts().to_pylist()
    expected = [{"verdict": row["values"], "pairs": row["counts"]} for row in counts]
    tables = [sorted(json.loads(artifact.data), key=str) for artifact in artifacts if artifact.type == "table"]
    assert sorted(expected, key=str) in tables


def test_a_corrected_date_reaches_what_hangs_on_it_and_no_mask(store_copy):
    store = Store(store_copy)
    work = find_work(store, Settings())
    pair = next(p for p in work.pairs.values() if p.policy != "repeat" and p.modality == "dermoscopic")
    row = dict(pair.followup) | {
        "acquisition_day": pair.followup["acquisition_day"] + 1,
        "revision": pair.followup["revision"] + 1,
    }
    import pyarrow as pa

    store.append("photos", pa.Table.from_pylist([row], schema=TABLES["photos"].schema), "test")
    corrected = find_work(store, Settings())
    pending = corrected.pending
    assert not any(pending[stage] for stage in ("previews", "quality", "masks", "measures"))
    # A photo that leaves a visit with several photos makes pairs that were not there before.
    touched = {corrected.pairs[p].lesion_id for p in pending["alignments"]}
    assert touched == {pair.lesion_id} == set(pending["trajectories"])


def test_two_runs_into_two_stores_are_equal(monitored, small_archive, tmp_path, prefect_home):
    """The first ran against a server with two workers; the second embeds Prefect and has one worker."""
    store = tmp_path / "store"
    shared_key(monitored, store)
    import os

    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"} | {
        "LONGDERM_WORKERS": "1"
    }
    done = subprocess.run(monitor_command(small_archive, store), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert differences(monitored, store) == []


@pytest.mark.slow
@pytest.mark.parametrize("moment_s", [5.0, 11.0])
def test_a_killed_run_goes_on_to_the_same_tables(moment_s, monitored, small_archive, tmp_path):
    kill_and_resume(small_archive, tmp_path / "store", monitored, moment_s)
    assert differences(monitored, tmp_path / "store") == []


def test_a_difference_between_stores_is_seen(monitored, store_copy):
    """The comparison that the tests above trust does see one changed value."""
    import pyarrow as pa

    store = Store(store_copy)
    row = store.current("patients").to_pylist()[0]
    row |= {"sex": "female" if row["sex"] != "female" else "male", "revision": row["revision"] + 1}
    store.append("patients", pa.Table.from_pylist([row], schema=TABLES["patients"].schema), "test")
    assert differences(monitored, store_copy) == ["patients.revision differs", "patients.sex differs"]


def _last_visit_of_a_followed_lesion(archive):
    """The newest dermoscopic photo of a lesion with three visits or more."""
    import pyarrow.parquet as pq

    rows = pq.read_table(archive / "truth" / "photos.parquet").to_pylist()
    lesions = {}
    for row in rows:
        if row["lesion_id"] is not None and row["modality"] == "dermoscopic":
            lesions.setdefault((row["patient_id"], row["lesion_id"]), {}).setdefault(row["date"], []).append(row)
    for _, days in sorted(lesions.items()):
        last = max(days)
        if len(days) >= 3 and len(days[last]) == 1:
            return archive / days[last][0]["path"]
    raise AssertionError("the archive has no lesion with three visits")


def _added(store, name, before):
    keys = TABLES[name].identity
    old = {tuple(row[k] for k in keys) for row in store.table(name, version=before[name]).to_pylist()}
    return [row for row in comparable(name, store.table(name)).to_pylist() if tuple(row[k] for k in keys) not in old]
