"""All that a simulation draws from, as one JSON text with its hash: frozen before anything is scored on it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from longderm.simulate import history, plans, shots
from longderm.simulate.calibration import PUBLISHED, Calibration
from longderm.simulate.devices import DERMATOSCOPES
from longderm.simulate.history import Courses
from longderm.simulate.pigment import LOOKS


def distributions(courses: Courses, calibration: Calibration = PUBLISHED) -> dict[str, Any]:
    """Every parameter of monitored lesions and their photos by name, and the hash of the code that draws by them.

    Growth: its distributions, truncation and sign; measuring noise is not drawn but made by photographing and
    measuring, so what is stated of it are the cameras, the scales' error and the code.
    """
    return {
        "calibration": asdict(calibration)
        | {"in_situ_share": calibration.in_situ_share, "melanoma_growth_cv": calibration.melanoma_growth_cv},
        "area_mm2": {"distribution": "log-normal", "clipped_to": list(history.AREA_RANGE_MM2)},
        "growth_mm2_per_month": {
            "melanoma": {
                "distribution": "log-normal, by in situ and invasive",
                "truncated_at": history.GROWTH_CAP_MM2_PER_MONTH,
                "sign": "never negative: regression is a course of colour, not a loss of area",
            },
            "growing_nevus": {
                "distribution": "normal, the published range as the central 95%",
                "truncated_below_at": history.LEAST_BENIGN_GROWTH,
                "sign": "positive",
            },
            "other_changing": {"distribution": "half-normal", "sd": history.OTHER_GROWTH_SD, "sign": "not negative"},
            "course": "linear in area from the first visit on",
        },
        "courses": asdict(courses) | {"course": "final strength times 1 - exp(-months / pace)"},
        "benign_changing_shares": dict(zip(history.BENIGN_CHANGING_KINDS, history.BENIGN_CHANGING_SHARES, strict=True)),
        "resting_shares": {name: list(shares) for name, shares in history.RESTING_SHARES.items()},
        "first_interval_days": "80 to 109, later ones 150 to 399, evenly",
        "skin_shares": list(plans.SKIN_SHARES),
        "measuring_noise": {
            "kind": "every photo is rendered with its own pose, light, hair and camera and measured by the pipeline",
            "devices": [asdict(device) for device in DERMATOSCOPES],
            "usual_device_share": shots.USUAL_DEVICE_SHARE,
            "scale_error_relative_sd": shots.SCALE_ERROR,
        },
        "looks": {kind: asdict(looks) for kind, looks in LOOKS.items()},
        "code_sha256": _code_hash(),
    }


def frozen_text(described: dict[str, Any]) -> tuple[str, str]:
    """The JSON text of distributions with sorted names, and its SHA-256."""
    text = json.dumps(described, indent=1, sort_keys=True) + "\n"
    return text, hashlib.sha256(text.encode()).hexdigest()


def _code_hash() -> str:
    """Over the code of this room by file name: what is drawn by numbers that stand in the code is frozen with it."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
