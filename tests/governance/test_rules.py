"""The rules, one by one: fires, does not fire, at the boundary, with a missing value; and what they make of a pair."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_cases import CHANGE, FACTS, FLAG_CASES, LONG, PAIR_CASES, above, build, case, delta

from longderm.change import Trajectory
from longderm.governance import (
    LONG_TERM_RULES,
    RELEASE_RULES,
    RULES,
    SHORT_TERM_RULES,
    TRAJECTORY_RULES,
    Decision,
    decide,
    decide_trajectory,
)
from longderm.governance.flag import SHORT_TERM_DAYS, rules_for
from longderm.governance.photos import QUALITY_MIN
from longderm.governance.rule import Rule
from longderm.schema import VERDICTS

FLAG_RULES = {rule.name: rule for rule in (*SHORT_TERM_RULES, *LONG_TERM_RULES)}
TABLES = [(rule, PAIR_CASES) for rule in RULES] + [(rule, FLAG_CASES) for rule in FLAG_RULES.values()]
by_name = pytest.mark.parametrize(("rule", "cases"), TABLES, ids=[rule.name for rule, _ in TABLES])


def fires(rule: Rule, one) -> bool:
    reason = rule.check(*build(one))
    assert reason is None or (reason.strip() and "\n" not in reason)
    return reason is not None


def complete(rule: Rule, cases) -> bool:
    """A rule without all four kinds of cases fails the suite."""
    found = cases.get(rule.name)
    last = found is not None and "always fires" in found.always
    return (
        found is not None
        and bool(found.fires)
        and (bool(found.silent) or last)
        and (bool(found.boundary) or not set(rule.thresholds) or last)
        and (bool(found.missing) or bool(found.always))
    )


@by_name
def test_every_rule_has_its_four_kinds_of_cases(rule, cases):
    assert complete(rule, cases)


def test_a_new_rule_without_cases_would_be_noticed():
    def asleep(change, facts):
        """A rule nobody wrote cases for."""
        return

    assert not complete(Rule("abstained", asleep), PAIR_CASES)
    assert set(PAIR_CASES) == {rule.name for rule in RULES} and set(FLAG_CASES) == set(FLAG_RULES)


@by_name
def test_a_rule_fires_where_its_fact_is_against_the_result_and_else_does_not(rule, cases):
    assert all(fires(rule, one) for one in cases[rule.name].fires)
    assert not any(fires(rule, one) for one in cases[rule.name].silent)


@by_name
def test_a_rule_changes_its_mind_at_its_boundary_and_nowhere_else(rule, cases):
    for beyond, within in cases[rule.name].boundary:
        assert fires(rule, beyond) and not fires(rule, within)


@by_name
def test_a_rule_that_needs_a_value_fires_where_it_is_missing(rule, cases):
    for missing, expected in cases[rule.name].missing:
        assert fires(rule, missing) == expected


#: Rules that look at what need not be known: a side, a scale or optics that are not stated contradict nothing.
_NOT_NEEDED = ("special_site", "laterality_disagrees", "outlines_contradict", "scale_disagrees", "mixed_contact")


def test_where_a_rule_cannot_judge_for_a_missing_value_the_pair_still_never_passes_without_a_word():
    for name, cases in PAIR_CASES.items():
        for missing, _ in cases.missing:
            change, facts = build(missing)
            decision = decide(change, facts)
            assert decision.verdict != "issued" or name in _NOT_NEEDED, name


@pytest.mark.parametrize("name", sorted(PAIR_CASES))
def test_where_one_rule_fires_the_verdict_is_its_own_or_that_of_one_before_it(name):
    order = [rule.name for rule in RULES]
    verdicts = {rule.name: rule.verdict for rule in RULES}
    for one in PAIR_CASES[name].fires:
        decision = decide(*build(one))
        assert name in decision.rules_fired
        assert order.index(decision.rule) <= order.index(name) or verdicts[name] == "issued_with_caveat"
        assert decision.verdict == verdicts[decision.rule] and all(decision.reasons)
        assert (decision.rule,) == decision.rules_fired[:1] or verdicts[decision.rules_fired[0]] == "issued_with_caveat"


def test_with_nothing_against_it_a_result_is_issued():
    decision = decide(CHANGE, FACTS)
    assert (decision.verdict, decision.rule, decision.flagged) == ("issued", "issued", False)
    assert decision.rules_fired == () and decision.flag_rule is None


def test_all_rules_that_fire_are_told_and_the_first_in_order_decides():
    decision = decide(
        *build(case(change=None, special_site="acral", followup={"quality_score": 0.1, "mask_found": False}))
    )
    assert decision.verdict == "out_of_scope" and len(decision.reasons) == 3
    assert decision.rules_fired[:3] == ("special_site", "quality", "lesion_not_found")
    assert "acral" in decision.reasons[0] and "lesion" in decision.reasons[2]


def test_rules_that_withhold_come_before_caveats_and_have_names_and_meanings_of_their_own():
    for rules in (RULES, TRAJECTORY_RULES):
        order = [rule.verdict == "issued_with_caveat" for rule in rules]
        assert order == sorted(order)
        assert len({rule.name for rule in rules}) == len(rules) == len({rule.meaning for rule in rules})
        assert all(rule.meaning and "\n" not in rule.meaning and rule.verdict in VERDICTS for rule in rules)
    assert {rule.name for rule in RULES} >= RELEASE_RULES


def test_quality_at_its_minimum_is_enough_but_carries_a_caveat():
    assert decide(*build(case(followup={"quality_score": QUALITY_MIN}))).rule == "modest_quality"


def test_a_change_is_flagged_up_to_alpha_and_not_beyond():
    flagged = [decide(replace(CHANGE, p_value=p), FACTS).flagged for p in (0.01, 0.05, 0.050001, 0.9)]
    assert flagged == [True, True, False, False]


def test_a_caveat_does_not_unflag_and_an_abstention_does():
    assert decide(*build(above(), case(followup={"px_per_mm": None}))).flagged
    withheld = decide(*build(above(), case(followup={"polarised": False})))
    assert not withheld.flagged and withheld.flag_rule is None


@pytest.mark.parametrize(
    ("one", "rule", "flagged"),
    [
        (above(delta("area", -30.0, True)), "regression", True),
        (above(delta("area", -30.0, True), days=400), "regression", True),
        (above(delta("delta_lightness", -8.0, True)), "overall_pigmentation", False),
        (above(delta("delta_lightness", -8.0, True), days=400), "colour", True),
        (above(delta("area", 30.0, True)), "any_change", True),
        (above(delta("area", 30.0, True), days=400), "growth_alone", True),
        (above(delta("area", 30.0, True), delta("border_asymmetry", 0.1, True), days=400), "shape", True),
        (above(days=400), "no_single_measure", True),
    ],
)
def test_what_a_change_counts_as_depends_on_the_time_between_the_photos(one, rule, flagged):
    decision = decide(*build(one))
    assert (decision.flag_rule, decision.flagged, decision.verdict) == (rule, flagged, "issued")
    assert decision.reasons[-1] == FLAG_RULES[rule].check(*build(one))


def test_the_short_term_ends_after_four_and_a_half_months_and_unknown_time_is_judged_like_it():
    assert round(4.5 * 30.4375) == SHORT_TERM_DAYS
    for days, table in ((SHORT_TERM_DAYS, SHORT_TERM_RULES), (LONG, LONG_TERM_RULES), (None, SHORT_TERM_RULES)):
        assert rules_for(replace(FACTS, interval_days=days)) is table
    assert rules_for(replace(FACTS, interval_days=LONG, undated_repeat=True)) is SHORT_TERM_RULES
    assert all(rule.source for rule in (*SHORT_TERM_RULES, *LONG_TERM_RULES))
    for table in (SHORT_TERM_RULES, LONG_TERM_RULES):  # whatever is above the noise counts as something
        assert fires(table[-1], above()) and fires(table[-1], case(undated_repeat=True, interval_days=None))


def test_a_decision_holds_every_value_threshold_and_hash_it_rests_on():
    decision = decide(*build(case(followup={"quality_score": 0.123456789})))
    facts, thresholds = json.loads(decision.facts), json.loads(decision.thresholds)
    assert facts["followup"]["quality_score"] == 0.123457 and facts["change"]["p_value"] == CHANGE.p_value
    assert facts["change"]["deltas"]["area"] == [3.0, False]
    assert set(facts) - {"change"} == set(asdict(FACTS))
    assert thresholds["quality"] == {"quality_min": QUALITY_MIN}
    assert thresholds["too_few_stable_pairs"] == {"stable_pairs_least": 19}
    assert thresholds["out_of_distribution"] == {"distance_max": FACTS.far_distance}
    assert set(thresholds) == {rule.name for rule in (*RULES, *FLAG_RULES.values()) if rule.thresholds}
    assert decision.releases == ("change/0.1.0:c1", "segmentation/0.2.0:s2")
    assert decision.rules_hash == decide(None, FACTS).rules_hash and len(decision.rules_hash) == 64


def test_another_threshold_gives_another_hash_of_the_rules():
    from longderm.governance.record import record_rules

    changed = [replace(rule, thresholds={"quality_min": 0.3}) if rule.name == "quality" else rule for rule in RULES]
    assert record_rules(RULES) != record_rules(changed)
    assert record_rules(RULES) != record_rules(RULES[1:]) != record_rules((*RULES[1:], RULES[0]))


_ALL_FIRES = [one for cases in PAIR_CASES.values() for one in cases.fires]
_ALL = _ALL_FIRES + [one for cases in (*PAIR_CASES.values(), *FLAG_CASES.values()) for one in cases.silent]
_ALL += [one for cases in PAIR_CASES.values() for pair in cases.boundary for one in pair]
_ALL += [one for cases in PAIR_CASES.values() for one, _ in cases.missing]
_mixed = st.lists(st.sampled_from(_ALL), max_size=4).map(lambda cases: build(*cases))


def may_be_issued(change, facts):
    """Item by item what an issued result must have had, written down without the rules."""
    first, second = facts.baseline, facts.followup
    removed = [e for e in facts.events if e.kind in ("biopsy", "excision", "histology")]
    areas = {d.measure: d.delta for d in change.deltas} if change is not None else {}
    return (
        facts.special_site is None
        and facts.same_patient is True
        and not any("filed_under_two_lesions" in photo.caveats for photo in (first, second))
        and {first.laterality, second.laterality} != {"L", "R"}
        and first.modality == second.modality == "dermoscopic"
        and not facts.same_pixels
        and (facts.undated_repeat or (facts.interval_days is not None and 0 < facts.interval_days <= 14600))
        and all(None not in (e.days_after_baseline, e.days_after_followup) for e in removed)
        and not any(e.kind == "excision" and e.days_after_followup < 0 for e in removed)
        and not any(e.days_after_baseline >= 0 > e.days_after_followup for e in removed)
        and not facts.failures
        and all(
            photo.quality_score is not None
            and photo.quality_score >= 0.25
            and photo.mask_found is True
            and photo.mask_touches_border is False
            and photo.mask_share is not None
            and photo.mask_share >= 0.003
            and (facts.far_distance is None or photo.distance is None or photo.distance <= facts.far_distance)
            for photo in (first, second)
        )
        and {first.polarised, second.polarised} != {True, False}
        and facts.alignment_accepted is True
        and (
            not {"area", "area_confirmed"} <= set(areas)
            or 1 / 1.5001 < (100 + areas["area"]) / (100 + areas["area_confirmed"]) < 1.5001
        )
        and len(facts.releases) > 0
        and all(one.digest == one.approved_digest for one in facts.releases)
        and facts.calibration_pairs is not None
        and facts.alpha * (facts.calibration_pairs + 1) >= 1 - 1e-6
        and change is not None
        and change.score is not None
        and change.p_value is not None
    )


@given(_mixed)
@settings(max_examples=1500, deadline=None)
def test_no_pair_is_issued_against_any_rule_and_none_is_withheld_without_one(pair):
    change, facts = pair
    decision = decide(change, facts)
    assert decision.verdict.startswith("issued") == may_be_issued(change, facts)
    if decision.verdict.startswith("issued"):
        counted = decision.flag_rule not in (None, "overall_pigmentation")
        assert decision.flagged == counted and (decision.flag_rule is not None) == (change.p_value <= facts.alpha)
    else:
        assert not decision.flagged and decision.reasons


@given(_mixed)
@settings(max_examples=200, deadline=None)
def test_the_same_facts_give_the_same_decision_byte_for_byte(pair):
    again = build(case())[0] if pair[0] is CHANGE else pair[0]
    copies = [json.dumps(asdict(decide(change, pair[1])), sort_keys=True) for change in (pair[0], again)]
    assert copies[0] == copies[1]


_DECIDE = """
import json, sys
from dataclasses import asdict
sys.path.insert(0, sys.argv[1])
from rule_cases import PAIR_CASES, build
from longderm.governance import decide
for name in PAIR_CASES:
    for one in PAIR_CASES[name].fires:
        print(json.dumps(asdict(decide(*build(one)))))
"""


def test_two_processes_that_hash_differently_write_the_same_bytes():
    here = str(Path(__file__).parent)
    written = [
        subprocess.run(
            [sys.executable, "-c", _DECIDE, here],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert written[0] == written[1] and len(written[0].splitlines()) == len(_ALL_FIRES)


TRAJECTORY = Trajectory(4, 0, 400, 0.3, 0.1, 0.5, 1.5, 0.5, 2.5, None)
ISSUED = Decision("issued", "issued", (), False)
ABSTAINED = Decision("abstained", "quality", ("blurred",), False)

TRAJECTORY_CASES = [
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
]


@pytest.mark.parametrize(("rule", "trajectory", "decisions"), TRAJECTORY_CASES)
def test_a_trajectory_is_issued_only_with_visits_pairs_and_an_interval(rule, trajectory, decisions):
    decision = decide_trajectory(trajectory, decisions)
    verdicts = {r.name: r.verdict for r in TRAJECTORY_RULES} | {"issued": "issued"}
    assert (decision.rule, decision.verdict) == (rule, verdicts[rule])
    assert rule == "issued" or rule in decision.rules_fired


def test_every_rule_for_a_trajectory_decides_in_a_case_above():
    assert {rule for rule, _, _ in TRAJECTORY_CASES} == {rule.name for rule in TRAJECTORY_RULES} | {"issued"}


def test_a_trajectory_is_flagged_from_its_first_flagged_visit_on():
    assert decide_trajectory(replace(TRAJECTORY, first_flagged_day=90), [ISSUED]).flagged
    assert not decide_trajectory(replace(TRAJECTORY, first_flagged_day=90), [ABSTAINED]).flagged
