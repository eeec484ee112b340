"""Noise of the change score on simulated patients: fits a release of kind "change" and reports it on other patients.

Everything here is synthetic: pairs come from `simulate_archive`, whose truth says which lesions changed. Patients are
split three ways: one part for the noise and the weights, one for the conformal calibration (one stable pair each), one
for the report. Changed lesions are drawn more often than clinics see them, so that there are enough of them; nothing
that is reported depends on their share.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from longderm.bench.noise_report import report, write_card
from longderm.change.calibration import fit_release
from longderm.change.evidence import NoiseModel, Observation, conformal_p_value, score_of
from longderm.models.releases import write_hashes

#: Shares of lesions that change in the simulated archive; published: 16% and 4.5% (see `longderm.simulate`).
SUSPICIOUS_CHANGED, ORDINARY_CHANGED = 0.5, 0.3
#: Share of melanomas among changed lesions; published: about one in nine.
MELANOMA_SHARE = 0.4
#: p-values at or below it are flagged: one stable lesion in twenty.
ALPHA = 0.05
#: Patients are dealt out in turn, ten at a time. Half of them calibrate, since each gives one stable pair only;
#: a p-value of 0.01 takes 99 of them.
PARTS = ("fit",) * 2 + ("calibration",) * 5 + ("report",) * 3

Row = dict[str, Any]


def run(
    out: Path, patients: int = 250, seed: int = 7, workers: int = 0, version: str = "0.1.0", reuse: int = 0
) -> dict[str, Any]:
    """Simulate `patients` patients, fit the release `change/version` into `out` and report on the held-out ones.

    workers: processes, 0 for one per core; reuse: 1 takes what an earlier run observed in `out`, instead of simulating
    and measuring again.
    """
    observed = out / "observed.json"
    if not (reuse and observed.is_file()):
        observed.write_text(json.dumps(observe_archive(out / "archive", patients, seed, workers), indent=1) + "\n")
    rows: list[Row] = json.loads(observed.read_text())
    config, parts = fit(rows)
    figures = report(parts["report"], config["alpha"])
    figures["calibration_pairs"] = len(config["calibration_scores"])
    command = f"longderm bench noise --patients {patients} --seed {seed} --version {version}"
    config["source"] = {"kind": "simulated", "command": command, "patients": patients, "seed": seed}
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

    workers = workers or len(os.sched_getaffinity(0))
    enriched = replace(
        PUBLISHED,
        suspicious_changed=SUSPICIOUS_CHANGED,
        ordinary_changed=ORDINARY_CHANGED,
        melanoma_share_of_changed=MELANOMA_SHARE,
    )
    if not (archive / "truth" / "pairs.parquet").is_file():
        simulate_archive(archive, patients, seed, workers=workers, calibration=enriched)
    pairs = choose_pairs(archive, seed)
    if workers == 1:
        return [observe_pair(archive, pair) for pair in pairs]
    # Spawned, not forked: libraries that hold threads do not survive a fork.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(partial(observe_pair, archive), pairs, chunksize=4))


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
    """Measure one pair as the pipeline does; `withheld` names the rule that would withhold its result, or is None."""
    import cv2

    from longderm.archive import read_photo
    from longderm.change.common_view import build_common_view
    from longderm.change.maps import compare_maps
    from longderm.change.score import observe, scale_of
    from longderm.governance import Facts, PhotoFacts, decide
    from longderm.imaging import assess_quality, measure, segment
    from longderm.registration import align, prepare
    from longderm.simulate.devices import DERMATOSCOPES

    cv2.setNumThreads(1)
    devices = {device.model: device for device in DERMATOSCOPES}
    photos, facts, masks = [], [], []
    for known in pair["photos"]:
        photo, device = read_photo(archive / known["path"]), devices[known["device"]]
        meta = replace(
            photo.meta, px_per_mm=known["px_per_mm_stated"], polarised=device.polarised, contact=device.contact
        )
        photo = replace(photo, meta=meta)
        quality, mask = assess_quality(photo), segment(photo)
        photos.append(photo)
        masks.append(mask)
        facts.append(
            PhotoFacts(
                modality=meta.modality,
                quality_score=quality.score,
                polarised=meta.polarised,
                contact=meta.contact,
                px_per_mm=meta.px_per_mm,
                mask_found=mask.found,
                mask_touches_border=mask.touches_border,
                mask_confidence=mask.confidence,
            )
        )
    alignment = align(prepare(photos[0], masks[0]), prepare(photos[1], masks[1]))
    decision = decide(
        None,
        Facts(
            baseline=facts[0],
            followup=facts[1],
            interval_days=pair["interval_days"],
            undated_repeat=False,
            special_site=None,
            same_pixels=False,
            events=(),
            alignment_accepted=alignment.accepted,
            alignment_confidence=alignment.confidence,
            alignment_reason=alignment.reason,
            alpha=ALPHA,
        ),
    )
    row = {name: value for name, value in pair.items() if name != "photos"}
    # Without a change every rule but the last can be asked: "not_scored" means that nothing else stands against it.
    if decision.rule != "not_scored" or alignment.matrix is None:
        return row | {"withheld": decision.rule, "observations": {}}
    matrix = np.asarray(alignment.matrix, dtype=np.float64)
    view = build_common_view(photos[0], photos[1], matrix, (masks[0].mask, masks[1].mask))
    taken = (measure(photos[0], masks[0]), measure(photos[1], masks[1]))
    found = observe(taken, compare_maps(view), scale_of(matrix))
    return row | {"withheld": None, "observations": {o.measure: round(o.value, 6) for o in found}}


def _observations(row: Row) -> list[Observation]:
    return [Observation(name, float(value)) for name, value in sorted(row["observations"].items())]
