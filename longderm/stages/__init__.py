"""The stages between an archive and its reports, each from table to table with a name, a key and a fingerprint.

intake -> previews, scales, quality, masks, structures, measures -> alignments, changes -> decisions -> trajectories
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from longderm.stages.place import ONE_THREAD, BatchResult, Place, start_worker
from longderm.stages.run import (
    BatchFailure,
    Run,
    finish,
    finish_nothing_new,
    intake,
    is_nothing_new,
    link_folder,
    raise_for_failures,
    run_intake_batch,
    work_on_lesions,
    work_on_pairs,
    work_on_photos,
)
from longderm.stages.source import Source
from longderm.stages.work import STAGES, Work, current_tables, find_work

if TYPE_CHECKING:
    from longderm.stages.pair import PairWork, run_pair_batch
    from longderm.stages.photo import PhotoWork, run_photo_batch

__all__ = [
    "ONE_THREAD",
    "STAGES",
    "BatchFailure",
    "BatchResult",
    "PairWork",
    "PhotoWork",
    "Place",
    "Run",
    "Source",
    "Work",
    "current_tables",
    "find_work",
    "finish",
    "finish_nothing_new",
    "intake",
    "is_nothing_new",
    "link_folder",
    "raise_for_failures",
    "run_intake_batch",
    "run_pair_batch",
    "run_photo_batch",
    "start_worker",
    "work_on_lesions",
    "work_on_pairs",
    "work_on_photos",
]

#: Names whose modules load the image libraries; only worker processes need them.
_HEAVY = {
    "PhotoWork": "longderm.stages.photo",
    "run_photo_batch": "longderm.stages.photo",
    "PairWork": "longderm.stages.pair",
    "run_pair_batch": "longderm.stages.pair",
}


def __getattr__(name: str) -> Any:
    if name in _HEAVY:
        return getattr(import_module(_HEAVY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
