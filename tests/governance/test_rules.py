"""The rules, one by one: fires, does not fire, at the boundary, with a missing value."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longderm.change import Change, Trajectory
from longderm.governance import (
    RULES,
    TRAJECTORY_RULES,
    Decision,
    EventFact,
    Facts,
    PhotoFacts,
    decide,
    decide_trajectory,
)
from longderm.governance.pair import (
    ALIGNMENT_CONFIDENCE_GOOD,
    INTERVAL_SHORT_DAYS,
    MASK_CONFIDENCE_GOOD,
    QUALITY_GOOD,
    QUALITY_MIN,
)
from longderm.schema import VERDICTS

PHOTO = PhotoFacts(
    modality="dermoscopic",
    quality_score=0.9,
    polarised=True,
    contact=True,
    px_per_mm=20.0,
    mask_found=True,
    mask_touches_border=False,
    mask_confidence=0.9,
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
)
CHANGE = Change(0.2, 0.4, ("area +3% (MDC 17%)",), (), None, 3.0, 0.6, "change/0.1.0")


def both(**values):
    photo = replace(PHOTO, **values)
    return replace(FACTS, baseline=photo, followup=photo)


def followup(**values):
    return replace(FACTS, followup=replace(PHOTO, **values))


def event(kind, after_baseline, after_followup):
    return replace(
        FACTS, events=(EventFact(kind=kind, days_after_baseline=after_baseline, days_after_followup=after_followup),)
    )


def test_with_nothing_against_it_a_result_is_issued():
    decision = decide(CHANGE, FACTS)
    assert (decision.verdict, decision.rule, decision.flagged) == ("issued", "issued", False)


FIRES = [
    ("special_site", replace(FACTS, special_site="face")),
    ("special_site", replace(FACTS, special_site="nail")),
    ("mixed_modality", followup(modality="clinical")),
    ("modality_not_judged", both(modality="clinical")),
    ("modality_not_judged", both(modality="total_body")),
    ("modality_not_judged", both(modality="tbp_tile")),
    ("same_pixels", replace(FACTS, same_pixels=True)),
    ("dates_not_ordered", replace(FACTS, interval_days=0)),
    ("dates_not_ordered", replace(FACTS, interval_days=-3)),
    ("dates_not_ordered", replace(FACTS, interval_days=None)),
    ("event_undated", event("excision", None, None)),
    ("excised", event("excision", 30, -62)),
    ("excised", event("excision", 0, -92)),
    ("excised", event("excision", -10, -102)),
    ("biopsied_between", event("biopsy", 10, -82)),
    ("biopsied_between", event("histology", 91, -1)),
    ("stage_failed", replace(FACTS, failures=("quality of the baseline photo",))),
    ("quality", followup(quality_score=QUALITY_MIN - 0.001)),
    ("quality", followup(quality_score=None)),
    ("lesion_not_found", followup(mask_found=False)),
    ("lesion_not_found", followup(mask_found=None)),
    ("lesion_cut", followup(mask_touches_border=True)),
    ("lesion_cut", followup(mask_touches_border=None)),
    ("alignment_refused", replace(FACTS, alignment_accepted=False)),
    ("alignment_refused", replace(FACTS, alignment_accepted=None)),
    ("mixed_polarisation", followup(polarised=False)),
    ("undated_repeat", replace(FACTS, undated_repeat=True, interval_days=None)),
    ("short_interval", replace(FACTS, interval_days=INTERVAL_SHORT_DAYS - 1)),
    ("biopsied_earlier", event("biopsy", -40, -132)),
    ("removed_same_day", event("excision", 92, 0)),
    ("pregnancy", event("pregnancy", None, None)),
    ("mixed_contact", followup(contact=False)),
    ("modest_quality", followup(quality_score=QUALITY_GOOD - 0.001)),
    ("doubtful_mask", followup(mask_confidence=MASK_CONFIDENCE_GOOD - 0.001)),
    ("doubtful_mask", followup(mask_confidence=None)),
    ("doubtful_alignment", replace(FACTS, alignment_confidence=ALIGNMENT_CONFIDENCE_GOOD - 0.001)),
    ("doubtful_alignment", replace(FACTS, alignment_confidence=None)),
    ("scale_disagrees", replace(FACTS, alignment_scale=1.2)),
    ("scale_disagrees", replace(FACTS, alignment_scale=0.8)),
    ("scale_uncertain", replace(FACTS, alignment_cautions=("the skin tells no scale",))),
    ("no_scale", followup(px_per_mm=None)),
    ("scale_from_ruler", followup(px_per_mm_source="ruler", px_per_mm_error=0.015)),
    ("scale_from_ruler", followup(px_per_mm_source="ruler")),
    ("photo_caveats", followup(caveats=("burned_in_not_excluded",))),
    ("photo_caveats", followup(caveats=("scale_contradicts_ruler",))),
    ("polarisation_unknown", followup(polarised=None)),
]

DOES_NOT_FIRE = [
    replace(FACTS, interval_days=INTERVAL_SHORT_DAYS),
    followup(quality_score=QUALITY_GOOD),
    followup(mask_confidence=MASK_CONFIDENCE_GOOD),
    replace(FACTS, alignment_confidence=ALIGNMENT_CONFIDENCE_GOOD),
    event("excision", 93, 1),
    event("other", 10, -82),
    both(polarised=False),
    both(contact=None),
    both(px_per_mm_source="metadata", px_per_mm_error=None),
    both(px_per_mm_source="dicom_pixel_spacing", px_per_mm_error=0.01),
    replace(FACTS, alignment_scale=1.1),
    replace(FACTS, alignment_scale=None),
    replace(FACTS, followup=replace(PHOTO, px_per_mm=40.0), alignment_scale=2.0),
]


@pytest.mark.parametrize(("rule", "facts"), FIRES, ids=[f"{i}-{rule}" for i, (rule, _) in enumerate(FIRES)])
def test_the_rule_decides_where_its_fact_is_against_the_result(rule, facts):
    decision = decide(CHANGE, facts)
    verdicts = {r.name: r.verdict for r in RULES}
    assert (decision.rule, decision.verdict) == (rule, verdicts[rule])
    assert decision.reasons and all(decision.reasons)


@pytest.mark.parametrize("facts", DOES_NOT_FIRE)
def test_at_and_beyond_its_boundary_a_rule_stays_silent(facts):
    assert decide(CHANGE, facts).verdict == "issued"


def test_a_ruler_is_not_spoken_of_where_the_other_photo_has_no_scale_and_nothing_is_said_in_mm():
    facts = replace(FACTS, baseline=replace(PHOTO, px_per_mm_source="ruler"), followup=replace(PHOTO, px_per_mm=None))
    decision = decide(CHANGE, facts)
    assert decision.rule == "no_scale" and not any("ruler" in reason for reason in decision.reasons)


def test_every_rule_has_a_case_above_in_which_it_decides():
    assert {rule for rule, _ in FIRES} | {"not_scored"} == {rule.name for rule in RULES}


@pytest.mark.parametrize("change", [None, replace(CHANGE, score=None), replace(CHANGE, p_value=None)])
def test_without_a_calibrated_score_nothing_is_issued(change):
    decision = decide(change, FACTS)
    assert (decision.verdict, decision.rule) == ("abstained", "not_scored")


def test_quality_at_its_minimum_is_enough_but_carries_a_caveat():
    assert decide(CHANGE, followup(quality_score=QUALITY_MIN)).rule == "modest_quality"


def test_a_change_is_flagged_up_to_alpha_and_not_beyond():
    flagged = [decide(replace(CHANGE, p_value=p), FACTS).flagged for p in (0.01, 0.05, 0.050001, 0.9)]
    assert flagged == [True, True, False, False]


def test_a_caveat_does_not_unflag_and_an_abstention_does():
    changed = replace(CHANGE, p_value=0.01)
    assert decide(changed, followup(px_per_mm=None)).flagged
    assert not decide(changed, followup(polarised=False)).flagged


def test_all_rules_that_fire_are_told_and_the_first_in_order_decides():
    facts = replace(followup(quality_score=0.1, mask_found=False), special_site="acral")
    decision = decide(None, facts)
    assert decision.verdict == "out_of_scope" and len(decision.reasons) == 3
    assert "acral" in decision.reasons[0] and "lesion" in decision.reasons[2]


def test_rules_that_withhold_come_before_caveats_and_have_names_and_meanings_of_their_own():
    for rules in (RULES, TRAJECTORY_RULES):
        order = [rule.verdict == "issued_with_caveat" for rule in rules]
        assert order == sorted(order)
        assert len({rule.name for rule in rules}) == len(rules) == len({rule.meaning for rule in rules})
        assert all(rule.meaning and "\n" not in rule.meaning and rule.verdict in VERDICTS for rule in rules)


_photos = st.builds(
    PhotoFacts,
    modality=st.sampled_from(["dermoscopic", "clinical"]),
    quality_score=st.none() | st.floats(0, 1),
    polarised=st.none() | st.booleans(),
    contact=st.none() | st.booleans(),
    px_per_mm=st.none() | st.floats(5, 100),
    caveats=st.sampled_from([(), ("burned_in_not_excluded",)]),
    mask_found=st.none() | st.booleans(),
    mask_touches_border=st.none() | st.booleans(),
    mask_confidence=st.none() | st.floats(0, 1),
)
_days = st.none() | st.integers(-400, 400)
_facts = st.builds(
    Facts,
    baseline=_photos,
    followup=_photos,
    interval_days=_days,
    undated_repeat=st.booleans(),
    special_site=st.none() | st.just("face"),
    same_pixels=st.booleans(),
    events=st.lists(
        st.builds(
            EventFact,
            kind=st.sampled_from(["biopsy", "excision", "pregnancy", "other"]),
            days_after_baseline=_days,
            days_after_followup=_days,
        ),
        max_size=2,
    ).map(tuple),
    alignment_accepted=st.none() | st.booleans(),
    alignment_confidence=st.none() | st.floats(0, 1),
    alignment_reason=st.none() | st.just("no match"),
    alignment_scale=st.none() | st.floats(0.3, 3),
    alpha=st.just(0.05),
)
_changes = st.none() | st.builds(
    replace, st.just(CHANGE), score=st.none() | st.floats(0, 1), p_value=st.none() | st.floats(0.001, 1)
)


@given(_changes, _facts)
def test_whatever_is_issued_had_a_score_two_lesions_and_an_accepted_alignment(change, facts):
    decision = decide(change, facts)
    assert decision == decide(change, facts)
    if decision.verdict.startswith("issued"):
        assert change is not None and change.score is not None and change.p_value is not None
        assert facts.alignment_accepted and all(p.mask_found for _, p in facts.photos) and facts.special_site is None
        assert decision.flagged == (change.p_value <= facts.alpha)
    else:
        assert not decision.flagged and decision.reasons


TRAJECTORY = Trajectory(4, 0, 400, 0.3, 0.1, 0.5, 1.5, 0.5, 2.5, None)
ISSUED = Decision("issued", "issued", (), False)
ABSTAINED = Decision("abstained", "quality", ("blurred",), False)


@pytest.mark.parametrize(
    ("rule", "trajectory", "decisions"),
    [
        ("issued", TRAJECTORY, [ISSUED, ISSUED]),
        ("pairs_out_of_scope", TRAJECTORY, [Decision("out_of_scope", "special_site", ("nail site",), False)]),
        ("too_few_visits", replace(TRAJECTORY, visits=1), []),
        ("no_pair_issued", TRAJECTORY, [ABSTAINED]),
        ("no_growth", replace(TRAJECTORY, growth_mm2_per_month=None, growth_percent_per_month=None), [ISSUED]),
        (
            "no_interval",
            replace(TRAJECTORY, growth_mm2_per_month_low=None, growth_percent_per_month_low=None),
            [ISSUED],
        ),
        ("pairs_withheld", TRAJECTORY, [ISSUED, ABSTAINED]),
        ("two_visits", replace(TRAJECTORY, visits=2), [ISSUED]),
        ("relative_only", replace(TRAJECTORY, growth_mm2_per_month=None), [ISSUED]),
    ],
)
def test_a_trajectory_is_issued_only_with_visits_pairs_and_an_interval(rule, trajectory, decisions):
    decision = decide_trajectory(trajectory, decisions)
    verdicts = {r.name: r.verdict for r in TRAJECTORY_RULES} | {"issued": "issued"}
    assert (decision.rule, decision.verdict) == (rule, verdicts[rule])


def test_a_trajectory_is_flagged_from_its_first_flagged_visit_on():
    assert decide_trajectory(replace(TRAJECTORY, first_flagged_day=90), [ISSUED]).flagged
    assert not decide_trajectory(replace(TRAJECTORY, first_flagged_day=90), [ABSTAINED]).flagged
