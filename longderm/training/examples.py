"""Training photos held in memory: an ISIC-layout folder, and simulated ones beside them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from longderm.errors import SourceNotFoundError

#: Dermoscopic structures in the order of the marks' bits (ISIC 2018 task 2; Codella et al., arXiv 1902.03368).
STRUCTURES = ("pigment_network", "globules", "streaks", "negative_network", "milia_like_cyst")
#: Sides of the two copies of a photo: the finer one for views that zoom in.
FINE_PX, COARSE_PX = 512, 256


@dataclass(frozen=True, eq=False)
class Example:
    """A photo squashed to squares, as it is held for training.

    fine, coarse: uint8 (512, 512, 3) and (256, 256, 3); mask: uint8 (512, 512), 255 in the lesion; marks: uint8
    (256, 256), a bit per structure, or None where experts marked nothing; aspect: width over height before squashing.
    """

    name: str
    fine: NDArray[np.uint8]
    coarse: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    marks: NDArray[np.uint8] | None
    aspect: float


def read_index(folder: Path) -> list[dict[str, str]]:
    """Rows of `index.csv` (isic_id, split, a column per structure). Raises SourceNotFoundError without one."""
    path = folder / "index.csv"
    if not path.is_file() or not (folder / "images").is_dir() or not (folder / "masks").is_dir():
        raise SourceNotFoundError("the folder must hold images/, masks/ and index.csv with columns isic_id and split")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"isic_id", "split"} <= set(rows[0]):
        raise SourceNotFoundError("index.csv must have columns isic_id and split, and rows")
    return sorted(rows, key=lambda row: row["isic_id"])


def read_train_rows(folder: Path) -> list[dict[str, str]]:
    """Rows of `index.csv` whose split is train. Raises SourceNotFoundError where there is none."""
    rows = [row for row in read_index(folder) if row["split"] == "train"]
    if not rows:
        raise SourceNotFoundError("index.csv has no photo of split train")
    return rows


def read_examples(folder: Path, names: list[str], progress: Callable[[], None] = lambda: None) -> list[Example]:
    """The named photos of an ISIC-layout folder. Raises SourceNotFoundError where one cannot be read."""
    examples = []
    for name in names:
        examples.append(_read_example(folder, name))
        progress()
    return examples


def _read_example(folder: Path, name: str) -> Example:
    import cv2

    def read(kind: str, flags: int) -> NDArray[np.uint8] | None:
        paths = sorted((folder / kind).glob(f"{name}.*")) + sorted((folder / kind).glob(f"{name}_*"))
        image = cv2.imread(str(paths[0]), flags) if paths else None
        return None if image is None else np.asarray(image, dtype=np.uint8)

    pixels, mask = read("images", cv2.IMREAD_COLOR), read("masks", cv2.IMREAD_GRAYSCALE)
    if pixels is None or mask is None:
        raise SourceNotFoundError(f"{name}: photo or mask cannot be read; both must be in the folder")
    marks = read("structures", cv2.IMREAD_UNCHANGED) if (folder / "structures").is_dir() else None
    # Squashing lost the aspect of the photo itself; the marks have kept it.
    shape = marks.shape[:2] if marks is not None else pixels.shape[:2]
    return make_example(name, pixels[..., ::-1], mask > 0, marks, shape[1] / shape[0])


def make_example(
    name: str, pixels: NDArray[np.uint8], mask: NDArray[np.bool_], marks: NDArray[np.uint8] | None, aspect: float
) -> Example:
    """Squash a photo uint8 (H, W, 3) with its mask (H, W) and marks to the squares that training holds."""
    import cv2

    def squash(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
        finer = min(image.shape[:2]) < side
        resized = cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR if finer else cv2.INTER_AREA)
        return np.ascontiguousarray(resized, dtype=np.uint8)

    held = None
    if marks is not None:
        held = np.asarray(cv2.resize(marks, (COARSE_PX, COARSE_PX), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    fine = squash(np.ascontiguousarray(pixels), FINE_PX)
    return Example(name, fine, squash(fine, COARSE_PX), squash(mask.astype(np.uint8) * 255, FINE_PX), held, aspect)


def hold_out(rows: list[dict[str, str]], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Names to train on and names to choose by; each combination of structures is parted alike."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(name, "") for name in STRUCTURES), []).append(row["isic_id"])
    rng = np.random.default_rng(seed)
    kept: list[str] = []
    held: list[str] = []
    for key in sorted(groups):
        names = [groups[key][int(i)] for i in rng.permutation(len(groups[key]))]
        count = int(np.floor(len(names) * share + rng.random()))
        held += names[:count]
        kept += names[count:]
    return sorted(kept), sorted(held)


def simulate_examples(folder: Path, patients: int, seed: int) -> list[Example]:
    """Close-up photos of a simulated archive, written to `folder` unless it is there, with their true masks."""
    import cv2
    import pyarrow.parquet as pq

    from longderm.archive import read_photo
    from longderm.simulate import simulate_archive

    table = folder / "truth" / "photos.parquet"
    if not table.is_file():
        simulate_archive(folder, patients, seed, masks=True)
    examples = []
    for row in pq.read_table(table).to_pylist():
        if row["modality"] == "total_body" or not row["mask_path"]:
            continue
        photo = read_photo(folder / row["path"])
        mask = cv2.imread(str(folder / row["mask_path"]), cv2.IMREAD_GRAYSCALE)
        if mask is not None and mask.shape == photo.shape and mask.any():
            height, width = photo.shape
            examples.append(make_example(str(row["path"]), photo.pixels, mask > 0, None, width / height))
    return sorted(examples, key=lambda example: example.name)
