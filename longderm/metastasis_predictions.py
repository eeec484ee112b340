"""Probabilities of metastasis of a table's tumours: each passes governance, and has its limits, or is withheld."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from longderm.governance.facts import ReleaseFact
from longderm.governance.prognosis import CovariateFact, PrognosisFacts, decide_metastasis
from longderm.metastasis_cohort import of_survival
from longderm.metastasis_release import ReadMetastasis
from longderm.prognosis.covariates import Covariate
from longderm.prognosis.metastasis import predict_metastasis
from longderm.prognosis.metastasis_model import MetastasisModel
from longderm.prognosis.model_matrix import missing_values
from longderm.prognosis.patients import Patients
from longderm.prognosis_choice import ChosenModel
from longderm.prognosis_cohort import columns_of
from longderm.prognosis_output import RECORD, risk_names
from longderm.prognosis_predictions import RISK_DECIMALS, release_fact, shown_name

#: At most this share of the values of an embedding may lie outside the training's ranges. Of a tumour like n of
#: training 2 of n + 1 do: 2% of 100. With fewer than 20 columns none may.
MOST_OUTSIDE = 0.05


def predict_rows(
    release: ReadMetastasis, chosen: ChosenModel, patients: Patients, clinical: Sequence[Covariate]
) -> list[dict[str, Any]]:
    """A row of output for each tumour: identifiers, verdict, rule, reasons, the probability with its 95% interval, or
    None where it is withheld, and under `RECORD` what the decision rests on.
    """
    model, table = release.model, patients.table
    image = tuple(Covariate(one, one) for one in model.embedding)
    columns = columns_of(table, (*clinical, *image))
    fact = release_fact(release, chosen.folder, chosen.approved_digest)
    decisions = [
        decide_metastasis(_facts(model, fact, chosen.approved, clinical, columns, at, known))
        for at, known in enumerate(patients.origin_known)
    ]
    issued = np.array([one.verdict.startswith("issued") for one in decisions], np.bool_)
    risks = np.full((len(decisions), 3), np.nan)
    if issued.any():
        found = predict_metastasis(model, {name: one[issued] for name, one in columns.items()}, lesion=None)
        # rows without identifiers are numbered in order, so the risks are in the order of the table
        risks[issued] = np.stack([found.risk, found.lower, found.upper], axis=1)
    names = risk_names(release.within_years)
    identifiers = [table.column(name).to_pylist() for name in ("row", "patient_id", "lesion_id")]
    return [
        {
            **dict(zip(("row", "patient_id", "lesion_id"), who, strict=True)),
            "verdict": decision.verdict,
            "rule": decision.rule,
            "rules_fired": "; ".join(decision.rules_fired),
            "reasons": "; ".join(decision.reasons),
            **{
                name: round(value, RISK_DECIMALS) if np.isfinite(value) else None
                for name, value in zip(names, risk.tolist(), strict=True)
            },
            "endpoint": f"metastasis_{model.endpoint}",
            "release": release.name,
            "digest": release.digest,
            RECORD: decision,
        }
        for who, decision, risk in zip(zip(*identifiers, strict=True), decisions, risks, strict=True)
    ]


def summarise_metastasis(
    rows: Sequence[dict[str, Any]], release: ReadMetastasis, notices: Sequence[str]
) -> dict[str, Any]:
    """Counts by verdict and by rule, for people and machines; no identifier. `notices` of outcomes are left out."""
    return {
        "release": release.name,
        "digest": release.digest,
        "endpoint": f"metastasis_{release.model.endpoint}",
        "tumours": len(rows),
        "verdicts": dict(sorted(Counter(row["verdict"] for row in rows).items())),
        "rules": dict(sorted(Counter(row["rule"] for row in rows).items())),
        "notices": [one for one in notices if not of_survival(one)],
    }


def _facts(
    model: MetastasisModel,
    fact: ReleaseFact,
    approved: bool | None,
    clinical: Sequence[Covariate],
    columns: dict[str, np.ndarray],
    at: int,
    origin_known: bool,
) -> PrognosisFacts:
    thickness = [one for one in clinical if one.is_thickness]
    units = sorted({one.unit for one in thickness}, key=lambda unit: unit == "mm")  # one in another unit is told first
    return PrognosisFacts(
        origin_known=origin_known,
        uses_thickness=bool(thickness),
        thickness_unit=units[0] if units else None,
        covariates=(
            *(_clinical(model, one, columns[one.name][at : at + 1]) for one in clinical),
            *_image(model, np.array([columns[name][at] for name in model.embedding], np.float64)),
        ),
        stratum_known=True,
        releases=(fact,),
        events=min(model.events, model.tumours - model.events),  # of the rarer outcome: it limits the model
        coefficients=len(model.columns),
        competing_events=0,
        horizons_years=(),
        first_event_years=None,
        followed_years=None,
        penalised=True,
        approved=approved,
    )


def _clinical(model: MetastasisModel, one: Covariate, cell: np.ndarray) -> CovariateFact:
    name = shown_name(one)
    if missing_values(cell)[0]:
        return CovariateFact(name=name, value=None)
    value = cell[0]
    if one.name in model.levels:
        return CovariateFact(name=name, value=str(value), known=str(value) in model.levels[one.name])
    if isinstance(value, str):
        return CovariateFact(name=name, value=value, known=False)
    place = next(j for j, term in enumerate(model.terms, len(model.embedding)) if term.column == one.name)
    low, high = map(one.to_source, model.ranges[place])
    return CovariateFact(name=name, value=one.to_source(float(value)), low=low, high=high)


def _image(model: MetastasisModel, values: np.ndarray) -> Iterator[CovariateFact]:
    """Each image column where they are few, of an embedding the share of its values outside the training's ranges."""
    if len(values) * MOST_OUTSIDE < 1:
        for name, value, (low, high) in zip(model.embedding, values.tolist(), model.ranges, strict=False):
            yield CovariateFact(name=name, value=value if np.isfinite(value) else None, low=low, high=high)
        return
    name = "share of the embedding outside its range in training"
    if not np.isfinite(values).all():
        yield CovariateFact(name="embedding", value=None)
        return
    low, high = np.array(model.ranges[: len(values)]).T
    yield CovariateFact(name=name, value=float(((values < low) | (values > high)).mean()), low=0.0, high=MOST_OUTSIDE)
