"""Rules of a pair that ask whether the releases behind its result may speak of it."""

from __future__ import annotations

from longderm.change import Change
from longderm.change.familiar import LEVELS
from longderm.governance.facts import Facts

#: Stable pairs behind a calibration from which on p = 0.01 can be reached; with n of them the share of stable lesions
#: that are flagged at 0.05 varies by about sqrt(0.05 x 0.95 / n): 2 points here (Vovk 2012, "Conditional validity of
#: inductive conformal predictors").
STABLE_PAIRS_GOOD = 99


def stable_pairs_least(alpha: float) -> int:
    """Stable pairs from which on a conformal p-value, 1 / (n + 1) at least, can reach `alpha` at all."""
    needed = 1
    while round(alpha * (needed + 1), 6) < 1.0:
        needed += 1
    return needed


def release_not_approved(_: Change | None, facts: Facts) -> str | None:
    """Every release behind a result must come with longderm or stand promoted, with the files that were approved."""
    if not facts.releases:
        return "not known which releases the result rests on"
    for release in facts.releases:
        if release.approved_digest is None:
            return f"release {release.name} is named by a setting, but was not promoted in this store"
        if release.approved_digest != release.digest:
            return f"release {release.name} has other files than those that were promoted in this store"
    return None


def too_few_stable_pairs(_: Change | None, facts: Facts) -> str | None:
    """The calibration must rest on enough stable pairs for a p-value to reach the threshold at all."""
    if facts.calibration_pairs is None:
        return "not known how many stable pairs the calibration rests on"
    least = stable_pairs_least(facts.alpha)
    if facts.calibration_pairs >= least:
        return None
    return f"the calibration rests on {facts.calibration_pairs} stable pairs; {least} are the least"


def few_stable_pairs(_: Change | None, facts: Facts) -> str | None:
    """A calibration on few stable pairs gives coarse p-values."""
    if facts.calibration_pairs is None or facts.calibration_pairs >= STABLE_PAIRS_GOOD:
        return None
    return f"the calibration rests on {facts.calibration_pairs} stable pairs only (good: {STABLE_PAIRS_GOOD} or more)"


def out_of_distribution(_: Change | None, facts: Facts) -> str | None:
    """A photo farther from the usual than every one of the calibration has no p-value that holds."""
    if facts.far_distance is None:
        return None  # said by the rule for a release that states no range
    for which, photo in facts.photos:
        if photo.distance is not None and round(photo.distance, 4) > facts.far_distance:
            return f"the {which} photo is unlike all that the release was calibrated on{_level(photo.farthest)}"
    return None


def unusual_photo(_: Change | None, facts: Facts) -> str | None:
    """A photo lies at the edge of what the release was calibrated on, or it is not known where it lies."""
    if facts.unusual_distance is None:
        return None  # said by the rule for a release that states no range
    for which, photo in facts.photos:
        if photo.distance is None:
            return f"not known whether the {which} photo is like those that the release was calibrated on"
        if round(photo.distance, 4) > facts.unusual_distance:
            return (
                f"the {which} photo is unlike 99% of those that the release was calibrated on{_level(photo.farthest)}"
            )
    return None


def range_not_stated(_: Change | None, facts: Facts) -> str | None:
    """The release does not state what photos it was calibrated on, so whether these are like them is not known."""
    if facts.range_stated:
        return None
    return "whether such photos were among those of the calibration is not judged: the release states no range"


def _level(farthest: str | None) -> str:
    return f" ({LEVELS.get(farthest, farthest)})" if farthest else ""
