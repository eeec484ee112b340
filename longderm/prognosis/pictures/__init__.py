"""Pictures of prognosis as SVG files that read in black-and-white print: no script, no font, equal bytes each time."""

from longderm.prognosis.pictures.auc_over_time import AucSeries, auc_picture, auc_series
from longderm.prognosis.pictures.calibration_curve import calibration_picture
from longderm.prognosis.pictures.forest import ForestRow, forest_picture, forest_rows
from longderm.prognosis.pictures.risk_breakdown import breakdown_picture
from longderm.prognosis.pictures.survival_curves import survival_picture

__all__ = [
    "AucSeries",
    "ForestRow",
    "auc_picture",
    "auc_series",
    "breakdown_picture",
    "calibration_picture",
    "forest_picture",
    "forest_rows",
    "survival_picture",
]
