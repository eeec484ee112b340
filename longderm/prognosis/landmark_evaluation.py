"""How landmark predictions do, landmark by landmark: calibration, discrimination and error of the risk ahead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from longderm.prognosis.bootstrap import resamples
from longderm.prognosis.calibration import administrative_end, calibration_at
from longderm.prognosis.cross_validation import splits
from longderm.prognosis.errors import (
    MissingValuesError,
    NotConvergedError,
    SurvivalTimesError,
    TooFewEventsError,
    UnusableColumnsError,
)
from longderm.prognosis.evaluation import plain
from longderm.prognosis.figures import survival_figures
from longderm.prognosis.follow_up import follow_up
from longderm.prognosis.insufficient import FEWEST_EVENTS
from longderm.prognosis.landmark import LandmarkRows, fit_landmark, predict_landmark
from longderm.prognosis.model_matrix import missing_values
from longderm.prognosis.survival_model import PER_YEAR, SurvivalModel
from longderm.prognosis.survival_times import Flags, Floats, SurvivalTimes, survival_times

#: Landmarks in years since the origin at which predictions are judged. At each, a patient's first visit within the year
#: that follows counts, so that no patient counts twice.
LANDMARK_YEARS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
#: Folds of patients in which a model that is not finished is judged.
FOLDS = 5
#: An interval needs so many resamples that had the figure.
LEAST_RESAMPLED = 0.9

_KINDS = ("harrell_c", "auc", "brier")


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95% interval (percentiles over resamples of patients); NaN where there is none."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class LandmarkFigures:
    """The figures at one landmark: `years` since the origin, None for all visits together.

    `events` within the last horizon after the visits. `figures` by name: `harrell_c` (follow-up up to the last
    horizon), and per horizon `calibration_slope_3y`, `observed_expected_3y` (both ideally 1), `auc_3y`, `brier_3y`;
    empty below `FEWEST_EVENTS` patients with the event, which `insufficient` says.
    """

    years: float | None
    visits: int
    patients: int
    events: int
    insufficient: bool
    figures: Mapping[str, Estimate]

    @property
    def label(self) -> str:
        """What it is called."""
        return "all visits" if self.years is None else f"{self.years:g}y"


@dataclass(frozen=True)
class LandmarkEvaluation:
    """`landmarks`: all visits, then each landmark; `left_out` visits at which a covariate was not known. `settings`
    say how it was judged; `notes` what a reader must know.
    """

    patients: int
    events: int
    left_out: int
    horizons_years: tuple[float, ...]
    landmarks: tuple[LandmarkFigures, ...]
    settings: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers; what is not a number becomes None."""
        return {
            **plain({name: getattr(self, name) for name in ("patients", "events", "left_out", "horizons_years")}),
            "landmarks": {
                one.label: plain(
                    {
                        "years": one.years,
                        "visits": one.visits,
                        "patients": one.patients,
                        "events": one.events,
                        "insufficient": one.insufficient,
                        "figures": one.figures,
                    }
                )
                for one in self.landmarks
            },
            "settings": plain(self.settings),
            "notes": list(self.notes),
        }


def evaluate_landmark(
    rows: LandmarkRows,
    model: SurvivalModel | Sequence[str],
    *,
    horizons_years: Sequence[float],
    landmarks_years: Sequence[float] = LANDMARK_YEARS,
    bootstraps: int = 200,
    seed: int = 0,
    penalty: float = 0.0,
) -> LandmarkEvaluation:
    """Judge a finished landmark model, or one of covariates, on visits.

    Of covariates a model is fitted in each of `FOLDS` folds of patients to the others, and each visit is predicted by
    the one that had not seen its patient. `bootstraps` resamples of patients give the intervals: of the figures of
    these predictions, not of fitting another model. Visits at which a covariate is not known are left out.

    Raises SurvivalTimesError, TooFewEventsError, what `fit_landmark` raises.
    """
    horizons = tuple(sorted(set(horizons_years)))
    if not horizons or horizons[0] <= 0:
        raise SurvivalTimesError("horizons must be years above 0")
    finished = model if isinstance(model, SurvivalModel) else None
    names = model.covariates if isinstance(model, SurvivalModel) else tuple(model)
    complete = _complete(rows, names)
    if not complete.any():
        raise SurvivalTimesError("no visit has all covariates: nothing can be judged")
    kept = LandmarkRows({name: column[complete] for name, column in rows.columns.items()})
    data = survival_times(kept.columns["time"], kept.columns["event"])
    notes: list[str] = []
    if finished is not None:
        found = predict_landmark(finished, kept, horizons)
        risk, predictor = found.risk, found.linear_predictor
    else:
        risk, predictor = _held_out(kept, data, names, horizons, seed, penalty, notes)
    judged = np.isfinite(risk).all(axis=1) & np.isfinite(predictor)
    kept = LandmarkRows({name: column[judged] for name, column in kept.columns.items()})
    data, risk, predictor = data.take(judged), risk[judged], predictor[judged]
    patient = np.unique(kept.columns["patient"].astype(str), return_inverse=True)[1]
    times = np.array(horizons) * PER_YEAR["days"]
    labels = tuple(f"{year:g}y" for year in horizons)
    found_at = []
    for years in (None, *landmarks_years):
        rows_of = np.arange(len(kept)) if years is None else _first_in_year(kept.columns["day"], patient, years)
        found_at.append(
            _judge(
                years,
                data.take(rows_of),
                risk[rows_of],
                predictor[rows_of],
                patient[rows_of],
                times,
                labels,
                bootstraps,
                seed,
            )
        )
    ended = np.unique(patient[data.event & (data.stop <= times[-1])])
    return LandmarkEvaluation(
        int(np.unique(patient).size),
        int(ended.size),
        int((~complete).sum() + (~judged).sum()),
        horizons,
        tuple(found_at),
        {"bootstraps": bootstraps, "seed": seed, "folds": None if finished else FOLDS, "penalty": penalty},
        tuple(notes),
    )


def _complete(rows: LandmarkRows, names: Sequence[str]) -> Flags:
    complete = np.ones(len(rows), np.bool_)
    for name in names:
        complete &= ~missing_values(rows.columns[name])
    return complete


def _held_out(
    rows: LandmarkRows,
    data: SurvivalTimes,
    names: Sequence[str],
    horizons: tuple[float, ...],
    seed: int,
    penalty: float,
    notes: list[str],
) -> tuple[Floats, Floats]:
    """Risks (n, k) and log hazard ratios (n,) of each visit by the model that had not seen its patient."""
    patient = rows.columns["patient"].astype(str)
    with_event = np.unique(patient[data.event]).size
    if with_event < 2 * FOLDS:
        raise TooFewEventsError(f"{with_event} patients with the event for {FOLDS} folds; two per fold are the least")
    risk, predictor = np.full((len(rows), len(horizons)), np.nan), np.full(len(rows), np.nan)
    failed = 0
    for train, test in splits(data, FOLDS, 1, seed, patient):
        seen, held = (LandmarkRows({n: c[part] for n, c in rows.columns.items()}) for part in (train, test))
        try:
            model = fit_landmark(seen, names, look_ahead_years=horizons[-1], penalty=penalty)
            found = predict_landmark(model, held, horizons)
        except (
            UnusableColumnsError,
            NotConvergedError,
            TooFewEventsError,
            MissingValuesError,
            SurvivalTimesError,
        ) as error:
            failed += 1
            reason = str(error)
            continue
        risk[test] = found.risk
        # the centre differs between folds: on the scale of the risk they are one
        predictor[test] = np.log(-np.log1p(-found.risk[:, -1].clip(1e-12, 1 - 1e-12)))
    if failed == FOLDS:
        raise TooFewEventsError(f"no fold could be fitted: {reason}")
    if failed:
        notes.append(f"{failed} of {FOLDS} folds could not be fitted; their patients are not judged")
    return risk, predictor


def _first_in_year(day: Floats, patient: np.ndarray, years: float) -> np.ndarray:
    """Positions of each patient's first visit from `years` on, within a year."""
    start = years * PER_YEAR["days"]
    rows = np.flatnonzero((day >= start) & (day < start + PER_YEAR["days"]))
    rows = rows[np.lexsort((day[rows], patient[rows]))]
    return rows[np.unique(patient[rows], return_index=True)[1]]


def _judge(
    years: float | None,
    data: SurvivalTimes,
    risk: Floats,
    predictor: Floats,
    patient: np.ndarray,
    times: Floats,
    labels: tuple[str, ...],
    bootstraps: int,
    seed: int,
) -> LandmarkFigures:
    visits, people = len(data), int(np.unique(patient).size)
    if visits == 0:
        return LandmarkFigures(years, 0, 0, 0, True, {})
    cut = administrative_end(data, float(times[-1]))
    events = int(np.unique(patient[cut.event]).size)
    if events < FEWEST_EVENTS:
        return LandmarkFigures(years, visits, people, events, True, {})
    value = _figures(data, cut, risk, predictor, times, labels)
    drawn: dict[str, list[float]] = {name: [] for name in value}
    for rows in resamples(visits, bootstraps, seed, patient):
        for name, one in _figures(data.take(rows), cut.take(rows), risk[rows], predictor[rows], times, labels).items():
            if np.isfinite(one):
                drawn[name].append(one)
    figures = {}
    for name, one in value.items():
        low, high = np.nan, np.nan
        if bootstraps and len(drawn[name]) >= LEAST_RESAMPLED * bootstraps:
            low, high = np.quantile(drawn[name], [0.025, 0.975]).tolist()
        figures[name] = Estimate(one, low, high)
    return LandmarkFigures(years, visits, people, events, False, figures)


def _figures(
    data: SurvivalTimes, cut: SurvivalTimes, risk: Floats, predictor: Floats, times: Floats, labels: tuple[str, ...]
) -> dict[str, float]:
    """Figures of these visits; a horizon that their follow-up does not reach has none."""
    reached = times <= float(data.stop.max())
    # Each visit predicts and is judged for itself.
    until, ever = follow_up(cut), follow_up(data)
    found = survival_figures(until, until, predictor, 1.0 - risk, times[:0], (), ("harrell_c",))
    further = survival_figures(ever, ever, predictor, 1.0 - risk, times, labels, ("auc", "brier"))
    for k, label in enumerate(labels):
        if not reached[k]:
            found |= {f"calibration_slope_{label}": np.nan, f"observed_expected_{label}": np.nan}
            continue
        calibrated = calibration_at(data, risk[:, k], float(times[k]), groups=1)
        found[f"calibration_slope_{label}"] = np.nan if calibrated.slope is None else calibrated.slope
        found[f"observed_expected_{label}"] = calibrated.observed_expected
    return found | {name: value for name, value in further.items() if name != "integrated_brier"}
