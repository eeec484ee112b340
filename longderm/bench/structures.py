"""Dermoscopic structures against experts' marks: each in a photo or not, how well calibrated, and where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.statistics import auroc
from longderm.imaging.structures import Structures

#: Resamples of photos behind an interval.
_RESAMPLES = 1000
#: Bins of equal count in which calibration is compared.
_CALIBRATION_BINS = 5


@dataclass(eq=False)
class Tally:
    """Structures of photos and what experts marked, gathered photo by photo."""

    probabilities: list[NDArray[np.float32]] = field(default_factory=list)
    present: list[NDArray[np.bool_]] = field(default_factory=list)
    both: list[NDArray[np.int64]] = field(default_factory=list)
    either: list[NDArray[np.int64]] = field(default_factory=list)
    names: tuple[str, ...] = ()

    def add(self, found: Structures, marks: NDArray[np.uint8]) -> None:
        """One photo: `marks` uint8 (h, w) with a bit per structure, in the order of `found.names`."""
        import cv2

        self.names = found.names
        planes = np.stack([(marks >> bit) & 1 for bit in range(len(found.names))]).astype(bool)
        size = (marks.shape[1], marks.shape[0])
        drawn = np.stack(
            [cv2.resize(plane.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0 for plane in found.marks]
        )
        self.probabilities.append(found.probability)
        self.present.append(np.asarray(planes.any(axis=(1, 2))))
        self.both.append((planes & drawn).sum(axis=(1, 2)))
        self.either.append((planes | drawn).sum(axis=(1, 2)))

    def summarise(self, seed: int = 1) -> dict[str, Any] | None:
        """Figures per structure with 95% intervals (photos resampled), and over all; None without photos.

        jaccard: cells marked by both over cells marked by either, over all photos together.
        """
        if not self.present:
            return None
        probability, present = np.stack(self.probabilities).astype(np.float64), np.stack(self.present)
        both, either = np.stack(self.both), np.stack(self.either)
        picks = np.random.default_rng(seed).integers(0, len(present), (_RESAMPLES, len(present)))
        figures: dict[str, Any] = {}
        for index, name in enumerate(self.names):
            scores, labels = probability[:, index], present[:, index]
            figures[name] = {
                "photos_with": int(labels.sum()),
                "auroc": _number(auroc(scores, labels)),
                "auroc_interval": _interval([auroc(scores[pick], labels[pick]) for pick in picks]),
                "calibration_error": _number(calibration_error(scores, labels)),
                "jaccard": _number(_ratio(both[:, index].sum(), either[:, index].sum())),
                "jaccard_interval": _interval([_ratio(*_sums(both, either, pick, index)) for pick in picks[:200]]),
            }
        return {
            "photos": len(present),
            "jaccard_over_all": _number(_ratio(both.sum(), either.sum())),
            "jaccard_over_all_interval": _interval(
                [_ratio(both[pick].sum(), either[pick].sum()) for pick in picks[:200]]
            ),
            "jaccard_mean": _number(float(np.mean([figures[name]["jaccard"] or 0.0 for name in self.names]))),
            "structures": figures,
        }


def calibration_error(probability: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """Mean distance between the probability said and the share found, over bins of equal count."""
    order = np.argsort(probability, kind="stable")
    bins = np.array_split(order, _CALIBRATION_BINS)
    return float(sum(abs(probability[part].mean() - labels[part].mean()) * len(part) for part in bins) / len(order))


def _sums(both: NDArray[np.int64], either: NDArray[np.int64], pick: NDArray[np.int64], index: int) -> tuple[int, int]:
    return int(both[pick, index].sum()), int(either[pick, index].sum())


def _ratio(part: int, whole: int) -> float:
    return float(part / whole) if whole else float("nan")


def _interval(values: list[float]) -> list[float] | None:
    known = np.array(values)[~np.isnan(values)]
    return [round(float(end), 4) for end in np.percentile(known, [2.5, 97.5])] if known.size else None


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)
