"""Noise of the change score: fits a release of kind "change" and reports it on other patients.

Everything here is synthetic. Pairs come from `simulate_archive`, whose truth says which lesions changed, and from real
photos of an ISIC-layout folder, taken twice in software (see `change_camera` for how): lesions whose skin, colours and
borders no simulator drew, one pair a photo. Patients (a photo counts as one) are split three ways: one part for the
noise and the weights, one for the conformal calibration (one stable pair each), one for the report. Changed lesions are
drawn more often than clinics see them, so that there are enough of them; nothing that is reported depends on their
share.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from longderm.bench.change_pairs import OWN_PREFIX, STABLE, STRONG, WEAK, ChangeSpec, pair_of_photo, usable_photos
from longderm.bench.noise_report import report
from longderm.bench.processes import one_thread_processes
from longderm.bench.rows import Row
from longderm.change.calibration import fit_release
from longderm.change.card import network_of_run, write_change_card
from longderm.change.evidence import NoiseModel, Observation, conformal_p_value, score_of, to_delta
from longderm.change.familiar import fit_range, levels_of
from longderm.errors import SourceNotFoundError, UsageError
from longderm.models.releases import write_hashes

if TYPE_CHECKING:
    from longderm.photo import Photo

#: Shares of lesions that change in the simulated archive; published: 16% and 4.5% (see `longderm.simulate`).
SUSPICIOUS_CHANGED, ORDINARY_CHANGED = 0.5, 0.3
#: Share of melanomas among changed lesions; published: about one in nine.
MELANOMA_SHARE = 0.4
#: p-values at or below it are flagged: one stable lesion in twenty.
ALPHA = 0.05
#: Simulated patients are dealt out in turn, ten at a time. Half of them calibrate, since each gives one stable pair
#: only; a p-value of 0.01 takes 99 of them.
PARTS = ("fit",) * 2 + ("calibration",) * 5 + ("report",) * 3
#: More of the photos calibrate: `longderm bench change` reports on others.
PHOTO_PARTS = ("fit",) * 2 + ("calibration",) * 7 + ("report",)
#: Every other photo of the part "fit" is changed in between, by the training's generator, in one of these ways.
CHANGES = (*STRONG, *WEAK)

#: Where a pair comes from.
SIMULATED, REPHOTOGRAPHED = "simulated", "rephotographed"
#: Folder of the aligned crops of every pair.
CROPS = "crops"

T = TypeVar("T")


def run(
    out: Path,
    patients: int = 250,
    seed: int = 7,
    workers: int = 0,
    release: str = "0.5.0",
    reuse: int = 0,
    photos: str = "",
    taken_twice: int = 600,
    network: str = "",
    evolution: str = "",
) -> dict[str, Any]:
    """Simulate `patients` patients, fit the release `change/RELEASE` into `out` and report on the held-out ones.

    photos: an ISIC-layout folder (images/, masks/) of which `taken_twice` photos are photographed twice in software;
    without it the fit knows simulated skin only; network: the folder of a trained change network, which looks at every
    pair and becomes part of the release; evolution: the head that `longderm bench evolution --fit` wrote on differences
    of the same release without one, which becomes part of it. workers: processes, 0 for one per core; reuse: 1 takes
    what an earlier run observed in `out`, instead of simulating and measuring again.
    """
    observed = out / "observed.json"
    if not (reuse and observed.is_file()):
        seen = observe_archive(out, patients, seed, workers)
        if photos:
            seen += observe_photos(Path(photos), out, taken_twice, patients, seed, workers)
        observed.write_text(json.dumps(seen, indent=1) + "\n")
    rows: list[Row] = json.loads(observed.read_text())
    if network:
        rows = with_appearance(rows, Path(network), out / CROPS)
    config, parts = fit(rows)
    if conformal_p_value(1.0, config["calibration_scores"], ALPHA) is None:
        raise UsageError("too few patients to calibrate: take at least 80 (--patients)")
    figures = report(parts["report"], config["alpha"])
    figures["calibration_pairs"] = len(config["calibration_scores"])
    command = f"longderm bench noise --patients {patients} --seed {seed} --release {release}"
    counted = {"simulated patients": len({row["patient"] for row in rows if row["origin"] == SIMULATED})}
    if any(row["origin"] == REPHOTOGRAPHED for row in rows):
        command += f" --photos FOLDER --taken-twice {taken_twice}"
    if network:
        command += " --network FOLDER"
        trained = json.loads((Path(network) / "config.json").read_text())
        config["network"] = network_of_run(trained)
        counted["photos taken twice"] = sum(row["origin"] == REPHOTOGRAPHED for row in rows)
    if evolution:
        command += " --evolution HEAD"
        config["evolution"] = read_evolution(Path(str(evolution)), f"change/{release}")
    config["source"] = {"kind": "synthetic", "command": command, "seed": seed} | counted
    folder = out / "change" / release
    folder.mkdir(parents=True, exist_ok=True)
    if network:
        from longderm.models.change_network import CHANGE_WEIGHTS_FILE

        shutil.copyfile(Path(network) / CHANGE_WEIGHTS_FILE, folder / CHANGE_WEIGHTS_FILE)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    (folder / "figures.json").write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    write_change_card(folder, release, config, figures)
    write_hashes(folder)
    for name, value in figures.items():
        print(f"{name:<32} {value}")
    return figures | {"release": str(folder.relative_to(out))}


def read_evolution(path: Path, release: str) -> dict[str, Any]:
    """The field "evolution" of a file. Raises SourceNotFoundError for no file, UsageError for one of another release:
    its weights are for differences in that one's minimal detectable changes."""
    if not path.is_file():
        raise SourceNotFoundError("--evolution must name a file that `longderm bench evolution --fit` wrote")
    head: dict[str, Any] = json.loads(path.read_text())
    if head["source"]["release"] != release:
        raise UsageError(f"--evolution was fitted on {head['source']['release']}, not on {release}; fit it again")
    return head


def fit(rows: list[Row]) -> tuple[dict[str, Any], dict[str, list[Row]]]:
    """Fit the release's numbers; gives them and the rows by part, those of "report" with score and p-value."""
    parts: dict[str, list[Row]] = {part: [] for part in sorted(set(PARTS))}
    for row in rows:
        if row["withheld"] is None:
            parts[part_of(row["patient"], row["origin"])].append(row)
    stable = [_observations(row) for row in parts["fit"] if not row["changed"]]
    changed = [_observations(row) for row in parts["fit"] if row["changed"]]
    one_each: dict[int, Row] = {}
    for row in parts["calibration"]:
        if not row["changed"]:
            one_each.setdefault(row["patient"], row)
    # Where there are real photos, p-values are theirs; simulated pairs join them where that makes p-values larger.
    photos = [row for row in one_each.values() if row["origin"] == REPHOTOGRAPHED]
    config = fit_release(stable, changed, [_observations(row) for row in photos], ALPHA)
    model = NoiseModel.from_config(config)
    every = sorted(score_of(_observations(row), model) for row in one_each.values())
    config["calibration_scores"] = max(
        (scores for scores in (config["calibration_scores"], every) if scores),
        key=lambda scores: float(np.quantile(scores, 1.0 - ALPHA)),
        default=[],
    )
    within = fit_range(
        [levels for row in parts["fit"] for levels in row.get("levels", ())],
        [row["levels"] for row in one_each.values() if row.get("levels")],
        sorted(row["interval_days"] for row in one_each.values() if row.get("interval_days") is not None),
    )
    if within is not None:
        config["in_distribution"] = within
    model = NoiseModel.from_config(config)
    scored = []
    for row in parts["report"]:
        score = score_of(_observations(row), model)
        scored.append(row | {"score": score, "p_value": conformal_p_value(score, model.calibration, model.alpha)})
    withheld = [
        row for row in rows if part_of(row["patient"], row["origin"]) == "report" and row["withheld"] is not None
    ]
    return config, parts | {"report": scored + withheld}


def part_of(patient: int, origin: str = SIMULATED) -> str:
    """What a patient (of a photo: the photo), by number, serves for: fit, calibration or report."""
    parts = PARTS if origin == SIMULATED else PHOTO_PARTS
    return parts[patient % len(parts)]


def observe_archive(out: Path, patients: int, seed: int, workers: int) -> list[Row]:
    """Simulate `out`/archive and measure one pair of every lesion with a follow-up; rows by patient and lesion."""
    from longderm.simulate import simulate_archive
    from longderm.simulate.calibration import PUBLISHED

    enriched = replace(
        PUBLISHED,
        suspicious_changed=SUSPICIOUS_CHANGED,
        ordinary_changed=ORDINARY_CHANGED,
        melanoma_share_of_changed=MELANOMA_SHARE,
    )
    archive = out / "archive"
    if not (archive / "truth" / "pairs.parquet").is_file():
        simulate_archive(archive, patients, seed, workers=workers or len(os.sched_getaffinity(0)), calibration=enriched)
    pairs = list(enumerate(choose_pairs(archive, seed)))
    return _in_processes(partial(observe_pair, archive, out / CROPS), pairs, workers)


def observe_photos(folder: Path, out: Path, count: int, first_number: int, seed: int, workers: int) -> list[Row]:
    """Measure `count` photos of split train of an ISIC-layout folder, taken twice; numbered from `first_number`."""
    from longderm.bench.registration_pairs import checked_folder

    usable, _, _ = usable_photos(checked_folder(folder), "train")
    names = np.random.default_rng([seed, 1]).permutation(usable)[:count]
    numbered = [(str(name), first_number + index) for index, name in enumerate(names)]
    return _in_processes(partial(observe_taken_twice, folder, out / CROPS, seed), numbered, workers)


def _in_processes(observe: Callable[[T], Row], each: Sequence[T], workers: int) -> list[Row]:
    workers = workers or len(os.sched_getaffinity(0))
    if workers == 1:
        return [observe(one) for one in each]
    with one_thread_processes(workers) as pool:
        return list(pool.map(observe, each, chunksize=4))


def choose_pairs(archive: Path, seed: int) -> list[Row]:
    """One dermoscopic pair per lesion, from its first photo to a later one drawn at random, with its truth.

    Of a patient who calibrates only one lesion is taken, one that is stable.
    """
    import pyarrow.parquet as pq

    photos = {row["path"]: row for row in pq.read_table(archive / "truth" / "photos.parquet").to_pylist()}
    lesions: dict[tuple[str, str], list[Row]] = {}
    for pair in pq.read_table(archive / "truth" / "pairs.parquet").to_pylist():
        if pair["modality"] == "dermoscopic":
            lesions.setdefault((pair["patient_id"], pair["lesion_id"]), []).append(pair)
    number = {patient: index for index, patient in enumerate(sorted({patient for patient, _ in lesions}))}
    rng = np.random.default_rng(seed)
    chosen: list[Row] = []
    calibrating: set[int] = set()
    for key in sorted(lesions):
        first_day = min(photos[pair["baseline_path"]]["date"] for pair in lesions[key])
        from_first = [pair for pair in lesions[key] if photos[pair["baseline_path"]]["date"] == first_day]
        pair = from_first[int(rng.integers(len(from_first)))]
        if part_of(number[key[0]]) == "calibration":
            if pair["changed"] or number[key[0]] in calibrating:
                continue
            calibrating.add(number[key[0]])
        truth = {name: pair[name] for name in ("changed", "malignant_change", "tanning", "interval_days", "ways")}
        truth["true_area_change_percent"] = pair["area_change_percent"]
        both = [photos[pair["baseline_path"]], photos[pair["followup_path"]]]
        keep = ("path", "device", "px_per_mm_stated")
        chosen.append(truth | {"patient": number[key[0]], "photos": [{name: p[name] for name in keep} for p in both]})
    return chosen


def observe_pair(archive: Path, crops: Path, numbered: tuple[int, Row]) -> Row:
    """Measure one pair of a simulated archive; `withheld` names the rule that would withhold its result, or is None.

    crops: the folder that gets the pair's crops; `crop` names the file.
    """
    from longderm.archive import read_photo
    from longderm.simulate.devices import DERMATOSCOPES

    devices = {device.model: device for device in DERMATOSCOPES}
    number, pair = numbered
    photos = []
    for known in pair["photos"]:
        photo, device = read_photo(archive / known["path"]), devices[known["device"]]
        meta = replace(
            photo.meta, px_per_mm=known["px_per_mm_stated"], polarised=device.polarised, contact=device.contact
        )
        photos.append(replace(photo, meta=meta))
    row = {name: value for name, value in pair.items() if name != "photos"}
    row |= {"origin": SIMULATED, "crop": f"simulated-{number:05d}.png"}
    return row | _observe((photos[0], photos[1]), pair["interval_days"], crops / row["crop"])


def observe_taken_twice(folder: Path, crops: Path, seed: int, numbered: tuple[str, int]) -> Row:
    """Measure one photo of `folder` against itself, both taken in software; a row as of `observe_pair`."""
    from longderm.photo import Photo

    name, number = numbered
    # Of a patient's number the last digit says the part; what is left says how the lesion changed, if it did.
    turn = number // len(PHOTO_PARTS)
    changes = part_of(number, REPHOTOGRAPHED) == "fit" and turn % 2 == 1
    stratum = OWN_PREFIX + CHANGES[turn // 2 % len(CHANGES)] if changes else STABLE
    pair = pair_of_photo(ChangeSpec(stratum, number, seed), name, folder)
    photos = Photo.from_array(pair.baseline), Photo.from_array(pair.followup)
    truth = {"changed": changes, "malignant_change": False, "tanning": False, "patient": number, "photo": name}
    row = truth | {"origin": REPHOTOGRAPHED, "crop": f"photo-{number:05d}.png"}
    return row | _observe(photos, None, crops / str(row["crop"]))


def with_appearance(rows: Sequence[Row], network: Path, crops: Path) -> list[Row]:
    """The rows with what a network says of their crops among the observations."""
    from longderm.bench.change_measuring import read_crops
    from longderm.change.appearance import compare_appearance
    from longderm.models.change_network import read_change_network
    from longderm.threads import one_thread

    looked = []
    with one_thread():
        read = read_change_network(network)
        for row in rows:
            if row["withheld"] is None:
                pair, _ = read_crops(crops / row["crop"])
                seen = compare_appearance(pair, read, row.get("interval_days")).observation
                row = row | {"observations": row["observations"] | {seen.measure: round(seen.value, 6)}}
            looked.append(row)
    return looked


def _observe(photos: tuple[Photo, Photo], interval_days: int | None, crops_to: Path) -> Row:
    """What the pipeline measures between two photos, and the rule that would withhold it."""
    import cv2

    from longderm.bench.change_measuring import write_crops
    from longderm.bench.pair_facts import pair_facts, see_pair
    from longderm.change import Change
    from longderm.change.common_view import build_common_view
    from longderm.change.crops import cut_crops
    from longderm.change.maps import compare_maps
    from longderm.change.score import observe, scale_of
    from longderm.governance import withheld_by
    from longderm.imaging import measure

    cv2.setNumThreads(1)
    seen = see_pair(photos)
    hidden, masks, alignment = seen.artefacts, seen.masks, seen.alignment
    facts = pair_facts(*seen.facts, alignment, interval_days, ALPHA)
    withheld = withheld_by(None, facts)
    if withheld is not None or alignment.matrix is None:
        return {"withheld": withheld or "alignment_refused", "observations": {}}
    matrix = np.asarray(alignment.matrix, dtype=np.float64)
    view = build_common_view(*photos, matrix, (masks[0].mask, masks[1].mask), artefacts=hidden)
    taken = measure(photos[0], masks[0], hidden[0]), measure(photos[1], masks[1], hidden[1])
    found = observe(taken, compare_maps(view), scale_of(matrix))
    # Now that there are differences, the rules that look at them can be asked.
    bare = NoiseModel({}, {}, 0.0, (), ALPHA)
    deltas = tuple(to_delta(observation, bare) for observation in found)
    withheld = withheld_by(Change(None, None, (), deltas, None, None, None, ""), facts)
    if withheld is not None:
        return {"withheld": withheld, "observations": {}}
    crops = cut_crops((photos[0].pixels, photos[1].pixels), (masks[0].mask, masks[1].mask), matrix)
    write_crops(crops_to, crops, np.zeros(photos[0].shape, bool))
    levels = [{name: round(value, 4) for name, value in levels_of(measured).items()} for measured in taken]
    return {"withheld": None, "observations": {o.measure: round(o.value, 6) for o in found}, "levels": levels}


def _observations(row: Row) -> list[Observation]:
    return [Observation(name, float(value)) for name, value in sorted(row["observations"].items())]
