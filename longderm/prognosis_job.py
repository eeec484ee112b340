"""A scheduled prediction as a file: which table, which model, and where the predictions go."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longderm.errors import SourceNotFoundError, UsageError
from longderm.prognosis_sources import TableSource

#: What a job may say, and of which kind: the fields of `TableSource` but `as_of`, which is the day of each run.
_FIELDS: dict[str, type[Any] | tuple[type[Any], ...]] = {
    "table": str,
    "out": str,
    "model": str,
    "visits": str,
    "visit_day": str,
    "features": str,
    "feature_day": str,
    "mapping": str,
    "date_order": str,
    "origin_days": (int, float),
    "dated_by": dict,
    "time_invariant": list,
    "horizons_years": list,
    "last_visits": bool,
}
_PATHS = ("table", "visits", "features", "mapping")
_KINDS = {str: "a text", dict: "a table", list: "a list", bool: "true or false"}


@dataclass(frozen=True)
class PredictionJob:
    """What to predict: `source`, `out` (CSV), `model` (a folder, a release of the store, or None for the one promoted
    there when it runs), `horizons_years` (empty: the model's), `last_visits`.
    """

    source: TableSource
    out: Path
    model: str | None = None
    horizons_years: tuple[float, ...] = ()
    last_visits: bool = False


def read_job(path: Path) -> PredictionJob:
    """Read a job from a TOML file; paths in it count from its folder.

    Raises SourceNotFoundError for a file that is not there, UsageError with everything that is wrong in it.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceNotFoundError("the file of the prediction does not exist; check the path given") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"the file of the prediction cannot be read as TOML ({type(error).__name__})") from None
    problems = [f"unknown {name}" for name in sorted(set(told) - set(_FIELDS))]
    problems += [f"{name} is missing" for name in ("table", "out") if name not in told]
    for name, kind in _FIELDS.items():
        value = told.get(name)
        if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
            problems.append(f"{name} must be {_KINDS.get(kind, 'a number') if isinstance(kind, type) else 'a number'}")
    if told.get("date_order") not in (None, "day_first", "month_first"):
        problems.append("date_order must be day_first or month_first")
    if not _all(told.get("horizons_years"), (int, float)):
        problems.append("horizons_years must hold numbers")
    if not _all(told.get("time_invariant"), str) or not _all(list(_table(told, "dated_by").values()), str):
        problems.append("time_invariant and dated_by must hold texts")
    folder = path.absolute().parent
    for name in _PATHS:
        if isinstance(told.get(name), str) and not (folder / told[name]).exists():
            problems.append(f"{name}: there is no such file")
    if problems:
        raise UsageError("the file of the prediction has problems: " + "; ".join(problems))
    described = {name: told[name] for name in told if name not in ("out", "model", "horizons_years", "last_visits")}
    described |= {name: str(folder / told[name]) for name in _PATHS if name in told}
    described["dated_by"] = sorted(_table(told, "dated_by").items())
    return PredictionJob(
        TableSource.from_dict(described),
        folder / told["out"],
        _model(folder, told.get("model")),
        tuple(float(year) for year in told.get("horizons_years", ())),
        told.get("last_visits", False),
    )


def _model(folder: Path, named: str | None) -> str | None:
    """A folder beside the file, or a release by its name."""
    return str(folder / named) if named is not None and (folder / named).is_dir() else named


def _all(values: Any, kind: type[Any] | tuple[type[Any], ...]) -> bool:
    return not isinstance(values, list) or all(isinstance(v, kind) and not isinstance(v, bool) for v in values)


def _table(told: dict[str, Any], name: str) -> dict[str, Any]:
    found = told.get(name)
    return found if isinstance(found, dict) else {}
