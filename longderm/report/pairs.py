"""One comparison and one photo, as a page shows them: what no rule issued keeps its numbers to itself."""

from __future__ import annotations

import math

from longderm.report.rows import Row, Rows
from longderm.report.views import DeltaView, PairView, PhotoView
from longderm.report.words import (
    area_doubt,
    delta_texts,
    failure_text,
    plain,
    scale_label,
    skin_label,
    span_label,
    structure_labels,
)

#: Scores are compared at this many decimals, so that the order of a page does not hang on the last bits of a sum.
_STRENGTH_DECIMALS = 4

ISSUED = ("issued", "issued_with_caveat")


def photo_view(rows: Rows, row: Row, when: str) -> PhotoView:
    """One photo with the names of its pictures; a stage that failed on it is among `failures`."""
    photo_id = row["photo_id"]
    sources = {
        "preview": rows.previews,
        "scale": rows.scales,
        "quality": rows.quality,
        "outline": rows.masks,
        "structures": rows.structures,
        "measures": rows.measures,
    }
    found = {name: table.get(photo_id) for name, table in sources.items()}
    quality, mask, measures, scale = found["quality"], found["outline"], found["measures"], found["scale"]
    failures = [failure_text(name, entry["failure"]) for name, entry in found.items() if entry and entry["failure"]]
    if mask and not mask["failure"] and mask["found"] is False:
        failures.append("no lesion was found in the photo" + (f": {mask['reason']}" if mask["reason"] else ""))
    return PhotoView(
        photo_id=photo_id,
        day=row["acquisition_day"],
        when=when,
        modality=row["modality"] or "dermoscopic",
        width_px=row["width_px"] or 0,
        height_px=row["height_px"] or 0,
        device=row["device"],
        caveats=(*(row["caveats"] or ()), *((scale["caveats"] or ()) if scale else ())),
        quality=quality["score"] if quality else None,
        quality_reasons=tuple(quality["reasons"] or ()) if quality else (),
        failures=tuple(failures),
        preview_object=found["preview"]["preview_object"] if found["preview"] else None,
        mask_object=mask["mask_object"] if mask and mask["found"] else None,
        area_mm2=measures["area_mm2"] if measures else None,
        area_doubt=area_doubt(measures["area_mm2"], mask["area_error"]) if measures and mask else None,
        long_diam_mm=measures["clin_size_long_diam_mm"] if measures else None,
        scale=scale_label(scale) if scale else None,
        skin=skin_label(measures["ita_class"], measures["ita_deg"]) if measures else None,
        structures=structure_labels(found["structures"]),
    )


def pair_view(rows: Rows, alignment: Row, photos: dict[str, PhotoView]) -> PairView:
    """One comparison. What no rule issued carries no score, no difference and no heat map, only its reasons."""
    pair_id = alignment["pair_id"]
    change, decision = rows.changes.get(pair_id), rows.decisions.get(pair_id)
    verdict = (decision["verdict"] if decision else None) or "abstained"
    issued = verdict in ISSUED
    deltas = [row for row in (change["deltas"] or ()) if row is not None] if change and issued else []
    score = change["score"] if change and issued else None
    return PairView(
        pair_id=pair_id,
        policy=alignment["policy"] or "previous",
        baseline=photos[alignment["baseline_photo_id"]],
        followup=photos[alignment["followup_photo_id"]],
        interval=span_label(alignment["interval_days"]),
        verdict=verdict,
        rule=(decision["rule"] if decision else None) or "no_decision",
        reasons=_pair_reasons(alignment, change, decision, issued),
        flagged=bool(decision and decision["flagged"] and issued),
        score=score,
        p_value=change["p_value"] if change and issued else None,
        strength=(round(score or 0.0, _STRENGTH_DECIMALS), _largest_ratio(deltas)),
        remarks=_remarks(change) if change and issued else (),
        deltas=tuple(_delta(row) for row in sorted(deltas, key=lambda row: (not row["exceeds_mdc"], -_ratio(row)))),
        area_change_percent=change["area_change_percent"] if change and issued else None,
        area_noise=_area_noise(deltas),
        matrix=tuple(alignment["matrix"]) if alignment["matrix"] and alignment["accepted"] else None,
        aligned_object=change["aligned_object"] if change and alignment["accepted"] else None,
        heatmap_object=change["heatmap_object"] if change and issued else None,
        alignment_confidence=alignment["confidence"],
        model=change["model"] if change else None,
    )


def _pair_reasons(alignment: Row, change: Row | None, decision: Row | None, issued: bool) -> tuple[str, ...]:
    """Why a comparison ended as it did; one that was not issued always says something."""
    stages = {"alignment": alignment, "change": change, "decision": decision}
    failures = [failure_text(name, row["failure"]) for name, row in stages.items() if row and row["failure"]]
    reasons = list((decision["reasons"] or ()) if decision else ())
    if issued:
        return tuple(reasons)
    reasons = reasons or failures
    if not reasons and alignment["reason"]:
        reasons.append(alignment["reason"])
    if not reasons and change:
        reasons.extend(change["reasons"] or ())
    if not reasons and decision is None:
        reasons.append("this comparison has no decision yet")
    return tuple(dict.fromkeys(reasons or [f"rule {plain(decision['rule'])}" if decision else "no reason recorded"]))


def _ratio(row: Row) -> float:
    """How far a difference stands above its noise; 0 where either is not known."""
    if row["delta"] is None or not row["mdc"]:
        return 0.0
    return round(float(abs(row["delta"]) / row["mdc"]), _STRENGTH_DECIMALS)


def _remarks(change: Row) -> tuple[str, ...]:
    """What the change stage says besides its differences, which the page tells itself from `deltas`."""
    told = ("(MDC", "minimal detectable change")
    return tuple(reason for reason in change["reasons"] or () if not any(mark in reason for mark in told))


def _area_noise(deltas: list[Row]) -> float | None:
    """The area's MDC as the natural logarithm of a ratio (0.16: 17%); in mm² with the error of the scales."""
    for measure in ("area_mm2", "area"):
        for row in deltas:
            if row["measure"] == measure and row["mdc"] is not None and row["baseline"] and row["delta"] is not None:
                towards = math.copysign(row["mdc"], row["delta"]) / row["baseline"]
                return abs(math.log1p(towards)) if towards > -1.0 else None
    return None


def _largest_ratio(deltas: list[Row]) -> float:
    return max((_ratio(row) for row in deltas), default=0.0)


def _delta(row: Row) -> DeltaView:
    return DeltaView(measure=row["measure"], exceeds=bool(row["exceeds_mdc"]), **delta_texts(row))
