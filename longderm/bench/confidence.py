"""Fit the confidence of an alignment on real photos taken twice, and check it on synthetic pairs.

Candidates of the cheap path and of the search are pooled, and impostors added: what is fitted must tell a right
transform from a wrong one whoever found it. Prints the constants of `longderm.registration.verify`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.processes import one_thread_processes
from longderm.bench.registration_pairs import REAL, SYNTHETIC, PairSpec, checked_folder, make_pair
from longderm.bench.statistics import auroc

#: Pairs of each kind.
_PAIRS = {"hard": 50, "zoomed": 50, "stress": 90, "deformed": 40, "other lesion": 140, "mirrored": 50}

#: Right below, wrong above these errors (share of the lesion's diameter); those between count for neither.
_RIGHT_BELOW, _WRONG_ABOVE = 0.03, 0.05

#: Share of right ones among candidates, to which the confidence is fitted: of what an archive files as one lesion, a
#: twentieth may be mixed up.
_RIGHT_SHARE = 0.95

#: The logistic's penalty.
_RIDGE = 1e-4

Row = dict[str, Any]


def run(out: Path, photos: str, seed: int = 101, workers: int = 0, reuse: int = 0) -> dict[str, Any]:
    """Fit on real pairs of the ISIC-layout folder `photos`, check on as many synthetic ones.

    reuse: 1 takes the candidates that an earlier run left in `out`. Raises SourceNotFoundError without that folder.
    """
    folder, kept = checked_folder(Path(photos)), out / "candidates.json"
    if not (reuse and kept.is_file()):
        specs = [
            PairSpec(source, tier, number, seed + part)
            for part, source in enumerate((REAL, SYNTHETIC))
            for tier, count in _PAIRS.items()
            for number in range(count)
        ]
        with one_thread_processes(workers) as pool:
            found = list(pool.map(partial(_candidates, folder=folder), specs, chunksize=4))
        kept.write_text(json.dumps([row for rows in found for row in rows], indent=1) + "\n")
    rows: list[Row] = json.loads(kept.read_text())
    fit_on, check_on = ([row for row in rows if row["source"] == source] for source in (REAL, SYNTHETIC))
    constants = fit(fit_on)
    print("_CONFIDENCE =", tuple(round(float(c), 2) for c in constants))
    figures: dict[str, Any] = {"constants": [round(float(c), 3) for c in constants], "seed": seed}
    for name, part in (("fitted", fit_on), ("other generator", check_on)):
        features, right = _table(part)
        confidence = 1.0 / (1.0 + np.exp(-(features @ constants)))
        figures[name] = {
            "right": int(right.sum()),
            "wrong": int((~right).sum()),
            "auroc": round(auroc(confidence, right), 5),
            "right_refused": round(float((confidence[right] < 0.5).mean()), 4),
            "wrong_accepted": round(float((confidence[~right] >= 0.5).mean()), 4),
        }
        print(name, figures[name])
    return figures


def fit(rows: Sequence[Row]) -> NDArray[np.float64]:
    """Constant and weights of a logistic regression, right and wrong candidates weighted as `_RIGHT_SHARE` says."""
    from scipy.optimize import minimize

    features, right = _table(rows)
    weight = np.where(right, _RIGHT_SHARE / right.sum(), (1.0 - _RIGHT_SHARE) / (~right).sum())

    def loss(constants: NDArray[np.float64]) -> float:
        logit = features @ constants
        return float((weight * (np.logaddexp(0.0, logit) - right * logit)).sum() + _RIDGE * (constants[1:] ** 2).sum())

    return np.asarray(minimize(loss, np.zeros(features.shape[1])).x)


def _table(rows: Sequence[Row]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    judged = [row for row in rows if row["error"] is None or not _RIGHT_BELOW <= row["error"] <= _WRONG_ABOVE]
    features = np.array([[1.0, *row["features"]] for row in judged])
    return features, np.array([row["error"] is not None and row["error"] < _RIGHT_BELOW for row in judged])


def _candidates(spec: PairSpec, folder: Path) -> list[Row]:
    """What the cheap path and the search find for one pair: the features of the confidence, and the error."""
    from longderm.bench.registration import error_of
    from longderm.photo import Photo
    from longderm.registration import prepare
    from longderm.registration.alignment import candidates
    from longderm.registration.verify import confidence_features
    from longderm.threads import one_thread

    pair = make_pair(spec, folder)
    rows = []
    with one_thread():
        first, second = prepare(Photo.from_array(pair.baseline)), prepare(Photo.from_array(pair.followup))
        if first.problem is not None or second.problem is not None:
            return []
        for path, evidence in candidates(first, second):
            error = None if pair.matrix is None else round(error_of(pair, evidence.matrix), 5)
            row = {"source": spec.source, "tier": spec.tier, "number": spec.number, "path": path, "error": error}
            rows.append(row | {"features": [round(value, 6) for value in confidence_features(evidence)]})
    return rows
