"""A store of many patients whose rows are written by hand: two visits of one lesion each, no image."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest
from site_pairs import drawn_observations

from longderm.change.evidence import APPEARANCE, NoiseModel, conformal_p_value, score_of, to_delta
from longderm.change.familiar import LEVELS
from longderm.models.in_use import releases_in_use
from longderm.settings import Settings
from longderm.stages import find_work
from longderm.stages.lesion import run_decisions
from longderm.stages.place import rows_to_table
from longderm.stages.work import PHOTO_STAGES
from longderm.store import Store

for room in ("change", "stages"):  # their drawn lesions, and rows as the stages write them
    sys.path.insert(0, str(Path(__file__).parents[1] / room))

from filled_store import PHOTO, ROWS  # noqa: E402


@dataclass(frozen=True)
class Site:
    """A store, and which of its pairs changed."""

    store: Store
    changed: dict[str, bool]

    def table(self, rows) -> str:
        """A labels table of (pair_id, changed)."""
        return "pair_id,changed\n" + "".join(f"{pair},{int(changed)}\n" for pair, changed in rows)

    def write_labels(self, path: Path) -> Path:
        """The truth as a labels table."""
        path.write_text(self.table(sorted(self.changed.items())))
        return path


def make_site(root: Path, patients: int, spread: float, changed_share: float, refused: int = 0) -> Site:
    """A store in which the noise is `spread` times that of `drawn_observations`; so many pairs' alignment is refused.

    Levels of the photos are drawn near the middle of those that the packaged release was calibrated on.
    """
    rng, settings = np.random.default_rng(11), Settings()
    store = Store.create(root, "key-1")
    release = releases_in_use(settings, store)["change"].release
    model = NoiseModel.from_config(release.config)
    levels = release.config.get("in_distribution", {}).get("levels", {})
    usual = {name: value["median"] for name, value in levels.items()}
    names = [f"patient-{number:04d}" for number in range(patients)]
    photos = [
        PHOTO
        | {
            "photo_id": f"{name}-{day}",
            "patient_id": name,
            "lesion_id": f"lesion of {name}",
            "file_ref": f"file of {name}-{day}",
            "content_hash": f"pixels of {name}-{day}",
            "acquisition_day": day,
        }
        for number, name in enumerate(names)
        for day in (0, 92 if number % 2 else 400)
    ]
    entities = {
        "patients": [{"patient_id": name, "revision": 1} for name in names],
        "lesions": [{"lesion_id": f"lesion of {name}", "patient_id": name, "revision": 1} for name in names],
        "photos": photos,
        "files": [
            {"file_ref": row["file_ref"], "revision": 1, "status": "photo", "photo_id": row["photo_id"]}
            for row in photos
        ],
    }
    for table, rows in entities.items():
        store.append(table, rows_to_table(table, rows), "run")
    work = find_work(store, settings)
    for stage in PHOTO_STAGES:
        rows = [
            {"photo_id": photo, "fingerprint": work.expected[stage][photo]}
            | ROWS[stage]
            | ({level: usual.get(level, 50.0) + rng.normal() for level in LEVELS} if stage == "measures" else {})
            for photo in work.pending[stage]
        ]
        store.append(stage, rows_to_table(stage, rows), "run")
    work = find_work(store, settings)
    changed, aligned, scored = {}, [], []
    for number, (pair_id, pair) in enumerate(sorted(work.pairs.items())):
        changed[pair_id] = bool(rng.random() < changed_share)
        found = drawn_observations(rng, spread, 0.6 if changed[pair_id] else 0.0, APPEARANCE in model.noise)
        score = score_of(found, model)
        base = {"pair_id": pair_id, "lesion_id": pair.lesion_id}
        aligned.append(
            base
            | {"fingerprint": work.expected["alignments"][pair_id]}
            | ROWS["alignments"]
            | {"accepted": number >= refused}
        )
        scored.append(
            base
            | {
                "fingerprint": work.expected["changes"][pair_id],
                "score": score,
                "p_value": conformal_p_value(score, model.calibration, model.alpha),
                "reasons": ["drawn"],
                "deltas": [asdict(to_delta(one, model)) for one in found],
                "model": release.name,
            }
        )
    store.append("alignments", rows_to_table("alignments", aligned), "run")
    store.append("changes", rows_to_table("changes", scored), "run")
    work = find_work(store, settings)
    store.append("decisions", rows_to_table("decisions", run_decisions(work, release).rows["decisions"]), "run")
    return Site(store, changed)


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Site:
    """160 patients, a quarter with a change, four pairs refused; noise a good deal larger than the release's."""
    return make_site(tmp_path_factory.mktemp("site") / "store", 160, 1.0, 0.25, refused=4)
