"""Noise of the change score: fits a release of kind "change" and reports it on other patients.

Everything here is synthetic. Pairs come from `simulate_archive`, whose truth says which lesions changed, and from real
photos of an ISIC-layout folder, photographed twice in software: stable lesions whose skin, colours and borders no
simulator drew, one pair a photo. Patients (a photo counts as one) are split three ways: one part for the noise and the
weights, one for the conformal calibration (one stable pair each), one for the report. Changed lesions are drawn more
often than clinics see them, so that there are enough of them; nothing that is reported depends on their share.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from longderm.bench.noise_report import report, write_card
from longderm.bench.processes import one_thread_processes
from longderm.bench.registration_pairs import Tier
from longderm.bench.rephotography import Nuisance
from longderm.change.calibration import fit_release
from longderm.change.evidence import NoiseModel, Observation, conformal_p_value, score_of, to_delta
from longderm.change.familiar import fit_range, levels_of
from longderm.errors import UsageError
from longderm.models.releases import write_hashes

if TYPE_CHECKING:
    from longderm.photo import Photo

#: How a real photo is taken twice: any turn, zooms as between visits to two devices (71% of real repeats are further
#: apart than 1.25), light, blur and hair of an ordinary day, skin that bends under the plate by up to 4% of the lesion
#: (as in the alignment benchmark's tier "deformed"; a similarity cannot follow that, so borders seem to move), and
#: cameras that mix some per cent of each colour channel into the others, as camera profiles' matrices do.
TAKEN_TWICE = Tier("taken twice", 180.0, 1.6, 0.12, Nuisance((0.0, 1.2), 3.0, 10, 0.8, 0.6, 0.04), bend=0.04)

#: Shares of lesions that change in the simulated archive; published: 16% and 4.5% (see `longderm.simulate`).
SUSPICIOUS_CHANGED, ORDINARY_CHANGED = 0.5, 0.3
#: Share of melanomas among changed lesions; published: about one in nine.
MELANOMA_SHARE = 0.4
#: p-values at or below it are flagged: one stable lesion in twenty.
ALPHA = 0.05
#: Patients are dealt out in turn, ten at a time. Half of them calibrate, since each gives one stable pair only;
#: a p-value of 0.01 takes 99 of them.
PARTS = ("fit",) * 2 + ("calibration",) * 5 + ("report",) * 3

#: Where a pair comes from.
SIMULATED, REPHOTOGRAPHED = "simulated", "rephotographed"

Row = dict[str, Any]
T = TypeVar("T")


def run(
    out: Path,
    patients: int = 250,
    seed: int = 7,
    workers: int = 0,
    version: str = "0.1.0",
    reuse: int = 0,
    photos: str = "",
    taken_twice: int = 600,
) -> dict[str, Any]:
    """Simulate `patients` patients, fit the release `change/version` into `out` and report on the held-out ones.

    photos: an ISIC-layout folder (images/, masks/) of which `taken_twice` photos are photographed twice in software;
    without it the fit knows simulated skin only. workers: processes, 0 for one per core; reuse: 1 takes what an earlier
    run observed in `out`, instead of simulating and measuring again.
    """
    observed = out / "observed.json"
    if not (reuse and observed.is_file()):
        seen = observe_archive(out / "archive", patients, seed, workers)
        if photos:
            seen += observe_photos(Path(photos), taken_twice, patients, seed, workers)
        observed.write_text(json.dumps(seen, indent=1) + "\n")
    rows: list[Row] = json.loads(observed.read_text())
    config, parts = fit(rows)
    if conformal_p_value(1.0, config["calibration_scores"], ALPHA) is None:
        raise UsageError("too few patients to calibrate: take at least 80 (--patients)")
    figures = report(parts["report"], config["alpha"])
    figures["calibration_pairs"] = len(config["calibration_scores"])
    command = f"longderm bench noise --patients {patients} --seed {seed} --version {version}"
    counted = {"simulated patients": len({row["patient"] for row in rows if row["origin"] == SIMULATED})}
    if any(row["origin"] == REPHOTOGRAPHED for row in rows):
        command += f" --photos FOLDER --taken-twice {taken_twice}"
        counted["photos taken twice"] = sum(row["origin"] == REPHOTOGRAPHED for row in rows)
    config["source"] = {"kind": "synthetic", "command": command, "seed": seed} | counted
    folder = out / "change" / version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    (folder / "figures.json").write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    write_card(folder / "card.md", version, command, config, figures)
    write_hashes(folder)
    for name, value in figures.items():
        print(f"{name:<32} {value}")
    return figures | {"release": str(folder.relative_to(out))}


def fit(rows: list[Row]) -> tuple[dict[str, Any], dict[str, list[Row]]]:
    """Fit the release's numbers; gives them and the rows by part, those of "report" with score and p-value."""
    parts: dict[str, list[Row]] = {part: [] for part in sorted(set(PARTS))}
    for row in rows:
        if row["withheld"] is None:
            parts[part_of(row["patient"])].append(row)
    stable = [_observations(row) for row in parts["fit"] if not row["changed"]]
    changed = [_observations(row) for row in parts["fit"] if row["changed"]]
    one_each: dict[int, Row] = {}
    for row in parts["calibration"]:
        if not row["changed"]:
            one_each.setdefault(row["patient"], row)
    config = fit_release(stable, changed, [_observations(row) for row in one_each.values()], ALPHA)
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
    withheld = [row for row in rows if part_of(row["patient"]) == "report" and row["withheld"] is not None]
    return config, parts | {"report": scored + withheld}


def part_of(patient: int) -> str:
    """What a patient, by number, serves for: fit, calibration or report."""
    return PARTS[patient % len(PARTS)]


def observe_archive(archive: Path, patients: int, seed: int, workers: int) -> list[Row]:
    """Simulate an archive and measure one pair of every lesion with a follow-up; rows sorted by patient and lesion."""
    from longderm.simulate import simulate_archive
    from longderm.simulate.calibration import PUBLISHED

    enriched = replace(
        PUBLISHED,
        suspicious_changed=SUSPICIOUS_CHANGED,
        ordinary_changed=ORDINARY_CHANGED,
        melanoma_share_of_changed=MELANOMA_SHARE,
    )
    if not (archive / "truth" / "pairs.parquet").is_file():
        simulate_archive(archive, patients, seed, workers=workers or len(os.sched_getaffinity(0)), calibration=enriched)
    return _in_processes(partial(observe_pair, archive), choose_pairs(archive, seed), workers)


def observe_photos(folder: Path, count: int, first_number: int, seed: int, workers: int) -> list[Row]:
    """Measure `count` photos of an ISIC-layout folder against themselves, taken twice; numbered from `first_number`."""
    from longderm.bench.registration_pairs import checked_folder, photo_names

    names = np.random.default_rng([seed, 1]).permutation(photo_names(checked_folder(folder)))[:count]
    numbered = [(str(name), first_number + index) for index, name in enumerate(names)]
    return _in_processes(partial(observe_taken_twice, folder, seed), numbered, workers)


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


def observe_pair(archive: Path, pair: Row) -> Row:
    """Measure one pair of a simulated archive; `withheld` names the rule that would withhold its result, or is None."""
    from longderm.archive import read_photo
    from longderm.simulate.devices import DERMATOSCOPES

    devices = {device.model: device for device in DERMATOSCOPES}
    photos = []
    for known in pair["photos"]:
        photo, device = read_photo(archive / known["path"]), devices[known["device"]]
        meta = replace(
            photo.meta, px_per_mm=known["px_per_mm_stated"], polarised=device.polarised, contact=device.contact
        )
        photos.append(replace(photo, meta=meta))
    row = {name: value for name, value in pair.items() if name != "photos"}
    return row | {"origin": SIMULATED} | _observe((photos[0], photos[1]), pair["interval_days"])


def observe_taken_twice(folder: Path, seed: int, numbered: tuple[str, int]) -> Row:
    """Measure one photo of `folder` against itself, both taken in software; a row as of `observe_pair`."""
    from longderm.bench.registration_pairs import load, render_pair
    from longderm.photo import Photo

    name, number = numbered
    pair = render_pair(*load(folder, name), TAKEN_TWICE, np.random.default_rng([seed, number]))
    photos = Photo.from_array(pair.baseline), Photo.from_array(pair.followup)
    truth = {"changed": False, "malignant_change": False, "tanning": False, "patient": number}
    return truth | {"origin": REPHOTOGRAPHED} | _observe(photos, interval_days=None)


def _observe(photos: tuple[Photo, Photo], interval_days: int | None) -> Row:
    """What the pipeline measures between two photos, and the rule that would withhold it."""
    import cv2

    from longderm.bench.pair_facts import pair_facts, photo_facts
    from longderm.change import Change
    from longderm.change.common_view import build_common_view
    from longderm.change.maps import compare_maps
    from longderm.change.score import observe, scale_of
    from longderm.governance import withheld_by
    from longderm.imaging import measure, segment
    from longderm.registration import align, prepare

    cv2.setNumThreads(1)
    masks = [segment(photo) for photo in photos]
    told = [photo_facts(photo, mask) for photo, mask in zip(photos, masks, strict=True)]
    alignment = align(prepare(photos[0], masks[0]), prepare(photos[1], masks[1]))
    facts = pair_facts(told[0], told[1], alignment, interval_days, ALPHA)
    withheld = withheld_by(None, facts)
    if withheld is not None or alignment.matrix is None:
        return {"withheld": withheld or "alignment_refused", "observations": {}}
    matrix = np.asarray(alignment.matrix, dtype=np.float64)
    view = build_common_view(photos[0], photos[1], matrix, (masks[0].mask, masks[1].mask))
    taken = (measure(photos[0], masks[0]), measure(photos[1], masks[1]))
    found = observe(taken, compare_maps(view), scale_of(matrix))
    # Now that there are differences, the rules that look at them can be asked.
    bare = NoiseModel({}, {}, 0.0, (), ALPHA)
    deltas = tuple(to_delta(observation, bare) for observation in found)
    withheld = withheld_by(Change(None, None, (), deltas, None, None, None, ""), facts)
    if withheld is not None:
        return {"withheld": withheld, "observations": {}}
    levels = [{name: round(value, 4) for name, value in levels_of(measured).items()} for measured in taken]
    return {"withheld": None, "observations": {o.measure: round(o.value, 6) for o in found}, "levels": levels}


def _observations(row: Row) -> list[Observation]:
    return [Observation(name, float(value)) for name, value in sorted(row["observations"].items())]
