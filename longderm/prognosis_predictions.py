"""Risks of the patients of a table: each passes governance, and is one with its interval, or none and the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from longderm.errors import RefusedError, UsageError
from longderm.governance.facts import ReleaseFact
from longderm.governance.prognosis import CovariateFact, PrognosisFacts, decide_prognosis
from longderm.governance.rule import Decision
from longderm.metastasis_release import ReadMetastasis
from longderm.models.releases import digest_of, problems_of
from longderm.prognosis.course import ENDPOINTS
from longderm.prognosis.covariates import Covariate
from longderm.prognosis.landmark import YEARS_SINCE_ORIGIN, age_column
from longderm.prognosis.model_matrix import missing_values
from longderm.prognosis.patients import Patients
from longderm.prognosis.survival_model import PER_YEAR, SurvivalModel, predict_survival
from longderm.prognosis.visits import VISIT_DAY, VISIT_ROW
from longderm.prognosis_output import RECORD, risk_names
from longderm.prognosis_release import Landmark, PrognosisModel, ReadRelease

#: Patients of one batch: one task of the flow.
BATCH_ROWS = 256
#: A flow of more tasks loses their history.
MOST_BATCHES = 400
#: Decimals of a risk: more than anybody can use, and fewer than differ between machines.
RISK_DECIMALS = 6
#: Another horizon is a slip: no follow-up is that long.
LONGEST_HORIZON_YEARS = 50.0


@dataclass(frozen=True, repr=False)
class PatientBatch:
    """Some patients to predict for: numbers of their rows, identifiers, whether the origin is known, and a column for
    each covariate and stratum; of a landmark model a row for each visit, with its row in the file of visits and its day
    (None: a patient without a visit). It holds identities: it has no repr.
    """

    rows: tuple[int, ...]
    patients: tuple[str | None, ...]
    lesions: tuple[str | None, ...]
    origin_known: tuple[bool, ...]
    columns: dict[str, np.ndarray]
    visit_rows: tuple[int | None, ...] = ()
    visit_days: tuple[float | None, ...] = ()


def wanted_covariates(prognosis: PrognosisModel) -> tuple[Covariate, ...]:
    """What is to be read of a table of patients: the model's covariates, but those of visits, and its strata."""
    named = {one.name for one in prognosis.covariates}
    strata = tuple(Covariate(name, name) for name in prognosis.model.outcome.strata if name not in named)
    return (*covariates_at_origin(prognosis), *strata)


def covariates_at_origin(prognosis: PrognosisModel) -> tuple[Covariate, ...]:
    """The model's covariates that are known at the origin: all but what a landmark model takes from visits."""
    landmark = prognosis.landmark
    if landmark is None:
        return prognosis.covariates
    return tuple(one for one in prognosis.covariates if one not in landmark.measured and one.name != YEARS_SINCE_ORIGIN)


def batches(patients: Patients, prognosis: PrognosisModel, size: int = BATCH_ROWS) -> Iterator[PatientBatch]:
    """The patients in batches of at most `size`, in the order of the table."""
    table = patients.table
    names = [one.name for one in (*prognosis.covariates, *wanted_covariates(prognosis))]
    if prognosis.landmark is not None:
        names += [age_column(one.name) for one in prognosis.landmark.measured]
    of_visit = () if prognosis.landmark is None else (VISIT_ROW, VISIT_DAY)
    for start in range(0, table.num_rows, size):
        part = table.slice(start, size)
        rows, people, lesions = (tuple(part.column(n).to_pylist()) for n in ("row", "patient_id", "lesion_id"))
        yield PatientBatch(
            rows,
            people,
            lesions,
            patients.origin_known[start : start + size],
            {name: part.column(name).to_pandas().to_numpy() for name in names},
            *(tuple(part.column(name).to_pylist()) for name in of_visit),
        )


def batch_size(patients: int) -> int:
    """Patients of a batch, such that there are at most `MOST_BATCHES`."""
    return max(BATCH_ROWS, -(-patients // MOST_BATCHES))


def horizons_for(prognosis: PrognosisModel, asked: Sequence[float]) -> tuple[float, ...]:
    """The horizons in years, ascending: those asked for, else the model's. Raises UsageError for impossible ones."""
    found = tuple(sorted(set(asked or prognosis.horizons_years)))
    wrong = [year for year in found if not 0 < year <= LONGEST_HORIZON_YEARS]
    if wrong:
        raise UsageError(f"--horizons: {wrong[0]:g} years; give years above 0, such as 3,5")
    if not found:
        raise UsageError("--horizons: the model states none; give years, such as 1")
    return found


def require_origin(prognosis: PrognosisModel, stated: float | None) -> None:
    """Raise RefusedError where the day that is stated is not the one that the model predicts from."""
    if stated is not None and stated != prognosis.origin_days:
        raise RefusedError(
            f"--origin {stated:g}: the model predicts from day {prognosis.origin_days:g} after the diagnosis; "
            "fit one for that day"
        )


def release_fact(
    release: ReadRelease | ReadMetastasis, folder: Path, approved_digest: str | None = None
) -> ReleaseFact:
    """The model as governance sees it now: its files may have been changed since it was read, or approved."""
    found = problems_of(folder) if folder.is_dir() else ["it is gone"]
    now = "; ".join(found) if found else digest_of(folder)
    return ReleaseFact(name=release.name, digest=now, approved_digest=approved_digest or release.digest)


def predict_batch(
    release: ReadRelease,
    fact: ReleaseFact,
    batch: PatientBatch,
    horizons_years: Sequence[float],
    approved: bool | None = None,
) -> list[dict[str, Any]]:
    """A row of output for each patient, or visit: identifiers, verdict, rule, reasons, the risk at each horizon with
    its 95% interval, or None where it is withheld, and under `RECORD` what the decision rests on. Pure; a row does not
    depend on the batch. `approved`: see `PrognosisFacts`.
    """
    prognosis = release.prognosis
    facts = [_facts(prognosis, fact, approved, batch, index, horizons_years) for index in range(len(batch.rows))]
    decisions = [decide_prognosis(one) for one in facts]
    issued = np.array([one.verdict.startswith("issued") for one in decisions], np.bool_)
    risks = np.full((len(batch.rows), len(horizons_years), 3), np.nan)
    if issued.any():
        columns = {name: values[issued] for name, values in batch.columns.items()}
        times = np.array(horizons_years, np.float64) * PER_YEAR[prognosis.model.outcome.time_unit]
        found = predict_survival(prognosis.model, columns, times)
        risks[issued] = np.stack([found.risk, 1.0 - found.upper, 1.0 - found.lower], axis=2)
    return [
        _output(release, batch, index, decision, risks[index], horizons_years)
        for index, decision in enumerate(decisions)
    ]


def summarise(rows: Sequence[dict[str, Any]], release: ReadRelease, notices: Sequence[str]) -> dict[str, Any]:
    """Counts by verdict and by rule, for people and machines; no identifier. `notices` of outcomes are left out."""
    return {
        "release": release.name,
        "digest": release.digest,
        "endpoint": release.prognosis.endpoint,
        "patients": len({row["row"] for row in rows}),
        "predictions": len(rows),
        "verdicts": dict(sorted(Counter(row["verdict"] for row in rows).items())),
        "rules": dict(sorted(Counter(row["rule"] for row in rows).items())),
        "notices": [one for one in notices if one.partition(":")[0] not in ENDPOINTS],
    }


def _facts(
    prognosis: PrognosisModel,
    fact: ReleaseFact,
    approved: bool | None,
    batch: PatientBatch,
    index: int,
    horizons: Sequence[float],
) -> PrognosisFacts:
    model, landmark = prognosis.model, prognosis.landmark
    stratum = _stratum(model, batch, index)
    thickness = [one for one in prognosis.covariates if one.is_thickness]
    units = sorted({one.unit for one in thickness}, key=lambda unit: unit == "mm")  # one in another unit is told first
    per_year = PER_YEAR[model.outcome.time_unit]
    baseline = None if stratum is None else model.fit.baseline[stratum]
    return PrognosisFacts(
        origin_known=batch.origin_known[index],
        uses_thickness=bool(thickness),
        thickness_unit=units[0] if units else None,
        covariates=(
            *(_covariate(model, one, batch, index) for one in prognosis.covariates),
            *([] if landmark is None else _ages(landmark, batch, index)),
        ),
        stratum_known=stratum is not None,
        releases=(fact,),
        events=prognosis.events,
        coefficients=len(model.terms),
        competing_events=prognosis.competing_events,
        horizons_years=tuple(horizons),
        first_event_years=None if baseline is None else float(baseline.times[0]) / per_year,
        followed_years=None if baseline is None else baseline.last / per_year,
        penalised=model.fit.penalty > 0,
        approved=approved,
        uses_visits=landmark is not None,
        visit_days=None if landmark is None else batch.visit_days[index],
    )


def _ages(landmark: Landmark, batch: PatientBatch, index: int) -> Iterator[CovariateFact]:
    """How old what was known at the visit is; older than any in training is another model's case."""
    for one, oldest in zip(landmark.measured, landmark.oldest_days, strict=True):
        age = batch.columns[age_column(one.name)][index : index + 1]
        if not missing_values(age)[0]:
            yield CovariateFact(name=f"days since {one.source}", value=float(age[0]), low=0.0, high=oldest)


def _covariate(model: SurvivalModel, one: Covariate, batch: PatientBatch, index: int) -> CovariateFact:
    name = shown_name(one)
    column = batch.columns[one.name]
    if missing_values(column[index : index + 1])[0]:
        return CovariateFact(name=name, value=None)
    value = column[index]
    if one.name in model.levels:
        return CovariateFact(name=name, value=str(value), known=str(value) in model.levels[one.name])
    if isinstance(value, str):
        return CovariateFact(name=name, value=value, known=False)
    place = next((j for j, term in enumerate(model.terms) if term.column == one.name), None)
    low, high = (None, None) if place is None else map(one.to_source, model.ranges[place])
    return CovariateFact(name=name, value=one.to_source(float(value)), low=low, high=high)


def shown_name(one: Covariate) -> str:
    """What a covariate is called in a reason: its source, with the unit where people ask for it."""
    return f"{one.source} ({one.unit})" if one.unit in ("mm", "years", "per mm2") else one.source


def _stratum(model: SurvivalModel, batch: PatientBatch, index: int) -> int | None:
    names = model.outcome.strata
    if not names:
        return 0
    values = [batch.columns[name][index : index + 1] for name in names]
    if any(missing_values(value)[0] for value in values):
        return None
    label = ", ".join(f"{name}={value.tolist()[0]}" for name, value in zip(names, values, strict=True))
    place = model.strata.index(label) if label in model.strata else None
    return place if place is None or model.fit.baseline[place].times.size else None  # without an event: no hazard


def _output(
    release: ReadRelease,
    batch: PatientBatch,
    index: int,
    decision: Decision,
    risks: np.ndarray,
    horizons: Sequence[float],
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "row": batch.rows[index],
        "patient_id": batch.patients[index],
        "lesion_id": batch.lesions[index],
        "verdict": decision.verdict,
        "rule": decision.rule,
        "rules_fired": "; ".join(decision.rules_fired),
        "reasons": "; ".join(decision.reasons),
    }
    if batch.visit_days:
        row |= {"visit_row": batch.visit_rows[index], "visit_day": batch.visit_days[index]}
    for year, values in zip(horizons, risks, strict=True):
        for name, value in zip(risk_names(year), values.tolist(), strict=True):
            row[name] = round(value, RISK_DECIMALS) if np.isfinite(value) else None
    told = {"endpoint": release.prognosis.endpoint, "release": release.name, "digest": release.digest}
    return row | told | {RECORD: decision}
