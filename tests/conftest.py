"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photos for developing; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("LONGDERM_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real photos at hand (LONGDERM_TEST_DATA, or {folder.name} beside the checkout)")
    return folder
