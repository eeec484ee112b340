"""Where a worker works: the store and the link table it reads photos through, and what a batch brings back."""

from __future__ import annotations

import io
import os
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from longderm.archive.reduced import ReducedDecode
from longderm.errors import LongdermError, UnusablePhotoError
from longderm.photo import Photo
from longderm.schema import TABLES
from longderm.settings import Settings
from longderm.stages.work import Fingerprinter, Row
from longderm.store import Store

#: Environment of a worker: one thread for torch, OpenBLAS, OpenCV and ITK, which read it when they are first loaded.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1",
}


@dataclass(frozen=True)
class Place:
    """All that a worker process needs to open: paths and settings, no identity and no pixels."""

    store: str
    link_dir: str
    settings: Settings

    def open_store(self) -> Store:
        """The store, to read and to put derived images into; only the committing process writes tables."""
        return _open_store(self.store)

    def fingerprinter(self) -> Fingerprinter:
        """The releases in use, loaded once per worker and decision on releases."""
        return _fingerprinter(self.settings.model_dump_json(), self.store, self.open_store().version("promotions"))

    def read(self, photo: Row) -> Photo:
        """The photo of a row of `photos`, read from the archive.

        Raises UnavailableError when its file is gone or no longer holds these pixels.
        """
        from longderm.archive import content_hash, open_photo

        opened = open_photo(self._path(photo), photo, self.settings.max_megapixels)
        if content_hash(opened.pixels) != photo["content_hash"]:
            raise UnavailableError(f"{photo['file_ref']}: the file has changed since intake; run with --source again")
        return opened

    def read_reduced(self, photo: Row, least_side_px: int) -> ReducedDecode | None:
        """The pixels of a row of `photos`, decoded as small as their longer side stays at least `least_side_px`.

        The content hash is one of all pixels and cannot be told from a reduced
        decode. What is compared instead is stricter: the SHA-256 of the file's bytes, from which the photo's id was
        made at intake. None where it is another (of metadata that changed, perhaps), or where the photo cannot be
        decoded at reduced size exactly in its place; `read` then judges the pixels. Raises UnavailableError when the
        file is gone.
        """
        from longderm.archive import open_reduced

        link = _open_link(self.link_dir)

        def is_same(identity: tuple[str, str]) -> bool:
            return bool(link.pseudonym("photo", *identity) == photo["photo_id"])

        path = self._path(photo)
        try:
            return open_reduced(path, photo, least_side_px, is_same, self.settings.max_megapixels)
        except UnusablePhotoError:
            return None

    def _path(self, photo: Row) -> Path:
        path = _resolve(self.link_dir, photo["file_ref"])
        if path is None or not Path(path).is_file():
            raise UnavailableError(f"{photo['file_ref']}: the file is not in the archive any more; see `longderm find`")
        return path


class UnavailableError(LongdermError, OSError):
    """A photo's file cannot be had now; the work stays pending and is tried again by the next run."""


@dataclass
class BatchResult:
    """Rows for the tables, by name, that the committing process appends; what stays pending; the CPU time spent."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    unavailable: list[str] = field(default_factory=list)
    cpu_s: float = 0.0
    entities: int = 0

    def tables(self) -> dict[str, pa.Table]:
        """The rows in their tables' schemas (without `recorded_at`, which the commit fills in)."""
        return {name: rows_to_table(name, rows) for name, rows in self.rows.items() if rows}


def rows_to_table(name: str, rows: list[Row]) -> pa.Table:
    """Rows as an arrow table in the schema of table `name`; a column that a row does not name is null."""
    schema = TABLES[name].schema
    schema = schema.remove(schema.get_field_index("recorded_at"))
    unknown = sorted({column for row in rows for column in row} - set(schema.names))
    if unknown:
        raise KeyError(f"table {name} has no column {', '.join(unknown)}")
    return pa.Table.from_pylist(rows, schema=schema)


def significant(value: Any) -> Any:
    """A number rounded to six significant digits: low bits of another build must not make another row."""
    if isinstance(value, (float, np.floating)):
        return None if not np.isfinite(value) else float(f"{value:.6g}")
    return value


def rounded(fields: Mapping[str, Any]) -> Row:
    """The same fields with every float rounded to six significant digits; NaN becomes null."""
    return {name: significant(value) for name, value in fields.items()}


def encode_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """A picture for people, uint8 (H, W, 3) sRGB, as JPEG."""
    import cv2

    done, data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert done
    return bytes(data)


def encode_mask(mask: NDArray[np.bool_]) -> bytes:
    """A bool (H, W) mask as a 1-bit PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return buffer.getvalue()


def decode_mask(data: bytes) -> NDArray[np.bool_]:
    """The bool (H, W) mask of a 1-bit PNG."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("1"), dtype=np.bool_)


def start_worker(parent_pid: int | None = None) -> None:
    """Set up a worker process: one thread per library, and an end with the parent that it works for."""
    os.environ.update(ONE_THREAD)
    if parent_pid is not None:
        _end_with_parent(parent_pid)


def _end_with_parent(parent_pid: int) -> None:
    import threading

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(1.0)
        os._exit(1)  # the parent was killed: nobody will take this worker's rows

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


@lru_cache(maxsize=4)
def _open_store(uri: str) -> Store:
    return Store(uri)


@lru_cache(maxsize=4)
def _fingerprinter(settings: str, store: str, promotions: int) -> Fingerprinter:
    return Fingerprinter(Settings.model_validate_json(settings), _open_store(store))


def _resolve(link_dir: str, file_ref: str) -> Path | None:
    path: Path | None = _open_link(link_dir).resolve(file_ref)
    return path


@lru_cache(maxsize=4)
def _open_link(link_dir: str) -> Any:
    from longderm.archive import LinkTable

    return LinkTable.open(Path(link_dir))
