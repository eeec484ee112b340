"""`longderm registry`: what it prints for people and machines, and the statuses it ends with."""

from __future__ import annotations

import json
import shutil

import pytest

from longderm.cli import main
from longderm.models.releases import packaged_registry, write_hashes
from longderm.settings import PACKAGED_VERSIONS
from longderm.store import Store

CHANGE = f"change/{PACKAGED_VERSIONS['change']}"


@pytest.fixture
def longderm(capsys):
    """Run a command; gives its status, what it printed, and its complaint."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["registry", *map(str, arguments)])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err and len(printed.err.splitlines()) <= 1
        return ended.value.code, printed.out, printed.err

    return run


@pytest.fixture
def store(tmp_path):
    Store.create(tmp_path / "store", "key-1")
    return tmp_path / "store"


@pytest.fixture
def made(tmp_path):
    """A change release as made elsewhere."""
    folder = tmp_path / "made"
    shutil.copytree(packaged_registry() / CHANGE, folder)
    card = (folder / "card.md").read_text().partition("\n")[2]
    (folder / "card.md").write_text(f"# change/9.0.0\n{card}")
    write_hashes(folder)
    return folder


def test_a_release_is_added_promoted_seen_and_rolled_back(longderm, store, made):
    assert longderm("add", made, "--store", store)[:2] == (
        0,
        "change/9.0.0 added; `longderm registry promote` makes it the one in use\n",
    )
    status, printed, _ = longderm(
        *("promote", "change/9.0.0", "--store", store, "--reason", "fewer false alarms", "--by", "A. Clinician"),
        *("--as-of", "2026-03-01"),
    )
    assert (status, printed) == (0, f"{CHANGE} -> change/9.0.0\n")
    listed = longderm("list", "--store", store)[1]
    assert any(line.startswith("change/9.0.0") and "in use (promotion)" in line for line in listed.splitlines())
    shown = longderm("show", "change/9.0.0", "--store", store)[1]
    assert f"2026-03-01 promote {CHANGE} -> change/9.0.0 by A. Clinician: fewer false alarms" in shown
    status, printed, _ = longderm("rollback", "change", "--store", store, "--reason", "more misses")
    assert (status, printed) == (0, f"change/9.0.0 -> {CHANGE}\n")


def test_a_setting_that_wins_is_named(longderm, store, made, monkeypatch):
    longderm("add", made, "--store", store)
    monkeypatch.setenv("LONGDERM_CHANGE_VERSION", PACKAGED_VERSIONS["change"])
    printed = longderm("promote", "change/9.0.0", "--store", store, "--reason", "better")[1]
    assert f"a setting names {CHANGE}" in printed


def test_every_command_answers_machines_with_one_object(longderm, store, made):
    commands = [
        (("list",), {"releases"}),
        (("list", "--store", store), {"releases"}),
        (("show", CHANGE), {"card", "digest", "figures", "hashes", "release"}),
        (("verify", "--store", store), {"checked", "problems"}),
        (("add", made, "--store", store), {"action", "number", "to_release"}),
        (("promote", "change/9.0.0", "--store", store, "--reason", "x"), {"from_release", "decided_by", "as_of"}),
        (("rollback", "change", "--store", store, "--reason", "x"), {"to_release", "to_default", "reason"}),
    ]
    for arguments, names in commands:
        status, printed, _ = longderm(*arguments, "--json")
        assert status == 0 and names <= set(json.loads(printed))


def test_verify_names_every_file_that_was_tampered_with_and_ends_with_3(longderm, store, made):
    longderm("add", made, "--store", store)
    assert longderm("verify", "--store", store)[0] == 0
    held = store / "releases" / "change" / "9.0.0"
    (held / "config.json").write_text("{}")
    (held / "figures.json").unlink()
    (held / "weights.safetensors").write_bytes(b"x")
    status, printed, complaint = longderm("verify", "--store", store, "--json")
    assert status == 3 and complaint.startswith("longderm: registry: change/9.0.0: ")
    assert json.loads(printed)["problems"] == [
        "change/9.0.0: config.json differs from its recorded hash",
        "change/9.0.0: figures.json is missing",
        "change/9.0.0: weights.safetensors has no recorded hash",
    ]
    assert longderm("promote", "change/9.0.0", "--store", store, "--reason", "x")[0] == 3
    assert "damaged" in longderm("list", "--store", store)[1]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("show", "change"), 2, "KIND/VERSION"),
        (("show", "change/7.7.7"), 2, "not in the registry"),
        (("promote", CHANGE, "--store", "STORE"), 2, "--reason"),
        (("promote", CHANGE, "--store", "STORE", "--reason", " "), 2, "say why"),
        (("promote", "change/7.7.7", "--store", "STORE", "--reason", "x"), 2, "not in the registry"),
        (("promote", "weather/0.1.0", "--store", "STORE", "--reason", "x"), 2, "kind weather"),
        (("promote", CHANGE, "--store", "NOWHERE", "--reason", "x"), 2, "no store"),
        (("rollback", "change", "--store", "STORE", "--reason", "x"), 3, "nothing to roll back"),
        (("add", "NOWHERE", "--store", "STORE"), 2, "is no folder"),
        (("add", "STORE", "--store", "STORE"), 3, "hashes.json is missing"),
    ],
)
def test_what_cannot_be_is_one_line_and_a_status(arguments, status, words, longderm, store, tmp_path):
    places = {"STORE": store, "NOWHERE": tmp_path / "nowhere"}
    found, _, complaint = longderm(*(places.get(argument, argument) for argument in arguments))
    assert found == status and complaint.startswith("longderm: ") and words in complaint


def test_while_the_store_is_worked_on_nothing_is_promoted(longderm, store):
    with Store(store).lock("monitor"):
        status, _, complaint = longderm("promote", CHANGE, "--store", store, "--reason", "x")
    assert status == 3 and "in use by longderm monitor" in complaint
