"""Two photos as files of an archive and the pair's work over them, without an intake or a run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from longderm.archive import LinkTable, content_hash, read_photo
from longderm.imaging import Segmentation, measure
from longderm.photo import Photo
from longderm.registration.similarity import Matrix, from_parts
from longderm.settings import Settings
from longderm.stages import Place
from longderm.stages.pair import PairWork, run_pair_batch
from longderm.stages.photo import mask_row, measures_row
from longderm.stages.place import rounded
from longderm.stages.work import Pair, Row
from longderm.store import Store

UNKNOWN = ("px_per_mm", "px_per_mm_source", "px_per_mm_error", "polarised", "contact", "magnification", "device")


@dataclass(frozen=True)
class Desk:
    """A store, its link table, and where a worker works."""

    folder: Path

    @property
    def place(self) -> Place:
        return Place(str(self.folder / "store"), str(self.folder / "store.link"), Settings())

    @classmethod
    def set_up(cls, folder: Path) -> Desk:
        with LinkTable.open(folder / "store.link", create=True) as link:
            Store.create(folder / "store", link.key_id)
        return cls(folder)

    def take_in(self, path: Path, px_per_mm: float | None = None) -> Row:
        """The row of `photos` of a file."""
        photo = read_photo(path)
        with LinkTable.open(self.folder / "store.link") as link:
            link.register_files([path], "test")
            identity = ("sha256", hashlib.sha256(path.read_bytes()).hexdigest())
            row = {"photo_id": link.pseudonym("photo", *identity), "file_ref": link.file_ref(path)}
        row |= dict.fromkeys(UNKNOWN) | {"px_per_mm": px_per_mm, "modality": "dermoscopic", "caveats": []}
        row |= {"height_px": photo.shape[0], "width_px": photo.shape[1], "content_hash": content_hash(photo.pixels)}
        return row

    def work_on(self, photos: tuple[Row, Row], drawn: tuple[Segmentation, Segmentation]) -> PairWork:
        """The work of both stages on a pair, its masks and measures as the photo stages leave them."""
        store = Store(self.folder / "store")
        pair = Pair(
            "a pair", "a lesion", "dermoscopic", *(p | {"acquisition_day": d} for d, p in enumerate(photos)), ""
        )
        masks, measures, scales = {}, {}, {}
        for row, segmentation in zip(photos, drawn, strict=True):
            key = row["photo_id"]
            photo = Photo.from_array(self.place.read(row).pixels, px_per_mm=row["px_per_mm"])
            masks[key] = rounded(mask_row(segmentation, store)) | {"failure": None}
            measures[key] = rounded(measures_row(measure(photo, segmentation))) | {"failure": None}
            scales[key] = {name: row[name] for name in UNKNOWN[:3]} | {"failure": None, "caveats": []}
        todo = {"alignments": "first", "changes": "second"}
        return PairWork(pair, todo, None, masks, measures, {key: {} for key in masks}, scales)

    def run(self, work: PairWork) -> tuple[Row, Row]:
        """The rows of `alignments` and `changes` of the pair."""
        result = run_pair_batch([[work]], self.place)
        assert not result.unavailable
        ((alignment,), (change,)) = (result.rows[stage] for stage in ("alignments", "changes"))
        assert not alignment.get("failure") and not change.get("failure"), (alignment, change)
        return alignment, change


def write_jpeg(path: Path, pixels: NDArray[np.uint8], **options: object) -> Path:
    Image.fromarray(pixels).save(path, "JPEG", quality=92, **options)
    return path


def again(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_], scale: float, turn_deg: float, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], Matrix]:
    """The same photo from another pose, in other light and with noise; its mask; and the pose (baseline to this)."""
    height, width = mask.shape
    generator = np.random.default_rng(seed)
    centre = complex((width - 1) / 2, (height - 1) / 2)
    shift = complex(*generator.uniform(-0.02, 0.02, 2)) * width
    pose = from_parts(scale, turn_deg, centre, centre + shift)
    moved = cv2.warpAffine(pixels, pose[:2], (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    seen = cv2.warpAffine(mask.astype(np.uint8) * 255, pose[:2], (width, height)) > 127
    lit = moved * generator.uniform(0.94, 1.03, 3).astype(np.float32)
    noise = generator.standard_normal((height, width, 1), dtype=np.float32) * np.float32(2)
    return np.clip(np.round(lit + noise), 0, 255).astype(np.uint8), np.asarray(seen), pose


def outline(mask: NDArray[np.bool_]) -> Segmentation:
    return Segmentation(mask, 0.95, True, None, False, "by hand")
