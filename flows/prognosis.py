"""The prognosis flow: predicts for the patients of a table from a finished model, in batches, and leaves a table of
verdicts.

This process reads the table and writes the predictions; a task predicts for one batch. What a patient's row says does
not depend on the batch, so the file equals that of `longderm prognosis predict`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .embedded import own_server, prepare_environment

prepare_environment()

from prefect import flow, task  # noqa: E402  (reads its environment when imported)
from prefect.artifacts import create_table_artifact  # noqa: E402
from prefect.cache_policies import NO_CACHE  # noqa: E402
from prefect.utilities.annotations import quote  # noqa: E402

from longderm.prognosing import TableSource, prepare_prediction  # noqa: E402
from longderm.prognosis_predictions import (  # noqa: E402
    PatientBatch,
    batch_size,
    batches,
    predict_batch,
    release_fact,
    summarise,
    write_predictions,
)
from longderm.prognosis_release import ReadRelease  # noqa: E402

from .guard import guarded  # noqa: E402

#: Tries after the first for a batch that fails as a whole (a share that hiccups), and the seconds between them.
RETRIES, RETRY_DELAYS_S = 2, [1, 10]


_TASK: dict[str, Any] = {
    "retries": RETRIES,
    "retry_delay_seconds": RETRY_DELAYS_S,
    "cache_policy": NO_CACHE,
    "persist_result": False,
}


@task(name="predict", **_TASK)
def predict(release: ReadRelease, folder: Path, batch: PatientBatch, horizons: Sequence[float]) -> list[dict[str, Any]]:
    """Risks of some patients; that the model's files are still those that were read is looked at for each batch."""
    return predict_batch(release, release_fact(release, folder), batch, horizons)


@flow(name="longderm-prognosis", persist_result=False)
def prognosis(
    model: str, source: dict[str, Any], out: str, horizons_years: Sequence[float] = (), key: str = "longderm-prognosis"
) -> dict[str, Any]:
    """Predict for every patient of a table; returns counts by verdict.

    `source` holds the fields of `TableSource` (paths as texts, dates as YYYY-MM-DD), `key` names the artifact.
    """
    folder = Path(model)
    release, patients, horizons = prepare_prediction(TableSource.from_dict(source), folder, horizons_years)
    size = batch_size(patients.table.num_rows)
    held: Any = quote(release)  # quoted: Prefect looks for futures in what is not, number by number
    parts: list[Any] = [quote(batch) for batch in batches(patients, release.prognosis, size)]
    futures = [predict.submit(held, folder, part, horizons) for part in parts]
    rows = [row for future in futures for row in future.result()]
    write_predictions(Path(out), rows, horizons)
    summary = summarise(rows, release, patients.notices) | {"out": out, "horizons_years": list(horizons)}
    create_table_artifact(
        key=key,
        table=[{"verdict": name, "patients": count} for name, count in sorted(summary["verdicts"].items())],
        description=f"Patients by verdict of {release.name}. No output is not 'no risk'.",
    )
    return summary


def run_prognosis(source: TableSource, model: Path, out: Path, horizons_years: Sequence[float] = ()) -> dict[str, Any]:
    """Run the flow here and now; returns its summary. What a killed run would leave behind is ended by a guard."""
    with guarded(uuid.uuid4().hex), own_server():
        summary: dict[str, Any] = prognosis(
            model=str(model), source=source.as_dict(), out=str(out), horizons_years=list(horizons_years)
        )
    return summary
