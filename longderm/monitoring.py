"""The commands' verbs over a store: bring it up to date, write its report, find a file or patient."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from longderm.errors import SourceNotFoundError
from longderm.models.in_use import releases_in_use
from longderm.settings import Settings
from longderm.stages.run import Run, finish_nothing_new, is_nothing_new, link_folder
from longderm.stages.source import Source
from longderm.stages.work import current_tables
from longderm.store import Store, local_folder

if TYPE_CHECKING:
    from longderm.archive import LinkTable
    from longderm.report import ReportPaths


def bring_up_to_date(
    store: str | Path,
    source: Source | None,
    settings: Settings,
    *,
    command: str = "monitor",
    report_to: Path | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Do what is new, and nothing when nothing is; returns the run's summary. `monitor` also writes the report.

    Whether anything is new is found out before Prefect is loaded.
    """
    run = Run.open(store, settings, command, source)
    with run.store.lock(command):
        summary = finish_nothing_new(run) if is_nothing_new(run) else None
    if summary is None:
        from longderm.flows.monitor import run_monitor

        summary = run_monitor(store, source=source, settings=settings, command=command, progress=progress)
    if command == "monitor":
        out = report_to if report_to is not None else local_folder(store) / "report"
        summary["worklist"] = str(write_report(store, settings, out).worklist)
    return summary


def write_report(store: str | Path, settings: Settings, out: Path, patient_id: str | None = None) -> ReportPaths:
    """Write the worklist and the patients' pages from the current tables; returns their paths.

    Without the link table at hand what depends on today's date is not judged. Raises SourceNotFoundError for a patient
    that the store does not hold.
    """
    from datetime import date
    from importlib.metadata import version

    from longderm.report import ReportContext, write_reports

    opened = Store(store)
    tables = current_tables(opened, settings)
    patients = tables["patients"]["patient_id"].to_pylist()
    if patient_id is not None and patient_id not in patients:
        raise SourceNotFoundError(
            f"patient {patient_id} is not in the store; `longderm find --mrn` gives the pseudonym"
        )
    as_of = settings.as_of or date.today()
    link = _link(store, settings, required=False)
    days = None if link is None else {p: (as_of - o).days for p in patients if (o := link.origin_of(p)) is not None}
    context = ReportContext(
        as_of=as_of,
        as_of_days=days,
        followup_months=settings.followup_months,
        longderm_version=version("longderm"),
        models={kind: used.release.version for kind, used in releases_in_use(settings, opened).items()},
        simulated=_is_simulated(tables),
    )
    return write_reports(tables, opened.read_object, out, context=context, patient_id=patient_id)


def find_file(store: str | Path, settings: Settings, ref: str) -> Path:
    """The path behind a file's opaque reference. Raises SourceNotFoundError for an unknown one."""
    link = _link(store, settings, required=True)
    assert link is not None
    path: Path | None = link.resolve(ref)
    if path is None:
        raise SourceNotFoundError(
            f"no file has the reference {ref} in this link table; copy it from the message or worklist"
        )
    return path


def find_patients(store: str | Path, settings: Settings, mrn: str, issuer: str | None) -> list[dict[str, str | None]]:
    """Pseudonym and page of the patients with a clinic's number. Raises SourceNotFoundError when there are none."""
    link = _link(store, settings, required=True)
    assert link is not None
    found = link.find_mrn(mrn, issuer)
    if not found:
        raise SourceNotFoundError("no patient with this number was taken in; check the number and its issuer")
    folder = local_folder(store) / "report" / "patients"
    pages = {patient: folder / f"{patient}.html" for patient in found}
    return [{"patient_id": p, "page": str(page) if page.exists() else None} for p, page in sorted(pages.items())]


def _link(store: str | Path, settings: Settings, *, required: bool) -> LinkTable | None:
    from longderm.archive import LinkTable

    opened = Store(store)
    folder = link_folder(store, settings)
    if not required and not folder.is_dir():
        return None
    link = LinkTable.open(folder)
    opened.require_key(link.key_id)
    return link


def _is_simulated(tables: Any) -> bool:
    """Whether every device that photos name is one of the simulator's."""
    from longderm.simulate.devices import INVENTED_MAKERS

    devices = {device for device in tables["photos"]["device"].to_pylist() if device}
    return bool(devices) and all(device.startswith(tuple(INVENTED_MAKERS)) for device in devices)
