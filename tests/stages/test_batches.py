"""One photo's failure is a row, or stays pending; it never stops the batch."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from importlib import resources

import pytest

from longderm.archive import LinkTable
from longderm.models.releases import write_hashes
from longderm.settings import Settings
from longderm.stages import Place, find_work, run_pair_batch, run_photo_batch
from longderm.stages.pair import pair_work
from longderm.stages.photo import photo_work
from longderm.store import Store


@pytest.fixture
def with_newer_masks(store_copy, tmp_path):
    """The store, and settings under which every mask is pending."""
    registry = tmp_path / "registry"
    shutil.copytree(str(resources.files("longderm.registry")), registry)
    shutil.copytree(registry / "segmentation" / "0.1.0", registry / "segmentation" / "0.1.1")
    (registry / "segmentation" / "0.1.1" / "card.md").write_text("another mask model\n")
    write_hashes(registry / "segmentation" / "0.1.1")
    return store_copy, Settings(registry_dir=registry, segmentation_version="0.1.1")


def place_of(store, settings) -> Place:
    return Place(str(store), str(store.with_name("store.link")), settings)


def test_a_file_that_is_gone_leaves_its_photo_pending_and_the_others_are_worked_on(with_newer_masks):
    store, settings = with_newer_masks
    batch = photo_work(find_work(Store(store), settings))[:3]
    gone = batch[1].photo["file_ref"]
    with LinkTable.open(store.with_name("store.link")) as link, link.transaction() as connection:
        connection.execute("UPDATE files SET path = ? WHERE file_ref = ?", (os.fsencode(store / "gone.jpg"), gone))
    result = run_photo_batch(batch, place_of(store, settings))
    assert result.unavailable == [gone]
    assert [row["photo_id"] for row in result.rows["masks"]] == [batch[0].photo["photo_id"], batch[2].photo["photo_id"]]
    assert {row.get("failure") for row in result.rows["masks"]} == {None}


def test_a_file_that_changed_since_intake_is_not_taken_for_the_photo(with_newer_masks):
    store, settings = with_newer_masks
    batch = photo_work(find_work(Store(store), settings))
    same_size = [item for item in batch if item.photo["width_px"] == batch[0].photo["width_px"]]
    one, other = same_size[0], same_size[1]
    with LinkTable.open(store.with_name("store.link")) as link:
        path = link.resolve(other.photo["file_ref"])
        copy = store / f"copy{path.suffix}"
        shutil.copy2(path, copy)
        with link.transaction() as connection:
            ref = one.photo["file_ref"]
            connection.execute("UPDATE files SET path = ? WHERE file_ref = ?", (os.fsencode(copy), ref))
    result = run_photo_batch([one], place_of(store, settings))
    assert result.unavailable == [one.photo["file_ref"]] and not result.rows


def test_a_stage_that_fails_on_a_photo_makes_a_row_that_says_so(monitored):
    """A mask whose object is lost: its measures fail, and only they."""
    store = Store(monitored)
    work = find_work(store, Settings())
    photo_id, mask = next((i, row) for i, row in work.rows["masks"].items() if row["found"])
    lost = dict(mask) | {"mask_object": "0" * 64 + ".png"}
    item = replace(
        photo_work(replace(work, pending=work.pending | {"measures": (photo_id,)}))[0],
        mask=lost,
    )
    result = run_photo_batch([item], place_of(monitored, Settings()))
    (row,) = result.rows["measures"]
    assert row["failure"] == "failed:SourceNotFoundError" and "area_px" not in row
    assert result.tables()["measures"].num_rows == 1


def test_a_batchs_rows_do_not_depend_on_what_else_is_in_it(monitored):
    work = find_work(Store(monitored), Settings())
    some = sorted(work.pairs)[:3]
    pending = work.pending | {"alignments": tuple(some), "changes": tuple(some)}
    lesions = pair_work(replace(work, pending=pending))
    place = place_of(monitored, Settings())
    together = run_pair_batch(lesions, place).rows
    apart = [run_pair_batch([[item]], place).rows for lesion in lesions for item in lesion]
    for stage in ("alignments", "changes"):
        assert together[stage] == [row for rows in apart for row in rows[stage]]
        for row in together[stage]:
            kept = dict(work.rows[stage][row["pair_id"]])
            assert {name: kept[name] for name in row} == row, "and equal what the flow's workers wrote"
