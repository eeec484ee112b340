"""The truth of a simulated archive: lesions, photos and pairs as Parquet, with fixed schemas."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from longderm.simulate.history import VISIBLE_TAN, LesionState, changed_ways

#: Raised when a column changes.
TRUTH_VERSION = 1

_F64, _I32, _STRING = pa.float64(), pa.int32(), pa.string()

LESION_SCHEMA = pa.schema(
    [
        ("maker", _STRING),
        ("patient_id", _STRING),
        ("lesion_id", _STRING),
        ("tracking_uid", _STRING),
        ("kind", _STRING),
        ("population", _STRING),
        ("malignant", pa.bool_()),
        ("evolving", pa.bool_()),
        ("site", _STRING),
        ("growth_mm2_per_month", _F64),
        ("onset_month", _F64),
        ("visit_dates", pa.list_(pa.date32())),
        ("visit_months", pa.list_(_F64)),
        ("area_mm2", pa.list_(_F64)),
        ("radius_mm", pa.list_(_F64)),
    ]
)

PHOTO_SCHEMA = pa.schema(
    [
        ("path", _STRING),
        ("maker", _STRING),
        ("patient_id", _STRING),
        ("lesion_id", _STRING),
        ("date", pa.date32()),
        ("visit", _I32),
        ("modality", _STRING),
        ("device", _STRING),
        ("width_px", _I32),
        ("height_px", _I32),
        ("px_per_mm", _F64),
        ("px_per_mm_stated", _F64),
        ("matrix", pa.list_(_F64)),
        ("area_mm2", _F64),
        ("area_px", _F64),
        ("radius_mm", _F64),
        ("cut_by_border", pa.bool_()),
        ("blur_px", _F64),
        ("motion_px", _F64),
        ("artefacts", pa.list_(_STRING)),
        ("quality", _STRING),
        ("tan", _F64),
        ("encoding", _STRING),
        ("exif_orientation", _I32),
        ("colour_profile", _STRING),
        ("mask_path", _STRING),
        ("defect", _STRING),
        ("expected_status", _STRING),
        ("expected_reason", _STRING),
    ]
)

PAIR_SCHEMA = pa.schema(
    [
        ("baseline_path", _STRING),
        ("followup_path", _STRING),
        ("maker", _STRING),
        ("patient_id", _STRING),
        ("lesion_id", _STRING),
        ("modality", _STRING),
        ("interval_days", _I32),
        ("matrix", pa.list_(_F64)),
        ("residual_px", _F64),
        ("scale", _F64),
        ("rotation_deg", _F64),
        ("area_change_mm2", _F64),
        ("area_change_percent", _F64),
        ("changed", pa.bool_()),
        ("ways", pa.list_(_STRING)),
        ("malignant_change", pa.bool_()),
        ("tanning", pa.bool_()),
    ]
)

#: The distance from the lesion's centre over which a pair's similarity is fitted to the true (affine) map, mm.
FIT_RADIUS_MM = 5.0


def closest_similarity(affine: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """The similarity (3, 3) nearest to an affine map over a disc around `centre` (2,), which it maps exactly."""
    a = (affine[0, 0] + affine[1, 1]) / 2
    b = (affine[1, 0] - affine[0, 1]) / 2
    linear = np.array([[a, -b], [b, a]])
    result = np.eye(3)
    result[:2, :2] = linear
    result[:2, 2] = affine[:2, :2] @ centre + affine[:2, 2] - linear @ centre
    return result


def pair_rows(photos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every pair of photos of one lesion and modality on two days; rows carry `_state`, `_evolving`, `_malignant`."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for photo in photos:
        if photo["lesion_id"] is not None and photo["matrix"] is not None and photo["defect"] is None:
            groups[(photo["maker"], photo["patient_id"], photo["lesion_id"], photo["modality"])].append(photo)
    rows = []
    for key in sorted(groups):
        ordered = sorted(groups[key], key=lambda photo: (photo["date"], photo["path"]))
        rows += [_pair(a, b) for a, b in combinations(ordered, 2) if a["date"] < b["date"]]
    return rows


def _pair(baseline: dict[str, Any], followup: dict[str, Any]) -> dict[str, Any]:
    first, second = (np.array(photo["matrix"]).reshape(3, 3) for photo in (baseline, followup))
    affine = second @ np.linalg.inv(first)
    similarity = closest_similarity(affine, first[:2, 2])
    # Root mean square over a disc of radius r of a linear residual D x is |D|_F r / 2.
    off = affine[:2, :2] - similarity[:2, :2]
    residual = float(np.linalg.norm(off)) * FIT_RADIUS_MM * baseline["px_per_mm"] / 2
    before, after = LesionState(*baseline["_state"]), LesionState(*followup["_state"])
    ways = changed_ways(before, after) if baseline["_evolving"] else ()
    gained = after.area_mm2 - before.area_mm2
    return {
        "baseline_path": baseline["path"],
        "followup_path": followup["path"],
        "maker": baseline["maker"],
        "patient_id": baseline["patient_id"],
        "lesion_id": baseline["lesion_id"],
        "modality": baseline["modality"],
        "interval_days": (followup["date"] - baseline["date"]).days,
        "matrix": [round(float(v), 9) for v in similarity.ravel()],
        "residual_px": round(residual, 6),
        "scale": round(float(np.sqrt(np.linalg.det(similarity[:2, :2]))), 9),
        "rotation_deg": round(float(np.degrees(np.arctan2(similarity[1, 0], similarity[0, 0]))), 6),
        "area_change_mm2": round(gained, 6),
        "area_change_percent": round(100 * gained / before.area_mm2, 6),
        "changed": bool(ways),
        "ways": list(ways),
        "malignant_change": bool(ways) and baseline["_malignant"],
        "tanning": round(abs(followup["tan"] - baseline["tan"]), 6) >= VISIBLE_TAN,
    }


def write_truth(out: Path, lesions: list[dict[str, Any]], photos: list[dict[str, Any]]) -> int:
    """Write `truth/*.parquet` under `out` and give the number of pairs."""
    folder = out / "truth"
    folder.mkdir(parents=True, exist_ok=True)
    pairs = pair_rows(photos)
    for name, schema, rows in (
        ("lesions", LESION_SCHEMA, lesions),
        ("photos", PHOTO_SCHEMA, sorted(photos, key=lambda row: row["path"])),
        ("pairs", PAIR_SCHEMA, pairs),
    ):
        columns = {field.name: [row[field.name] for row in rows] for field in schema}
        named = schema.with_metadata({b"longderm.truth_version": str(TRUTH_VERSION).encode()})
        pq.write_table(pa.table(columns, schema=named), folder / f"{name}.parquet", compression="zstd")
    return len(pairs)
