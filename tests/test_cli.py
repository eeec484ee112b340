"""The command line: quick to start, one clear line for wrong input, the exit status of README's table."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "longderm"]


def longderm(*arguments, cwd=None, env=None):
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, timeout=300)


def assert_one_line(done, status, *words):
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith("longderm: ")
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_help_lists_every_command():
    done = longderm("--help")
    assert done.returncode == 0
    for command in ("demo", "ingest", "monitor", "report", "export", "find", "simulate", "serve", "bench"):
        assert command in done.stdout


@pytest.mark.parametrize("module", ["torch", "prefect", "pandas", "cv2", "SimpleITK", "pyarrow", "numpy"])
def test_importing_longderm_and_asking_for_help_load_no_heavy_library(module):
    code = "import sys, longderm, longderm.cli; sys.exit(int(sys.argv[1] in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code, module], check=False).returncode == 0


def test_every_public_name_can_be_had():
    import longderm

    for name in longderm.__all__:
        assert getattr(longderm, name) is not None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["walk"], ["walk"]),
        (["monitor"], ["--store"]),
        (["monitor", "--store", "s", "--wrong", "1"], ["--wrong"]),
        (["monitor", "--store", "s", "--as-of", "yesterday"], ["--as-of"]),
        (["bench", "nothing"], ["registration"]),
        (["bench", "change"], ["needs --photos"]),
        (["find", "--store", "s"], ["--mrn"]),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(arguments, words, tmp_path):
    assert_one_line(longderm(*arguments, cwd=tmp_path), 2, *words)


def test_a_missing_folder_is_named(tmp_path):
    done = longderm("monitor", "--store", tmp_path / "store", "--source", tmp_path / "nowhere")
    assert_one_line(done, 2, "nowhere does not exist", "name an existing folder")
    assert not (tmp_path / "store").exists(), "nothing is made for a source that is not there"


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    assert_one_line(longderm("ingest", tmp_path / "empty", "--store", tmp_path / "store"), 2, "is empty")


def test_a_missing_store_is_named_with_the_command_that_makes_one(tmp_path):
    for arguments in (["monitor"], ["report", "--out", "o"], ["export", "--out", "o"], ["find", "--mrn", "1"]):
        assert_one_line(
            longderm(*arguments, "--store", tmp_path / "s", cwd=tmp_path), 2, "no store at", "longderm ingest"
        )


def test_an_unreadable_store_is_named(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    (store / "longderm.json").write_text("not json")
    assert_one_line(longderm("monitor", "--store", store), 2, "damaged")


def test_a_store_of_a_newer_schema_is_refused_with_status_3(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    (store / "longderm.json").write_text(json.dumps({"schema_version": 999, "key_id": "x"}))
    assert_one_line(longderm("monitor", "--store", store), 3, "schema version 999")


def test_a_bad_metadata_column_is_named(tmp_path):
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "metadata.csv").write_text("picture,who\na.jpg,7\n")
    (archive / "a.jpg").write_bytes(b"")
    assert_one_line(longderm("ingest", archive, "--store", tmp_path / "store"), 2, "metadata table", "isic_id")


def test_a_bad_setting_is_named(tmp_path):
    env = os.environ | {"LONGDERM_BATCH_SIZE": "many"}
    assert_one_line(longderm("monitor", "--store", tmp_path, env=env), 2, "batch_size", "many")


def test_no_permission_to_write_is_named(tmp_path):
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "a.txt").write_text("x")
    (tmp_path / "closed").mkdir(mode=0o555)
    command = [*COMMAND, "ingest", str(tmp_path / "archive"), "--store", str(tmp_path / "closed" / "store")]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=bound_by_permissions)
    assert_one_line(done, 2, "no permission to write")


def bound_by_permissions():
    """Give up root's right to write anywhere, so that permissions bind this process as they bind any other user."""
    import ctypes

    drop_from_bounding_set, dac_override = 24, 1
    ctypes.CDLL(None).prctl(drop_from_bounding_set, dac_override, 0, 0, 0)


def test_a_file_in_the_place_of_the_store_is_named(tmp_path):
    (tmp_path / "store").write_text("a file")
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "a.txt").write_text("x")
    done = longderm("ingest", tmp_path / "archive", "--store", tmp_path / "store")
    assert_one_line(done, 2, "is a file")


def test_the_demo_does_not_replace_what_is_not_its_own(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    assert_one_line(longderm("demo", "--out", tmp_path), 2, "holds something else")
    assert (tmp_path / "thesis.txt").read_text() == "mine"
