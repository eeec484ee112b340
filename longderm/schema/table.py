"""What a table is: its columns with their meaning, the key of its rows, and what every table of its kind carries."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

#: Raised with every change of a table; a store that carries a higher one is refused, one that carries a lower one gets
#: the tables and columns that it lacks. 2: tables `scales` and `structures`, columns of coverage, skin and `tbp_lv_*`.
#: 3: table `promotions`, the laterality of a photo, the rules and facts of a decision. 4: the trends of a
#: trajectory, how melanoma-like a change is. 5: the error of a mask's area.
SCHEMA_VERSION = 5

#: Under this key a schema's metadata carries SCHEMA_VERSION.
SCHEMA_VERSION_KEY = b"longderm.schema_version"


@dataclass(frozen=True)
class TableSpec:
    """One table: its schema, the columns that identify an entity, and what it is for (the data dictionary's text)."""

    name: str
    schema: pa.Schema
    key: tuple[str, ...]
    kind: str  # "entity", "result" or "log"
    description: str
    columns: dict[str, str]

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that identify a row: the key, and its revision or fingerprint."""
        extra = {"entity": ("revision",), "result": ("fingerprint",), "log": ()}[self.kind]
        return self.key + extra


#: A list of words, sentences or codes.
STRINGS = pa.list_(pa.string())

_RECORDED_AT = (
    "recorded_at",
    pa.timestamp("us", tz="UTC"),
    "when the row was committed (run time; not part of a result)",
)
_REVISION = ("revision", pa.int32(), "counts the corrections of this entity, from 1; the highest is current")
_FINGERPRINT = (
    "fingerprint",
    pa.string(),
    "hash of stage code version, settings, models, device class and upstream fingerprints",
)
_FAILURE = ("failure", pa.string(), "null, or why the stage could not work on this entity at all")

#: Name, type, and what it means, with its unit.
Column = tuple[str, pa.DataType, str]


def table(name: str, kind: str, key: tuple[str, ...], description: str, columns: list[Column]) -> TableSpec:
    """A table of its own `columns` (the key first) and of those that every table of its `kind` carries."""
    extra = {"entity": [_REVISION, _RECORDED_AT], "result": [_FINGERPRINT, _FAILURE, _RECORDED_AT], "log": []}[kind]
    every = columns[: len(key)] + extra[:1] + columns[len(key) :] + extra[1:] if extra else columns
    required = {*key, "revision", "fingerprint", "recorded_at"}
    schema = pa.schema(
        [pa.field(column, dtype, nullable=column not in required) for column, dtype, _ in every],
        metadata={SCHEMA_VERSION_KEY: str(SCHEMA_VERSION).encode()},
    )
    return TableSpec(name, schema, key, kind, description, {column: text for column, _, text in every})
