"""Photos with true masks that benchmarks measure on: an ISIC-layout folder, or simulated visits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from longderm.errors import SourceNotFoundError
from longderm.imaging.segmentation import DEFAULT_VERSION
from longderm.models import Release, load_release
from longderm.models.releases import hash_file
from longderm.photo import Photo


@dataclass(frozen=True, eq=False)
class Example:
    """A photo with the mask that counts as true, and experts' marks of structures (a bit each) where there are any."""

    name: str
    photo: Photo
    mask: NDArray[np.bool_]
    marks: NDArray[np.uint8] | None = None


def simulated(folder: Path, patients: int, seed: int) -> Iterator[Example]:
    """Close-up photos of a simulated archive with their true masks; the archive is written to `folder`."""
    import pyarrow.parquet as pq

    from longderm.archive import read_photo
    from longderm.simulate import simulate_archive

    simulate_archive(folder, patients, seed, masks=True)
    for row in pq.read_table(folder / "truth" / "photos.parquet").to_pylist():
        if row["modality"] != "total_body" and row["mask_path"]:
            mask = _read_mask(folder / row["mask_path"])
            photo = read_photo(folder / row["path"])
            if mask.shape == photo.shape and mask.any():
                yield Example(str(row["path"]), photo, mask)


def read_release(named: str) -> Release:
    """A segmentation release by its version, or by a folder that is not in the registry; "" is the default one."""
    if not named or re.fullmatch(r"\d+\.\d+\.\d+", named):
        return load_release("segmentation", named or DEFAULT_VERSION)
    path = Path(named) / "config.json"
    if not path.is_file():
        raise SourceNotFoundError("--release must be a version, or name a folder with a config.json in it")
    digest = "-".join(hash_file(part) for part in sorted(path.parent.iterdir()) if part.is_file())
    return Release("segmentation", "fitted", json.loads(path.read_text()), digest, path.parent)


def names_of(folder: Path, split: str) -> list[str]:
    """Sorted names of a folder's photos with masks, those of `split` where index.csv has splits."""
    if not (folder / "images").is_dir() or not (folder / "masks").is_dir():
        raise SourceNotFoundError("--photos must name a folder with images/ and masks/ in it")
    names = sorted(path.stem for path in (folder / "images").iterdir())
    index = folder / "index.csv"
    if index.is_file():
        chosen = {line.split(",")[0] for line in index.read_text().splitlines() if line.split(",")[1] == split}
        names = [name for name in names if name in chosen]
    masked = {path.stem.removesuffix("_segmentation") for path in (folder / "masks").iterdir()}
    return [name for name in names if name in masked]


def pick(names: list[str], limit: int) -> list[str]:
    """At most `limit` of the names, evenly picked; 0 for all."""
    return names if not limit or len(names) <= limit else [names[i * len(names) // limit] for i in range(limit)]


def load_example(folder: Path, name: str) -> Example:
    """A photo of an ISIC-layout folder with its mask and marks."""
    import cv2

    from longderm.archive import read_photo

    photo = read_photo(sorted((folder / "images").glob(f"{name}.*"))[0])
    marks = sorted((folder / "structures").glob(f"{name}*"))
    return Example(
        name,
        photo,
        _read_mask(sorted((folder / "masks").glob(f"{name}*"))[0]),
        np.asarray(cv2.imread(str(marks[0]), cv2.IMREAD_UNCHANGED), dtype=np.uint8) if marks else None,
    )


def _read_mask(path: Path) -> NDArray[np.bool_]:
    import cv2

    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise SourceNotFoundError(f"mask {path.name} cannot be read; it must be a PNG")
    return np.asarray(mask > 0)
