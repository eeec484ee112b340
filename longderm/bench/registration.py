"""Alignment on pairs with a known transform and on impostors, side by side with ORB.

Pairs: real photos of an ISIC-layout folder photographed twice in software (`registration_pairs`), and a simulated
archive's visits with their true similarity. Error = mean distance over the lesion dilated by a quarter of its diameter,
in follow-up pixels, over the lesion's equivalent diameter there. Success = accepted with an error below 2%; a refusal
is no success. Impostors (another lesion, a mirrored photo) must be refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.registration_pairs import (
    TIERS,
    TruePair,
    checked_folder,
    impostor_pairs,
    simulated_pairs,
    warped_pairs,
)
from longderm.photo import Photo
from longderm.registration.similarity import Matrix, apply, scale_of
from longderm.registration.threads import one_thread

#: Errors (share of the lesion's diameter) below this are a success, and accepted ones above that a wrong match.
SUCCESS_BELOW, WRONG_ABOVE = 0.02, 0.05

#: The peer's features and the inliers that it takes for a match.
_ORB_FEATURES, _ORB_INLIERS, _ORB_REPROJECTION_PX = 1500, 12, 4.0


@dataclass(frozen=True, eq=False)
class Answer:
    """What a method says of a pair: matrix or None, accepted, confidence, CPU seconds with and without preparation."""

    matrix: Matrix | None
    accepted: bool
    confidence: float
    seconds: float


Method = Callable[[TruePair], Answer]


def run(out: Path, pairs: int = 30, seed: int = 1, photos: str = "", patients: int = 8) -> dict[str, Any]:
    """Align `pairs` pairs a tier and as many impostors with longderm and with ORB; prints a table.

    photos: an ISIC-layout folder (images/, masks/) to make warped pairs of; without it only `patients` simulated
    patients are used. Pictures of failures go to `out`/failures. Raises SourceNotFoundError without that folder.
    """
    # Preparation and the peer on one thread, too: CPU seconds of threads that wait for each other say nothing.
    with one_thread():
        figures = _measure(out, pairs, seed, photos, patients)
    _print(figures)
    return {"pairs": pairs, "seed": seed, "patients": patients, "warped": bool(photos), "tiers": figures}


def _measure(out: Path, pairs: int, seed: int, photos: str, patients: int) -> dict[str, Any]:
    methods: dict[str, Method] = {"longderm": by_longderm, "orb+mask": by_orb}
    tiers: dict[str, Iterator[TruePair]] = {}
    if photos:
        folder = checked_folder(Path(photos))
        tiers |= {f"warped {tier}": warped_pairs(folder, tier, pairs, seed) for tier in TIERS}
        tiers["impostors"] = impostor_pairs(folder, pairs, seed)
    tiers["simulated"] = simulated_pairs(out / "archive", patients, pairs, seed, impostors=False)
    tiers["simulated impostors"] = simulated_pairs(out / "archive", patients, pairs, seed, impostors=True)
    figures: dict[str, Any] = {}
    for tier, source in tiers.items():
        answers: dict[str, list[tuple[TruePair, Answer, float | None]]] = {name: [] for name in methods}
        for pair in source:
            for name, method in methods.items():
                answer = method(pair)
                error = None if pair.matrix is None or answer.matrix is None else error_of(pair, answer.matrix)
                answers[name].append((pair, answer, error))
                if name == "longderm" and _is_failure(pair, answer, error):
                    _draw(out / "failures", tier, pair, answer, error)
        figures[tier] = {name: _figures(rows) for name, rows in answers.items()}
    return figures


def by_longderm(pair: TruePair) -> Answer:
    """Our alignment, preparation (segmentation included) of both photos counted."""
    from longderm.registration import align

    start = time.process_time()
    result = align(_photo(pair.baseline, pair.px_per_mm[0]), _photo(pair.followup, pair.px_per_mm[1]))
    return Answer(result.matrix, result.accepted, result.confidence, time.process_time() - start)


def by_orb(pair: TruePair) -> Answer:
    """The peer: ORB with hair and dark corners masked, mutual nearest neighbours, RANSAC similarity (OpenCV)."""
    import cv2

    from longderm.imaging import field_of_view, hair_mask

    start = time.process_time()
    found = []
    for pixels in (pair.baseline, pair.followup):
        photo = Photo.from_array(pixels)
        free = (field_of_view(photo) & ~hair_mask(photo)).astype(np.uint8)
        orb = cv2.ORB.create(nfeatures=_ORB_FEATURES)
        found.append(orb.detectAndCompute(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), free))
    (first, first_bits), (second, second_bits) = found
    nothing = Answer(None, False, 0.0, time.process_time() - start)
    if first_bits is None or second_bits is None or min(len(first), len(second)) < 3:
        return nothing
    matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(first_bits, second_bits)
    if len(matches) < 3:
        return nothing
    source = np.array([first[m.queryIdx].pt for m in matches], np.float64)
    target = np.array([second[m.trainIdx].pt for m in matches], np.float64)
    affine, inliers = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=_ORB_REPROJECTION_PX, maxIters=5000
    )
    if affine is None:
        return nothing
    count = int(inliers.sum())
    matrix = np.vstack([affine, [0.0, 0.0, 1.0]])
    return Answer(matrix, count >= _ORB_INLIERS, count / (count + _ORB_INLIERS), time.process_time() - start)


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
    distance = np.linalg.norm(apply(matrix, points) - apply(pair.matrix, points), axis=1)
    return float(distance.mean()) / (diameter * scale_of(pair.matrix))


def _photo(pixels: NDArray[np.uint8], px_per_mm: float | None) -> Photo:
    return Photo.from_array(pixels, px_per_mm=px_per_mm)


def _is_failure(pair: TruePair, answer: Answer, error: float | None) -> bool:
    if pair.matrix is None:
        return answer.accepted
    return not answer.accepted or error is None or error >= SUCCESS_BELOW


def _figures(rows: list[tuple[TruePair, Answer, float | None]]) -> dict[str, Any]:
    accepted = sum(answer.accepted for _, answer, _ in rows)
    seconds = [answer.seconds for _, answer, _ in rows]
    figures: dict[str, Any] = {
        "pairs": len(rows),
        "accepted": accepted,
        "accepted_interval": wilson(accepted, len(rows)),
        "seconds_median": round(float(np.median(seconds)), 3) if rows else None,
        "seconds_p95": round(float(np.quantile(seconds, 0.95)), 3) if rows else None,
    }
    if not rows or rows[0][0].matrix is None:
        return figures
    errors = [error for _, _, error in rows if error is not None]
    good = sum(answer.accepted and error is not None and error < SUCCESS_BELOW for _, answer, error in rows)
    wrong = sum(answer.accepted and error is not None and error > WRONG_ABOVE for _, answer, error in rows)
    return figures | {
        "success": good,
        "success_interval": wilson(good, len(rows)),
        "wrong_accepted": wrong,
        "error_median": round(float(np.median(errors)), 5) if errors else None,
    }


def wilson(count: int, total: int) -> tuple[float, float] | None:
    """Wilson's 95% interval of a share, rounded to 3 decimals; None of nothing."""
    if total == 0:
        return None
    z = 1.959964
    share = count / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * float(np.sqrt(share * (1 - share) / total + z * z / (4 * total * total)))
    return round(max(0.0, centre - half), 3), round(min(1.0, centre + half), 3)


def _print(figures: dict[str, Any]) -> None:
    print(
        f"{'tier':<20} {'method':<9} {'pairs':>5} {'success':>8} {'accepted':>8} {'wrong':>5} {'error':>8} {'CPU s':>6}"
    )
    for tier, methods in figures.items():
        for name, row in methods.items():
            success = f"{row['success'] / row['pairs']:.1%}" if "success" in row else "-"
            accepted = f"{row['accepted'] / row['pairs']:.1%}" if row["pairs"] else "-"
            error = f"{row['error_median']:.3%}" if row.get("error_median") is not None else "-"
            wrong = row.get("wrong_accepted", row["accepted"])
            print(
                f"{tier:<20} {name:<9} {row['pairs']:>5} {success:>8} {accepted:>8} {wrong:>5} {error:>8} "
                f"{row['seconds_median'] or 0:>6.2f}"
            )


def _draw(folder: Path, tier: str, pair: TruePair, answer: Answer, error: float | None) -> None:
    """Save baseline, follow-up and a checkerboard of both under the transform found."""
    import cv2

    from longderm.registration import warp_to_baseline

    folder.mkdir(parents=True, exist_ok=True)
    height, width = pair.baseline.shape[:2]
    board = pair.baseline.copy()
    if answer.matrix is not None:
        warped, _ = warp_to_baseline(pair.followup, answer.matrix, (height, width))
        y, x = np.mgrid[0:height, 0:width] // max(1, width // 10)
        board = np.where(((x + y) % 2 == 0)[..., None], warped, board)
    followup = np.asarray(cv2.resize(pair.followup, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    picture = np.ascontiguousarray(np.hstack([pair.baseline, followup, board])[..., ::-1])
    verdict = "accepted" if answer.accepted else "refused"
    text = f"{verdict} {answer.confidence:.2f} " + ("" if error is None else f"error {error:.1%}")
    cv2.putText(picture, text, (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 255), 2)
    cv2.imwrite(str(folder / f"{tier}-{pair.name}.png".replace(" ", "_").replace("/", "_")), picture)
