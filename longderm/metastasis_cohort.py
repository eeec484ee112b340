"""From a clinic's table to the tumours of a metastasis model, whose outcome is a yes or no; what is wrong is said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from longderm.archive.clinical_file import read_clinical_file
from longderm.errors import UsageError
from longderm.prognosis.cells import Column, read_truths
from longderm.prognosis.course import ENDPOINTS
from longderm.prognosis.covariates import Covariate
from longderm.prognosis.metastasis_status import Endpoint, metastasis_column, metastasis_status
from longderm.prognosis.model_matrix import missing_values
from longderm.prognosis.patients import Patients
from longderm.prognosis.problems import OutcomesError, Problem, sorted_problems
from longderm.prognosis.spreadsheet import read_spreadsheet
from longderm.prognosis.survival_model import PER_YEAR
from longderm.prognosis_cohort import Missing, columns_of, covariates_of
from longderm.prognosis_sources import TableSource, all_tables

_RANGE = re.compile(r"(.*?)(\d+)\.\.(.*?)(\d+)")
#: Columns that a range may name: no embedding has more.
_MOST_COLUMNS = 10_000
#: The parts of which "any" is made where the table does not tell it.
_PARTS: tuple[Endpoint, ...] = ("locoregional", "distant")


@dataclass(frozen=True)
class Asked:
    """What a model of metastasis is to be made of: covariates known at the diagnosis, of the clinic and of images, the
    endpoint, and the years after the diagnosis by when a metastasis counts (None: as the table's own column has it).
    """

    endpoint: Endpoint
    clinical: tuple[str, ...] = ()
    image: tuple[str, ...] = ()
    within_years: float | None = None


@dataclass(frozen=True)
class TumourCohort:
    """Tumours whose outcome is known: `columns` by name (covariates, `PATIENT`, the endpoint as 0 and 1), the names of
    the clinical and image covariates in them. It holds identities.
    """

    columns: dict[str, np.ndarray] = field(repr=False)
    clinical: tuple[str, ...]
    image: tuple[str, ...]
    notices: tuple[str, ...]


def image_columns(source: TableSource, asked: Sequence[str]) -> tuple[str, ...]:
    """Names of image columns: `e0..e191` stands for all from e0 to e191, `e*` for every column of the table and of the
    features that is called e and a number. Raises UsageError for a range that is none, and where `e*` finds nothing.
    """
    found: list[str] = []
    for one in asked:
        if one.endswith("*"):
            found += _numbered(source, one[:-1])
        elif ".." in one:
            found += _range(one)
        else:
            found.append(one)
    return tuple(found)


def read_tumours(source: TableSource, asked: Asked, missing: Missing) -> TumourCohort:
    """The tumours of a table whose outcome is known, with what was known of them at the diagnosis.

    Raises OutcomesError with all that is to be mended, LeakageError, UsageError.
    """
    require_diagnosis(source)
    clinical = covariates_of(source, asked.clinical)
    image = covariates_of(source, image_columns(source, asked.image))
    both = sorted({one.source for one in clinical} & {one.source for one in image})
    if both:
        raise UsageError(f"{', '.join(both)}: clinical and of the image; say one")
    if not clinical and not image:
        raise UsageError("name the columns that are to predict by --clinical, --image or both")
    told: tuple[str, ...] = ()
    if asked.within_years is None:
        told = _told(source, asked.endpoint)
        # the outcome is read as the covariates are, but no guard is asked whether it was known: it was not
        source = replace(source, time_invariant=(*source.time_invariant, *told))
    wanted = (*clinical, *image, *(Covariate(name, name) for name in told))
    names = [one.source for one in image]
    patients, _ = all_tables(lambda: source.read(wanted, averaged=names), lambda: _spelling(source, told))
    status = _column(patients, told) if told else _dated(patients, asked)
    columns = columns_of(patients.table, (*clinical, *image))
    _refuse(patients, columns, clinical, image, missing)
    known = np.isfinite(status)
    notices = [one for one in patients.notices if not of_survival(one)]
    unknown = int((~known).sum())
    if unknown:
        notices.append(f"{unknown} of {known.size} tumours: not known whether they metastasised; they enter no fit")
    kept = {name: column[known] for name, column in columns.items()} | {
        metastasis_column(asked.endpoint): status[known]
    }
    return TumourCohort(
        kept, tuple(one.name for one in clinical), tuple(one.name for one in image), tuple(notices)
    )  # fmt: skip


def require_diagnosis(source: TableSource) -> None:
    """Raise UsageError where another origin than the diagnosis, or visits, are asked for."""
    if source.origin_days not in (None, 0.0):
        raise UsageError("--origin: a metastasis model predicts from the diagnosis; leave it out, or give 0")
    if source.visits is not None or source.visit_day is not None:
        raise UsageError("--visits: a metastasis model predicts once, from the diagnosis; leave them out")


def word_problems(patients: Patients, image: Sequence[Covariate]) -> list[Problem]:
    """A problem for each image column that holds words."""
    words = [one.source for one in image if pa.types.is_string(patients.table.column(one.name).type)]
    return [Problem("not_a_number", "holds words; an image column holds numbers", column=name) for name in words]


def _numbered(source: TableSource, prefix: str) -> list[str]:
    names: list[str] = []
    for path in (source.table, *([source.features] if source.features else [])):
        names += read_spreadsheet(read_clinical_file(path))[0].names
    numbers = sorted({int(one[len(prefix) :]) for one in names if re.fullmatch(re.escape(prefix) + r"\d+", one)})
    if not numbers:
        raise UsageError(f"--image {prefix}*: no column is called {prefix}0, {prefix}1 and so on")
    return [f"{prefix}{number}" for number in numbers]


def _range(text: str) -> list[str]:
    found = _RANGE.fullmatch(text)
    if found is None or found[1] != found[3] or not 0 < int(found[4]) - int(found[2]) < _MOST_COLUMNS:
        raise UsageError(f"--image {text}: write a range as e0..e191")
    return [f"{found[1]}{number}" for number in range(int(found[2]), int(found[4]) + 1)]


def _told(source: TableSource, endpoint: Endpoint) -> tuple[str, ...]:
    """The columns of the table that tell the endpoint: its own, or for "any" the two others."""
    names = {name.lower() for name in read_spreadsheet(read_clinical_file(source.table))[0].names}
    own, parts = metastasis_column(endpoint), tuple(metastasis_column(one) for one in _PARTS)
    if own in names:
        return (own,)
    if endpoint == "any" and names.issuperset(parts):
        return parts
    mend = "the table does not say it; give the column as 1 and 0, or --within YEARS with dated recurrences"
    raise OutcomesError([Problem("no_column", mend, column=own)])


def _spelling(source: TableSource, told: Sequence[str]) -> None:
    """Refuse every cell of the outcome that is neither yes nor no."""
    sheet, _ = read_spreadsheet(read_clinical_file(source.table))
    places = {name.lower(): at for at, name in reversed(list(enumerate(sheet.names)))}
    numbers = tuple(number for number, _ in sheet.rows)
    problems: list[Problem] = []
    for name in told:
        column = Column(name, numbers, tuple(row[places[name]] for _, row in sheet.rows))
        problems += read_truths(column)[1]
    if problems:
        raise OutcomesError(sorted_problems(problems), "outcome, metastasis,")


def _column(patients: Patients, told: Sequence[str]) -> np.ndarray:
    """1, 0, or NaN where it is not known; of two parts yes where one is, no where both are."""
    rows = tuple(patients.table.column("row").to_pylist())
    parts = []
    for name in told:
        values, problems = read_truths(Column(name, rows, tuple(patients.table.column(name).to_pylist())))
        if problems:
            raise OutcomesError(sorted_problems(problems))
        parts.append([np.nan if value is None else float(bool(value)) for value in values])
    part = np.array(parts, np.float64)
    yes, unknown = (part == 1).any(axis=0), np.isnan(part).any(axis=0)
    return np.where(yes, 1.0, np.where(unknown, np.nan, 0.0))


def _dated(patients: Patients, asked: Asked) -> np.ndarray:
    """The status by so many years after the diagnosis, from dated recurrences and follow-up."""
    assert asked.within_years is not None
    if not 0 < asked.within_years < float("inf"):
        raise UsageError(f"--within {asked.within_years:g}: give years after the diagnosis, above 0")
    table = patients.table
    mend = "the metastasis is on the day of the diagnosis, so there is nothing to predict; correct it, or take it out"
    early = [
        Problem("event_at_origin", mend, row, f"recurrence_{site}_days", "0")
        for site in _PARTS
        for row, day in zip(
            table.column("row").to_pylist(), table.column(f"recurrence_{site}_days").to_pylist(), strict=True
        )
        if day is not None and day <= 0
    ]
    if early:
        raise OutcomesError(sorted_problems(early))
    found = metastasis_status(table, asked.within_years * PER_YEAR["days"])
    values = found.column(metastasis_column(asked.endpoint)).to_pylist()
    if all(value is None for value in values):
        why = "no row tells whether there was one by then; give dated recurrences and follow-up"
        raise OutcomesError([Problem("no_outcomes", why, column=metastasis_column(asked.endpoint))])
    return np.array([np.nan if value is None else float(value) for value in values], np.float64)


def _refuse(
    patients: Patients,
    columns: dict[str, np.ndarray],
    clinical: Sequence[Covariate],
    image: Sequence[Covariate],
    missing: Missing,
) -> None:
    """Words where image columns hold numbers, and what is missing: all at once."""
    problems = word_problems(patients, image)
    gaps = {one.source: missing_values(columns[one.name]) for one in clinical}
    if image:
        gaps["the image columns"] = np.any([missing_values(columns[one.name]) for one in image], axis=0)
    mend = "{} of {} tumours have no value; fill them in, or leave these out by --missing complete_case"
    if missing == "refuse":
        problems += [
            Problem("missing_value", mend.format(int(gap.sum()), gap.size), column=name)
            for name, gap in gaps.items()
            if gap.any()
        ]
    if problems:
        raise OutcomesError(problems)


def of_survival(notice: str) -> bool:
    """Whether a notice of the intake tells of survival, which no metastasis model asks about."""
    return notice.partition(":")[0] in ENDPOINTS or notice.startswith("no row tells an outcome")
