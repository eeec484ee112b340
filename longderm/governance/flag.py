"""What a change above the noise counts as: a table of rules for short-term and another for long-term monitoring.

Short term, any morphologic change counts. Over a longer time ordinary naevi change too, and what counts is told apart:
shape, colour, structure, regression, and growth alone. A lesion that regresses has changed. Whatever is above the noise
is flagged, with one exception that the short-term protocol itself makes: overall pigmentation alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from longderm.change import Change, Delta
from longderm.change.evidence import SPECS
from longderm.governance.facts import Facts
from longderm.governance.rule import Rule, Threshold, ask

#: Short-term monitoring ends here: 4.5 months of 30.4375 days (Altamura et al. 2008, doi 10.1001/archderm.144.4.502).
SHORT_TERM_DAYS = 137

_SHORT_TERM = "Menzies et al. 2001, doi 10.1001/archderm.137.12.1583; Altamura et al. 2008, Arch Dermatol 144:502"
_LONG_TERM = "Kittler et al. 2000, J Am Acad Dermatol 43:467, substantial modifications over a median of 12.6 months"

#: Mean colour of the whole lesion against the skin; local colours are other measures.
_OVERALL_PIGMENTATION = frozenset({"delta_a", "delta_b", "delta_lightness"})
_SIZES = frozenset({"area", "area_confirmed", "area_mm2", "long_diam", "clin_size_long_diam_mm"})


@dataclass(frozen=True)
class Counted:
    """What a change counts as: the rule, its reason, and whether it is flagged."""

    rule: str
    reason: str
    flagged: bool


def flag(change: Change, facts: Facts) -> Counted:
    """What a change above the noise counts as: the first rule that fires in the table for the time between the photos.

    Photos whose distance in time is not known are judged by the short-term table, where any change counts.
    """
    rule, reason = ask(rules_for(facts), change, facts)[0]
    return Counted(rule.name, reason, rule.verdict == "flagged")


def rules_for(facts: Facts) -> tuple[Rule, ...]:
    """The table for the time between the photos."""
    long = facts.interval_days is not None and not facts.undated_repeat and facts.interval_days > SHORT_TERM_DAYS
    return LONG_TERM_RULES if long else SHORT_TERM_RULES


def _above(change: Change) -> list[Delta]:
    """The measured differences above their minimal detectable change."""
    return [delta for delta in change.deltas if delta.exceeds_mdc]


def _of_group(change: Change, group: str) -> list[str]:
    return [SPECS[d.measure].label for d in _above(change) if d.measure in SPECS and SPECS[d.measure].group == group]


def _regression(change: Change, facts: Facts) -> str | None:
    """A lesion that became smaller or lost structure has changed."""
    if facts.undated_repeat:
        return None  # which photo came first is not known
    less = {d.measure for d in _above(change) if d.delta < 0}
    told = [text for text, names in (("smaller", _SIZES), ("less structure", {"structure_energy"})) if less & names]
    return f"counts as regression: {' and '.join(told)} than before" if told else None


def _overall_pigmentation(change: Change, _: Facts) -> str | None:
    """Short term, a change of overall pigmentation alone is not significant."""
    above = {delta.measure for delta in _above(change)}
    if not above or above - _OVERALL_PIGMENTATION:
        return None
    return "overall pigmentation alone changed, which short-term monitoring does not count"


def _any_change(_: Change, __: Facts) -> str | None:
    """Short term, any morphologic change counts."""
    return "counts as change: short term, any change does"


def _shape(change: Change, _: Facts) -> str | None:
    """Long term, a change of shape or symmetry is substantial."""
    names = _of_group(change, "shape")
    return f"counts as change of shape: {', '.join(names)}" if names else None


def _colour(change: Change, _: Facts) -> str | None:
    """Long term, a change of colour is substantial."""
    names = _of_group(change, "colour")
    return f"counts as change of colour: {', '.join(names)}" if names else None


def _structure(change: Change, _: Facts) -> str | None:
    """Long term, a change of structure is substantial."""
    names = _of_group(change, "structure")
    return f"counts as change of structure: {', '.join(names)}" if names else None


def _growth_alone(change: Change, _: Facts) -> str | None:
    """Long term, growth is substantial; even growth alone is also seen in ordinary naevi."""
    grown = any(delta.measure in _SIZES for delta in _above(change))
    return "counts as growth alone, which ordinary naevi show too" if grown else None


def _no_single_measure(_: Change, __: Facts) -> str | None:
    """Long term, the differences as a whole are above the noise, though none of them is by itself."""
    return "counts as change as a whole: no single difference is above its minimal detectable change"


def _alpha(facts: Facts) -> float:
    return facts.alpha


_ALPHA: dict[str, Threshold] = {"alpha": _alpha}

#: Up to 4.5 months. The last rule always fires.
SHORT_TERM_RULES: tuple[Rule, ...] = (
    Rule("flagged", _regression, _ALPHA, _SHORT_TERM),
    Rule("not_flagged", _overall_pigmentation, {"short_term_days": SHORT_TERM_DAYS}, _SHORT_TERM),
    Rule("flagged", _any_change, _ALPHA | {"short_term_days": SHORT_TERM_DAYS}, _SHORT_TERM),
)

#: Beyond 4.5 months. The last rule always fires.
LONG_TERM_RULES: tuple[Rule, ...] = (
    Rule("flagged", _regression, _ALPHA, _LONG_TERM),
    Rule("flagged", _shape, _ALPHA, _LONG_TERM),
    Rule("flagged", _colour, _ALPHA, _LONG_TERM),
    Rule("flagged", _structure, _ALPHA, _LONG_TERM),
    Rule("flagged", _growth_alone, _ALPHA, _LONG_TERM),
    Rule("flagged", _no_single_measure, _ALPHA, _LONG_TERM),
)

#: Both tables, as a decision records them.
FLAG_RULES = SHORT_TERM_RULES + LONG_TERM_RULES
