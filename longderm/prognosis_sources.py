"""Where the patients of a prognosis come from: the files that a person names, and how they are to be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from longderm.archive.clinical_file import read_clinical_file
from longderm.archive.mapping import SourceMapping, read_mapping
from longderm.errors import UsageError
from longderm.prognosis.cells import DateOrder
from longderm.prognosis.covariates import Covariate
from longderm.prognosis.patients import Intake, Patients, read_patients
from longderm.prognosis.problems import OutcomesError, TablesError
from longderm.prognosis.visits import Visits, read_visits


@dataclass(frozen=True)
class TableSource:
    """Where patients come from: files, and how they are to be read (see `Intake`); `origin_days` None: not stated;
    `visits`: the file of follow-up visits, whose days are in column `visit_day`.
    """

    table: Path
    features: Path | None = None
    mapping: Path | None = None
    date_order: DateOrder | None = None
    as_of: date | None = None
    origin_days: float | None = None
    dated_by: tuple[tuple[str, str], ...] = ()
    time_invariant: tuple[str, ...] = ()
    feature_day: str | None = None
    visits: Path | None = None
    visit_day: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Its fields as texts, numbers and lists, for a flow's parameters."""
        return {
            "table": str(self.table),
            "features": str(self.features) if self.features else None,
            "mapping": str(self.mapping) if self.mapping else None,
            "date_order": self.date_order,
            "as_of": self.as_of.isoformat() if self.as_of else None,
            "origin_days": self.origin_days,
            "dated_by": [list(pair) for pair in self.dated_by],
            "time_invariant": list(self.time_invariant),
            "feature_day": self.feature_day,
            "visits": str(self.visits) if self.visits else None,
            "visit_day": self.visit_day,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> TableSource:
        """What `as_dict` wrote; fields that are not there have their defaults. Raises UsageError for unknown ones."""
        unknown = sorted(set(fields) - set(cls.__dataclass_fields__))
        if unknown or "table" not in fields:
            raise UsageError(f"a source of patients has no field {unknown[0]}" if unknown else "which table?")
        given = dict(fields)
        for name in ("table", "features", "mapping", "visits"):
            if given.get(name) is not None:
                given[name] = Path(given[name])
        if given.get("as_of") is not None:
            given["as_of"] = date.fromisoformat(given["as_of"])
        given["dated_by"] = tuple((name, column) for name, column in given.get("dated_by", ()))
        given["time_invariant"] = tuple(given.get("time_invariant", ()))
        return cls(**given)

    def source_mapping(self) -> SourceMapping:
        """The mapping that it names, or the default one."""
        return read_mapping(self.mapping) if self.mapping else SourceMapping()

    def read(self, covariates: Sequence[Covariate], origin_days: float = 0.0, averaged: Sequence[str] = ()) -> Patients:
        """The patients; `origin_days` counts where none is stated, `averaged`: see `Intake`."""
        intake = Intake(
            self.source_mapping(),
            self.date_order,
            self.as_of,
            origin_days if self.origin_days is None else self.origin_days,
            self.origin_days is not None,
            dict(self.dated_by),
            self.time_invariant,
            self.feature_day,
            frozenset(averaged),
        )
        features = read_clinical_file(self.features) if self.features else None
        return read_patients(read_clinical_file(self.table), covariates, intake, features)

    def read_visits(self, measured: Sequence[Covariate]) -> Visits:
        """The visits with the numbers of `measured`. Raises UsageError where no file of visits was named."""
        if self.visits is None:
            raise UsageError("a landmark model predicts from visits; name the table of visits by --visits")
        return read_visits(
            read_clinical_file(self.visits),
            measured,
            self.source_mapping(),
            day=self.visit_day,
            date_order=self.date_order,
            as_of=self.as_of,
        )


def all_tables(*readings: Callable[[], Any]) -> list[Any]:
    """What each reading gives; raises OutcomesError with the problems of every table that has some."""
    found, errors = [], []
    for reading in readings:
        try:
            found.append(reading())
        except OutcomesError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise TablesError(errors)
    return found
