"""For every rule the cases in which it fires and does not, at its boundary, and where a value is missing.

A case says what differs from a pair with nothing against it: `case(followup={...}, interval_days=3)`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from longderm.change import Change, Delta
from longderm.governance import EventFact, Facts, PhotoFacts, ReleaseFact
from longderm.governance.flag import SHORT_TERM_DAYS
from longderm.governance.pair import ALIGNMENT_CONFIDENCE_GOOD
from longderm.governance.photos import (
    MASK_CONFIDENCE_GOOD,
    MASK_SHARE_MIN,
    OUTLINE_TOLERANCE,
    QUALITY_GOOD,
    QUALITY_MIN,
    SCALE_TOLERANCE,
)
from longderm.governance.release import STABLE_PAIRS_GOOD
from longderm.governance.visits import INTERVAL_LONGEST_DAYS, INTERVAL_SHORT_DAYS

PHOTO = PhotoFacts(
    modality="dermoscopic",
    quality_score=0.9,
    polarised=True,
    contact=True,
    px_per_mm=20.0,
    mask_found=True,
    mask_touches_border=False,
    mask_confidence=0.9,
    mask_share=0.2,
    laterality="L",
    distance=1.5,
    farthest="tbp_lv_Lext",
)
RELEASES = (
    ReleaseFact(name="change/0.1.0", digest="c1", approved_digest="c1"),
    ReleaseFact(name="segmentation/0.2.0", digest="s2", approved_digest="s2"),
)
FACTS = Facts(
    baseline=PHOTO,
    followup=PHOTO,
    interval_days=92,
    undated_repeat=False,
    special_site=None,
    same_pixels=False,
    events=(),
    alignment_accepted=True,
    alignment_confidence=0.9,
    alignment_reason=None,
    alignment_scale=1.0,
    alpha=0.05,
    same_patient=True,
    releases=RELEASES,
    calibration_pairs=282,
    unusual_distance=4.0,
    far_distance=8.0,
    calibrated_interval_days=(20, 2000),
)


def delta(measure, value, exceeds=False, unit="1"):
    return Delta(measure, unit, None, None, value, 0.1, exceeds)


STILL = (delta("area", 3.0), delta("area_confirmed", 2.0), delta("delta_lightness", 0.2))
CHANGE = Change(0.2, 0.4, ("area +3% (MDC 17%)",), STILL, None, 3.0, 0.6, "change/0.1.0")


def case(followup=None, baseline=None, change=(), **facts):
    """What differs from FACTS and CHANGE; `change=None` is a change that could not be computed."""
    return {"followup": followup or {}, "baseline": baseline or {}, "change": change, "facts": facts}


def both(**values):
    return case(followup=values, baseline=values)


def event(kind, after_baseline, after_followup):
    return case(events=(EventFact(kind=kind, days_after_baseline=after_baseline, days_after_followup=after_followup),))


def deltas(*found, **values):
    return case(change={"deltas": found, **values})


def build(*cases: dict[str, Any]) -> tuple[Change | None, Facts]:
    """Change and facts with the differences of all cases; where two differ in one value the later one counts."""
    change: Change | None = CHANGE
    facts = FACTS
    for one in cases:
        facts = replace(
            facts,
            **one["facts"],
            baseline=replace(facts.baseline, **one["baseline"]),
            followup=replace(facts.followup, **one["followup"]),
        )
        if one["change"] is None:
            change = None
        elif change is not None and one["change"]:
            change = replace(change, **one["change"])
    return change, facts


@dataclass(frozen=True)
class Cases:
    """boundary: (fires just beyond, silent at it); missing: case -> whether the rule fires. `always`: a fact that
    cannot be missing, and why."""

    fires: tuple[dict[str, Any], ...]
    silent: tuple[dict[str, Any], ...]
    boundary: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = ()
    missing: tuple[tuple[dict[str, Any], bool], ...] = ()
    always: str = ""


def ratio(factor):
    """Area as drawn, `factor` times that which the images confirm."""
    return deltas(delta("area", 100.0 * (1.1 * factor - 1.0)), delta("area_confirmed", 10.0), delta("delta_a", 0.1))


TINY = 1e-5

PAIR_CASES: dict[str, Cases] = {
    "special_site": Cases(
        fires=(case(special_site="face"), case(special_site="nail")),
        silent=(case(),),
        missing=((case(special_site=None), False),),
    ),
    "identity_disagrees": Cases(
        fires=(case(same_patient=False), case(followup={"caveats": ("filed_under_two_lesions",)})),
        silent=(case(followup={"caveats": ("exif_unreadable",)}),),
        missing=((case(same_patient=None), True),),
    ),
    "laterality_disagrees": Cases(
        fires=(case(followup={"laterality": "R"}), case(baseline={"laterality": "R"})),
        silent=(both(laterality="R"), case(followup={"laterality": "B"})),
        missing=((case(followup={"laterality": None}), False), (both(laterality=None), False)),
    ),
    "mixed_modality": Cases(
        fires=(case(followup={"modality": "clinical"}),),
        silent=(both(modality="clinical"),),
        always="a photo has a modality, or it is in quarantine",
    ),
    "modality_not_judged": Cases(
        fires=tuple(both(modality=name) for name in ("clinical", "total_body", "tbp_tile", "histology")),
        silent=(case(),),
        always="a photo has a modality, or it is in quarantine",
    ),
    "same_pixels": Cases(fires=(case(same_pixels=True),), silent=(case(),), always="pixels are always at hand"),
    "dates_not_ordered": Cases(
        fires=(case(interval_days=-3),),
        silent=(case(interval_days=40), case(undated_repeat=True, interval_days=None)),
        boundary=((case(interval_days=0), case(interval_days=1)),),
        missing=((case(interval_days=None), True),),
    ),
    "interval_implausible": Cases(
        fires=(case(interval_days=99 * 365),),
        silent=(case(interval_days=9 * 365),),
        boundary=((case(interval_days=INTERVAL_LONGEST_DAYS + 1), case(interval_days=INTERVAL_LONGEST_DAYS)),),
        missing=((case(interval_days=None), False),),  # dates_not_ordered says it
    ),
    "event_undated": Cases(
        fires=(event("excision", None, None), event("biopsy", 4, None)),
        silent=(event("pregnancy", None, None), event("excision", 200, 108)),
        missing=((event("histology", None, -4), True),),
    ),
    "excised": Cases(
        fires=(event("excision", 30, -62), event("excision", 0, -92), event("excision", -10, -102)),
        silent=(event("biopsy", 30, -62), event("excision", 122, 30)),
        boundary=((event("excision", 91, -1), event("excision", 92, 0)),),
        missing=((event("excision", None, None), False),),  # event_undated says it
    ),
    "biopsied_between": Cases(
        fires=(event("biopsy", 10, -82), event("histology", 91, -1)),
        silent=(event("excision", 10, -82), event("other", 10, -82)),
        boundary=((event("biopsy", 0, -92), event("biopsy", -1, -93)),),
        missing=((event("biopsy", None, None), False),),
    ),
    "stage_failed": Cases(
        fires=(case(failures=("quality of the baseline photo",)),),
        silent=(case(),),
        always="a stage that did not fail says nothing",
    ),
    "quality": Cases(
        fires=(case(followup={"quality_score": 0.0}), case(baseline={"quality_score": 0.1})),
        silent=(case(),),
        boundary=(
            (case(followup={"quality_score": QUALITY_MIN - TINY}), case(followup={"quality_score": QUALITY_MIN})),
        ),
        missing=((case(baseline={"quality_score": None}), True),),
    ),
    "lesion_not_found": Cases(
        fires=(case(followup={"mask_found": False}),),
        silent=(case(),),
        missing=((case(followup={"mask_found": None}), True),),
    ),
    "lesion_cut": Cases(
        fires=(case(followup={"mask_touches_border": True}),),
        silent=(case(), case(followup={"mask_found": False, "mask_touches_border": None})),
        missing=((case(followup={"mask_touches_border": None}), True),),
    ),
    "mask_implausible": Cases(
        fires=(case(followup={"mask_share": 0.0001}),),
        silent=(case(followup={"mask_share": 0.9}), case(followup={"mask_found": False, "mask_share": 0.0})),
        boundary=(
            (case(baseline={"mask_share": MASK_SHARE_MIN - TINY}), case(baseline={"mask_share": MASK_SHARE_MIN})),
        ),
        missing=((case(followup={"mask_share": None}), True),),
    ),
    "alignment_refused": Cases(
        fires=(case(alignment_accepted=False),),
        silent=(case(),),
        missing=((case(alignment_accepted=None), True),),
    ),
    "outlines_contradict": Cases(
        fires=(ratio(3.0), ratio(1 / 3)),
        silent=(ratio(1.0), deltas(delta("area", 250.0), delta("area_confirmed", 240.0))),
        boundary=(
            (ratio(OUTLINE_TOLERANCE + 1e-4), ratio(OUTLINE_TOLERANCE - 1e-4)),
            (ratio(1 / (OUTLINE_TOLERANCE + 1e-4)), ratio(1 / (OUTLINE_TOLERANCE - 1e-4))),
        ),
        missing=((case(change=None), False), (deltas(delta("area", 250.0)), False)),
    ),
    "mixed_polarisation": Cases(
        fires=(case(followup={"polarised": False}),),
        silent=(both(polarised=False),),
        missing=((case(followup={"polarised": None}), False),),  # polarisation_unknown says it
    ),
    "release_not_approved": Cases(
        fires=(
            case(releases=(*RELEASES, ReleaseFact(name="quality/9", digest="q", approved_digest=None))),
            case(releases=(*RELEASES, ReleaseFact(name="quality/9", digest="q", approved_digest="another"))),
        ),
        silent=(case(releases=RELEASES[:1]),),
        missing=((case(releases=()), True),),
    ),
    "too_few_stable_pairs": Cases(
        fires=(case(calibration_pairs=0), case(calibration_pairs=50, alpha=0.01)),
        silent=(case(), case(calibration_pairs=99, alpha=0.01)),
        boundary=((case(calibration_pairs=18), case(calibration_pairs=19)),),
        missing=((case(calibration_pairs=None), True),),
    ),
    "out_of_distribution": Cases(
        fires=(case(followup={"distance": 30.0}), case(baseline={"distance": 9.0, "farthest": None})),
        silent=(case(followup={"distance": 5.0}),),
        boundary=((case(followup={"distance": 8.0001}), case(followup={"distance": 8.0})),),
        missing=((case(followup={"distance": None}), False), (case(far_distance=None), False)),  # others say it
    ),
    "not_scored": Cases(
        fires=(case(change=None), case(change={"score": None, "reasons": ("nothing to score",)})),
        silent=(case(),),
        missing=((case(change={"p_value": None}), True),),
    ),
    "undated_repeat": Cases(
        fires=(case(undated_repeat=True, interval_days=None),), silent=(case(),), always="a photo is dated or is not"
    ),
    "short_interval": Cases(
        fires=(case(interval_days=1),),
        silent=(case(),),
        boundary=((case(interval_days=INTERVAL_SHORT_DAYS - 1), case(interval_days=INTERVAL_SHORT_DAYS)),),
        missing=((case(interval_days=None), False),),
    ),
    "interval_not_calibrated": Cases(
        fires=(case(interval_days=4000),),
        silent=(case(), case(undated_repeat=True, interval_days=None)),
        boundary=(
            (case(interval_days=2001), case(interval_days=2000)),
            (case(calibrated_interval_days=(93, 2000)), case(calibrated_interval_days=(92, 2000))),
        ),
        missing=(
            (case(calibrated_interval_days=None), True),
            (case(calibrated_interval_days=None, unusual_distance=None), False),  # range_not_stated says it
            (case(interval_days=None), False),
        ),
    ),
    "biopsied_earlier": Cases(
        fires=(event("biopsy", -40, -132),),
        silent=(event("excision", -40, -132), event("biopsy", 10, -82)),
        boundary=((event("histology", -1, -93), event("histology", 0, -92)),),
        missing=((event("biopsy", None, None), False),),
    ),
    "removed_same_day": Cases(
        fires=(event("excision", 92, 0), event("biopsy", 92, 0)),
        silent=(event("pregnancy", 92, 0),),
        boundary=((event("excision", 92, 0), event("excision", 93, 1)),),
        missing=((event("excision", None, None), False),),
    ),
    "pregnancy": Cases(
        fires=(event("pregnancy", 4, -88),),
        silent=(event("other", 4, -88),),
        missing=((event("pregnancy", None, None), True),),
    ),
    "mixed_contact": Cases(
        fires=(case(followup={"contact": False}),),
        silent=(both(contact=False),),
        missing=((case(followup={"contact": None}), False),),
    ),
    "modest_quality": Cases(
        fires=(case(followup={"quality_score": 0.4}),),
        silent=(case(),),
        boundary=(
            (case(followup={"quality_score": QUALITY_GOOD - TINY}), case(followup={"quality_score": QUALITY_GOOD})),
        ),
        missing=((case(followup={"quality_score": None}), False),),  # quality says it
    ),
    "doubtful_mask": Cases(
        fires=(case(followup={"mask_confidence": 0.1}),),
        silent=(case(),),
        boundary=(
            (
                case(followup={"mask_confidence": MASK_CONFIDENCE_GOOD - TINY}),
                case(followup={"mask_confidence": MASK_CONFIDENCE_GOOD}),
            ),
        ),
        missing=((case(followup={"mask_confidence": None}), True),),
    ),
    "doubtful_alignment": Cases(
        fires=(case(alignment_confidence=0.5),),
        silent=(case(),),
        boundary=(
            (
                case(alignment_confidence=ALIGNMENT_CONFIDENCE_GOOD - TINY),
                case(alignment_confidence=ALIGNMENT_CONFIDENCE_GOOD),
            ),
        ),
        missing=((case(alignment_confidence=None), True),),
    ),
    "colour_not_compared": Cases(
        fires=(deltas(delta("area", 3.0), delta("colour_count", 1.0)),),
        silent=(case(), deltas(delta("delta_b", 0.0))),
        missing=((case(change=None), False), (deltas(), True)),
    ),
    "scale_disagrees": Cases(
        fires=(case(alignment_scale=1.4), case(alignment_scale=0.7)),
        silent=(case(alignment_scale=1.1), case(followup={"px_per_mm": 40.0}, alignment_scale=2.0)),
        boundary=(
            (case(alignment_scale=SCALE_TOLERANCE + TINY), case(alignment_scale=SCALE_TOLERANCE)),
            (case(alignment_scale=1 / SCALE_TOLERANCE - TINY), case(alignment_scale=1 / SCALE_TOLERANCE + TINY)),
        ),
        missing=((case(alignment_scale=None), False), (case(followup={"px_per_mm": None}), False)),
    ),
    "scale_uncertain": Cases(
        fires=(case(alignment_cautions=("the skin tells no scale",)),), silent=(case(),), always="no caution is none"
    ),
    "no_scale": Cases(
        fires=(case(followup={"px_per_mm": None}), both(px_per_mm=None)),
        silent=(case(),),
        missing=((case(baseline={"px_per_mm": None}), True),),
    ),
    "scale_from_ruler": Cases(
        fires=(case(followup={"px_per_mm_source": "ruler", "px_per_mm_error": 0.015}),),
        silent=(
            both(px_per_mm_source="metadata"),
            case(followup={"px_per_mm": None}, baseline={"px_per_mm_source": "ruler"}),
        ),
        missing=((case(followup={"px_per_mm_source": "ruler", "px_per_mm_error": None}), True),),
    ),
    "photo_caveats": Cases(
        fires=(
            case(followup={"caveats": ("burned_in_not_excluded",)}),
            case(followup={"caveats": ("scale_contradicts_ruler", "a_new_code")}),
        ),
        silent=(case(),),
        always="no caveat is none",
    ),
    "polarisation_unknown": Cases(
        fires=(both(polarised=None),),
        silent=(both(polarised=False),),
        missing=((case(followup={"polarised": None}), True),),
    ),
    "few_stable_pairs": Cases(
        fires=(case(calibration_pairs=30),),
        silent=(case(),),
        boundary=((case(calibration_pairs=STABLE_PAIRS_GOOD - 1), case(calibration_pairs=STABLE_PAIRS_GOOD)),),
        missing=((case(calibration_pairs=None), False),),  # too_few_stable_pairs says it
    ),
    "unusual_photo": Cases(
        fires=(case(followup={"distance": 6.0}),),
        silent=(case(),),
        boundary=((case(followup={"distance": 4.0001}), case(followup={"distance": 4.0})),),
        missing=((case(baseline={"distance": None}), True), (case(unusual_distance=None), False)),
    ),
    "range_not_stated": Cases(
        fires=(case(unusual_distance=None, far_distance=None, calibrated_interval_days=None),),
        silent=(case(),),
        missing=((case(far_distance=None), True),),
    ),
}

ABOVE = {"p_value": 0.01}


def above(*found, days=92):
    """A change above the noise in which `found` are the differences above their MDC."""
    return case(change={**ABOVE, "deltas": (*STILL, *found)}, interval_days=days)


LONG = SHORT_TERM_DAYS + 1

FLAG_CASES: dict[str, Cases] = {
    "regression": Cases(
        fires=(above(delta("area", -30.0, True)), above(delta("structure_energy", -0.4, True))),
        silent=(above(delta("area", 30.0, True)), above(delta("delta_b", -9.0, True))),
        boundary=((above(delta("long_diam", -8.0, True)), above(delta("long_diam", -8.0, False))),),
        missing=((above(), False), (case(undated_repeat=True, interval_days=None), False)),
    ),
    "overall_pigmentation": Cases(
        fires=(above(delta("delta_lightness", -8.0, True)),),
        silent=(above(delta("delta_lightness", -8.0, True), delta("colour_local", 8.0, True)),),
        boundary=((above(delta("delta_a", 8.0, True)), above(delta("delta_a", 8.0, False))),),
        missing=((above(), False),),
    ),
    "any_change": Cases(
        fires=(above(), above(delta("area", 30.0, True))),
        silent=(),
        boundary=(),
        always="the last rule of its table always fires",
    ),
    "shape": Cases(
        fires=(above(delta("border_asymmetry", 0.1, True), days=LONG),),
        silent=(above(delta("area", 30.0, True), days=LONG),),
        boundary=((above(delta("eccentricity", 0.1, True)), above(delta("eccentricity", 0.1, False))),),
        missing=((above(days=LONG), False),),
    ),
    "colour": Cases(
        fires=(above(delta("colour_local", 9.0, True), days=LONG), above(delta("delta_a", 9.0, True), days=LONG)),
        silent=(above(delta("area", 30.0, True), days=LONG),),
        boundary=((above(delta("dark_fraction", 0.4, True)), above(delta("dark_fraction", 0.4, False))),),
        missing=((above(days=LONG), False),),
    ),
    "structure": Cases(
        fires=(above(delta("structure_pattern", 0.2, True), days=LONG),),
        silent=(above(delta("area", 30.0, True), days=LONG),),
        boundary=((above(delta("structure_uneven", 0.4, True)), above(delta("structure_uneven", 0.4, False))),),
        missing=((above(days=LONG), False),),
    ),
    "growth_alone": Cases(
        fires=(above(delta("area", 30.0, True), days=LONG),),
        silent=(above(delta("colour_local", 9.0, True), days=LONG),),
        boundary=((above(delta("area_mm2", 4.0, True)), above(delta("area_mm2", 4.0, False))),),
        missing=((above(days=LONG), False),),
    ),
    "no_single_measure": Cases(fires=(above(days=LONG),), silent=(), always="the last rule of its table always fires"),
}
