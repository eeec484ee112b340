"""The command line: parses, calls rooms and flows, prints. Heavy rooms load in the command that uses them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

from cyclopts import App, CycloptsError, Parameter

from longderm.command_options import AsJson, AsOf, StoreUri
from longderm.command_options import print_summary as _print
from longderm.command_options import read_settings as _settings
from longderm.errors import LongdermError, UsageError
from longderm.prognosis_commands import prognosis
from longderm.registry_commands import registry
from longderm.site_commands import labels as write_labels
from longderm.site_commands import recalibrate
from longderm.training_commands import train

app = App(
    name="longderm",
    help="Watches skin lesions over time: takes in serial photos, aligns each lesion's visits, scores change, and says "
    "what it cannot judge. It advises a clinician; no output is not 'no change'.",
    version_flags=["--version"],
)

Mapping = Annotated[Path | None, Parameter(name="--mapping", help="TOML file that maps foreign column names.")]
Metadata = Annotated[
    Path | None, Parameter(name="--metadata", help="CSV of the photos; metadata.csv is found by itself.")
]
Events = Annotated[Path | None, Parameter(name="--events", help="CSV of biopsies, excisions and histology.")]
Pattern = Annotated[
    str | None, Parameter(name="--pattern", help='Identity in the path, such as "{patient}/{lesion}/{date}*".')
]

app.command(train)
app.command(registry)
app.command(prognosis)
app.command(recalibrate)
app.command(write_labels, name="labels")


@app.command
def demo(*, out: Path = Path("longderm-demo"), json_: AsJson = False) -> None:
    """Run the main job on the packaged sample archive, from nothing, and print the path of the worklist page.

    Parameters
    ----------
    out
        Folder for the store and the report; an earlier demo in it is replaced.
    """
    from longderm.demo import run_demo

    summary = run_demo(out, progress=not json_)
    _print(summary, json_, _describe(summary) + f"\nWorklist: {summary['worklist']}")
    _raise_for_failures(summary)


@app.command
def ingest(
    source: str,
    *,
    store: StoreUri,
    mapping: Mapping = None,
    metadata: Metadata = None,
    events: Events = None,
    pattern: Pattern = None,
    as_of: AsOf = None,
    json_: AsJson = False,
) -> None:
    """Take photos into a store, without judging them.

    Parameters
    ----------
    source
        Folder of DICOM files and photos, or a text file that lists paths.
    """
    from longderm.monitoring import bring_up_to_date

    described = _source(source, mapping, metadata, events, pattern)
    summary = bring_up_to_date(store, described, _settings(as_of), command="ingest", progress=not json_)
    _print(summary, json_, _describe(summary))


@app.command
def monitor(
    *,
    store: StoreUri,
    source: str | None = None,
    mapping: Mapping = None,
    metadata: Metadata = None,
    events: Events = None,
    pattern: Pattern = None,
    out: Path | None = None,
    as_of: AsOf = None,
    json_: AsJson = False,
) -> None:
    """Take in what is new, align, score, decide, and write the worklist and a report per patient.

    Parameters
    ----------
    source
        Folder of DICOM files and photos, or a text file that lists paths. Without it only pending work is done.
    out
        Folder of the report; default: `report` in the store.
    """
    from longderm.monitoring import bring_up_to_date

    described = _source(source, mapping, metadata, events, pattern) if source else None
    summary = bring_up_to_date(store, described, _settings(as_of), report_to=out, progress=not json_)
    _print(summary, json_, _describe(summary) + f"\nWorklist: {summary['worklist']}")
    _raise_for_failures(summary)


@app.command
def report(
    *, store: StoreUri, out: Path, patient: str | None = None, as_of: AsOf = None, json_: AsJson = False
) -> None:
    """Write the worklist page and a page per patient from what the store holds.

    Parameters
    ----------
    out
        Folder for the pages.
    patient
        Write this patient's page only (a pseudonym; `longderm find --mrn` gives it).
    """
    from longderm.monitoring import write_report

    paths = write_report(store, _settings(as_of), out, patient_id=patient)
    summary = {"worklist": str(paths.worklist), "patients": [str(path) for path in paths.patients]}
    _print(summary, json_, f"{len(paths.patients)} patient pages\nWorklist: {paths.worklist}")


@app.command
def export(*, store: StoreUri, out: Path, project: str = "default", json_: AsJson = False) -> None:
    """Export the current tables as Parquet with a data dictionary and the table versions they came from.

    Parameters
    ----------
    out
        New or empty folder.
    project
        Pseudonyms are made anew per project, so that two exports cannot be joined by id.
    """
    from longderm.cohort import export_cohort

    summary = export_cohort(store, _settings(None), out, project)
    rows = ", ".join(f"{name} {count}" for name, count in summary["rows"].items())
    _print(summary, json_, f"{rows}\nExport: {summary['out']}")


@app.command
def find(
    ref: str | None = None, *, store: StoreUri, mrn: str | None = None, issuer: str | None = None, json_: AsJson = False
) -> None:
    """Find a file by its opaque reference, or a patient's pseudonym and page by the clinic's number.

    Parameters
    ----------
    ref
        Opaque reference of a file, as messages and quarantine name it.
    mrn
        The clinic's patient number; it is only looked up, never stored.
    issuer
        The number's issuer, where the archive names one.
    """
    from longderm.monitoring import find_file, find_patients

    if (ref is None) == (mrn is None):
        raise UsageError("find: name either a file's reference or --mrn")
    if ref is not None:
        path = find_file(store, _settings(None), ref)
        _print({"file_ref": ref, "path": str(path)}, json_, str(path))
    else:
        assert mrn is not None
        found = find_patients(store, _settings(None), mrn, issuer)
        _print(
            {"patients": found},
            json_,
            "\n".join(f"{row['patient_id']}  {row['page'] or 'no page yet'}" for row in found),
        )


@app.command
def embed(
    source: Path,
    *,
    out: Path,
    weights: str | None = None,
    device: str | None = None,
    json_: AsJson = False,
) -> None:
    """Write one vector a photo, for models of your own: a Parquet table with columns e0, e1, ...

    Parameters
    ----------
    source
        A store, or a folder of photos, which the table names by their paths within it.
    out
        The .parquet file to write.
    weights
        A release or a file of weights; default: the encoder in use.
    device
        cpu or cuda; default: a GPU where there is one.
    """
    from longderm.embedding import embed_photos
    from longderm.training.start import progress_bar

    with progress_bar(not json_) as (_, advance):
        summary = embed_photos(
            source, out, _settings(None), weights, device, lambda done, total: advance(done, total, "embedding photos")
        )
    left = ", ".join(f"{count} {reason}" for reason, count in summary["left_out"].items())
    text = f"{summary['photos']} photos, {summary['values']} values each, {summary['encoder']}"
    _print(summary, json_, text + (f"; left out: {left}" if left else "") + f"\nTable: {summary['out']}")


@app.command
def simulate(out: Path, *, patients: int, seed: int, workers: int = 0, json_: AsJson = False) -> None:
    """Write a simulated clinic archive (DICOM and JPEG) with its truth.

    Parameters
    ----------
    out
        New or empty folder.
    patients
        How many patients.
    seed
        The same seed gives the same archive.
    workers
        Worker processes; 0 means one per core.
    """
    import os

    from longderm.simulate import simulate_archive

    made = simulate_archive(out, patients, seed, workers=workers or len(os.sched_getaffinity(0)))
    _print(
        {"out": str(out), "photos": made.photos}, json_, f"{made.photos} photos of {patients} patients\nArchive: {out}"
    )


@app.command
def serve(
    *,
    store: StoreUri,
    source: str | None = None,
    predict: Path | None = None,
    cron: str = "0 2 * * *",
    mapping: Mapping = None,
    metadata: Metadata = None,
    events: Events = None,
    pattern: Pattern = None,
) -> None:
    """Run the monitoring flow, the prognosis flow, or both on a schedule until interrupted.

    Parameters
    ----------
    source
        Folder of DICOM files and photos, or a text file that lists paths; without it nothing is monitored.
    predict
        TOML file that says what to predict: table, out, and as needed visits, model, horizons_years, last_visits,
        features, mapping, origin_days. Without a model the one that the store has promoted predicts.
    cron
        When, in cron's five fields, local time.
    """
    from longderm.flows.serve import serve_flows
    from longderm.prognosis_job import read_job

    described = _source(source, mapping, metadata, events, pattern) if source else None
    if described is not None:
        described.require()
    serve_flows(store, described, read_job(predict) if predict else None, _settings(None), cron)


@app.command
def bench(name: str | None = None, *, out: Path | None = None, json_: AsJson = False, **options: str) -> None:
    """Run a benchmark side by side with its peers; prints a table and JSON.

    Parameters
    ----------
    name
        Name of the benchmark; without it they are listed.
    out
        Folder for what it makes and for its result; default: a temporary one.
    options
        The benchmark's own options, such as `--photos 300`.
    """
    from longderm.bench import list_benchmarks, run_benchmark

    if name is None:
        names = list_benchmarks()
        _print({"benchmarks": names}, json_, "\n".join(f"{key:<14} {text}" for key, text in names.items()))
        return
    result = run_benchmark(name, out, options, quiet=json_)
    if json_:
        print(json.dumps(result, sort_keys=True))


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the command: exits 0 done, 1 a stage failed, 2 wrong usage, 3 refused by a rule."""
    sys.exit(_guarded(lambda: app(argv, exit_on_error=False, print_error=False)))


def _guarded(call: Callable[[], Any]) -> int:
    try:
        call()
    except LongdermError as error:
        return _complain(str(error), error.exit_status)
    except CycloptsError as error:
        return _complain(" ".join(str(error).split()) + "; see `longderm --help`", 2)
    except KeyboardInterrupt:
        return _complain("interrupted; run again to go on", 130)
    except BrokenPipeError:
        return 0  # the reader of our output has gone
    return 0


def _complain(message: str, status: int) -> int:
    print(f"longderm: {message}", file=sys.stderr)
    return status


def _source(source: str, mapping: Path | None, metadata: Path | None, events: Path | None, pattern: str | None) -> Any:
    from longderm.stages.source import Source

    described = {"mapping": mapping, "metadata": metadata, "events": events}
    texts = {name: str(path) if path else None for name, path in described.items()}
    return Source(source, **texts, pattern=pattern).absolute()


def _raise_for_failures(summary: dict[str, Any]) -> None:
    from longderm.stages import raise_for_failures

    raise_for_failures(summary)


def _describe(summary: dict[str, Any]) -> str:
    files = summary["files"]
    parts = ", ".join(f"{files[name]} {label}" for name, label in _FILE_LABELS.items() if files.get(name))
    lines = [f"Files: {files['seen']} = {parts}" if parts else "Files: none"]
    if summary["nothing_new"]:
        return "\n".join(["Nothing is new.", *lines])
    if summary["verdicts"]:
        verdicts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in summary["verdicts"].items())
        lines.append(f"Pairs: {verdicts}; {summary['flagged']} flagged")
    if summary["failed_rows"]:
        lines.append("Failed: " + ", ".join(f"{stage} {n}" for stage, n in summary["failed_rows"].items()))
    return "\n".join(lines)


_FILE_LABELS = {"photo": "photos", "duplicate": "duplicates", "quarantine": "in quarantine", "ignored": "ignored"}

if __name__ == "__main__":
    main()
