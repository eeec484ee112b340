"""A store with one lesion photographed twice, its rows written by hand: what decisions read, without any image."""

from __future__ import annotations

from dataclasses import asdict

from longderm.change import Delta
from longderm.settings import Settings
from longderm.stages import find_work
from longderm.stages.lesion import run_decisions
from longderm.stages.place import rows_to_table
from longderm.stages.work import PAIR_STAGES, PHOTO_STAGES
from longderm.store import Store

PHOTO = {
    "revision": 1,
    "patient_id": "patient",
    "lesion_id": "lesion",
    "undated_repeat": False,
    "modality": "dermoscopic",
    "width_px": 800,
    "height_px": 600,
    "polarised": True,
    "contact": True,
    "laterality": "L",
    "format": "jpeg",
    "caveats": [],
}
ROWS = {
    "previews": {"preview_object": "p.jpg", "preview_scale": 1.0},
    "scales": {"px_per_mm": 40.0, "px_per_mm_source": "metadata", "caveats": []},
    "quality": {"score": 0.9, "reasons": [], "expected_error": 0.02},
    "masks": {"found": True, "confidence": 0.9, "touches_border": False},
    "structures": {},
    # Levels near the middle of those that the packaged release was calibrated on, if it says so.
    "measures": {"area_px": 60000.0, "area_mm2": 37.5},
    "alignments": {"accepted": True, "confidence": 0.9, "scale": 1.0, "cautions": []},
    "changes": {
        "score": 0.2,
        "p_value": 0.4,
        "reasons": ["no measured difference exceeds its minimal detectable change"],
        "deltas": [
            asdict(Delta(name, "1", None, None, 0.01, 0.1, False)) for name in ("area", "area_confirmed", "delta_a")
        ],
        "model": "change/0.1.0",
    },
}


def fill_store(root, settings: Settings, levels=None, second=None, **lesion) -> Store:
    """A store whose photos and pair are all worked on; `levels`: of both photos; `second`: columns of the second."""
    store = Store.create(root, "key-1")
    add_entities(store, second or {}, lesion)
    return work_on(store, settings, levels)


def add_entities(store: Store, second, lesion) -> None:
    photos = [
        PHOTO
        | {"photo_id": f"photo-{i}", "file_ref": f"file-{i}", "content_hash": f"pixels-{i}", "acquisition_day": day}
        for i, day in enumerate((0, 92))
    ]
    photos[1] |= second
    files = [
        {"file_ref": row["file_ref"], "revision": 1, "status": "photo", "photo_id": row["photo_id"]} for row in photos
    ]
    store.append("patients", rows_to_table("patients", [{"patient_id": "patient", "revision": 1}]), "run")
    lesion = {"lesion_id": "lesion", "patient_id": "patient", "revision": 1} | lesion
    store.append("lesions", rows_to_table("lesions", [lesion]), "run")
    store.append("photos", rows_to_table("photos", photos), "run")
    store.append("files", rows_to_table("files", files), "run")


def work_on(store: Store, settings: Settings, levels=None) -> Store:
    """Write a row for every photo and pair stage that is pending."""
    for stages, key in ((PHOTO_STAGES, "photo_id"), (PAIR_STAGES, "pair_id")):
        work = find_work(store, settings)
        for stage in stages:
            more = (levels or {}) if stage == "measures" else {}
            rows = [
                {key: entity, "fingerprint": work.expected[stage][entity]}
                | ({"lesion_id": "lesion"} if key == "pair_id" else {})
                | ROWS[stage]
                | more
                for entity in work.pending[stage]
            ]
            if rows:
                store.append(stage, rows_to_table(stage, rows), "run")
    return store


def decide_on(store: Store, settings: Settings):
    """The decisions that are pending, as rows."""
    work = find_work(store, settings)
    return run_decisions(work, work.in_use["change"].release).rows["decisions"]
