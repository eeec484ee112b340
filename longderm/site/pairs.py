"""The pairs of a store as they were worked on: measured differences, score, and what the rules said of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from longderm.change import Delta
from longderm.change.evidence import NoiseModel, Observation, conformal_p_value, score_of, to_observation
from longderm.change.familiar import LEVELS, Levels
from longderm.governance import RELEASE_RULES, RULES
from longderm.site.labels import KnownPair, Labels
from longderm.stages.work import Pair, Work

#: Rules that withhold a pair whatever release judges it: nothing is fitted on such a pair and nothing is claimed of it.
_WITHHOLDING = tuple(
    rule.name for rule in RULES if rule.verdict != "issued_with_caveat" and rule.name not in RELEASE_RULES
)
#: What is said of a pair that no rule withholds and that has no measured differences all the same.
NOT_MEASURED = "not_measured"
#: Events after which, or instead of which, a lesion is not presumed stable.
_TELLING_EVENTS = ("biopsy", "excision", "histology")


@dataclass(frozen=True)
class SitePair:
    """One pair that all stages have worked on.

    interval_days: None for undated repeats; withheld: the rule that withholds it whatever the release, or None;
    score, p_value: of the release in use, None where it is withheld; levels: of both photos (`change.familiar`);
    had_event: the lesion was biopsied or excised, or has histology; changed, melanoma: its label, None without one.
    """

    pair_id: str
    patient_id: str
    lesion_id: str
    modality: str
    interval_days: int | None
    withheld: str | None
    observations: tuple[Observation, ...]
    score: float | None
    p_value: float | None
    levels: tuple[Levels, ...]
    had_event: bool
    changed: bool | None = None
    melanoma: bool | None = None


@dataclass(frozen=True)
class SitePairs:
    """Every pair of the store by id, sorted; `pending`: ids of those that the stages have still to work on."""

    done: Mapping[str, SitePair]
    pending: tuple[str, ...]


def read_pairs(work: Work) -> SitePairs:
    """The pairs of a store's plan, each with its present results."""
    done = {}
    for pair_id, pair in sorted(work.pairs.items()):
        change, decision = work.result("changes", pair_id), work.result("decisions", pair_id)
        if change is not None and decision is not None:
            done[pair_id] = _read(work, pair, change, decision)
    return SitePairs(done, tuple(sorted(set(work.pairs) - set(done))))


def known_pairs(work: Work) -> list[KnownPair]:
    """The pairs that labels may name."""
    return [
        KnownPair(
            pair.pair_id,
            work.lesions[pair.lesion_id]["patient_id"],
            pair.lesion_id,
            *(photo["acquisition_day"] for photo in (pair.baseline, pair.followup)),
        )
        for _, pair in sorted(work.pairs.items())
    ]


def labelled(pairs: SitePairs, labels: Labels) -> list[SitePair]:
    """The labelled pairs with their labels, sorted by id; those still pending are left out."""
    return [
        replace(pairs.done[pair_id], changed=label.changed, melanoma=label.melanoma)
        for pair_id, label in labels.of_pair.items()
        if pair_id in pairs.done
    ]


def usable(pairs: Iterable[SitePair]) -> list[SitePair]:
    """Those that no rule withholds."""
    return [pair for pair in pairs if pair.withheld is None]


def rescored(pair: SitePair, model: NoiseModel) -> SitePair:
    """The pair as another release's numbers score it, from what was measured."""
    score = score_of(pair.observations, model)
    return replace(pair, score=score, p_value=conformal_p_value(score, model.calibration, model.alpha))


def _read(work: Work, pair: Pair, change: Mapping[str, Any], decision: Mapping[str, Any]) -> SitePair:
    fired = decision["rules_fired"] or ()
    withheld = next((name for name in _WITHHOLDING if name in fired), None)
    deltas = [] if change["failure"] else [Delta(**delta) for delta in change["deltas"] or ()]
    found = tuple(one for one in map(to_observation, deltas) if one is not None)
    if withheld is None and not found:
        withheld = NOT_MEASURED
    measured = [work.result("measures", photo["photo_id"]) or {} for photo in (pair.baseline, pair.followup)]
    return SitePair(
        pair_id=pair.pair_id,
        patient_id=work.lesions[pair.lesion_id]["patient_id"],
        lesion_id=pair.lesion_id,
        modality=pair.modality,
        interval_days=pair.interval_days,
        withheld=withheld,
        observations=() if withheld else found,
        score=None if withheld else change["score"],
        p_value=None if withheld else change["p_value"],
        levels=tuple({n: row[n] for n in sorted(LEVELS) if row.get(n) is not None} for row in measured),
        had_event=any(event["event_kind"] in _TELLING_EVENTS for event in work.events.get(pair.lesion_id, ())),
    )
