"""The rules for a pair: may its result be issued?"""

from __future__ import annotations

from collections.abc import Iterator

from longderm.change import Change
from longderm.governance.facts import EventFact, Facts
from longderm.governance.rule import Decision, Rule, ask, outcome

#: Modalities whose change scores are calibrated; the others are taken in and shown.
JUDGED_MODALITIES = ("dermoscopic",)

#: Below this quality score (0 to 1) a photo is not analysed.
QUALITY_MIN = 0.25
#: Below this one a result carries a caveat.
QUALITY_GOOD = 0.5
#: Below this confidence (0 to 1) a lesion's mask is doubtful.
MASK_CONFIDENCE_GOOD = 0.5
#: An alignment is accepted from 0.5 on (`longderm.registration`); below this one it is doubtful.
ALIGNMENT_CONFIDENCE_GOOD = 0.65
#: Visits closer than this are no follow-up by any protocol (short-term monitoring: 1.5 to 4.5 months, Menzies et al.
#: 2001, doi 10.1001/archderm.137.12.1583): the time is too short for a lesion to change beyond the noise.
INTERVAL_SHORT_DAYS = 30
#: Pixels per millimetre of both photos and the alignment may contradict each other by this factor in scale.
SCALE_TOLERANCE = 1.15

#: Events after which the tissue is no longer what it was.
_REMOVALS = {"excision": "excised", "biopsy": "biopsied", "histology": "examined by histology"}

#: Caveat codes of a photo, in words; a code that is not listed is shown as it is.
CAVEAT_TEXTS = {
    "burned_in_not_excluded": "text burnt into the pixels is not excluded",
    "date_not_of_acquisition": "dated by another date than that of the photo",
    "derived_image": "not the camera's own image, but one derived from it",
    "exif_unreadable": "orientation not certain (EXIF unreadable)",
    "filed_under_two_lesions": "the same photo is filed under two lesions",
    "icc_profile_unusable": "colours not certain (colour profile unusable)",
    "modality_assumed": "taken for dermoscopy, the file does not say",
    "scale_contradicts_ruler": "the stated scale and a ruler in the photo contradict each other",
    "same_pixels_as_other_day": "the same pixels are also filed under another day",
    "transparent_pixels": "transparent pixels were filled",
}


def decide(change: Change | None, facts: Facts) -> Decision:
    """Decide whether the result of a pair may be issued. `change` is None where it could not be computed."""
    p_value = change.p_value if change is not None else None
    above = p_value is not None and p_value <= facts.alpha
    noise = "" if p_value is None else f"p = {p_value:.3g}, flagged at {facts.alpha:.3g} or less"
    summary = f"change {'above' if above else 'not above'} the noise ({noise})"
    return outcome(ask(RULES, change, facts), flagged=above, summary=(summary,))


def _special_site(_: Change | None, facts: Facts) -> str | None:
    """Face, acral, nail and mucosal sites are out of scope."""
    if facts.special_site is None:
        return None
    return f"{facts.special_site} site: its patterns are not those that longderm was made for"


def _mixed_modality(_: Change | None, facts: Facts) -> str | None:
    """Photos of two kinds are not compared."""
    first, second = facts.baseline.modality, facts.followup.modality
    return None if first == second else f"photos of two kinds ({first}, {second}) cannot be compared"


def _modality_not_judged(_: Change | None, facts: Facts) -> str | None:
    """Clinical and total-body photos are not yet judged."""
    other = sorted({photo.modality for _, photo in facts.photos} - set(JUDGED_MODALITIES))
    return f"not yet judged for this modality ({', '.join(other)})" if other else None


def _same_pixels(_: Change | None, facts: Facts) -> str | None:
    """One photo filed twice shows nothing, least of all that a lesion is stable."""
    return (
        "the same pixels are filed as two photos: one photo cannot show that a lesion is stable"
        if (facts.same_pixels)
        else None
    )


def _dates_not_ordered(_: Change | None, facts: Facts) -> str | None:
    """The follow-up was taken on a later day than the baseline, unless undated repeats are declared."""
    if facts.undated_repeat:
        return None
    if facts.interval_days is None:
        return "the days between the photos are not known"
    if facts.interval_days <= 0:
        return "the follow-up was not taken on a later day than the baseline"
    return None


def _event_undated(_: Change | None, facts: Facts) -> str | None:
    """A biopsy or excision must have a day, to be placed before or after the photos."""
    undated = [
        event.kind
        for event in facts.events
        if event.kind in _REMOVALS and (event.days_after_baseline is None or event.days_after_followup is None)
    ]
    return f"{undated[0]} of this lesion, not known whether before or after the photos" if undated else None


def _removed_before(facts: Facts) -> Iterator[EventFact]:
    for event in facts.events:
        if event.kind in _REMOVALS and event.days_after_followup is not None and event.days_after_followup < 0:
            yield event


def _excised(_: Change | None, facts: Facts) -> str | None:
    """A lesion that was excised before the follow-up is a scar."""
    excised = any(event.kind == "excision" for event in _removed_before(facts))
    return "the lesion was excised before the follow-up: what remains is a scar" if excised else None


def _biopsied_between(_: Change | None, facts: Facts) -> str | None:
    """A biopsy between the photos changes the lesion."""
    for event in _removed_before(facts):
        after = event.days_after_baseline
        if event.kind != "excision" and after is not None and after >= 0:
            return f"the lesion was {_REMOVALS[event.kind]} between the photos"
    return None


def _stage_failed(_: Change | None, facts: Facts) -> str | None:
    """A stage could not work on this pair or its photos."""
    return f"could not be worked on: {'; '.join(facts.failures)}" if facts.failures else None


def _quality(_: Change | None, facts: Facts) -> str | None:
    """Both photos must be good enough to be analysed."""
    for which, photo in facts.photos:
        if photo.quality_score is None:
            return f"the quality of the {which} photo is not known"
        if round(photo.quality_score, 6) < QUALITY_MIN:
            why = f": {', '.join(photo.quality_reasons)}" if photo.quality_reasons else ""
            return f"the {which} photo is not good enough ({photo.quality_score:.2f}, least {QUALITY_MIN}){why}"
    return None


def _lesion_not_found(_: Change | None, facts: Facts) -> str | None:
    """A lesion must be found in both photos."""
    for which, photo in facts.photos:
        if not photo.mask_found:
            why = f": {photo.mask_reason}" if photo.mask_reason else ""
            return f"no lesion found in the {which} photo{why}"
    return None


def _lesion_cut(_: Change | None, facts: Facts) -> str | None:
    """The lesion must lie inside of both photos."""
    cut = [which for which, photo in facts.photos if photo.mask_found and photo.mask_touches_border is not False]
    return f"the lesion reaches beyond the {' and the '.join(cut)} photo" if cut else None


def _alignment_refused(_: Change | None, facts: Facts) -> str | None:
    """The alignment must be verified."""
    return None if facts.alignment_accepted else f"alignment refused: {facts.alignment_reason or 'no match was found'}"


def _mixed_polarisation(_: Change | None, facts: Facts) -> str | None:
    """Polarised and non-polarised light show different structures: together they mimic change."""
    first, second = facts.baseline.polarised, facts.followup.polarised
    if first is None or second is None or first == second:
        return None
    return "one photo is polarised, the other is not: their difference mimics change"


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


def _undated_repeat(_: Change | None, facts: Facts) -> str | None:
    """Repeats without dates have no direction of change."""
    return "repeats without dates: which photo came first is not known" if facts.undated_repeat else None


def _short_interval(_: Change | None, facts: Facts) -> str | None:
    """Visits close together leave no time to change beyond the noise."""
    if facts.interval_days is None or facts.interval_days >= INTERVAL_SHORT_DAYS:
        return None
    return f"only {facts.interval_days} days between the photos (follow-up protocols: {INTERVAL_SHORT_DAYS} or more)"


def _biopsied_earlier(_: Change | None, facts: Facts) -> str | None:
    """A biopsy before the baseline may have left a scar in both photos."""
    for event in _removed_before(facts):
        after = event.days_after_baseline
        if event.kind != "excision" and after is not None and after < 0:
            return f"the lesion was {_REMOVALS[event.kind]} before the baseline: part of it may be a scar"
    return None


def _removed_same_day(_: Change | None, facts: Facts) -> str | None:
    """Biopsied or excised on the day of the follow-up, which is taken to come after the photo."""
    for event in facts.events:
        if event.kind in _REMOVALS and event.days_after_followup == 0:
            return f"the lesion was {_REMOVALS[event.kind]} on the day of the follow-up, taken to be after the photo"
    return None


def _pregnancy(_: Change | None, facts: Facts) -> str | None:
    """Naevi may change in pregnancy."""
    pregnant = any(event.kind == "pregnancy" for event in facts.events)
    return "pregnancy is recorded: naevi may change with it" if pregnant else None


def _photo_caveats(_: Change | None, facts: Facts) -> str | None:
    """A photo brings caveats from intake, such as text burnt into it that is not excluded."""
    codes = sorted({code for _, photo in facts.photos for code in photo.caveats})
    return "; ".join(CAVEAT_TEXTS.get(code, code.replace("_", " ")) for code in codes) if codes else None


def _no_scale(_: Change | None, facts: Facts) -> str | None:
    """Without a scale in both photos sizes are relative."""
    missing = [which for which, photo in facts.photos if photo.px_per_mm is None]
    return f"no scale in the {' and the '.join(missing)} photo: sizes are relative" if missing else None


def _scale_from_ruler(_: Change | None, facts: Facts) -> str | None:
    """Sizes in mm rest on a scale that is not stated, but read from a ruler in the photo."""
    if any(photo.px_per_mm is None for _, photo in facts.photos):
        return None  # sizes are relative, which `no_scale` says
    read = [(which, photo) for which, photo in facts.photos if photo.px_per_mm_source == "ruler"]
    if not read:
        return None
    errors = [photo.px_per_mm_error for _, photo in read if photo.px_per_mm_error is not None]
    error = f" (standard error {100 * max(errors):.2g}%)" if errors else ""
    return f"scale read from a ruler in the {' and the '.join(which for which, _ in read)} photo{error}"


def _scale_disagrees(_: Change | None, facts: Facts) -> str | None:
    """The stated scales and the alignment contradict each other."""
    first, second, aligned = facts.baseline.px_per_mm, facts.followup.px_per_mm, facts.alignment_scale
    if first is None or second is None or aligned is None:
        return None
    factor = round(aligned / (second / first), 6)
    if 1.0 / SCALE_TOLERANCE <= factor <= SCALE_TOLERANCE:
        return None
    return f"the scales of the photos and their alignment differ by a factor of {max(factor, 1.0 / factor):.2f}"


def _polarisation_unknown(_: Change | None, facts: Facts) -> str | None:
    """Polarisation is not known of both photos, so a mixed pair is not excluded."""
    unknown = any(photo.polarised is None for _, photo in facts.photos)
    return "polarised or not is not known of both photos" if unknown else None


def _mixed_contact(_: Change | None, facts: Facts) -> str | None:
    """Contact and non-contact optics are mixed."""
    first, second = facts.baseline.contact, facts.followup.contact
    if first is None or second is None or first == second:
        return None
    return "one photo was taken in contact with the skin, the other not: pressure pales it"


def _modest_quality(_: Change | None, facts: Facts) -> str | None:
    """A photo is good enough, but not good."""
    for which, photo in facts.photos:
        if photo.quality_score is not None and round(photo.quality_score, 6) < QUALITY_GOOD:
            why = f": {', '.join(photo.quality_reasons)}" if photo.quality_reasons else ""
            return f"modest quality of the {which} photo ({photo.quality_score:.2f}){why}"
    return None


def _doubtful_mask(_: Change | None, facts: Facts) -> str | None:
    """The lesion's border is doubtful in a photo."""
    for which, photo in facts.photos:
        if photo.mask_confidence is None or round(photo.mask_confidence, 6) < MASK_CONFIDENCE_GOOD:
            shown = "not known" if photo.mask_confidence is None else f"{photo.mask_confidence:.2f}"
            return f"the lesion's border in the {which} photo is doubtful (confidence {shown})"
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


#: The rules for a pair, in order. Those that withhold a result come first.
RULES: tuple[Rule, ...] = (
    Rule("out_of_scope", _special_site),
    Rule("abstained", _mixed_modality),
    Rule("abstained", _modality_not_judged),
    Rule("abstained", _same_pixels),
    Rule("abstained", _dates_not_ordered),
    Rule("abstained", _event_undated),
    Rule("abstained", _excised),
    Rule("abstained", _biopsied_between),
    Rule("abstained", _stage_failed),
    Rule("abstained", _quality),
    Rule("abstained", _lesion_not_found),
    Rule("abstained", _lesion_cut),
    Rule("abstained", _alignment_refused),
    Rule("abstained", _mixed_polarisation),
    Rule("abstained", _not_scored),
    Rule("issued_with_caveat", _undated_repeat),
    Rule("issued_with_caveat", _short_interval),
    Rule("issued_with_caveat", _biopsied_earlier),
    Rule("issued_with_caveat", _removed_same_day),
    Rule("issued_with_caveat", _pregnancy),
    Rule("issued_with_caveat", _mixed_contact),
    Rule("issued_with_caveat", _modest_quality),
    Rule("issued_with_caveat", _doubtful_mask),
    Rule("issued_with_caveat", _doubtful_alignment),
    Rule("issued_with_caveat", _scale_disagrees),
    Rule("issued_with_caveat", _scale_uncertain),
    Rule("issued_with_caveat", _no_scale),
    Rule("issued_with_caveat", _scale_from_ruler),
    Rule("issued_with_caveat", _photo_caveats),
    Rule("issued_with_caveat", _polarisation_unknown),
)
