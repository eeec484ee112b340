"""The pictures that go with a model or its evaluation, written as SVG files into one folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from longderm.errors import AccessError, UsageError
from longderm.prognosis.evaluation import SurvivalEvaluation
from longderm.prognosis.pictures import (
    auc_picture,
    auc_series,
    calibration_picture,
    forest_picture,
    forest_rows,
    survival_picture,
)
from longderm.prognosis.pictures.calibration_curve import CURVES_MOST
from longderm.prognosis.survival_model import PER_YEAR, SurvivalModel


def draw_evaluation(found: SurvivalEvaluation) -> dict[str, str]:
    """File name -> SVG: AUC over time, calibration at each horizon, and Kaplan-Meier curves of each model's risk groups
    with numbers at risk and log-rank test. What cannot be told of these patients is left out."""
    drawn = {}
    if found.horizons:
        drawn["auc.svg"] = auc_picture(auc_series(found))
    for label, time in found.horizons.items():
        years = time / PER_YEAR[str(found.settings["time_unit"])]
        curves = {name: one.calibration[label] for name, one in found.models.items() if label in one.calibration}
        curves = {name: curve for name, curve in list(curves.items())[:CURVES_MOST] if curve.predicted.size}
        if curves:
            drawn[f"calibration_{label}.svg"] = calibration_picture(curves, risk=f"{years:g}-year risk")
    for name, one in found.models.items():
        told = one.risk_groups
        test = [] if told.p_value is None else [f"Log-rank test between the groups: p = {told.p_value:.2g}"]
        drawn[f"risk_groups_{_plain(name)}.svg"] = survival_picture(
            {f"risk {group.label}": group.follow_up for group in told.groups},
            title=f"Survival by predicted risk: {name}",
            time_label="Years",
            per_unit=PER_YEAR[str(found.settings["time_unit"])],
            remarks=test,
        )
    return drawn


def draw_model(model: SurvivalModel) -> dict[str, str]:
    """File name -> SVG: the hazard ratios of a fitted model."""
    return {"hazard_ratios.svg": forest_picture(forest_rows(model))}


def write_pictures(pictures: Mapping[str, str], folder: Path) -> list[str]:
    """Write the pictures into `folder`, which is made; returns their paths. Raises UsageError where `folder` is a file,
    AccessError where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, svg in pictures.items():
            (folder / name).write_text(svg)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{folder} is a file; --pictures takes a folder") from None
    except OSError as error:
        raise AccessError(f"pictures cannot be written to {folder}: {error.strerror}") from error
    return [str(folder / name) for name in pictures]


def _plain(name: str) -> str:
    """A model's name as a file's."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name)
