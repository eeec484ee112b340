"""How often the interval of an embedding's gain in a metastasis model covers what was planted: on drawn tumours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.statistics import wilson
from longderm.prognosis.binary_figures import auroc
from longderm.prognosis.metastasis import evaluate_metastasis

#: Tumours of a study, one a patient, and values of the embedding, of which one direction may act.
TUMOURS, VALUES = 600, 16
#: Log odds: of a tumour at the means, per SD of log thickness, for ulceration (three in ten); a fifth to a quarter
#: spread, as in a sentinel node study.
BASELINE, THICKNESS, ULCER, ULCERATED = -1.7, 0.8, 0.6, 0.3
#: Tumours that tell the planted gain: its Monte Carlo error is below 0.001.
TRUTH_TUMOURS = 1_000_000
#: Resamples of patients in each study.
RESAMPLES = 200


def cover_metastasis_gain(seeds: int, seed: int, effect: float) -> dict[str, Any]:
    """Share of `seeds` studies whose 95% interval of the combined model's gain in AUROC over the clinical one, in
    nested cross-validation, covers the planted gain; `effect`: log odds per SD of the embedding's direction.

    The planted gain is that of the true predictors. Models fitted to a study gain less: they must find the direction.
    """
    truth, rows = planted_gain(effect, seed), []
    for turn in range(seeds):
        table, embedding, _ = draw_tumours(TUMOURS, seed + 1 + turn, effect)
        found = evaluate_metastasis(
            table, embedding=embedding, clinical=["thickness", "ulcer"], bootstraps=RESAMPLES, seed=turn
        )
        gain = next(one for one in found.gains if one.over == "clinical").figures["auroc"]
        rows.append((gain.value, gain.lower, gain.upper))
    value, low, high = np.array(rows).T
    covered = int(((low <= truth) & (truth <= high)).sum())
    result = {
        "seeds": seeds,
        "effect": effect,
        "planted": round(truth, 5),
        "covers": round(covered / seeds, 4),
        "covers_95": wilson(covered, seeds),
        "lies_above": int((low > truth).sum()),
        "lies_below": int((high < truth).sum()),
        "excludes_zero": int((low > 0).sum()),
        "mean_gain": round(float(value.mean()), 5),
        "mean_width": round(float((high - low).mean()), 5),
    }
    print(f"metastasis, gain in AUROC, planted {truth:.4f}: interval covers it in {covered} of {seeds} studies "
          f"(above {result['lies_above']}, below {result['lies_below']}), mean gain {result['mean_gain']}, "
          f"mean width {result['mean_width']}")  # fmt: skip
    return result


def planted_gain(effect: float, seed: int) -> float:
    """AUROC of the true log odds less that of their clinical part, of `TRUTH_TUMOURS`."""
    table, embedding, clinical = draw_tumours(TRUTH_TUMOURS, seed, effect, values=1)
    event = table["metastasis_any"] == 1
    return auroc(clinical + effect * embedding[:, 0], event) - auroc(clinical, event)


def draw_tumours(
    tumours: int, seed: int, effect: float, values: int = VALUES
) -> tuple[dict[str, NDArray[Any]], NDArray[np.float64], NDArray[np.float64]]:
    """A table of tumours, their embedding (tumours, values) whose first value acts, and the clinical log odds."""
    rng = np.random.default_rng(seed)
    thickness, ulcer = rng.normal(size=tumours), (rng.random(tumours) < ULCERATED).astype(np.float64)
    embedding = rng.normal(size=(tumours, values))
    clinical = BASELINE + THICKNESS * thickness + ULCER * (ulcer - ULCERATED)
    event = rng.random(tumours) < 1.0 / (1.0 + np.exp(-clinical - effect * embedding[:, 0]))
    names = np.arange(tumours)
    table: dict[str, NDArray[Any]] = {
        "patient_id": names,
        "lesion_id": names,
        "thickness": thickness,
        "ulcer": ulcer,
        "metastasis_any": event.astype(np.int64),
    }
    return table, embedding, clinical
