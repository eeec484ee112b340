"""The rules that say when a result may be issued: pure, ordered, no model inside. Same facts, same decision.

A rule looks at the facts and answers with its reason, or with None where it does not fire. Rules that withhold a result
are asked in the order of `RULES`; the first that fires decides, and the reasons of all that fire are given. Where none
fires, the result is issued, with the reasons of every caveat that applies. A fact that is not known (None) never lets a
rule pass that needs it.
"""

from __future__ import annotations

from longderm.governance.facts import EventFact, Facts, PhotoFacts, ReleaseFact
from longderm.governance.flag import LONG_TERM_RULES, SHORT_TERM_RULES
from longderm.governance.pair import RELEASE_RULES, RULES, decide, withheld_by
from longderm.governance.rule import Decision, Rule
from longderm.governance.trajectory import TRAJECTORY_RULES, decide_trajectory

__all__ = [
    "LONG_TERM_RULES",
    "RELEASE_RULES",
    "RULES",
    "SHORT_TERM_RULES",
    "TRAJECTORY_RULES",
    "Decision",
    "EventFact",
    "Facts",
    "PhotoFacts",
    "ReleaseFact",
    "Rule",
    "decide",
    "decide_trajectory",
    "withheld_by",
]
