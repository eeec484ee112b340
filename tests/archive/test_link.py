"""The link table: pseudonyms that tell nothing, tight permissions, and a key that is never replaced."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longderm.archive import KEY_NAME, LinkTable
from longderm.errors import AccessError, RefusedError, SourceNotFoundError


@pytest.fixture
def link(tmp_path: Path) -> Iterator[LinkTable]:
    with LinkTable.open(tmp_path / "link", create=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> LinkTable:
    return LinkTable.open(tmp_path_factory.mktemp("links") / "link", create=True)


@given(
    parts=st.lists(st.text(max_size=8), min_size=1, max_size=3), kind=st.sampled_from(["patient", "lesion", "photo"])
)
def test_a_pseudonym_is_32_hex_characters_and_the_same_again(lasting: LinkTable, parts: list[str], kind: str) -> None:
    name = lasting.pseudonym(kind, *parts)
    assert len(name) == 32 and set(name) <= set("0123456789abcdef")
    assert name == lasting.pseudonym(kind, *parts)
    assert name != lasting.pseudonym(kind + "x", *parts)
    assert name != lasting.pseudonym(kind, *parts, "")


@given(left=st.text(max_size=4), middle=st.text(min_size=1, max_size=4), right=st.text(max_size=4))
def test_where_a_part_ends_matters(lasting: LinkTable, left: str, middle: str, right: str) -> None:
    assert lasting.pseudonym("lesion", left + middle, right) != lasting.pseudonym("lesion", left, middle + right)


def test_composed_and_decomposed_names_are_one(link: LinkTable) -> None:
    assert link.pseudonym("patient", "M\u00fcller") == link.pseudonym("patient", "Mu\u0308ller")


def test_another_key_gives_other_pseudonyms_and_another_key_id(link: LinkTable, tmp_path: Path) -> None:
    with LinkTable.open(tmp_path / "other", create=True) as other:
        assert other.pseudonym("patient", "7") != link.pseudonym("patient", "7")
        assert other.key_id != link.key_id
    assert link.key_id not in (tmp_path / "link" / KEY_NAME).read_text()


def test_the_key_lasts(tmp_path: Path) -> None:
    names = []
    for create in (True, True, False):
        with LinkTable.open(tmp_path / "link", create=create) as opened:
            names.append((opened.key_id, opened.pseudonym("patient", "7")))
    assert len(set(names)) == 1


def test_folder_and_files_are_the_owners_alone(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        with LinkTable.open(tmp_path / "a" / "link", create=True) as opened:
            opened.register_files([tmp_path / "x.png"], "s")
    finally:
        os.umask(mask)
    folder = tmp_path / "a" / "link"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_permissions_that_were_loosened_are_tightened(tmp_path: Path) -> None:
    folder = tmp_path / "link"
    LinkTable.open(folder, create=True).close()
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o644)
    LinkTable.open(folder).close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_link_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError):
        LinkTable.open(tmp_path / "link")
    assert not (tmp_path / "link").exists()


def test_a_lost_or_exchanged_key_is_refused_and_never_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "link"
    LinkTable.open(folder, create=True).close()
    LinkTable.open(tmp_path / "other", create=True).close()
    key = (folder / KEY_NAME).read_text()
    for wrong in (None, "", "zz", (tmp_path / "other" / KEY_NAME).read_text()):
        (folder / KEY_NAME).unlink(missing_ok=True)
        if wrong is not None:
            (folder / KEY_NAME).write_text(wrong)
        for create in (True, False):
            with pytest.raises(RefusedError):
                LinkTable.open(folder, create=create)
        assert (folder / KEY_NAME).exists() is (wrong is not None)
    (folder / KEY_NAME).write_text(key)
    LinkTable.open(folder).close()


def test_a_newer_layout_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "link"
    LinkTable.open(folder, create=True).close()
    with sqlite3.connect(folder / "link.sqlite") as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'version'")
    with pytest.raises(RefusedError, match="newer"):
        LinkTable.open(folder)


def test_a_damaged_table_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "link"
    LinkTable.open(folder, create=True).close()
    (folder / "link.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises((AccessError, RefusedError)):
        LinkTable.open(folder)


def test_references_resolve_to_paths_of_any_name(link: LinkTable, tmp_path: Path) -> None:
    paths = [tmp_path / "a b.png", tmp_path / "ü.png", Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.png"))]
    link.register_files(paths, "source")
    link.register_files(paths, "source")
    assert [link.resolve(link.file_ref(path)) for path in paths] == paths
    assert link.resolve("0" * 32) is None
    assert len({link.file_ref(path) for path in paths}) == 3


def test_what_is_written_in_a_block_that_fails_is_not_there(link: LinkTable) -> None:
    with pytest.raises(KeyError), link.transaction() as connection:
        connection.execute("INSERT INTO patients VALUES ('p', '', '7', NULL)")
        raise KeyError
    assert link.find_mrn("7") == []


def _register(folder: Path, number: int) -> str:
    with LinkTable.open(folder, create=True) as link:
        link.register_files([Path(f"/archive/{number}-{k}.png") for k in range(20)], "source")
        return link.key_id


def test_many_processes_open_and_write_at_once(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as pool:
        keys = set(pool.map(_register, [tmp_path / "link"] * 12, range(12)))
    assert len(keys) == 1
    with LinkTable.open(tmp_path / "link") as link:
        assert len(link.query("SELECT * FROM files")) == 240
    assert {path.name for path in (tmp_path / "link").iterdir()} == {KEY_NAME, "link.sqlite"}


_WRITER = """
import sys
from pathlib import Path
from longderm.archive import LinkTable
with LinkTable.open(sys.argv[1], create=True) as link:
    print(link.key_id, flush=True)
    for batch in range(10**6):
        link.register_files([Path(f"/archive/{batch}/{k}") for k in range(50)], "source")
"""


def test_a_killed_writer_leaves_whole_batches_and_its_key(tmp_path: Path) -> None:
    keys = set()
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path / "link")], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        keys.add(writer.stdout.readline().strip())
        time.sleep(0.15)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
    with LinkTable.open(tmp_path / "link") as link:
        assert keys == {link.key_id}
        rows = link.query("SELECT COUNT(*) FROM files")[0][0]
    assert int(str(rows)) > 0 and int(str(rows)) % 50 == 0
