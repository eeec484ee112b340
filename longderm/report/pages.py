"""Render the pages and write them: one self-contained HTML file per patient, and the worklist."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

import jinja2
import pyarrow as pa
from markupsafe import Markup

from longderm.errors import AccessError, UsageError
from longderm.governance import RULES, TRAJECTORY_RULES
from longderm.report.chart import area_chart
from longderm.report.model import patient_view
from longderm.report.pictures import Pictures, heat_key
from longderm.report.rows import Rows, read_rows
from longderm.report.views import LesionView, PatientView, ReportContext, ReportPaths
from longderm.report.words import (
    MODALITY_WORDS,
    caveat_label,
    count_label,
    months_label,
    number,
    plain,
    policy_label,
    short_id,
)
from longderm.report.worklist import worklist_view

#: So many rows of the worklist, from the strongest change down, carry thumbnails: it stays light for any archive.
_THUMBNAIL_ROWS = 40

#: A pseudonym as a file name: nothing that could leave the folder.
_SAFE_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")


def write_reports(
    tables: Mapping[str, pa.Table],
    read_object: Callable[[str], bytes],
    out: Path,
    *,
    context: ReportContext,
    patient_id: str | None = None,
) -> ReportPaths:
    """Write `patients/<patient_id>.html` (of one patient, or of all) and then `worklist.html` into `out`.

    tables: current rows by table name; read_object: the bytes of a derived picture by its content hash. Equal input
    gives equal bytes; a page appears whole or not at all. The worklist always holds every patient of `tables`.
    Raises UsageError for an unknown patient, AccessError where `out` cannot be written.
    """
    rows = read_rows(tables)
    if patient_id is not None and patient_id not in rows.patient_ids:
        raise UsageError(f"patient {short_id(patient_id)} is not in this store; `longderm find` names its patients")
    environment = _environment()
    written = []
    views = []
    for one in rows.patient_ids:
        view = patient_view(rows, one, context)
        views.append(view)
        if patient_id in (None, one):
            page = render_patient(view, read_object, context, environment)
            written.append(_write(out / "patients" / f"{_file_name(one)}.html", page))
    worklist = render_worklist(rows, views, read_object, context, environment, _pages_at_hand(out))
    return ReportPaths(_write(out / "worklist.html", worklist), tuple(written))


def render_patient(
    view: PatientView,
    read_object: Callable[[str], bytes],
    context: ReportContext,
    environment: jinja2.Environment | None = None,
) -> str:
    """One patient's page as HTML."""
    template = (environment or _environment()).get_template("patient.html")
    return template.render(patient=view, context=context, pictures=Pictures(read_object), chart=_chart)


def render_worklist(
    rows: Rows,
    patients: list[PatientView],
    read_object: Callable[[str], bytes],
    context: ReportContext,
    environment: jinja2.Environment | None = None,
    pages: frozenset[str] | None = None,
) -> str:
    """The worklist as HTML; `pages` are the patients whose page can be linked (None: all)."""
    template = (environment or _environment()).get_template("worklist.html")
    linked = frozenset(patient.patient_id for patient in patients) if pages is None else pages
    return template.render(
        work=worklist_view(rows, patients),
        context=context,
        pages=linked,
        pictures=Pictures(read_object),
        thumbnails=_THUMBNAIL_ROWS,
    )


def _chart(lesion: LesionView) -> Markup:
    if lesion.area is None:
        return Markup("")
    ident = f"area-{lesion.lesion_id}"
    return area_chart(lesion.area, ident=ident, subject=f"lesion {short_id(lesion.lesion_id)}, {lesion.site}")


def _environment() -> jinja2.Environment:
    style = resources.files("longderm.report").joinpath("templates/style.css").read_text("utf-8").strip()
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("longderm.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    environment.globals.update(style=Markup(style), style_hash=f"sha256-{digest}", modality_words=MODALITY_WORDS)
    environment.globals.update(rule_meanings={rule.name: rule.meaning for rule in (*RULES, *TRAJECTORY_RULES)})
    environment.globals.update(heat_key=heat_key)
    environment.filters.update(
        caveat=caveat_label,
        months=months_label,
        short=short_id,
        plain=plain,
        number=number,
        count=count_label,
        policy=policy_label,
    )
    return environment


def _pages_at_hand(out: Path) -> frozenset[str]:
    return frozenset(page.stem for page in (out / "patients").glob("*.html"))


def _file_name(patient_id: str) -> str:
    if not _SAFE_NAME.fullmatch(patient_id):
        raise UsageError(
            "a patient_id is no pseudonym that can name a file; write the store again with `longderm ingest`"
        )
    return patient_id


def _write(target: Path, text: str) -> Path:
    """Write a file whole or not at all."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(text, "utf-8", newline="\n")
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise AccessError(
            f"cannot write the report to {target.parent}: {error.strerror}; choose a folder that can be written"
        ) from error
    return target
