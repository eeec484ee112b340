"""The options of `longderm prognosis` that several of its verbs share, with their help, and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from longderm.errors import UsageError

if TYPE_CHECKING:
    from longderm.prognosis_sources import TableSource

Endpoint = Literal["recurrence_free", "melanoma_specific", "overall", "stated"]
Order = Literal["day_first", "month_first"]
Missing = Literal["refuse", "complete_case"]

OfEndpoint = Annotated[
    Endpoint | None, Parameter(name="--endpoint", help="What is predicted; stated: the table's own event.")
]
Metastasis = Annotated[
    Literal["any", "locoregional", "distant"] | None,
    Parameter(
        name="--metastasis",
        help="Instead of --endpoint: an elastic-net model of whether a tumour metastasises, and where, from --clinical "
        "and --image. The table's column metastasis_any (locoregional, distant) says it as 1 and 0, or --within does.",
    ),
]
Within = Annotated[
    float | None,
    Parameter(
        name="--within",
        help="With --metastasis: years after the diagnosis by when one counts, from the dates of recurrences.",
    ),
]
Clinical = Annotated[
    str,
    Parameter(
        name="--clinical", help="Clinical covariates; with --image three are judged: clinical, image and combined."
    ),
]
Image = Annotated[
    str,
    Parameter(
        name="--image",
        help="Image covariates; e0..e191 is a range, e* every column that is called e and a number. Of several rows of "
        "a lesion in --features the mean counts with --metastasis, else the last.",
    ),
]
PicturesFolder = Annotated[Path | None, Parameter(name="--pictures", help="Folder that gets pictures as SVG files.")]
Features = Annotated[
    Path | None,
    Parameter(
        name="--features", help="CSV or Parquet with patient_id, a column of days (--feature-day), and covariates."
    ),
]
FeatureDay = Annotated[
    str | None,
    Parameter(
        name="--feature-day",
        help="Column of the features: when each row became known, as a date or as days from the diagnosis. "
        "acquisition_date, photo_date, date and days_from_origin are found by themselves.",
    ),
]
VisitsFile = Annotated[
    Path | None,
    Parameter(
        name="--visits",
        help="CSV or Parquet of follow-up visits: patient_id, a column of days (--visit-day), measurements. A landmark "
        "model predicts at each of them from what was known by that day.",
    ),
]
VisitDay = Annotated[
    str | None,
    Parameter(
        name="--visit-day",
        help="Column of the visits: the day of each, as a date or as days from the diagnosis. visit_date, visit_day, "
        "acquisition_date, date and days_from_origin are found by themselves.",
    ),
]
Measured = Annotated[
    str,
    Parameter(
        name="--measured",
        help="Columns of the visits that predict, with commas between; log2(area_mm2) is the binary logarithm. "
        "NAME_date beside one says when it became known, if later than its visit.",
    ),
]
Origin = Annotated[
    float | None,
    Parameter(
        name="--origin",
        help="Day of the prediction, in days after the diagnosis (0: the diagnosis). What became known later is "
        "refused; later than 0, those enter who were still without the event.",
    ),
]
DatedBy = Annotated[
    str,
    Parameter(name="--dated-by", help="COVARIATE=COLUMN,...: when a covariate of the table became known."),
]
TimeInvariant = Annotated[
    str, Parameter(name="--time-invariant", help="Covariates that hold from before the origin, with commas between.")
]
MappingFile = Annotated[
    Path | None, Parameter(name="--mapping", help="TOML file: [outcomes] says what the table calls its columns.")
]
DateOrder = Annotated[Order | None, Parameter(name="--date-order", help="How 03/04/2015 is meant.")]
MissingValues = Annotated[
    Missing,
    Parameter(name="--missing", help="Rows with missing covariates: refuse them, or leave them out and say so."),
]
AllEvents = Annotated[
    bool,
    Parameter(name="--all-events-are-real", negative="", help="The table holds nobody without the event, knowingly."),
]
SomeStore = Annotated[
    str | None,
    Parameter(
        name="--store",
        help="Folder of a store: its models can be named, and where none is, the one promoted in it predicts.",
    ),
]
NamedModel = Annotated[
    Path | None,
    Parameter(
        name="--model",
        help="Folder of a model that `prognosis fit` wrote, or with --store the name of one in it, prognosis/VERSION.",
    ),
]
LastVisits = Annotated[
    bool, Parameter(name="--last-visits", negative="", help="Predict at the last visit of each patient only.")
]
Bootstraps = Annotated[int, Parameter(name="--bootstraps", help="Resamples for optimism and intervals.")]
Seed = Annotated[int, Parameter(name="--seed", help="The same seed gives the same figures.")]
Penalty = Annotated[float, Parameter(name="--penalty", help="Ridge on unit spread; for many image features.")]


def table_source(
    table: Path,
    features: Path | None,
    feature_day: str | None,
    origin: float | None,
    dated_by: str,
    time_invariant: str,
    mapping: Path | None,
    date_order: Order | None,
    as_of: Any,
    visits: Path | None,
    visit_day: str | None,
) -> TableSource:
    """The clinic's files as the options name them. Raises UsageError for an option that cannot be read."""
    from datetime import date

    from longderm.prognosis_sources import TableSource

    pairs = [tuple(part.strip() for part in one.split("=", 1)) for one in names_of(dated_by)]
    if any(len(pair) != 2 or not all(pair) for pair in pairs):
        raise UsageError("--dated-by: write COVARIATE=COLUMN, with commas between")
    if origin is not None and not 0 <= origin < float("inf"):
        raise UsageError(f"--origin {origin:g}: give days after the diagnosis, 0 or more")
    return TableSource(
        table,
        features,
        mapping,
        date_order,
        as_of or date.today(),
        origin,
        tuple((pair[0], pair[1]) for pair in pairs),
        tuple(names_of(time_invariant)),
        feature_day,
        visits,
        visit_day,
    )


def names_of(text: str) -> list[str]:
    """Names with commas between."""
    return [name.strip() for name in text.split(",") if name.strip()]


def years_of(text: str) -> list[float]:
    """Years with commas between. Raises UsageError for anything else."""
    try:
        return [float(part) for part in names_of(text)]
    except ValueError:
        raise UsageError(f"--horizons {text!r}: give years with commas between, such as 3,5") from None
