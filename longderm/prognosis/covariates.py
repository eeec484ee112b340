"""What a covariate is called, where its values come from, and in which unit they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from longderm.archive.mapping import OUTCOME_COLUMNS, SourceMapping
from longderm.errors import UsageError
from longderm.prognosis.leakage import OUTCOME_NAMES
from longderm.prognosis.metastasis_status import METASTASIS_ENDPOINTS, metastasis_column

#: Field of an outcomes table -> the column of `OUTCOMES_SCHEMA` that holds it, for those that are known at diagnosis.
_COLUMN_OF_FIELD = {
    "sex": "sex",
    "age": "age_approx",
    "thickness_mm": "mel_thick_mm",
    "ulceration": "mel_ulcer",
    "mitoses": "mel_mitotic_index",
    "t_category": "t_category",
    "stage": "stage",
    "nodes_positive": "nodes_positive",
    "nodes_examined": "nodes_examined",
}
#: The checked columns of an outcomes table that tell of the diagnosis, and their units.
DIAGNOSIS_UNITS: Mapping[str, str] = {
    "sex": "category",
    "age_approx": "years",
    "mel_thick_mm": "mm",
    "mel_ulcer": "yes or no",
    "mel_mitotic_index": "per mm2",
    "t_category": "category",
    "stage": "category",
    "nodes_positive": "count",
    "nodes_examined": "count",
}
#: Ends of names that say the unit of a column, the longest first.
_UNIT_ENDINGS = (
    ("_mm2_per_month", "mm2 per month"),
    ("_per_mm2", "per mm2"),
    ("_mm2", "mm2"),
    ("_mm", "mm"),
    ("_um", "um"),
    ("_days", "days"),
    ("_months", "months"),
    ("_years", "years"),
    ("_percent", "percent"),
)
_LOG2 = re.compile(r"log2\((.+)\)")
_NEVER = frozenset(("row", "patient_id", "lesion_id", "patient", "mel_mitotic_index_qualifier"))
#: Columns that say whether a tumour metastasised.
_METASTASIS = frozenset(map(metastasis_column, METASTASIS_ENDPOINTS))
_THICKNESS = ("thick", "breslow", "dicke")


@dataclass(frozen=True)
class Covariate:
    """One covariate of a model: `name` as the model calls it, `source` the column that it is made of, `unit` the
    source's ("" where its name does not say); `log2` where it is the source's binary logarithm.
    """

    name: str
    source: str
    unit: str = ""
    log2: bool = False

    @property
    def is_thickness(self) -> bool:
        """Whether its name says that it is a Breslow thickness."""
        return any(word in self.source.lower() for word in _THICKNESS)

    def to_source(self, value: float) -> float:
        """A value of the covariate on its source's scale, for people."""
        return float(2.0**value) if self.log2 else value


def covariate(text: str, mapping: SourceMapping | None = None) -> Covariate:
    """A covariate as asked for: `mel_thick_mm`, or `log2(mel_thick_mm)`. A name that the outcomes table knows in
    another spelling (age, the column that a mapping names) becomes ISIC's.

    Raises UsageError for an identifier and for what tells the outcome.
    """
    text = text.strip()
    found = _LOG2.fullmatch(text)
    asked = found[1].strip() if found else text
    source = _canonical(asked, mapping or SourceMapping())
    if not source:
        raise UsageError("a covariate has no name; write them with commas between, such as mel_thick_mm,mel_ulcer")
    if source in _NEVER:
        raise UsageError(f"{source} is no covariate: it says who or where, not what")
    if source.lower() in OUTCOME_NAMES | _METASTASIS or (
        _field(asked, mapping or SourceMapping()) is not None and source == asked
    ):
        raise UsageError(f"{asked} tells the outcome or when it was: it is no covariate")
    name = f"log2({source})" if found else source
    return Covariate(name, source, unit_of(source), found is not None)


def unit_of(column: str) -> str:
    """The unit that a column's name says; "" where it says none."""
    known = DIAGNOSIS_UNITS.get(column)
    return known or next((unit for ending, unit in _UNIT_ENDINGS if column.lower().endswith(ending)), "")


def log2_values(values: np.ndarray) -> np.ndarray:
    """Binary logarithm of values (n,) of which those that are not above 0, and missing ones, become NaN; float64."""
    numbers = np.array([np.nan if value is None else float(value) for value in values.tolist()], np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(numbers > 0, np.log2(numbers), np.nan)


def _canonical(name: str, mapping: SourceMapping) -> str:
    if name in DIAGNOSIS_UNITS:
        return name
    field = _field(name, mapping)
    return _COLUMN_OF_FIELD.get(field, name) if field is not None else name


def _field(name: str, mapping: SourceMapping) -> str | None:
    """The outcomes table's field that a column of this name is read as, or None."""
    if name in DIAGNOSIS_UNITS:
        return None
    for field, aliases in OUTCOME_COLUMNS.items():
        mapped = mapping.outcomes.get(field)
        if name.lower() in (aliases if mapped is None else (mapped.lower(),)):
            return field
    return None
