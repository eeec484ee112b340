"""One small simulated archive, shared by the tests of this room."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from longderm.simulate import simulate_archive

SEED = 11
PATIENTS = 5


@dataclass(frozen=True)
class Simulated:
    folder: Path
    photos: list[dict[str, Any]]
    lesions: list[dict[str, Any]]
    pairs: list[dict[str, Any]]
    seed: int = SEED
    patients: int = PATIENTS


def read_truth(folder: Path) -> Simulated:
    tables = {
        name: pq.read_table(folder / "truth" / f"{name}.parquet").to_pylist() for name in ("photos", "lesions", "pairs")
    }
    return Simulated(folder, tables["photos"], tables["lesions"], tables["pairs"])


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    folder = tmp_path_factory.mktemp("simulated") / "archive"
    simulate_archive(folder, PATIENTS, SEED, masks=True, sample_defects=True)
    return read_truth(folder)


@pytest.fixture(scope="session")
def sample() -> Simulated:
    return read_truth(Path(__file__).parents[2] / "sample_data" / "archive")
