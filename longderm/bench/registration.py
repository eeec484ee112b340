"""Alignment on pairs with a known transform, on growth and on impostors, side by side with what others would use.

Error = mean distance over the lesion dilated by a quarter of its diameter, in follow-up pixels, over the lesion's
equivalent diameter there. Success = accepted with an error below 2% (3% where the follow-up is deformed); a refusal is
no success. Impostors (another lesion, a mirrored photo) must be refused. `tests/bench/README.md` says how to run
another method on the same pairs.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from longderm.bench.processes import one_thread_processes
from longderm.bench.registration_pairs import (
    IMPOSTORS,
    REAL,
    SYNTHETIC,
    TIERS,
    PairSpec,
    TruePair,
    checked_folder,
    make_pair,
)
from longderm.bench.registration_peers import METHODS, Answer
from longderm.bench.registration_report import SUCCESS_BELOW_DEFORMED, print_table, summarise
from longderm.registration.similarity import Matrix, apply, scale_of
from longderm.threads import one_thread

Row = dict[str, Any]


def run(
    out: Path,
    pairs: int = 500,
    impostors: int = 500,
    peer_pairs: int = 100,
    seed: int = 1,
    photos: str = "",
    workers: int = 0,
    failures: str = "",
    tiers: str = "",
    resume: int = 0,
    scaling_pairs: int = 40,
) -> dict[str, Any]:
    """Align `pairs` pairs of every tier and generator, and `impostors` of every kind, with longderm and its peers.

    photos: an ISIC-layout folder (images/, masks/) for the real pairs; without it only synthetic ones are made.
    peer_pairs: the peers see only the first so many of each; tiers: names parted by commas, all of them without it;
    workers: processes, 0 for one per core; failures: a folder for pictures of what failed. Rows go to
    `out`/pairs.jsonl; resume: 1 goes on after those that an earlier run of these pairs left there.
    scaling_pairs: so many are aligned by one process, then by two, to see whether the second brings as much; 0: none.
    Raises SourceNotFoundError without that folder.
    """
    folder = checked_folder(Path(photos)) if photos else None
    chosen = tiers.split(",") if tiers else [*TIERS, *IMPOSTORS]
    sources = (REAL, SYNTHETIC) if folder else (SYNTHETIC,)
    specs = [
        PairSpec(source, tier, number, seed)
        for tier in chosen
        for source in sources
        for number in range(impostors if tier in IMPOSTORS else pairs)
    ]
    work = partial(_measure, folder=folder, peer_pairs=peer_pairs, failures=Path(failures) if failures else None)
    log = out / "pairs.jsonl"
    rows = _rows_of(log, specs) if resume else []
    done = {row["name"] for row in rows}
    with log.open("w") as lines, one_thread_processes(workers) as pool:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
        for row in pool.map(work, [spec for spec in specs if spec.name not in done], chunksize=8):
            rows.append(row)
            lines.write(json.dumps(row) + "\n")
            lines.flush()
    figures = summarise(rows)
    print_table(figures)
    options = {"pairs": pairs, "impostors": impostors, "peer_pairs": peer_pairs, "seed": seed, "tiers": chosen}
    return options | {"sources": list(sources), "scaling": _scaling(seed, scaling_pairs)} | figures


def _rows_of(log: Path, specs: Sequence[PairSpec]) -> list[Row]:
    """The rows of an earlier run that are among `specs`; a last line that was cut off is left out."""
    if not log.is_file():
        return []
    asked = {(spec.name, spec.seed) for spec in specs}
    rows = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [row for row in rows if (row["name"], row["seed"]) in asked]


def _measure(spec: PairSpec, folder: Path | None, peer_pairs: int, failures: Path | None) -> Row:
    with one_thread():
        pair = make_pair(spec, folder)
    row: Row = {
        "name": spec.name,
        "seed": spec.seed,
        "source": spec.source,
        "tier": spec.tier,
        "number": spec.number,
        "methods": {},
    }
    for name, method in METHODS.items():
        if name != "longderm" and spec.number >= peer_pairs:
            continue
        with one_thread():
            answer = method(pair)
        error = None if pair.matrix is None or answer.matrix is None else error_of(pair, answer.matrix)
        row["methods"][name] = _described(pair, answer, error)
        if name == "longderm" and failures is not None and _is_failure(pair, answer, error):
            _draw(failures, spec.name, pair, answer, error)
    return row


def _described(pair: TruePair, answer: Answer, error: float | None) -> Row:
    described: Row = {
        "accepted": answer.accepted,
        "confidence": round(answer.confidence, 6),
        "seconds": round(answer.seconds, 4),
        "error": None if error is None else round(error, 6),
    }
    if pair.matrix is not None and answer.matrix is not None:
        described["scale_bias"] = round(scale_of(answer.matrix) / scale_of(pair.matrix) - 1.0, 6)
    return described | answer.details


def error_of(pair: TruePair, matrix: Matrix) -> float:
    """Mean distance from the truth over the lesion dilated by a quarter, as a share of the lesion's diameter."""
    import cv2

    if pair.matrix is None:
        raise ValueError("an impostor has no true transform")
    diameter = 2.0 * float(np.sqrt(max(1, int(pair.baseline_mask.sum())) / np.pi))
    radius = max(1, round(diameter / 8))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    y, x = np.nonzero(cv2.dilate(pair.baseline_mask.astype(np.uint8), disc))
    points = np.stack([x, y], axis=-1).astype(np.float64)
    distance = np.linalg.norm(apply(matrix, points) - pair.true_points(points), axis=1)
    return float(distance.mean()) / (diameter * scale_of(pair.matrix))


def _is_failure(pair: TruePair, answer: Answer, error: float | None) -> bool:
    if pair.matrix is None:
        return answer.accepted
    return not answer.accepted or error is None or error >= SUCCESS_BELOW_DEFORMED


def _draw(folder: Path, name: str, pair: TruePair, answer: Answer, error: float | None) -> None:
    """Save baseline, follow-up, a checkerboard of both under the transform found, and under the true one."""
    import cv2

    from longderm.registration import warp_to_baseline

    folder.mkdir(parents=True, exist_ok=True)
    height, width = pair.baseline.shape[:2]
    y, x = np.mgrid[0:height, 0:width] // max(1, width // 10)
    boards = []
    for matrix in (answer.matrix, pair.matrix):
        board = pair.baseline.copy()
        if matrix is not None:
            warped, _ = warp_to_baseline(pair.followup, matrix, (height, width))
            board = np.where(((x + y) % 2 == 0)[..., None], warped, board)
        boards.append(board)
    picture = np.vstack([np.hstack([pair.baseline, pair.followup]), np.hstack(boards)])
    picture = np.ascontiguousarray(picture[..., ::-1])
    verdict = "accepted" if answer.accepted else "refused"
    text = f"{verdict} {answer.confidence:.2f} " + ("" if error is None else f"error {error:.1%}")
    cv2.putText(picture, text, (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 255), 2)
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / f"{name}.png"), small)


def _scaling(seed: int, pairs: int) -> dict[str, float] | None:
    """How many times the pairs of one process two of them align in the same time, and the memory of one (MB).

    The pairs are read as pictures: what renders them would count as the worker's memory.
    """
    if not pairs:
        return None
    with TemporaryDirectory() as folder:
        specs = [PairSpec(SYNTHETIC, "easy", number, seed) for number in range(pairs)]
        with one_thread_processes(2) as pool:
            files = list(pool.map(partial(_save, folder=Path(folder)), specs))
        gain, peak = _gain_of_two(files)
    print(f"two processes: {gain:.2f} times the pairs of one; at most {peak:.0f} MB a worker")
    return {"gain": round(gain, 3), "peak_mb": round(peak, 1)}


def _gain_of_two(files: list[tuple[Path, Path]]) -> tuple[float, float]:
    """(pairs a second of two processes over those of one, peak memory of one in MB)."""
    rates, peak = {}, 0.0
    for workers in (1, 2):
        with one_thread_processes(workers) as pool:
            list(pool.map(_align_files, files[: 2 * workers]))  # imports, and the memory of the first pairs
            done = list(pool.map(_align_files, files * workers, chunksize=4))
            peak = max(peak, *(memory for _, _, memory in done))
            spans = [(start, end) for start, end, _ in done]
            busy = sum(end - start for start, end in spans) / workers
            rates[workers] = len(spans) / busy
    return rates[2] / rates[1], peak


def _save(spec: PairSpec, folder: Path) -> tuple[Path, Path]:
    import cv2

    pair = make_pair(spec)
    paths = folder / f"{spec.name}-baseline.png", folder / f"{spec.name}-followup.png"
    for path, pixels in zip(paths, (pair.baseline, pair.followup), strict=True):
        cv2.imwrite(str(path), np.ascontiguousarray(pixels[..., ::-1]))
    return paths


def _align_files(paths: tuple[Path, Path]) -> tuple[float, float, float]:
    """Start and end of one alignment (seconds) and the process's peak memory so far (MB)."""
    from longderm import align, read_photo

    baseline, followup = (read_photo(path) for path in paths)
    start = time.perf_counter()
    with one_thread():
        align(baseline, followup)
    return start, time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
