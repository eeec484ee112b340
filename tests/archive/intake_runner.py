"""Small archives on disk, and intakes of them into tables held in memory."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from dicom_writer import dataset, file_bytes, with_samples
from PIL import Image

from longderm.archive import (
    INTAKE_TABLES,
    LinkTable,
    Scan,
    SourceSpec,
    assign,
    clear_spool,
    live_photos,
    read_into_spool,
    scan,
    tally,
)
from longderm.schema import TABLES, empty

AS_OF = date(2025, 1, 1)

#: What metadata.csv of these archives says of a photo, in ISIC's names.
COLUMNS = (
    *("isic_id", "patient_id", "lesion_id", "acquisition_date", "image_type", "dermoscopic_type", "sex", "age_approx"),
    *("fitzpatrick_skin_type", "anatom_site_general", "anatom_site_1", "pixels_per_mm"),
)


def draw(path: Path, number: int, kind: str = "PNG", size: tuple[int, int] = (24, 16)) -> Path:
    """Write an image whose pixels follow from `number`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path, kind)
    return path


def draw_dicom(path: Path, number: int, **attributes: Any) -> Path:
    """Write a dermoscopic DICOM photo whose pixels follow from `number`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (16, 24, 3), np.uint8)
    attributes = {"SOPInstanceUID": f"1.2.826.7.{number}", **attributes}
    path.write_bytes(file_bytes(with_samples(dataset(**attributes), pixels, "RGB")))
    return path


def describe(folder: Path, rows: Sequence[Mapping[str, Any]], name: str = "metadata.csv") -> Path:
    """Write a metadata table; what a row leaves out is a dermoscopic photo of a patient's lesion on a day."""
    folder.mkdir(parents=True, exist_ok=True)
    usual = {"patient_id": "P1", "lesion_id": "L1", "acquisition_date": "2024-01-10", "image_type": "dermoscopic"}
    columns = [*COLUMNS, *sorted({key for row in rows for key in row} - set(COLUMNS))]
    with (folder / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows([{**usual, **row} for row in rows])
    # a table that is written twice within the clock's step still counts as changed by its content
    return folder / name


def write_events(folder: Path, lines: Sequence[str]) -> Path:
    """Write events.csv."""
    path = folder / "events.csv"
    path.write_text("patient_id,lesion_id,date,event,diagnosis\n" + "".join(line + "\n" for line in lines))
    return path


class KilledError(Exception):
    """Stands for the SIGKILL of an intake."""


class Clinic:
    """An archive, its link table and the tables of a store; `run` takes in what is new."""

    def __init__(self, root: Path, link: Path | None = None) -> None:
        self.root = root
        self.link = link or root.with_name(root.name + ".link")
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in INTAKE_TABLES}
        self.last: dict[str, int] = {}
        self._sorted: dict[str, tuple[int, list[dict[str, Any]]]] = {}
        root.mkdir(parents=True, exist_ok=True)

    def table(self, name: str) -> pa.Table:
        """The current rows of a table: the highest revision of each."""
        newest: dict[str, dict[str, Any]] = {}
        for row in self.rows[name]:
            newest[row[TABLES[name].key[0]]] = row
        return pa.Table.from_pylist(list(newest.values()), schema=empty(name).schema)

    def current(self, name: str) -> list[dict[str, Any]]:
        """The current rows, sorted by key."""
        size = len(self.rows[name])
        if self._sorted.get(name, (-1, []))[0] != size:
            rows = sorted(self.table(name).to_pylist(), key=lambda row: row[TABLES[name].key[0]])
            self._sorted[name] = (size, rows)
        return self._sorted[name][1]

    def scan(self, as_of: date = AS_OF, **options: Any) -> Scan:
        """Only the scan."""
        with LinkTable.open(self.link, create=True) as link:
            return scan(SourceSpec.open(self.root, **options), link, self.table("files"), as_of)

    def run(self, as_of: date = AS_OF, kill_at: int | None = None, batch: int = 3, **options: Any) -> Scan:
        """An intake. `kill_at`: it ends before its n-th step (a batch read, a table committed, the spool cleared)."""
        steps = 0

        def step() -> None:
            nonlocal steps
            if steps == kill_at:
                raise KilledError
            steps += 1

        source = SourceSpec.open(self.root, **options)
        with LinkTable.open(self.link, create=True) as link:
            found = scan(source, link, self.table("files"), as_of)
            for start in range(0, len(found.pending), batch):
                step()
                read_into_spool(self.link, found.pending[start : start + batch], source)
            step()
            rows = assign(link, source, {name: self.table(name) for name in INTAKE_TABLES}, as_of)
            for name in INTAKE_TABLES:
                step()
                self.commit(name, rows[name])
            step()
            clear_spool(link, source)
        self.last = {name: rows[name].num_rows for name in INTAKE_TABLES}
        return found

    def commit(self, name: str, rows: pa.Table) -> None:
        """Append rows as a store does, whose schema adds only the time of the commit."""
        expected = [field.name for field in TABLES[name].schema if field.name != "recorded_at"]
        assert rows.schema.names == expected
        self.rows[name] += [{**row, "recorded_at": 0} for row in rows.to_pylist()]

    def ref(self, relative: str) -> str:
        """The reference of a file of the archive."""
        with LinkTable.open(self.link) as link:
            return link.file_ref(Path(os.path.realpath(self.root)) / relative)

    def status(self, relative: str) -> tuple[str, str | None]:
        """What became of a file: its status and reason."""
        row = next(row for row in self.current("files") if row["file_ref"] == self.ref(relative))
        return row["status"], row["reason"]

    def photo(self, relative: str) -> dict[str, Any]:
        """The photo that a file became or repeats."""
        file = next(row for row in self.current("files") if row["file_ref"] == self.ref(relative))
        return next(row for row in self.current("photos") if row["photo_id"] == file["photo_id"])

    def lesion(self, relative: str) -> dict[str, Any]:
        """The lesion of a file's photo."""
        wanted = self.photo(relative)["lesion_id"]
        return next(row for row in self.current("lesions") if row["lesion_id"] == wanted)

    def counts(self) -> dict[str, int]:
        """The tally of the files, checked against itself and the photos that count."""
        counts = tally(self.table("files"))
        assert counts["files"] == sum(counts[name] for name in ("photos", "duplicates", "quarantine", "ignored"))
        assert counts["photos"] == live_photos(self.table("photos"), self.table("files")).num_rows
        return counts
