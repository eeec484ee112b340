"""`longderm prognosis`: fit a survival model to a clinic's table, judge models on one, predict risks from one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from longderm.command_options import AsJson, AsOf, print_summary, read_settings
from longderm.errors import UsageError

if TYPE_CHECKING:
    from longderm.prognosing import TableSource
    from longderm.prognosis import SurvivalEvaluation

prognosis = App(
    name="prognosis",
    help="Risk of recurrence and death from a clinic's table: fit, evaluate, predict. It advises a clinician; a risk "
    "that may not be issued is withheld with the reasons.",
)

Endpoint = Literal["recurrence_free", "melanoma_specific", "overall", "stated"]
Order = Literal["day_first", "month_first"]
Missing = Literal["refuse", "complete_case"]

OfEndpoint = Annotated[Endpoint, Parameter(name="--endpoint", help="What is predicted; stated: the table's own event.")]
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
SomeStore = Annotated[str | None, Parameter(name="--store", help="Folder of a store, whose models can be named.")]
Bootstraps = Annotated[int, Parameter(name="--bootstraps", help="Resamples for optimism and intervals.")]
Seed = Annotated[int, Parameter(name="--seed", help="The same seed gives the same figures.")]
Penalty = Annotated[float, Parameter(name="--penalty", help="Ridge on unit spread; for many image features.")]


@prognosis.command
def fit(
    table: Path,
    *,
    endpoint: OfEndpoint,
    covariates: str,
    out: Path,
    features: Features = None,
    feature_day: FeatureDay = None,
    origin: Origin = None,
    dated_by: DatedBy = "",
    time_invariant: TimeInvariant = "",
    strata: str = "",
    penalty: Penalty = 0.0,
    missing: MissingValues = "refuse",
    all_events_are_real: AllEvents = False,
    bootstraps: Bootstraps = 100,
    seed: Seed = 0,
    name: str = "prognosis/0.1.0",
    data: str = "not stated",
    licence: str | None = None,
    mapping: MappingFile = None,
    date_order: DateOrder = None,
    as_of: AsOf = None,
    json_: AsJson = False,
) -> None:
    """Fit a Cox model to a table of patients and write it as a release: config, card, figures, hashes.

    Parameters
    ----------
    table
        CSV or Parquet with ISIC's names (mel_thick_mm, mel_ulcer, age_approx, sex, ...), times and events.
    covariates
        Columns with commas between; log2(mel_thick_mm) is the binary logarithm.
    out
        New or empty folder of the release.
    strata
        Columns with commas between; each of their values gets a baseline hazard of its own.
    name
        The release's name, prognosis/VERSION.
    data
        What the card says of the patients: where and when, no names.
    licence
        Under which licence the model may be passed on; the card says it.
    """
    from longderm.prognosing import FitOptions, fit_table
    from longderm.prognosis_release import Told

    source = _source(table, features, feature_day, origin, dated_by, time_invariant, mapping, date_order, as_of)
    _require_bootstraps(bootstraps, 0)
    options = FitOptions(tuple(_names(strata)), penalty, missing, all_events_are_real, bootstraps, seed)
    told = Told(data) if licence is None else Told(data, licence)
    summary = fit_table(source, endpoint, _names(covariates), out, name, options, told)
    print_summary(summary, json_, _describe_fit(summary))


@prognosis.command
def evaluate(
    table: Path,
    *,
    endpoint: OfEndpoint,
    covariates: str = "",
    clinical: str = "",
    image: str = "",
    model: Path | None = None,
    horizons: str = "",
    by: str = "",
    features: Features = None,
    feature_day: FeatureDay = None,
    origin: Origin = None,
    dated_by: DatedBy = "",
    time_invariant: TimeInvariant = "",
    penalty: Penalty = 0.0,
    missing: MissingValues = "refuse",
    all_events_are_real: AllEvents = False,
    bootstraps: Bootstraps = 200,
    repeats: int = 10,
    seed: Seed = 0,
    mapping: MappingFile = None,
    date_order: DateOrder = None,
    as_of: AsOf = None,
    json_: AsJson = False,
) -> None:
    """Judge models on a table: discrimination, error, calibration, corrected for optimism, side by side with the gain.

    Parameters
    ----------
    table
        CSV or Parquet of patients, as for fit.
    covariates
        Covariates of one model, with commas between.
    clinical
        Clinical covariates; with --image three models are judged: clinical, image and combined.
    image
        Image covariates.
    model
        Folder of a finished model instead, which is judged as it stands.
    horizons
        Years with commas between; default 1,3,5,7.
    by
        Columns of subgroups, with commas between.
    repeats
        Repeats of the cross-validation.
    """
    from longderm.prognosing import FitOptions, evaluate_table
    from longderm.prognosis.evaluate import HORIZONS_YEARS

    source = _source(table, features, feature_day, origin, dated_by, time_invariant, mapping, date_order, as_of)
    _require_bootstraps(bootstraps, 2)
    found, notices = evaluate_table(
        source,
        endpoint,
        covariates=_names(covariates),
        clinical=_names(clinical),
        image=_names(image),
        model=model,
        horizons_years=_years(horizons) or HORIZONS_YEARS,
        subgroups_by=_names(by),
        repeats=repeats,
        options=FitOptions((), penalty, missing, all_events_are_real, bootstraps, seed),
    )
    print_summary(
        found.to_dict() | {"notices": list(notices)},
        json_,
        "\n".join([*_notices(notices), *_describe_evaluation(found)]),
    )


@prognosis.command
def predict(
    model: Path,
    table: Path,
    *,
    out: Path,
    store: SomeStore = None,
    horizons: str = "",
    features: Features = None,
    feature_day: FeatureDay = None,
    origin: Origin = None,
    dated_by: DatedBy = "",
    time_invariant: TimeInvariant = "",
    mapping: MappingFile = None,
    date_order: DateOrder = None,
    as_of: AsOf = None,
    json_: AsJson = False,
) -> None:
    """Predict the risk of each patient of a table, with its 95% interval, a verdict and the reasons.

    Parameters
    ----------
    model
        Folder of a model that `prognosis fit` wrote; with --store also the name of one that was added to it,
        prognosis/VERSION.
    table
        CSV or Parquet with the model's covariates; outcomes are not needed. The day from which the risk counts comes
        from origin_date (the diagnosis), or is stated by --origin.
    out
        CSV of the predictions; it holds the table's identifiers.
    horizons
        Years with commas between; default: the model's.
    """
    from longderm.prognosing import find_model, predict_table

    source = _source(table, features, feature_day, origin, dated_by, time_invariant, mapping, date_order, as_of)
    folder = find_model(model, store, read_settings(None))
    summary = predict_table(source, folder, out, _years(horizons))
    verdicts = ", ".join(f"{count} {verdict.replace('_', ' ')}" for verdict, count in summary["verdicts"].items())
    rules = ", ".join(f"{rule} {count}" for rule, count in summary["rules"].items() if rule != "issued")
    lines = [
        *_notices(summary["notices"]),
        f"{summary['patients']} patients: {verdicts}" + (f" ({rules})" if rules else ""),
    ]
    print_summary(summary, json_, "\n".join([*lines, f"Predictions: {summary['out']}"]))


def _source(
    table: Path,
    features: Path | None,
    feature_day: str | None,
    origin: float | None,
    dated_by: str,
    time_invariant: str,
    mapping: Path | None,
    date_order: Order | None,
    as_of: Any,
) -> TableSource:
    from datetime import date

    from longderm.prognosing import TableSource

    pairs = [tuple(part.strip() for part in one.split("=", 1)) for one in _names(dated_by)]
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
        tuple(_names(time_invariant)),
        feature_day,
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _years(text: str) -> list[float]:
    try:
        return [float(part) for part in _names(text)]
    except ValueError:
        raise UsageError(f"--horizons {text!r}: give years with commas between, such as 3,5") from None


def _require_bootstraps(count: int, least: int) -> None:
    if count < least or count == 1:
        raise UsageError(f"--bootstraps {count}: give 2 or more, 100 or more for an interval")


def _notices(notices: Sequence[str]) -> list[str]:
    return [f"Note: {notice}" for notice in notices]


def _describe_fit(summary: dict[str, Any]) -> str:
    lines = _notices([*summary["notices"], *summary["notes"]])
    lines.append(f"{summary['endpoint']}: {summary['patients']} patients, {summary['events']} events")
    for row in summary["coefficients"]:
        lines.append(
            f"{row['name']:<28} {row['coefficient']:>9.4f} (SE {row['standard_error']:.4f})  hazard ratio "
            f"{row['hazard_ratio']:.2f} ({row['hazard_ratio_lower']:.2f} to {row['hazard_ratio_upper']:.2f})"
        )
    for name, value in sorted(summary["figures"].items()):
        if isinstance(value, list):
            lines.append(f"{name:<28} {value[0]:>9.3f} ({value[1]:.3f} to {value[2]:.3f})")
        elif isinstance(value, float):
            lines.append(f"{name:<28} {value:>9.3f}")
    return "\n".join([*lines, f"Model: {summary['folder']} ({summary['release']})"])


def _describe_evaluation(found: SurvivalEvaluation) -> list[str]:
    lines = [f"{found.patients} patients, {found.events} events, {found.left_out} left out for missing values"]
    lines += [f"Note: horizon {label} left out: {why}" for label, why in found.dropped.items()]
    for name, model in found.models.items():
        lines += ["", f"{name}: {', '.join(model.columns)}", *_notices(model.notes)]
        lines += [f"  {key:<20} {_interval(one)}" for key, one in model.figures.items()]
        for group in model.subgroups:
            lines.append(f"  {_subgroup(group)}")
    for gain in found.gains:
        lines += ["", f"gain of {gain.model} over {gain.over}"]
        lines += [
            f"  {key:<20} {_interval(one)}"
            for key, one in (gain.population or gain.figures).items()
            if key != "calibration_slope"
        ]
        if gain.added is not None:
            lines.append(
                f"  likelihood ratio {gain.added.statistic:.2f} on {gain.added.df} df, p = {gain.added.p_value:.2g}"
            )
    return lines


def _interval(one: Any) -> str:
    interval = "" if round(one.upper - one.lower, 9) == 0 else f" ({one.lower:.3f} to {one.upper:.3f})"
    return f"{one.value:8.3f}{interval}"


def _subgroup(group: Any) -> str:
    head = f"{group.column} {group.value}: {group.patients} patients, {group.events} events"
    if group.insufficient or group.harrell_c is None:
        return f"{head}, insufficient"
    return f"{head}, C {group.harrell_c:.3f} ({group.harrell_c_lower:.3f} to {group.harrell_c_upper:.3f})"
