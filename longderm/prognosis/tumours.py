"""From a table of photos to one row per tumour, which is what a metastasis model is fitted to and judged on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from longderm.prognosis.errors import SurvivalTimesError, TumourTableError
from longderm.prognosis.metastasis_status import metastasis_column
from longderm.prognosis.model_matrix import complete_rows, missing_values, table_columns
from longderm.prognosis.survival_times import Flags, Floats, Indices

#: Columns of an embedding in a table, from e0 on.
_EMBEDDING = re.compile(r"e(\d+)")
#: Said of a subgroup column whose photos differ within a tumour.
SEVERAL = "several"

Missing = Literal["refuse", "complete_case"]


@dataclass(frozen=True)
class Tumours:
    """n tumours, sorted by their identifier, whatever the order of the photos.

    `image` float64 (n, d): the mean of the embeddings of a tumour's photos; `clinical` and `others` columns (n,);
    `event` bool (n,) or None where none was asked for; `patient` int (n,) numbers the patients; `stage` int (n,) ranks
    of the stage, 0 where it is not known, or None; `photos` (n,) how many were averaged; `left_out` photos with missing
    values; `lesion` the identifiers, which have no part in the repr.
    """

    image_names: tuple[str, ...]
    image: Floats
    clinical: Mapping[str, np.ndarray]
    event: Flags | None
    patient: Indices
    stage: Indices | None
    others: Mapping[str, np.ndarray]
    photos: Indices
    left_out: int
    lesion: tuple[str, ...] = field(repr=False)

    def __len__(self) -> int:
        return int(self.patient.size)


def tumours_of(
    table: Any,
    *,
    embedding: ArrayLike | Sequence[str] | None = None,
    clinical: Sequence[str] = (),
    endpoint: str | None = None,
    patient: str | None = "patient_id",
    lesion: str | None = "lesion_id",
    stage: str | None = None,
    others: Sequence[str] = (),
    missing: Missing = "refuse",
) -> Tumours:
    """Gather the photos (rows) of a table into tumours.

    `embedding`: an array (rows, d) beside the table, the names of columns, or None for the columns e0..eN that the
    table holds, if any. `clinical` covariates and the endpoint (`metastasis_any` and so on; any is derived from the two
    others where it has no column) must agree between the photos of a tumour; `others` need not: `SEVERAL` where they
    differ. `lesion` None: every row is a tumour; `patient` None: every tumour is another patient's. `missing`: what to
    do about photos with missing values in what the model needs.

    Raises SurvivalTimesError for columns there are not, MissingValuesError, TumourTableError for a tumour of two
    patients, covariates or outcomes that differ within a tumour, an embedding with gaps or of another length.
    """
    image, names = _embedding(table, embedding)
    keys = [name for name in (patient, lesion) if name is not None]
    columns = table_columns(table, [*clinical, *keys, *([stage] if stage else []), *others])
    rows = len(next(iter(columns.values()))) if columns else image.shape[0]
    if image.shape[1] and image.shape[0] != rows:
        raise TumourTableError(f"the embedding has {image.shape[0]} rows and the table {rows}; they must match")
    if rows == 0:
        raise TumourTableError("the table holds no photo")
    needed = {name: columns[name] for name in [*clinical, *keys]}
    if endpoint is not None:
        needed[metastasis_column(endpoint)] = _endpoint(table, endpoint)
    if image.shape[1]:
        broken = ~np.isfinite(image).all(axis=1)
        needed["embedding"] = np.where(broken, np.nan, 0.0)
    kept = complete_rows(needed, missing) if needed else np.ones(rows, np.bool_)
    if not kept.any():
        raise TumourTableError("every photo has missing values; none is left")
    number = np.array([f"{row:09d}" for row in range(rows)])
    lesions = _text(columns[lesion])[kept] if lesion is not None else number[kept]
    people = _text(columns[patient])[kept] if patient is not None else lesions
    identifiers, of = np.unique(lesions, return_inverse=True)
    order = np.argsort(of, kind="stable")
    first = np.searchsorted(of[order], np.arange(identifiers.size))
    _one_patient(of, people, order[first])
    gather = {name: needed[name][kept] for name in [*clinical, *(n for n in needed if n.startswith("metastasis_"))]}
    for name, column in gather.items():
        _agree(name, column, of, order[first])
    photos = np.bincount(of).astype(np.intp)
    mean = np.zeros((photos.size, 0))
    if image.shape[1]:
        mean = np.add.reduceat(image[kept][order], first, axis=0) / photos[:, None]
    event = None
    if endpoint is not None:
        event = _truth(metastasis_column(endpoint), gather[metastasis_column(endpoint)])[order[first]]
    return Tumours(
        names,
        np.asarray(mean, np.float64),
        {name: gather[name][order[first]] for name in clinical},
        event,
        np.unique(people[order[first]], return_inverse=True)[1].astype(np.intp),
        _stages(columns[stage][kept], of, photos.size) if stage else None,
        {name: _one_or_several(columns[name][kept], of, order[first]) for name in others},
        photos,
        int((~kept).sum()),
        tuple(identifiers.tolist()),
    )


def _embedding(table: Any, embedding: ArrayLike | Sequence[str] | None) -> tuple[Floats, tuple[str, ...]]:
    if embedding is not None and not _are_names(embedding):
        image = np.asarray(embedding, np.float64)
        if image.ndim != 2:
            raise TumourTableError(f"the embedding has {image.ndim} dimensions; give one row of numbers per photo")
        return image, tuple(f"e{j}" for j in range(image.shape[1]))
    names = _names_in(table) if embedding is None else [str(name) for name in embedding]  # type: ignore[union-attr]
    if not names:
        return np.zeros((0, 0)), ()
    columns = table_columns(table, names)
    try:
        return np.column_stack([np.asarray(columns[name], np.float64) for name in names]), tuple(names)
    except (TypeError, ValueError):
        raise TumourTableError("the embedding's columns hold text; give numbers") from None


def _are_names(embedding: Any) -> bool:
    return isinstance(embedding, Sequence) and all(isinstance(name, str) for name in embedding)


def _names_in(table: Any) -> list[str]:
    there = table.column_names if hasattr(table, "column_names") else table.keys() if hasattr(table, "keys") else ()
    numbers = sorted(int(found[1]) for name in there if (found := _EMBEDDING.fullmatch(str(name))))
    if numbers != list(range(len(numbers))):
        gap = next(j for j in range(len(numbers) + 1) if j not in set(numbers))
        raise TumourTableError(f"the embedding has no column e{gap} but later ones; name its columns")
    return [f"e{j}" for j in numbers]


def _endpoint(table: Any, endpoint: str) -> np.ndarray:
    name = metastasis_column(endpoint)
    there = set(table.column_names if hasattr(table, "column_names") else table.keys())
    if name in there or endpoint != "any":
        return table_columns(table, [name])[name]
    parts = table_columns(table, [metastasis_column("locoregional"), metastasis_column("distant")])
    known = {part: ~missing_values(column) for part, column in parts.items()}
    yes = [known[part] & _truth(part, np.where(known[part], column, 0)) for part, column in parts.items()]
    no = known[metastasis_column("locoregional")] & known[metastasis_column("distant")] & ~yes[0] & ~yes[1]
    either = yes[0] | yes[1]
    return np.where(either, 1.0, np.where(no, 0.0, np.nan))


def _truth(name: str, column: np.ndarray) -> Flags:
    try:
        numbers = column.astype(np.float64)
    except (TypeError, ValueError):
        raise SurvivalTimesError(f"{name} holds text; code metastasis as 1 and none as 0") from None
    wrong = np.flatnonzero((numbers != 0) & (numbers != 1))
    if wrong.size:
        raise SurvivalTimesError(f"{name} is neither 0 nor 1 in {wrong.size} rows; code metastasis as 1, none as 0")
    return np.asarray(numbers == 1, np.bool_)


def _text(column: np.ndarray) -> np.ndarray:
    """Identifiers as text, 7.0 being 7 and missing ones empty (they are refused or left out before)."""
    gone = missing_values(column)
    numbers = [v for v in column if isinstance(v, float) and v == v]
    whole = column.dtype.kind == "f" and all(v.is_integer() for v in numbers)
    return np.array(["" if m else str(int(v)) if whole else str(v) for v, m in zip(column, gone, strict=True)])


def _one_patient(of: Indices, people: np.ndarray, first: Indices) -> None:
    shared = np.unique(of[people != people[first][of]])
    if shared.size:
        raise TumourTableError(
            f"{shared.size} lesion identifiers stand under more than one patient; a lesion has one patient, so put the "
            "patient into the identifier if lesions are counted per patient"
        )


def _agree(name: str, column: np.ndarray, of: Indices, first: Indices) -> None:
    differing = np.unique(of[np.asarray(column != column[first][of], np.bool_)])
    if differing.size:
        raise TumourTableError(f"{name} differs between the photos of one tumour in {differing.size} tumours; mend it")


def _one_or_several(column: np.ndarray, of: Indices, first: Indices) -> np.ndarray:
    gone = missing_values(column)
    same = (column == column[first][of]) | (gone & gone[first][of])
    several = np.zeros(first.size, np.bool_)
    several[of[~np.asarray(same, np.bool_)]] = True
    if not several.any():
        return column[first]
    return np.where(several, SEVERAL, column[first].astype(object))


def _stages(column: np.ndarray, of: Indices, count: int) -> Indices:
    """Rank of the stages in the order of their names, from 1; the highest of a tumour's photos; 0 not known."""
    gone = missing_values(column)
    text = np.array([str(value) for value in column])
    known = sorted(set(text[~gone].tolist()))
    ranks = np.where(gone, 0, np.searchsorted(np.array(known or [""]), text) + 1)
    highest = np.zeros(count, np.intp)
    np.maximum.at(highest, of, ranks)
    return highest
