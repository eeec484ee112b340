"""The change score on semi-synthetic pairs of real photos with known truth, side by side with simpler comparisons.

Half of the pairs are only re-photographed, the others changed in between by the benchmark's own code (`change_tissue`),
which no training uses. The pipeline runs as released: its own masks, its own alignment. **Synthetic changes on real
photos**: the figures compare methods and are no accuracy in a clinic.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from longderm.bench.change_measuring import measure_row, rescored
from longderm.bench.change_pairs import ChangeSpec, plan, usable_photos
from longderm.bench.change_reliability import PICTURE, write_diagram
from longderm.bench.change_report import print_table, report
from longderm.bench.processes import one_thread_processes
from longderm.bench.registration_pairs import checked_folder
from longderm.bench.rows import Row, start_rows
from longderm.change.evidence import DEFAULT_VERSION
from longderm.errors import UsageError
from longderm.models import Release, load_release
from longderm.threads import one_thread

#: A pair with all that is measured of it is one line of it; the first line says of which run.
ROWS = "pairs.jsonl"
#: The same rows as the release of the report judges them; the first line says of which run and release.
JUDGED = "judged.jsonl"
#: Folder of the aligned crops.
CROPS = "crops"
#: Pairs between two lines of progress.
_TOLD_EVERY = 50

T = TypeVar("T")


def run(
    out: Path,
    photos: str = "",
    pairs: int = 2000,
    split: str = "val",
    seed: int = 1,
    resume: int = 0,
    workers: int = 1,
    minutes: float = 0,
    crops: int = 1,
    release: str = "",
    rephotographed: int = 0,
    store: str = "",
    labels: str = "",
    encoder: str = "",
    ablation: int = 1,
) -> dict[str, Any]:
    """Make and score `pairs` pairs of the fixed mix over `split` of the ISIC-layout folder `photos`, and the tiers
    that come on top (see `change_pairs.plan`); prints a table.

    resume: 1 goes on with the rows in `out`, which another seed, split or number of pairs may not have made; minutes:
    stops measuring after so long and reports on what there is (0: never); crops: 1 keeps the aligned crops of each
    pair in `out`/crops; rephotographed: pairs that did not change, if more than half of `pairs` (p-values take 2,000);
    release: version of the change release that scores. Rows of another release are scored anew
    from what was measured. Raises SourceNotFoundError for another layout, UsageError for rows of another run.

    store, labels: instead of making pairs, judge those of a store that a table labels; then encoder: weights of which
    the cosine is told as well, ablation: 0 leaves the steps of preprocessing on (see `site_change.run`).
    """
    if store or labels:
        from longderm.bench import site_change

        if photos or not (store and labels):
            raise UsageError("bench change takes --photos FOLDER, or --store URI with --labels CSV")
        options = site_change.Options(str(release), str(encoder), bool(ablation), bool(resume), workers)
        return site_change.run(out, str(store), str(labels), options)
    if not photos:
        raise UsageError("bench change needs --photos FOLDER, or --store URI with --labels CSV")
    folder = checked_folder(Path(str(photos)))
    chosen = load_release("change", release or DEFAULT_VERSION)
    described = {"seed": seed, "pairs": pairs, "split": split}
    rows = start_rows(out / ROWS, described, bool(resume), "--pairs, --split and --seed")
    _, structured, left_out = usable_photos(folder, split)
    specs = plan(pairs, seed, rephotographed)
    missing = [spec for spec in specs if spec.name not in {row["name"] for row in rows}]
    started = time.monotonic()
    with (out / ROWS).open("a") as file:
        for row in _measured(missing, folder, split, chosen, out / CROPS if crops else None, workers):
            rows.append(row)
            file.write(json.dumps(row, sort_keys=True) + "\n")
            file.flush()
            if len(rows) % _TOLD_EVERY == 0:
                print(f"{len(rows)} of {len(specs)} pairs", flush=True)
            if minutes and time.monotonic() - started > 60 * minutes:
                break
    judge = partial(rescored, release=chosen, crops_from=out / CROPS)
    judged = list(_mapped(judge, sorted(rows, key=lambda row: row["name"]), workers))
    lines = [described | {"release": chosen.name}, *judged]
    (out / JUDGED).write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))
    figures = report(judged)
    print_table(figures)
    write_diagram(out / PICTURE, [row for row in judged if row["refused"] is None], chosen.name)
    usable = {"with_structure": len(structured), "left_out": left_out}
    return figures | {"run": described, "release": chosen.name, "photos": usable, "planned": len(specs)}


def _measured(
    specs: list[ChangeSpec], folder: Path, split: str, release: Release, crops_to: Path | None, workers: int
) -> Iterator[Row]:
    measure = partial(measure_row, folder=folder, split=split, release=release, crops_to=crops_to)
    yield from _mapped(measure, specs, workers)


def _mapped(make: Callable[[T], Row], each: list[T], workers: int) -> Iterator[Row]:
    if workers == 1:
        with one_thread():
            yield from map(make, each)
        return
    with one_thread_processes(workers) as pool:
        yield from pool.map(make, each, chunksize=4)
