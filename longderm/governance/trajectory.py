"""The rules for a lesion's trajectory: may its growth be issued?"""

from __future__ import annotations

from collections.abc import Sequence

from longderm.change import Trajectory
from longderm.governance.rule import Decision, Rule, ask, outcome


def decide_trajectory(trajectory: Trajectory, decisions: Sequence[Decision]) -> Decision:
    """Decide whether a lesion's growth may be issued; `decisions` are those of its pairs.

    flagged: issued, and a pair of this lesion was flagged.
    """
    flagged = trajectory.first_flagged_day is not None
    return outcome(ask(TRAJECTORY_RULES, trajectory, decisions), flagged=flagged, summary=())


def _pairs_out_of_scope(_: Trajectory, decisions: Sequence[Decision]) -> str | None:
    """The lesion's site is out of scope."""
    for decision in decisions:
        if decision.verdict == "out_of_scope":
            return decision.reasons[0]
    return None


def _too_few_visits(trajectory: Trajectory, _: Sequence[Decision]) -> str | None:
    """Growth needs two visits."""
    if trajectory.visits >= 2:
        return None
    return "one visit: growth needs two" if trajectory.visits else "no visit with a usable photo"


def _no_pair_issued(_: Trajectory, decisions: Sequence[Decision]) -> str | None:
    """At least one pair of the lesion must have been issued."""
    if any(decision.verdict.startswith("issued") for decision in decisions):
        return None
    return f"no pair may be issued: {decisions[0].reasons[0]}" if decisions else "no pair was compared"


def _no_growth(trajectory: Trajectory, _: Sequence[Decision]) -> str | None:
    """Two visits must have comparable areas."""
    if trajectory.growth_percent_per_month is None and trajectory.growth_mm2_per_month is None:
        return "; ".join(trajectory.reasons) or "no growth could be fitted"
    return None


def _no_interval(trajectory: Trajectory, _: Sequence[Decision]) -> str | None:
    """A growth without an interval is not issued."""
    if trajectory.growth_percent_per_month_low is None and trajectory.growth_mm2_per_month_low is None:
        return "the growth has no interval"
    return None


def _pairs_withheld(_: Trajectory, decisions: Sequence[Decision]) -> str | None:
    """Some of the lesion's pairs were not judged."""
    withheld = sum(1 for decision in decisions if decision.verdict == "abstained")
    return f"{withheld} of {len(decisions)} pairs were not judged" if withheld else None


def _two_visits(trajectory: Trajectory, _: Sequence[Decision]) -> str | None:
    """With two visits the interval rests on the known noise alone."""
    return "two visits: the interval rests on the known noise alone" if trajectory.visits == 2 else None


def _relative_only(trajectory: Trajectory, _: Sequence[Decision]) -> str | None:
    """Growth without a scale is relative."""
    return "no scale: growth is relative" if trajectory.growth_mm2_per_month is None else None


#: The rules for a trajectory, in order.
TRAJECTORY_RULES: tuple[Rule, ...] = (
    Rule("out_of_scope", _pairs_out_of_scope),
    Rule("abstained", _too_few_visits),
    Rule("abstained", _no_pair_issued),
    Rule("abstained", _no_growth),
    Rule("abstained", _no_interval),
    Rule("issued_with_caveat", _pairs_withheld),
    Rule("issued_with_caveat", _two_visits),
    Rule("issued_with_caveat", _relative_only),
)
