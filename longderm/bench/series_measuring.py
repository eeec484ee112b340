"""One simulated lesion, all its visits through the pipeline as released: one row of plain numbers.

Render, segment, measure, align, score, and the rules that would withhold a result. A row holds every measured
difference, so that any rule over pairs is judged from rows alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from longderm.bench.processes import one_thread_processes
from longderm.bench.rows import Row, start_rows
from longderm.models import Release
from longderm.photo import Photo
from longderm.simulate.history import MELANOMA_KINDS
from longderm.simulate.series import VisitPhoto, draw_monitored, photograph
from longderm.simulate.shots import SCALE_ERROR
from longderm.threads import one_thread

#: Decimals of what is kept: a row read back is the row.
_DECIMALS = 6
#: Lesions between two lines of progress.
_TOLD_EVERY = 50


@dataclass(frozen=True)
class SeriesSpec:
    """One lesion to simulate (see `longderm.simulate.series.draw_monitored`); `stratum` is what it is reported as.

    skin: Fitzpatrick's type, 1 to 6, that the lesion lies on instead of the patient's; 0: the patient's.
    """

    stratum: str
    seed: int
    index: int
    kind: str
    visits: int
    at_rest: bool = False
    skin: int = 0

    @property
    def name(self) -> str:
        """Names the row."""
        return f"{self.stratum}-{self.seed}-{self.index}" + (f"-skin{self.skin}" if self.skin else "")


def measured_rows(
    path: Path,
    described: dict[str, Any],
    specs: Sequence[SeriesSpec],
    release: Release,
    *,
    resume: bool = False,
    workers: int = 1,
    minutes: float = 0,
) -> list[Row]:
    """The rows of `specs`, in their order, each kept as a line of `path` as soon as it is measured.

    resume: goes on with the rows that are there; minutes: stops after so long with what there is (0: never). Raises
    UsageError for rows of another run than `described`.
    """
    rows = {row["name"]: row for row in start_rows(path, described, resume, "options again")}
    missing = [spec for spec in specs if spec.name not in rows]
    started = time.monotonic()
    with path.open("a") as file:
        for row in _measured(missing, release, workers):
            rows[row["name"]] = row
            file.write(json.dumps(row, sort_keys=True) + "\n")
            file.flush()
            if len(rows) % _TOLD_EVERY == 0:
                print(f"{len(rows)} of {len(specs)} lesions", flush=True)
            if minutes and time.monotonic() - started > 60 * minutes:
                break
    return [rows[spec.name] for spec in specs if spec.name in rows]


def _measured(specs: Sequence[SeriesSpec], release: Release, workers: int) -> Iterator[Row]:
    measure = partial(measure_series, release=release)
    if workers == 1:
        yield from map(measure, specs)
        return
    with one_thread_processes(workers) as pool:
        yield from pool.map(measure, specs, chunksize=2)


def measure_series(spec: SeriesSpec, release: Release) -> Row:
    """Simulate the lesion of a spec and put its visits through the pipeline.

    Pairs are every visit against the previous and against the first one, as the monitoring flow makes them; `withheld`
    names the rule that would withhold a pair's result, or is None.
    """
    with one_thread():
        plan = draw_monitored(spec.seed, spec.index, spec.kind, spec.visits, at_rest=spec.at_rest)
        plan = replace(plan, skin=spec.skin or plan.skin)
        history = plan.lesions[0].history
        row: Row = asdict(spec) | {
            "name": spec.name,
            "drawn": history.kind,
            "malignant": history.kind in MELANOMA_KINDS and not spec.at_rest,
            "evolving": history.evolving,
            "true_growth_mm2_per_month": round(history.growth_mm2_per_month, _DECIMALS),
        }
        return row | _pipeline(photograph(plan), release)


def _pipeline(visits: Sequence[VisitPhoto], release: Release) -> Row:
    from longderm.bench.pair_facts import photo_facts
    from longderm.governance.photos import QUALITY_MIN
    from longderm.imaging import measure, segment
    from longderm.registration import prepare

    photos = [_as_read(visit) for visit in visits]
    masks = [segment(photo) for photo in photos]
    told = [photo_facts(photo, mask) for photo, mask in zip(photos, masks, strict=True)]
    measures = [measure(photo, mask) for photo, mask in zip(photos, masks, strict=True)]
    ready = [prepare(photo, mask) for photo, mask in zip(photos, masks, strict=True)]
    days = [(visit.day - visits[0].day).days for visit in visits]
    rows: list[Row] = []
    for day, visit, mask, fact, taken in zip(days, visits, masks, told, measures, strict=True):
        # As the trajectory stage has it: of a cut lesion or a poor photo the area is not known.
        good = fact.quality_score is not None and fact.quality_score >= QUALITY_MIN
        usable = mask.found and not mask.touches_border and good
        rows.append(
            {
                "day": day,
                "true_area_mm2": round(visit.state.area_mm2, _DECIMALS),
                "area_px": _rounded(taken.area_px) if usable else None,
                "area_mm2": _rounded(taken.area_mm2) if usable else None,
                "device": visit.device.model,
            }
        )
    wanted = sorted({(start, end) for end in range(1, len(visits)) for start in (0, end - 1)})
    pairs = []
    for start, end in wanted:
        both = (photos[start], photos[end]), (masks[start], masks[end]), (measures[start], measures[end])
        seen, between = (told[start], told[end]), days[end] - days[start]
        placed = _pair(both, (ready[start], ready[end]), seen, between, release)
        pairs.append({"baseline": start, "followup": end, "interval_days": between} | placed)
    return {"visits_measured": rows, "pairs": pairs}


def _pair(both: Any, ready: Any, told: Any, days: int, release: Release) -> Row:
    from longderm.bench.pair_facts import pair_facts
    from longderm.change.score import scale_of, score_change
    from longderm.governance import withheld_by
    from longderm.registration import align

    photos, masks, measures = both
    alignment = align(*ready)
    scale = None
    if alignment.accepted and alignment.matrix is not None:
        scale = round(scale_of(alignment.matrix), _DECIMALS)
    facts = pair_facts(told[0], told[1], alignment, days, release.config["alpha"])
    withheld = withheld_by(None, facts)
    if withheld is not None:
        return {"withheld": withheld, "scale": scale}
    change = score_change(*photos, alignment=alignment, segmentations=masks, measures=measures, release=release)
    withheld = withheld_by(change, facts) if change.score is not None else "no_score"
    if withheld is not None:
        return {"withheld": withheld, "scale": scale}
    deltas = {
        d.measure: [_rounded(d.delta), _rounded(d.mdc)] for d in sorted(change.deltas, key=lambda delta: delta.measure)
    }
    return {"withheld": None, "scale": scale, "score": change.score, "p_value": change.p_value, "deltas": deltas}


def _as_read(visit: VisitPhoto) -> Photo:
    """The photo with what its file says of it."""
    photo = Photo.from_array(visit.pixels)
    stated = visit.px_per_mm_stated
    meta = replace(
        photo.meta,
        px_per_mm=stated,
        px_per_mm_source=None if stated is None else "metadata",
        px_per_mm_error=None if stated is None else SCALE_ERROR,
        polarised=visit.device.polarised,
        contact=visit.device.contact,
        device=visit.device.model,
    )
    return replace(photo, meta=meta)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), _DECIMALS)


def differences_of(pair: Row) -> dict[str, float]:
    """Of a pair that was not withheld: its measured differences in units of their minimal detectable change."""
    return {name: delta / mdc for name, (delta, mdc) in sorted(pair["deltas"].items()) if mdc}
