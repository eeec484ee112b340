"""Change: measured differences of an aligned pair, their score against the noise, heat map, trajectory."""

from longderm.change.evidence import NoiseModel
from longderm.change.picture import draw_heatmap
from longderm.change.result import Change, Delta
from longderm.change.score import score_change
from longderm.change.trajectory import Trajectory, VisitMeasure, fit_trajectory, relative_areas

__all__ = [
    "Change",
    "Delta",
    "NoiseModel",
    "Trajectory",
    "VisitMeasure",
    "draw_heatmap",
    "fit_trajectory",
    "relative_areas",
    "score_change",
]
