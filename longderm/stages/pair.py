"""The stages that work on a pair: alignments and changes. A lesion's photos are decoded and prepared once."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from longderm.archive import row_meta
from longderm.archive.reduced import ReducedDecode
from longderm.change import Change, score_change
from longderm.change.common_view import COMPARISON_SIDE_PX, followup_share
from longderm.errors import RefusedError
from longderm.imaging import Measures, Segmentation
from longderm.imaging.artefacts import ARTEFACT_SIDE_PX
from longderm.photo import Photo
from longderm.registration import Alignment, Prepared, align, prepare, warp_to_baseline
from longderm.registration.preparation import WORK_SIDE_PX
from longderm.stages.photo import read_mask, read_measures, read_scaled
from longderm.stages.place import BatchResult, Place, UnavailableError, encode_jpeg, rounded
from longderm.stages.reduced import ReducedGrid, lower_matrix
from longderm.stages.work import PAIR_STAGES, Pair, Row, Work
from longderm.store import Store


@dataclass(frozen=True)
class PairWork:
    """One pair, its pending stages, and the present rows it stands on (photo id -> row)."""

    pair: Pair
    todo: dict[str, str]
    alignment: Row | None
    masks: dict[str, Row]
    measures: dict[str, Row]
    previews: dict[str, Row]
    scales: dict[str, Row]


#: No copy that a pair is aligned, compared and shown on has a longer side than this (artefacts and comparison grid),
#: but for a follow-up that shows more of the skin than its baseline (`followup_share`).
FINEST_SIDE_PX = max(ARTEFACT_SIDE_PX, COMPARISON_SIDE_PX, WORK_SIDE_PX)
#: A photo is decoded at reduced size where so many of its pixels are still averaged, along each axis, into one of the
#: finest copy: what tells a scaled inverse DCT from averaging all pixels lies near the limit of the reduced decode's
#: resolution, and an average over two of its pixels removes that.
LEAST_OVERSAMPLING = 2


@dataclass(frozen=True, eq=False)
class _Ready:
    """A photo to be compared. `photo` and `segmentation` are on `grid`, `prepared` is on the native one."""

    photo: Photo
    segmentation: Segmentation
    prepared: Prepared
    grid: ReducedGrid


def pair_work(work: Work) -> list[list[PairWork]]:
    """Every pair with a pending stage whose photos are done, grouped by lesion, sorted."""
    pending = {stage: set(work.pending[stage]) for stage in PAIR_STAGES}
    lesions: dict[str, list[PairWork]] = defaultdict(list)
    for pair_id in sorted(set().union(*pending.values())):
        pair = work.pairs[pair_id]
        ids = (pair.baseline["photo_id"], pair.followup["photo_id"])
        stages = ("masks", "measures", "previews", "scales")
        masks, measures, previews, scales = (_results(work, stage, ids) for stage in stages)
        if masks is None or measures is None or previews is None or scales is None:
            continue  # a photo was unavailable; its pairs wait with it
        todo = {stage: work.expected[stage][pair_id] for stage in PAIR_STAGES if pair_id in pending[stage]}
        alignment = work.result("alignments", pair_id)
        lesions[pair.lesion_id].append(PairWork(pair, todo, alignment, masks, measures, previews, scales))
    return [lesions[lesion] for lesion in sorted(lesions)]


def _results(work: Work, stage: str, photo_ids: Sequence[str]) -> dict[str, Row] | None:
    """The present row of each photo; None where one is missing."""
    rows = {photo_id: row for photo_id in photo_ids if (row := work.result(stage, photo_id)) is not None}
    return rows if len(rows) == len(set(photo_ids)) else None


def run_pair_batch(batch: Sequence[Sequence[PairWork]], place: Place) -> BatchResult:
    """Work on the pairs of some lesions; what fails on one pair becomes its row."""
    result = BatchResult()
    started = time.process_time()
    store = place.open_store()
    for lesion in batch:
        ready: dict[str, _Ready | Exception] = {}
        for item in lesion:
            _work_on(item, ready, place, store, result)
            result.entities += 1
    result.cpu_s = time.process_time() - started
    return result


def _work_on(
    item: PairWork, ready: dict[str, _Ready | Exception], place: Place, store: Store, result: BatchResult
) -> None:
    pair = item.pair
    alignment: Alignment | None = None
    if item.alignment is not None and not item.alignment["failure"]:
        alignment = read_alignment(item.alignment)
    for stage in PAIR_STAGES:
        if stage not in item.todo:
            continue
        row: Row = {"pair_id": pair.pair_id, "fingerprint": item.todo[stage], "lesion_id": pair.lesion_id}
        if stage == "alignments":
            row |= {
                "modality": pair.modality,
                "baseline_photo_id": pair.baseline["photo_id"],
                "followup_photo_id": pair.followup["photo_id"],
                "policy": pair.policy,
                "interval_days": pair.interval_days,
            }
        try:
            baseline, followup = (
                _get_ready(photo, item, ready, place, store) for photo in (pair.baseline, pair.followup)
            )
            if stage == "alignments":
                alignment = align(baseline.prepared, followup.prepared)
                row |= alignment_row(alignment)
                alignment = read_alignment(row)  # later stages see what the table holds, now and after a restart
            else:
                if alignment is None:
                    raise LookupError("the pair has no alignment")
                row |= _change(item, baseline, followup, alignment, place, store)
        except RefusedError:
            raise  # a release that cannot be used is no photo that is not at hand, though both are OSErrors
        except (UnavailableError, OSError):
            result.unavailable.append(pair.followup["file_ref"])
            return
        except Exception as error:  # one pair's failure is a row, whatever it is; the run goes on
            row["failure"] = f"failed:{type(error).__name__}"
        result.rows[stage].append(row)


def _get_ready(photo: Row, item: PairWork, ready: dict[str, _Ready | Exception], place: Place, store: Store) -> _Ready:
    photo_id = photo["photo_id"]
    if photo_id not in ready:
        try:
            opened = place.read_reduced(photo, LEAST_OVERSAMPLING * FINEST_SIDE_PX)
            ready[photo_id] = (
                _at_full_size(photo, item, place, store) if opened is None else _reduced(opened, photo, item, store)
            )
        except Exception as error:  # kept, so that each pair of this photo says the same
            ready[photo_id] = error
    found = ready[photo_id]
    if isinstance(found, Exception):
        raise found
    return found


def _at_full_size(photo: Row, item: PairWork, place: Place, store: Store) -> _Ready:
    photo_id = photo["photo_id"]
    pixels = read_scaled(place.read(photo), item.scales[photo_id])
    segmentation = read_mask(item.masks[photo_id], pixels.shape, store)
    return _Ready(pixels, segmentation, prepare(pixels, segmentation), ReducedGrid(pixels.shape, pixels.shape))


def _reduced(decoded: ReducedDecode, photo: Row, item: PairWork, store: Store) -> _Ready:
    """A photo that was decoded at reduced size, with its mask on that grid."""
    photo_id = photo["photo_id"]
    grid = ReducedGrid(decoded.native_shape, (decoded.pixels.shape[0], decoded.pixels.shape[1]))
    native = read_scaled(Photo(decoded.pixels, row_meta(photo)), item.scales[photo_id]).meta
    pixels = Photo(decoded.pixels, grid.lower_meta(native))
    drawn = read_mask(item.masks[photo_id], grid.native, store)
    segmentation = replace(drawn, mask=grid.lower_mask(drawn.mask))
    return _Ready(pixels, segmentation, prepare(pixels, segmentation).lifted(grid.native, native), grid)


def alignment_row(alignment: Alignment) -> Row:
    """An alignment as columns of `alignments`."""
    matrix = None if alignment.matrix is None else [float(f"{v:.12g}") for v in alignment.matrix.ravel()]
    return {"matrix": matrix} | rounded(
        {
            "accepted": bool(alignment.accepted),
            "confidence": alignment.confidence,
            "reason": alignment.reason,
            "overlap": alignment.overlap,
            "scale": alignment.scale,
            "rotation_deg": alignment.rotation_deg,
            "skin_scale": alignment.skin_scale,
            "lesion_scale": alignment.lesion_scale,
            "residual": alignment.residual,
            "cautions": list(alignment.cautions),
        }
    )


def read_alignment(row: Row) -> Alignment:
    """The alignment that a row of `alignments` describes."""
    matrix = None if row["matrix"] is None else np.array(row["matrix"], np.float64).reshape(3, 3)
    return Alignment(
        matrix=matrix,
        accepted=row["accepted"],
        confidence=row["confidence"],
        reason=row["reason"],
        overlap=row["overlap"],
        scale=row["scale"],
        rotation_deg=row["rotation_deg"],
        skin_scale=row["skin_scale"],
        lesion_scale=row["lesion_scale"],
        cautions=tuple(row["cautions"] or ()),
        residual=row["residual"],
    )


@dataclass(frozen=True, eq=False)
class ComparedPair:
    """A pair as it is compared, (baseline, follow-up) each: all on the grids that the photos were decoded on."""

    photos: tuple[Photo, Photo]
    segmentations: tuple[Segmentation, Segmentation]
    measures: tuple[Measures, Measures]
    alignment: Alignment


def finished_pair(work: Work, pair_id: str) -> PairWork | None:
    """A pair with nothing to do and the rows it stands on; None where a stage is pending or failed on it."""
    pair = work.pairs[pair_id]
    ids = (pair.baseline["photo_id"], pair.followup["photo_id"])
    masks, measures, previews, scales = (
        _results(work, stage, ids) for stage in ("masks", "measures", "previews", "scales")
    )
    alignment = work.result("alignments", pair_id)
    if masks is None or measures is None or previews is None or scales is None or alignment is None:
        return None
    failed = any(row["failure"] for rows in (masks, measures) for row in rows.values()) or alignment["failure"]
    return None if failed else PairWork(pair, {}, alignment, masks, measures, previews, scales)


def open_compared(item: PairWork, place: Place) -> ComparedPair:
    """A finished pair (`finished_pair`) opened again, for another way to compare it.

    Raises UnavailableError where a photo's file is gone.
    """
    assert item.alignment is not None
    ready: dict[str, _Ready | Exception] = {}
    store, photos = place.open_store(), (item.pair.baseline, item.pair.followup)
    baseline, followup = (_get_ready(photo, item, ready, place, store) for photo in photos)
    return _compared(item, baseline, followup, read_alignment(item.alignment), place, store)


def _compared(
    item: PairWork, baseline: _Ready, followup: _Ready, alignment: Alignment, place: Place, store: Store
) -> ComparedPair:
    photos = (item.pair.baseline, item.pair.followup)
    first, second = (read_measures(item.measures[photo["photo_id"]]) for photo in photos)
    if followup.grid.is_reduced and alignment.matrix is not None:
        matrix = lower_matrix(alignment.matrix, baseline.grid, followup.grid)
        if followup_share(baseline.photo.shape, matrix) > 1 / LEAST_OVERSAMPLING:
            # Of a follow-up that shows more of the skin than its baseline, the comparison grid holds finer detail.
            followup = _at_full_size(photos[1], item, place, store)
    if baseline.grid.is_reduced or followup.grid.is_reduced:
        first, second = baseline.grid.lower_measures(first), followup.grid.lower_measures(second)
        if alignment.matrix is not None:
            alignment = replace(alignment, matrix=lower_matrix(alignment.matrix, baseline.grid, followup.grid))
    return ComparedPair(
        (baseline.photo, followup.photo), (baseline.segmentation, followup.segmentation), (first, second), alignment
    )


def _change(
    item: PairWork, baseline: _Ready, followup: _Ready, alignment: Alignment, place: Place, store: Store
) -> Row:
    compared = _compared(item, baseline, followup, alignment, place, store)
    alignment = compared.alignment
    change = score_change(
        *compared.photos,
        alignment=alignment,
        segmentations=compared.segmentations,
        measures=compared.measures,
        release=place.fingerprinter().releases["change"],
        interval_days=item.pair.interval_days,
    )
    row = rounded(
        {
            "score": change.score,
            "p_value": change.p_value,
            "area_change_percent": change.area_change_percent,
            "area_change_mm2": change.area_change_mm2,
            "model": change.model,
        }
    )
    row["reasons"] = list(change.reasons)
    row["deltas"] = [rounded(asdict(delta)) for delta in change.deltas]
    if alignment.matrix is not None and alignment.accepted:
        row |= _pictures(change, *compared.photos, alignment.matrix, store)
    return row


def _pictures(change: Change, baseline: Photo, followup: Photo, matrix: NDArray[np.float64], store: Store) -> Row:
    """The follow-up in the baseline's frame, and the difference over it, both on the baseline's preview grid."""
    from longderm.change import draw_heatmap
    from longderm.change.result import LAB
    from longderm.imaging import preview

    small, scale = preview(baseline)
    small_followup, followup_scale = preview(followup)
    between = _grid_scale(followup_scale) @ matrix @ np.linalg.inv(_grid_scale(scale))
    warped, _ = warp_to_baseline(small_followup, between, small.shape[:2])
    row: Row = {"aligned_object": store.put_object(encode_jpeg(warped), ".jpg")}
    if change.heatmap is not None:
        row["heatmap_object"] = store.put_object(
            encode_jpeg(draw_heatmap(change.heatmap, small, change.heatmap_unit or LAB)), ".jpg"
        )
    return row


def _grid_scale(scale: float) -> NDArray[np.float64]:
    """Native to preview coordinates, pixel centres at integers."""
    shift = (scale - 1.0) / 2.0
    return np.array([[scale, 0.0, shift], [0.0, scale, shift], [0.0, 0.0, 1.0]])
