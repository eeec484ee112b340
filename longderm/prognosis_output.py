"""What a prediction leaves: a table for people, and beside it what each decision rests on."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from longderm.errors import AccessError, UsageError
from longderm.governance.rule import Decision

#: The key of a row of output that holds its `Decision`; it is no column of the table for people.
RECORD = "decision"

_STRINGS = pa.list_(pa.string())
#: What a decision rests on, in the names of the store's table `decisions`. It holds no identifier: `row` and
#: `visit_row` say which row of the clinic's files it is of. `prediction`: the risk at each horizon with its interval,
#: as JSON.
DECISIONS_SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("visit_row", pa.int64()),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("reasons", _STRINGS),
        pa.field("rules_fired", _STRINGS),
        pa.field("facts", pa.string()),
        pa.field("thresholds", pa.string()),
        pa.field("rules_hash", pa.string()),
        pa.field("releases", _STRINGS),
        pa.field("prediction", pa.string()),
    ]
)


def risk_names(year: float | None) -> tuple[str, str, str]:
    """The columns of a horizon's risk and its 95% interval; None: a risk without a horizon."""
    name = "risk" if year is None else f"risk_{year:g}y"
    return name, f"{name}_lower", f"{name}_upper"


def output_columns(horizons_years: Sequence[float | None], visits: bool = False) -> list[str]:
    """The columns of the table for people, in order."""
    risks = [name for year in horizons_years for name in risk_names(year)]
    of_visit = ["visit_row", "visit_day"] if visits else []
    told = ["verdict", "rule", "rules_fired", "reasons", *risks, "endpoint", "release", "digest"]
    return ["row", "patient_id", "lesion_id", *of_visit, *told]


def decisions_path(out: Path) -> Path:
    """Where the decisions of a table of predictions lie: beside it."""
    return out.with_name(f"{out.stem}.decisions.parquet")


def write_predictions(out: Path, rows: Sequence[dict[str, Any]], horizons_years: Sequence[float | None]) -> Path:
    """Write the rows as CSV (UTF-8) and the decisions beside them, each whole or not at all; returns the latter's path.

    Raises AccessError, UsageError.
    """
    text = io.StringIO(newline="")
    columns = output_columns(horizons_years, any("visit_day" in row for row in rows))
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    if out.is_dir():
        raise UsageError("--out is a folder; name the file of the predictions")
    if out == decisions_path(out):
        raise UsageError("--out is where the decisions go; name a .csv file")
    _write(decisions_path(out), decisions_bytes(rows, horizons_years))
    _write(out, text.getvalue().encode("utf-8"))
    return decisions_path(out)


def decisions_bytes(rows: Sequence[dict[str, Any]], horizons_years: Sequence[float | None]) -> bytes:
    """The decisions as Parquet; the same rows give the same bytes."""
    import pyarrow.parquet as pq

    told = []
    for row in rows:
        decision: Decision = row[RECORD]
        risks = {
            "risk" if year is None else f"{year:g}": [row[name] for name in risk_names(year)] for year in horizons_years
        }
        told.append(
            {
                "row": row["row"],
                "visit_row": row.get("visit_row"),
                "verdict": decision.verdict,
                "rule": decision.rule,
                "reasons": list(decision.reasons),
                "rules_fired": list(decision.rules_fired),
                "facts": decision.facts,
                "thresholds": decision.thresholds,
                "rules_hash": decision.rules_hash,
                "releases": list(decision.releases),
                "prediction": json.dumps(risks, sort_keys=True),
            }
        )
    held = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(told, schema=DECISIONS_SCHEMA), held, compression="zstd")
    return held.getvalue()


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError:
        raise AccessError("the predictions cannot be written; check the folder and its permissions") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
