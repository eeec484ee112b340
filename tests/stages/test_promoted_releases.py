"""A promotion in the store decides which release the stages use, and changes what hangs on it alone."""

from __future__ import annotations

import json
import shutil
from datetime import date

import pytest
from filled_store import decide_on, fill_store, work_on

from longderm.models.registry import Who, add_release, promote_release, roll_back
from longderm.models.releases import packaged_registry, write_hashes
from longderm.settings import PACKAGED_VERSIONS, Settings
from longderm.stages import STAGES, Place, find_work
from longderm.stages.work import RELEASE_OF
from longderm.store import Store

WHO = Who("A. Clinician", "tried on our own pairs", date(2026, 3, 1))

#: Kind -> the stages whose results rest on it, by way of other stages too.
HANGING = {
    "change": {"changes", "decisions", "trajectories"},
    "quality": {"quality", "decisions", "trajectories"},
    "segmentation": set(STAGES) - {"previews", "scales"},
}


@pytest.fixture
def settings():
    return Settings()


@pytest.fixture
def store(tmp_path, settings):
    return fill_store(tmp_path / "store", settings)


def add(kind, store, settings, tmp_path, config=None):
    """Add a release of `kind` that differs from the packaged one in its card, or as `config` says."""
    folder = tmp_path / f"{kind}-made"
    shutil.copytree(packaged_registry() / kind / PACKAGED_VERSIONS[kind], folder)
    card = (folder / "card.md").read_text().partition("\n")[2]
    (folder / "card.md").write_text(f"# {kind}/9.0.0\n\nTrained elsewhere. Licence: Apache-2.0.\n{card}")
    if config:
        present = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(present | config))
    write_hashes(folder)
    add_release(folder, settings, store, WHO)


def expected(store, settings):
    return find_work(store, settings).expected


@pytest.mark.parametrize("kind", sorted(HANGING))
def test_a_promotion_changes_the_fingerprints_of_what_hangs_on_it_and_a_rollback_brings_them_back(
    kind, store, settings, tmp_path
):
    before = expected(store, settings)
    assert all(before.values())
    add(kind, store, settings, tmp_path)
    assert expected(store, settings) == before, "an added release is not used"
    promote_release(f"{kind}/9.0.0", settings, store, WHO)
    work = find_work(store, settings)
    assert work.in_use[kind].release.name == f"{kind}/9.0.0"
    # Where quality is pending, so is which photos are compared: then pairs are planned later.
    after = expected(work_on(store, settings), settings)
    assert {stage for stage in STAGES if after[stage] != before[stage]} == HANGING[kind]
    assert {stage for stage, used in RELEASE_OF.items() if used == kind} <= HANGING[kind]
    roll_back(kind, settings, store, WHO)
    assert expected(store, settings) == before
    assert not any(
        find_work(store, settings).pending[stage] for stage in before if stage not in ("decisions", "trajectories")
    )


def test_workers_use_what_is_promoted_and_see_the_next_decision(store, settings, tmp_path):
    place = Place(str(store.root), str(tmp_path / "store.link"), settings)
    assert place.fingerprinter().releases["change"].version == PACKAGED_VERSIONS["change"]
    add("change", store, settings, tmp_path)
    promote_release("change/9.0.0", settings, store, WHO)
    assert place.fingerprinter().releases["change"].version == "9.0.0"
    roll_back("change", settings, store, WHO)
    assert place.fingerprinter().releases["change"].version == PACKAGED_VERSIONS["change"]


def test_an_explicit_setting_wins_over_the_promotion(store, settings, tmp_path):
    before = expected(store, settings)
    add("change", store, settings, tmp_path)
    promote_release("change/9.0.0", settings, store, WHO)
    named = Settings(change_version=PACKAGED_VERSIONS["change"])
    assert expected(store, named) == before != expected(store, settings)


def test_a_release_that_only_a_setting_names_is_withheld_until_it_is_promoted(store, settings, tmp_path):
    add("change", store, settings, tmp_path)
    named = Settings(change_version="9.0.0")
    work_on(store, named)
    (row,) = decide_on(store, named)
    assert (row["verdict"], row["rule"]) == ("abstained", "release_not_approved")
    assert any("not promoted" in reason for reason in row["reasons"])
    promote_release("change/9.0.0", settings, store, WHO)
    (row,) = decide_on(store, named)
    assert "release_not_approved" not in row["rules_fired"]


def test_the_store_of_an_older_release_has_promoted_nothing_and_takes_a_promotion(store, settings):
    shutil.rmtree(store.root / "tables" / "promotions")
    (store.root / "longderm.json").write_text(json.dumps({"schema_version": 2, "key_id": "key-1"}))
    older = Store(store.root)
    assert find_work(older, settings).in_use["quality"].decided_by == "packaged"
    promote_release("quality/0.1.0", settings, older, WHO)
    assert find_work(Store(store.root), settings).in_use["quality"].decided_by == "promotion"
