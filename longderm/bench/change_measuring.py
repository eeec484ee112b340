"""One pair of the change benchmark through the pipeline as released, and what the baselines make of it: one row.

A row holds every measured difference, so that another release of measured differences is scored from the row alone; the
aligned crops lie beside it, so that a network is scored without rendering or aligning anything again.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from longderm.bench.change_baselines import BASELINES, Aligned
from longderm.bench.change_pairs import ChangePair, ChangeSpec, make_pair
from longderm.bench.rows import Row
from longderm.change.appearance import place_heat
from longderm.change.crops import Crops, cut_crops
from longderm.change.evidence import (
    APPEARANCE,
    NoiseModel,
    Observation,
    conformal_p_value,
    score_of,
    to_delta,
    to_observation,
)
from longderm.change.result import Change
from longderm.errors import UsageError
from longderm.imaging.fit import dice
from longderm.models import Release
from longderm.registration.warp import warp_to_baseline
from longderm.threads import one_thread

#: The fields by which rows of one pair are the same in every run.
_DECIMALS = 6


def measure_row(spec: ChangeSpec, folder: Path, split: str, release: Release, crops_to: Path | None) -> Row:
    """Make the pair of a spec, score it, compare it; `refused` says why there is no score, or is None.

    crops_to: folder for the aligned crops (see `write_crops`), None for none.
    """
    with one_thread():
        pair = make_pair(spec, folder, split)
        row: Row = {
            "name": spec.name,
            "stratum": spec.stratum,
            "number": spec.number,
            "photo": pair.photo,
            "changed": spec.changed,
            "size": round(pair.size, 4),
            "asymmetry_moved": None if pair.asymmetry_moved is None else [round(m, 4) for m in pair.asymmetry_moved],
        }
        return row | compare(pair, release, None if crops_to is None else crops_to / f"{spec.name}.png")


def compare(pair: ChangePair, release: Release, crops_to: Path | None = None) -> Row:
    """What the pipeline and the baselines say of a pair, and where, as plain numbers; `withheld`: the rule that would
    not let the result out, or None."""
    from longderm.bench.pair_facts import pair_facts, see_pair
    from longderm.change.common_view import build_common_view
    from longderm.change.score import score_change
    from longderm.governance import withheld_by
    from longderm.photo import Photo
    from longderm.registration.similarity import distance, scale_of

    photos = Photo.from_array(pair.baseline), Photo.from_array(pair.followup)
    seen = see_pair(photos)
    alignment, masks = seen.alignment, seen.masks
    facts = pair_facts(*seen.facts, alignment, None, float(release.config["alpha"]))
    change = score_change(*photos, alignment=alignment, segmentations=masks, artefacts=seen.artefacts, release=release)
    if change.score is None or alignment.matrix is None or change.heatmap is None:
        return {"refused": change.reasons[0].split(":")[0], "detail": change.reasons[0]}
    matrix = np.asarray(alignment.matrix, np.float64)
    drawn = masks[0].mask, masks[1].mask
    y, x = np.nonzero(pair.baseline_mask)
    radius = math.sqrt(max(1, len(x)) / math.pi)
    apart = distance(matrix, pair.matrix, complex(x.mean(), y.mean()), 1.2 * radius)
    crops = cut_crops((pair.baseline, pair.followup), drawn, matrix)
    view = build_common_view(*photos, matrix, drawn, artefacts=seen.artefacts)
    known = Aligned(view, change, crops)
    row: Row = {
        "refused": None,
        "withheld": withheld_by(change, facts),
        "score": change.score,
        "named_reasons": list(change.named_reasons),
        "p_value": change.p_value,
        "model": release.digest,
        "observations": {o.measure: round(o.value, _DECIMALS) for o in observations_of(change)},
        "baselines": {name: _rounded(method(known)) for name, method in BASELINES.items()},
        "misalignment": round(apart / (2.0 * radius * scale_of(pair.matrix)), 5),
        "dice": [round(dice(*both), 4) for both in zip(drawn, (pair.baseline_mask, pair.followup_mask), strict=True)],
    }
    if pair.where.any():
        brought, _ = warp_to_baseline(_grey(drawn[1]), matrix, pair.baseline.shape[:2])
        row |= where_figures(change.heatmap, drawn[0] | (brought[..., 0] > 127), pair.where, 2.0 * radius)
    if crops_to is not None:
        write_crops(crops_to, crops, pair.where)
    return row


def observations_of(change: Change) -> list[Observation]:
    """The measured differences of a change as they enter the score; sizes in mm are none of them."""
    return [found for delta in change.deltas if (found := to_observation(delta)) is not None]


def where_figures(
    heat: NDArray[np.float32], either: NDArray[np.bool_], where: NDArray[np.bool_], diameter: float
) -> Row:
    """How a heat map meets the true change, inside `either` lesion.

    hot_away: distance of its hottest point from the change as a share of the lesion's diameter, 0 inside; iou: of the
    true change with as many of the map's hottest pixels. All arrays (H, W) on the baseline's grid; None without heat.
    """
    import cv2

    judged = either & np.isfinite(heat)
    if not judged.any():
        return {"hot_away": None, "iou": None}
    values = np.where(judged, heat, -np.inf).ravel()
    away = cv2.distanceTransform((~where).astype(np.uint8), cv2.DIST_L2, 5)
    count = int(min(where.sum(), judged.sum()))
    hottest = np.zeros(values.size, bool)
    hottest[np.argpartition(values, values.size - count)[values.size - count :]] = True
    both = int((hottest & where.ravel()).sum())
    return {
        "hot_away": round(float(away.ravel()[int(np.argmax(values))]) / diameter, 4),
        "iou": round(both / max(1, int(hottest.sum()) + int(where.sum()) - both), 4),
    }


def rescored(row: Row, release: Release, crops_from: Path) -> Row:
    """The row as another release than the one that measured it would give it, from what was measured; a network looks
    at the crops of `crops_from`. Raises UsageError where they were not kept."""
    from longderm.change.appearance import appearance_network, compare_appearance

    # Rows of before a network named more than one reason are looked at again.
    if row["refused"] is not None or (row["model"] == release.digest and "named_reason" not in row):
        return row
    model = NoiseModel.from_config(release.config)
    observed = {name: value for name, value in row["observations"].items() if name != APPEARANCE}
    network = appearance_network(release)
    if network is not None:
        crops, where = read_crops(crops_from / f"{row['name']}.png")
        appearance = compare_appearance(crops, network)
        observed[APPEARANCE] = round(appearance.difference, _DECIMALS)
        exceeds = to_delta(appearance.observation, model).exceeds_mdc
        row = row | {"named_reasons": list(appearance.named_reasons) if exceeds else []}
        if where.any():
            # The crop's pixels are as good as the photo's: all is told in shares of the lesion.
            diameter = 2.0 * math.sqrt(max(1, int(crops.baseline_lesion.sum())) / math.pi)
            heat = place_heat(appearance.where, replace(crops, matrix=np.eye(3)), where.shape)
            row = row | where_figures(heat, crops.baseline_lesion | crops.followup_lesion, where, diameter)
    row = {name: value for name, value in row.items() if name != "named_reason"}
    values = [Observation(name, float(value)) for name, value in sorted(observed.items())]
    score = score_of(values, model)
    p_value = conformal_p_value(score, model.calibration, model.alpha)
    return row | {"score": score, "p_value": p_value, "model": release.digest, "observations": observed}


def read_crops(path: Path) -> tuple[Crops, NDArray[np.bool_]]:
    """The crops that `write_crops` wrote, without their place in the photo, and the true change on their grid."""
    import cv2

    drawn = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if drawn is None:
        raise UsageError(f"{path.name} is not in the crops of --out; measure the pairs anew with --resume 0")
    sheet = np.ascontiguousarray(drawn[..., ::-1]).astype(np.uint8)
    side = sheet.shape[0]
    change, seen, lesions = (sheet[:, 2 * side :, channel] for channel in range(3))
    crops = Crops(
        sheet[:, :side],
        sheet[:, side : 2 * side],
        seen > 127,
        (lesions & 128) > 0,
        (lesions & 64) > 0,
        np.full((3, 3), np.nan),
    )
    return crops, change > 127


def write_crops(path: Path, crops: Crops, where: NDArray[np.bool_]) -> None:
    """Write a PNG of three squares side by side: baseline, follow-up, and in the third what is known of each pixel.

    Its red channel: the true change; green: 255 where both photos have pixels; blue: 128 baseline lesion, +64 follow-up
    lesion, as the pipeline drew them.
    """
    import cv2

    change, _ = warp_to_baseline(_grey(where), crops.matrix, crops.seen.shape)
    lesions = crops.baseline_lesion * 128 + crops.followup_lesion * 64
    known = np.stack([change[..., 0], crops.seen * 255, lesions], axis=2).astype(np.uint8)
    sheet = np.hstack([crops.baseline, crops.followup, known])
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.ascontiguousarray(sheet[..., ::-1]))


def _grey(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DECIMALS)
