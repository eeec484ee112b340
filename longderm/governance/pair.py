"""The rules for a pair: may its result be issued?"""

from __future__ import annotations

from longderm.change import Change
from longderm.governance import photos, release, visits
from longderm.governance.facts import Facts
from longderm.governance.flag import FLAG_RULES, flag
from longderm.governance.record import record_facts, record_rules, record_thresholds
from longderm.governance.rule import Decision, Rule, ask, outcome

#: An alignment is accepted from 0.5 on (`longderm.registration`); below this one it is doubtful.
ALIGNMENT_CONFIDENCE_GOOD = 0.65


def decide(change: Change | None, facts: Facts) -> Decision:
    """Decide whether the result of a pair may be issued. `change` is None where it could not be computed."""
    p_value = change.p_value if change is not None else None
    above = p_value is not None and p_value <= facts.alpha
    noise = "" if p_value is None else f"p = {p_value:.3g}, flagged at {facts.alpha:.3g} or less"
    summary: tuple[str, ...] = (f"change {'above' if above else 'not above'} the noise ({noise})",)
    counted = flag(change, facts) if change is not None and above else None
    if counted is not None:
        summary += (counted.reason,)
    return outcome(
        ask(RULES, change, facts),
        flagged=counted is not None and counted.flagged,
        flag_rule=None if counted is None else counted.rule,
        summary=summary,
        facts=record_facts(change, facts),
        thresholds=record_thresholds((*RULES, *FLAG_RULES), facts),
        rules_hash=record_rules((*RULES, *FLAG_RULES)),
        releases=tuple(f"{one.name}:{one.digest}" for one in facts.releases),
    )


def _stage_failed(_: Change | None, facts: Facts) -> str | None:
    """A stage could not work on this pair or its photos."""
    return f"could not be worked on: {'; '.join(facts.failures)}" if facts.failures else None


def _alignment_refused(_: Change | None, facts: Facts) -> str | None:
    """The alignment must be verified."""
    return None if facts.alignment_accepted else f"alignment refused: {facts.alignment_reason or 'no match was found'}"


def _not_scored(change: Change | None, facts: Facts) -> str | None:
    """There must be a score, calibrated against enough stable pairs."""
    earlier = facts.failures or not facts.alignment_accepted or not all(p.mask_found for _, p in facts.photos)
    if earlier:
        return None  # said by the rule for it
    if change is None or change.score is None:
        return f"not scored: {'; '.join(change.reasons)}" if change is not None and change.reasons else "not scored"
    if change.p_value is None:
        return "the noise of this measurement is not calibrated"
    return None


def _doubtful_alignment(_: Change | None, facts: Facts) -> str | None:
    """The alignment was accepted with little confidence."""
    confidence = facts.alignment_confidence
    if confidence is not None and round(confidence, 6) >= ALIGNMENT_CONFIDENCE_GOOD:
        return None
    return f"the alignment is doubtful (confidence {'not known' if confidence is None else f'{confidence:.2f}'})"


def _scale_uncertain(_: Change | None, facts: Facts) -> str | None:
    """Skin and lesion tell different scales, or the skin tells none: the change of size is not certain."""
    return "; ".join(facts.alignment_cautions) or None


def _stable_pairs_least(facts: Facts) -> int:
    return release.stable_pairs_least(facts.alpha)


def _far_distance(facts: Facts) -> float | None:
    return facts.far_distance


def _unusual_distance(facts: Facts) -> float | None:
    return facts.unusual_distance


def _calibrated_interval(facts: Facts) -> tuple[int, int] | None:
    return facts.calibrated_interval_days


_MENZIES = "Menzies et al. 2001, doi 10.1001/archderm.137.12.1583"

#: The rules for a pair, in order. Those that withhold a result come first.
RULES: tuple[Rule, ...] = (
    Rule("out_of_scope", visits.special_site),
    Rule("abstained", visits.identity_disagrees),
    Rule("abstained", visits.laterality_disagrees),
    Rule("abstained", photos.mixed_modality),
    Rule("abstained", photos.modality_not_judged),
    Rule("abstained", photos.same_pixels),
    Rule("abstained", visits.dates_not_ordered, {"interval_days_above": 0}),
    Rule("abstained", visits.interval_implausible, {"interval_longest_days": visits.INTERVAL_LONGEST_DAYS}),
    Rule("abstained", visits.event_undated),
    Rule("abstained", visits.excised, {"event_days_before_followup_above": 0}),
    Rule("abstained", visits.biopsied_between, {"event_days_after_baseline_min": 0}),
    Rule("abstained", _stage_failed),
    Rule("abstained", photos.quality, {"quality_min": photos.QUALITY_MIN}),
    Rule("abstained", photos.lesion_not_found),
    Rule("abstained", photos.lesion_cut),
    Rule("abstained", photos.mask_implausible, {"mask_share_min": photos.MASK_SHARE_MIN}),
    Rule("abstained", _alignment_refused),
    Rule("abstained", photos.outlines_contradict, {"outline_tolerance": photos.OUTLINE_TOLERANCE}),
    Rule("abstained", photos.mixed_polarisation),
    Rule("abstained", release.release_not_approved),
    Rule(
        "abstained",
        release.too_few_stable_pairs,
        {"stable_pairs_least": _stable_pairs_least},
    ),
    Rule("abstained", release.out_of_distribution, {"distance_max": _far_distance}),
    Rule("abstained", _not_scored),
    Rule("issued_with_caveat", visits.undated_repeat),
    Rule("issued_with_caveat", visits.short_interval, {"interval_short_days": visits.INTERVAL_SHORT_DAYS}, _MENZIES),
    Rule(
        "issued_with_caveat",
        visits.interval_not_calibrated,
        {"interval_days": _calibrated_interval},
    ),
    Rule("issued_with_caveat", visits.biopsied_earlier, {"event_days_after_baseline_below": 0}),
    Rule("issued_with_caveat", visits.removed_same_day, {"event_days_after_followup": 0}),
    Rule("issued_with_caveat", visits.pregnancy),
    Rule("issued_with_caveat", photos.mixed_contact),
    Rule("issued_with_caveat", photos.modest_quality, {"quality_good": photos.QUALITY_GOOD}),
    Rule("issued_with_caveat", photos.doubtful_mask, {"mask_confidence_good": photos.MASK_CONFIDENCE_GOOD}),
    Rule("issued_with_caveat", _doubtful_alignment, {"alignment_confidence_good": ALIGNMENT_CONFIDENCE_GOOD}),
    Rule("issued_with_caveat", photos.colour_not_compared),
    Rule("issued_with_caveat", photos.scale_disagrees, {"scale_tolerance": photos.SCALE_TOLERANCE}),
    Rule("issued_with_caveat", _scale_uncertain),
    Rule("issued_with_caveat", photos.no_scale),
    Rule("issued_with_caveat", photos.scale_from_ruler),
    Rule("issued_with_caveat", photos.photo_caveats),
    Rule("issued_with_caveat", photos.polarisation_unknown),
    Rule("issued_with_caveat", release.few_stable_pairs, {"stable_pairs_good": release.STABLE_PAIRS_GOOD}),
    Rule("issued_with_caveat", release.unusual_photo, {"distance_usual": _unusual_distance}),
    Rule("issued_with_caveat", release.range_not_stated),
)

#: The rules that judge the releases, or that there is a score at all, and not the pair itself.
RELEASE_RULES = frozenset(
    {
        "interval_not_calibrated",
        "release_not_approved",
        "too_few_stable_pairs",
        "few_stable_pairs",
        "out_of_distribution",
        "unusual_photo",
        "range_not_stated",
        "not_scored",
    }
)


def withheld_by(change: Change | None, facts: Facts) -> str | None:
    """The first rule that withholds this pair whatever release judges it, or None: such pairs a release is fitted on.

    `change` may have deltas alone; without one the rules that read them are not asked.
    """
    for rule, _ in ask(RULES, change, facts):
        if rule.verdict != "issued_with_caveat" and rule.name not in RELEASE_RULES:
            return rule.name
    return None
