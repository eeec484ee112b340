"""`longderm prognosis`: fit a survival model to a clinic's table, judge models on one, predict risks from one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from longderm.command_options import AsJson, AsOf, print_summary, read_settings
from longderm.errors import UsageError
from longderm.prognosis_descriptions import (
    as_notes,
    counted,
    describe_evaluation,
    describe_fit,
    describe_landmarks,
    describe_predictions,
)
from longderm.prognosis_parameters import (
    AllEvents,
    Bootstraps,
    Clinical,
    DatedBy,
    DateOrder,
    Endpoint,
    FeatureDay,
    Features,
    Image,
    LastVisits,
    MappingFile,
    Measured,
    Metastasis,
    MissingValues,
    NamedModel,
    OfEndpoint,
    Origin,
    Penalty,
    PicturesFolder,
    Seed,
    SomeStore,
    TimeInvariant,
    VisitDay,
    VisitsFile,
    Within,
    names_of,
    table_source,
    years_of,
)

if TYPE_CHECKING:
    from longderm.prognosis_options import FitOptions
    from longderm.prognosis_release import Form
    from longderm.prognosis_sources import TableSource

prognosis = App(
    name="prognosis",
    help="Risk of recurrence and death from a clinic's table: fit, evaluate, predict. It advises a clinician; a risk "
    "that may not be issued is withheld with the reasons.",
)


@prognosis.command
def fit(
    table: Path,
    *,
    endpoint: OfEndpoint = None,
    metastasis: Metastasis = None,
    within: Within = None,
    covariates: str = "",
    clinical: Clinical = "",
    image: Image = "",
    out: Path,
    visits: VisitsFile = None,
    measured: Measured = "",
    visit_day: VisitDay = None,
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
    pictures: PicturesFolder = None,
    name: str = "prognosis/0.1.0",
    data: str = "not stated",
    licence: str | None = None,
    mapping: MappingFile = None,
    date_order: DateOrder = None,
    as_of: AsOf = None,
    json_: AsJson = False,
) -> None:
    """Fit a Cox model, with --visits a landmark model, with --metastasis a model of metastasis; write it as a release.

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
    from longderm.landmarking import fit_visits
    from longderm.metastasis_commands import fit_metastasis_of
    from longderm.prognosing import fit_table
    from longderm.prognosis_options import FitOptions
    from longderm.prognosis_pictures import draw_model, write_pictures
    from longderm.prognosis_release import Told, read_prognosis_release

    source = table_source(
        table, features, feature_day, origin, dated_by, time_invariant, mapping, date_order, as_of, visits, visit_day
    )
    _require_bootstraps(bootstraps, 0 if metastasis is None else 2)
    options = FitOptions(tuple(names_of(strata)), penalty, missing, all_events_are_real, bootstraps, seed)
    told = Told(data) if licence is None else Told(data, licence)
    if metastasis is not None:
        strange = _strange(endpoint, covariates, measured, strata, penalty, all_events_are_real, pictures)
        fit_metastasis_of(
            source, (metastasis, names_of(clinical), names_of(image), within), out, name, options, told, strange, json_
        )
        return
    if clinical or image or within is not None:
        raise UsageError("--clinical, --image and --within are of --metastasis; give --covariates")
    endpoint = _required(endpoint)
    if visits is not None:
        names = names_of(covariates), names_of(measured)
        summary = fit_visits(source, endpoint, *names, out, name, options, told)
    else:
        _require_no_visits(measured, visit_day)
        if not names_of(covariates):
            raise UsageError("--covariates: name the columns that are to predict, such as mel_thick_mm,mel_ulcer")
        summary = fit_table(source, endpoint, names_of(covariates), out, name, options, told)
    if pictures is not None:
        summary["pictures"] = write_pictures(draw_model(read_prognosis_release(out).prognosis.model), pictures)
    print_summary(summary, json_, describe_fit(summary))


@prognosis.command
def evaluate(
    table: Path,
    *,
    endpoint: OfEndpoint = None,
    metastasis: Metastasis = None,
    within: Within = None,
    covariates: str = "",
    clinical: Clinical = "",
    image: Image = "",
    model: Path | None = None,
    horizons: str = "",
    by: str = "",
    strata: str = "",
    visits: VisitsFile = None,
    measured: Measured = "",
    visit_day: VisitDay = None,
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
    pictures: PicturesFolder = None,
    seed: Seed = 0,
    mapping: MappingFile = None,
    date_order: DateOrder = None,
    as_of: AsOf = None,
    json_: AsJson = False,
) -> None:
    """Judge models on a table: discrimination, error, calibration, corrected for optimism, side by side with the gain.

    With --visits a landmark model is judged, landmark by landmark: 0, 1, 2 ... years after the diagnosis. With
    --metastasis models of metastasis are, in nested cross-validation that keeps a patient's tumours together.

    Parameters
    ----------
    table
        CSV or Parquet of patients, as for fit.
    covariates
        Covariates of one model, with commas between.
    model
        Folder of a finished model instead, which is judged as it stands.
    horizons
        Years with commas between; default 1,3,5,7, with --visits 3,5 (after the visit).
    by
        Columns of subgroups, with commas between.
    strata
        Columns with commas between, each of whose values has a baseline hazard; a finished model brings its own.
    repeats
        Repeats of the cross-validation.
    """
    from longderm.metastasis_commands import evaluate_metastasis_of
    from longderm.prognosing import evaluate_table
    from longderm.prognosis.evaluate import HORIZONS_YEARS
    from longderm.prognosis_options import FitOptions
    from longderm.prognosis_pictures import draw_evaluation, write_pictures

    source = table_source(
        table, features, feature_day, origin, dated_by, time_invariant, mapping, date_order, as_of, visits, visit_day
    )
    _require_bootstraps(bootstraps, 2)
    options = FitOptions(tuple(names_of(strata)), penalty, missing, all_events_are_real, bootstraps, seed)
    if metastasis is not None:
        strange = _strange(endpoint, covariates, measured, strata, penalty, all_events_are_real, pictures)
        strange |= {"--horizons": horizons, "--by": by}
        evaluate_metastasis_of(
            source, (metastasis, names_of(clinical), names_of(image), within), model, options, strange, json_
        )
        return
    if within is not None:
        raise UsageError("--within is of --metastasis; give --horizons")
    endpoint = _required(endpoint)
    if visits is not None:
        if clinical or image or by or strata:
            raise UsageError("--clinical, --image, --by and --strata are not for visits; give --covariates, --measured")
        if pictures is not None:
            raise UsageError("--pictures are not drawn of figures at visits")
        _evaluate_visits(source, endpoint, covariates, measured, model, horizons, options, json_)
        return
    _require_no_visits(measured, visit_day)
    found, notices = evaluate_table(
        source,
        endpoint,
        covariates=names_of(covariates),
        clinical=names_of(clinical),
        image=names_of(image),
        model=model,
        horizons_years=years_of(horizons) or HORIZONS_YEARS,
        subgroups_by=names_of(by),
        repeats=repeats,
        options=options,
    )
    drawn = write_pictures(draw_evaluation(found), pictures) if pictures is not None else []
    lines = [*as_notes(notices), *describe_evaluation(found), *(f"Picture: {path}" for path in drawn)]
    print_summary(found.to_dict() | {"notices": list(notices), "pictures": drawn}, json_, "\n".join(lines))


@prognosis.command
def predict(
    *tables: Path,
    out: Path,
    model: NamedModel = None,
    store: SomeStore = None,
    horizons: str = "",
    metastasis: Metastasis = None,
    visits: VisitsFile = None,
    visit_day: VisitDay = None,
    last_visits: LastVisits = False,
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

    A landmark model predicts at each visit of the patients, a metastasis model once for each tumour. Beside the
    predictions lies what each decision rests on: every value, threshold and rule, as Parquet, without identifiers.

    Parameters
    ----------
    tables
        MODEL TABLE, or TABLE alone where --model names the model or a store has one promoted. TABLE: CSV or Parquet
        with the model's covariates; outcomes are not needed. The day from which the risk counts comes from origin_date
        (the diagnosis), or is stated by --origin.
    out
        CSV of the predictions; it holds the table's identifiers.
    horizons
        Years with commas between; default: the model's.
    """
    from longderm.metastasis_commands import is_metastasis, predict_metastasis_of
    from longderm.prognosing import predict_table
    from longderm.prognosis_choice import choose_model

    if not 1 <= len(tables) <= 2 or (len(tables) == 2 and model is not None):
        raise UsageError("predict: give MODEL TABLE, or TABLE with --model or a store in which a model is promoted")
    *named, table = tables
    source = table_source(
        table, features, feature_day, origin, dated_by, time_invariant, mapping, date_order, as_of, visits, visit_day
    )
    years = years_of(horizons)
    form: Form = "metastasis" if metastasis else "survival" if visits is None else "landmark"
    chosen = choose_model(named[0] if named else model, store, read_settings(None), form)
    if metastasis is not None or is_metastasis(chosen.folder):
        predict_metastasis_of(
            source, chosen, out, metastasis, {"--horizons": years, "--last-visits": last_visits}, json_
        )
        return
    summary = predict_table(source, chosen, out, years, last_visits)
    print_summary(summary, json_, describe_predictions(summary, counted(summary)))


def _evaluate_visits(
    source: TableSource,
    endpoint: str,
    covariates: str,
    measured: str,
    model: Path | None,
    horizons: str,
    options: FitOptions,
    json_: bool,
) -> None:
    from longderm.landmarking import evaluate_visits
    from longderm.prognosis_release import read_prognosis_release

    if (model is not None) == bool(names_of(measured)):
        raise UsageError("evaluate --visits: give --measured, with --covariates if any, or --model")
    found, notices = evaluate_visits(
        source,
        endpoint,
        covariates=names_of(covariates),
        measured=names_of(measured),
        finished=read_prognosis_release(model) if model else None,
        horizons_years=years_of(horizons),
        options=options,
    )
    print_summary(
        found.to_dict() | {"notices": list(notices)},
        json_,
        "\n".join([*as_notes(notices), *describe_landmarks(found)]),
    )


def _required(endpoint: Endpoint | None) -> Endpoint:
    if endpoint is None:
        raise UsageError("what is to be predicted? give --endpoint, or --metastasis")
    return endpoint


def _strange(
    endpoint: str | None, covariates: str, measured: str, strata: str, penalty: float, all_real: bool, pictures: Any
) -> dict[str, Any]:
    """Options that a metastasis model has no use for, as they were given."""
    return {
        "--endpoint": endpoint,
        "--covariates (name --clinical, --image)": covariates,
        "--measured": measured,
        "--strata": strata,
        "--penalty (it is picked by cross-validation)": penalty,
        "--all-events-are-real": all_real,
        "--pictures": pictures,
    }


def _require_no_visits(measured: str, visit_day: str | None) -> None:
    if measured or visit_day:
        raise UsageError("--measured and --visit-day tell of visits; name their table by --visits")


def _require_bootstraps(count: int, least: int) -> None:
    if count < least or count == 1:
        raise UsageError(f"--bootstraps {count}: give 2 or more, 100 or more for an interval")
