"""The stages that work on one photo: previews, quality, masks, measures. A photo is decoded once for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache

from longderm.imaging import Segmentation, assess_quality, measure, preview, segment
from longderm.imaging.artefacts import find_artefacts
from longderm.photo import Photo
from longderm.stages.place import BatchResult, Place, UnavailableError, decode_mask, encode_jpeg, encode_mask, rounded
from longderm.stages.work import PHOTO_STAGES, Row, Work
from longderm.store import Store


@dataclass(frozen=True)
class PhotoWork:
    """One photo and its pending stages (stage -> fingerprint); `mask` is its present row of `masks`, if it has one."""

    photo: Row
    todo: dict[str, str]
    mask: Row | None


def photo_work(work: Work) -> list[PhotoWork]:
    """Every photo with a pending stage, sorted by id."""
    pending = {stage: set(work.pending[stage]) for stage in PHOTO_STAGES}
    ids = sorted(set().union(*pending.values()))
    return [
        PhotoWork(
            work.photos[i],
            {stage: work.expected[stage][i] for stage in PHOTO_STAGES if i in pending[stage]},
            work.result("masks", i),
        )
        for i in ids
    ]


def run_photo_batch(batch: Sequence[PhotoWork], place: Place) -> BatchResult:
    """Work on some photos; a failure on one becomes its row, or leaves it pending if its file is not at hand."""
    result = BatchResult()
    started = time.process_time()
    store = place.open_store()
    for item in batch:
        try:
            photo = place.read(item.photo)
        except (UnavailableError, OSError):
            result.unavailable.append(item.photo["file_ref"])
            continue
        _work_on(item, photo, place, store, result)
        result.entities += 1
    result.cpu_s = time.process_time() - started
    return result


def _work_on(item: PhotoWork, photo: Photo, place: Place, store: Store, result: BatchResult) -> None:
    photo_id = item.photo["photo_id"]
    segmentation: Segmentation | None = None
    # Hair, glare and the field of view are found once, by the first stage that asks.
    artefacts = cache(lambda: find_artefacts(photo.pixels))

    def add(stage: str, compute: Callable[[], Row]) -> None:
        row: Row = {"photo_id": photo_id, "fingerprint": item.todo[stage]}
        try:
            row |= rounded(compute())
        except Exception as error:  # one photo's failure is a row, whatever it is; the run goes on
            row["failure"] = f"failed:{type(error).__name__}"
        result.rows[stage].append(row)

    def previews() -> Row:
        pixels, scale = preview(photo)
        return {"preview_object": store.put_object(encode_jpeg(pixels), ".jpg"), "preview_scale": scale}

    def quality() -> Row:
        judged = assess_quality(photo, artefacts())
        return {"score": judged.score, "reasons": list(judged.reasons), **judged.features}

    def masks() -> Row:
        nonlocal segmentation
        segmentation = segment(photo, place.fingerprinter().releases["segmentation"], artefacts=artefacts())
        return mask_row(segmentation, store)

    def measures() -> Row:
        drawn = segmentation if segmentation is not None else read_mask(item.mask, photo, store)
        return asdict(measure(photo, drawn, artefacts())) | {"model": drawn.model}

    for stage, compute in (("previews", previews), ("quality", quality), ("masks", masks), ("measures", measures)):
        if stage in item.todo:
            add(stage, compute)


def mask_row(drawn: Segmentation, store: Store) -> Row:
    """A segmentation as a row of `masks`; its mask is kept as an object."""
    return {
        "found": drawn.found,
        "confidence": drawn.confidence,
        "reason": drawn.reason,
        "touches_border": drawn.touches_border,
        "mask_object": store.put_object(encode_mask(drawn.mask), ".png") if drawn.found else None,
        "model": drawn.model,
    }


def read_mask(row: Row | None, photo: Photo, store: Store) -> Segmentation:
    """The segmentation that a row of `masks` describes. Raises LookupError when the stage failed on this photo."""
    import numpy as np

    if row is None or row["failure"]:
        raise LookupError("the photo has no mask")
    mask = decode_mask(store.read_object(row["mask_object"])) if row["mask_object"] else np.zeros(photo.shape, np.bool_)
    return Segmentation(
        mask=mask,
        confidence=row["confidence"],
        found=row["found"],
        reason=row["reason"],
        touches_border=bool(row["touches_border"]),
        model=row["model"],
    )
