"""Write one patient's files: every photo of every lesion at every visit, and what is true of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from longderm.simulate import dicom_files, folder_files
from longderm.simulate.archive import PatientOutcome
from longderm.simulate.body import render_overview
from longderm.simulate.devices import CAMERAS, TILE_CAMERA, TILES, dermatoscopes
from longderm.simulate.exposure import Shot
from longderm.simulate.history import MELANOMA_KINDS, LesionState
from longderm.simulate.outline import area_mm2
from longderm.simulate.pigment import LesionLooks, draw_looks
from longderm.simulate.plans import LesionPlan, PatientPlan
from longderm.simulate.records import PhotoRecord, number_of, person_of, uid_of
from longderm.simulate.render import SKIN_EXTENT_MM, SKIN_PER_MM, Rendering, render
from longderm.simulate.shots import LesionShots, stated_scale
from longderm.simulate.sites import SITES
from longderm.simulate.skin import SkinField, build_skin

#: Skin lattices of close-up photos: coarser and wider.
CLOSE_UP_PER_MM = 10.0
CLOSE_UP_EXTENT_MM = 90.0

DIAGNOSES = {
    "melanoma_in_situ": "melanoma in situ",
    "melanoma_invasive": "invasive melanoma",
}

Choices = Callable[[PhotoRecord], dict[str, Any]]


def write_patient(
    out: Path, plan: PatientPlan, *, masks: bool = False, choices: Choices | None = None
) -> PatientOutcome:
    """Write all photos of one patient under `out`; `choices(record)` may fix encoding, format and orientation."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return _PatientWriter(out, plan, masks, choices).write()
    finally:
        cv2.setNumThreads(threads)


class _PatientWriter:
    def __init__(self, out: Path, plan: PatientPlan, masks: bool, choices: Choices | None) -> None:
        self.out, self.plan, self.masks, self.choices = out, plan, masks, choices
        self.person = person_of(plan)
        self.outcome = PatientOutcome()

    def write(self) -> PatientOutcome:
        for lesion in self.plan.lesions:
            self._write_lesion(lesion)
        for visit in self.plan.overview_visits:
            self._write_overview(visit)
        return self.outcome

    def _source_lesion(self, lesion: LesionPlan) -> str:
        if self.plan.maker == "a":
            return f"L{lesion.number:02d}"
        return f"IL_{number_of(self.plan.seed, self.plan.index, 'lesion', lesion.number) % 10**9:09d}"

    def _write_lesion(self, lesion: LesionPlan) -> None:
        plan, history = self.plan, lesion.history
        states = {visit: history.state_at(plan.month(lesion, visit)) for visit in lesion.visits}
        outlines = {visit: history.outline_at(state) for visit, state in states.items()}
        reach = max(float(radii.max()) for radii in outlines.values())
        skin = build_skin(history.seed, plan.skin, SKIN_EXTENT_MM, SKIN_PER_MM, lesion.site)
        looks = draw_looks(history, reach, skin.melanin)
        shots = LesionShots(plan, lesion, reach)
        for visit in lesion.visits:
            for number in range(lesion.photos_at.get(visit, 1)):
                shot = shots.draw(visit, number, dermatoscopes(plan.maker))
                picture = render(skin, looks, history, states[visit], shot, plan.tan(visit))
                self._write_photo(lesion, visit, number, "dermoscopic", shot, picture, states[visit])
        if lesion.close_up:
            self._write_close_ups(lesion, states, looks, shots)
        if plan.maker == "b" and lesion.number <= TILES:
            self._write_tiles(lesion, states, skin, looks, shots)
        areas = [area_mm2(outlines[visit]) for visit in lesion.visits]
        self.outcome.lesions.append(
            {
                "maker": plan.maker,
                "patient_id": self.person.source_id,
                "lesion_id": self._source_lesion(lesion),
                "tracking_uid": self._tracking_uid(lesion),
                "kind": history.kind,
                "population": history.population,
                "malignant": history.kind in MELANOMA_KINDS,
                "evolving": history.evolving,
                "site": lesion.site,
                "growth_mm2_per_month": round(history.growth_mm2_per_month, 6),
                "onset_month": round(history.onset_month, 6),
                "visit_dates": [plan.visit_days[visit] for visit in lesion.visits],
                "visit_months": [round(plan.month(lesion, visit), 6) for visit in lesion.visits],
                "area_mm2": [round(area, 6) for area in areas],
                "radius_mm": [round(float(np.sqrt(area / np.pi)), 6) for area in areas],
            }
        )
        self._write_events(lesion)

    def _write_close_ups(
        self, lesion: LesionPlan, states: dict[int, LesionState], looks: LesionLooks, shots: LesionShots
    ) -> None:
        skin: SkinField = build_skin(
            (*lesion.history.seed, 5), self.plan.skin, CLOSE_UP_EXTENT_MM, CLOSE_UP_PER_MM, lesion.site
        )
        for visit in lesion.visits:
            shot = shots.draw(visit, 90, (CAMERAS[self.plan.maker],))
            picture = render(skin, looks, lesion.history, states[visit], shot, self.plan.tan(visit))
            self._write_photo(lesion, visit, 90, "clinical", shot, picture, states[visit])

    def _write_tiles(
        self,
        lesion: LesionPlan,
        states: dict[int, LesionState],
        skin: SkinField,
        looks: LesionLooks,
        shots: LesionShots,
    ) -> None:
        """The tiles that the overview cameras cut out; they were there on the days of overviews."""
        for visit in sorted(set(lesion.visits) & set(self.plan.overview_visits)):
            shot = shots.draw(visit, 95, (TILE_CAMERA,))
            shot = replace(shot, size=TILE_CAMERA.size, artefacts={})
            picture = render(skin, looks, lesion.history, states[visit], shot, self.plan.tan(visit))
            self._write_photo(lesion, visit, 95, "tbp_tile", shot, picture, states[visit])

    def _tracking_uid(self, lesion: LesionPlan) -> str | None:
        if self.plan.maker != "a":
            return None
        return uid_of(self.plan.seed, self.plan.index, "lesion", lesion.number)

    def _write_photo(
        self,
        lesion: LesionPlan,
        visit: int,
        number: int,
        modality: str,
        shot: Shot,
        picture: Rendering,
        state: LesionState,
    ) -> None:
        plan = self.plan
        key = (plan.seed, plan.index, lesion.number, visit, number, modality)
        side = ("L", "R")[number_of(plan.seed, plan.index, lesion.number, "side") % 2]
        record = PhotoRecord(
            person=self.person,
            lesion=self._source_lesion(lesion),
            tracking_uid=self._tracking_uid(lesion),
            site=lesion.site,
            laterality=side if SITES[lesion.site].paired else None,
            day=plan.visit_days[visit],
            modality=modality,
            device=shot.device,
            px_per_mm_stated=stated_scale(lesion, visit, number, shot),
            key=key,
            visit_key=(plan.seed, plan.index, visit),
        )
        mask = picture.mask
        edge = bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
        record.truth = {
            "px_per_mm": round(shot.px_per_mm, 6),
            "matrix": [round(float(v), 9) for v in shot.matrix.ravel()],
            "area_mm2": round(state.area_mm2, 6),
            "area_px": float(picture.area_px),
            "radius_mm": round(float(np.sqrt(state.area_mm2 / np.pi)), 6),
            "cut_by_border": edge,
            "blur_px": shot.blur_px,
            "motion_px": shot.motion_px,
            "artefacts": sorted(shot.artefacts),
            "quality": shot.quality,
            "_state": (state.area_mm2, state.course),
            "_evolving": lesion.history.evolving,
            "_malignant": lesion.history.kind in MELANOMA_KINDS,
        }
        self._save(record, visit, picture.pixels, shot.jpeg_quality, mask)

    def _write_overview(self, visit: int) -> None:
        plan, device = self.plan, CAMERAS[self.plan.maker]
        record = PhotoRecord(
            person=self.person,
            lesion=None,
            tracking_uid=None,
            site=None,
            laterality=None,
            day=plan.visit_days[visit],
            modality="total_body",
            device=device,
            px_per_mm_stated=None,
            key=(plan.seed, plan.index, "overview", visit),
            visit_key=(plan.seed, plan.index, visit),
        )
        empty = ("px_per_mm", "matrix", "area_mm2", "area_px", "radius_mm", "blur_px", "motion_px")
        record.truth = {**dict.fromkeys(empty), "cut_by_border": False, "artefacts": [], "quality": "good"}
        self._save(record, visit, render_overview(plan, visit, device), 88, None)

    def _save(
        self, record: PhotoRecord, visit: int, pixels: NDArray[np.uint8], quality: int, mask: NDArray[np.bool_] | None
    ) -> None:
        chosen = self.choices(record) if self.choices is not None else {}
        name = number_of(*record.key, "name")
        orientation = 1
        if self.plan.maker == "a":
            encoding = chosen.get("encoding") or dicom_files.choose_encoding(record)
            if record.modality != "dermoscopic" and encoding == "palette":
                encoding = "jpeg"
            record.path = f"dicom/{name % 256:02x}/{name >> 8 & 0xFFFFFF:06x}/{name >> 32:08d}.dcm"
            data = dicom_files.dicom_bytes(record, pixels, encoding, quality)
        else:
            encoding = chosen.get("format") or folder_files.choose_format(record)
            record.path = f"photos/{name % 10**10:010d}.{encoding}"
            if encoding == "jpg":
                orientation = chosen.get("orientation") or folder_files.choose_orientation(record)
            data = folder_files.image_bytes(record, pixels, encoding, quality, orientation)
            self.outcome.metadata.append(folder_files.metadata_row(record))
        path = self.out / record.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        mask_path = None
        if self.masks and mask is not None:
            mask_path = f"truth/masks/{name:020d}.png"
            _write_mask(self.out / mask_path, mask)
        self.outcome.photos.append(
            {
                "path": record.path,
                "maker": self.plan.maker,
                "patient_id": record.person.source_id,
                "lesion_id": record.lesion,
                "date": record.day,
                "visit": visit,
                "modality": record.modality,
                "device": record.device.model,
                "width_px": pixels.shape[1],
                "height_px": pixels.shape[0],
                "px_per_mm_stated": None if record.px_per_mm_stated is None else round(record.px_per_mm_stated, 6),
                "tan": round(self.plan.tan(visit), 6),
                "encoding": encoding,
                "exif_orientation": orientation,
                "colour_profile": dicom_files.choose_profile(record) if self.plan.maker == "a" else "sRGB",
                "mask_path": mask_path,
                "defect": None,
                "expected_status": "photo",
                "expected_reason": None,
                **record.truth,
            }
        )

    def _write_events(self, lesion: LesionPlan) -> None:
        if lesion.excised_after_days is None:
            return
        day = self.plan.visit_days[lesion.visits[-1]] + timedelta(days=lesion.excised_after_days)
        row = {"patient_id": self.person.source_id, "lesion_id": self._source_lesion(lesion), "date": day.isoformat()}
        self.outcome.events.append({**row, "event": "excision", "diagnosis": ""})
        diagnosis = DIAGNOSES.get(lesion.history.kind, lesion.history.kind.replace("_", " "))
        reported = (day + timedelta(days=6)).isoformat()
        self.outcome.events.append({**row, "date": reported, "event": "histology", "diagnosis": diagnosis})


def _write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint8) * 255).convert("1", dither=Image.Dither.NONE).save(path)
