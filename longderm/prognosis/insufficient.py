"""When a figure would rest on too few patients to be told."""

from __future__ import annotations

from longderm.prognosis.survival_times import SurvivalTimes

#: Fewer events than this say nothing about a subgroup or a horizon: the 95% interval of an AUC of 0.75 spans 0.25 at 20
#: events, 0.35 at 10 (Hanley and McNeil, Radiology 1982).
FEWEST_EVENTS = 20
#: As many must be followed beyond a horizon, free of the event: they are the controls of its AUC (its interval spans
#: 0.17 at 20, whatever the events), and one event among fewer moves the Kaplan-Meier estimate by more than 5%.
FEWEST_AT_RISK = 20


def too_few_at(data: SurvivalTimes, time: float) -> str | None:
    """Why figures at `time` are insufficient: too few events by then, or at risk after it; None where enough."""
    events, beyond = int((data.event & (data.stop <= time)).sum()), int((data.stop > time).sum())
    reasons = []
    if events < FEWEST_EVENTS:
        reasons.append(f"{events} events by {time:g}, {FEWEST_EVENTS} are the least")
    if beyond < FEWEST_AT_RISK:
        reasons.append(f"{beyond} at risk after {time:g}, {FEWEST_AT_RISK} are the least")
    return "insufficient: " + "; ".join(reasons) if reasons else None
