"""The prognosis flow: predicts for the patients of a table from a finished model, in batches, and leaves a table of
verdicts.

This process reads the table and writes the predictions; a task predicts for one batch. What a patient's row says does
not depend on the batch, so the file equals that of `longderm prognosis predict`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from .embedded import own_server, prepare_environment

prepare_environment()

from prefect import flow, task  # noqa: E402  (reads its environment when imported)
from prefect.artifacts import create_table_artifact  # noqa: E402
from prefect.cache_policies import NO_CACHE  # noqa: E402
from prefect.utilities.annotations import quote  # noqa: E402

from longderm.prognosing import finish_prediction, predict_from, prepare_prediction  # noqa: E402
from longderm.prognosis_choice import ChosenModel, choose_model  # noqa: E402
from longderm.prognosis_predictions import PatientBatch, batch_size, batches  # noqa: E402
from longderm.prognosis_release import Form, ReadRelease  # noqa: E402
from longderm.prognosis_sources import TableSource  # noqa: E402
from longderm.settings import Settings  # noqa: E402

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
def predict(
    release: ReadRelease, chosen: ChosenModel, batch: PatientBatch, horizons: Sequence[float]
) -> list[dict[str, Any]]:
    """Risks of some patients; that the model's files are still those that were read is looked at for each batch."""
    return predict_from(release, chosen, batch, horizons)


@flow(name="longderm-prognosis", persist_result=False)
def prognosis(
    model: str | None,
    source: dict[str, Any],
    out: str,
    horizons_years: Sequence[float] = (),
    store: str | None = None,
    settings: dict[str, Any] | None = None,
    last_visits: bool = False,
    key: str = "longderm-prognosis",
) -> dict[str, Any]:
    """Predict for every patient of a table, or each visit; returns counts by verdict.

    `model` is a folder, a release of `store`, or None for the one that is promoted there when the flow runs; `source`
    holds the fields of `TableSource` (paths as texts, dates as YYYY-MM-DD; `as_of` None: the day of the run),
    `settings` those of `Settings`, `key` names the artifact.
    """
    described = TableSource.from_dict(source)
    if described.as_of is None:
        described = replace(described, as_of=date.today())
    form: Form = "survival" if described.visits is None else "landmark"
    chosen = choose_model(Path(model) if model else None, store, Settings(**(settings or {})), form)
    ready = prepare_prediction(described, chosen, horizons_years, last_visits)
    size = batch_size(ready.patients.table.num_rows)
    held: Any = quote(ready.release)  # quoted: Prefect looks for futures in what is not, number by number
    parts: list[Any] = [quote(batch) for batch in batches(ready.patients, ready.release.prognosis, size)]
    futures = [predict.submit(held, chosen, part, ready.horizons) for part in parts]
    rows = [row for future in futures for row in future.result()]
    summary = finish_prediction(ready, rows, Path(out))
    create_table_artifact(
        key=key,
        table=[{"verdict": name, "predictions": count} for name, count in sorted(summary["verdicts"].items())],
        description=f"Predictions by verdict of {ready.release.name}. No output is not 'no risk'.",
    )
    return summary


def run_prognosis(
    source: TableSource,
    model: Path | None,
    out: Path,
    horizons_years: Sequence[float] = (),
    store: Path | None = None,
    last_visits: bool = False,
) -> dict[str, Any]:
    """Run the flow here and now; returns its summary. What a killed run would leave behind is ended by a guard."""
    with guarded(uuid.uuid4().hex), own_server():
        summary: dict[str, Any] = prognosis(
            model=str(model) if model else None,
            source=source.as_dict(),
            out=str(out),
            horizons_years=list(horizons_years),
            store=str(store) if store else None,
            last_visits=last_visits,
        )
    return summary
