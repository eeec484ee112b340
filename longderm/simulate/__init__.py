"""Serial lesions with known truth, written as a real archive of two device makers."""

from __future__ import annotations

from longderm.simulate.archive import SimulatedArchive, simulate_archive
from longderm.simulate.calibration import PUBLISHED, Calibration

__all__ = ["PUBLISHED", "Calibration", "SimulatedArchive", "simulate_archive"]
