"""The stages that work on one photo, which is decoded once for all of them.

What several stages need (artefacts, the ruler, the network's look, the outline) is found once, by the first that asks;
so their order is free, but for that of their commits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache

from longderm.imaging import (
    Measures,
    Scale,
    Segmentation,
    Sight,
    assess_coverage,
    assess_quality,
    find_scale,
    find_structures,
    measure,
    preview,
    read_ruler,
    see,
    segment,
)
from longderm.imaging.artefacts import find_artefacts
from longderm.imaging.lesion_looks import ColourCluster
from longderm.imaging.sight import uses_network
from longderm.photo import Photo
from longderm.schema import RESULT_COLUMNS, TBP_COLUMNS
from longderm.stages.place import BatchResult, Place, UnavailableError, decode_mask, encode_jpeg, encode_mask, rounded
from longderm.stages.work import PHOTO_STAGES, SCALE_COLUMNS, Row, Work
from longderm.store import Store

#: Fields of `Measures` that are columns of `measures` by the same name.
_MEASURED = tuple(field.name for field in fields(Measures) if field.name in RESULT_COLUMNS["measures"])


@dataclass(frozen=True)
class PhotoWork:
    """One photo and its pending stages (stage -> fingerprint); `mask`, `scale`: its present rows, if it has any."""

    photo: Row
    todo: dict[str, str]
    mask: Row | None
    scale: Row | None


def photo_work(work: Work) -> list[PhotoWork]:
    """Every photo with a pending stage, sorted by id."""
    pending = {stage: set(work.pending[stage]) for stage in PHOTO_STAGES}
    ids = sorted(set().union(*pending.values()))
    return [
        PhotoWork(
            work.photos[i],
            {stage: work.expected[stage][i] for stage in PHOTO_STAGES if i in pending[stage]},
            work.result("masks", i),
            work.result("scales", i),
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
    releases = place.fingerprinter().releases
    release = releases["segmentation"]
    artefacts = cache(lambda: find_artefacts(photo.pixels))
    ruler = cache(lambda: read_ruler(photo))
    present: dict[str, Row | None] = {"scales": item.scale}

    @cache
    def sight() -> Sight | None:
        return see(photo, release) if uses_network(release) else None

    @cache
    def drawn() -> Segmentation:
        if "masks" in item.todo:
            return segment(photo, release, sight(), artefacts())
        return read_mask(item.mask, photo.shape, store)

    def previews() -> Row:
        pixels, reduced = preview(photo)
        return {"preview_object": store.put_object(encode_jpeg(pixels), ".jpg"), "preview_scale": reduced}

    def scales() -> Row:
        return scale_row(find_scale(photo, ruler()))

    def quality() -> Row:
        judged = assess_quality(photo, artefacts(), drawn(), releases["quality"])
        covered = assess_coverage(photo, ruler(), artefacts())
        return {
            "score": judged.score,
            "reasons": list(judged.reasons),
            "expected_error": judged.expected_error,
            **judged.features,
            "ink_fraction": covered.ink,
            "ruler_fraction": covered.ruler,
            "sticker_fraction": covered.sticker,
            "black_border_fraction": covered.black_border,
            "dark_corner_fraction": covered.dark_corners,
        }

    def structures() -> Row:
        seen = find_structures(photo, release, sight()) if uses_network(release) else None
        return {} if seen is None else seen.as_dict() | {"model": seen.model}

    def measures() -> Row:
        scaled = read_scaled(photo, present["scales"])
        return measures_row(measure(scaled, drawn(), artefacts())) | {"model": drawn().model}

    compute: dict[str, Callable[[], Row]] = {
        "previews": previews,
        "scales": scales,
        "masks": lambda: mask_row(drawn(), store),
        "quality": quality,
        "structures": structures,
        "measures": measures,
    }
    for stage in PHOTO_STAGES:
        if stage not in item.todo:
            continue
        row: Row = {"photo_id": photo_id, "fingerprint": item.todo[stage]}
        try:
            computed = rounded(compute[stage]())
            if unknown := sorted(set(computed) - set(RESULT_COLUMNS[stage])):
                raise KeyError(f"table {stage} has no column {', '.join(unknown)}")
            row |= computed
        except Exception as error:  # one photo's failure is a row, whatever it is; the run goes on
            row["failure"] = f"failed:{type(error).__name__}"
        result.rows[stage].append(row)
        present[stage] = row  # later stages see what the table holds, now and after a restart


def scale_row(scale: Scale) -> Row:
    """A scale as columns of `scales`."""
    read = scale.ruler.scale
    return {
        "px_per_mm": scale.px_per_mm,
        "px_per_mm_source": scale.source,
        "px_per_mm_error": scale.error,
        "ruler_px_per_mm": None if read is None else read.px_per_mm,
        "ruler_error": None if read is None else read.error,
        "ruler_reason": scale.ruler.reason,
        "caveats": list(scale.caveats),
    }


def read_scaled(photo: Photo, row: Row | None) -> Photo:
    """A photo with the scale that a row of `scales` describes; with the stated one where none could be sought."""
    if row is None or row.get("failure"):
        return photo
    new = tuple(code for code in row["caveats"] or () if code not in photo.meta.caveats)
    scale = {name: row[name] for name in SCALE_COLUMNS}
    return replace(photo, meta=replace(photo.meta, **scale, caveats=(*photo.meta.caveats, *new)))


def measures_row(measured: Measures) -> Row:
    """Measures as columns of `measures`; structures have a table of their own."""
    row = {name: getattr(measured, name) for name in _MEASURED}
    colours = None if measured.colours is None else [_colour(cluster) for cluster in measured.colours]
    return row | dict(measured.tbp) | {"colours": colours}


def read_measures(row: Row) -> Measures:
    """The measures that a row of `measures` describes. Raises LookupError when the stage failed on this photo."""
    if row["failure"]:
        raise LookupError("the photo has no measures")
    colours = row["colours"]
    return Measures(
        **{name: row[name] for name in _MEASURED if name != "colours"},
        colours=None if colours is None else tuple(_cluster(colour) for colour in colours),
        tbp={name: row[name] for name in TBP_COLUMNS},
    )


def _colour(cluster: ColourCluster) -> Row:
    lightness, a, b = cluster.lab
    return {"name": cluster.name, "share": cluster.share, "lightness": lightness, "a": a, "b": b}


def _cluster(colour: Row) -> ColourCluster:
    return ColourCluster(colour["name"], colour["share"], (colour["lightness"], colour["a"], colour["b"]))


def mask_row(drawn: Segmentation, store: Store) -> Row:
    """A segmentation as a row of `masks`; its mask is kept as an object."""
    return {
        "found": drawn.found,
        "confidence": drawn.confidence,
        "reason": drawn.reason,
        "touches_border": drawn.touches_border,
        "area_error": drawn.area_error,
        "mask_object": store.put_object(encode_mask(drawn.mask), ".png") if drawn.found else None,
        "model": drawn.model,
    }


def read_mask(row: Row | None, shape: tuple[int, int], store: Store) -> Segmentation:
    """The segmentation that a row of `masks` describes, on the native grid of `shape` (height, width).

    Raises LookupError when the stage failed on this photo.
    """
    import numpy as np

    if row is None or row["failure"]:
        raise LookupError("the photo has no mask")
    mask = decode_mask(store.read_object(row["mask_object"])) if row["mask_object"] else np.zeros(shape, np.bool_)
    return Segmentation(
        mask=mask,
        confidence=row["confidence"],
        found=row["found"],
        reason=row["reason"],
        touches_border=bool(row["touches_border"]),
        model=row["model"],
        area_error=row["area_error"],
    )
