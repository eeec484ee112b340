"""The sample archive that longderm ships: nine patients cast for what a clinic meets, and one file of each defect."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from longderm.simulate.archive import SimulatedArchive, write_archive
from longderm.simulate.history import LesionHistory, make_lesion
from longderm.simulate.plans import LesionPlan, PatientPlan
from longderm.simulate.records import PhotoRecord, number_of, person_of

#: The seed of the sample.
SAMPLE_SEED = 20250630

#: All photos are this large (height, width), which keeps the package small.
SAMPLE_FRAME = (480, 640)

MANIFEST = "truth/manifest.json"

#: Where the sample's first melanoma is bound for.
MELANOMA_COURSE = {"asymmetry": 0.9, "new_colour": 0.9, "network_loss": 0.7, "streaks": 0.4, "regression": 0.3}


def write_sample(out: Path) -> SimulatedArchive:
    """Write the sample archive into the new or empty folder `out`; the same bytes every time on one kind of machine."""
    plans = cast()
    archive = write_archive(out, plans, SAMPLE_SEED, sample_defects=True, choices=choose_storage, hosts=_hosts(plans))
    (out / MANIFEST).write_text(json.dumps(hashes(out), indent=1, sort_keys=True) + "\n")
    return archive


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of an archive but its manifest, by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".py")
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.relative_to(folder).as_posix() != MANIFEST and "__pycache__" not in path.parts
    }


def cast() -> list[PatientPlan]:
    """The patients of the sample."""
    return [
        _patient(
            0, "a", "male", 1966, 2, ("2023-11-14", "2024-02-16", "2024-08-20", "2025-03-11"),
            # A melanoma that grows to one side, gets new colours and loses its network; cut out in the end.
            _lesion(0, 1, "melanoma_invasive", "back", (0, 1, 2, 3), area=21.0, growth=0.75, pace=7.0, excised=16,
                    final=MELANOMA_COURSE),
            _lesion(0, 2, "common_nevus", "abdomen", (0, 1, 2, 3), area=12.0),
            _lesion(0, 3, "dysplastic_nevus", "back", (0, 1, 2, 3), area=18.0, photos_at={1: 3}),
        ),
        _patient(
            1, "b", "female", 2001, 2, ("2021-05-03", "2022-04-25", "2023-05-08", "2024-05-13", "2025-05-19"),
            # A young nevus that grows all round, with globules at its rim.
            _lesion(1, 1, "growing_nevus", "upper_arm", (0, 1, 2, 3, 4), area=9.0, growth=0.25,
                    final={"rim_globules": 0.4}),
            _lesion(1, 2, "common_nevus", "thigh", (0, 2, 4), area=8.0),
            _lesion(1, 3, "common_nevus", "back", (0, 1, 2, 4), area=14.0),
        ),
        _patient(
            2, "b", "female", 1988, 3, ("2024-02-06", "2024-08-13", "2025-02-11"),
            # Summer and winter: the skin tans, the nevi rest.
            _lesion(2, 1, "common_nevus", "chest", (0, 1, 2), area=13.0),
            _lesion(2, 2, "dysplastic_nevus", "back", (0, 1, 2), area=17.0),
            tan=0.95,
        ),
        _patient(
            3, "a", "male", 1953, 1, ("2023-06-20", "2024-06-18", "2025-06-17"),
            _lesion(3, 1, "seborrhoeic_keratosis", "back", (0, 1, 2), area=30.0),
            _lesion(3, 2, "solar_lentigo", "forearm", (0, 1, 2), area=16.0),
            _lesion(3, 3, "angioma", "abdomen", (0, 2), area=9.0),
            _lesion(3, 4, "dermal_nevus", "neck", (0, 1, 2), area=20.0),
            overviews=(0, 2),
        ),
        _patient(
            4, "b", "female", 1978, 2, ("2022-09-12", "2022-12-15", "2023-07-03", "2024-04-22", "2025-04-14"),
            # Slow: hardly visible from visit to visit, plain against the first.
            _lesion(4, 1, "melanoma_in_situ", "lower_leg", (0, 1, 2, 3, 4), area=17.0, growth=0.3, pace=16.0,
                    final={"asymmetry": 0.8, "new_colour": 0.75, "network_loss": 0.6, "darkening": 0.2}),
            # Not photographed at the last visit.
            _lesion(4, 2, "dysplastic_nevus", "back", (0, 1, 2, 3), area=15.0),
            _lesion(4, 3, "irritated_nevus", "chest", (1, 2, 3), area=10.0, final={"redness": 0.8}),
        ),
        _patient(
            5, "a", "female", 1973, 5, ("2024-01-09", "2024-07-09", "2025-01-14"),
            _lesion(5, 1, "common_nevus", "back", (0, 1, 2), area=15.0),
            _lesion(5, 2, "common_nevus", "sole", (0, 2), area=11.0),
            _lesion(5, 3, "common_nevus", "nail", (1,), area=7.0),
        ),
        _patient(
            6, "b", "male", 1985, 4, ("2023-10-02", "2024-04-08", "2025-04-07"),
            _lesion(6, 1, "solar_lentigo", "face", (0, 1, 2), area=14.0),
            _lesion(6, 2, "common_nevus", "abdomen", (0, 1, 2), area=16.0, close_up=True, flaws={1: "blurred"}),
            _lesion(6, 3, "dysplastic_nevus", "back", (0, 2), area=20.0, flaws={2: "cut"}),
            # Seen once, never again.
            _lesion(6, 4, "common_nevus", "upper_arm", (0,), area=9.0),
        ),
        _patient(
            7, "a", "male", 1959, 2, ("2023-03-14", "2024-03-12", "2025-03-18"),
            _lesion(7, 1, "changing_nevus", "chest", (0, 1, 2), area=12.0,
                    final={"darkening": 0.45, "network_loss": 0.5}),
            _lesion(7, 2, "common_nevus", "back", (0, 2), area=10.0),
            # Its Tracking UID also stands in another patient's file.
            _lesion(7, 3, "dermal_nevus", "abdomen", (0, 1), area=12.0),
        ),
    ]  # fmt: skip


def choose_storage(record: PhotoRecord) -> dict[str, Any]:
    """How each photo of the sample is stored: every encoding at least once, the bulky ones not more often."""
    patient, lesion, visit = record.key[1], record.key[2], record.key[3]
    bulky: dict[tuple[object, ...], dict[str, Any]] = {
        (0, 2, 0): {"encoding": "rle"},
        (0, 2, 1): {"encoding": "jpeg2000_lossless"},
        (3, 1, 0): {"encoding": "raw"},
        (3, 2, 0): {"encoding": "palette"},
        (3, 2, 1): {"encoding": "palette"},
        (1, 2, 0): {"format": "png"},
        (1, 2, 2): {"format": "tiff"},
    }
    if (patient, lesion, visit) in bulky:
        return bulky[(patient, lesion, visit)]
    wavelet = number_of(*record.key, "sample") % 4 == 0
    return {"encoding": "jpeg2000_lossy" if wavelet else "jpeg", "format": "jpg"}


def _patient(
    index: int,
    maker: str,
    sex: str,
    birth_year: int,
    skin: int,
    days: tuple[str, ...],
    *lesions: LesionPlan,
    tan: float = 0.1,
    overviews: tuple[int, ...] = (),
) -> PatientPlan:
    return PatientPlan(
        index=index,
        seed=SAMPLE_SEED,
        maker=maker,
        sex=sex,
        birth_year=birth_year,
        skin=skin,
        tan_reach=tan,
        visit_days=tuple(date.fromisoformat(day) for day in days),
        lesions=lesions,
        overview_visits=overviews,
        frame=SAMPLE_FRAME,
    )


def _lesion(
    patient: int,
    number: int,
    kind: str,
    site: str,
    visits: tuple[int, ...],
    area: float,
    growth: float | None = None,
    pace: float | None = None,
    final: dict[str, float] | None = None,
    excised: int | None = None,
    **other: Any,
) -> LesionPlan:
    seed = (SAMPLE_SEED, patient, 2, number)
    population = "suspicious" if kind in ("dysplastic_nevus", "melanoma_invasive", "melanoma_in_situ") else "ordinary"
    drawn: LesionHistory = make_lesion(np.random.default_rng(seed), seed, kind, population, 3.0)
    fixed = {"area_mm2": area, "onset_month": 0.0}
    if growth is not None:
        fixed["growth_mm2_per_month"] = growth
    if pace is not None:
        fixed["pace_months"] = pace
    history = replace(drawn, **fixed, final=drawn.final if final is None else final)  # type: ignore[arg-type]
    return LesionPlan(number, history, site, visits, excised_after_days=excised, **other)


def _hosts(plans: list[PatientPlan]) -> dict[str, tuple[str, str]]:
    """Defects that would spoil a lesion of the cast are hosted by the ones meant for it."""
    patient = person_of(plans[7]).source_id
    return {"same_pixels_other_day": (patient, "L02"), "shared_tracking_uid": (patient, "L03")}
