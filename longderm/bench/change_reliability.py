"""Is the change score a probability? Observed against told, on the benchmark's half-and-half mix, as a diagram.

The score is a logistic fitted where about half of the pairs had changed, so that is the share at which it is judged: in
a clinic, where fewer lesions change, the same score stands for less. **Synthetic changes on real photos.**
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.change_figures import over_photos, score
from longderm.bench.change_pairs import STABLE, STRONG
from longderm.bench.rows import Row
from longderm.prognosis.binary_figures import ProbabilityCurve, log_odds, probability_curve, recalibrate

#: The diagram beside the report.
PICTURE = "reliability.svg"
#: Groups of equal size in the diagram.
GROUPS = 10


def balanced_rows(scored: Sequence[Row]) -> list[Row]:
    """The scored rows of the fixed mix, as many re-photographed pairs as changed ones: the first ones by number."""
    ranked = sorted(scored, key=lambda row: (row["number"], row["stratum"]))
    changed = [row for row in ranked if row["stratum"] in STRONG]
    stable = [row for row in ranked if row["stratum"] == STABLE]
    count = min(len(stable), len(changed))
    return [*stable[:count], *changed[:count]]


def reliability(scored: Sequence[Row]) -> dict[str, Any]:
    """Slope (1: right; below: too sure) and intercept (0: right) of the log odds told, with 95% intervals over photos;
    Brier score, expected calibration error, and the groups of the diagram. Empty without pairs of both kinds."""
    rows = balanced_rows(scored)
    if not rows:
        return {}
    told, changed = _told(rows)
    odds = log_odds(told)

    def fitted(index: NDArray[np.intp]) -> tuple[float, float]:
        return recalibrate(odds[index], changed[index].astype(float))

    curve = probability_curve(told, changed, GROUPS)
    off = np.abs(curve.predicted - curve.observed) * curve.patients
    return {
        "pairs": len(rows),
        "changed": int(changed.sum()),
        "slope": over_photos(rows, lambda index: fitted(index)[1]),
        "intercept": over_photos(rows, lambda index: fitted(index)[0]),
        "brier": round(float(np.square(told - changed).mean()), 4),
        "calibration_error": round(float(off.sum()) / len(rows), 4),
        "groups": [
            {"told": round(float(p), 4), "observed": round(float(o), 4), "pairs": int(n)}
            for p, o, n in zip(curve.predicted, curve.observed, curve.patients, strict=True)
        ],
    }


def _told(rows: Sequence[Row]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores of rows, and which of them truly changed."""
    return np.array([score(row) for row in rows]), np.array([row["stratum"] != STABLE for row in rows], bool)


def write_diagram(path: Path, scored: Sequence[Row], release: str) -> None:
    """The reliability diagram as an SVG; none where there are no pairs of both kinds."""
    from longderm.prognosis.pictures import calibration_picture

    rows = balanced_rows(scored)
    if not rows:
        return
    told, changed = _told(rows)
    curves: dict[str, ProbabilityCurve] = {release: probability_curve(told, changed, GROUPS)}
    title, remark = "Reliability of the change score", "Synthetic changes on real photos; half of the pairs changed."
    path.write_text(
        calibration_picture(curves, title=title, risk="chance of a change", remarks=(remark,), ident="reliability")
    )
