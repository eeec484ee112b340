"""Rules of a pair that ask who, which lesion, when, and what was done to it."""

from __future__ import annotations

from collections.abc import Iterator

from longderm.change import Change
from longderm.governance.facts import EventFact, Facts

#: Visits closer than this are no follow-up by any protocol (short-term monitoring: 1.5 to 4.5 months, Menzies et al.
#: 2001, doi 10.1001/archderm.137.12.1583): the time is too short for a lesion to change beyond the noise.
INTERVAL_SHORT_DAYS = 30
#: Photos further apart than digital dermoscopy is old (its first systems are of about 1990) have a wrong date.
INTERVAL_LONGEST_DAYS = 40 * 365

#: Events after which the tissue is no longer what it was.
_REMOVALS = {"excision": "excised", "biopsy": "biopsied", "histology": "examined by histology"}

#: The caveat of a photo that the source files under two lesions of one patient (`longderm.archive.assign`).
_TWO_LESIONS = "filed_under_two_lesions"


def special_site(_: Change | None, facts: Facts) -> str | None:
    """Face, acral, nail and mucosal sites are out of scope."""
    if facts.special_site is None:
        return None
    return f"{facts.special_site} site: its patterns are not those that longderm was made for"


def dates_not_ordered(_: Change | None, facts: Facts) -> str | None:
    """The follow-up was taken on a later day than the baseline, unless undated repeats are declared."""
    if facts.undated_repeat:
        return None
    if facts.interval_days is None:
        return "the days between the photos are not known"
    if facts.interval_days <= 0:
        return "the follow-up was not taken on a later day than the baseline"
    return None


def event_undated(_: Change | None, facts: Facts) -> str | None:
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


def excised(_: Change | None, facts: Facts) -> str | None:
    """A lesion that was excised before the follow-up is a scar."""
    excised = any(event.kind == "excision" for event in _removed_before(facts))
    return "the lesion was excised before the follow-up: what remains is a scar" if excised else None


def biopsied_between(_: Change | None, facts: Facts) -> str | None:
    """A biopsy between the photos changes the lesion."""
    for event in _removed_before(facts):
        after = event.days_after_baseline
        if event.kind != "excision" and after is not None and after >= 0:
            return f"the lesion was {_REMOVALS[event.kind]} between the photos"
    return None


def undated_repeat(_: Change | None, facts: Facts) -> str | None:
    """Repeats without dates have no direction of change."""
    return "repeats without dates: which photo came first is not known" if facts.undated_repeat else None


def short_interval(_: Change | None, facts: Facts) -> str | None:
    """Visits close together leave no time to change beyond the noise."""
    if facts.interval_days is None or facts.interval_days >= INTERVAL_SHORT_DAYS:
        return None
    return f"only {facts.interval_days} days between the photos (follow-up protocols: {INTERVAL_SHORT_DAYS} or more)"


def biopsied_earlier(_: Change | None, facts: Facts) -> str | None:
    """A biopsy before the baseline may have left a scar in both photos."""
    for event in _removed_before(facts):
        after = event.days_after_baseline
        if event.kind != "excision" and after is not None and after < 0:
            return f"the lesion was {_REMOVALS[event.kind]} before the baseline: part of it may be a scar"
    return None


def removed_same_day(_: Change | None, facts: Facts) -> str | None:
    """Biopsied or excised on the day of the follow-up, which is taken to come after the photo."""
    for event in facts.events:
        if event.kind in _REMOVALS and event.days_after_followup == 0:
            return f"the lesion was {_REMOVALS[event.kind]} on the day of the follow-up, taken to be after the photo"
    return None


def pregnancy(_: Change | None, facts: Facts) -> str | None:
    """Naevi may change in pregnancy."""
    pregnant = any(event.kind == "pregnancy" for event in facts.events)
    return "pregnancy is recorded: naevi may change with it" if pregnant else None


def identity_disagrees(_: Change | None, facts: Facts) -> str | None:
    """Both photos must be known to be of one patient and of one lesion."""
    if facts.same_patient is None:
        return "not known whether both photos are of one patient"
    if not facts.same_patient:
        return "the photos are filed under two patients"
    which = [which for which, photo in facts.photos if _TWO_LESIONS in photo.caveats]
    return f"the {' and the '.join(which)} photo is filed under two lesions" if which else None


def laterality_disagrees(_: Change | None, facts: Facts) -> str | None:
    """Photos of the left and of the right side show two lesions; where a side is not stated, nothing contradicts."""
    sides = {photo.laterality for _, photo in facts.photos} & {"L", "R"}
    return "one photo is said to be of the left side, the other of the right" if len(sides) == 2 else None


def interval_implausible(_: Change | None, facts: Facts) -> str | None:
    """Photos cannot be further apart than digital dermoscopy is old: a date is wrong."""
    if facts.undated_repeat or facts.interval_days is None or facts.interval_days <= INTERVAL_LONGEST_DAYS:
        return None
    return f"{facts.interval_days / 365.25:.0f} years between the photos: a date is wrong"


def interval_not_calibrated(_: Change | None, facts: Facts) -> str | None:
    """The release was calibrated on pairs with other times between the visits."""
    if facts.undated_repeat or facts.interval_days is None or not facts.range_stated:
        return None  # said by the rules for undated repeats, for dates, and for a release without a range
    if facts.calibrated_interval_days is None:
        return "the release was calibrated on pairs without dates only"
    low, high = facts.calibrated_interval_days
    if low <= facts.interval_days <= high:
        return None
    return f"{facts.interval_days} days between the photos; the release was calibrated on {low} to {high}"
