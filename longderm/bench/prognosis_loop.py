"""One pass of the optimism bootstrap as one writes it with lifelines and numpy, for comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.prognosis.survival_times import SurvivalTimes

Floats = NDArray[np.float64]


def lifelines_figures(
    data: SurvivalTimes, matrix: Floats, rows: NDArray[np.intp], horizon: float
) -> tuple[list[float], list[float]]:
    """Harrell's C, AUC and Brier at the horizon of a model fitted to `rows`: on those rows, and on all patients."""
    import pandas as pd
    from lifelines import CoxPHFitter

    frame = pd.DataFrame(matrix).rename(columns=str).assign(stop=data.stop, event=data.event)
    sample = frame.iloc[rows].reset_index(drop=True)
    fitter = CoxPHFitter().fit(sample, "stop", "event")
    return _judge(fitter, sample, horizon), _judge(fitter, frame, horizon)


def _judge(fitter: Any, frame: Any, horizon: float) -> list[float]:
    from lifelines import KaplanMeierFitter
    from lifelines.utils import concordance_index

    risk = fitter.predict_partial_hazard(frame).to_numpy()
    c = concordance_index(frame["stop"], -risk, frame["event"])
    survival = fitter.predict_survival_function(frame, times=[horizon]).to_numpy()[0]
    censoring = KaplanMeierFitter().fit(frame["stop"], ~frame["event"])
    stop, event = frame["stop"].to_numpy(), frame["event"].to_numpy()
    case, control = event & (stop <= horizon), stop > horizon
    weight = 1.0 / censoring.predict(stop[case]).to_numpy()
    ordered = np.sort(risk[control])
    below, up_to = (np.searchsorted(ordered, risk[case], side) for side in ("left", "right"))
    auc = float(weight @ (below + up_to) / 2.0 / (weight.sum() * control.sum()))
    free = float(censoring.predict(horizon))
    brier = float((weight @ survival[case] ** 2 + ((1.0 - survival[control]) ** 2).sum() / free) / len(frame))
    return [float(c), auc, brier]
