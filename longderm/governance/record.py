"""What a decision rests on, as text: the same facts and rules give the same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from longderm.change import Change
from longderm.governance.facts import Facts
from longderm.governance.rule import Rule

#: Significant digits of a value in a record, as everywhere in the tables.
DIGITS = 6


def record_facts(change: Change | None, facts: Facts) -> str:
    """Every value that the rules look at, as JSON; null where it is not known. It holds no identifier and no date."""
    scored = None
    if change is not None:
        scored = {
            "score": change.score,
            "p_value": change.p_value,
            "model": change.model,
            "deltas": {d.measure: [d.delta, d.exceeds_mdc] for d in change.deltas},
        }
    return _to_json({"change": scored, **asdict(facts)})


def record_values(facts: Any, digits: int = DIGITS) -> str:
    """Every value of a dataclass of facts, as JSON; null where it is not known."""
    return _to_json(asdict(facts), digits)


def record_thresholds(rules: Sequence[Rule], facts: Any, digits: int = DIGITS) -> str:
    """Every threshold of the rules, by the rule's name, as JSON; those of the release are filled in."""
    return _to_json(
        {
            rule.name: {key: value(facts) if callable(value) else value for key, value in rule.thresholds.items()}
            for rule in rules
            if rule.thresholds
        },
        digits,
    )


def record_rules(rules: Sequence[Rule]) -> str:
    """SHA-256 over the rules in their order: names, verdicts, meanings, thresholds, sources."""
    told = [
        [
            rule.verdict,
            rule.name,
            rule.meaning,
            {key: "of the release" if callable(value) else value for key, value in rule.thresholds.items()},
            rule.source,
        ]
        for rule in rules
    ]
    return hashlib.sha256(_to_json(told).encode()).hexdigest()


def _to_json(value: Any, digits: int = DIGITS) -> str:
    return json.dumps(_rounded(value, digits), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _rounded(value: Any, digits: int) -> Any:
    """Floats to so many significant digits; what is not finite is not known."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if value - value == 0.0 else None
    if isinstance(value, dict):
        return {key: _rounded(one, digits) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(one, digits) for one in value]
    return value
