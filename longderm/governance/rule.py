"""What a rule and a decision are, and how rules decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    """Whether a result may be issued (`longderm.schema.VERDICTS`), the rule that decided, reasons in words.

    flagged: issued, and the change is above the noise: to be looked at.
    """

    verdict: str
    rule: str
    reasons: tuple[str, ...]
    flagged: bool


@dataclass(frozen=True)
class Rule:
    """One rule: the verdict when it fires, and the check, which answers its reason or None.

    A rule for a pair is asked `check(change, facts)`, one for a trajectory `check(trajectory, decisions)`.
    """

    verdict: str
    check: Callable[..., str | None]

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


def outcome(fired: Sequence[tuple[Rule, str]], *, flagged: bool, summary: tuple[str, ...]) -> Decision:
    """The first rule that withholds decides; else the first caveat; else the result is issued."""
    withheld = [(rule, reason) for rule, reason in fired if rule.verdict in ("out_of_scope", "abstained")]
    if withheld:
        rule = withheld[0][0]
        return Decision(rule.verdict, rule.name, tuple(reason for _, reason in withheld), flagged=False)
    reasons = (*(reason for _, reason in fired), *summary)
    if fired:
        return Decision(fired[0][0].verdict, fired[0][0].name, reasons, flagged)
    return Decision("issued", "issued", reasons, flagged)
