"""The packaged tables are what the simulator writes, and every command of the README runs on them as it stands."""

from __future__ import annotations

import re
import shlex
import shutil
from importlib import resources
from pathlib import Path

import pytest

from longderm.cli import main
from longderm.simulate.clinic_tables import write_clinic_tables

TABLES = Path(str(resources.files("longderm.sample_data"))) / "prognosis"
README = Path(__file__).parents[1] / "README.md"
#: What is added so that the commands take seconds.
SHORT = {"fit": ["--bootstraps", "2"], "evaluate": ["--bootstraps", "2"], "predict": []}


def commands():
    text = README.read_text(encoding="utf-8").replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(r"^    longderm (prognosis .+)$", text, re.MULTILINE)]


def test_the_packaged_tables_are_simulated_and_the_same_again(tmp_path):
    write_clinic_tables(tmp_path)
    names = sorted(path.name for path in TABLES.iterdir())
    assert names == sorted(path.name for path in tmp_path.iterdir())
    assert all((tmp_path / name).read_bytes() == (TABLES / name).read_bytes() for name in names)


def test_every_prognosis_command_of_the_readme_runs_on_them(tmp_path, monkeypatch, capsys):
    shutil.copytree(TABLES, tmp_path / "clinic")
    monkeypatch.chdir(tmp_path / "clinic")
    found = commands()
    assert [one[1] for one in found] == ["fit", "evaluate", "predict"] * 3
    for one in found:
        more = SHORT[one[1]] + (["--repeats", "1"] if "--clinical" in one and "--metastasis" not in one else [])
        with pytest.raises(SystemExit) as ended:
            main([*one, *more])
        assert ended.value.code == 0, capsys.readouterr().err
    for name in ("predictions.csv", "at_visits.csv", "spread.csv"):
        rows = Path(name).read_text().splitlines()
        assert len(rows) == 21 and "issued" in rows[1]
