"""The registry: what is there, whether it is what it was, and which release a store uses."""

from __future__ import annotations

import json
import shutil
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from longderm.errors import RefusedError, SourceNotFoundError, UsageError
from longderm.models.border_network import BorderNetwork
from longderm.models.in_use import releases_in_use
from longderm.models.kinds import KINDS, check_release
from longderm.models.promotions import standing
from longderm.models.registry import (
    Who,
    add_release,
    list_registry,
    promote_release,
    roll_back,
    show_release,
    verify_registry,
)
from longderm.models.releases import load_release, packaged_registry, problems_of, write_hashes
from longderm.models.weights import write_border
from longderm.settings import PACKAGED_VERSIONS, Settings
from longderm.store import Store

WHO = Who("A. Clinician", "fewer false alarms on our own stable pairs", date(2026, 3, 1))


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / "store", "key-1")


@pytest.fixture
def settings():
    return Settings()


def make_release(parent, version="9.0.0", alpha=0.04):
    """A change release as made elsewhere: the packaged one with another alpha."""
    folder = parent / f"made-{version}-{alpha}"
    shutil.copytree(packaged_registry() / "change" / PACKAGED_VERSIONS["change"], folder)
    config = json.loads((folder / "config.json").read_text()) | {"alpha": alpha}
    (folder / "config.json").write_text(json.dumps(config))
    card = (folder / "card.md").read_text()
    (folder / "card.md").write_text(f"# change/{version}\n" + card.partition("\n")[2])
    write_hashes(folder)
    return folder


def state_of(name, settings, store):
    return {row["release"]: row["state"] for row in list_registry(settings, store)}[name]


def test_every_packaged_release_is_what_it_was_and_the_defaults_are_among_them(settings):
    assert verify_registry(settings, None)["problems"] == []
    in_use = {row["release"] for row in list_registry(settings, None) if row["state"] == "in use"}
    assert in_use == {f"{kind}/{version}" for kind, version in PACKAGED_VERSIONS.items()}


def test_the_rooms_defaults_are_those_of_the_settings():
    from longderm.change.evidence import DEFAULT_VERSION as CHANGE
    from longderm.imaging.quality import DEFAULT_VERSION as QUALITY
    from longderm.imaging.segmentation import DEFAULT_VERSION as SEGMENTATION

    assert {"change": CHANGE, "quality": QUALITY, "segmentation": SEGMENTATION}.items() <= PACKAGED_VERSIONS.items()
    assert set(PACKAGED_VERSIONS) <= set(KINDS)


def test_an_added_release_is_not_used_before_it_is_promoted_and_no_more_after_a_rollback(tmp_path, store, settings):
    def change():
        return releases_in_use(settings, store)["change"]

    packaged = change()
    assert add_release(make_release(tmp_path), settings, store, WHO)["to_release"] == "change/9.0.0"
    assert change() == packaged and state_of("change/9.0.0", settings, store) == "added"

    row = promote_release("change/9.0.0", settings, store, WHO)
    assert (row["from_release"], row["to_release"]) == (packaged.release.name, "change/9.0.0")
    used = change()
    assert (used.release.version, used.release.config["alpha"], used.decided_by) == ("9.0.0", 0.04, "promotion")
    assert used.approved_digest == used.release.digest
    assert state_of("change/9.0.0", settings, store) == "in use"

    row = roll_back("change", settings, store, WHO)
    assert (row["to_release"], row["to_default"]) == (packaged.release.name, True)
    assert change() == packaged


def test_decisions_are_kept_with_who_what_when_and_why(tmp_path, store, settings):
    add_release(make_release(tmp_path), settings, store, WHO)
    promote_release("change/9.0.0", settings, store, WHO)
    roll_back("change", settings, store, Who("B", "more misses", date(2026, 4, 1)))
    rows = store.table("promotions").to_pylist()
    assert [row["action"] for row in sorted(rows, key=lambda row: row["number"])] == ["add", "promote", "rollback"]
    last = max(rows, key=lambda row: row["number"])
    assert (last["decided_by"], last["reason"], last["as_of"]) == ("B", "more misses", date(2026, 4, 1))
    assert last["from_digest"] != last["to_digest"] and last["recorded_at"] is not None
    assert [row["number"] for row in show_release("change/9.0.0", settings, store)["decisions"]] == [1, 2, 3]


def test_two_promotions_are_rolled_back_one_by_one(tmp_path, store, settings):
    for version in ("9.0.0", "9.1.0"):
        add_release(make_release(tmp_path, version), settings, store, WHO)
        promote_release(f"change/{version}", settings, store, WHO)
    assert state_of("change/9.0.0", settings, store) == "promoted"
    assert roll_back("change", settings, store, WHO)["to_release"] == "change/9.0.0"
    assert releases_in_use(settings, store)["change"].release.version == "9.0.0"
    roll_back("change", settings, store, WHO)
    with pytest.raises(RefusedError, match="nothing to roll back"):
        roll_back("change", settings, store, WHO)


def test_a_setting_wins_over_a_promotion_and_says_so(tmp_path, store, settings):
    add_release(make_release(tmp_path), settings, store, WHO)
    named = Settings(change_version=PACKAGED_VERSIONS["change"])
    row = promote_release("change/9.0.0", named, store, WHO)
    assert row["overridden_by_setting"] == f"change/{PACKAGED_VERSIONS['change']}"
    assert promote_release("quality/0.1.0", named, store, WHO)["overridden_by_setting"] is None
    used = releases_in_use(named, store)["change"]
    assert (used.release.version, used.decided_by) == (PACKAGED_VERSIONS["change"], "setting")


def test_an_added_release_that_a_setting_names_is_used_but_not_approved_until_promoted(tmp_path, store, settings):
    add_release(make_release(tmp_path), settings, store, WHO)
    named = Settings(change_version="9.0.0")
    assert releases_in_use(named, store)["change"].approved_digest is None
    promote_release("change/9.0.0", settings, store, WHO)
    used = releases_in_use(named, store)["change"]
    assert used.approved_digest == used.release.digest
    roll_back("change", settings, store, WHO)
    assert releases_in_use(named, store)["change"].approved_digest is None


def test_promoting_what_is_promoted_what_is_not_there_and_what_no_stage_uses_is_refused(tmp_path, store, settings):
    promote_release("quality/0.1.0", settings, store, WHO)
    with pytest.raises(RefusedError, match="already"):
        promote_release("quality/0.1.0", settings, store, WHO)
    with pytest.raises(SourceNotFoundError, match="not in the registry"):
        promote_release("quality/7.7.7", settings, store, WHO)
    for name in ("weather/0.1.0", "change", "change/../../etc", "../change/0.1.0"):
        with pytest.raises(UsageError):
            promote_release(name, settings, store, WHO)
    with pytest.raises(UsageError, match="--reason"):
        Who("A", "  ", date(2026, 3, 1))


DAMAGE = {
    "a changed file": (lambda f: (f / "config.json").write_text("{}"), "config.json differs"),
    "a missing file": (lambda f: (f / "figures.json").unlink(), "figures.json is missing"),
    "a file without a hash": (lambda f: (f / "weights.safetensors").write_bytes(b"x"), "no recorded hash"),
    "no hashes": (lambda f: (f / "hashes.json").unlink(), "hashes.json is missing"),
    "damaged hashes": (lambda f: (f / "hashes.json").write_text("{half"), "hashes.json is damaged"),
    "hashes of another place": (
        lambda f: (f / "hashes.json").write_text(json.dumps({"config.json": "0", "../config.json": "0"})),
        "missing",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_release_is_found_and_neither_added_nor_loaded(damage, tmp_path, store, settings):
    spoil, words = DAMAGE[damage]
    folder = make_release(tmp_path)
    spoil(folder)
    with pytest.raises(RefusedError, match=words):
        add_release(folder, settings, store, WHO)
    assert not store.releases_folder.exists() and len(store.table("promotions")) == 0
    registry = tmp_path / "registry"
    shutil.copytree(packaged_registry(), registry)
    shutil.copytree(folder, registry / "change" / "9.0.0")
    with pytest.raises(RefusedError, match=words):
        load_release("change", "9.0.0", registry)
    found = verify_registry(Settings(registry_dir=registry), None)["problems"]
    assert found and all(problem.startswith("change/9.0.0: ") for problem in found)
    assert state_of("change/9.0.0", Settings(registry_dir=registry), None) == "damaged"


def test_every_damaged_file_is_named_not_only_the_first(tmp_path):
    folder = make_release(tmp_path)
    (folder / "card.md").write_text("another\n")
    (folder / "figures.json").unlink()
    (folder / "more.json").write_text("{}")
    assert problems_of(folder) == [
        "card.md differs from its recorded hash",
        "figures.json is missing",
        "more.json has no recorded hash",
    ]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("card.md", "# something else\n", "must begin with the release's name"),
        ("card.md", "# weather/1.0.0\nLicence\n", "no stage knows"),
        ("card.md", "# change/9.0.0\nfree for all\n", "licence"),
        ("config.json", '{"alpha": 0.05}', "not that of kind change"),
        ("config.json", "[]", "not an object"),
        ("figures.json", "{}", "holds no figure"),
        ("weights.pth", "pickled", "no file of a release"),
        ("weights.safetensors", "no tensors", "cannot be read"),
    ],
)
def test_a_release_that_is_none_is_not_added(name, content, words, tmp_path):
    folder = make_release(tmp_path)
    (folder / name).write_text(content)
    write_hashes(folder)
    with pytest.raises(RefusedError, match=words):
        check_release(folder)


def test_weights_that_are_not_numbers_are_not_added(tmp_path):
    folder = make_release(tmp_path)
    for value, sound in ((1.0, True), (np.nan, False), (np.inf, False)):
        save_file({"a.weight": np.array([0.5, value], np.float32)}, folder / "weights.safetensors")
        write_hashes(folder)
        if sound:
            assert check_release(folder) == "change/9.0.0"
        else:
            with pytest.raises(RefusedError, match=r"a\.weight"):
                check_release(folder)


def test_a_border_network_that_does_not_fit_its_release_is_not_added(tmp_path):
    folder = tmp_path / "made"
    shutil.copytree(packaged_registry() / "segmentation" / PACKAGED_VERSIONS["segmentation"], folder)
    config = json.loads((folder / "config.json").read_text())
    for architecture, sound in ((write_border(BorderNetwork(), folder), True), ({"last": 4}, False)):
        (folder / "config.json").write_text(json.dumps(config | {"border": {"architecture": architecture}}))
        write_hashes(folder)
        if sound:
            assert check_release(folder).startswith("segmentation/")
        else:
            with pytest.raises(RefusedError, match=r"border\.safetensors"):
                check_release(folder)


def test_a_name_stands_for_one_release_only(tmp_path, store, settings):
    add_release(make_release(tmp_path), settings, store, WHO)
    with pytest.raises(RefusedError, match="there already"):
        add_release(make_release(tmp_path / "again"), settings, store, WHO)
    with pytest.raises(RefusedError, match="another release's name"):
        add_release(make_release(tmp_path, alpha=0.03), settings, store, WHO)
    with pytest.raises(RefusedError, match="another release's name"):
        add_release(make_release(tmp_path, version=PACKAGED_VERSIONS["change"]), settings, store, WHO)


def test_a_promoted_release_whose_folder_is_swapped_for_a_sound_other_one_is_refused(tmp_path, store, settings):
    add_release(make_release(tmp_path), settings, store, WHO)
    promote_release("change/9.0.0", settings, store, WHO)
    held = store.releases_folder / "change" / "9.0.0"
    shutil.rmtree(held)
    with pytest.raises(RefusedError, match=r"not there any more.*rollback change"):
        releases_in_use(settings, store)
    load_release.cache_clear()
    shutil.copytree(make_release(tmp_path, alpha=0.2), held)
    with pytest.raises(RefusedError, match="other files than those that were promoted"):
        releases_in_use(settings, store)
    assert any("promoted" in problem for problem in verify_registry(settings, store)["problems"])
    assert releases_in_use(Settings(change_version="9.0.0"), store)["change"].approved_digest is not None
    roll_back("change", settings, store, WHO)
    assert releases_in_use(settings, store)["change"].decided_by == "packaged"


@given(st.lists(st.sampled_from(["promote a", "promote b", "rollback", "other kind"]), max_size=12))
def test_a_rollback_always_comes_back_to_what_was_used_before_its_promotion(actions):
    history, expected = [], []
    for number, action in enumerate(actions, start=1):
        verb, _, what = action.partition(" ")
        kind = "quality" if verb == "other" else "change"
        if verb == "promote":
            expected.append(f"change/{what}")
        elif verb == "rollback" and expected:
            expected.pop()
        verb = "promote" if verb == "other" else verb
        history.append(
            {"number": number, "action": verb, "release_kind": kind, "to_release": f"{kind}/{what}", "to_digest": what}
        )
    assert [promoted.name for promoted in standing(reversed(history), "change")] == expected
