"""The stages that work on rows alone: decisions by the rules, and trajectories over all visits of a lesion."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, astuple
from typing import Any

from longderm.change import Change, Delta, VisitMeasure, fit_trajectory, relative_areas
from longderm.change.evolution import EvolutionModel, judge_evolution
from longderm.change.familiar import LEVELS, distance_of
from longderm.change.trajectory import TREND_MEASURES
from longderm.governance import Decision, EventFact, Facts, PhotoFacts, ReleaseFact, decide, decide_trajectory
from longderm.governance.photos import QUALITY_MIN
from longderm.models import Release
from longderm.schema import RESULT_COLUMNS
from longderm.stages.place import BatchResult, rounded
from longderm.stages.work import Pair, Row, Work, same_patient

#: Stages whose failure on a photo is a fact about its pairs.
_PHOTO_FAILURES = ("quality", "masks", "measures")
_TRAJECTORY_FIELDS = set(RESULT_COLUMNS["trajectories"])
#: Endings of the columns of a slope, in the order of `longderm.change.trajectory.Slope`.
_SLOPE_ENDS = ("", "_low", "_high")


def run_decisions(work: Work, release: Release) -> BatchResult:
    """Decide on every pair whose change is known. `release` is of kind "change"."""
    result = BatchResult()
    started = time.process_time()
    head = EvolutionModel.from_config(release.config)
    for pair_id in work.pending["decisions"]:
        if work.result("changes", pair_id) is None:
            continue  # its change is still pending, so is its decision
        pair = work.pairs[pair_id]
        change = _read_change(work, pair_id)
        decision = decide(change, _facts(work, pair, release))
        result.rows["decisions"].append(
            {
                "pair_id": pair_id,
                "fingerprint": work.expected["decisions"][pair_id],
                "lesion_id": pair.lesion_id,
                "verdict": decision.verdict,
                "rule": decision.rule,
                "reasons": list(decision.reasons),
                "flagged": decision.flagged,
                "rules_fired": list(decision.rules_fired),
                "flag_rule": decision.flag_rule,
                "facts": decision.facts,
                "thresholds": decision.thresholds,
                "evolution": _evolution(change, pair, decision, head),
                "rules_hash": decision.rules_hash,
                "releases": list(decision.releases),
            }
        )
        result.entities += 1
    result.cpu_s = time.process_time() - started
    return result


def _evolution(change: Change | None, pair: Pair, decision: Decision, head: EvolutionModel | None) -> float | None:
    """How melanoma-like an issued change is; None for one that is not issued, has no date, or without a head."""
    days = pair.interval_days
    if change is None or head is None or days is None or days <= 0 or not decision.verdict.startswith("issued"):
        return None
    return judge_evolution(change.deltas, days, head).score


def run_trajectories(work: Work, release: Release) -> BatchResult:
    """Fit the trajectory of every lesion whose visits and decisions are all known."""
    result = BatchResult()
    started = time.process_time()
    pairs: dict[str, list[Pair]] = defaultdict(list)
    for pair in work.pairs.values():
        pairs[pair.lesion_id].append(pair)
    for lesion_id in work.pending["trajectories"]:
        visits = work.series[lesion_id]
        measured = [work.result("measures", visit["photo_id"]) for visit in visits]
        index = {visit["photo_id"]: i for i, visit in enumerate(visits)}
        own = [pair for pair in pairs[lesion_id] if pair.baseline["photo_id"] in index]
        decisions = {pair.pair_id: work.result("decisions", pair.pair_id) for pair in own}
        if None in measured or None in decisions.values():
            continue
        result.rows["trajectories"].append(
            {"lesion_id": lesion_id, "fingerprint": work.expected["trajectories"][lesion_id]}
            | _trajectory(work, visits, own, release)
        )
        result.entities += 1
    result.cpu_s = time.process_time() - started
    return result


def _trajectory(work: Work, visits: tuple[Row, ...], pairs: list[Pair], release: Release) -> Row:
    index = {visit["photo_id"]: i for i, visit in enumerate(visits)}
    decisions = {pair.pair_id: work.rows["decisions"][pair.pair_id] for pair in pairs}
    flagged = {pair.followup["photo_id"] for pair in pairs if decisions[pair.pair_id]["flagged"]}
    scales: dict[tuple[int, int], float] = {}
    for pair in pairs:
        alignment = work.rows["alignments"][pair.pair_id]
        if alignment["accepted"]:
            scales[index[pair.baseline["photo_id"]], index[pair.followup["photo_id"]]] = alignment["scale"]
    measured = [_usable_measures(work, visit["photo_id"]) for visit in visits]
    relative = relative_areas([row.get("area_px") for row in measured], scales)
    from_first: dict[int, dict[str, float]] = {0: dict.fromkeys(TREND_MEASURES, 0.0)}
    for pair in pairs:
        if index[pair.baseline["photo_id"]] == 0 and decisions[pair.pair_id]["verdict"].startswith("issued"):
            deltas = {delta["measure"]: delta["delta"] for delta in work.rows["changes"][pair.pair_id]["deltas"]}
            from_first[index[pair.followup["photo_id"]]] = {m: deltas[m] for m in TREND_MEASURES if m in deltas}
    trajectory = fit_trajectory(
        [
            VisitMeasure(
                visit["acquisition_day"],
                row.get("area_mm2"),
                share,
                flagged=visit["photo_id"] in flagged,
                px_per_mm_error=work.scale(visit)["px_per_mm_error"],
                differences=from_first.get(number, {}),
            )
            for number, (visit, row, share) in enumerate(zip(visits, measured, relative, strict=True))
        ],
        release=release,
    )
    decision = decide_trajectory(trajectory, [_read_decision(row) for row in decisions.values()])
    fitted = {name: value for name, value in asdict(trajectory).items() if name in _TRAJECTORY_FIELDS}
    for measure in TREND_MEASURES:
        slope = trajectory.trends.get(measure)
        for end, value in zip(_SLOPE_ENDS, (None,) * 3 if slope is None else astuple(slope), strict=True):
            fitted[f"{measure}_per_month{end}"] = value
    reasons = [*trajectory.reasons, *(r for r in decision.reasons if r not in trajectory.reasons)]
    decided = {"verdict": decision.verdict, "rule": decision.rule, "reasons": reasons}
    return rounded(fitted) | decided | {"rules_fired": list(decision.rules_fired)}


def _facts(work: Work, pair: Pair, release: Release) -> Facts:
    alignment = work.rows["alignments"].get(pair.pair_id) or {}
    change = work.rows["changes"][pair.pair_id]
    photos = (pair.baseline, pair.followup)
    failures = [
        f"{stage} of the {which} photo"
        for which, photo in zip(("baseline", "follow-up"), photos, strict=True)
        for stage in _PHOTO_FAILURES
        if work.rows[stage][photo["photo_id"]]["failure"]
    ]
    failures += [stage for stage, row in (("alignment", alignment), ("change", change)) if row.get("failure")]
    days = None if pair.policy == "repeat" else [photo["acquisition_day"] for photo in photos]
    events = tuple(
        EventFact(
            kind=event["event_kind"],
            days_after_baseline=None if days is None or event["event_day"] is None else event["event_day"] - days[0],
            days_after_followup=None if days is None or event["event_day"] is None else event["event_day"] - days[1],
        )
        for event in work.events.get(pair.lesion_id, ())
        if event["event_kind"] is not None  # else the events table has withdrawn it
    )
    within = release.config.get("in_distribution") or {}
    interval = within.get("interval_days")
    return Facts(
        baseline=_photo_facts(work, pair.baseline, within),
        followup=_photo_facts(work, pair.followup, within),
        interval_days=pair.interval_days,
        undated_repeat=pair.policy == "repeat",
        special_site=work.lesions[pair.lesion_id]["special_site"],
        same_pixels=pair.baseline["content_hash"] == pair.followup["content_hash"],
        events=events,
        alignment_accepted=alignment.get("accepted"),
        alignment_confidence=alignment.get("confidence"),
        alignment_reason=alignment.get("reason"),
        alignment_scale=alignment.get("scale"),
        alignment_cautions=tuple(alignment.get("cautions") or ()),
        failures=tuple(failures),
        alpha=release.config["alpha"],
        same_patient=same_patient(pair, work.lesions[pair.lesion_id]),
        releases=tuple(
            ReleaseFact(name=used.release.name, digest=used.release.digest, approved_digest=used.approved_digest)
            for used in work.in_use.values()
        ),
        calibration_pairs=len(release.config["calibration_scores"]),
        unusual_distance=within.get("unusual"),
        far_distance=within.get("far"),
        calibrated_interval_days=None if interval is None else (interval[0], interval[1]),
    )


def _photo_facts(work: Work, photo: Row, within: Mapping[str, Any]) -> PhotoFacts:
    """`within`: the block `in_distribution` of the change release's config, empty where it has none."""
    quality, mask = work.rows["quality"][photo["photo_id"]], work.rows["masks"][photo["photo_id"]]
    measured = work.rows["measures"][photo["photo_id"]]
    levels = {name: measured[name] for name in LEVELS if measured[name] is not None}
    lies = distance_of(levels, within.get("levels", {}))
    area_px, photo_px = measured["area_px"], photo["width_px"] * photo["height_px"]
    scale = work.scale(photo)
    return PhotoFacts(
        modality=photo["modality"],
        quality_score=quality["score"],
        quality_reasons=tuple(quality["reasons"] or ()),
        polarised=photo["polarised"],
        contact=photo["contact"],
        px_per_mm=scale["px_per_mm"],
        px_per_mm_source=scale["px_per_mm_source"],
        px_per_mm_error=scale["px_per_mm_error"],
        caveats=(*(photo["caveats"] or ()), *(scale["caveats"] or ())),
        mask_found=mask["found"],
        mask_touches_border=mask["touches_border"],
        mask_confidence=mask["confidence"],
        mask_reason=mask["reason"],
        mask_share=None if area_px is None else area_px / photo_px,
        laterality=photo["laterality"],
        distance=None if lies is None else lies[0],
        farthest=None if lies is None else lies[1],
    )


def _usable_measures(work: Work, photo_id: str) -> Mapping[str, Any]:
    """The measures of a visit, or none where the rules let no pair with this photo pass.

    Of a lesion that the photo cuts off, or in a photo that is not good enough, the area is not known.
    """
    cut, score = work.rows["masks"][photo_id]["touches_border"], work.rows["quality"][photo_id]["score"]
    usable = cut is False and score is not None and score >= QUALITY_MIN
    return work.rows["measures"][photo_id] if usable else {}


def _read_change(work: Work, pair_id: str) -> Change | None:
    row = work.rows["changes"][pair_id]
    if row["failure"]:
        return None
    return Change(
        score=row["score"],
        p_value=row["p_value"],
        reasons=tuple(row["reasons"]),
        deltas=tuple(Delta(**delta) for delta in row["deltas"]),
        heatmap=None,
        area_change_percent=row["area_change_percent"],
        area_change_mm2=row["area_change_mm2"],
        model=row["model"],
    )


def _read_decision(row: Row) -> Decision:
    return Decision(row["verdict"], row["rule"], tuple(row["reasons"]), row["flagged"])
