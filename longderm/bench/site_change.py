"""The change score on a site's own labelled series: the published table, for the photos of a store.

AUROC in five folds of patients with an interval over patients, sensitivity at a fixed specificity by time point, beside
the size alone. Published for other sites' photos, which nobody may pass on: 0.596 without and 0.706 with all steps of
preprocessing, 0.683 and 0.767 (PanDerm, Yan et al. 2025, doi 10.1038/s41591-025-03747-y): the data differ, so do the
figures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longderm.bench.processes import one_thread_processes
from longderm.bench.rows import Row, start_rows
from longderm.change.evidence import NoiseModel, Observation, score_of
from longderm.models.in_use import registry_roots
from longderm.models.releases import Release, list_releases
from longderm.settings import Settings
from longderm.site.ablation import CONFIGURATIONS, EVERYTHING, compare_with
from longderm.site.figures import Values, auroc_gain, auroc_over_patients, figures_of, withheld_counts
from longderm.site.labelled import read_labelled
from longderm.site.pairs import SitePair, usable
from longderm.site.weights import held_out_scores
from longderm.stages.pair import PairWork, finished_pair, open_compared
from longderm.stages.place import Place, UnavailableError
from longderm.stages.run import link_folder
from longderm.stages.work import Work, find_work
from longderm.store import Store
from longderm.threads import one_thread

if TYPE_CHECKING:
    from longderm.models.encoder import Encoder

#: The score as released, and what it is held against.
SCORE, SIZE = "longderm", "size alone"
#: The score by weights that were fitted to other patients of the site (`longderm.site.weights`).
OWN_WEIGHTS = "longderm, weights of the site"
#: A pair with what is measured under each configuration is one line of it; the first line says of which run.
ROWS = "steps.jsonl"
#: Pairs between two lines of progress.
_TOLD_EVERY = 25


@dataclass(frozen=True)
class Options:
    """How the pairs are to be judged.

    release: version of the change release that scored them, "" for the one in use; encoder: path or name of weights
    whose cosine is told as well, "" for the packaged ones, if any; ablation: steps of preprocessing are switched off,
    which reads the photos; resume: goes on with the rows of an earlier run; workers: processes, 0 for one a core.
    """

    release: str = ""
    encoder: str = ""
    ablation: bool = True
    resume: bool = False
    workers: int = 1


def run(out: Path, store: str, labels: str, options: Options = Options()) -> dict[str, Any]:
    """Judge the change score on the labelled pairs of a store and print a table; nothing is written to the store.

    What was measured for the ablation is kept in `out`, to go on with. Raises UsageError for pairs that the stages have
    still to work on, OutcomesError for what is wrong with the labels.
    """
    settings = Settings(change_version=options.release) if options.release else Settings()
    opened = Store(store)
    work = find_work(opened, settings)
    told, all_pairs = read_labelled(work, Path(labels))
    judged = [pair for pair in usable(all_pairs) if pair.score is not None]
    methods: dict[str, Values] = {
        SCORE: {p.pair_id: p.score for p in judged},
        SIZE: {p.pair_id: _size(p) for p in judged},
    }
    release = work.in_use["change"].release
    figures: dict[str, Any] = {
        "release": release.name,
        "labelled": len(all_pairs),
        "unlabelled_rows": told.unlabelled,
        "withheld": withheld_counts(all_pairs),
    }
    if options.ablation and judged:
        place = Place(str(opened.root), str(link_folder(store, settings)), settings)
        rows = _measured(out, work, judged, place, release, options)
        encoder = options.encoder or packaged_encoder(registry_roots(settings, None)[0])
        by_step = {SCORE: _scores(rows, NoiseModel.from_config(release.config))}
        if encoder:
            by_step[f"cosine of {_name(encoder)}"] = _distances(rows)
            methods[f"cosine of {_name(encoder)}"] = by_step[f"cosine of {_name(encoder)}"][EVERYTHING]
        figures["ablation"] = {name: _steps(judged, values) for name, values in by_step.items()}
        figures["photos_not_at_hand"] = sum("found" not in row for row in rows)
    own = held_out_scores(NoiseModel.from_config(release.config), judged)
    if own is not None:
        methods[OWN_WEIGHTS] = own
        figures["gain_of_own_weights"] = auroc_gain(judged, own, methods[SCORE])
    figures["methods"] = {name: figures_of(judged, values) for name, values in methods.items()}
    figures["gain_over_size"] = auroc_gain(judged, methods[SCORE], methods[SIZE])
    print_table(figures)
    return figures


def packaged_encoder(registry: Path) -> str:
    """Name of the newest encoder of a registry; "" where it holds none."""
    versions = [version for kind, version in list_releases(registry) if kind == "encoder"]
    return f"encoder/{versions[-1]}" if versions else ""


def measure_steps(item: PairWork, place: Place, release: Release, encoder: str) -> Row:
    """What is measured of a pair under each configuration; a row without "found" where a photo is not at hand."""
    row: Row = {"name": item.pair.pair_id}
    registry = registry_roots(place.settings, None)[0]
    with one_thread():
        try:
            pair = open_compared(item, place)
        except (UnavailableError, OSError):
            return row
        found = compare_with(pair, release, item.pair.interval_days, _load(encoder, registry) if encoder else None)
    return row | {
        "found": {
            name: {"observations": {o.measure: round(o.value, 6) for o in one.observations}, "distance": one.distance}
            for name, one in found.items()
        }
    }


def _measured(
    out: Path, work: Work, pairs: Sequence[SitePair], place: Place, release: Release, options: Options
) -> list[Row]:
    registry = registry_roots(place.settings, None)[0]
    encoder = options.encoder or packaged_encoder(registry)
    described = {
        "key": place.open_store().key_id,
        "release": release.digest,
        "encoder": _load(encoder, registry).digest if encoder else None,
        "measured_from": _fingerprints(work),
    }
    rows = start_rows(out / ROWS, described, options.resume, "--store, --release and --encoder")
    wanted = {pair.pair_id for pair in pairs}
    rows = [row for row in rows if row["name"] in wanted and "found" in row]
    missing = sorted(wanted - {row["name"] for row in rows})
    items = [item for pair_id in missing if (item := finished_pair(work, pair_id)) is not None]
    measure = partial(measure_steps, place=place, release=release, encoder=encoder)
    with (out / ROWS).open("a") as file:
        for row in _each(measure, items, options.workers):
            rows.append(row)
            file.write(json.dumps(row, sort_keys=True) + "\n")
            file.flush()
            if len(rows) % _TOLD_EVERY == 0:
                print(f"{len(rows)} of {len(pairs)} pairs", flush=True)
    return sorted(rows, key=lambda row: str(row["name"]))


def _fingerprints(work: Work) -> str:
    """A hash that changes with any mask or alignment of the store's pairs."""
    expected = sorted(work.expected["changes"].items())
    return hashlib.sha256(json.dumps(expected).encode()).hexdigest()


def _each(measure: partial[Row], items: Sequence[PairWork], workers: int) -> Iterator[Row]:
    if workers == 1:
        yield from map(measure, items)
        return
    with one_thread_processes(workers) as pool:
        yield from pool.map(measure, items, chunksize=2)


def _scores(rows: Sequence[Row], model: NoiseModel) -> dict[str, dict[str, float | None]]:
    """Configuration -> pair -> what the release makes of the differences measured so."""

    def score(found: Mapping[str, float]) -> float:
        return score_of([Observation(name, float(value)) for name, value in sorted(found.items())], model)

    return {
        name: {row["name"]: score(row["found"][name]["observations"]) for row in rows if "found" in row}
        for name in CONFIGURATIONS
    }


def _distances(rows: Sequence[Row]) -> dict[str, dict[str, float | None]]:
    return {
        name: {row["name"]: row["found"][name]["distance"] for row in rows if "found" in row} for name in CONFIGURATIONS
    }


def _steps(pairs: Sequence[SitePair], values: Mapping[str, Values]) -> dict[str, Any]:
    """AUROC with each configuration, and what it lacks to that with every step."""
    known = [pair for pair in pairs if values[EVERYTHING].get(pair.pair_id) is not None]
    return {
        name: {
            "auroc": auroc_over_patients(known, values[name]),
            "lacks": None if name == EVERYTHING else auroc_gain(known, values[EVERYTHING], values[name]),
        }
        for name in CONFIGURATIONS
    }


@lru_cache(maxsize=1)
def _load(encoder: str, registry: Path) -> Encoder:
    from longderm.models.encoder import load_encoder

    return load_encoder(encoder, registry=registry)


def _name(encoder: str) -> str:
    return encoder if encoder.startswith("encoder/") else Path(encoder).name


def print_table(figures: dict[str, Any]) -> None:
    """Methods in rows: AUROC over all pairs, mean over folds; then time points."""
    withheld = sum(sum(rules.values()) for rules in figures["withheld"].values())
    print(f"{figures['labelled']} labelled pairs, {withheld} withheld by a rule; release {figures['release']}")
    print(f"{'':<32}{'AUROC [95%]':>26}{'five folds':>18}")
    for name, method in figures["methods"].items():
        folds = method["folds"]
        spread = "-" if folds["mean"] is None else f"{folds['mean']:.3f} (SD {folds['sd'] or 0:.3f})"
        print(f"{name:<32}{shown(method['auroc']):>26}{spread:>18}")
        for point, told in method["time_points"].items():
            at = ", ".join(
                f"sensitivity {shown(value)} at {float(specificity):.0%} specificity"
                for specificity, value in told["sensitivity_at_specificity"].items()
            )
            print(f"  {point} ({told['changed']} of {told['pairs']} changed): AUROC {shown(told['auroc'])}; {at}")
    for name, steps in figures.get("ablation", {}).items():
        print(f"{'AUROC by step: ' + name:<58}{'lacks to all':>26}")
        for step, told in steps.items():
            print(f"  {step:<30}{shown(told['auroc']):>26}{shown(told['lacks']):>26}")
    if figures.get("photos_not_at_hand"):
        print(f"{figures['photos_not_at_hand']} pairs without their photos at hand are in no row by step")


def shown(figure: list[float] | None) -> str:
    """A figure with its interval, or a dash."""
    if figure is None:
        return "-"
    ends = f" [{figure[1]:.3f}, {figure[2]:.3f}]" if len(figure) == 3 else ""
    return f"{figure[0]:.3f}{ends}"


def _size(pair: SitePair) -> float | None:
    """|log ratio| of the areas in the frame of the alignment."""
    return next((abs(one.value) for one in pair.observations if one.measure == "area"), None)
