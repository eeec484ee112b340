"""What a rule and a decision are, and how rules decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Decision:
    """Whether a result may be issued (`longderm.schema.VERDICTS`), the rule that decided, reasons in words.

    flagged: issued, and the change is above the noise and counts: to be looked at; flag_rule: what it counts as;
    rules_fired: names of all rules that fired, in their order, whether they withhold or not; facts, thresholds: every
    value and every threshold that the rules looked at, as JSON with sorted names and without identifiers; rules_hash:
    SHA-256 of the rules; releases: those behind the result, each as kind/version:digest.
    """

    verdict: str
    rule: str
    reasons: tuple[str, ...]
    flagged: bool
    flag_rule: str | None = None
    rules_fired: tuple[str, ...] = ()
    facts: str | None = None
    thresholds: str | None = None
    rules_hash: str | None = None
    releases: tuple[str, ...] = ()


#: A threshold of a rule: a number, or what gives it from the facts (it is the release's own).
Threshold = float | Callable[..., Any]


@dataclass(frozen=True)
class Rule:
    """One rule: the verdict when it fires, the check, which answers its reason or None, its thresholds and its source.

    A rule for a pair is asked `check(change, facts)`, one for a trajectory `check(trajectory, decisions)`.
    """

    verdict: str
    check: Callable[..., str | None]
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)
    source: str = ""

    @property
    def name(self) -> str:
        """The rule's name, as decisions record it."""
        return self.check.__name__.strip("_")

    @property
    def meaning(self) -> str:
        """What the rule says, in one line."""
        return (self.check.__doc__ or "").strip()


def ask(rules: Sequence[Rule], *facts: object) -> list[tuple[Rule, str]]:
    """The rules that fire, in their order, each with its reason."""
    return [(rule, reason) for rule in rules if (reason := rule.check(*facts)) is not None]


def outcome(
    fired: Sequence[tuple[Rule, str]],
    *,
    flagged: bool,
    summary: tuple[str, ...],
    flag_rule: str | None = None,
    **record: Any,
) -> Decision:
    """The first rule that withholds decides; else the first caveat; else the result is issued.

    `record`: the fields of the decision that say what it rests on.
    """
    record |= {"rules_fired": tuple(rule.name for rule, _ in fired)}
    withheld = [(rule, reason) for rule, reason in fired if rule.verdict in ("out_of_scope", "abstained")]
    if withheld:
        rule = withheld[0][0]
        return Decision(rule.verdict, rule.name, tuple(reason for _, reason in withheld), flagged=False, **record)
    reasons = (*(reason for _, reason in fired), *summary)
    verdict, name = (fired[0][0].verdict, fired[0][0].name) if fired else ("issued", "issued")
    return Decision(verdict, name, reasons, flagged, flag_rule, **record)
